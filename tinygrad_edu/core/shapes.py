"""Operations that move numbers without changing them: each is linear, and its pull-back moves them back."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Option
from tinygrad_edu.core.formulas.row_sums import sum_rows
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.errors import DetachedError, OperandError, ShapeError

Axes = int | Sequence[int]


@array_op(vjp=lambda g, _y, x, shape: (reshape(g, x.shape),), linear=True)
def reshape(x: ArrayLike, /, shape: Axes) -> Any:
    """The same numbers in another shape; one size may be -1.  x̄ = reshape(ȳ, shape of x)."""
    return x.reshape(shape) if x.__class__ is np.ndarray else np.reshape(x, shape)


@array_op(vjp=lambda g, _y, x, axes: (transpose(g, inverse(axes)),), linear=True)
def transpose(x: ArrayLike, /, axes: Sequence[int] | None = None) -> Any:
    """The axes in another order, reversed by default.  x̄ = ȳ transposed back."""
    return x.transpose(axes) if x.__class__ is np.ndarray else np.transpose(x, axes)


def one_axis(x: ArrayLike, axis: int) -> int:
    """An axis counted from the front. Errors: ShapeError where x has none of that number."""
    rank, axis = np.ndim(x), whole_axis(axis)
    if not -rank <= axis < rank:
        raise ShapeError(f"axis {axis} is out of bounds for array of dimension {rank}, of shape {tuple(np.shape(x))}")
    return axis % rank


def refuse_axes_of_number(x: ArrayLike, axis: int | Sequence[int] | None) -> None:
    """A single number has no axis 0: NumPy's sums allow it all the same, its means do not. Errors: ShapeError."""
    if axis is not None and not np.ndim(x):
        for i in axis if isinstance(axis, (list, tuple)) else (axis,):
            one_axis(x, i)


def whole_axis(axis: int) -> int:
    """The number of an axis. Errors: TypeError for a truth value, which would be read as axis 0 or 1."""
    if isinstance(axis, bool):
        raise TypeError(f"'bool' object {axis} is no axis")
    return operator.index(axis)


def inverse(axes: Axes | None) -> list[int] | None:
    """The order of axes that undoes `axes`."""
    axes = list_axes(axes)
    return None if axes is None else [int(i) for i in np.argsort([axis % len(axes) for axis in axes])]


def list_axes(axes: Axes | None) -> Sequence[int] | None:
    """An order of axes, which NumPy lets be one number: the one axis of a vector."""
    return [int(axes)] if isinstance(axes, (int, np.integer)) else axes


@array_op(vjp=lambda g, _y, _x, dtype: (g,), linear=True)
def astype(x: ArrayLike, /, dtype: Option) -> Any:
    """x in another dtype of floats.  x̄ = ȳ, in the dtype of x."""
    return np.asarray(x).astype(dtype)


@array_op(vjp=lambda g, _y, x, index: (put(g, index, x.shape),), linear=True)
def getitem(x: ArrayLike, /, index: Axis) -> Any:
    """x[index]: slices, integers, arrays of integers, boolean masks.  x̄ = 0, plus ȳ at every index it was read."""
    if index.__class__ is np.ndarray and x.__class__ is np.ndarray and x.ndim > 1 and index.dtype.kind == "i":
        return x.take(index, 0)  # the same numbers faster: 32 rows of 27 take 0.3 µs instead of 1.0
    return x[index]


# numpy="-": np.put is another function, which writes into x
@array_op(vjp=lambda g, _y, _x, index, shape: (getitem(g, index),), numpy="-", linear=True)
def put(x: ArrayLike, /, index: Axis, shape: tuple[int, ...]) -> Any:
    """An array of zeros of that shape, with x added at `index` (twice where it stands twice).  x̄ = ȳ[index]."""
    if index.__class__ is np.ndarray and index.dtype.kind == "i" and x.size and x.dtype.kind == "f":
        return sum_entries((index,), x, shape)  # the gradient of looking up rows in a table
    out = np.zeros(shape, dtype=x.dtype)
    parts = [np.asarray(i) if isinstance(i, (list, range)) else i for i in as_tuple(index)]
    kinds = [getattr(i, "dtype", np.dtype(object)).kind for i in parts]
    if is_basic(index) or kinds == ["b"]:
        out[index] = x
    elif x.size and x.dtype.kind == "f" and set(kinds) <= {"i", "u"}:
        return sum_entries(parts, x, shape)
    else:
        np.add.at(out, index, x)
    return out


put.method = False  # type: ignore[attr-defined]  # x.put(index, values) of NumPy's writes into x


