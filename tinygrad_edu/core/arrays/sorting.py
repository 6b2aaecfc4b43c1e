"""Order: sorted entries and what follows from them. The plain numbers decide which entry goes where.

The gradient of a sorted entry goes back to where it came from; equal entries keep their order (a stable sort).
Sorting does not compile, since a program's indices cannot depend on its numbers; `max` and `min` do.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.positions import in_dtype_of, numbers, positions
from tinygrad_edu.core.arrays.rearrange import moveaxis
from tinygrad_edu.core.broadcasting import Axes, axes_of, keepdims_shape, sum
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.reductions import rest_shape
from tinygrad_edu.core.shapes import (
    expand_dims,
    getitem,
    one_axis,
    put,
    ravel,
    refuse_axes_of_number,
    reshape,
    stack,
    transpose,
)
from tinygrad_edu.errors import SettingError, ShapeError


@compose()
def take_along_axis(x: ArrayLike, indices: ArrayLike, axis: int | None = -1) -> Any:
    """x at one index for each place: y[i, j] = x[indices[i, j], j] for axis 0, and so on. Compiled: n products each."""
    indices = indices if hasattr(indices, "parents") else np.asarray(indices)
    if axis is None:
        if np.ndim(indices) != 1:
            raise ShapeError(f"take_along_axis(axis=None): indices have one axis, not the shape {np.shape(indices)}")
        return getitem(ravel(x), indices)
    if np.ndim(indices) != np.ndim(x):
        raise ShapeError(
            f"take_along_axis: indices of shape {np.shape(indices)} need as many axes as x, of shape {np.shape(x)}"
        )
    return entries_along(x, indices, one_axis(x, axis))


def index_along(shape: Axis, index: Axis, axis: int) -> tuple[Any, ...]:
    """The index of every entry, with a row of positions for each other axis."""
    at = axis % len(shape)
    others = [np.arange(n).reshape(*(1,) * i, n, *(1,) * (len(shape) - 1 - i)) for i, n in enumerate(shape)]
    return tuple(index if i == at else other for i, other in enumerate(others))


def choose_by_position(x: ArrayLike, index: Axis, axis: int) -> Any:
    """The entries along an axis, for compiled programs: Σ x[k]·[index = k] over k; NaN for an invalid index."""
    last, places = moveaxis(x, axis, -1), moveaxis(index, axis, -1)
    n = np.shape(last)[-1]
    places = expand_dims(ops.where(ops.less(places, 0), places + n, places) * 1.0, -1)
    hit = ops.equal(places, positions(n))
    y = sum(ops.where(hit, expand_dims(last, -2), 0.0), axis=-1)
    return moveaxis(ops.where(ops.equal(sum(hit * 1.0, axis=-1), 0.0), math.nan, y), -1, axis)


@array_op(
    vjp=lambda g, _y, x, index, axis: (put(g, index_along(x.shape, index, axis), x.shape),),
    numpy="-",
    linear=True,
)
def entries_along(x: ArrayLike, /, index: Axis, axis: int) -> Any:
    """x at one index for each place along an axis.  x̄ = 0, plus ȳ at every index it was read."""
    return x[index_along(np.shape(x), index, axis)]


@compose(method=False)
def sort(x: ArrayLike, axis: int | None = -1) -> Any:
    """The entries in order along the axis (of the flattened array for None); NaN at the end."""
    x, axis = (ravel(x), 0) if axis is None else (x, axis)
    return take_sorted(x, axis, "sort")


def take_sorted(x: ArrayLike, axis: int, operation: str) -> Any:
    return take_along_axis(x, np.argsort(numbers(x, operation), axis=axis, kind="stable"), axis)


@compose(method=False)
def partition(x: ArrayLike, kth: ArrayLike, axis: int | None = -1) -> Any:
    """The entries arranged so that the kth is where it would be if they were sorted, with no larger one before it."""
    x, axis = (ravel(x), 0) if axis is None else (x, axis)
    return take_along_axis(x, np.argpartition(numbers(x, "partition"), kth, axis=axis), axis)


@compose()
def median(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The middle entry over the axes, or the mean of the two in the middle; NaN where one entry is NaN."""
    return quantile(x, 0.5, axis=axis, keepdims=keepdims)


