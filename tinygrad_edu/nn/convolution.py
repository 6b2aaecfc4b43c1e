"""Convolutional layers, with PyTorch's names and arguments, over (batch, channels, length) and images."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks, ops
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.arrays.windows import each_axis, padding_of
from tinygrad_edu.errors import SettingError
from tinygrad_edu.names import BackEndName, InitializerName
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.inputs import of_back_end, random_generator, refuse_widths
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import parameter

PerAxis = int | Sequence[int]
Init = InitializerName | initializers.Initializer


class Convolution(Module):
    """What all convolutions share: a weight (out, in/groups, *size), transposed (in, out/groups, *size), and a bias.

    `init` draws the weight as a matrix of out rows and in/groups·size columns; the bias starts at 0 unless `init` draws
    it too.
    """

    axes = 2
    transposed = False

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis,
        padding: ArrayLike,
        dilation: PerAxis,
        groups: int,
        bias: bool,
        init: Init,
        rng: Any,
        backend: str,
        dtype: Dtype,
    ) -> None:
        name = type(self).__name__
        refuse_widths(name, in_channels=in_channels, out_channels=out_channels)
        checks.whole("groups", groups, owner=name)
        if in_channels % groups or out_channels % groups:
            raise SettingError(
                f"{name}(groups={groups}): groups has to divide {in_channels} and {out_channels} channels"
            )
        self.in_channels, self.out_channels, self.groups, self.backend = in_channels, out_channels, groups, backend
        self.kernel_size = each_axis(name, "kernel_size", kernel_size, self.axes, 1)
        self.stride = each_axis(name, "stride", stride, self.axes, 1)
        self.dilation = each_axis(name, "dilation", dilation, self.axes, 1)
        padding_of(name, padding, self.kernel_size, self.stride, self.dilation)
        self.padding = padding if isinstance(padding, str) else each_axis(name, "padding", padding, self.axes, 0)
        rng, fan_in = random_generator(name, rng), in_channels // groups * math.prod(self.kernel_size)
        weight = initializers.draw_weight(init, rng, fan_in, out_channels)
        weight = weight.reshape(out_channels, in_channels // groups, *self.kernel_size)
        start = initializers.draw_bias(init, rng, fan_in, out_channels) if bias else None
        weight = by_input(weight, groups) if self.transposed else weight
        self.weight = parameter(weight, backend, "weight", dtype)
        self.bias = None if start is None else parameter(start, backend, "bias", dtype)

    def describe(self) -> str:
        plain = {"stride": (1,) * self.axes, "padding": (0,) * self.axes, "dilation": (1,) * self.axes, "groups": 1}
        more = [f", {name} {by_axis(getattr(self, name))}" for name, x in plain.items() if getattr(self, name) != x]
        channels = f"{self.in_channels}→{self.out_channels}"
        return f"{type(self).__name__} {channels}, {by_axis(self.kernel_size, whole=True)}{''.join(more)}"

    def __repr__(self) -> str:
        count = self.weight.size + (0 if self.bias is None else self.bias.size)
        settings = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        return f"{type(self).__name__}({settings}, padding={self.padding!r}): {count:,} parameters"


def by_axis(size: ArrayLike, whole: bool = False) -> str:
    """A size as people write it: 5×5, or just 2 for both axes unless `whole`."""
    sizes = list(map(str, size)) if isinstance(size, tuple) else [str(size)]
    if whole and len(sizes) == 1:
        return f"kernel {sizes[0]}"
    return sizes[0] if len(set(sizes)) == 1 and not whole else "×".join(sizes)


def by_input(weight: ArrayLike, groups: int) -> Any:
    """(out, in/groups, *size) as (in, out/groups, *size)."""
    out, inputs, *size = weight.shape
    return weight.reshape(groups, out // groups, inputs, *size).swapaxes(1, 2).reshape(-1, out // groups, *size)


class Forward(Convolution):
    """A convolution that reads windows."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis | str = 0,
        dilation: PerAxis = 1,
        groups: int = 1,
        bias: bool = True,
        *,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
        padding_mode: str = "zeros",
    ) -> None:
        if padding_mode != "zeros":
            raise SettingError(f"{type(self).__name__}(padding_mode={padding_mode!r}): the border is filled with zeros")
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, init, rng, backend, dtype
        )

    def forward(self, x: ArrayLike) -> Any:
        """x (batch, in, *spatial) or (in, *spatial) → (batch, out, *windows)."""
        convolve: Callable[..., Any] = ops.conv1d if self.axes == 1 else ops.conv2d
        x = of_back_end(x, self)
        return convolve(x, self.weight, self.bias, self.stride, self.padding, self.dilation, self.groups)


