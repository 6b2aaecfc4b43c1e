"""Arrays that remember how they were made: the learner's NumPy code runs on them as it is.

A `TracedArray` is an ndarray with its numbers, and beside them the Tensor that made them (`node`; None for constants).
So `isinstance(x, np.ndarray)`, `x.dot(W)`, `.copy()`, `z[z < 0] = 0`, `h[i] = ...` into zeros, `x += y` and
`float(loss)` mean what they mean in NumPy, and the graph is kept. What NumPy makes of one behind our back has lost its
graph: it is marked, and using it is a `LostError` rather than a silently wrong gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.gather import with_writes
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TinygradError

Array = np.ndarray[Any, Any]


class LostError(Exception):
    """A traced array went through something that keeps no graph."""


class Writes:
    """Counts writes in place, so that arrays need only be compared with their nodes after one; and floats taken."""

    def __init__(self) -> None:
        self.count = 0
        self.floats: list[tuple[float, Tensor]] = []

    def node_of(self, number: float) -> Tensor | None:
        """The node of `return float(loss)`, or of floats added up: `total += float(loss)`, and total / n at the end.

        Whether they were only added is not known here: the slope of what is traced is compared with the measured one.
        """
        last = next((node for x, node in reversed(self.floats) if x == number), None)
        if last is not None or not self.floats:
            return last
        whole = sum(x for x, _ in self.floats)
        if not whole or not np.isfinite(number / whole):
            return None
        added = self.floats[0][1].reshape(())
        for _, node in self.floats[1:]:
            added = added + node.reshape(())
        return added * (number / whole)  # type: ignore[no-any-return]


WRITES = Writes()
# Functions that `traced_functions` adds to the tables: NumPy's functions, ufuncs by name, methods of ufuncs.
FUNCTIONS: dict[Any, Callable[..., Any]] = {}
UFUNCS: dict[str, Callable[..., Any]] = {}
UFUNC_METHODS: dict[str, Callable[..., Any]] = {}
OTHERWISE: list[Callable[..., Any]] = []  # tried when Tensors refuse a function


class TracedArray(np.ndarray[Any, Any]):
    """Numbers, with the node that made them."""

    node: Tensor | None
    lost: bool
    above: tuple[TracedArray, Any] | None  # (the array of which this is a view, the index)
    pending: list[tuple[Any, Any]]  # writes that the node does not contain yet
    checked: int

    def __array_finalize__(self, obj: Any) -> None:
        self.node, self.above, self.pending, self.checked = None, None, [], -1
        self.lost = isinstance(obj, TracedArray) and (obj.lost or obj.node is not None or bool(obj.pending))

    @staticmethod
    def __apply__(operation: Any, arguments: Sequence[Any]) -> Any:
        """One of our operations, applied to traced arrays."""
        return wrap(operation(*map(unwrap, arguments)))

    @staticmethod
    def __apply_array__(operation: Any, arrays: Sequence[Any], options: Any) -> Any:
        parts = [unwrap(x) for x in arrays]
        return wrap(operation(parts, **options) if operation.variadic else operation(*parts, **options))

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = None, **options: Any) -> Any:
        special = UFUNC_METHODS.get(method) or UFUNCS.get(getattr(ufunc, "__name__", ""))
        if special:
            made = special(ufunc, inputs, options)
        else:
            parts = [unwrap(array(x) if isinstance(x, (list, tuple)) else x) for x in inputs]
            options = {k: unwrap(x) for k, x in options.items()}
            made = differentiable(getattr(ufunc, method), parts, drop_dtype(options, parts))
        return made if out is None else overwrite(out[0], made)

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if function in FUNCTIONS:
            return FUNCTIONS[function](*arguments, **options)
        parts, named = unwrap_all(arguments), {k: unwrap_all(x) for k, x in options.items()}
        out = named.pop("out", None)
        try:
            made = differentiable(function, parts, named)
        except (TinygradError, TypeError):
            made = OTHERWISE[0](function, arguments, options)
        return made if out is None else overwrite(options["out"], made)

    def __getitem__(self, index: Any) -> Any:
        index = plain_index(index)
        found = np.asarray(self).__getitem__(index)
        if self.node is None and not self.pending and not self.lost:
            return view_part(found, self, index) if isinstance(found, np.ndarray) else found
        node = unwrap(self)[index]
        made = view_part(np.asarray(found), self, index)
        made.node, made.checked = node, WRITES.count
        return made

    def __setitem__(self, index: Any, value: Any) -> None:
        index, new = plain_index(index), unwrap_all(value)
        if isinstance(new, (list, tuple)):
            new = unwrap(array(value))
        if isinstance(new, Tensor) and self.dtype.kind != "f":
            raise LostError(
                f"an array of {self.dtype} truncates what is written into it; np.zeros(..., dtype=float) does not"
            )
        if isinstance(new, Tensor) or self.node is not None or self.pending:
            self.settle_if_lost()
            self.pending.append((index, new if isinstance(new, Tensor) else np.array(new)))
        self.numbers[index] = new.array if isinstance(new, Tensor) else new
        WRITES.count += 1
        self.tell_above()

    def settle_if_lost(self) -> None:
        if self.lost:
            raise LostError("an array was made of traced ones in a way that keeps no graph")

    def tell_above(self) -> None:
        """A write into a view is a write into the array behind it."""
        if self.above is not None:
            behind, index = self.above
            if self.node is not None or self.pending or behind.node is not None or behind.pending:
                new = unwrap(self)
                behind.pending.append((index, new if isinstance(new, Tensor) else new.copy()))
                behind.tell_above()

    def __getattr__(self, name: str) -> Any:
        """x.tanh(), as on a Tensor."""
        if name not in TABLE:
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        return lambda *others: TABLE[name](self, *others)

    @property
    def numbers(self) -> Array:
        """The same memory as a plain array."""
        return self.view(np.ndarray)

    def __float__(self) -> float:
        number = float(self.numbers)
        node = unwrap(self)
        if isinstance(node, Tensor):
            WRITES.floats.append((number, node))
        return number

    def item(self, *place: Any) -> Any:
        if self.dtype.kind != "f":
            return self.numbers.item(*place)
        number = self.reshape(-1)[place or 0] if len(place) < 2 else self[place]
        return number.reshape(())  # stays traced: it may be divided by n before it becomes the loss

    def dot(self, other: Any, out: Any = None) -> Any:
        return np.dot(self, other)

    def copy(self, order: Any = "C") -> Any:
        return wrap(+unwrap(self)) if isinstance(unwrap(self), Tensor) else without_node(self.numbers.copy())

    def __copy__(self) -> Any:
        return self.copy()

    def __deepcopy__(self, memo: Any) -> Any:
        return self.copy()

    def astype(self, dtype: Any, *arguments: Any, **options: Any) -> Any:
        if np.dtype(dtype).kind == "f" or not isinstance(unwrap(self), Tensor):
            return self.copy() if np.dtype(dtype).kind == "f" else without_node(self.numbers.astype(dtype))
        return without_node(self.numbers.astype(dtype))

    def reshape(self, *shape: Any, **options: Any) -> Any:
        return np.reshape(self, shape[0] if len(shape) == 1 else shape)

    def transpose(self, *axes: Any) -> Any:
        axes = axes[0] if len(axes) == 1 and not isinstance(axes[0], int) else axes
        return np.transpose(self, axes or None)

    @property
    def T(self) -> Any:  # noqa: N802  (NumPy's name)
        return np.transpose(self)

    def flatten(self, *_: Any) -> Any:
        return np.ravel(self).copy()

    def fill(self, value: Any) -> None:
        self[...] = value

    def tolist(self) -> Any:
        return [x.tolist() if x.ndim else x for x in self] if self.ndim else self

    def round(self, *arguments: Any, **options: Any) -> Any:
        return self.numbers.round(*arguments, **options)

    def argmax(self, *arguments: Any, **options: Any) -> Any:
        return self.numbers.argmax(*arguments, **options)

    def argmin(self, *arguments: Any, **options: Any) -> Any:
        return self.numbers.argmin(*arguments, **options)

    def argsort(self, *arguments: Any, **options: Any) -> Any:
        return self.numbers.argsort(*arguments, **options)


def by_function(name: str) -> Callable[..., Any]:
    """x.sum(axis=0) as np.sum(x, axis=0)."""

    def method(self: Any, *arguments: Any, **options: Any) -> Any:
        return getattr(np, name)(self, *arguments, **options)

    method.__name__ = name
    return method


for _name in ("sum", "mean", "max", "min", "prod", "std", "var", "cumsum", "clip", "ravel", "squeeze", "swapaxes",
              "repeat", "take", "diagonal", "trace"):  # fmt: skip
    setattr(TracedArray, _name, by_function(_name))


def without_node(numbers: Any) -> Any:
    """A plain array as a traced one without a node; booleans stay as they are."""
    plain = np.asarray(numbers)
    return plain.view(TracedArray) if plain.dtype.kind in "fiu" else plain


def leaf(node: Tensor) -> TracedArray:
    """A parameter."""
    return wrap(node)  # type: ignore[no-any-return]


def wrap(made: Any) -> Any:
    """The result of an operation as traced arrays, with a copy of its numbers: later writes must not reach the node."""
    if isinstance(made, Tensor):
        traced = made.array.copy().view(TracedArray)
        traced.node, traced.checked = made, WRITES.count
        return traced
    if isinstance(made, np.ndarray):
        return without_node(made)
    if isinstance(made, (list, tuple)):
        return type(made)(map(wrap, made))
    return made


def unwrap(x: Any) -> Any:
    """A traced array's node, with all that was written into it; a plain array for a constant; else x itself."""
    if not isinstance(x, TracedArray):
        return x
    x.settle_if_lost()
    if x.pending:
        # Before the first write of a node the array is a constant, whose own numbers fill the rest.
        before = x.node if x.node is not None else x.numbers.copy()
        x.node, x.pending = with_writes(before, x.shape, x.pending), []
    if x.node is None:
        return x.numbers
    if x.checked != WRITES.count:
        made = x.node.array.astype(x.dtype)  # cast, because the learner's single precision rounds
        if made.shape != x.shape or not np.array_equal(made, x.numbers, equal_nan=True):
            raise LostError("an array was written to through another view of it")
        x.checked = WRITES.count
    return x.node


