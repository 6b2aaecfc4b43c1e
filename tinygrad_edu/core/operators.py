"""Python's operators and the methods: each says which row of the table it stands for, and lets the class interpret it.

`a * b` is `a.__apply__(ops.mul, (a, b))`, alike for Values, Tensors and nodes of a trace. The usual cases are written
out once more in `fast/values.py`, for speed alone.
"""

# An operation on a Value gives a Value, on a Tensor a Tensor: `__apply__` decides, which mypy cannot know.
# mypy: disable-error-code="no-any-return"

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Self

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.methods.torch_arguments import OTHER_ARGUMENTS, TorchArguments, refuse_out
from tinygrad_edu.core.operation import TABLE, Operation


class Operators(TorchArguments):
    """+ - * / // % ** and the comparisons, and a method for each elementwise operation, also by NumPy's name."""

    __slots__ = ()

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Any:
        """Apply an operation: every back end defines this in a few lines of its own."""
        raise NotImplementedError

    def clip(self, min: ArrayLike | None = None, max: ArrayLike | None = None, out: ArrayLike | None = None) -> Any:
        refuse_out("x.clip", out)
        bounds = (-math.inf if min is None else min, math.inf if max is None else max)
        return self.__apply__(TABLE["clip"], (self, *bounds))

    if TYPE_CHECKING:  # methods added from the tables: x.leaky_relu(), x.sum()

        def __getattr__(self, name: str) -> Any: ...

    # arithmetic

    def __add__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.add, (self, other))

    def __radd__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.add, (other, self))

    def __sub__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.sub, (self, other))

    def __rsub__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.sub, (other, self))

    def __mul__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.mul, (self, other))

    def __rmul__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.mul, (other, self))

    def __truediv__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.div, (self, other))

    def __rtruediv__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.div, (other, self))

    def __pow__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.pow, (self, other))

    def __rpow__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.pow, (other, self))

    def __mod__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.mod, (self, other))

    def __rmod__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.mod, (other, self))

    def __floordiv__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.floor_divide, (self, other))

    def __rfloordiv__(self, other: ArrayLike) -> Self:
        return self.__apply__(ops.floor_divide, (other, self))

    def __divmod__(self, other: ArrayLike) -> tuple[Self, Self]:
        return self // other, self % other

    def __rdivmod__(self, other: ArrayLike) -> tuple[Self, Self]:
        return other // self, other % self

    def __neg__(self) -> Self:
        return self.__apply__(ops.neg, (self,))

    def __pos__(self) -> Self:
        return self.__apply__(ops.pos, (self,))

    def __abs__(self) -> Self:
        return self.__apply__(ops.abs, (self,))

    # comparisons: a plain bool, or an array of bools

    def __gt__(self, other: ArrayLike) -> Any:
        return self.__apply__(ops.greater, (self, other)) if comparable(other) else NotImplemented

    def __ge__(self, other: ArrayLike) -> Any:
        return self.__apply__(ops.greater_equal, (self, other)) if comparable(other) else NotImplemented

    def __lt__(self, other: ArrayLike) -> Any:
        return self.__apply__(ops.less, (self, other)) if comparable(other) else NotImplemented

    def __le__(self, other: ArrayLike) -> Any:
        return self.__apply__(ops.less_equal, (self, other)) if comparable(other) else NotImplemented

    def __eq__(self, other: ArrayLike) -> Any:
        return self.__apply__(ops.equal, (self, other)) if comparable(other) else NotImplemented

    def __ne__(self, other: ArrayLike) -> Any:
        return self.__apply__(ops.not_equal, (self, other)) if comparable(other) else NotImplemented

    __hash__ = object.__hash__  # by identity, whatever number the node holds

    # methods that networks commonly use; those of the other table rows are added at the end of this file

    def exp(self) -> Self:
        return self.__apply__(ops.exp, (self,))

    def log(self) -> Self:
        return self.__apply__(ops.log, (self,))

    def sin(self) -> Self:
        return self.__apply__(ops.sin, (self,))

    def cos(self) -> Self:
        return self.__apply__(ops.cos, (self,))

    def sqrt(self) -> Self:
        return self.__apply__(ops.sqrt, (self,))

    def tanh(self) -> Self:
        return self.__apply__(ops.tanh, (self,))

    def sigmoid(self) -> Self:
        return self.__apply__(ops.sigmoid, (self,))

    def relu(self) -> Self:
        return self.__apply__(ops.relu, (self,))


def comparable(other: ArrayLike) -> bool:
    """Leave comparisons with None and text to Python, which says that they are neither equal, smaller nor larger, and
    those with an object that refuses NumPy's operations (`__array_ufunc__ = None`) to that object."""
    return not (other is None or isinstance(other, str) or getattr(other, "__array_ufunc__", True) is None)


def method(operation: Operation) -> Callable[..., Any]:
    """x.leaky_relu(0.1) for ops.leaky_relu(x, 0.1)."""

    def bound(self: ArrayLike, *others: ArrayLike) -> Any:
        return self.__apply__(operation, operation.complete((self, *others)))

    bound.__name__ = operation.name
    return bound


for operation in TABLE.values():
    for name in (operation.name, operation.numpy_name):
        if not hasattr(Operators, name):
            setattr(Operators, name, method(operation))
        if name not in OTHER_ARGUMENTS:
            getattr(Operators, name).__doc__ = operation.__doc__


def install(back_end: type) -> None:
    """Put these general forms on a class, in place of the faster ones of its base class."""
    for name, form in vars(Operators).items():
        if callable(form) and name != "__apply__":
            setattr(back_end, name, form)
