"""Averages, differences and running products, made of operations, so that all derivatives follow."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.positions import in_dtype_of, numbers, offsets
from tinygrad_edu.core.broadcasting import Axes, axes_of, broadcast_to, count_reduced, sum
from tinygrad_edu.core.formulas.readings import refuse_complex, refuse_masked
from tinygrad_edu.core.formulas.whole_numbers import as_floats, is_mask
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.reductions import can_divide, counted_products, differ_much, exact_of, max, mean, min, prod
from tinygrad_edu.core.shapes import (
    atleast_2d,
    concatenate,
    expand_dims,
    getitem,
    one_axis,
    pad,
    ravel,
    refuse_axes_of_number,
    reshape,
    reverse_cumsum,
    swapaxes,
    transpose,
)
from tinygrad_edu.errors import SettingError, ShapeError

# averages


@compose()
def average(
    x: ArrayLike, axis: Axes = None, weights: ArrayLike = None, returned: bool = False, keepdims: bool = False
) -> Any:
    """Σ w·x / Σ w over the axes; the mean without weights. `returned`: a pair with Σ w, in the shape of the result."""
    if weights is None:
        y = mean(x, axis=axis, keepdims=keepdims)
        return (y, broadcast_to(count_reduced(x, axis) * 1.0, np.shape(y))) if returned else y
    refuse_masked(weights)
    refuse_axes_of_number(x, axis)
    weights = weights if hasattr(weights, "parents") else np.asarray(weights)
    if np.shape(weights) != np.shape(x):
        weights = broadcast_to(spread_weights(weights, x, axis), np.shape(x))
    total = sum(weights, axis=axis, keepdims=keepdims)
    refuse_no_weight(total)
    y = sum(x * weights, axis=axis, keepdims=keepdims) / total
    return (y, broadcast_to(total, np.shape(y))) if returned else y


def refuse_no_weight(total: ArrayLike) -> None:
    """Errors: SettingError for weights that sum to 0, where they have numbers; in a trace the average is NaN."""
    if MODES.tensor_trace is not None and hasattr(total, "parents"):
        return
    numbers = np.asarray(getattr(total, "array", total))
    if numbers.dtype.kind != "O" and (numbers == 0.0).any():
        raise SettingError("average: the weights sum to 0, so that there is no average of what they weigh")


def spread_weights(weights: ArrayLike, x: ArrayLike, axis: Axes) -> Any:
    """Weights of some axes, with axes of size 1 for the others."""
    named = [axis] if isinstance(axis, (int, np.integer)) else list(axis or ())
    along = [one_axis(x, i) for i in named]
    if np.shape(weights) != tuple(np.shape(x)[i] for i in along):
        raise ShapeError(
            f"average: weights of shape {np.shape(weights)} for x of shape {np.shape(x)} and axis={axis!r}: they need "
            "the shape of x, or of the axes that are averaged over"
        )
    turned = transpose(weights, np.argsort(along).tolist())
    return reshape(turned, tuple(n if i in along else 1 for i, n in enumerate(np.shape(x))))


@compose()
def ptp(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest minus the smallest over the axes."""
    return max(x, axis=axis, keepdims=keepdims) - min(x, axis=axis, keepdims=keepdims)


@compose()
def cov(m: ArrayLike, y: ArrayLike = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None) -> Any:
    """Covariances Σ (a - ā)(b - b̄) / (n - ddof) of all pairs of rows (of columns with rowvar=False).

    ddof: 1, or 0 with bias=True.
    """
    rows = atleast_2d(m)
    rows = transpose(rows) if not rowvar and np.ndim(m) > 1 else rows
    if y is not None:
        others = atleast_2d(y)
        rows = concatenate([rows, transpose(others) if not rowvar and np.ndim(y) > 1 else others])
    off = rows - mean(rows, axis=1, keepdims=True)
    ddof = (0 if bias else 1) if ddof is None else ddof
    n = count_reduced(rows, 1)
    found = matmul(off, transpose(off)) / (float((n - ddof) * (n > ddof)) if isinstance(n, int) else n * 1.0 - ddof)
    return reshape(found, ()) if np.shape(found) == (1, 1) else found


@compose()
def corrcoef(x: ArrayLike, y: ArrayLike = None, rowvar: bool = True) -> Any:
    """Correlations of all pairs of rows: covariances divided by both standard deviations."""
    c = cov(x, y, rowvar)
    if np.ndim(c) == 0:
        return c / c
    spread = ops.sqrt(sum(ops.where(ops.equal(offsets(*np.shape(c)), 0.0), c, 0.0), axis=1))
    return c / (expand_dims(spread, 0) * expand_dims(spread, 1))


