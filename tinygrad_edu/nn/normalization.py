"""Normalization: layers that bring numbers to mean 0 and variance 1, then apply a learned scale and shift."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks, ops
from tinygrad_edu.compile.ir.dims import ACTIVE, at_least
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.names import BackEndName
from tinygrad_edu.nn.inputs import as_input, as_input_of, refuse_trace, refuse_widths
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import buffer, copy_numbers_of, fill, parameter
from tinygrad_edu.nn.torch_names import torch_arguments

FEW = 4096  # numbers; the steps of fewer are shown in pictures, and take some microseconds each


class Normalization(Module):
    """y = γ·(x - μ)/√(σ² + ε) + β, with γ and β (features,); each layer says which x give μ and σ²."""

    behind = 0  # number of axes after the feature axis

    def __init__(
        self, features: int | Sequence[int], eps: float, affine: bool, bias: bool, backend: str, dtype: Dtype
    ) -> None:
        name = type(self).__name__
        shape = tuple(features) if isinstance(features, (tuple, list)) else (features,)
        for width in shape:
            refuse_widths(name, features=width)
        checks.number("eps", eps, "[0, inf)", name)
        self.shape, self.in_features, self.eps, self.backend = shape, shape[-1], eps, backend
        self.weight = parameter(np.ones(shape), backend, "weight", dtype) if affine else None
        self.bias = parameter(np.zeros(shape), backend, "bias", dtype) if affine and bias else None

    def describe(self) -> str:
        return f"{type(self).__name__} {'×'.join(map(str, self.shape))}"

    def normalize(self, centred: ArrayLike, variance: ArrayLike) -> Any:
        """y, from x - μ and σ²."""
        return self.shift(centred / ops.sqrt(variance + self.eps))

    def scores(self, x: ArrayLike, axes: tuple[int, ...]) -> Any:
        """(x - μ)/√(σ² + ε), with μ and σ² over the axes: one operation where no one looks at its steps."""
        looked_at = MODES.tensor_trace is not None or MODES.anomaly or MODES.lines or MODES.steps
        if not looked_at and x.__class__ in (Tensor, np.ndarray) and x.dtype.kind == "f" and x.size > FEW:
            return ops.standard_scores(x, axes, self.eps)
        centred = x - ops.mean(x, axis=axes, keepdims=True)
        return centred / ops.sqrt(ops.mean(ops.square(centred), axis=axes, keepdims=True) + self.eps)

    def shift(self, y: ArrayLike) -> Any:
        """γ·y + β."""
        y = y if self.weight is None else y * self.spread(self.weight, np.ndim(y))
        return y if self.bias is None else y + self.spread(self.bias, np.ndim(y))

    def spread(self, numbers: ArrayLike, axes: int) -> Any:
        """One number for each feature, in a shape that broadcasts over x."""
        return numbers


@torch_arguments(normalized_shape="features", elementwise_affine="affine")
class LayerNorm(Normalization):
    """y = γ·(x - μ)/√(σ² + ε) + β, with mean μ and variance σ² of each sample over its features.

    features: the width of the last axis, or the widths of the last few.
    eps: ε, added to the variance to keep the division finite.
    affine: whether to learn a scale γ and a shift β.
    bias: whether to learn β, where γ is learned.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    Errors: SettingError for bad settings, ShapeError for an input of another width. (Ba et al. 2016)

    >>> LayerNorm(3)(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])).data.round(3)
    array([[-1.225,  0.   ,  1.225],
           [-1.225,  0.   ,  1.225]])
    """

    def __init__(
        self,
        features: int | Sequence[int],
        eps: float = 1e-5,
        *,
        affine: bool = True,
        bias: bool = True,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        super().__init__(features, eps, affine, bias, backend, dtype)

    def forward(self, x: ArrayLike) -> Any:
        """x (..., features) → the same shape."""
        x = as_input_of(x, self, self.shape)
        return self.shift(self.scores(x, tuple(range(-len(self.shape), 0))))


@torch_arguments(normalized_shape="features", elementwise_affine="affine")
class RMSNorm(Normalization):
    """y = γ·x/√(mean x² + ε), the mean over the features of each sample: not centred, no β. (Zhang and Sennrich 2019)

    features: the width of the last axis, or the widths of the last few.
    eps: ε; None for the distance from 1 to the next float, as in PyTorch.
    affine: whether to learn the scale γ.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> RMSNorm(2)([[3.0, 4.0]]).data.round(3).tolist()
    [[0.849, 1.131]]
    """

    def __init__(
        self,
        features: int | Sequence[int],
        eps: float | None = None,
        *,
        affine: bool = True,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        smallest = float(np.finfo(np.dtype(dtype or np.float64)).eps)
        super().__init__(features, smallest if eps is None else eps, affine, False, backend, dtype)

    def forward(self, x: ArrayLike) -> Any:
        """x (..., features) → the same shape."""
        x = as_input_of(x, self, self.shape)
        return self.normalize(x, ops.mean(ops.square(x), axis=tuple(range(-len(self.shape), 0)), keepdims=True))


class BatchNorm(Normalization):
    """y = γ·(x - μ)/√(σ² + ε) + β, with mean μ and variance σ² of each feature over the samples of the batch.

    In training the running statistics become (1 - momentum)·old + momentum·batch (the variance with n - 1); after
    eval() they replace μ and σ². They are buffers: in state_dict, but not trained. Numbers and defaults are PyTorch's.
    The features are the last axis; BatchNorm1d and BatchNorm2d have them on axis 1.
    features: the number of features, the width of the last axis.
    eps: ε, added to the variance to keep the division finite.
    momentum: the weight of the current batch in the running statistics.
    affine: whether to learn a scale γ and a shift β.
    bias: whether to add a learned bias.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    Errors: SettingError for bad settings, ShapeError for another width or, in training, fewer than two samples;
    TraceError if anything but `fit` compiles it in training. (Ioffe and Szegedy 2015)

    >>> layer = BatchNorm(1)
    >>> layer([[1.0], [3.0]]).data.round(3).tolist(), layer.running_mean.data.tolist()
    ([[-1.0], [1.0]], [0.2])
    """

    buffer_names = ("running_mean", "running_var")

    def __init__(
        self,
        features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        *,
        affine: bool = True,
        bias: bool = True,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        refuse_widths(type(self).__name__, features=features)
        super().__init__(features, eps, affine, bias, backend, dtype)
        checks.number("momentum", momentum, "[0, 1]", type(self).__name__)
        self.momentum = momentum
        self.running_mean = buffer(np.zeros(features), backend, "running_mean", dtype)
        self.running_var = buffer(np.ones(features), backend, "running_var", dtype)

    def forward(self, x: ArrayLike) -> Any:
        """x (..., features) → the same shape."""
        x = self.check_input(x)
        axis = self.axis(np.ndim(x))
        if not self.training:
            mean, variance = (self.spread(s, np.ndim(x)) for s in (self.running_mean, self.running_var))
            return self.normalize(x - mean, variance)
        compiled = bool(ACTIVE.traces) and isinstance(x, Tensor)
        if not compiled:
            refuse_trace(type(self).__name__, "changes its running statistics at every step")
        samples, axes = math.prod((*x.shape[:axis], *x.shape[axis + 1 :])), tuple(i for i in range(x.ndim) if i != axis)
        if not at_least(samples, 2):  # in a trace this becomes a condition of the program
            raise ShapeError(
                f"{type(self).__name__} in training needs at least two samples for a variance, and the input has shape "
                f"{x.shape}: use larger batches (the last one of an epoch may hold a single sample), or call eval() "
                "first"
            )
        mean = ops.mean(x, axis=axes)
        centred = x - self.spread(mean, x.ndim)
        variance = ops.mean(ops.square(centred), axis=axes)
        self.follow(self.running_mean, mean)
        self.follow(self.running_var, variance, 1.0 / (1.0 - 1.0 / samples))
        return self.normalize(centred, self.spread(variance, x.ndim))

    def check_input(self, x: ArrayLike) -> Any:
        """The input as an array, checked to have its features on the right axis."""
        return as_input(x, self)

    def axis(self, axes: int) -> int:
        """The axis of the features."""
        return axes - 1

    def follow(self, running: ArrayLike, batch: ArrayLike, factor: ArrayLike = 1.0) -> None:
        """Move a running statistic towards the batch's by the share `momentum`."""
        if ACTIVE.traces and isinstance(batch, Tensor):
            new = (1.0 - self.momentum) * running + self.momentum * (batch * factor)
            ACTIVE.traces[-1].follow(running, new)
        else:
            fill(
                running,
                (1.0 - self.momentum) * copy_numbers_of(running) + self.momentum * (copy_numbers_of(batch) * factor),
            )


