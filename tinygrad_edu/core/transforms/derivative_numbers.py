"""Plain numbers that remember the derivative they come from, as `lost_gradients.py` needs it.

Only derivatives that depend on something beside their arguments are of these classes, outside of `no_grad`. They are
NumPy arrays, floats and NumPy's floats in all that they do and print; what NumPy and Python compute of them is of the
same kind, except for what has no derivative (signs, comparisons, roundings). A copy, x.copy() or np.array(x), is an
array as any other, and so is what comes back from a file.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node, Option
from tinygrad_edu.core.flat_rows import flat_inputs
from tinygrad_edu.core.lost_gradients import (
    FEW,
    NUMBERS,
    RECENT,
    REMEMBERING,
    Origins,
    after_step,
    joined,
    note_numbers,
)
from tinygrad_edu.core.numpy_protocol.names import find
from tinygrad_edu.core.pytree import tree_map

Array = np.ndarray[Any, Any]
# what computes other numbers: their derivative is 0, or they are a copy on purpose
FRESH = frozenset(
    find(name)
    for name in (
        *("sign", "floor", "ceil", "trunc", "rint", "round", "around", "fix", "heaviside", "floor_divide"),
        *("copy", "zeros_like", "ones_like", "empty_like", "full_like"),
    )
)
STEPS = (np.add, np.subtract)
NOT_UFUNCS = ("mean", "std", "var", "dot", "trace")  # methods of arrays in which NumPy leaves its ufuncs
OPERATORS = ("add", "sub", "mul", "truediv", "pow")
OWN = (
    "__array_ufunc__",
    "__copy__",
    "__deepcopy__",
    "__float__",
    "__reduce_ex__",
)  # numbers have methods of these names
AS_UFUNC = {"add": np.add, "sub": np.subtract}


class Remembering:
    """What arrays and numbers of this kind share."""

    _origins: Origins

    def __array_ufunc__(
        self, ufunc: Option, method: str, *inputs: Node, out: tuple[Any, ...] = (), **options: Option
    ) -> Any:
        if any(is_node(x) for x in (*inputs, *out)):
            return NotImplemented  # Tensors and Values take it from here
        if out:
            options["out"] = tuple([forget(x) for x in out])
        y = getattr(ufunc, method)(*map(forget, inputs), **options)
        if out:
            return written(ufunc, out, inputs)
        return y if ufunc in FRESH else remember(y, origins_after(ufunc, inputs))

    def __array_function__(self, function: Option, types: Iterable[type], arguments: ArrayLike, options: Option) -> Any:
        if any(is_node(x) for x in types):
            return NotImplemented
        found: list[Origins] = []
        y = function(*forget_all(arguments, found), **forget_all(options, found))
        return y if function in FRESH else remember(y, joined(*found))

    @staticmethod
    def __apply__(operation: Option, arguments: Sequence[Any]) -> Any:
        """One of our operations; where a Tensor or a Value is among the arguments, theirs."""
        nodes = [x for x in arguments if is_node(x)]
        if nodes:
            return nodes[0].__apply__(operation, arguments)
        y, flat = operation(*map(forget, arguments)), len(flat_inputs(operation)) == len(operation.parameters)
        return y if flat or operation.partials is None else remember(y, origins_after(None, arguments))

    @staticmethod
    def __apply_array__(operation: Option, arrays: Sequence[Any], options: Option) -> Any:
        nodes = [x for x in arrays if is_node(x)]
        if nodes:
            return nodes[0].__apply_array__(operation, arrays, options)
        found: list[Origins] = []
        given = forget_all((list(arrays),) if operation.variadic else tuple(arrays), found)
        y = operation.evaluate(given, dict(options))
        return remember(y, joined(*found))

    def __copy__(self) -> Any:
        return copy.copy(forget(self))

    def __deepcopy__(self, memo: Option) -> Any:
        return copy.copy(forget(self))

    def __reduce_ex__(self, protocol: Option) -> Any:
        number = forget(self)
        return number.__reduce_ex__(protocol) if isinstance(number, np.ndarray) else (type(number), (number,))

    def __float__(self) -> float:
        return float(take_on_purpose(self))

    def __getattr__(self, name: str) -> Any:
        if name == "backward":
            raise AttributeError(
                f"{forget(self)!r:.60} has no backward(): it was made of a derivative at plain numbers, which is plain "
                "numbers itself. For a loss that contains a derivative give that a Tensor: tg.grad(f)(tg.Tensor(x))"
            )
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")


class DerivativeArray(Remembering, np.ndarray[Any, Any]):
    """An array that was computed from a derivative."""

    def __array_finalize__(self, other: ArrayLike) -> None:
        self._origins = getattr(other, "_origins", {}) if self.dtype.kind == "f" else {}

    def __getitem__(self, index: Axis) -> Any:
        return remember(super().__getitem__(index), self._origins)

    def copy(self, order: Option = "C") -> Array:  # type: ignore[override]
        """An array as any other: its numbers are meant."""
        return take_on_purpose(self).copy(order)  # type: ignore[no-any-return]

    def item(self, *place: Axis) -> Any:
        """The plain number."""
        return take_on_purpose(self).item(*place)

    def tolist(self) -> Any:
        """The plain numbers as lists."""
        return take_on_purpose(self).tolist()

    def __repr__(self) -> str:
        return repr(forget(self))


def method_of_array(name: str) -> Callable[..., Any]:
    """NumPy's method, whose result remembers too."""

    def method(self: DerivativeArray, *arguments: ArrayLike, **options: Option) -> Any:
        found = [self._origins]
        y = getattr(forget(self), name)(*forget_all(arguments, found), **forget_all(options, found))
        return remember(y, joined(*found))

    method.__name__, method.__doc__ = name, getattr(np.ndarray, name).__doc__
    return method