# differences and integrals


@compose()
def diff(x: ArrayLike, n: int = 1, axis: int = -1, prepend: ArrayLike = None, append: ArrayLike = None) -> Any:
    """x[i + 1] - x[i] along the axis, n times over."""
    axis = one_axis(x, axis)
    if n < 0:
        raise ShapeError(f"diff: n={n} differences; 0 or more are needed")
    ends = [prepend, x, append]
    x = concatenate([as_piece(end, x, axis) for end in ends if end is not None], axis=axis) if n else x
    before = (slice(None),) * axis
    for _ in range(n):
        later, earlier = getitem(x, (*before, slice(1, None))), getitem(x, (*before, slice(None, -1)))
        x = ops.not_equal(later, earlier) if is_mask(x) else later - earlier
    return x


def as_piece(end: ArrayLike, x: ArrayLike, axis: int) -> Any:
    """A number as one entry along the axis."""
    refuse_complex(end)
    if end is x or np.ndim(end):
        return end
    if hasattr(end, "parents"):
        return broadcast_to(end, tuple(1 if i == axis else n for i, n in enumerate(np.shape(x))))
    nothing = getitem(x, (*(slice(None),) * axis, slice(0, 0)))
    return pad(nothing, [(int(i == axis), 0) for i in range(np.ndim(x))], constant_values=end)


@compose()
def ediff1d(x: ArrayLike) -> Any:
    """Differences of neighbours in the flattened array."""
    return diff(ravel(x))


@compose()
def trapezoid(y: ArrayLike, x: ArrayLike = None, dx: float = 1.0, axis: int = -1) -> Any:
    """∫ y dx along the axis by trapezoids: Σ (xᵢ₊₁ - xᵢ)(yᵢ₊₁ + yᵢ)/2, with steps dx where there is no x."""
    before = (slice(None),) * one_axis(y, axis)
    sums = getitem(y, (*before, slice(1, None))) + getitem(y, (*before, slice(None, -1)))
    if x is None:
        return sum(sums, axis=axis) * (0.5 * dx)
    steps = diff(x, axis=axis if np.ndim(x) > 1 else 0)
    if np.ndim(x) == 1:
        steps = reshape(steps, (*np.shape(steps), *(1,) * (np.ndim(y) - 1 - one_axis(y, axis))))
    return sum(sums * steps, axis=axis) * 0.5  # the product broadcasts: x may have more axes than y, or fewer


@compose()
def gradient(f: Any, *spacing: ArrayLike, axis: Axes = None, edge_order: int = 1) -> Any:
    """Slopes of neighbours (NumPy's `gradient`, not a derivative by backprop): central inside, one-sided at the ends.

    spacing: nothing, one step for all axes, or for each axis a step or the coordinates. A list for several axes.
    """
    refuse_axes_of_number(f, axis)
    f, along = as_floats(f), axes_of(f, axis)
    steps = spacing or (1.0,)
    steps = steps * len(along) if len(steps) == 1 else steps
    if len(steps) != len(along):
        raise ShapeError(f"gradient: {len(steps)} spacings for {len(along)} axes")
    found = [slopes(f, step, i, edge_order) for step, i in zip(steps, along, strict=True)]
    return found[0] if len(along) == 1 else found


def slopes(f: Any, step: ArrayLike, axis: int, edge_order: int) -> Any:
    """Along one axis: parabolas through three neighbours, at both ends lines or parabolas."""
    n = np.shape(f)[axis]
    if edge_order not in (1, 2) or n <= edge_order:
        raise ShapeError(
            f"gradient: axis {axis} of {n} entries needs edge_order 1 or 2, and more than edge_order entries"
        )
    before = (slice(None),) * axis
    h = diff(step) if np.ndim(step) else step * np.ones(n - 1)
    h = in_dtype_of(reshape(h, (n - 1, *(1,) * (np.ndim(f) - 1 - axis))), f)
    rise = diff(f, axis=axis) / h
    a, b = h[:-1], h[1:]
    low, high = getitem(rise, (*before, slice(None, -1))), getitem(rise, (*before, slice(1, None)))
    inside = (low * b + high * a) / (a + b) if np.ndim(step) else across(f, axis) / (2.0 * step)
    first, last = getitem(rise, (*before, slice(1))), getitem(rise, (*before, slice(n - 2, None)))
    if edge_order == 2:
        bend = (high - low) / (a + b)
        first = first - getitem(bend, (*before, slice(1))) * h[:1]
        last = last + getitem(bend, (*before, slice(n - 3, None))) * h[n - 2 :]
    return concatenate([first, inside, last], axis=axis)