class OverChannels(Normalization):
    """The base of layers whose features are the channels of (batch, channels, ...)."""

    layouts: tuple[str, ...] = ()

    def check_input(self, x: ArrayLike) -> Any:
        """The input as an array, checked to have this many channels. Errors: ShapeError."""
        return channels_of(x, self, self.shape[0], self.layouts)

    def axis(self, axes: int) -> int:
        """The channels come after the batch."""
        return 1

    def spread(self, numbers: ArrayLike, axes: int) -> Any:
        """(channels,) → (channels, 1, ...)"""
        return ops.reshape(numbers, (*self.shape, *(1,) * (axes - 2)))


@torch_arguments(num_features="features")
class BatchNorm1d(OverChannels, BatchNorm):
    """BatchNorm over the channels of (batch, channels) or (batch, channels, length), as PyTorch's.

    features: the number of features or channels.
    eps: ε, added to the variance to keep the division finite.
    momentum: the weight of the current batch in the running statistics.
    affine: whether to learn a scale γ and a shift β.
    bias: whether to add a learned bias.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> BatchNorm1d(2)(np.ones((4, 2, 5))).shape
    (4, 2, 5)
    """

    layouts = ("(batch, {n})", "(batch, {n}, length)")


@torch_arguments(num_features="features")
class BatchNorm2d(OverChannels, BatchNorm):
    """BatchNorm over the channels of images (batch, channels, height, width), as PyTorch's.

    features: the number of features or channels.
    eps: ε, added to the variance to keep the division finite.
    momentum: the weight of the current batch in the running statistics.
    affine: whether to learn a scale γ and a shift β.
    bias: whether to add a learned bias.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> BatchNorm2d(2)(np.ones((4, 2, 5, 5))).shape
    (4, 2, 5, 5)
    """

    layouts = ("(batch, {n}, height, width)",)


