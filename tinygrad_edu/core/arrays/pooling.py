"""Pooling: one number for each window of each channel, its largest or its mean. A reduction of `unfold`.

x is (..., length) for 1d and (..., height, width) for 2d: the axes before, batch and channels, stay as they are.
Names, arguments and numbers are those of torch.nn.functional, except that ties of the maximum share the gradient
equally, as everywhere here. Errors: ShapeError if a window does not fit, SettingError for settings.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import broadcasting, reductions
from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.convolutions import add_border
from tinygrad_edu.core.arrays.unfold import unfold
from tinygrad_edu.core.arrays.windows import PerAxis, each_axis, fix_length, refuse_wide
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.operation import compose
from tinygrad_edu.errors import SettingError, ShapeError


@compose()
def max_pool1d(
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Any:
    """The largest of each window of `kernel_size` numbers.  x̄ = ȳ where x is the largest, shared equally by ties.

    `stride`, kernel_size by default; `padding`, of -∞; `ceil_mode`, whether a last window may reach over the end.

    >>> max_pool1d(np.array([1.0, 3.0, 2.0, 0.0]), 2).tolist()
    [3.0, 2.0]
    """
    return largest("max_pool1d", 1, x, kernel_size, stride, padding, dilation, ceil_mode)


@compose()
def max_pool2d(
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    dilation: PerAxis = 1,
    ceil_mode: bool = False,
) -> Any:
    """The largest of each window over the last two axes.  x̄ = ȳ where x is the largest, shared equally by ties.

    >>> max_pool2d(np.arange(16.0).reshape(4, 4), 2).tolist()
    [[5.0, 7.0], [13.0, 15.0]]
    """
    return largest("max_pool2d", 2, x, kernel_size, stride, padding, dilation, ceil_mode)


@compose()
def avg_pool1d(
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window of `kernel_size` numbers.  x̄ = the ȳ of every window that x is in, over their size.

    `count_include_pad`: do zeros of the padding count as numbers? For the others see max_pool1d.

    >>> avg_pool1d(np.array([1.0, 3.0, 2.0, 0.0]), 2).tolist()
    [2.0, 1.0]
    """
    return average_windows("avg_pool1d", 1, x, kernel_size, stride, padding, ceil_mode, count_include_pad)


@compose()
def avg_pool2d(
    x: ArrayLike,
    kernel_size: PerAxis,
    stride: PerAxis | None = None,
    padding: PerAxis = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
) -> Any:
    """The mean of each window over the last two axes.  x̄ = the ȳ of every window that x is in, over their size.

    >>> avg_pool2d(np.arange(16.0).reshape(4, 4), 2).tolist()
    [[2.5, 4.5], [10.5, 12.5]]
    """
    return average_windows("avg_pool2d", 2, x, kernel_size, stride, padding, ceil_mode, count_include_pad)


@compose()
def adaptive_avg_pool2d(x: ArrayLike, output_size: PerAxis) -> Any:
    """Means over windows that share an image out to output_size of them: from ⌊i·n/out⌋ to ⌈(i+1)·n/out⌉.

    >>> adaptive_avg_pool2d(np.arange(9.0).reshape(3, 3), (1, 2)).tolist()
    [[3.5, 4.5]]
    """
    sizes = each_axis("adaptive_avg_pool2d", "output_size", output_size, 2, 1)
    if np.ndim(x) < 2:
        raise ShapeError(f"adaptive_avg_pool2d: x has shape {np.shape(x)}, but needs (..., height, width)")
    down, across = (shares(fix_length(n), size) for n, size in zip(np.shape(x)[-2:], sizes, strict=True))
    return matmul(matmul(down.astype(dtype_of(x)), x), across.T.astype(dtype_of(x)))


def dtype_of(x: ArrayLike) -> Any:
    """float32 for float32; float64 for everything else, Values too."""
    return np.float32 if getattr(x, "dtype", None) == np.float32 else np.float64


