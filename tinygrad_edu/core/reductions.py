"""Operations that reduce many numbers to fewer, each with its pull-back, which spreads a gradient out again."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.broadcasting import (
    Axes,
    axes_of,
    count_reduced,
    keepdims_shape,
    reduce_axes,
    spread_gradient,
    sum,
)
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.shapes import refuse_axes_of_number, reshape, transpose
from tinygrad_edu.core.writes.other_names import unwatched
from tinygrad_edu.errors import SettingError, ShapeError


@compose()
def mean(x: ArrayLike, axis: Axes = None, keepdims: bool = False) -> Any:
    """Σ x / n over the axes."""
    refuse_axes_of_number(x, axis)
    return sum(x, axis=axis, keepdims=keepdims) / (count_reduced(x, axis) * 1.0)


@array_op(vjp=lambda g, y, x, axis, keepdims: (pull_to_extremes(g, y, x, axis),))
def max(x: ArrayLike, /, axis: Axes = None, keepdims: bool = False) -> Any:
    """The largest over the axes.  x̄ = ȳ where x is the largest, shared equally by ties."""
    return reduce_axes("max", x, axis, keepdims)


@array_op(
    vjp=lambda g, y, x, axis, keepdims: (pull_to_extremes(g, y, x, axis),),
    shape=lambda x, axis, keepdims: shape_of_extreme(x, axis, keepdims),
    made_of=lambda x, axis, keepdims: -max(-(x * 1.0), axis=axis, keepdims=keepdims),
)
def min(x: ArrayLike, /, axis: Axes = None, keepdims: bool = False) -> Any:
    """The smallest over the axes.  x̄ = ȳ where x is the smallest, shared equally by ties."""
    return reduce_axes("min", x, axis, keepdims)


def pull_to_extremes(g: ArrayLike, y: ArrayLike, x: ArrayLike, axis: Axes) -> Any:
    hit = x == reshape(y, keepdims_shape(x, axis))
    ties = np.sum(hit, axis=axes_of(x, axis), keepdims=True, dtype=x.dtype)
    return spread_gradient(g, x, axis) * (hit / ties)


@array_op(vjp=lambda g, y, x, axis, keepdims: (spread_gradient(g, x, axis) * products_of_others(x, y, axis),))
def prod(x: ArrayLike, /, axis: Axes = None, keepdims: bool = False) -> Any:
    """Π x over the axes.  x̄ = ȳ · the product of all others."""
    return reduce_axes("prod", x, axis, keepdims)


def products_of_others(x: ArrayLike, y: ArrayLike, axis: Axes) -> Any:
    """Π of all x except this one: y/x if that is exact, else counted, or written out (n² numbers) for derivatives."""
    if can_divide(x) and in_range(y) and (isinstance(x, np.ndarray) or not differ_much(x, count_reduced(x, axis) ** 2)):
        return reshape(y, keepdims_shape(x, axis)) / x
    counted = counted_products(x, axis).astype(x.dtype)
    if isinstance(x, np.ndarray):
        return counted
    inner = axes_of(x, axis)
    order = [i for i in range(np.ndim(x)) if i not in inner] + list(inner)
    outer_shape = tuple(x.shape[i] for i in order[: x.ndim - len(inner)])
    n = count_reduced(x, axis)
    rows = reshape(transpose(x, order), (*outer_shape, 1, n))
    others = prod(ops.where(np.eye(n, dtype=bool), 1.0, rows), axis=-1)
    back = [int(i) for i in np.argsort(order)]
    written = transpose(reshape(others, tuple(x.shape[i] for i in order)), back)
    return exact_of(written, counted)


def exact_of(written: ArrayLike, counted: ArrayLike) -> Any:
    """The products written out, but the counted ones where the order made NaN, ∞ or 0 of numbers that are none."""
    exact = ops.equal(written - written, 0.0) * ops.greater(ops.not_equal(written, 0.0) + ops.equal(counted, 0.0), 0.0)
    return ops.where(exact, written, counted)


def in_range(y: ArrayLike) -> bool:
    """Are all products finite, and so large that nothing was lost to underflow?"""
    return bool(np.all((np.abs(y) >= SMALL) * (y - y == 0.0)))


def differ_much(x: ArrayLike, terms: int) -> bool:
    """Does the derivative of y/x cancel? Its rounding is that of the largest x; not asked beyond 2²⁴ written terms."""
    size = ops.abs(x)
    return np.size(x) > 0 and terms <= 1 << 24 and bool(np.any(size > 100.0 * np.min(size)))


def can_divide(x: ArrayLike) -> bool:
    """Are all finite and other than 0? 0/0 and ∞/∞ are NaN, and no 1."""
    return bool(np.all((x != 0.0) * (x - x == 0.0)))


SMALL = 1e-30  # a product below it may have lost digits to underflow, also in float32 (normal from 1.2e-38 on)


def counted_products(x: ArrayLike, axis: Axes) -> Any:
    """Π of all x except this one, of arrays and of what a trace records, in n steps.

    0, ±∞ and NaN are counted, because 0/0 is no 1; the others, p, are divided out: P/p. Where their product P has
    left the range of floats it is (√P/√p)², with √P the product of the roots, which stays in the range for the square
    of it: others of 0, 1e200 and 1e200 are ∞, 0 and 0. With 0 and no ∞ among them it is 0, however large the rest.
    """
    zero, infinite, none = ops.equal(x, 0.0), ops.equal(ops.abs(x), math.inf), ops.not_equal(x, x)
    size = ops.where(ops.equal(zero + infinite + none, 0.0), ops.abs(x), 1.0)
    sign = ops.where(ops.less(x, 0.0), -1.0, 1.0)
    whole, root_size = prod(size, axis=axis, keepdims=True), ops.sqrt(size)
    divided = ops.where(
        ops.less(whole, math.inf) * ops.greater_equal(whole, SMALL),
        whole / size,
        ops.square(prod(root_size, axis=axis, keepdims=True) / root_size),
    )
    zeros, infinities, others = (
        ops.greater(sum(found * 1.0, axis=axis, keepdims=True) - found * 1.0, 0.0) for found in (zero, infinite, none)
    )
    large = ops.where(infinities, math.inf, divided)
    beside_zero = ops.where(infinities, math.nan, 0.0)
    signed = prod(sign, axis=axis, keepdims=True) * sign * ops.where(zeros, beside_zero, large)
    return ops.where(others, math.nan, signed)


@compose()
def var(x: ArrayLike, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """Σ (x - mean)² / max(n - ddof, 0) over the axes; as in NumPy inf or nan where that is 0.

    In PyTorch's words, x.var(dim=0) or x.var(correction=1), it divides by n - 1, as there.
    """
    deviation = x - mean(x, axis=axis, keepdims=True)
    # as in NumPy: at least 0, so that the variance of one number is NaN
    with unwatched():  # in a trace a number without a dtype of its own, as Python's
        free = ops.maximum(degrees_of_freedom(count_reduced(x, axis) * 1.0, ddof), 0.0)
    return sum(ops.square(deviation), axis=axis, keepdims=keepdims) / free


@compose()
def std(x: ArrayLike, axis: Axes = None, ddof: float = 0, keepdims: bool = False) -> Any:
    """√var, whose derivative counts as 0 where all numbers are equal, as in PyTorch.

    It divides by n, as in NumPy; in PyTorch's words, x.std(dim=0) or x.std(correction=1), by n - 1, as there.
    """
    return root(var(x, axis=axis, ddof=ddof, keepdims=keepdims))


def degrees_of_freedom(count: ArrayLike, ddof: ArrayLike) -> Any:
    """count - ddof, what a variance divides by. Errors: SettingError for a ddof that is not a number."""
    if not hasattr(ddof, "parents") and np.asarray(ddof).dtype.kind not in "biuf":
        raise SettingError(f"ddof={ddof!r} is subtracted from the count of numbers: a number such as 0 or 1 is needed")
    return count - ddof


def root(squares: ArrayLike) -> Any:
    """√squares. At 0 the derivative is infinite times 0 for every number that was squared: 0 by convention."""
    flat = squares == 0.0
    return ops.where(flat, 0.0, ops.sqrt(ops.where(flat, 1.0, squares)))


def shift_sum(x: ArrayLike, axis: Axes, keepdims: bool) -> Any:
    if any(np.shape(x)[i] == 0 for i in axes_of(x, axis)):
        return sum(x, axis=axis, keepdims=keepdims) - math.inf  # log(sum of nothing) = -∞
    largest = max(x, axis=axis, keepdims=True)
    shift = ops.where(are_finite(largest), largest, 0.0)
    total = ops.log(sum(ops.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else reshape(total, rest_shape(x, axis))


@array_op(
    vjp=lambda g, y, x, axis, keepdims: (
        spread_gradient(g, x, axis) * ops.exp(x - reshape(y, keepdims_shape(x, axis))),
    ),
    shape=lambda x, axis, keepdims: keepdims_shape(x, axis) if keepdims else rest_shape(x, axis),
    made_of=shift_sum,
)
def logsumexp(x: ArrayLike, /, axis: Axes = None, keepdims: bool = False) -> Any:
    """log Σ eˣ over the axes, with the largest x taken out first.  x̄ = ȳ · softmax(x)."""
    return shift_sum(x, axis, keepdims)


def rest_shape(x: ArrayLike, axis: Axes) -> tuple[Any, ...]:
    """The shape of a reduction without its axes."""
    reduced_axes = axes_of(x, axis)
    return tuple(n for i, n in enumerate(np.shape(x)) if i not in reduced_axes)


def shape_of_extreme(x: ArrayLike, axis: Axes, keepdims: bool) -> tuple[Any, ...]:
    """The shape of a reduction that needs at least one number. Errors: ShapeError if an axis has length 0."""
    if any(np.shape(x)[i] == 0 for i in axes_of(x, axis)):
        raise ShapeError("the largest or smallest of no numbers is undefined: an axis is 0 long")
    return keepdims_shape(x, axis) if keepdims else rest_shape(x, axis)


def shape_of_normalized(x: ArrayLike, axis: Axes) -> tuple[Any, ...]:
    axes_of(x, axis)  # raises if an axis does not exist
    return np.shape(x)


def are_finite(x: ArrayLike) -> Any:
    """Which entries are neither NaN nor infinite: x - x is 0 for those only. Works on arrays of Values too."""
    with np.errstate(invalid="ignore"):
        return (x - x) == 0.0


def shift_of(x: ArrayLike, axis: Axes) -> Any:
    """The largest along the axis, 0 where it is not finite. To take it out of x first, and to leave it out, is exact
    where large numbers are near each other, as x - log Σ eˣ is not."""
    if any(np.shape(x)[i] == 0 for i in axes_of(x, axis)):
        return 0.0
    largest = max(x, axis=axis, keepdims=True)
    return ops.where(are_finite(largest), largest, 0.0)


def exp_shares(x: ArrayLike, axis: Axes) -> Any:
    e = ops.exp(x - shift_of(x, axis))
    return e / sum(e, axis=axis, keepdims=True)


def log_shares(x: ArrayLike, axis: Axes) -> Any:
    shift = shift_of(x, axis)
    total = sum(ops.exp(x - shift), axis=axis, keepdims=True)
    # `+ -shift` instead of `- shift`: a compiled program would reuse `x - shift` above and keep that matrix
    return (x + -shift) - ops.log(total)


@array_op(
    vjp=lambda g, y, _x, axis: (y * (g - sum(g * y, axis=axis, keepdims=True)),),
    shape=shape_of_normalized,
    made_of=exp_shares,
)
def softmax(x: ArrayLike, /, axis: Axes = -1) -> Any:
    """eˣ / Σ eˣ along the axis.  x̄ = y·(ȳ - Σ ȳ·y)."""
    return exp_shares(x, axis)


@array_op(
    vjp=lambda g, y, _x, axis: (g - ops.exp(y) * sum(g, axis=axis, keepdims=True),),
    shape=shape_of_normalized,
    made_of=log_shares,
)
def log_softmax(x: ArrayLike, /, axis: Axes = -1) -> Any:
    """x - log Σ eˣ along the axis.  x̄ = ȳ - softmax(x)·Σ ȳ."""
    return log_shares(x, axis)
