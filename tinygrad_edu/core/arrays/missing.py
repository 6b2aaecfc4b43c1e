"""Rounding, and reductions that skip NaN; NaN gets gradient 0."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.positions import in_dtype_of
from tinygrad_edu.core.arrays.rearrange import roll
from tinygrad_edu.core.arrays.statistics import cumprod
from tinygrad_edu.core.broadcasting import Axes, axes_of, sum
from tinygrad_edu.core.formulas.whole_numbers import as_floats, is_mask, is_whole
from tinygrad_edu.core.operation import compose
from tinygrad_edu.core.reductions import degrees_of_freedom, max, min, prod, root
from tinygrad_edu.core.shapes import cumsum, reshape


def is_nan(x: ArrayLike) -> Any:
    return ops.not_equal(x, x)


def replace_nan(x: ArrayLike, instead: float) -> Any:
    """x with that number in place of NaN. Whole numbers have no NaN, and stay whole numbers."""
    return x if is_whole(x) else ops.where(is_nan(x), instead, x)


@compose()
def nan_to_num(x: ArrayLike, nan: float = 0.0, posinf: float | None = None, neginf: float | None = None) -> Any:
    """x with other numbers for NaN and infinities (by default 0 and the largest finite ones). Their gradient is 0."""
    dtype = getattr(x, "dtype", np.dtype(float))
    if is_whole(x):
        return ops.pos(x)
    largest = float(np.finfo(dtype if dtype.kind == "f" else float).max)
    y = ops.where(ops.equal(x, math.inf), largest if posinf is None else posinf, x)
    y = ops.where(ops.equal(x, -math.inf), -largest if neginf is None else neginf, y)
    return ops.where(is_nan(x), nan, y)


@compose()
def nansum(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Σ over the axes of the entries that are not NaN; NaN gets gradient 0."""
    return sum(replace_nan(x, 0.0), axis=axis, keepdims=keepdims)


@compose()
def nanprod(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Π over the axes of the entries that are not NaN."""
    return prod(replace_nan(x, 1.0), axis=axis, keepdims=keepdims)


@compose()
def nanmean(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The mean over the axes of the entries that are not NaN; NaN if there are none."""
    return nansum(x, axis=axis, keepdims=keepdims) / count_known(x, axis, keepdims)


def count_known(x: ArrayLike, axis: Axes, keepdims: bool) -> Any:
    """How many entries are not NaN."""
    return sum(in_dtype_of(ops.where(is_nan(x), 0.0, 1.0), x), axis=axis, keepdims=keepdims)


@compose()
def nanvar(x: ArrayLike, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """The variance over the axes of the entries that are not NaN; NaN where there are no more of them than ddof."""
    off = ops.where(is_nan(x), 0.0, x - nanmean(x, axis=axis, keepdims=True))
    free = degrees_of_freedom(count_known(x, axis, keepdims), ddof)
    return sum(off * off, axis=axis, keepdims=keepdims) / ops.where(free <= 0.0, math.nan, free)


@compose()
def nanstd(x: ArrayLike, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """√nanvar, whose derivative counts as 0 where all numbers are equal, as that of `std`."""
    return root(nanvar(x, axis=axis, ddof=ddof, keepdims=keepdims))


def without_nan(reduce: ArrayLike, x: ArrayLike, axis: Axes, keepdims: bool, lowest: float) -> Any:
    """The largest or smallest of the entries that are not NaN; NaN if there are none."""
    if is_whole(x):
        return reduce(x, axis=axis, keepdims=keepdims)
    y = reduce(ops.where(is_nan(x), lowest, x), axis=axis, keepdims=keepdims)
    return ops.where(ops.equal(count_known(x, axis, keepdims), 0.0), math.nan, y)


@compose()
def nanmax(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest over the axes of the entries that are not NaN; ties share the gradient."""
    return without_nan(max, x, axis, keepdims, -math.inf)


@compose()
def nanmin(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest over the axes of the entries that are not NaN; ties share the gradient."""
    return without_nan(min, x, axis, keepdims, math.inf)


@compose()
def nancumsum(x: ArrayLike, axis: int | None = None) -> Any:
    """Running sums along an axis (of all numbers by default) of the entries that are not NaN."""
    return cumsum(replace_nan(x, 0.0), axis=axis)


@compose()
def nancumprod(x: ArrayLike, axis: int | None = None) -> Any:
    """Running products along an axis (of all numbers by default) of the entries that are not NaN."""
    return cumprod(replace_nan(x, 1.0), axis=axis)


# rounded, real


@compose()
def round(x: ArrayLike, decimals: int = 0) -> Any:
    """x to that many decimal places, a half rounded to the even digit. The gradient is 0."""
    if decimals >= 0 and is_whole(x) and not is_mask(x):
        return ops.pos(x)
    x, scale = as_floats(x), 10.0 ** builtins.abs(decimals)
    if decimals <= 0:
        return ops.rint(x / scale) * scale if decimals else ops.rint(x)
    return ops.rint(x * scale) / scale


@compose(method=False)
def angle(x: ArrayLike, deg: bool = False) -> Any:
    """The angle of a real number in the complex plane: 0, and π (180 degrees) below 0. The gradient is 0."""
    return ops.where(ops.less(x, 0.0), 180.0 if deg else math.pi, 0.0 * x)


@compose(method=False)
def linspace(start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True) -> Any:
    """`num` numbers in equal steps from start to stop, along a new first axis; without `endpoint` stop is left out."""
    share = np.arange(num) / (builtins.max(num - 1, 1) if endpoint else builtins.max(num, 1))
    rank = builtins.max(np.ndim(start), np.ndim(stop))
    node = next((x for x in (start, stop) if hasattr(x, "parents")), share)
    share = in_dtype_of(reshape(share, (num, *(1,) * rank)), node)
    return (1.0 - share) * start + share * stop


@compose(numpy="fft.fftshift", method=False)
def fftshift(x: ArrayLike, axes: Axes = None) -> Any:
    """The second half of every axis before the first one."""
    along = axes_of(x, axes)
    return roll(x, [np.shape(x)[i] // 2 for i in along], along)


@compose(numpy="fft.ifftshift", method=False)
def ifftshift(x: ArrayLike, axes: Axes = None) -> Any:
    """What `fftshift` undoes."""
    along = axes_of(x, axes)
    return roll(x, [-(np.shape(x)[i] // 2) for i in along], along)


@compose(method=False)
def real(x: ArrayLike) -> Any:
    """x itself: all numbers here are real."""
    return x if hasattr(x, "parents") else ops.pos(x)
