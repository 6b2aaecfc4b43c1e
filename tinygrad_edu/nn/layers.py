"""Layers. One `forward` serves both back ends: a matrix of Values is multiplied by the same `@` as a Tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import pairwise
from typing import Any

import numpy as np

from tinygrad_edu import checks, ops
from tinygrad_edu.core.limits import lowest_and_highest
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.inputs import SHARED as SHARED
from tinygrad_edu.nn.inputs import as_input as as_input
from tinygrad_edu.nn.inputs import random_generator, refuse_widths
from tinygrad_edu.nn.module import Module, parameter
from tinygrad_edu.nn.normalization import BatchNorm, LayerNorm

Activation = Callable[[Any], Any]
NORMS = {"layer": LayerNorm, "batch": BatchNorm}


class Linear(Module):
    """y = x Wᵀ + b, with W of shape (out, in) and b of shape (out,).

    Args: `init`, how W begins (nn.init, by name or function), b begins at 0 unless `init` says otherwise; `rng`, the
    random generator or a seed.

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
        rng: np.random.Generator | int | None = None,
        backend: str = "tensor",
    ) -> None:
        refuse_widths("Linear", in_features=in_features, out_features=out_features)
        rng = random_generator("Linear", rng)
        weight = initializers.drawn(init, rng, in_features, out_features)
        self.in_features, self.out_features, self.backend = in_features, out_features, backend
        self.weight = parameter(weight, backend, "weight")
        start = initializers.drawn_bias(init, rng, in_features, out_features) if bias else None
        self.bias = None if start is None else parameter(start, backend, "bias")

    def forward(self, x: Any) -> Any:
        """x (..., in) → (..., out)."""
        x = as_input(x, self)
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


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
    `backend`, "tensor", or "scalar" for NumPy arrays of Values; `norm`, "layer" or "batch", before the activation of
    each hidden layer; `dropout`, the share of hidden units that is silent in training, after it.
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
        *,
        dropout: float = 0.0,
        norm: str | None = None,
    ) -> None:
        sizes = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
        if len(sizes) < 2:
            raise SettingError(f"MLP({list(sizes)}) needs at least two widths: the input's and the output's")
        rng = np.random.default_rng(checks.seed("seed", seed, "MLP"))
        self.sizes, self.backend, self.in_features = sizes, backend, sizes[0]
        self.bias, self.init, self.seed, self.norm = bias, init, seed, norm
        self.activation, self.out_activation = find_activation(activation), find_activation(out_activation)
        self.layers = [Linear(a, b, bias, init=init, rng=rng, backend=backend) for a, b in pairwise(sizes)]
        self.norms = [made_norm(norm, width, backend) for width in sizes[1:-1]]
        # A stream of its own: with and without dropout the weights begin the same.
        self.dropout = Dropout(dropout, rng=np.random.default_rng([seed, 1])) if dropout else None
        self.label_parameters()

    def forward(self, x: Any) -> Any:
        """x (..., sizes[0]) → (..., sizes[-1])."""
        *hidden, last = self.layers
        for layer, norm in zip(hidden, self.norms, strict=True):
            x = self.activation(norm(layer(x)))
            x = x if self.dropout is None else self.dropout(x)
        return self.out_activation(last(x))


def made_norm(norm: str | None, width: int, backend: str) -> Any:
    """The normalization of one hidden layer."""
    if norm is None:
        return identity
    if not isinstance(norm, str) or norm not in NORMS:
        raise unknown_name("norm", norm, NORMS)
    return NORMS[norm](width, backend=backend)


def identity(x: Any) -> Any:
    """x itself."""
    return x


FUNCTIONS: dict[str, Activation] = {"identity": identity, "softmax": ops.softmax}
OTHER_NAMES = {  # PyTorch's and scikit-learn's
    "logistic": "sigmoid", "swish": "silu", "logsigmoid": "log_sigmoid", "hardtanh": "hard_tanh",
    "hardsigmoid": "hard_sigmoid", "hardswish": "hard_swish",
}  # fmt: skip


def find_activation(name: str) -> Activation:
    """An operation of one argument, by name."""
    if isinstance(name, str):
        name = OTHER_NAMES.get(name, name)
        if name in FUNCTIONS:
            return FUNCTIONS[name]
        if name in TABLE and is_activation(TABLE[name]):
            return TABLE[name]
    known = [key for key, operation in TABLE.items() if is_activation(operation)]
    raise unknown_name("activation", name, [*known, *FUNCTIONS, *OTHER_NAMES])


def range_of(activation: Activation) -> tuple[float, float]:
    """The lowest and the highest output of an activation, ±inf where it has no end.

    >>> range_of(ops.tanh), range_of(identity), range_of(ops.softmax)
    ((-1.0, 1.0), (-inf, inf), (0.0, 1.0))
    """
    if isinstance(activation, Operation):
        return activation.range
    return lowest_and_highest(lambda x: activation(np.stack([x, -x], axis=1)))


def is_activation(operation: Operation) -> bool:
    unary = operation.partials is not None and len(operation.parameters) - len(operation.defaults) == 1
    return operation.activation and unary
