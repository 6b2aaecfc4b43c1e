"""Python's operators and the methods, spelled once for every back end from the table."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import TABLE, Operation

BINARY = {"add": ops.add, "sub": ops.sub, "mul": ops.mul, "truediv": ops.div, "pow": ops.pow}
UNARY = {"neg": ops.neg, "pos": ops.pos, "abs": ops.abs}
COMPARISONS = {
    "gt": ops.greater,
    "ge": ops.greater_equal,
    "lt": ops.less,
    "le": ops.less_equal,
    "eq": ops.equal,
    "ne": ops.not_equal,
}


def install(back_end: type) -> None:
    """Give a class + - * / ** abs, the comparisons, and a method for each operation (also by NumPy's name).

    The class says in `__apply__(operation, arguments)` what an operation means to it.
    """
    for name, operation in BINARY.items():
        setattr(back_end, f"__{name}__", binary(operation))
        setattr(back_end, f"__r{name}__", reflected(operation))
    for name, operation in UNARY.items():
        setattr(back_end, f"__{name}__", method(operation))
    for name, operation in COMPARISONS.items():
        setattr(back_end, f"__{name}__", comparison(operation))
    for operation in TABLE.values():
        setattr(back_end, operation.name, method(operation))
        setattr(back_end, operation.numpy_name, method(operation))


def binary(operation: Operation) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return self.__apply__(operation, (self, other))

    return operator


def reflected(operation: Operation) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        return self.__apply__(operation, (other, self))

    return operator


def comparison(operation: Operation) -> Callable[[Any, Any], Any]:
    def operator(self: Any, other: Any) -> Any:
        if other is None or isinstance(other, str) or getattr(other, "__array_ufunc__", True) is None:
            return NotImplemented  # the last: an object that asks NumPy to leave the comparison to it
        return self.__apply__(operation, (self, other))

    return operator


def method(operation: Operation) -> Callable[..., Any]:
    def bound(self: Any, *others: Any) -> Any:
        return self.__apply__(operation, operation.complete((self, *others)))

    bound.__name__, bound.__doc__ = operation.name, operation.__doc__
    return bound
