"""Recurrent layers: RNN, GRU, LSTM and Elman's network. The loop over time that they share is in `sequence`."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu import checks, ops
from tinygrad_edu.core.aliases import ArrayLike, Dtype, State
from tinygrad_edu.names import ActivationName, BackEndName
from tinygrad_edu.nn.inputs import random_generator
from tinygrad_edu.nn.layers import Linear, find_activation
from tinygrad_edu.nn.levels import levels
from tinygrad_edu.nn.parameters import parameter
from tinygrad_edu.nn.sequence import Gate, Init, Recurrent, RecurrentStart
from tinygrad_edu.nn.torch_names import torch_arguments
from tinygrad_edu.nn.whole_series import lstm_at_once


@torch_arguments(input_size="in_features", hidden_size="hidden_features", nonlinearity="activation")
class RNN(Recurrent):
    """The plain recurrent layer, hₜ = f(xₜ W_ihᵀ + hₜ₋₁ W_hhᵀ + b); its output is h.

    in_features: the width of the input's last axis.
    hidden_features: the number of hidden units, the width of the state h, which starts at 0.
    activation: f, the name of any operation of one argument.
    bias: whether to add a learned bias.
    horizon: how many time steps the gradient flows back; None for all of them.
    init: how the input weights are initialized: a function of nn.init, or its name.
    recurrent_init: how the recurrent weights are initialized; as the input weights by default.
    rng: a random generator, or a seed.
    backend: "tensor", or "scalar" for Values.
    num_layers: the number of stacked layers.
    bidirectional: whether a second layer reads the series backward.
    dropout: the share of numbers set to 0 between layers during training, in [0, 1).
    dtype: "float64" or "float32".
    Errors: SettingError and NameNotFoundError for bad settings, ShapeError for an input or a state that does not fit.

    >>> outputs, h = RNN(2, 3, rng=0)(np.ones((5, 4, 2)))  # five series of four times
    >>> outputs.shape, h.shape
    ((5, 4, 3), (5, 3))
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        activation: ActivationName = "tanh",
        bias: bool = True,
        *,
        horizon: int | None = None,
        init: Init = "glorot_uniform",
        recurrent_init: Init | None = None,
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, horizon, backend, dtype)
        rng = random_generator("RNN", rng)
        own: dict[str, Any] = {
            "horizon": horizon,
            "init": init,
            "recurrent_init": recurrent_init,
            "rng": rng,
            "backend": backend,
        }
        self.activation = find_activation(activation)
        self.hidden = Gate(self, RecurrentStart(rng, init, recurrent_init), bias)
        make = partial(RNN, hidden_features=hidden_features, activation=activation, bias=bias, dtype=dtype, **own)
        self.levels = levels(self, num_layers, bidirectional, dropout, rng, make)
        self.label_parameters()

    def step(self, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """h = f(x W_ihᵀ + h W_hhᵀ + b), returned twice: as the output and as the state."""
        h = self.activation(self.hidden(x, state))
        return h, h


@torch_arguments(input_size="in_features", hidden_size="hidden_features")
class GRU(Recurrent):
    """Gated recurrent units: h′ = (1 - z)∘n + z∘h, with a candidate n that sees h through the gate r.

    r = σ(x W_irᵀ + h W_hrᵀ + b_r),  z = σ(x W_izᵀ + h W_hzᵀ + b_z),
    n = tanh(x W_inᵀ + b_n + r∘(h W_hnᵀ + b_hn)).  (Cho et al. 2014; torch's form, r after the product)
    The parameters are `reset`, `update`, `candidate` and `candidate_bias` (b_hn). Arguments and errors as for RNN.
    in_features: the width of the input's last axis.
    hidden_features: the number of hidden units, the width of the state.
    bias: whether to add a learned bias.
    horizon: how many time steps the gradient flows back; None for all of them.
    init: how the input weights are initialized: a function of nn.init, or its name.
    recurrent_init: the same for the recurrent weights.
    rng: a random generator, or the seed of one.
    backend: "tensor", or "scalar" for Values.
    num_layers: the number of stacked layers.
    bidirectional: whether to read the series backward as well.
    dropout: the share of numbers set to 0 between layers during training, in [0, 1).
    dtype: "float64" or "float32".

    >>> outputs, h = GRU(2, 3, rng=0)(np.ones((4, 2)))
    >>> bool(np.all(outputs.data[-1] == h.data))
    True
    """

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: bool = True,
        *,
        horizon: int | None = None,
        init: Init = "glorot_uniform",
        recurrent_init: Init | None = None,
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, horizon, backend, dtype)
        rng = random_generator("GRU", rng)
        own: dict[str, Any] = {
            "horizon": horizon,
            "init": init,
            "recurrent_init": recurrent_init,
            "rng": rng,
            "backend": backend,
        }
        start = RecurrentStart(rng, init, recurrent_init)
        self.reset, self.update, self.candidate = (Gate(self, start, bias) for _ in range(3))
        self.candidate_bias = parameter(np.zeros(hidden_features), backend, "candidate_bias", dtype) if bias else None
        make = partial(GRU, hidden_features=hidden_features, bias=bias, dtype=dtype, **own)
        self.levels = levels(self, num_layers, bidirectional, dropout, rng, make)
        self.label_parameters()

    def step(self, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """h′ = (1 - z)∘n + z∘h, returned twice: as the output and as the state."""
        r, z = ops.sigmoid(self.reset(x, state)), ops.sigmoid(self.update(x, state))
        seen = self.candidate.of_state(state)
        seen = seen if self.candidate_bias is None else seen + self.candidate_bias
        n = ops.tanh(self.candidate(x) + r * seen)
        h = (1.0 - z) * n + z * state
        return h, h


@torch_arguments(input_size="in_features", hidden_size="hidden_features")
class LSTM(Recurrent):
    """Long short-term memory: gates write to, erase and read a cell c; the state is (h, c).

    i, f, o = σ(x Wᵀ + h Uᵀ + b) with weights of their own,  g = tanh(x W_gᵀ + h U_gᵀ + b_g),
    c′ = f∘c + i∘g,  h′ = o∘tanh(c′).  (Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000)
    `forget_bias`, the initial b_f: 1 keeps the cell at first (Jozefowicz et al. 2015); torch draws it around 0.
    The parameters are `input_gate`, `forget_gate`, `cell_gate`, `output_gate`. Arguments and errors as for RNN.
    in_features: the width of the input's last axis.
    hidden_features: the number of hidden units, the width of the state.
    bias: whether to add a learned bias.
    forget_bias: the initial bias of the forget gate, b_f.
    horizon: how many time steps the gradient flows back; None for all of them.
    init: how the input weights are initialized: a function of nn.init, or its name.
    recurrent_init: the same for the recurrent weights.
    rng: a random generator, or the seed of one.
    backend: "tensor", or "scalar" for Values.
    num_layers: the number of stacked layers.
    bidirectional: whether to read the series backward as well.
    dropout: the share of numbers set to 0 between layers during training, in [0, 1).
    dtype: "float64" or "float32".

    >>> outputs, (h, c) = LSTM(2, 3, rng=0)(np.ones((4, 2)))
    >>> outputs.shape, h.shape, c.shape
    ((4, 3), (3,), (3,))
    """

    states = ("h", "c")

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        bias: bool = True,
        *,
        forget_bias: float = 1.0,
        horizon: int | None = None,
        init: Init = "glorot_uniform",
        recurrent_init: Init | None = None,
        rng: np.random.Generator | int | None = None,
        backend: BackEndName = "tensor",
        num_layers: int = 1,
        bidirectional: bool = False,
        dropout: float = 0.0,
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, horizon, backend, dtype)
        rng = random_generator("LSTM", rng)
        own: dict[str, Any] = {
            "horizon": horizon,
            "init": init,
            "recurrent_init": recurrent_init,
            "rng": rng,
            "backend": backend,
        }
        start = RecurrentStart(rng, init, recurrent_init)
        self.input_gate = Gate(self, start, bias)
        self.forget_gate = Gate(self, start, bias, forget_bias)
        self.cell_gate = Gate(self, start, bias)
        self.output_gate = Gate(self, start, bias)
        own |= {"forget_bias": forget_bias, "dtype": dtype}
        make = partial(LSTM, hidden_features=hidden_features, bias=bias, **own)
        self.levels = levels(self, num_layers, bidirectional, dropout, rng, make)
        self.label_parameters()

    def step(self, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """h′ = o∘tanh(c′) as the output, and (h′, c′) as the state."""
        h, c = state
        i, f = ops.sigmoid(self.input_gate(x, h)), ops.sigmoid(self.forget_gate(x, h))
        g, o = ops.tanh(self.cell_gate(x, h)), ops.sigmoid(self.output_gate(x, h))
        c = f * c + i * g
        h = o * ops.tanh(c)
        return h, (h, c)

    def at_once(self, x: ArrayLike, state: State) -> tuple[Any, Any] | None:
        return lstm_at_once(self, x, state) if type(self).step is LSTM.step else None


class Elman(Recurrent):
    """Elman's network with an output layer: the hidden units see the input and a context, a decaying sum of their past.

    h = σ(x W_ihᵀ + c W_hhᵀ + b),  y = f(h Vᵀ),  then c ← λ·c + h.  (Elman 1990: λ = 0; as in RSNNS)
    With `horizon=1` the gradient takes c as a constant (the truncated gradient); None is full backpropagation through
    time.

    in_features: the width of the input's last axis.
    hidden_features: the number of hidden units, the width of the state.
    out_features: the width of the output's last axis.
    activation: of the hidden units.
    out_activation: f, of the output.
    out_bias: whether the output has a bias.
    self_feedback: λ, the share of the context that is kept.
    context_start: the numbers that c starts with, as in RSNNS.
    horizon: 1 takes the context as a constant; None is full backpropagation through time.
    init: how the input weights are initialized: a function of nn.init, or its name.
    recurrent_init: the same for the recurrent weights.
    seed: the seed that the weights are drawn from.
    backend: "tensor", or "scalar" for Values.
    dtype: "float64" or "float32".
    Errors: SettingError and NameNotFoundError for bad settings, ShapeError for an input or context that does not fit.

    >>> model = Elman(5, 4, 1)
    >>> outputs, context = model(np.ones((7, 5)))
    >>> outputs.shape, context.shape
    ((7, 1), (4,))
    """

    states = ("context",)

    def __init__(
        self,
        in_features: int,
        hidden_features: int,
        out_features: int,
        activation: ActivationName = "sigmoid",
        out_activation: ActivationName = "identity",
        out_bias: bool = False,
        *,
        self_feedback: float = 0.3,
        context_start: float = 0.5,
        horizon: int | None = 1,
        init: Init = "glorot_uniform",
        recurrent_init: Init | None = None,
        seed: int = 0,
        backend: BackEndName = "tensor",
        dtype: Dtype = None,
    ) -> None:
        super().__init__(in_features, hidden_features, horizon, backend, dtype)
        start = RecurrentStart(np.random.default_rng(checks.seed("seed", seed, "Elman")), init, recurrent_init)
        bounded = "where the context c ← λ·c + h stays bounded"
        self.self_feedback = checks.number("self_feedback", self_feedback, "(-1, 1)", "Elman", bounded)
        self.start = checks.number("context_start", context_start, owner="Elman")
        self.activation, self.out_activation = find_activation(activation), find_activation(out_activation)
        self.hidden = Gate(self, start, bias=True)
        self.output = Linear(
            hidden_features, out_features, out_bias, init=init, rng=start.rng, backend=backend, dtype=dtype
        )
        self.out_features = out_features
        self.label_parameters()

    def step(self, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """y = f(h Vᵀ), and the context λ·c + h for the next step."""
        h = self.activation(self.hidden(x, state))
        return self.out_activation(self.output(h)), self.self_feedback * state + h
