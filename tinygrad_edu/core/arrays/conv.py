"""Convolution as an operation: three rows, of which each is the pull-back of the others.

y = conv(x, w) reads windows of x; conv_transpose(y, w) writes them; conv_weight(x, y) is the weight's gradient. Each is
linear in both of its arrays, so that derivatives of every order are calls of the same three.

x is (batch, channels, *spatial), w (out, channels/groups, *size), y (batch, out, *windows); `stride` and `dilation`
have one number for each spatial axis. convolutions.py has the functions that users call, with padding and bias.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.windows import places, span_of, view_of_windows, window_counts
from tinygrad_edu.core.operation import array_op

CHUNK = 2**19  # bytes of unfolded columns made at a time: they stay in the cache until the product has read them


@array_op(
    vjp=(
        lambda g, _y, x, w, stride, dilation, groups: write_share(g, w, x, stride, dilation, groups),
        lambda g, _y, x, w, stride, dilation, groups: sum_share(x, g, w, stride, dilation, groups),
    )
)
def conv(x: ArrayLike, w: ArrayLike, /, stride: Sequence[int], dilation: Sequence[int], groups: int) -> Any:
    """y[o, i] = Σ w[o, c, k]·x[c, i·stride + k·dilation] over channels c and places k of the kernel."""
    counts = window_counts(x.shape[2:], w.shape[2:], stride, dilation)
    y = np.empty((len(x), groups, len(w) // groups, math.prod(counts)), np.result_type(x, w))
    rows = w.reshape(groups, len(w) // groups, -1)
    for part, columns in chunks(x, w.shape[2:], counts, stride, dilation, groups):
        np.matmul(rows, columns, out=y[part])
    return y.reshape(len(x), len(w), *counts)


def chunks(
    x: ArrayLike,
    size: Sequence[int],
    counts: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Iterator[tuple[slice, Any]]:
    """Yields (some samples, their windows as columns: (samples, groups, channels/groups·size, windows)).

    The memory is reused each time.
    """
    windows = view_of_windows(x, size, stride, dilation, counts)
    one = math.prod(windows.shape[1:]) * x.itemsize
    at_once = min(max(CHUNK // max(one, 1), 1), max(len(x), 1))
    room = np.empty((at_once, *windows.shape[1:]), x.dtype)
    columns = room.reshape(at_once, groups, x.shape[1] // groups * math.prod(size), math.prod(counts))
    for start in range(0, len(x), at_once):
        n = min(at_once, len(x) - start)
        room[:n] = windows[start : start + n]
        yield slice(start, start + n), columns[:n]


@array_op(
    vjp=(
        lambda g, _y, x, w, shape, stride, dilation, groups: conv(g, w, stride, dilation, groups),
        lambda g, _y, x, w, shape, stride, dilation, groups: sum_share(g, x, w, stride, dilation, groups),
    )
)
def conv_transpose(
    x: ArrayLike,
    w: ArrayLike,
    /,
    shape: Sequence[int] | None,
    stride: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Any:
    """y[c, i·stride + k·dilation] += Σ w[o, c, k]·x[o, i] over o: from the windows back to what they were read from.

    x is (batch, out, *windows), y (batch, channels, *shape); `shape` None, the smallest that holds all windows.
    """
    counts, size, channels = x.shape[2:], w.shape[2:], w.shape[1] * groups
    shape = shape or span_of(size, counts, stride, dilation)
    if groups > 1 and max(stride) == 1 and w.dtype.kind == "f" and np.isfinite(w).all():
        return read_back(x, w, shape, dilation, groups)
    # With the batch as the last axis, the numbers added for one kernel position are contiguous.
    given = np.moveaxis(x, (0, 1), (-2, -1)).reshape(-1, groups, len(w) // groups).swapaxes(0, 1)
    weight = w.reshape(groups, len(w) // groups, *w.shape[1:])
    out = np.zeros((*shape, len(x), channels), np.result_type(x, w))
    for at in np.ndindex(*size):
        share = np.matmul(given, weight[(..., *at)])  # (groups, windows·batch, channels/groups)
        share = share.swapaxes(0, 1).reshape(*counts, len(x), channels)
        out[places(at, counts, stride, dilation)] += share
    return np.ascontiguousarray(np.moveaxis(out, (-2, -1), (0, 1)))


def read_back(x: ArrayLike, w: ArrayLike, shape: Sequence[int], dilation: Sequence[int], groups: int) -> Any:
    """`conv_transpose` for a stride of 1, as a convolution of x inside a border of zeros with the kernels turned round.

    With several groups, products of tiny matrices and additions at every place take 1.3 to 8 times as long; with one
    it is mostly the other way round (AMD Zen 5, 15 shapes in both dtypes). A weight that is infinite would make NaN
    of the border's zeros.
    """
    size, counts, out = w.shape[2:], x.shape[2:], len(w) // groups
    reach = [d * (k - 1) for k, d in zip(size, dilation, strict=True)]
    room = np.zeros((*x.shape[:2], *(n + r for n, r in zip(shape, reach, strict=True))), np.result_type(x, w))
    room[(slice(None), slice(None), *(slice(r, r + n) for n, r in zip(counts, reach, strict=True)))] = x
    turned = np.flip(w.reshape(groups, out, *w.shape[1:]).swapaxes(1, 2), tuple(range(3, 3 + len(size))))
    turned = np.ascontiguousarray(turned).reshape(groups * w.shape[1], out, *size)  # BLAS reads no axis backwards
    return conv(room, turned, (1,) * len(size), dilation, groups)


@array_op(
    vjp=(
        lambda g, _y, x, y, size, stride, dilation, groups: write_share(y, g, x, stride, dilation, groups),
        lambda g, _y, x, y, size, stride, dilation, groups: conv(x, g, stride, dilation, groups),
    )
)
def conv_weight(
    x: ArrayLike, y: ArrayLike, /, size: Sequence[int], stride: Sequence[int], dilation: Sequence[int], groups: int
) -> Any:
    """w[o, c, k] = Σ y[o, i]·x[c, i·stride + k·dilation] over samples and windows i: (out, channels/groups, *size)."""
    counts, out = y.shape[2:], y.shape[1]
    given = y.reshape(len(y), groups, out // groups, math.prod(counts))
    total = np.zeros((groups, out // groups, x.shape[1] // groups * math.prod(size)), np.result_type(x, y))
    for part, columns in chunks(x, size, counts, stride, dilation, groups):
        total += products(given[part], columns).sum(axis=0)
    return total.reshape(out, x.shape[1] // groups, *size)


def products(y: ArrayLike, columns: ArrayLike) -> Any:
    """y @ columnsᵀ of each sample; of a few long columns (columns @ yᵀ)ᵀ, where OpenBLAS takes 0.4 to 0.8 of the time.

    A transposed second factor costs it more than a copy of y; for fewer than 16 channels, many windows or columns that
    are larger than the cache it is the other way round (measured on AMD Zen 5 for ten shapes in both dtypes).
    """
    rows, windows = y.shape[-2:]
    if rows < 16 or windows > 256 or columns.shape[-2] * windows * columns.itemsize > 2**18:
        return np.matmul(y, columns.swapaxes(-1, -2))
    return np.matmul(columns, np.ascontiguousarray(y.swapaxes(-1, -2))).swapaxes(-1, -2)


def write_share(y: ArrayLike, w: ArrayLike, x: ArrayLike, stride: Axis, dilation: Axis, groups: int) -> Any:
    """The gradient of an input: `conv_transpose` in the shape of x."""
    return conv_transpose(y, w, x.shape[2:], stride, dilation, groups)


def sum_share(x: ArrayLike, y: ArrayLike, w: ArrayLike, stride: Axis, dilation: Axis, groups: int) -> Any:
    """The gradient of a weight: `conv_weight` in the shape of w."""
    return conv_weight(x, y, w.shape[2:], stride, dilation, groups)
