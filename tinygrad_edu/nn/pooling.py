"""Pooling and flattening as layers, with PyTorch's names and arguments."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.windows import each_axis
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.nn.inputs import as_array
from tinygrad_edu.nn.module import Module

PerAxis = int | Sequence[int]


class Pool(Module):
    """The base of pooling layers: one number for each window of each channel; no parameters."""

    axes = 2

    def __init__(self, kernel_size: PerAxis, stride: PerAxis | None, padding: PerAxis, ceil_mode: bool) -> None:
        name = type(self).__name__
        self.kernel_size = each_axis(name, "kernel_size", kernel_size, self.axes, 1)
        self.stride = self.kernel_size if stride is None else each_axis(name, "stride", stride, self.axes, 1)
        self.padding = each_axis(name, "padding", padding, self.axes, 0)
        self.ceil_mode = ceil_mode

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.kernel_size}, stride={self.stride}, padding={self.padding})"


class MaxPool(Pool):
    """The largest of each window."""

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        dilation: PerAxis = 1,
        ceil_mode: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.dilation = each_axis(type(self).__name__, "dilation", dilation, self.axes, 1)

    def forward(self, x: ArrayLike) -> Any:
        """x (..., *spatial) → (..., *windows)."""
        pool = ops.max_pool1d if self.axes == 1 else ops.max_pool2d
        return pool(as_array(x), self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class MaxPool1d(MaxPool):
    """The maximum of each window of `kernel_size` numbers along the last axis; `stride` is kernel_size by default.

    kernel_size: the length of the window.
    stride: the distance from one window to the next.
    padding: the padding on each side; a padded place is never the maximum.
    dilation: the spacing of the numbers within a window.
    ceil_mode: whether the last window may reach past the edge.

    >>> MaxPool1d(2)([[1.0, 3.0, 2.0, 0.0]]).tolist()
    [[3.0, 2.0]]
    """

    axes = 1


class MaxPool2d(MaxPool):
    """The maximum of each window over the last two axes, of images (batch, channels, height, width).

    kernel_size: the size of the window: one number, or one for each axis.
    stride: the distance from one window to the next.
    padding: the padding on each side; a padded place is never the maximum.
    dilation: the spacing of the numbers within a window.
    ceil_mode: whether the last window may reach past the edge.

    >>> MaxPool2d(2)(np.ones((4, 6, 28, 28))).shape
    (4, 6, 14, 14)
    """


class AvgPool(Pool):
    """The mean of each window."""

    def __init__(
        self,
        kernel_size: PerAxis,
        stride: PerAxis | None = None,
        padding: PerAxis = 0,
        ceil_mode: bool = False,
        count_include_pad: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, padding, ceil_mode)
        self.count_include_pad = count_include_pad

    def forward(self, x: ArrayLike) -> Any:
        """x (..., *spatial) → (..., *windows)."""
        pool = ops.avg_pool1d if self.axes == 1 else ops.avg_pool2d
        return pool(as_array(x), self.kernel_size, self.stride, self.padding, self.ceil_mode, self.count_include_pad)


class AvgPool1d(AvgPool):
    """The mean of each window of `kernel_size` numbers along the last axis; `stride` is kernel_size by default.

    kernel_size: the length of the window.
    stride: the distance from one window to the next.
    padding: the number of zeros added on each side.
    ceil_mode: whether the last window may reach past the edge.
    count_include_pad: whether the mean counts the padding too.

    >>> AvgPool1d(2)([[1.0, 3.0, 2.0, 0.0]]).tolist()
    [[2.0, 1.0]]
    """

    axes = 1


class AvgPool2d(AvgPool):
    """The mean of each window over the last two axes, of images (batch, channels, height, width).

    kernel_size: the size of the window: one number, or one for each axis.
    stride: the distance from one window to the next.
    padding: the number of zeros added on each side.
    ceil_mode: whether the last window may reach past the edge.
    count_include_pad: whether the mean counts the padding too.

    >>> AvgPool2d(2)(np.ones((4, 6, 28, 28))).shape
    (4, 6, 14, 14)
    """


class AdaptiveAvgPool2d(Module):
    """Means over `output_size` windows that divide an image of any size.

    output_size: the number of windows: one number, or one for each of the two axes.

    >>> AdaptiveAvgPool2d(1)(np.ones((4, 6, 5, 7))).shape
    (4, 6, 1, 1)
    """

    def __init__(self, output_size: PerAxis) -> None:
        self.output_size = each_axis("AdaptiveAvgPool2d", "output_size", output_size, 2, 1)

    def forward(self, x: ArrayLike) -> Any:
        """x (..., height, width) → (..., *output_size)."""
        return ops.adaptive_avg_pool2d(as_array(x), self.output_size)

    def __repr__(self) -> str:
        return f"AdaptiveAvgPool2d({self.output_size})"


class Flatten(Module):
    """The axes from start_dim to end_dim as one: images (batch, channels, height, width) as rows (batch, numbers).

    start_dim: the first axis to merge; 1, the one after the batch.
    end_dim: the last axis to merge; -1.

    >>> Flatten()(np.ones((4, 16, 5, 5))).shape
    (4, 400)
    """

    def __init__(self, start_dim: int = 1, end_dim: int = -1) -> None:
        if not (isinstance(start_dim, int) and isinstance(end_dim, int)):
            raise SettingError(f"Flatten(start_dim={start_dim!r}, end_dim={end_dim!r}): both have to be integers")
        self.start_dim, self.end_dim = start_dim, end_dim

    def forward(self, x: ArrayLike) -> Any:
        """x (a, b, c) → (a, b·c) by default."""
        x = as_array(x)
        axes = np.ndim(x)
        first, last = (i + axes if i < 0 else i for i in (self.start_dim, self.end_dim))
        if not 0 <= first <= last < axes:
            raise ShapeError(
                f"{self!r}: an input of shape {x.shape} does not have axes {self.start_dim} to {self.end_dim}"
            )
        length: Any = 1
        for n in x.shape[first : last + 1]:
            length = length * n
        return ops.reshape(x, (*x.shape[:first], length, *x.shape[last + 1 :]))

    def __repr__(self) -> str:
        return f"Flatten({self.start_dim}, {self.end_dim})"