class GroupNorm(OverChannels):
    """y = γ·(x - μ)/√(σ² + ε) + β, with μ and σ² of each sample over all numbers of a group of channels.

    γ and β have one number for each channel. (Wu and He 2018)
    num_groups: the number of groups, which has to divide `num_channels`.
    num_channels: the number of channels in the input.
    eps: ε, added to the variance to keep the division finite.
    affine: whether to learn a scale γ and a shift β.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    Errors: SettingError for settings, ShapeError for an input that is not (batch, num_channels, ...).

    >>> GroupNorm(1, 2)(np.array([[[1.0], [3.0]]])).data.round(3).tolist()
    [[[-1.0], [1.0]]]
    """

    layouts = ("(batch, {n}, ...)",)

    def __init__(
        self,
        num_groups: int,
        num_channels: int,
        eps: float = 1e-5,
        *,
        affine: bool = True,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        refuse_widths("GroupNorm", num_groups=num_groups, num_channels=num_channels)
        if num_channels % num_groups:
            raise SettingError(
                f"GroupNorm(num_groups={num_groups}, num_channels={num_channels}): the groups must divide the channels"
            )
        super().__init__(num_channels, eps, affine, True, backend, dtype)
        self.num_groups = num_groups

    def describe(self) -> str:
        return f"GroupNorm {self.shape[0]}, {self.num_groups} group{'s' * (self.num_groups != 1)}"

    def forward(self, x: ArrayLike) -> Any:
        """x (batch, channels, ...) → the same shape."""
        x = self.check_input(x)
        rows = ops.reshape(x, (x.shape[0] * self.num_groups, -1))
        return self.shift(ops.reshape(self.scores(rows, (1,)), x.shape))


def channels_of(x: ArrayLike, layer: Callable[..., Any], channels: int, layouts: Sequence[str]) -> Any:
    """The input as an array, checked to have the layer's channels on axis 1. Errors: ShapeError."""
    x = as_input_of(x, layer, ())
    lengths = [text.count(",") + 1 for text in layouts]
    fits = x.ndim in lengths or (layouts[0].endswith("...)") and x.ndim >= 2)
    if not fits or x.shape[1] != channels:
        wanted = " or ".join(text.format(n=channels) for text in layouts)
        raise ShapeError(f"{type(layer).__name__}: the input has shape {x.shape}, but {wanted} is needed")
    return x
