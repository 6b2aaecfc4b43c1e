"""Numbers brought to mean 0 and variance 1, as one operation on large arrays, in the memory of two."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.broadcasting import Axes, sum
from tinygrad_edu.core.operation import array_op
from tinygrad_edu.core.ops import abs, equal, sqrt, square, where
from tinygrad_edu.core.reductions import mean


def scores_by_steps(x: ArrayLike, axis: Axes, eps: float) -> Any:
    """`standard_scores`, written with operations."""
    centred = x - mean(x, axis=axis, keepdims=True)
    return centred / sqrt(mean(square(centred), axis=axis, keepdims=True) + eps)


@array_op(
    vjp=lambda g, y, x, axis, eps: (pull_scores(g, y, x, axis, eps),),
    shape=lambda x, **_: tuple(x.shape),
    made_of=scores_by_steps,
    careful=lambda g, y, x, axis, eps: (where_any(g, axis, pull_scores(g, y, x, axis, eps)),),
)
def standard_scores(x: ArrayLike, /, axis: Axes, eps: float = 0.0) -> Any:
    """(x - μ)/√(σ² + ε), with mean μ and variance σ² over the axes.  x̄ = (ȳ - mean ȳ - y·mean(ȳ·y))/√(σ² + ε)."""
    if not is_float(x):
        return scores_by_steps(x, axis, eps)
    y, spread = deviations(x, axis, eps)
    return np.divide(y, spread, y)


def is_float(x: ArrayLike) -> bool:
    return x.__class__ is np.ndarray and x.dtype.kind == "f"


def deviations(x: ArrayLike, axis: Axes, eps: float) -> tuple[Any, Any]:
    """(x - μ, √(σ² + ε))"""
    y = x - mean_over(x, axis)
    return y, np.sqrt(mean_over(np.square(y), axis) + eps)


def mean_over(x: ArrayLike, axis: Axes) -> Any:
    total = np.add.reduce(x, axis=axis, keepdims=True)
    return total / (x.size / total.size)


def pull_scores(g: ArrayLike, y: ArrayLike, x: ArrayLike, axis: Axes, eps: float) -> Any:
    """The gradient. Plain arrays have it without the deviations where the forward pass has kept √(σ² + ε)."""
    if not is_float(g):
        centred = x - mean(x, axis=axis, keepdims=True)
        spread = sqrt(mean(square(centred), axis=axis, keepdims=True) + eps)
        along = mean(g * y, axis=axis, keepdims=True)
        return (g - mean(g, axis=axis, keepdims=True) - y * along) / spread
    return share_of_scores(g, y, deviations(x, axis, eps)[1], axis)


def share_of_scores(g: ArrayLike, y: ArrayLike, spread: ArrayLike, axis: Axes) -> Any:
    """`pull_scores` in one array."""
    share = g * y
    np.multiply(y, mean_over(share, axis), share)
    np.subtract(g, share, share)
    share -= mean_over(g, axis)
    share /= spread
    return share


def where_any(g: ArrayLike, axis: Axes, share: ArrayLike) -> Any:
    """0 for numbers of which no score has a gradient, also where they are NaN or infinite."""
    return where(equal(sum(abs(g), axis=axis, keepdims=True), 0.0), 0.0, share)
