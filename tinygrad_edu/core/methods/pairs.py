"""PyTorch's results in two parts, numbers and where they stand: x.max(dim=1), x.sort(dim=0), x.topk(3), x.mode().

NumPy's x.max(1) gives the numbers alone. So `dim=` or `keepdim=`, PyTorch's words, ask for both; the names that NumPy's
arrays do not have (topk, kthvalue, mode, cummax) mean what they mean in PyTorch.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.checks import is_whole
from tinygrad_edu.core import ops, reductions
from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.arrays.missing import is_nan
from tinygrad_edu.core.arrays.positions import numbers
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.methods.torch_arguments import refuse_out
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.numpy_protocol.options import by_options
from tinygrad_edu.core.one_name import refuse_second_name
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED
from tinygrad_edu.core.writes.write_guard import has_changed_since
from tinygrad_edu.errors import OperandError, SavedArrayChangedError, SettingError, ShapeError


class Pair:
    """(values, indices): unpacked, indexed or read by name. The indices are found when they are asked for.

    >>> from tinygrad_edu import Tensor
    >>> values, indices = Tensor([[1.0, 3.0], [5.0, 4.0]]).max(dim=1)
    >>> values, indices
    (Tensor([3., 5.]), array([1, 0]))
    """

    __slots__ = ("find", "found", "values")

    def __init__(self, values: Node, find: Callable[[], Any]) -> None:
        self.values, self.find, self.found = values, find, None

    @property
    def indices(self) -> Any:
        """The positions of the values along the axis: integers, a plain array."""
        if self.found is None:
            self.found = self.find()
        return self.found

    def plain(self) -> Pair:
        """The pair with plain numbers as values."""
        return Pair(self.values.data, self.find)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.values, self.indices))

    def __getitem__(self, i: int) -> Any:
        return (self.values, self.indices)[i] if i not in (0, -2) else self.values

    def __len__(self) -> int:
        return 2

    def __repr__(self) -> str:
        return f"Pair(values={self.values!r}, indices={self.indices!r})"


def extreme(name: str) -> Callable[..., Any]:
    """x.max or x.min: NumPy's, and with dim= or keepdim= PyTorch's pair.

    x.max(1) alone is NumPy's array, so `values, indices = x.max(1)` unpacks its rows: write x.max(dim=1).
    Of NumPy's array ties share the gradient equally; of the pair the entry at `indices` gets it, the first one.
    """
    operation, larger = getattr(reductions, name), getattr(ops, f"{name}imum")

    def method(x: Node, *given: Any, dim: int | None = None, keepdim: bool | None = None, **options: Any) -> Any:
        if given and hasattr(given[0], "shape") and np.ndim(given[0]):  # x.max(other) compares entry by entry
            return larger(x, given[0])
        words = {"dim": dim, "keepdim": keepdim}
        given_words = [word for word, value in words.items() if value is not None]
        refuse_second_name(f"x.{name}", [*("axis", "keepdims")[: len(given)], *given_words, *options])
        if dim is None and keepdim is None and not options.keys() <= {"axis", "keepdims"}:
            refuse_out(f"x.{name}", options.pop("out", None))
            if made := by_options(name, [x], dict(zip(("axis", "keepdims"), given, strict=False)) | options):
                return made[0]
        if dim is None and keepdim is None and len(given) < 2:
            return remember(operation(x, *given, **options), x, operation, given, options)
        axis = dim if dim is not None else given[0] if given else None
        if axis is None:
            raise OperandError(f"x.{name}(keepdim=...) needs an axis, x.{name}(dim=1, keepdim=True)")
        if isinstance(axis, (tuple, list)):
            raise OperandError(f"x.{name}(dim={axis!r}): indices need one axis; x.a{name}(dim={axis!r}) takes several")
        kept = bool(keepdim) if keepdim is not None else len(given) > 1 and bool(given[1])
        return first_of(x, name, axis, kept, options)

    method.__name__, method.__doc__ = name, operation.__doc__
    return method


def remember(y: Node, x: Node, operation: Any, given: tuple[Any, ...], options: dict[str, Any]) -> Node:
    """Where no graph is recorded, let y = x.max(1) know what it was computed from, for y.indices."""
    axis = given[0] if given else options.get("axis")
    if y.op is None and MODES.tensor_trace is None and is_whole(axis):
        y._options = {"of": x, "name": operation.name, "axis": axis, "keepdims": options.get("keepdims", False)}
    return y


def first_of(x: Node, name: str, axis: int, kept: bool, options: dict[str, Any]) -> Pair:
    """The extreme along an axis and its first position, which gets the whole gradient."""
    operation, trace = getattr(reductions, name), MODES.tensor_trace
    along = x.shape[axis] if isinstance(axis, int) and -x.ndim <= axis < x.ndim else 0
    if options or along == 0:  # `operation` reports bad options and empty axes, or applies `initial`
        return Pair(operation(x, axis=axis, keepdims=kept, **options), lambda: located(x, name, axis, kept))
    if trace is None or not isinstance(x, trace) or hasattr(trace, "of_samples"):
        held = numbers(x, f"x.{name}(dim=)")
        return entries(x, getattr(np, f"arg{name}")(held, axis=axis, keepdims=True), axis, kept)
    top = operation(x, axis=axis, keepdims=True)
    hit = ops.where(is_nan(top), is_nan(x), ops.equal(x, top))  # is_nan, because NaN equals nothing, not even itself
    hit = ops.where(hit, 1.0, 0.0)
    first = hit * ARRAY_TABLE["cumsum"](hit, axis=axis)
    values = ARRAY_TABLE["sum"](ops.where(ops.equal(first, 1.0), x, 0.0), axis=axis, keepdims=kept)
    return Pair(values, lambda: located(x, name, axis, kept))


def located(x: Node, name: str, axis: int, kept: bool) -> Any:
    return as_torch_array(getattr(np, f"arg{name}")(numbers(x, f"x.{name}(dim=).indices"), axis=axis, keepdims=kept))


def entries(x: Node, index: Any, dim: int, keepdim: bool = True) -> Pair:
    """The entries of x at one index for each place along an axis, and the index."""
    values = COMPOSED["take_along_axis"](x, index, axis=dim)
    if not keepdim:
        values, index = COMPOSED["squeeze"](values, axis=dim), np.squeeze(index, axis=dim)
    return Pair(values, lambda: as_torch_array(index))


def order(x: Node, dim: int, descending: bool, name: str) -> Any:
    """The positions in sorted order; NaN counts as the largest, and equal numbers keep their order."""
    held = numbers(x, name)
    if not descending:
        return np.argsort(held, axis=dim, kind="stable")
    # reversed before and after sorting, so that ties keep their order in descending order too
    turned = np.flip(held, axis=dim)
    return np.flip(held.shape[dim] - 1 - np.argsort(turned, axis=dim, kind="stable"), axis=dim)


def sort(x: Node, dim: int | None = None, descending: bool | None = None, stable: bool = False, **numpys: Any) -> Pair:
    """The entries in order along an axis, and where they stood. Errors: OperandError for x.sort(), which changes x in
    NumPy."""
    if numpys or (dim is None and descending is None):
        raise OperandError(
            "x.sort() changes x in NumPy and gives (values, indices) in PyTorch: write np.sort(x), or x.sort(dim=-1)"
        )
    dim = -1 if dim is None else dim
    return entries(x, order(x, dim, bool(descending), "x.sort"), dim)


def topk(x: Node, k: int, dim: int = -1, largest: bool = True, sorted: bool = True) -> Pair:
    """The k largest (or smallest) entries along an axis in order, and their positions. Errors: SettingError."""
    n = x.shape[dim]
    if not 0 <= k <= n:
        raise SettingError(f"x.topk({k}): axis {dim} has {n} entries")
    return entries(x, np.take(order(x, dim, largest, "x.topk"), range(k), axis=dim), dim)


def kthvalue(x: Node, k: int, dim: int = -1, keepdim: bool = False) -> Pair:
    """The k-th smallest entry along an axis, counted from 1, and its position. Errors: SettingError."""
    n = x.shape[dim]
    if not 1 <= k <= n:
        raise SettingError(f"x.kthvalue({k}): axis {dim} has {n} entries, and k is counted from 1")
    return entries(x, np.take(order(x, dim, False, "x.kthvalue"), [k - 1], axis=dim), dim, keepdim)


def median(x: Node, axis: Any = None, keepdims: bool = False, dim: int | None = None, keepdim: bool = False) -> Any:
    """NumPy's median; with dim= PyTorch's pair, of two numbers in the middle the lower one."""
    if dim is None:
        return COMPOSED["median"](x, axis=axis, keepdims=keepdims or keepdim)
    held = numbers(x, "x.median(dim=)")
    middle = np.take(order(x, dim, False, "x.median(dim=)"), [(held.shape[dim] - 1) // 2], axis=dim)
    unknown = np.isnan(held)  # one NaN makes the median NaN
    first = np.argmax(unknown, axis=dim, keepdims=True)
    return entries(x, np.where(unknown.any(axis=dim, keepdims=True), first, middle), dim, keepdim)


def mode(x: Node, dim: int = -1, keepdim: bool = False) -> Pair:
    """The most frequent entry along an axis (of several, the smallest), and its last position."""
    held = np.moveaxis(numbers(x, "x.mode"), dim, -1)
    times = (held[..., None, :] == held[..., :, None]).sum(axis=-1)
    smallest = np.where(times == times.max(axis=-1, keepdims=True), held, np.inf).min(axis=-1, keepdims=True)
    last = held.shape[-1] - 1 - np.argmax((held == smallest)[..., ::-1], axis=-1)
    return entries(x, np.expand_dims(last, dim), dim, keepdim)


def running(name: str, accumulate: Any, beats: Any) -> Callable[..., Pair]:
    """x.cummax or x.cummin: the largest (smallest) so far along an axis, and its last position."""

    def method(x: Node, dim: int) -> Pair:
        held = np.moveaxis(numbers(x, f"x.{name}"), dim, -1)
        hit = np.isnan(held) | beats(held, accumulate(held, axis=-1))
        index = np.maximum.accumulate(np.where(hit, np.arange(held.shape[-1]), 0), axis=-1)
        return entries(x, np.moveaxis(index, -1, dim), dim)

    method.__name__, method.__doc__ = name, running.__doc__
    return method


def as_torch_array(index: Any) -> Any:
    """Whole numbers as an array that knows PyTorch's names too."""
    return index.view(PlainArray) if isinstance(index, np.ndarray) else index


