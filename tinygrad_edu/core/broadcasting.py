"""Repeating and summing, each the pull-back of the other: backward undoes the broadcasting of forward."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.formulas.whole_numbers import is_mask, is_whole, refuse_narrow
from tinygrad_edu.core.operation import array_op
from tinygrad_edu.core.shapes import one_axis, reshape
from tinygrad_edu.errors import ShapeError

Axes = int | Sequence[int] | None
Shape = tuple[int, ...]


@array_op(vjp=lambda g, _y, x, shape: (unbroadcast(g, x.shape),), linear=True)
def broadcast_to(x: ArrayLike, /, shape: int | Sequence[int]) -> Any:
    """x repeated along new axes and axes of size 1.  x̄ = ȳ summed over them."""
    return np.broadcast_to(x, shape)


@array_op(vjp=lambda g, _y, x, axis, keepdims: (spread_gradient(g, x, axis),), linear=True)
def sum(x: ArrayLike, /, axis: Axes = None, keepdims: bool = False) -> Any:
    """Σ x over the axes.  x̄ = ȳ at every x."""
    return reduce_axes("sum", x, axis, keepdims)


def sum_products(x: ArrayLike, axis: Axes = None) -> Any:
    """Their sum over the axes; of truth values, as NumPy multiplies and adds masks, whether any is true."""
    refuse_narrow(x)
    total = sum(x, axis=axis)
    if is_mask(x):
        return total > 0
    return total.astype(x.dtype) if hasattr(x, "parents") and is_whole(x) else total  # those of int32 stay int32


def unbroadcast(g: ArrayLike, shape: Shape) -> Any:
    """Sum a gradient over the axes along which its array was stretched: from g's shape back to `shape`.

    >>> unbroadcast(np.ones((5, 2, 3)), (2, 1)).tolist()
    [[15.0], [15.0]]
    """
    extra = g.ndim - len(shape)
    if not extra and g.shape == shape:
        return g
    stretched = tuple(i for i, n in enumerate(g.shape) if i < extra or (shape[i - extra] == 1 and n != 1))
    return reshape(sum(g, stretched), shape)


def axes_of(x: ArrayLike, axis: Axes) -> tuple[int, ...]:
    """The axes given, counted from the front; all of them for None."""
    dimensions = np.ndim(x)
    named = range(dimensions) if axis is None else [axis] if isinstance(axis, (int, np.integer)) else axis
    if not dimensions and isinstance(axis, (int, np.integer)) and not isinstance(axis, bool) and axis in (0, -1):
        return ()  # NumPy's sums allow axis 0 or -1 for a single number too
    found = tuple([one_axis(x, i) for i in named])
    if len({*found}) < len(found):
        raise ShapeError(f"axes {tuple(named)} of shape {tuple(np.shape(x))}: one of them is named twice")
    return found


def keepdims_shape(x: ArrayLike, axis: Axes) -> tuple[int, ...]:
    """The shape of a reduction with keepdims=True."""
    reduced = axes_of(x, axis)
    return tuple(1 if i in reduced else n for i, n in enumerate(np.shape(x)))


def count_reduced(x: ArrayLike, axis: Axes) -> int:
    """The number of entries that go into each result."""
    return math.prod(np.shape(x)[i] for i in axes_of(x, axis))


def spread_gradient(g: ArrayLike, x: ArrayLike, axis: Axes) -> Any:
    """The gradient of a reduction, repeated to the shape of its input."""
    return broadcast_to(reshape(g, keepdims_shape(x, axis)), x.shape)


REDUCE: dict[str, Any] = {
    "sum": np.add.reduce,
    "max": np.maximum.reduce,
    "min": np.minimum.reduce,
    "prod": np.multiply.reduce,
}


def reduce_axes(name: str, x: ArrayLike, axis: Axes, keepdims: bool) -> Any:
    # REDUCE holds the ufunc methods that np.sum calls after 1 µs of overhead
    return REDUCE[name](x, axis=axis_argument(axis), keepdims=keepdims)


def axis_argument(axis: Axes) -> Any:
    return axis if axis is None or isinstance(axis, (int, np.integer)) else tuple(axis)
