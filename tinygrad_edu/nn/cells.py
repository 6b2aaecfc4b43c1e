"""One time of a recurrent layer, under PyTorch's names: for loops over time that a program writes out itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Dtype, State
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import ShapeError
from tinygrad_edu.names import ActivationName, BackEndName
from tinygrad_edu.nn.inputs import as_array, as_input, random_generator, refuse_widths
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import parameter
from tinygrad_edu.nn.recurrent import GRU, LSTM, RNN
from tinygrad_edu.nn.sequence import Gate, Init, RecurrentStart
from tinygrad_edu.nn.torch_names import torch_arguments


class Cell(Module):
    """The base of the three cells: x (batch, in) or (in,) and a state → the next state; a state starts at 0."""

    states: tuple[str, ...] = ("h",)
    step: Any  # the `step` of the recurrent layer with that name

    def __init__(self, in_features: int, hidden_features: int, backend: str, dtype: Dtype) -> None:
        refuse_widths(type(self).__name__, in_features=in_features, hidden_features=hidden_features)
        self.in_features, self.hidden_features = in_features, hidden_features
        self.backend, self.dtype = backend, dtype

    def describe(self) -> str:
        return f"{type(self).__name__} {self.in_features}→{self.hidden_features}"

    def forward(self, x: ArrayLike, state: State = None) -> Any:
        """The next state: h, and of an LSTM (h, c). Errors: ShapeError for a series, or another state."""
        x = as_input(x, self)
        if x.ndim > 2:
            raise ShapeError(
                f"{type(self).__name__} reads one time, (batch, {self.in_features}) or ({self.in_features},), and x "
                f"has shape {x.shape}: give it x[:, t], or the whole series to nn.{type(self).__name__[:-4]}"
            )
        state = self.check_state(state)
        if state is None:
            weight = next(array for _, array in self.named_arrays())
            dtype = weight.dtype if isinstance(weight, Tensor) else float
            zeros = tuple(
                np.zeros(self.hidden_features, dtype) for _ in self.states
            )  # the same for all rows, without a batch axis, because exports do not know the number of rows
            state = zeros if len(zeros) > 1 else zeros[0]
        return self.step(x, state)[1]

    def check_state(self, state: State) -> Any:
        """The state, an array for each of its names. Errors: ShapeError."""
        several, name, width = len(self.states) > 1, type(self).__name__, self.hidden_features
        if state is None:
            return None
        wanted = f"({', '.join(self.states)})" if several else "one array h"
        if isinstance(state, tuple) is not several or (several and len(state) != len(self.states)):
            given = f"a tuple of {len(state)}" if isinstance(state, tuple) else f"of shape {np.shape(state)}"
            raise ShapeError(f"{name}: the state has to be {wanted}, and is {given}")
        parts = tuple(as_array(part) for part in (state if several else (state,)))
        for part, label in zip(parts, self.states, strict=True):
            if part.ndim not in (1, 2) or part.shape[-1] != width:
                raise ShapeError(f"{name}: {label} has shape {part.shape}, not (batch, {width}) or ({width},)")
        return parts if several else parts[0]


@torch_arguments(input_size="in_features", hidden_size="hidden_features", nonlinearity="activation")
class RNNCell(Cell):
    """h′ = f(x W_ihᵀ + h W_hhᵀ + b), one step of nn.RNN.

    in_features: the width of x.
    hidden_features: the number of hidden units, the width of the state.
    bias: whether to add a learned bias.
    activation: f, any operation of one argument by name.
    init: how the weights are initialized: a function of nn.init, or its name.
    rng: a random generator or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> cell, h = RNNCell(2, 3, rng=0), np.zeros((5, 3))
    >>> for x in np.ones((4, 5, 2)):  # four times of five series
    ...     h = cell(x, h)
    >>> h.shape
    (5, 3)
    """

    step = RNN.step

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: bool = True,
        activation: ActivationName = "tanh",
        *,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, backend, dtype)
        self.activation = find_activation(activation)
        self.hidden = Gate(self, RecurrentStart(random_generator("RNNCell", rng), init, None), bias)
        self.label_parameters()


@torch_arguments(input_size="in_features", hidden_size="hidden_features")
class GRUCell(Cell):
    """h′ = (1 - z)∘n + z∘h, one step of nn.GRU, whose formulas and parameters it has.

    in_features: the width of x.
    hidden_features: the number of hidden units, the width of the state.
    bias: whether to add a learned bias.
    init: how the weights are initialized: a function of nn.init, or its name.
    rng: a random generator or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> GRUCell(2, 3, rng=0)(np.ones((5, 2))).shape
    (5, 3)
    """

    step = GRU.step

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: bool = True,
        *,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, backend, dtype)
        start = RecurrentStart(random_generator("GRUCell", rng), init, None)
        self.reset, self.update, self.candidate = (Gate(self, start, bias) for _ in range(3))
        self.candidate_bias = parameter(np.zeros(hidden_features), backend, "candidate_bias", dtype) if bias else None
        self.label_parameters()


@torch_arguments(input_size="in_features", hidden_size="hidden_features")
class LSTMCell(Cell):
    """c′ = f∘c + i∘g, h′ = o∘tanh(c′), one step of nn.LSTM, whose formulas and parameters it has; the state is (h, c).

    in_features: the width of x.
    hidden_features: the number of hidden units, the width of the state.
    bias: whether to add a learned bias.
    forget_bias: the initial bias of the forget gate.
    init: how the weights are initialized: a function of nn.init, or its name.
    rng: a random generator or a seed.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".

    >>> h, c = LSTMCell(2, 3, rng=0)(np.ones((5, 2)))
    >>> h.shape, c.shape
    ((5, 3), (5, 3))
    """

    states = ("h", "c")
    step = LSTM.step

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: bool = True,
        *,
        forget_bias: float = 1.0,
        init: Init = "glorot_uniform",
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, backend, dtype)
        start = RecurrentStart(random_generator("LSTMCell", rng), init, None)
        self.input_gate = Gate(self, start, bias)
        self.forget_gate = Gate(self, start, bias, forget_bias)
        self.cell_gate = Gate(self, start, bias)
        self.output_gate = Gate(self, start, bias)
        self.label_parameters()