METHODS: dict[str, Callable[..., Any]] = {
    "max": extreme("max"),
    "min": extreme("min"),
    "sort": sort,
    "topk": topk,
    "kthvalue": kthvalue,
    "median": median,
    "mode": mode,
    "cummax": running("cummax", np.maximum.accumulate, np.greater_equal),
    "cummin": running("cummin", np.minimum.accumulate, np.less_equal),
}


def values_of(x: Node) -> Any:
    """x.max(1).values: what NumPy's call gives are the values themselves."""
    refuse_others(x, "values")
    return x


def indices_of(x: Node) -> Any:
    """x.max(1).indices, from the node that NumPy's call has recorded, or what it remembers without a graph."""
    refuse_others(x, "indices")
    of, name = (x.parents[0], x.op.name) if x.op is not None else (x.options["of"], x.options["name"])
    axis = x.options["axis"]
    if of._made > x._made or has_changed_since(of, x._made):
        raise SavedArrayChangedError(
            f"{of!r:.60} was written to after {name}({axis}) had read it, so its indices are no longer those of these "
            f"values: write values, indices = x.{name}(dim={axis}), which finds both at once"
        )
    return located(of, name, axis, x.options["keepdims"])


def refuse_others(x: Node, name: str) -> None:
    """Errors: AttributeError for what no recorded maximum or minimum along an axis has given."""
    known = x.op in (reductions.max, reductions.min) or (x.op is None and "of" in x.options)
    if not known or not is_whole(x.options["axis"]):
        raise AttributeError(
            f"'Tensor' object has no attribute {name!r}. Write x.max(dim=1).{name}: with dim= x.max, x.min, x.sort and "
            "x.topk give values and indices, as in PyTorch"
        )


def along_one_axis(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
    """The method, which names what cannot be an axis. Errors: ShapeError, SettingError."""

    @functools.wraps(method)
    def call(x: Node, *given: Any, **options: Any) -> Any:
        dim = options.get("dim")
        if dim is not None and not isinstance(dim, (tuple, list)):
            if not is_whole(dim):
                raise SettingError(f"x.{name}(dim={dim!r}): an axis is a whole number")
            if not -max(x.ndim, 1) <= dim < max(x.ndim, 1):  # a single number counts as a row of one, as in PyTorch
                raise ShapeError(f"x.{name}(dim={dim}): x has shape {x.shape}, with axes {-x.ndim} to {x.ndim - 1}")
        elif isinstance(dim, (tuple, list)) and name not in ("max", "min"):
            raise SettingError(f"x.{name}(dim={dim!r}) takes one axis")
        return method(x, *given, **options)

    return call


def install(tensor: Any) -> None:
    """Give Tensors these methods."""
    tensor.values, tensor.indices = property(values_of), property(indices_of)
    for name, method in METHODS.items():
        setattr(tensor, name, along_one_axis(name, method))
