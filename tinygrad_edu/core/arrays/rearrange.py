"""More operations that move numbers, each made of those in `core.shapes`: they need no derivative of their own."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.broadcasting import axes_of, broadcast_to
from tinygrad_edu.core.operation import compose
from tinygrad_edu.core.shapes import (
    Axes,
    concatenate,
    each,
    expand_dims,
    flip,
    getitem,
    one_axis,
    ravel,
    refuse_axes_of_number,
    reshape,
    split,
    swapaxes,
    take,
    transpose,
)
from tinygrad_edu.errors import OperandError, ShapeError

# repeat


@compose()
def repeat(x: ArrayLike, repeats: Axis, axis: int | None = None) -> Any:
    """Every entry along the axis (of the flattened array by default) several times, as often as `repeats` says."""
    x, axis = (ravel(x), 0) if axis is None else (x, one_axis(x, axis))
    shape = np.shape(x)
    if np.size(repeats) != 1:
        return take(x, np.repeat(np.arange(shape[axis]), repeats), axis=axis)
    times = int(np.reshape(repeats, ()))
    if times < 0:
        raise ShapeError(f"repeat: an entry cannot be repeated {times} times")
    wide = broadcast_to(expand_dims(x, axis + 1), (*shape[: axis + 1], times, *shape[axis + 1 :]))
    return reshape(wide, (*shape[:axis], shape[axis] * times, *shape[axis + 1 :]))


@compose()
def tile(x: ArrayLike, reps: Axis) -> Any:
    """The whole array several times side by side, `reps` times along each axis."""
    times = [int(n) for n in np.atleast_1d(reps)]
    rank = max(len(times), np.ndim(x))
    times, shape = [1] * (rank - len(times)) + times, (1,) * (rank - np.ndim(x)) + tuple(np.shape(x))
    apart = reshape(x, tuple(size for n in shape for size in (1, n)))
    wide = broadcast_to(apart, tuple(size for pair in zip(times, shape, strict=True) for size in pair))
    return reshape(wide, tuple(n * k for k, n in zip(times, shape, strict=True)))


@compose(method=False)
def broadcast_arrays(*xs: ArrayLike) -> tuple[Any, ...]:
    """All arrays broadcast to their common shape."""
    shape = common_shape([np.shape(x) for x in xs])
    return tuple(broadcast_to(x, shape) for x in xs)


def common_shape(shapes: Sequence[Any]) -> tuple[Any, ...]:
    """The shape to which all these are broadcast; written with == alone, for sizes that have names."""
    rank = max(map(len, shapes), default=0)
    found = []
    for sizes in zip(*[(1,) * (rank - len(shape)) + tuple(shape) for shape in shapes], strict=True):
        long = [n for n in sizes if n != 1]
        if any(n != long[0] for n in long):
            raise ShapeError(f"the shapes {', '.join(map(str, shapes))} do not match: {long[0]} and {long[-1]}")
        found.append(long[0] if long else 1)
    return tuple(found)


@compose(method=False)
def meshgrid(*xi: ArrayLike, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[Any, ...]:
    """The coordinates of all points of a grid, an array for each axis; "ij": the first argument counts the rows."""
    rank, swap = len(xi), indexing == "xy" and len(xi) > 1
    place = [{0: 1, 1: 0}.get(i, i) if swap else i for i in range(rank)]
    lines = [reshape(x, (*(1,) * place[i], math.prod(np.shape(x)), *(1,) * (rank - 1 - place[i])))
             for i, x in enumerate(xi)]  # fmt: skip
    if sparse:
        return tuple(lines)
    shape = tuple(np.shape(lines[place.index(axis)])[axis] for axis in range(rank))
    return tuple(broadcast_to(x, shape) for x in lines)


# turn and move


@compose()
def moveaxis(x: ArrayLike, source: Axes, destination: Axes) -> Any:
    """Some axes moved to other places; the others keep their order."""
    rank = np.ndim(x)
    for name, axes in (("source", source), ("destination", destination)):
        if axes is None:
            raise OperandError(f"moveaxis: {name}=None: an axis is a whole number such as 0 or -1, or a tuple of them")
        refuse_axes_of_number(x, axes)
    old, new = (axes_of(x, axes) for axes in (source, destination))
    if len(old) != len(new):
        raise ShapeError(f"moveaxis: {len(old)} axes cannot be moved to {len(new)} places")
    order = [i for i in range(rank) if i not in old]
    for place, axis in sorted(zip(new, old, strict=True)):
        order.insert(place, axis)
    return transpose(x, order)


@compose()
def rollaxis(x: ArrayLike, axis: int, start: int = 0) -> Any:
    """One axis moved back to the position before `start`."""
    axis, start = one_axis(x, axis), start + np.ndim(x) * (start < 0)
    return moveaxis(x, axis, start - (axis < start))


@compose()
def roll(x: ArrayLike, shift: Axes, axis: Axes | None = None) -> Any:
    """The entries moved along the axis (of the flattened array by default); those pushed off the end come first."""
    if axis is None:
        return reshape(roll(ravel(x), sum(map(int, np.atleast_1d(shift).tolist())), 0), np.shape(x))
    for by, at_axis in np.broadcast(shift, axis):
        along = one_axis(x, at_axis)
        n = np.shape(x)[along]
        at = int(by) % n if n else 0
        before = (slice(None),) * along
        if at:
            x = concatenate([getitem(x, (*before, slice(n - at, None))), getitem(x, (*before, slice(n - at)))], along)
    return x


@compose()
def rot90(x: ArrayLike, k: int = 1, axes: Sequence[int] = (0, 1)) -> Any:
    """The plane of two axes rotated by k quarter turns, from the first axis towards the second."""
    a, b = axes
    turned: dict[int, Any] = {0: lambda: x, 1: lambda: swapaxes(flip(x, b), a, b), 2: lambda: flip(flip(x, a), b)}
    return turned.get(k % 4, lambda: flip(swapaxes(x, a, b), b))()


@compose()
def fliplr(x: ArrayLike) -> Any:
    """The columns in reverse order."""
    return flip(x, 1)


@compose()
def flipud(x: ArrayLike) -> Any:
    """The rows in reverse order."""
    return flip(x, 0)


@compose()
def matrix_transpose(x: ArrayLike) -> Any:
    """The last two axes exchanged."""
    return swapaxes(x, -1, -2)


# join


def of_one_axis(x: ArrayLike) -> Any:
    return x if np.ndim(x) else reshape(x, (1,))


def of_three_axes(x: ArrayLike) -> Any:
    shape = np.shape(x)
    return reshape(x, ((1, 1, 1), (1, *shape, 1), (*shape, 1))[len(shape)]) if len(shape) < 3 else x


@compose()
def atleast_1d(*xs: ArrayLike) -> Any:
    """A number as a row of one; anything larger as it is."""
    return each(of_one_axis, xs)


@compose()
def atleast_3d(*xs: ArrayLike) -> Any:
    """A number, row or matrix with three axes: (1, 1, 1), (1, n, 1), (n, m, 1)."""
    return each(of_three_axes, xs)


@compose()
def dstack(xs: Sequence[Any]) -> Any:
    """Arrays joined along the third axis."""
    return concatenate([of_three_axes(x) for x in xs], axis=2)


@compose()
def column_stack(xs: Sequence[Any]) -> Any:
    """Rows as the columns of a matrix; matrices side by side."""
    return concatenate([x if np.ndim(x) > 1 else reshape(x, (math.prod(np.shape(x)), 1)) for x in xs], axis=1)


@compose(method=False)
def block(arrays: ArrayLike) -> Any:
    """An array put together from nested lists of blocks: inner lists side by side, outer ones below each other."""
    depth = nesting(arrays)
    rank = max(depth, *(np.ndim(x) for x in leaves_of_lists(arrays)))

    def join(tree: ArrayLike, level: int) -> Any:
        if not isinstance(tree, list):
            shape = np.shape(tree)
            return reshape(tree, (*(1,) * (rank - len(shape)), *shape))
        return concatenate([join(branch, level - 1) for branch in tree], axis=-level)

    return join(arrays, depth)


def nesting(tree: ArrayLike) -> int:
    return 1 + max(map(nesting, tree)) if isinstance(tree, list) else 0


def leaves_of_lists(tree: ArrayLike) -> list[Any]:
    return [x for branch in tree for x in leaves_of_lists(branch)] if isinstance(tree, list) else [tree]


@compose(method=False)
def append(x: ArrayLike, values: ArrayLike, axis: int | None = None) -> Any:
    """A new array with the values at the end (both flattened by default)."""
    return concatenate([x, values], axis=axis) if axis is not None else concatenate([ravel(x), ravel(values)])


@compose(method=False)
def delete(x: ArrayLike, obj: ArrayLike, axis: int | None = None) -> Any:
    """A new array without the entries at `obj` along the axis (of the flattened array by default)."""
    refuse_unknown_places("delete", obj)
    x, axis = (ravel(x), 0) if axis is None else (x, one_axis(x, axis))
    return take(x, np.delete(np.arange(np.shape(x)[axis]), obj), axis=axis)


@compose(method=False)
def insert(x: ArrayLike, obj: ArrayLike, values: ArrayLike, axis: int | None = None) -> Any:
    """A new array with values before the entries at `obj` along the axis (of the flattened array by default)."""
    refuse_unknown_places("insert", obj)
    x, axis = (ravel(x), 0) if axis is None else (x, one_axis(x, axis))
    n, places = np.shape(x)[axis], np.arange(np.shape(x)[axis])[obj] if isinstance(obj, slice) else obj
    values = reshape(values, (*(1,) * (np.ndim(x) - np.ndim(values)), *np.shape(values)))
    values = moveaxis(values, 0, axis) if np.ndim(places) == 0 else values
    count = np.shape(values)[axis] if np.size(places) == 1 else np.size(places)
    values = broadcast_to(values, (*np.shape(x)[:axis], count, *np.shape(x)[axis + 1 :]))
    order = np.insert(np.arange(n), places, n + np.arange(count))
    return take(concatenate([x, values], axis=axis), order, axis=axis)


def refuse_unknown_places(name: str, obj: ArrayLike) -> None:
    """Errors: OperandError for places that are nodes: the size of the result depends on them."""
    if hasattr(obj, "parents"):
        raise OperandError(f"np.{name}(obj={obj!r:.60}): places are plain whole numbers, or a slice")


# split


@compose()
def array_split(x: ArrayLike, indices_or_sections: int | Sequence[int], axis: int = 0) -> list[Any]:
    """x cut along an axis, at the given indices or into sections of which the first may be longer by 1."""
    at = indices_or_sections
    at = at.item() if isinstance(at, np.ndarray) and not at.ndim else at
    if not isinstance(at, (int, np.integer)):
        return split(x, at, axis)  # type: ignore[no-any-return]
    if at < 1:
        raise ShapeError(f"array_split: {at} sections")
    short, longer = np.shape(x)[axis] // at, np.shape(x)[axis] % at
    ends = np.cumsum([short + 1] * longer + [short] * (at - longer))[:-1]
    return split(x, ends.tolist(), axis)  # type: ignore[no-any-return]


@compose()
def hsplit(x: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """x cut into columns; a row into pieces."""
    return split(x, indices_or_sections, 1 if np.ndim(x) > 1 else 0)  # type: ignore[no-any-return]


@compose()
def vsplit(x: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """x cut into rows."""
    one_axis(x, 1)
    return split(x, indices_or_sections, 0)  # type: ignore[no-any-return]


@compose()
def dsplit(x: ArrayLike, indices_or_sections: int | Sequence[int]) -> list[Any]:
    """x cut along its third axis."""
    return split(x, indices_or_sections, 2)  # type: ignore[no-any-return]


@compose()
def unstack(x: ArrayLike, axis: int = 0) -> tuple[Any, ...]:
    """The arrays that `stack` would join along that axis to x."""
    before = (slice(None),) * one_axis(x, axis)
    return tuple(getitem(x, (*before, i)) for i in range(np.shape(x)[axis]))


# choose and apply


@compose(method=False)
def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: ArrayLike = 0.0) -> Any:
    """The choice that belongs to the first true condition, else the default, entry by entry."""
    if len(condlist) != len(choicelist):
        raise ShapeError(f"select: {len(condlist)} conditions and {len(choicelist)} choices")
    pairs = reversed(list(zip(condlist, choicelist, strict=True)))
    return functools.reduce(lambda rest, pair: ops.where(pair[0], pair[1], rest), pairs, default)


@compose(method=False)
def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: ArrayLike, *args: ArrayLike) -> Any:
    """func1d(row, *args) for every row along the axis; its result takes the place of the row."""
    before = one_axis(arr, axis)
    rows = moveaxis(arr, axis, -1)
    others, n = np.shape(rows)[:-1], np.shape(rows)[-1]
    flat_rows = reshape(rows, (math.prod(others), n))
    found = [func1d(getitem(flat_rows, i), *args) for i in range(math.prod(others))]
    inner = np.shape(found[0])
    joined = reshape(concatenate([reshape(y, (1, *inner)) for y in found]), (*others, *inner))
    return moveaxis(joined, [len(others) + i for i in range(len(inner))], [before + i for i in range(len(inner))])


apply_along_axis.calls_others = True