def unwrap_all(x: Any) -> Any:
    """`unwrap` for everything in lists, tuples and dicts."""
    if isinstance(x, (list, tuple)) and any(isinstance(y, (TracedArray, list, tuple)) for y in x):
        return type(x)(map(unwrap_all, x)) if type(x) in (list, tuple) else x
    return unwrap(x)


def view_part(found: Array, behind: TracedArray, index: Any) -> Any:
    """A part of an array; it knows of what, if it shares the memory."""
    made = without_node(found)
    if isinstance(made, TracedArray):
        made.lost = False
        if np.may_share_memory(found, behind.numbers):
            made.above = (behind, index)
    return made


def plain_index(index: Any) -> Any:
    """An index without traced arrays in it."""
    if isinstance(index, tuple):
        return tuple(map(plain_index, index))
    if isinstance(index, list):
        return [*map(plain_index, index)]
    return index.numbers if isinstance(index, TracedArray) else index


def differentiable(function: Any, parts: Sequence[Any], options: dict[str, Any]) -> Any:
    """The function on Tensors; on constants alone it is NumPy's own, and its result a constant."""
    return wrap(function(*parts, **options))


def drop_dtype(options: dict[str, Any], parts: Sequence[Any]) -> dict[str, Any]:
    """dtype=float is what is done anyway."""
    graph = any(isinstance(x, Tensor) for x in parts)
    return {k: x for k, x in options.items() if not (graph and k in ("dtype", "casting", "order", "subok"))}