def across(f: Any, axis: int) -> Any:
    """The later minus the earlier neighbour, without the entry itself, which may be NaN or infinite."""
    before = (slice(None),) * axis
    return getitem(f, (*before, slice(2, None))) - getitem(f, (*before, slice(None, -2)))


@compose()
def interp(x: ArrayLike, xp: ArrayLike, fp: ArrayLike, left: ArrayLike = None, right: ArrayLike = None) -> Any:
    """The line through the points (xp, fp), read at x; `left` and `right` (by default the end points) outside of xp.

    Differentiable by x, xp and fp; at a point itself the slope is the one to its right.
    """
    at, known = numbers(x, "interp"), numbers(xp, "interp")
    if known.ndim != 1 or np.shape(fp) != known.shape or not known.size:
        raise ShapeError(
            f"interp: xp and fp must be rows of the same length, not of shapes {known.shape} and {np.shape(fp)}"
        )
    low = np.clip(np.searchsorted(known, at, side="right") - 1, 0, np.maximum(known.size - 2, 0))
    high = np.minimum(low + 1, known.size - 1)
    node = next((v for v in (x, fp, xp) if hasattr(v, "parents")), x)
    x, xp, fp = (v if hasattr(v, "parents") else in_dtype_of(np.asarray(v), node) for v in (x, xp, fp))
    run = ops.where(high == low, 1.0, getitem(xp, high) - getitem(xp, low))
    first, last = getitem(fp, low), getitem(fp, high)
    y = first + (last - first) * ((x - getitem(xp, low)) / run)
    # as NumPy beside infinity and NaN: from the other end, and at a point itself its own number, whatever is beside it
    y = ops.where(ops.equal(y, y), y, last + (last - first) * ((x - getitem(xp, high)) / run))
    for end, there in ((first, ops.equal(first, last) + (at == known[low])), (last, at == known[high])):
        y = ops.where(ops.not_equal(y - y, 0.0) * there, end, y)
    y = ops.where(at < known[0], fp[0] if left is None else left, y)
    return ops.where(at > known[-1], fp[-1] if right is None else right, y)


# running products


def running_product_vjp(g: ArrayLike, y: ArrayLike, x: ArrayLike, axis: int | None) -> Any:
    """x̄ᵢ = Σ ȳⱼ·yⱼ / xᵢ over j ≥ i if that is exact, else by the n² products without xᵢ."""
    if can_divide(x) and nothing_lost(y, x) and (isinstance(x, np.ndarray) or not differ_much(x, np.size(x) ** 3)):
        return reverse_cumsum(g * y, np.shape(x), axis) / x
    x2, axis = (ravel(x), 0) if axis is None or not np.ndim(x) else (x, one_axis(x, axis))
    last, g = swapaxes(x2, axis, -1), swapaxes(reshape(g, np.shape(x2)), axis, -1)
    n = np.shape(last)[-1]
    found = sum(ops.where(offsets(n, n) > 0, 0.0, expand_dims(g, -1) * products_up_to(last)), axis=-2)
    return reshape(swapaxes(found, axis, -1), np.shape(x))


def nothing_lost(y: ArrayLike, x: ArrayLike) -> bool:
    """Is each product so large, or each number so large, that yⱼ/xᵢ has lost nothing to underflow (above tiny/ε)?"""
    known = np.finfo(x.dtype)
    return bool(np.all(y - y == 0.0) and (np.all(np.abs(y) >= known.tiny) or np.all(np.abs(x) >= known.eps)))


def products_up_to(x: ArrayLike) -> Any:
    """Row j, column i: Π of all up to j but xᵢ. Of nodes written out, so that it has derivatives."""
    n = np.shape(x)[-1]
    counted = counted_products(ops.where(offsets(n, n) > 0, 1.0, expand_dims(x, -2)), -1).astype(x.dtype)
    if isinstance(x, np.ndarray):
        return counted
    j, i, k = (np.arange(n).reshape(shape) for shape in ((n, 1, 1), (1, n, 1), (1, 1, n)))
    written = prod(ops.where((k <= j) & (k != i), reshape(x, (*np.shape(x)[:-1], 1, 1, n)), 1.0), axis=-1)
    return exact_of(written, counted)


@array_op(vjp=lambda g, y, x, axis: (running_product_vjp(g, y, x, axis),))
def cumprod(x: ArrayLike, /, axis: int | None = None) -> Any:
    """Running products along an axis (of all numbers by default).  x̄ᵢ = Σ ȳⱼ·yⱼ/xᵢ, j ≥ i. Compiled: n² products."""
    return np.cumprod(x, axis=axis)
