"""Windows laid out side by side, and put back: two operations, each the pull-back of the other.

Pooling is a reduction of `unfold`; a compiled convolution is a matrix product with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.windows import places, span_of, view_of_windows, window_counts
from tinygrad_edu.core.operation import array_op


@array_op(vjp=lambda g, _y, x, size, stride, dilation: (fold_like(g, x, stride, dilation),), linear=True)
def unfold(x: ArrayLike, /, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """Every window of x: y[..., k, l, i, j] = x[..., i·stride + k·dilation, j·stride + l·dilation].  x̄ = fold(ȳ).

    `size`, the window's; there is one number for each of the last axes of x. y is (..., *size, *windows along each).
    """
    counts = window_counts(x.shape[-len(size) :], size, stride, dilation)
    return np.ascontiguousarray(view_of_windows(x, size, stride, dilation, counts))


@array_op(vjp=lambda g, _y, x, shape, stride, dilation: (unfold_like(g, x, stride, dilation),), linear=True)
def fold(x: ArrayLike, /, shape: Sequence[int] | None, stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """The sum of all windows, each put back where `unfold` reads it.  x̄ = unfold(ȳ).

    `shape`, of the last axes of the result; None, the smallest that holds all windows. x is (..., *size, *windows).
    """
    n = len(stride)
    lead, size, counts = x.shape[: -2 * n], x.shape[-2 * n : -n], x.shape[-n:]
    reach = span_of(size, counts, stride, dilation)
    shape = tuple(shape or reach)
    apart = all(d == 1 and k <= s for k, s, d in zip(size, stride, dilation, strict=True))  # no two windows overlap
    whole = apart and tuple(size) == tuple(stride) and shape == reach
    out = (np.empty if whole else np.zeros)((*lead, *shape), x.dtype)
    for at in np.ndindex(*size):
        place: Any = (..., *places(at, counts, stride, dilation))
        piece = x[(..., *at, *(slice(None),) * n)]
        if apart:
            out[place] = piece
        else:
            out[place] += piece
    return out


def fold_like(g: ArrayLike, x: ArrayLike, stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """The sum of windows, in the shape of x."""
    return fold(g, x.shape[-len(stride) :], stride, dilation)


def unfold_like(g: ArrayLike, x: ArrayLike, stride: Sequence[int], dilation: Sequence[int]) -> Any:
    """The windows of g, laid out as those in x."""
    n = len(stride)
    return unfold(g, tuple(x.shape[-2 * n : -n]), stride, dilation)
