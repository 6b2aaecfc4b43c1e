"""Recurrent layers of PyTorch and Keras as steps: their gates stand in one array there, and one by one here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop.chain import MERGES, Step

Array = np.ndarray[Any, Any]
GATES = {  # our names of the gates, in the order of torch's and Keras' arrays
    "torch": {
        "RNN": ("hidden",), "GRU": ("reset", "update", "candidate"),
        "LSTM": ("input_gate", "forget_gate", "cell_gate", "output_gate"),
    },
    "keras": {
        "RNN": ("hidden",), "GRU": ("update", "reset", "candidate"),
        "LSTM": ("input_gate", "forget_gate", "cell_gate", "output_gate"),
    },
}  # fmt: skip
CANDIDATE = "candidate"  # GRU's candidate has two separate biases: the second is multiplied by the reset gate


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
    gates, arrays, sources = GATES["torch"][name], dict[str, Array](), dict[str, int]()
    ids = {key: id(p) for key, p in layer.named_parameters()}
    still, frozen = {key for key, p in layer.named_parameters() if not p.requires_grad}, list[str]()
    for level in range(layer.num_layers):
        for turned in range(1 + layer.bidirectional):
            end = f"_l{level}" + "_reverse" * turned
            biases = (state[f"bias_ih{end}"], state[f"bias_hh{end}"]) if layer.bias else ()
            own = split(gates, state[f"weight_ih{end}"], state[f"weight_hh{end}"], biases)
            first = "" if level == 0 and not turned else "levels.reverse."
            place = first if level == 0 else f"levels.deeper.{level - 1}.{turned}."
            arrays |= {f"{place}{key}": value for key, value in own.items()}
            sources |= {f"{place}{key}": ids[f"{torch_array(key)}{end}"] for key in own}
            frozen += [f"{place}{key}" for key in own if {f"{name}{end}" for name in torch_arrays(key)} <= still]
    options = {
        "bias": bool(layer.bias), "num_layers": layer.num_layers, "bidirectional": bool(layer.bidirectional),
        "dropout": float(layer.dropout) if layer.num_layers > 1 else 0.0,
    }  # fmt: skip
    options |= {"activation": layer.nonlinearity} if name == "RNN" else {}
    return Step(
        "recurrent", name, (layer.input_size, layer.hidden_size), arrays=arrays, options=options, sources=sources,
        frozen=tuple(frozen),
    )  # fmt: skip


def torch_array(key: str) -> str:
    """The name of torch's array that contains one of ours."""
    name = key.rpartition(".")[2]
    return {"bias": "bias_ih", "candidate_bias": "bias_hh"}.get(name, name)


def torch_arrays(key: str) -> tuple[str, ...]:
    """The names of all of torch's arrays that one of ours is made of: a bias of a gate is the sum of two."""
    name = key.rpartition(".")[2]
    return ("bias_ih", "bias_hh") if name == "bias" and not key.endswith("candidate.bias") else (torch_array(key),)


ALIKE = ("units", "activation", "use_bias", "return_sequences")  # settings that must be the same in both directions
KERAS = {"SimpleRNN": "RNN", "GRU": "GRU", "LSTM": "LSTM"}
UNUSUAL = {
    "go_backwards": False, "stateful": False, "recurrent_dropout": 0.0, "dropout": 0.0, "unit_forget_bias": True,
    "reset_after": True, "recurrent_activation": "sigmoid",
}  # fmt: skip


def of_keras(kind: str, config: Mapping[str, Any], width: int, weights: list[Array]) -> list[Step]:
    """Keras' SimpleRNN, GRU or LSTM, and which outputs it returns. Errors: SettingError."""
    refuse_unusual(kind, config, UNUSUAL)
    arrays = arrays_of_keras(kind, config, weights)
    every, units = bool(config.get("return_sequences", False)), int(config["units"])
    return [
        Step("recurrent", KERAS[kind], (width, units), arrays=arrays, options=options_of_keras(kind, config)),
        Step("outputs", "all" if every else "last", (units,)),
    ]


def bidirectional(config: Mapping[str, Any], width: int, weights: list[Array]) -> list[Step]:
    """Keras' Bidirectional of one of these; of its last outputs, each way's own. Errors: SettingError."""
    kind, inner = str(config["layer"]["class_name"]), config["layer"]["config"]
    if kind not in KERAS:
        raise SettingError(f"Bidirectional({kind}) has no counterpart: {', '.join(KERAS)} have")
    refuse_unusual(kind, inner, UNUSUAL)
    other = (config.get("backward_layer") or {}).get("config", {})
    refuse_unusual("backward_layer", other, {name: inner.get(name) for name in ALIKE if name in other})
    merge = config.get("merge_mode", "concat")
    if merge not in MERGES:
        raise SettingError(f"Bidirectional(merge_mode={merge!r}): only {', '.join(MERGES)} have a counterpart")
    half = len(weights) // 2
    arrays = arrays_of_keras(kind, inner, weights[:half])
    arrays |= {f"levels.reverse.{name}": W for name, W in arrays_of_keras(kind, inner, weights[half:]).items()}
    every, units = bool(inner.get("return_sequences", False)), int(inner["units"])
    options = options_of_keras(kind, inner) | {"bidirectional": True}
    return [
        Step("recurrent", KERAS[kind], (width, units), arrays=arrays, options=options),
        Step("outputs", f"{'all' if every else 'ends'} {merge}", (2 * units if merge == "concat" else units,)),
    ]


def refuse_unusual(kind: str, config: Mapping[str, Any], usual: Mapping[str, Any]) -> None:
    for argument, only in usual.items():
        if config.get(argument, only) != only:
            raise SettingError(f"{kind}({argument}={config[argument]!r}): only {only!r} has a counterpart")
    activation = config.get("activation") or "linear"
    if kind in ("LSTM", "GRU") and activation != "tanh":
        raise SettingError(f"{kind}(activation={activation!r}): only 'tanh' has a counterpart")


def arrays_of_keras(kind: str, config: Mapping[str, Any], weights: list[Array]) -> dict[str, Array]:
    """The arrays of one direction by our names; empty if Keras has not built them yet."""
    if not weights:
        return {}
    biases = tuple(np.atleast_2d(weights[2])) if config.get("use_bias", True) else ()
    return split(GATES["keras"][KERAS[kind]], weights[0].T, weights[1].T, biases)


def options_of_keras(kind: str, config: Mapping[str, Any]) -> dict[str, Any]:
    options: dict[str, Any] = {"bias": bool(config.get("use_bias", True))}
    activation = str(config.get("activation") or "linear")
    if KERAS[kind] == "RNN":
        options["activation"] = {"linear": "identity"}.get(activation, activation)
    return options
