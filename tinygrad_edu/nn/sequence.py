"""The loop over time: the same step is applied at every time and passes its state to the next.

Input is (time, features) or, batch first, (batch, time, features). `horizon=k` cuts the gradient before each k-th step.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.checks import optional, whole
from tinygrad_edu.core.aliases import ArrayLike, Dtype, Model, State
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.transforms.scan import rolled
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.names import InitializerName
from tinygrad_edu.nn import init as initializers
from tinygrad_edu.nn.inputs import as_array, as_input, refuse_widths
from tinygrad_edu.nn.levels import Levels
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import parameter

Init = InitializerName | initializers.Initializer


class Recurrent(Module):
    """The loop over time that all recurrent layers share; `step` of each layer says what happens at one time."""

    states: tuple[str, ...] = ("h",)  # names of the arrays passed from step to step (a tuple if several)
    start: float = 0.0  # value of the state before the first step
    levels: Levels | None = None  # further layers, and the reverse direction

    def __init__(
        self, in_features: int, hidden_features: int, horizon: int | None, backend: str, dtype: Dtype = None
    ) -> None:
        kind = type(self).__name__
        refuse_widths(kind, in_features=in_features, hidden_features=hidden_features)
        optional(whole, "horizon", horizon, 1, kind, "the steps that a gradient flows back, or None for all of them")
        self.in_features, self.hidden_features, self.backend = in_features, hidden_features, backend
        self.horizon, self.dtype = horizon, dtype

    def describe(self) -> str:
        widths = [self.in_features, self.hidden_features, *filter(None, [getattr(self, "out_features", 0)])]
        more = f", {name}" if (name := getattr(getattr(self, "activation", None), "name", "")) else ""
        if self.levels is not None:
            depth, both = len(self.levels.deeper) + 1, self.levels.reverse is not None
            more += f", {depth} layers" * (depth > 1) + ", both directions" * both
        return f"{type(self).__name__} {'→'.join(map(str, widths))}{more}"

    def step(self, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """One time: x (batch, in) and the state (batch, hidden) → the output (batch, out) and the next state."""
        raise NotImplementedError(f"{type(self).__name__} has no step(x, state)")

    def forward(self, x: ArrayLike, state: State = None) -> tuple[Any, Any]:
        """(outputs over time, last state), for x (time, in) or (batch, time, in).

        `state`: the state to start from, (hidden,) or (batch, hidden), two of them for LSTM; by default the layer's own
        start value. The gradient flows into it unless there is a horizon.
        With several layers or two directions, each state has one more axis in front, with an entry for each layer and,
        within it, each direction; the outputs of two directions are concatenated, (..., 2·hidden).
        """
        return self.run(x, state) if self.levels is None else self.levels.run(self, x, state)

    def run(self, x: ArrayLike, state: State) -> tuple[Any, Any]:
        """One layer in one direction."""
        x = series(x, self)
        state, batched = self.begin(state, x), x.ndim == 3
        loop: tuple[Any, Any] | None = self.loop(x, state, batched) or self.at_once(x, state)
        if loop is not None:
            return loop
        outputs = []
        steps = steps_of(x)
        for t in range(steps):
            if self.horizon is not None and t % self.horizon == 0:
                state = detach(state)
            y, state = self.step(at_time(x, t, steps), state)
            outputs.append(y)
        if batched:
            return ops.stack(outputs, axis=1), state
        whole = ops.concatenate(outputs, axis=0) if steps > 1 else outputs[0]
        return whole, in_each(state, lambda s: s.reshape(s.shape[1:]))

    def at_once(self, _x: ArrayLike, _state: State) -> tuple[Any, Any] | None:
        """The whole series as one operation; None where a layer has none, or cannot use it here."""
        return None

    def loop(self, x: ArrayLike, state: State, batched: bool) -> Any:
        """The loop over time as one loop of a compiled program; None if it cannot be one, or nothing is compiled."""
        if getattr(MODES.tensor_trace, "scan", None) is None:
            return None
        times = ops.swapaxes(x, 0, 1) if batched else x.reshape((x.shape[0], 1, x.shape[1]))
        found = rolled(self.round, state, (times, self.cuts(times.shape[0])), None)
        if found is None:
            return None
        state, ys = found
        if batched:
            return ops.swapaxes(ys, 0, 1), state
        return ys.reshape((ys.shape[0], *ys.shape[2:])), in_each(state, lambda s: s.reshape(s.shape[1:]))

    def cuts(self, times: ArrayLike) -> Any:
        """For a loop: 1 for each time before which the gradient is cut, else 0; empty if it is cut never, or always."""
        if self.horizon in (None, 1):
            return ()
        t = MODES.tensor_trace.positions(times)
        return (ops.equal(t - ops.floor(t / self.horizon) * self.horizon, 0.0),)

    def round(self, state: State, entry: ArrayLike) -> tuple[Any, Any]:
        """One time of a loop: `step`, with its results swapped, in the order that `scan` uses."""
        x, cut = entry
        if self.horizon is not None:
            kept = state if isinstance(state, tuple) else (state,)
            parts = tuple(ops.where(cut[0], detach(s), s) if cut else detach(s) for s in kept)
            state = parts if isinstance(state, tuple) else parts[0]
        y, state = self.step(x, state)
        return state, y

    def begin(self, state: State, x: ArrayLike) -> Any:
        """The state before the first step, (batch, hidden); the default is one row that every sample shares."""
        if state is None:
            dtype = next((array.dtype for _, array in self.named_arrays() if isinstance(array, Tensor)), float)
            rows = tuple(np.full((1, self.hidden_features), self.start, dtype) for _ in self.states)
            return rows if len(rows) > 1 else rows[0]
        given = state if isinstance(state, tuple) else (state,)
        if len(given) != len(self.states):
            wanted = f"({', '.join(self.states)})" if len(self.states) > 1 else f"one array, {self.states[0]}"
            raise ShapeError(f"{type(self).__name__}: the state is {wanted}; arrays given: {len(given)}")
        rows = tuple(self.check_state(s, name, x) for s, name in zip(given, self.states, strict=True))
        return rows if len(rows) > 1 else rows[0]

    def check_state(self, state: State, name: str, x: ArrayLike) -> Any:
        state = as_array(state)
        if self.backend == "scalar" and isinstance(state, Tensor):
            raise SettingError('a model with backend="scalar" takes a state of numbers or Values, not a Tensor')
        wanted = (*x.shape[:-2], self.hidden_features)
        if state.shape != wanted:
            raise ShapeError(
                f"{type(self).__name__}: the state {name} has shape {state.shape}, but an input of shape {x.shape} "
                f"needs {wanted}: {self.hidden_features} hidden units"
                + (", for each sample of the batch" if x.ndim == 3 else "")
            )
        return state if x.ndim == 3 else state.reshape((1, *state.shape))


class Gate(Module):
    """x W_ihᵀ + h W_hhᵀ + b: the sum that the units of a recurrent layer get, before their activation.

    W_ih is (hidden, in), W_hh (hidden, hidden), b (hidden,). torch keeps two biases, b_ih and b_hh: b is their sum.
    """

    def __init__(self, layer: Any, start: RecurrentStart, bias: bool, bias_start: float = 0.0) -> None:
        widths, hidden, backend = (layer.in_features, layer.hidden_features), layer.hidden_features, layer.backend
        self.weight_ih = parameter(
            initializers.draw_weight(start.init, start.rng, *widths), backend, "weight_ih", layer.dtype
        )
        weight_hh = initializers.draw_weight(start.recurrent_init, start.rng, hidden, hidden)
        self.weight_hh = parameter(weight_hh, backend, "weight_hh", layer.dtype)
        drawn = initializers.draw_bias(start.init, start.rng, *widths) + bias_start if bias else None
        self.bias = None if drawn is None else parameter(drawn, backend, "bias", layer.dtype)

    def forward(self, x: ArrayLike, h: ArrayLike = None) -> Any:
        """x (batch, in) and h (batch, hidden) → (batch, hidden); without h, the input's part only."""
        y = x @ self.weight_ih.T
        y = y if self.bias is None else y + self.bias
        return y if h is None else y + self.of_state(h)

    def of_state(self, h: ArrayLike) -> Any:
        """h W_hhᵀ."""
        return h @ self.weight_hh.T