@compose()
def percentile(x: ArrayLike, q: ArrayLike, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The number below which q percent of the entries lie."""
    return quantile(x, np.true_divide(q, 100.0), axis=axis, method=method, keepdims=keepdims)


# position p between two entries -> (lower index, upper index, weight of the upper one)
METHODS = {
    "linear": lambda p: (np.floor(p), np.ceil(p), p - np.floor(p)),
    "lower": lambda p: (np.floor(p), np.floor(p), 0.0 * p),
    "higher": lambda p: (np.ceil(p), np.ceil(p), 0.0 * p),
    "nearest": lambda p: (np.rint(p), np.rint(p), 0.0 * p),
    "midpoint": lambda p: (np.floor(p), np.ceil(p), 0.5 + 0.0 * p),
}


@compose()
def quantile(x: ArrayLike, q: ArrayLike, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The number below which the share q of the entries over the axes lies, between entries by `method`.

    q: numbers from 0 to 1; its axes come first in the result. It has no derivative. NaN if one entry is NaN.
    """
    q = shares_of("quantile", q, method)
    ordered, shape = rows_in_order(x, axis, keepdims)
    low, high, share = METHODS[method](q.ravel() * (np.shape(ordered)[-1] - 1))
    found = [between(ordered, int(a), int(b), float(t)) for a, b, t in zip(low, high, share, strict=True)]
    return reshape(stack(found), (*q.shape, *shape))


@compose()
def nanmedian(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The median over the axes of the entries that are not NaN; NaN if there are none."""
    return nanquantile(x, 0.5, axis=axis, keepdims=keepdims)


@compose()
def nanpercentile(x: ArrayLike, q: ArrayLike, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The number below which q percent of the entries that are not NaN lie."""
    return nanquantile(x, np.true_divide(q, 100.0), axis=axis, method=method, keepdims=keepdims)


@compose()
def nanquantile(x: ArrayLike, q: ArrayLike, axis: Axes = None, method: str = "linear", keepdims: bool = False) -> Any:
    """The number below which the share q of the entries that are not NaN lies; NaN if there are none.

    The arguments are those of `quantile`.
    """
    q = shares_of("nanquantile", q, method)
    ordered, shape = rows_in_order(x, axis, keepdims)  # NaN is sorted to the end of each row
    known = np.sum(~np.isnan(numbers(ordered, "nanquantile")), axis=-1, keepdims=True)
    found = [at_share(ordered, *METHODS[method](share * np.maximum(known - 1, 0))) for share in q.ravel()]
    return reshape(stack(found), (*q.shape, *shape))


def at_share(ordered: ArrayLike, low: ArrayLike, high: ArrayLike, share: ArrayLike) -> Any:
    """The number between two entries of each sorted row."""
    lower, upper = (take_along_axis(ordered, i.astype(int), -1) for i in (low, high))
    share = in_dtype_of(share, ordered)
    return ops.where(share == 0.0, lower, lower * (1.0 - share) + upper * share)


def shares_of(name: str, q: ArrayLike, method: str) -> Any:
    """q as an array. Errors: SettingError if one is not a share, or the method has no derivative."""
    q = np.asarray(q, dtype=float)
    if method not in METHODS:
        raise SettingError(
            f"{name}(method={method!r}): of NumPy's methods, only {', '.join(METHODS)} have a derivative here"
        )
    if not ((q >= 0.0) & (q <= 1.0)).all():
        raise SettingError(f"{name}: q is a share from 0 to 1 (a percentile from 0 to 100), not {q.tolist()}")
    return q


def rows_in_order(x: ArrayLike, axis: Axes, keepdims: bool) -> tuple[Any, tuple[Any, ...]]:
    """(the entries over the axes in order, as the last axis; the shape of the result for one share)."""
    rows, shape = rows_over(x, axis), keepdims_shape(x, axis) if keepdims else rest_shape(x, axis)
    if np.shape(rows)[-1] == 0:
        raise ShapeError("the median or a quantile of no numbers is undefined: an axis is 0 long")
    return take_sorted(rows, -1, "a median or quantile"), shape


def between(ordered: ArrayLike, low: int, high: int, share: float) -> Any:
    """The number between two entries of sorted rows; NaN if there is one, which is sorted to the end."""
    last = getitem(ordered, (..., -1))
    lower, upper = getitem(ordered, (..., low)), getitem(ordered, (..., high))
    y = lower if share == 0.0 else lower * (1.0 - share) + upper * share
    return ops.where(ops.not_equal(numbers(last, "quantile"), numbers(last, "quantile")), last, y)


def rows_over(x: ArrayLike, axis: Axes) -> Any:
    """The axes as one, the last."""
    refuse_axes_of_number(x, axis)
    inner = axes_of(x, axis)
    outer = [i for i in range(np.ndim(x)) if i not in inner]
    shape = np.shape(x)
    turned = transpose(x, [*outer, *inner])
    return reshape(turned, (*(shape[i] for i in outer), math.prod(shape[i] for i in inner)))