for name in NOT_UFUNCS:
    setattr(DerivativeArray, name, method_of_array(name))


@functools.cache
def number_class(kind: type) -> type:
    """A class of numbers of that kind that remember."""
    # `kind` comes first: NumPy looks for the dtype of a subclass at the second place of its method resolution order
    made = type("DerivativeNumber", (kind, Remembering), {"__module__": __name__, "__repr__": kind.__repr__})
    for name in OWN:
        setattr(made, name, vars(Remembering)[name])
    for name in {"item", "tolist"} & set(dir(kind)):
        setattr(made, name, vars(DerivativeArray)[name])
    for name in OPERATORS:
        setattr(made, f"__{name}__", operator_of_number(name, kind, reflected=False))
        setattr(made, f"__r{name}__", operator_of_number(name, kind, reflected=True))
    for name in ("neg", "pos", "abs"):
        setattr(made, f"__{name}__", sign_of_number(getattr(kind, f"__{name}__")))
    return made


def sign_of_number(function: Callable[[Node], Any]) -> Callable[[Node], Any]:
    """-x, +x or abs(x)."""
    return lambda x: remember(function(forget(x)), x._origins)


def operator_of_number(name: str, kind: type, reflected: bool) -> Callable[[Any, Any], Any]:
    """An operator of a number and another operand."""
    function = getattr(kind, f"__r{name}__" if reflected else f"__{name}__")

    def operator(self: Node, other: ArrayLike) -> Any:
        if is_node(other) or isinstance(other, DerivativeArray):
            return NotImplemented
        y = function(forget(self), forget(other))
        pair = (other, self) if reflected else (self, other)
        return y if y is NotImplemented else remember(y, origins_after(AS_UFUNC.get(name), pair))

    return operator


def written(ufunc: Option, out: tuple[Any, ...], inputs: Sequence[Any]) -> Any:
    """What `total += g` makes the name `total` of: the same memory, which remembers."""
    if len(out) > 1 or ufunc in FRESH or not inputs or inputs[0] is not out[0]:
        return out[0] if len(out) == 1 else out
    return remember(out[0], origins_after(ufunc, inputs))


def origins_after(ufunc: Option, inputs: Sequence[Any]) -> Origins:
    """Those of what a function gives for these inputs."""
    each = [x._origins for x in inputs if isinstance(x, Remembering)]
    found = each[0] if len(each) == 1 else joined(*each)
    if ufunc in STEPS and len(inputs) == 2:  # x - rate·g(x), where g was taken at x
        point, step = inputs
        if any(x.is_at(point) for x in getattr(step, "_origins", {}).values()):
            return after_step(found)
    return found


def remember(y: ArrayLike, origins: Origins) -> Any:
    """The same numbers, which remember where they come from; anything but floats stays as it is."""
    if not origins:
        return y
    kind = y.__class__
    if kind is np.ndarray or kind is DerivativeArray:
        if y.dtype.kind != "f":
            return forget(y)
        made = y.view(DerivativeArray)
    elif kind is float or (isinstance(y, np.floating) and not isinstance(y, Remembering)):
        made = number_class(kind)(y)
        if len(RECENT) < FEW:
            RECENT.append((float(y), origins))
    elif kind is list or kind is tuple:
        return kind([remember(x, origins) for x in y])
    else:
        return y
    made._origins = origins
    if not REMEMBERING:
        REMEMBERING.append(None)
    return made


def remember_result(y: ArrayLike, origins: Origins) -> Any:
    """`remember` of a derivative itself, whose numbers an array may be filled by."""
    if origins and np.size(y) <= FEW:
        note_numbers(np.ravel(y).tolist(), origins)
    return remember(y, origins)


def forget(x: ArrayLike) -> Any:
    """The numbers without their memory."""
    if isinstance(x, DerivativeArray):
        return x.view(np.ndarray)
    kind: Any = type(x).__mro__[1]
    return kind.__pos__(x) if isinstance(x, Remembering) else x


def take_on_purpose(x: ArrayLike) -> Any:
    """The numbers without their memory, which the program wants as numbers: they are not looked for in its arrays."""
    if (NUMBERS or RECENT) and np.size(x) <= FEW:
        for number in np.ravel(forget(x)).tolist():
            NUMBERS.pop(number, None)
            RECENT[:] = [each for each in RECENT if each[0] != number]
    return forget(x)


def forget_all(tree: ArrayLike, found: list[Origins]) -> Any:
    """Arguments of a function without their memory, which goes to `found`."""

    def forget_one(x: ArrayLike) -> Any:
        if isinstance(x, Remembering):
            found.append(x._origins)
        return forget(x)

    return tree_map(forget_one, tree)


def is_node(x: Node) -> bool:
    """Is it a Value, a Tensor or a class of these?"""
    return hasattr(x, "parents")