class Conv1d(Forward):
    """y[o, i] = Σ w[o, c, k]·x[c, i·stride + k·dilation] + b[o], of x (batch, in_channels, length).

    in_channels: the number of channels in the input.
    out_channels: the number of channels in the output.
    kernel_size: the length of the window.
    stride: the distance from one window to the next.
    padding: how many zeros are added on each side, or "same" or "valid".
    dilation: the spacing of the numbers within a window.
    groups: how many groups the channels are split into, which do not mix.
    bias: whether to add a learned bias.
    init: how the weight is initialized: a function of nn.init, or its name.
    rng: a random generator, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    padding_mode: what the border is filled with: "zeros".
    Errors: SettingError for settings, ShapeError for an input that does not fit.

    >>> Conv1d(2, 3, 5, padding="same")(np.ones((4, 2, 10))).shape
    (4, 3, 10)
    """

    axes = 1


class Conv2d(Forward):
    """Conv1d for images (batch, in_channels, height, width); a size is one number, or one for each of the two axes.

    in_channels: the number of channels in the input.
    out_channels: the number of channels in the output.
    kernel_size: the size of the window: one number, or one for each axis.
    stride: the distance from one window to the next.
    padding: how many zeros are added on each side of each axis, or "same" or "valid".
    dilation: the spacing of the numbers within a window.
    groups: how many groups the channels are split into; groups do not mix.
    bias: whether to add a learned bias.
    init: how the input weights are initialized: a function of nn.init, or its name.
    rng: a random generator, or the seed of one.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    padding_mode: what the border is filled with: "zeros".

    >>> Conv2d(1, 6, 5, padding=2, rng=0)(np.ones((4, 1, 28, 28))).shape
    (4, 6, 28, 28)
    """


class Transposed(Convolution):
    """A convolution that writes windows."""

    transposed = True

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: PerAxis,
        stride: PerAxis = 1,
        padding: PerAxis = 0,
        output_padding: PerAxis = 0,
        groups: int = 1,
        bias: bool = True,
        dilation: PerAxis = 1,
        *,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        each_axis(type(self).__name__, "padding", padding, self.axes, 0)
        super().__init__(
            in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, init, rng, backend, dtype
        )
        self.output_padding = each_axis(type(self).__name__, "output_padding", output_padding, self.axes, 0)

    def forward(self, x: ArrayLike) -> Any:
        """x (batch, in, *spatial) or (in, *spatial) → (batch, out, *longer)."""
        convolve: Callable[..., Any] = ops.conv_transpose1d if self.axes == 1 else ops.conv_transpose2d
        more = (self.stride, self.padding, self.output_padding, self.groups, self.dilation)
        return convolve(of_back_end(x, self), self.weight, self.bias, *more)


class ConvTranspose1d(Transposed):
    """y[o, i·stride + k·dilation - padding] = Σ w[c, o, k]·x[c, i] + b[o], of x (batch, in_channels, length).

    `padding` is cut off at both ends, `output_padding` is added at the far end. Arguments and errors as for Conv1d.
    in_channels: the number of channels in the input.
    out_channels: the number of channels in the output.
    kernel_size: the size of the window: one number, or one for each axis.
    stride: the distance from one window to the next in the output.
    padding: how many numbers are cut off at both ends.
    output_padding: how many numbers are added at the far end.
    groups: how many groups the channels are split into; groups do not mix.
    bias: whether to add a learned bias.
    dilation: the spacing of the numbers within a window.
    init: how the input weights are initialized: a function of nn.init, or its name.
    rng: the random generator that the weights are drawn from, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> ConvTranspose1d(2, 1, 2, stride=2)(np.ones((4, 2, 5))).shape
    (4, 1, 10)
    """

    axes = 1


class ConvTranspose2d(Transposed):
    """ConvTranspose1d for images (batch, in_channels, height, width).

    in_channels: the number of channels in the input.
    out_channels: the number of channels in the output.
    kernel_size: the size of the window: one number, or one for each axis.
    stride: the distance from one window to the next in the output.
    padding: how many numbers are cut off at both ends of each axis.
    output_padding: how many numbers are added at the far end of each axis.
    groups: how many groups the channels are split into; groups do not mix.
    bias: whether to add a learned bias.
    dilation: the spacing of the numbers within a window.
    init: how the input weights are initialized: a function of nn.init, or its name.
    rng: the random generator that the weights are drawn from, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> ConvTranspose2d(2, 1, 3, stride=2, padding=1, output_padding=1)(np.ones((4, 2, 7, 7))).shape
    (4, 1, 14, 14)
    """
