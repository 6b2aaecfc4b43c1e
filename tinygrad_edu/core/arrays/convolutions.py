"""conv1d, conv2d and their transposes, with the names, arguments and numbers of torch.nn.functional.

x is (batch, channels, *spatial) or, of one sample, (channels, *spatial).
Errors: ShapeError for shapes that do not fit, SettingError for settings.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.conv import conv, conv_transpose
from tinygrad_edu.core.arrays.windows import (
    PerAxis,
    crop,
    each_axis,
    fix_length,
    padding_of,
    refuse_channels,
    refuse_wide,
)
from tinygrad_edu.core.operation import compose
from tinygrad_edu.core.shapes import expand_dims, pad, reshape
from tinygrad_edu.errors import SettingError, ShapeError


def convolution(
    name: str,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike,
    stride: PerAxis,
    padding: Axis,
    dilation: PerAxis,
    groups: int,
) -> Any:
    """The padding, the bias and the checks that all convolutions share."""
    x, batched = batch_of(name, x, weight, groups)
    n = np.ndim(x) - 2
    stride, dilation = each_axis(name, "stride", stride, n, 1), each_axis(name, "dilation", dilation, n, 1)
    size = tuple(map(fix_length, np.shape(weight)[2:]))
    x = add_border(x, padding_of(name, padding, size, stride, dilation), 0.0)
    refuse_wide(name, np.shape(x)[2:], size, dilation)
    return add_bias(conv(x, weight, stride, dilation, groups), bias, batched)


def add_bias(y: ArrayLike, bias: ArrayLike, batched: bool) -> Any:
    """y + b, without the batch axis if the input had none."""
    y = y if bias is None else y + reshape(bias, (np.shape(bias)[0], *(1,) * (np.ndim(y) - 2)))
    return y if batched else reshape(y, np.shape(y)[1:])


def batch_of(name: str, x: ArrayLike, weight: ArrayLike, groups: int, transposed: bool = False) -> tuple[Any, bool]:
    """(x with a batch axis, whether it had one)."""
    refuse_channels(name, np.shape(x), np.shape(weight), groups, transposed)
    batched = np.ndim(x) == np.ndim(weight)
    return (x if batched else expand_dims(x, 0)), batched


def add_border(x: ArrayLike, widths: Sequence[tuple[int, int]], constant: float) -> Any:
    """x padded along its last axes."""
    if not any(map(any, widths)):
        return x
    return pad(x, [(0, 0)] * (np.ndim(x) - len(widths)) + list(widths), constant)


@compose()
def conv1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike = None,
    stride: PerAxis = 1,
    padding: Axis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Any:
    """y[o, i] = Σ w[o, c, k]·x[c, i·stride + k·dilation] + b[o], of x (batch, channels, length).

    `weight` (out, channels/groups, size), `bias` (out,); `padding`, zeros on both sides, "same" or "valid".

    >>> conv1d(np.array([[[1.0, 2.0, 3.0, 4.0]]]), np.array([[[1.0, -1.0]]])).tolist()
    [[[-1.0, -1.0, -1.0]]]
    """
    return convolution("conv1d", x, weight, bias, stride, padding, dilation, groups)


@compose()
def conv2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike = None,
    stride: PerAxis = 1,
    padding: Axis = 0,
    dilation: PerAxis = 1,
    groups: int = 1,
) -> Any:
    """conv1d along both axes of images x (batch, channels, height, width).

    weight: (out, channels/groups, height, width).
    bias: one number for each output channel, or None.
    stride, padding, dilation: a number, or one for each of the two axes.
    groups: how many groups the channels are split into, which do not mix.

    >>> conv2d(np.ones((1, 1, 3, 3)), np.ones((1, 1, 3, 3)), padding=1).tolist()
    [[[[4.0, 6.0, 4.0], [6.0, 9.0, 6.0], [4.0, 6.0, 4.0]]]]
    """
    return convolution("conv2d", x, weight, bias, stride, padding, dilation, groups)


def transpose_convolution(
    name: str,
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike,
    stride: Axis,
    padding: Axis,
    output_padding: ArrayLike,
    groups: int,
    dilation: Axis,
) -> Any:
    """The pull-back of a convolution to its input, as an operation of its own: windows are written, not read."""
    x, batched = batch_of(name, x, weight, groups, transposed=True)
    n = np.ndim(x) - 2
    stride, dilation = each_axis(name, "stride", stride, n, 1), each_axis(name, "dilation", dilation, n, 1)
    padding, more = each_axis(name, "padding", padding, n, 0), each_axis(name, "output_padding", output_padding, n, 0)
    if any(m >= max(s, d) for m, s, d in zip(more, stride, dilation, strict=True)):
        raise SettingError(
            f"{name}(output_padding={more}): it must be smaller than the stride {stride} or the dilation"
        )
    y = add_border(conv_transpose(x, weight, None, stride, dilation, groups), [(0, k) for k in more], 0.0)
    refuse_nothing_left(name, np.shape(y)[2:], padding)
    return add_bias(crop(y, padding), bias, batched)


def refuse_nothing_left(name: str, shape: Sequence[Any], padding: Sequence[int]) -> None:
    """The padding is cut off at both ends; something has to remain. Errors: ShapeError."""
    if any(isinstance(n, int) and n <= 2 * p for n, p in zip(shape, padding, strict=True)):
        raise ShapeError(
            f"{name}: padding {tuple(padding)} cuts {tuple(2 * p for p in padding)} off {tuple(shape)}, and nothing is "
            "left: use less padding, a larger kernel or a larger input"
        )


@compose()
def conv_transpose1d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike = None,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
) -> Any:
    """y[o, i·stride + k·dilation - padding] = Σ w[c, o, k]·x[c, i] + b[o], of x (batch, channels, length).

    `weight` (channels, out/groups, size); `output_padding`, zeros that are added at the end alone.

    >>> conv_transpose1d(np.array([[[1.0, 2.0]]]), np.array([[[1.0, 10.0]]]), stride=2).tolist()
    [[[1.0, 10.0, 2.0, 20.0]]]
    """
    return transpose_convolution("conv_transpose1d", x, weight, bias, stride, padding, output_padding, groups, dilation)


@compose()
def conv_transpose2d(
    x: ArrayLike,
    weight: ArrayLike,
    bias: ArrayLike = None,
    stride: PerAxis = 1,
    padding: PerAxis = 0,
    output_padding: PerAxis = 0,
    groups: int = 1,
    dilation: PerAxis = 1,
) -> Any:
    """conv_transpose1d along both axes of images x (batch, channels, height, width).

    `weight` (channels, out/groups, height, width); the other arguments are numbers, or one for each axis.

    >>> conv_transpose2d(np.ones((1, 1, 2, 2)), np.ones((1, 1, 2, 2)), padding=1).tolist()
    [[[[4.0]]]]
    """
    return transpose_convolution("conv_transpose2d", x, weight, bias, stride, padding, output_padding, groups, dilation)
