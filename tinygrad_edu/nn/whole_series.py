"""An LSTM over a whole series as one operation, where nothing asks for the steps one by one."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.core.aliases import ArrayLike, Model, State
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.sequence import Gate

FEW = 8  # times; the graph of fewer shows every gate in a picture that fits a page, and takes under a millisecond


def lstm_at_once(layer: Model, x: ArrayLike, state: State) -> tuple[Any, Any] | None:
    """(outputs, (h, c)) as the loop over `step` gives them, to rounding; None where the loop is needed."""
    gates = [layer.output_gate, layer.input_gate, layer.forget_gate, layer.cell_gate]
    short = x.shape[-2] < FEW
    if short or layer.horizon is not None or are_steps_wanted(gates) or not of_one_dtype([x, *state], gates):
        return None
    from_input, from_state = (
        ops.concatenate([getattr(gate, f"weight_{part}") for gate in gates]) for part in ("ih", "hh")
    )
    series = x if x.ndim == 3 else ops.reshape(x, (1, *x.shape))
    batch, times, inputs = series.shape
    a = from_input @ ops.reshape(ops.transpose(series, (2, 1, 0)), (inputs, times * batch))
    if gates[0].bias is not None:
        a = a + ops.reshape(ops.concatenate([gate.bias for gate in gates]), (-1, 1))
    size = layer.hidden_features
    h, c = (ops.transpose(ops.broadcast_to(s, (batch, size))) for s in state)
    y = ops.lstm_states(ops.reshape(a, (4 * size, times, batch)), h, c, from_state)
    h, c = ops.transpose(y[-1, :size]), ops.transpose(y[-1, size:])
    if x.ndim == 3:
        return ops.transpose(y[:, :size], (2, 0, 1)), (h, c)
    return y[:, :size, 0], (h[0], c[0])


def are_steps_wanted(gates: list[Any]) -> bool:
    """Is each operation recorded or examined by itself, or does a gate compute otherwise?"""
    if MODES.tensor_trace is not None or MODES.anomaly or MODES.lines or MODES.steps:
        return True
    own = any(gate.__class__ is not Gate or gate.hooks is not None or "forward" in gate.__dict__ for gate in gates)
    return own or len({gate.bias is None for gate in gates}) > 1


def of_one_dtype(given: list[Any], gates: list[Any]) -> bool:
    """Are the weights Tensors, and the arrays given Tensors or plain arrays, all in one dtype?"""
    weights = [w for gate in gates for w in (gate.weight_ih, gate.weight_hh, gate.bias) if w is not None]
    if any(w.__class__ is not Tensor for w in weights) or any(x.__class__ not in (Tensor, np.ndarray) for x in given):
        return False
    return len({x.dtype for x in (*weights, *given)}) == 1
