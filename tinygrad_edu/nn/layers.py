"""Layers. One `forward` serves both back ends: a matrix of Values is multiplied by the same `@` as a Tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.core.conversion import plain
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import SettingError, ShapeError, unknown_name
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.module import Module, parameter

Activation = Callable[[Any], Any]
SHARED = np.random.default_rng(0)  # where layers draw from that are given no generator, each what comes next


class Linear(Module):
    """y = x Wᵀ + b, with W of shape (out, in) and b of shape (out,).

    Args: `init`, how W begins (nn.init, by name or function), b begins at 0; `rng`, the random generator.

    >>> layer = Linear(2, 3, backend="scalar")
    >>> layer([1.0, 2.0]).shape
    (3,)
    """

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        *,
        init: str | initializers.Initializer = "glorot_uniform",
        rng: np.random.Generator | None = None,
        backend: str = "tensor",
    ) -> None:
        for name, width in (("in_features", in_features), ("out_features", out_features)):
            if not (is_whole(width) and width > 0):
                raise SettingError(f"Linear({name}={width!r}): a width is a whole number above 0")
        rng = SHARED if rng is None else rng
        weight = np.asarray(initializers.find(init)(rng, in_features, out_features))
        if weight.shape != (out_features, in_features):
            raise ShapeError(
                f"init={init!r} gave shape {weight.shape}, but W is {(out_features, in_features)}: (out, in)"
            )
        self.in_features, self.out_features, self.backend = in_features, out_features, backend
        self.weight = parameter(weight, backend, "weight")
        self.bias = parameter(np.zeros(out_features), backend, "bias") if bias else None

    def forward(self, x: Any) -> Any:
        """x (..., in) → (..., out)."""
        x = as_input(x, self)
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


def as_input(x: Any, layer: Linear) -> Any:
    """Lists as arrays; the last axis must be the layer's width."""
    x = x if isinstance(x, (Tensor, np.ndarray)) else plain(x)
    if layer.backend == "scalar" and isinstance(x, Tensor):
        raise SettingError('a model with backend="scalar" takes numbers, arrays or Values, not a Tensor')
    if not x.ndim or x.shape[-1] != layer.in_features:
        raise ShapeError(
            f"the input has shape {x.shape}, but its last axis must be {layer.in_features} wide "
            f"(one row for each sample, one column for each of the {layer.in_features} features)"
        )
    if isinstance(x, np.ndarray) and x.dtype.kind in "iub":
        x = x.astype(float)
    return x


class Sequential(Module):
    """Layers and functions, one after the other.

    >>> Sequential(Linear(2, 3), ops.tanh, Linear(3, 1))(np.ones((4, 2))).shape
    (4, 1)
    """

    def __init__(self, *layers: Any) -> None:
        self.layers = list(layers)
        self.label_parameters()

    def forward(self, x: Any) -> Any:
        """Each layer's output is the next one's input."""
        for layer in self.layers:
            x = layer(x)
        return x


class MLP(Module):
    """A fully connected network, xₗ₊₁ = f(xₗ Wₗᵀ + bₗ); the same numbers on both back ends for one seed.

    Args: `sizes`, the widths from input to output; `activation`, of the hidden layers, and `out_activation`, of
    the last ("identity" for none), any operation of one argument by name; `init`, see nn.init; `seed`, an integer;
    `backend`, "tensor", or "scalar" for NumPy arrays of Values.
    Errors: SettingError and NameNotFoundError for settings, ShapeError for an input of another width.

    >>> model = MLP([2, 3, 1], seed=1)
    >>> model
    MLP: 13 parameters
      layers.0.weight: (3, 2)
      layers.0.bias: (3,)
      layers.1.weight: (1, 3)
      layers.1.bias: (1,)
    """

    def __init__(
        self,
        sizes: Iterable[int],
        activation: str = "tanh",
        out_activation: str = "identity",
        bias: bool = True,
        init: str | initializers.Initializer = "glorot_uniform",
        seed: int = 0,
        backend: str = "tensor",
    ) -> None:
        sizes = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
        if len(sizes) < 2:
            raise SettingError(f"MLP({list(sizes)}) needs at least two widths: the input's and the output's")
        if not (is_whole(seed) and seed >= 0):
            raise SettingError(f"MLP(seed={seed!r}): a seed is a whole number of at least 0")
        rng = np.random.default_rng(seed)
        self.sizes, self.backend, self.in_features = sizes, backend, sizes[0]
        self.activation, self.out_activation = find_activation(activation), find_activation(out_activation)
        self.layers = [Linear(a, b, bias, init=init, rng=rng, backend=backend) for a, b in pairwise(sizes)]
        self.label_parameters()

    def forward(self, x: Any) -> Any:
        """x (..., sizes[0]) → (..., sizes[-1])."""
        *hidden, last = self.layers
        for layer in hidden:
            x = self.activation(layer(x))
        return self.out_activation(last(x))


def identity(x: Any) -> Any:
    """x itself."""
    return x


def find_activation(name: str) -> Activation:
    """An operation of one argument, by name."""
    of_one = {key: operation for key, operation in TABLE.items() if is_activation(operation)}
    known: dict[str, Activation] = {**of_one, "identity": identity, "softmax": ops.softmax}
    if not isinstance(name, str) or name not in known:
        raise unknown_name("activation", name, known)
    return known[name]


def is_whole(x: Any) -> bool:
    return isinstance(x, (int, np.integer)) and not isinstance(x, bool)


def is_activation(operation: Any) -> bool:
    return operation.partials is not None and len(operation.parameters) - len(operation.defaults) == 1
