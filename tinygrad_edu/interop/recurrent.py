"""Recurrent layers of PyTorch and Keras as steps: their gates stand in one array there, and one by one here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop.chain import Step

Array = np.ndarray[Any, Any]
GATES = {  # our names, in the order in which torch's and Keras' arrays have them
    "torch": {
        "RNN": ("hidden",), "GRU": ("reset", "update", "candidate"),
        "LSTM": ("input_gate", "forget_gate", "cell_gate", "output_gate"),
    },
    "keras": {
        "RNN": ("hidden",), "GRU": ("update", "reset", "candidate"),
        "LSTM": ("input_gate", "forget_gate", "cell_gate", "output_gate"),
    },
}  # fmt: skip
CANDIDATE = "candidate"  # of GRU, whose two biases are not one: the second is multiplied by the reset gate


def split(gates: tuple[str, ...], W: Array, U: Array, biases: tuple[Array, ...]) -> dict[str, Array]:
    """The arrays of one level: W (gates·hidden, in), U (gates·hidden, hidden), and one or two biases, by our names."""
    found, hidden = dict[str, Array](), len(W) // len(gates)
    for i, gate in enumerate(gates):
        rows = slice(i * hidden, (i + 1) * hidden)
        found |= {f"{gate}.weight_ih": W[rows], f"{gate}.weight_hh": U[rows]}
        if not biases:
            continue
        if gate == CANDIDATE:
            second = biases[1][rows] if len(biases) > 1 else np.zeros(hidden)
            found |= {"candidate.bias": biases[0][rows], "candidate_bias": second}
        else:
            found[f"{gate}.bias"] = np.sum([bias[rows] for bias in biases], axis=0)
    return found


def of_torch(layer: Any) -> Step:
    """torch.nn.RNN, GRU or LSTM. Errors: SettingError for what has no counterpart."""
    name = type(layer).__name__
    if getattr(layer, "proj_size", 0):
        raise SettingError(f"{name}(proj_size={layer.proj_size}) has no counterpart")
    state = {key: value.detach().cpu().numpy().astype(float) for key, value in layer.state_dict().items()}
    gates, arrays = GATES["torch"][name], dict[str, Array]()
    for level in range(layer.num_layers):
        for turned in range(1 + layer.bidirectional):
            end = f"_l{level}" + "_reverse" * turned
            biases = (state[f"bias_ih{end}"], state[f"bias_hh{end}"]) if layer.bias else ()
            own = split(gates, state[f"weight_ih{end}"], state[f"weight_hh{end}"], biases)
            first = "" if level == 0 and not turned else "levels.reverse."
            place = first if level == 0 else f"levels.deeper.{level - 1}.{turned}."
            arrays |= {f"{place}{key}": value for key, value in own.items()}
    options = {
        "bias": bool(layer.bias), "num_layers": layer.num_layers, "bidirectional": bool(layer.bidirectional),
        "dropout": float(layer.dropout) if layer.num_layers > 1 else 0.0,
    }  # fmt: skip
    options |= {"activation": layer.nonlinearity} if name == "RNN" else {}
    return Step("recurrent", name, (layer.input_size, layer.hidden_size), arrays=arrays, options=options)


KERAS = {"SimpleRNN": "RNN", "GRU": "GRU", "LSTM": "LSTM"}
UNUSUAL = {
    "go_backwards": False, "stateful": False, "recurrent_dropout": 0.0, "dropout": 0.0, "unit_forget_bias": True,
    "reset_after": True, "recurrent_activation": "sigmoid",
}  # fmt: skip


def of_keras(kind: str, config: Mapping[str, Any], width: int, weights: list[Array]) -> list[Step]:
    """SimpleRNN, GRU or LSTM of Keras, and which outputs it hands on. Errors: SettingError."""
    name, activation = KERAS[kind], str(config.get("activation") or "linear")
    for argument, usual in UNUSUAL.items():
        if config.get(argument, usual) != usual:
            raise SettingError(f"{kind}({argument}={config[argument]!r}): only {usual!r} has a counterpart")
    if name != "RNN" and activation != "tanh":
        raise SettingError(f"{kind}(activation={activation!r}): only 'tanh' has a counterpart")
    units, bias = int(config["units"]), bool(config.get("use_bias", True))
    arrays: dict[str, Array] = {}
    if weights:
        given = tuple(np.atleast_2d(weights[2])) if bias else ()
        arrays = split(GATES["keras"][name], weights[0].T, weights[1].T, given)
    options: dict[str, Any] = {"bias": bias}
    options |= {"activation": {"linear": "identity"}.get(activation, activation)} if name == "RNN" else {}
    every = bool(config.get("return_sequences", False))
    return [
        Step("recurrent", name, (width, units), arrays=arrays, options=options),
        Step("outputs", "all" if every else "last"),
    ]