def shares(n: int, size: int) -> Any:
    """(size, n): the weight of each entry in each mean."""
    starts = [i * n // size for i in range(size)]
    ends = [-(-(i + 1) * n // size) for i in range(size)]
    return np.array([[(a <= j < b) / (b - a) for j in range(n)] for a, b in zip(starts, ends, strict=True)])


def largest(
    name: str, axes: int, x: ArrayLike, kernel: ArrayLike, stride: Axis, padding: Axis, dilation: Axis, ceil_mode: bool
) -> Any:
    size, stride, widths, dilation = settings(name, axes, x, kernel, stride, padding, dilation, ceil_mode)
    columns = unfold(add_border(x, widths, -math.inf), size, stride, dilation)
    return reductions.max(columns, axis=kernel_axes(axes))


def average_windows(
    name: str, axes: int, x: ArrayLike, kernel: ArrayLike, stride: Axis, padding: Axis, ceil_mode: bool, count_pad: bool
) -> Any:
    size, stride, widths, dilation = settings(name, axes, x, kernel, stride, padding, 1, ceil_mode)
    columns = unfold(add_border(x, widths, 0.0), size, stride, dilation)
    total = broadcasting.sum(columns, axis=kernel_axes(axes))
    own = [(n, n) for n in each_axis(name, "padding", padding, axes, 0)]
    if widths == own and (count_pad or not any(map(any, own))):
        return total * (1.0 / math.prod(size))
    counted = own if count_pad else []
    return total * (1.0 / counts(np.shape(x)[-axes:], counted, widths, size, stride)).astype(dtype_of(x))


def counts(shape: Sequence[int], counted: ArrayLike, widths: ArrayLike, size: ArrayLike, stride: Axis) -> Any:
    """How many entries of each window count."""
    ones = np.ones(tuple(map(fix_length, shape)))
    if counted:
        ones = np.pad(ones, counted, constant_values=1.0)
        widths = [(0, after - n) for (_, after), (_, n) in zip(widths, counted, strict=True)]
    return np.sum(unfold(np.pad(ones, widths), size, stride, (1,) * len(size)), axis=kernel_axes(len(size)))


def kernel_axes(axes: int) -> tuple[int, ...]:
    """Where `unfold` has put the inside of a window."""
    return tuple(range(-2 * axes, -axes))


def settings(
    name: str, axes: int, x: ArrayLike, kernel: ArrayLike, stride: Axis, padding: Axis, dilation: Axis, ceil_mode: bool
) -> tuple[Any, Any, list[tuple[int, int]], Any]:
    """(size, stride, border, dilation), checked."""
    if np.ndim(x) < axes:
        layout = "(..., length)" if axes == 1 else "(..., height, width)"
        raise ShapeError(f"{name}: x has shape {np.shape(x)}, but needs {layout}")
    size = each_axis(name, "kernel_size", kernel, axes, 1)
    stride = size if stride is None else each_axis(name, "stride", stride, axes, 1)
    padding, dilation = each_axis(name, "padding", padding, axes, 0), each_axis(name, "dilation", dilation, axes, 1)
    if any(2 * p > k for p, k in zip(padding, size, strict=True)):
        raise SettingError(
            f"{name}(padding={padding}): must be at most half of kernel_size {size}, or some windows would hold no "
            "entry of x"
        )
    widths = [(p, p) for p in padding]
    spatial = np.shape(x)[-axes:]
    if ceil_mode:
        each = zip(spatial, size, stride, padding, dilation, strict=True)
        widths = [(p, p + overhang(fix_length(n), k, s, p, d)) for n, k, s, p, d in each]
    refuse_wide(
        name, [n + sum(w) if isinstance(n, int) else n for n, w in zip(spatial, widths, strict=True)], size, dilation
    )
    return size, stride, widths, dilation


def overhang(n: int, k: int, s: int, p: int, d: int) -> int:
    """How far the last window reaches past the end; one that begins in the padding is left out, as in PyTorch."""
    length, reach = n + 2 * p, d * (k - 1) + 1
    windows = -(-(length - reach) // s) + 1
    windows -= (windows - 1) * s >= n + p
    return max((windows - 1) * s + reach - length, 0)
