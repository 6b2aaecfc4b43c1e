"""Layers. One `forward` serves both back ends: a matrix of Values is multiplied by the same `@` as a Tensor."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import pairwise
from typing import Any, Self

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.errors import OperandError, SettingError, unknown_name
from tinygrad_edu.names import ActivationName, BackEndName, InitializerName, NormName
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.activations import FUNCTIONS as FUNCTIONS
from tinygrad_edu.nn.activations import OTHER_NAMES as OTHER_NAMES
from tinygrad_edu.nn.activations import find_activation as find_activation
from tinygrad_edu.nn.activations import identity as identity
from tinygrad_edu.nn.activations import is_activation as is_activation
from tinygrad_edu.nn.activations import range_of as range_of
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.inputs import SHARED as SHARED
from tinygrad_edu.nn.inputs import as_input as as_input
from tinygrad_edu.nn.inputs import random_generator, refuse_widths
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.normalization import BatchNorm, LayerNorm
from tinygrad_edu.nn.parameters import parameter
from tinygrad_edu.nn.value_array import as_values

NORMS = {"layer": LayerNorm, "batch": BatchNorm}


class Linear(Module):
    """y = x Wᵀ + b, with W of shape (out, in) and b of shape (out,).

    in_features: the width of the input's last axis.
    out_features: the width of the output's last axis.
    bias: whether to add a learned bias; it starts at 0 unless `init` draws it too.
    init: how W is initialized: a function of nn.init, or its name.
    rng: the random generator, or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

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
        init: InitializerName | initializers.Initializer = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        refuse_widths("Linear", in_features=in_features, out_features=out_features)
        rng = random_generator("Linear", rng)
        weight, start = initializers.draw_linear(init, rng, in_features, out_features, bias)
        self.in_features, self.out_features, self.backend = in_features, out_features, backend
        self.weight = parameter(weight, backend, "weight", dtype)
        self.bias = None if start is None else parameter(start, backend, "bias", dtype)

    def describe(self) -> str:
        return f"Linear {self.in_features}→{self.out_features}"

    def forward(self, x: ArrayLike) -> Any:
        """x (..., in) → (..., out)."""
        x = as_input(x, self)
        y = x @ self.weight.T
        return y if self.bias is None else y + self.bias


class Sequential(Module):
    """Layers and functions applied one after the other; given a dict, its values in order.

    layers: modules and functions, in order.

    >>> model = Sequential(Linear(2, 3), np.tanh, Linear(3, 1))
    >>> model(np.ones((4, 2))).shape, len(model), model[0].weight.shape
    ((4, 1), 3, (3, 2))
    """

    def __init__(self, *layers: Any) -> None:
        given = layers[0].values() if len(layers) == 1 and isinstance(layers[0], Mapping) else layers
        self.layers = [self.check_layer(layer) for layer in given]
        self.label_parameters()

    @staticmethod
    def check_layer(layer: Any) -> Any:
        """The layer. Errors: OperandError for what cannot be applied, and for a class in place of a layer."""
        if isinstance(layer, type) and issubclass(layer, Module):
            raise OperandError(
                f"Sequential holds layers, and {layer.__name__} is a class of them: {layer.__name__}(...)"
            )
        if not callable(layer):
            if isinstance(layer, (list, tuple)):
                raise OperandError(
                    f"Sequential holds layers and functions, not a {type(layer).__name__} of {len(layer)}: write "
                    "Sequential(*layers)"
                )
            raise OperandError(f"Sequential holds layers and functions, not {layer!r:.60}")
        return layer

    def append(self, layer: Callable[..., Any]) -> Self:
        """Add a layer at the end."""
        self.layers.append(self.check_layer(layer))
        self.label_parameters()
        return self

    def __getitem__(self, i: ArrayLike) -> Any:
        return Sequential(*self.layers[i]) if isinstance(i, slice) else self.layers[i]

    def __len__(self) -> int:
        return len(self.layers)

    def __iter__(self) -> Iterator[Any]:
        return iter(self.layers)

    def forward(self, x: ArrayLike) -> Any:
        """Each layer's output is the next one's input."""
        for layer in self.layers:
            x = layer(x)
        return x


class MLP(Module):
    """A fully connected network, xₗ₊₁ = f(xₗ Wₗᵀ + bₗ); the same numbers on both back ends for one seed.

    sizes: the widths of all layers, from the input to the output.
    activation: of the hidden layers, the name of any operation of one argument.
    out_activation: of the last layer; "identity" for none.
    bias: whether each layer has a learned bias.
    init: how the weights are initialized: a function of nn.init, or its name.
    seed: the seed that the weights are drawn from.
    backend: "tensor", or "scalar" for NumPy arrays of Values.
    dropout: the share of hidden units that are set to 0 in training, after the activation.
    norm: "layer" or "batch", before the activation of each hidden layer.
    dtype: "float64" or "float32".
    Errors: SettingError and NameNotFoundError for bad settings, ShapeError for an input of another width.

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
        activation: ActivationName = "tanh",
        out_activation: ActivationName = "identity",
        bias: bool = True,
        init: InitializerName | initializers.Initializer = "glorot_uniform",
        seed: int = 0,
        backend: BackEndName = "tensor",
        *,
        dropout: float = 0.0,
        norm: NormName | None = None,
        dtype: Dtype = None,
    ) -> None:
        sizes = tuple(sizes) if isinstance(sizes, Iterable) else (sizes,)
        if isinstance(activation, (list, tuple)) and all(map(checks.is_whole, activation)):
            raise SettingError(
                f"MLP({sizes[0] if len(sizes) == 1 else list(sizes)}, {activation!r}): write all widths in one list, "
                f"MLP({[*sizes, *activation]})"
            )
        if len(sizes) == 1 and checks.is_whole(activation):
            raise SettingError(
                f"MLP({sizes[0]}, {activation}, ...): write all widths in one list, as in MLP([2, 8, 1])"
            )
        if len(sizes) < 2:
            raise SettingError(f"MLP({list(sizes)}) needs at least two widths: the input's and the output's")
        rng = np.random.default_rng(checks.seed("seed", seed, "MLP"))
        self.sizes, self.backend, self.in_features = sizes, backend, sizes[0]
        self.bias, self.init, self.seed, self.norm = bias, init, seed, norm
        self.activation, self.out_activation = find_activation(activation), find_activation(out_activation)
        self.layers = [Linear(a, b, bias, init=init, rng=rng, backend=backend, dtype=dtype) for a, b in pairwise(sizes)]
        self.norms = [make_norm(norm, width, backend, dtype) for width in sizes[1:-1]]
        # A separate random stream, so that the initial weights are the same with and without dropout.
        self.dropout = Dropout(dropout, rng=np.random.default_rng([seed, 1])) if dropout else None
        self.label_parameters()

    def forward(self, x: ArrayLike) -> Any:
        """x (..., sizes[0]) → (..., sizes[-1])."""
        *hidden, last = self.layers
        for layer, norm in zip(hidden, self.norms, strict=True):
            x = self.activation(norm(layer(x)))
            x = x if self.dropout is None else self.dropout(x)
        return as_values(self.out_activation(last(x)))


def make_norm(norm: str | None, width: int, backend: str, dtype: Dtype) -> Any:
    """The normalization of one hidden layer."""
    if norm is None:
        return identity
    if not isinstance(norm, str) or norm not in NORMS:
        raise unknown_name("norm", norm, NORMS)
    return NORMS[norm](width, backend=backend, dtype=dtype)
