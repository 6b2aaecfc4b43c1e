"""Layers that bring numbers to mean 0 and variance 1, and then to a scale and shift that are learnt."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import number
from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.nn.inputs import as_input, refuse_trace, refuse_widths
from tinygrad_edu.nn.module import Module, buffer, fill, numbers, parameter


class Normalization(Module):
    """y = γ·(x - μ)/√(σ² + ε) + β, with γ (features,) and β (features,); each layer says over which x μ and σ² go."""

    def __init__(self, features: int, eps: float, affine: bool, bias: bool, backend: str) -> None:
        name = type(self).__name__
        refuse_widths(name, features=features)
        number("eps", eps, "[0, inf)", name)
        self.in_features, self.eps, self.backend = features, eps, backend
        self.weight = parameter(np.ones(features), backend, "weight") if affine else None
        self.bias = parameter(np.zeros(features), backend, "bias") if affine and bias else None

    def scaled(self, centred: Any, variance: Any) -> Any:
        """(x - μ) and σ² → y."""
        y = centred / ops.sqrt(variance + self.eps)
        y = y if self.weight is None else y * self.weight
        return y if self.bias is None else y + self.bias


class LayerNorm(Normalization):
    """y = γ·(x - μ)/√(σ² + ε) + β, with mean μ and variance σ² of each sample over its features.

    Args: `features`, the width of the last axis; `affine=False` leaves γ and β out, `bias=False` β alone.
    Errors: SettingError for settings, ShapeError for an input of another width. (Ba et al. 2016)

    >>> LayerNorm(3)(np.array([[1.0, 2.0, 3.0], [10.0, 20.0, 30.0]])).data.round(3)
    array([[-1.225,  0.   ,  1.225],
           [-1.225,  0.   ,  1.225]])
    """

    def __init__(
        self, features: int, eps: float = 1e-5, *, affine: bool = True, bias: bool = True, backend: str = "tensor"
    ) -> None:
        super().__init__(features, eps, affine, bias, backend)

    def forward(self, x: Any) -> Any:
        """x (..., features) → the same shape."""
        x = as_input(x, self)
        centred = x - ops.mean(x, axis=-1, keepdims=True)
        return self.scaled(centred, ops.mean(ops.square(centred), axis=-1, keepdims=True))


class BatchNorm(Normalization):
    """y = γ·(x - μ)/√(σ² + ε) + β, with mean μ and variance σ² of each feature over the samples of the batch.

    In training the running statistics become (1 - momentum) of themselves and momentum of the batch's (of the variance
    with n - 1); after eval() they stand in for μ and σ². They are buffers: in state_dict, not trained. Numbers and
    defaults are those of PyTorch's BatchNorm1d, whose features stand on axis 1; here they are the last.
    Errors: SettingError for settings, ShapeError for another width or, in training, fewer than two samples; TraceError
    where it is compiled in training. (Ioffe and Szegedy 2015)

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
        backend: str = "tensor",
    ) -> None:
        super().__init__(features, eps, affine, bias, backend)
        self.momentum = number("momentum", momentum, "[0, 1]", "BatchNorm")
        self.running_mean = buffer(np.zeros(features), backend, "running_mean")
        self.running_var = buffer(np.ones(features), backend, "running_var")

    def forward(self, x: Any) -> Any:
        """x (..., features) → the same shape."""
        x = as_input(x, self)
        if not self.training:
            return self.scaled(x - self.running_mean, self.running_var)
        compiled = bool(ACTIVE.traces) and isinstance(x, Tensor)
        if not compiled:
            refuse_trace("BatchNorm", "changes its running statistics at every step")
        samples, axes = math.prod(x.shape[:-1]), tuple(range(x.ndim - 1))
        if not compiled and samples < 2:
            raise ShapeError(
                f"BatchNorm in training needs at least two samples for a variance, and the input has shape {x.shape}: "
                "use larger batches (the last one of an epoch may hold a single sample), or call eval() first"
            )
        mean = ops.mean(x, axis=axes)
        centred = x - mean
        variance = ops.mean(ops.square(centred), axis=axes)
        self.follow(self.running_mean, mean)
        self.follow(self.running_var, variance, 1.0 / (1.0 - 1.0 / samples))
        return self.scaled(centred, variance)

    def follow(self, running: Any, batch: Any, factor: Any = 1.0) -> None:
        """Move a running statistic a part of the way."""
        if ACTIVE.traces and isinstance(batch, Tensor):
            new = (1.0 - self.momentum) * running + self.momentum * (batch * factor)
            ACTIVE.traces[-1].follow(running, new)
        else:
            fill(running, (1.0 - self.momentum) * numbers(running) + self.momentum * (numbers(batch) * factor))