def overwrite(target: Any, made: Any) -> Any:
    """x += y, out=x: the target has new numbers, and a new node."""
    node = unwrap(made)
    if not isinstance(target, TracedArray):
        if isinstance(node, Tensor):
            raise LostError("a traced array was added in place to a plain one")
        np.copyto(target, node)
        return target
    numbers = node.array if isinstance(node, Tensor) else node
    if isinstance(node, Tensor) and (target.dtype.kind != "f" or node.array.shape != target.shape):
        raise LostError("an in-place operation changes the kind of its array")
    target.settle_if_lost()
    target.numbers[...] = numbers
    WRITES.count += 1
    target.node, target.pending, target.checked = (node if isinstance(node, Tensor) else None), [], WRITES.count
    target.tell_above()
    return target


def array(given: Any, *arguments: Any, **options: Any) -> Any:
    """np.array for nested lists that contain traced numbers."""
    if isinstance(given, TracedArray):
        return given.copy() if options.get("copy", True) else given
    if isinstance(given, (list, tuple)) and has_nodes(given):
        return np.stack([x if isinstance(x, np.ndarray) else np.asarray(x, dtype=float) for x in map(array, given)])
    if isinstance(given, (list, tuple)):
        given = plain_list(given)
    return without_node(np.array(given, *arguments, **options))


def plain_list(x: Any) -> Any:
    return type(x)(map(plain_list, x)) if type(x) in (list, tuple) else x.numbers if isinstance(x, TracedArray) else x


def has_nodes(x: Any) -> bool:
    if isinstance(x, TracedArray):
        return x.node is not None or bool(x.pending) or x.lost
    return isinstance(x, (list, tuple)) and any(map(has_nodes, x))