def sum_entries(index: Sequence[Any], x: ArrayLike, shape: tuple[int, ...]) -> Any:
    """np.add.at of zeros of that shape, x added at `index`: an array of whole numbers for each of the first axes."""
    count, rows = shape[0], index[0].astype(np.intp)
    for axis, (i, size) in enumerate(zip(index[1:], shape[1:], strict=False), 1):
        low, high = (i.min(), i.max()) if i.size else (0, -1)
        if low < -size or high >= size:
            wrong = high if high >= size else low
            raise IndexError(f"index {wrong} is out of bounds for axis {axis} with size {size}")
        # a negative first index stays negative, so that it counts from the end
        rows = rows * size + i.astype(np.intp) % size
        count *= size
    return sum_rows(rows.reshape(-1), x, count, math.prod(shape) // count).reshape(shape)


def as_tuple(index: Axis) -> tuple[Any, ...]:
    return index if isinstance(index, tuple) else (index,)


def is_basic(index: Axis) -> bool:
    """Numbers, slices, None and ... read no element twice."""
    return all(
        part is None or part is Ellipsis or isinstance(part, (int, np.integer, slice)) for part in as_tuple(index)
    )


@array_op(vjp=lambda g, _y, *xs, axis: pieces(g, xs, axis), linear=True)
def concatenate(*xs: ArrayLike, axis: int | None = 0) -> Any:
    """Arrays joined along an axis that exists (flattened for None).  x̄ᵢ = its piece of ȳ."""
    return np.concatenate(xs, axis=axis)


def pieces(g: ArrayLike, xs: Sequence[Any], axis: int | None) -> tuple[Any, ...]:
    """g cut along the axis into pieces as long as the xs."""
    lengths = [x.size if axis is None else x.shape[axis] for x in xs]
    before = (slice(None),) * ((axis or 0) % g.ndim)
    ends = np.cumsum(lengths).tolist()
    cut = [getitem(g, (*before, slice(end - n, end))) for n, end in zip(lengths, ends, strict=True)]
    return tuple(reshape(piece, x.shape) for piece, x in zip(cut, xs, strict=True)) if axis is None else tuple(cut)


@array_op(vjp=lambda g, _y, x, pad_width, constant_values: (unpad(g, x, pad_width),), linear=True)
def pad(x: ArrayLike, /, pad_width: Axis, constant_values: float = 0.0) -> Any:
    """x with a border of a constant, `pad_width` as in numpy.pad.  x̄ = ȳ without the border."""
    return np.pad(x, pad_width, constant_values=constant_values)


def unpad(g: ArrayLike, x: ArrayLike, pad_width: Axis) -> Any:
    before = np.broadcast_to(pad_width, (x.ndim, 2))[:, 0]
    return getitem(g, tuple(slice(int(b), int(b) + n) for b, n in zip(before, x.shape, strict=True)))


@array_op(vjp=lambda g, _y, x, axis: (reverse_cumsum(g, x.shape, axis),), linear=True)
def cumsum(x: ArrayLike, /, axis: int | None = None) -> Any:
    """Running sums along an axis (of all numbers by default).  x̄ᵢ = the sum of ȳⱼ over j ≥ i."""
    return np.cumsum(x, axis=axis)


def reverse_cumsum(g: ArrayLike, shape: tuple[int, ...], axis: int | None) -> Any:
    backwards = (slice(None),) * ((axis or 0) % max(g.ndim, 1)) + (slice(None, None, -1),)
    return reshape(getitem(cumsum(getitem(g, backwards), 0 if axis is None else axis), backwards), shape)


@compose()
def swapaxes(x: ArrayLike, axis1: int, axis2: int) -> Any:
    """Two axes exchanged."""
    axes, axis1, axis2 = list(range(np.ndim(x))), one_axis(x, axis1), one_axis(x, axis2)
    axes[axis1], axes[axis2] = axes[axis2], axes[axis1]
    return transpose(x, axes)


@compose()
def squeeze(x: ArrayLike, axis: Axes | None = None) -> Any:
    """x without its axes of size 1, or without the ones named."""
    shape = np.shape(x)
    named: Any = [i for i, n in enumerate(shape) if n == 1] if axis is None else axis
    of_number = not shape and type(named) is int and named in (0, -1)  # which NumPy allows for a single number too
    named = [] if of_number else named if isinstance(named, (list, tuple)) else [named]
    dropped = {one_axis(x, i) for i in named}
    if any(shape[i] != 1 for i in dropped):
        raise ShapeError(f"squeeze(axis={axis}) drops axes of size 1 only, and the shape is {shape}")
    if not dropped and hasattr(type(x), "eager_classes"):  # a node of a trace: NumPy's gives x itself as well
        return x
    return reshape(x, tuple(n for i, n in enumerate(shape) if i not in dropped))


@compose()
def expand_dims(x: ArrayLike, axis: Axes) -> Any:
    """x with new axes of size 1 at the given places of the result."""
    axes = [axis] if isinstance(axis, (int, np.integer)) else list(axis)
    dimensions = np.ndim(x) + len(axes)
    if any(not -dimensions <= i < dimensions for i in axes) or len({i % dimensions for i in axes}) < len(axes):
        raise ShapeError(
            f"expand_dims: the result has {dimensions} axes, and {axis} names one of them twice, or one that does not "
            "exist"
        )
    places = {i % dimensions for i in axes}
    sizes = iter(np.shape(x))
    return reshape(x, tuple(1 if i in places else next(sizes) for i in range(dimensions)))


@compose()
def stack(xs: Sequence[Any], axis: int = 0) -> Any:
    """Arrays of one shape joined along a new axis."""
    if np.ndim(axis):
        raise OperandError("stack takes its arrays in one list: stack([a, b], axis=0)")
    return concatenate([expand_dims(x, axis) for x in xs], axis=axis)


@compose()
def split(x: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along an axis, into equal sections or at the given indices."""
    length = np.shape(x)[one_axis(x, axis)]
    at: Any = indices_or_sections
    at = at.item() if isinstance(at, np.ndarray) and not at.ndim else at
    if hasattr(at, "__index__") and not np.ndim(at):  # a whole number, also a length of a trace
        at = operator.index(at)
        if at < 1 or length % at:
            raise ShapeError(f"split: axis {axis} has {length} entries, which cannot be split into {at} equal sections")
        at = [length // at * i for i in range(1, at)]
    before = (slice(None),) * one_axis(x, axis)
    return [getitem(x, (*before, slice(a, b))) for a, b in zip([0, *at], [*at, length], strict=True)]


@compose()
def take(x: ArrayLike, indices: ArrayLike, axis: int | None = None) -> Any:
    """The entries at `indices` along an axis (of the flattened array by default); True and False are 1 and 0."""
    if isinstance(indices, (bool, np.bool_)):
        indices = int(indices)
    if hasattr(indices, "parents") and not hasattr(x, "parents"):
        raise DetachedError(
            f"take: the array is plain and the indices are a {type(indices).__name__}: make the array a Tensor too, "
            "np.take(tg.Tensor(table), i)"
        )
    # node indices of a trace have no numbers to convert
    if not hasattr(indices, "parents") and not isinstance(indices, (int, np.integer)):
        indices = indices if indices.__class__ is np.ndarray else np.asarray(indices)
        indices = indices.astype(np.intp) if indices.dtype.kind == "b" else indices
    if axis is None:
        return getitem(ravel(x), indices)
    return getitem(x, (*(slice(None),) * one_axis(x, axis), indices))


@compose()
def ravel(x: ArrayLike) -> Any:
    """All numbers in one row."""
    return reshape(x, (math.prod(np.shape(x)),))


@compose()
def flip(x: ArrayLike, axis: Axes | None = None) -> Any:
    """The entries in reverse order along the axes (along all by default)."""
    axes = range(np.ndim(x)) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    backwards = {one_axis(x, i) for i in axes}
    return getitem(x, tuple(slice(None, None, -1 if i in backwards else None) for i in range(np.ndim(x))))


def each(function: Callable[[Any], Any], xs: Sequence[Any]) -> Any:
    """The result for one array, a tuple of them for several."""
    found = tuple(map(function, xs))
    return found[0] if len(found) == 1 else found


def of_two_axes(x: ArrayLike) -> Any:
    return x if np.ndim(x) >= 2 else reshape(x, (1, math.prod(np.shape(x))))


@compose()
def atleast_2d(*xs: ArrayLike) -> Any:
    """A number or row as a matrix of one row; anything larger as it is."""
    return each(of_two_axes, xs)


@compose()
def hstack(xs: Sequence[Any]) -> Any:
    """Arrays joined along the second axis, rows end to end."""
    rows = [x if np.ndim(x) else reshape(x, (1,)) for x in xs]
    return concatenate(rows, axis=0 if np.ndim(rows[0]) == 1 else 1)


@compose()
def vstack(xs: Sequence[Any]) -> Any:
    """Arrays joined along the first axis, each row a matrix of one row."""
    return concatenate([atleast_2d(x) for x in xs], axis=0)