class RecurrentStart:
    """How weights are drawn: a random generator, and the initializers of the input and recurrent weights."""

    def __init__(self, rng: np.random.Generator, init: Init, recurrent_init: Init | None) -> None:
        self.rng, self.init = rng, init
        self.recurrent_init = init if recurrent_init is None else recurrent_init


def series(x: ArrayLike, layer: Model) -> Any:
    """The input as an array, checked to be (time, in) or (batch, time, in) with at least one time."""
    x = as_array(x)
    if x.ndim not in (2, 3) or x.shape[-1] != layer.in_features:
        hint = " For one series of single numbers use x.reshape(-1, 1)." if x.ndim == layer.in_features == 1 else ""
        raise ShapeError(
            f"{type(layer).__name__}: the input has shape {x.shape}, but (time, {layer.in_features}) or "
            f"(batch, time, {layer.in_features}) is needed: {layer.in_features} features at each time.{hint}"
        )
    if x.shape[-2] == 0:
        raise ShapeError(f"{type(layer).__name__}: the input has shape {x.shape}: at least one time step is needed")
    return as_input(x, layer)


def steps_of(x: ArrayLike) -> int:
    """The number of times. In a trace a size is compared, not converted: the number becomes a guard."""
    n = x.shape[-2]
    return n if isinstance(n, int) else next(i for i in count(1) if n == i)


def at_time(x: ArrayLike, t: int, steps: int) -> Any:
    """One time of every series in the batch, (batch, in); (1, in) for a single series."""
    if x.ndim == 3:
        return x[:, t]
    return x[t : t + 1] if steps > 1 else x


def in_each(state: State, f: Callable[[Any], Any]) -> Any:
    """f of a state, or of each of several."""
    return tuple(map(f, state)) if isinstance(state, tuple) else f(state)


def without_state(model: Any, found: Any) -> Any:
    """What a model gives; of a recurrent layer the outputs, without the state behind them."""
    return found[0] if isinstance(found, tuple) and isinstance(model, Recurrent) else found


def detach(state: State) -> Any:
    """Return the same numbers cut off from the graph, for a state or a tuple of states, on both back ends.

    state: a Tensor, an array of Values, or a tuple of them.

    >>> w = Tensor([1.0], requires_grad=True)
    >>> detach((w * 2.0, np.array([Value(1.0).tanh()])))[0].requires_grad
    False
    """
    if isinstance(state, tuple):
        return in_each(state, detach)
    if isinstance(state, np.ndarray) and state.dtype.kind == "O":
        return np.array([detach(v) for v in state.flat], dtype=object).reshape(state.shape)
    return state.detach() if isinstance(state, (Tensor, Value)) else state


def last_output(result: tuple[Any, Any]) -> Any:
    """Return the output at the last time step only, from what a recurrent layer returns.

    result: what a recurrent layer returns, (outputs, state).

    >>> from tinygrad_edu.nn import GRU, Linear, Sequential
    >>> Sequential(GRU(2, 3), last_output, Linear(3, 1))(np.ones((5, 4, 2))).shape  # five series of four times
    (5, 1)
    """
    outputs, _ = result
    return outputs[:, -1] if outputs.ndim == 3 else outputs[-1]
