"""From Keras: a Sequential model, or a functional one that is a row of layers, or its JSON; Keras is not needed."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Model
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.interop import recurrent
from tinygrad_edu.interop.chain import EVERY, Chain, Step
from tinygrad_edu.interop.keras_training import refuse_unlike, what_training_loses, with_starts
from tinygrad_edu.nn.module import Module
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
ACTIVATIONS = {  # Keras' name -> ours
    "linear": "identity", "relu": "relu", "relu6": "relu6", "tanh": "tanh", "sigmoid": "sigmoid", "softmax": "softmax",
    "elu": "elu", "selu": "selu", "gelu": "gelu", "silu": "silu", "swish": "silu", "softplus": "softplus",
    "softsign": "softsign", "exponential": "exp", "hard_sigmoid": "hard_sigmoid", "mish": "mish",
    "hard_silu": "hard_swish", "hard_swish": "hard_swish", "hard_tanh": "hard_tanh", "celu": "celu",
    "log_sigmoid": "log_sigmoid", "log_softmax": "log_softmax",
}  # fmt: skip
SILENT = (
    "InputLayer",
    "Rescaling",
    "GaussianNoise",
    "ActivityRegularization",
)  # layers without effect at prediction, or without weights

# arguments for which these layers equal ours
USUAL: dict[str, dict[str, Any]] = {
    "ReLU": {"max_value": None, "negative_slope": 0.0, "threshold": 0.0}, "Softmax": {"axis": -1},
    "ELU": {"alpha": 1.0}, "Dropout": {"noise_shape": None}, "Embedding": {"mask_zero": False},
    "Rescaling": {"scale": 1.0, "offset": 0.0}, "BatchNormalization": {"axis": -1},
    "LayerNormalization": {"axis": -1, "rms_scaling": False}, "Flatten": {"data_format": "channels_last"},
}  # fmt: skip
FEW = 3  # samples on which the layers are compared with the model
SAME, HALF = 1e-3, 0.05  # relative, through many layers: in float32, and in 2-byte floats


@check_arguments
def from_keras(model: Model) -> Module:
    """Turn a Keras model into a Module of this library with the same weights; from JSON, with new initial weights.

    model: a keras.Sequential, a functional model whose layers follow one another, what `model.to_json()` gives, or the
    dict of `model.get_config()`; of Dense, Activation and its kin, Dropout, LayerNormalization, BatchNormalization,
    Flatten, Embedding, and SimpleRNN, GRU and LSTM, one way or Bidirectional. A model that nn.MLP can express becomes
    one. Layers that are not trainable are frozen; regularizers, constraints and noise have no counterpart, so that a
    model with them gives a warning, and JSON with them is refused.
    Errors: OperandError for what is no such model, SettingError for a layer that has no counterpart; both name it.

    >>> layers = [{"class_name": "InputLayer", "config": {"batch_shape": [None, 2]}},
    ...           {"class_name": "Dense", "config": {"units": 3, "activation": "relu"}},
    ...           {"class_name": "Dense", "config": {"units": 1, "activation": "linear"}}]
    >>> from_keras({"class_name": "Sequential", "config": {"layers": layers}}).sizes
    (2, 3, 1)
    """
    chain, layers = chain_of(model), layers_of(model)
    lost = list(what_training_loses(layers, drawn=not is_object(model)))
    if lost and not is_object(model):
        raise SettingError(f"{', '.join(lost)}: no counterpart, and without it the training would be another one")
    if lost:
        warnings.warn(f"from_keras leaves out what only training uses: {', '.join(lost)}", stacklevel=3)
    chain = chain if is_object(model) else with_starts(chain)
    return chain.whole()


def is_object(model: Model) -> bool:
    """Is it the model itself, which can be called, and not its JSON or its config?"""
    return not isinstance(model, (str, Mapping)) and callable(model)


def is_keras(model: Model) -> bool:
    """Is it a Keras model, or the JSON or the config of one?"""
    if isinstance(model, str):
        return model.lstrip().startswith("{") and '"class_name"' in model
    if isinstance(model, Mapping):
        return "layers" in model or "class_name" in model
    return hasattr(model, "get_config") and hasattr(model, "layers") and hasattr(model, "get_weights")


def chain_of(model: Any, shape: tuple[int, ...] | None = None) -> Chain:
    """Its layers in their order; shape: of one sample, where the model does not say it."""
    if not is_keras(model):
        raise OperandError(f"from_keras takes a Keras model, its to_json() or its get_config(), not {model!r:.60}")
    layers = layers_of(model)
    if not is_object(model):
        refuse_unlike(json.loads(model) if isinstance(model, str) else model, layers)
    weights = weights_of(model, len(layers))
    shape, steps = shape or shape_of(model) or input_shape(layers), []
    sample = shape
    for layer, own in zip(layers, weights, strict=True):
        kind, config = str(layer["class_name"]), layer["config"]
        if kind == "TimeDistributed":
            kind, config = each_time(config)
        refuse_unusual(kind, config, len(shape))
        if kind in SILENT:
            continue
        if kind not in LAYERS:
            raise SettingError(f"{kind} has no counterpart in from_keras: it takes {', '.join(LAYERS)}")
        made = [trained_as(config, step, shape) for step in LAYERS[kind](config, shape[-1], own)]
        steps += made
        shape = shape_after(made, shape)
    chain = Chain(tuple(steps))
    if is_object(model) and getattr(model, "built", True):
        refuse_other_outputs(model, chain, sample)
    return chain


def each_time(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any]]:
    """(kind, config) of the layer that TimeDistributed applies. Errors: SettingError where it needs its own axes."""
    kind, inner = str(config["layer"]["class_name"]), config["layer"]["config"]
    if kind in ("Flatten", "Bidirectional", *recurrent.KERAS):
        raise SettingError(f"TimeDistributed({kind}) has no counterpart: a layer of the last axis alone has")
    return kind, {**inner, "trainable": config.get("trainable", True) and inner.get("trainable", True)}


def trained_as(config: Mapping[str, Any], step: Step, shape: tuple[int, ...]) -> Step:
    """A step that is frozen where its layer is not trainable, and one that flattens with the shape that it takes."""
    step = replace(step, sizes=shape) if step.kind == "flatten" else step
    return step if config.get("trainable", True) else replace(step, frozen=EVERY)


def refuse_unusual(kind: str, config: Mapping[str, Any], last: int) -> None:
    """Errors: SettingError for an argument that changes what a layer does; `last`, the number of the last axis."""
    for argument, usual in USUAL.get(kind, {}).items():
        given = config.get(argument)
        given = given[0] if isinstance(given, (list, tuple)) and len(given) == 1 else given
        if given is not None and given != usual and not (argument == "axis" and given == last):
            raise SettingError(f"{kind}({argument}={config[argument]!r}): only {usual!r} has a counterpart")


def refuse_other_outputs(model: Model, chain: Chain, shape: tuple[int, ...]) -> None:
    """A model of any form has a list of layers; only one pass shows whether they are a row. Errors: OperandError."""
    rng, first = np.random.default_rng(0), chain.steps[0] if chain.steps else None
    counts = first is not None and first.kind == "embedding"
    whole = (rows_taken(model), *shape)
    X = rng.integers(0, first.sizes[0], whole) if first and counts else rng.normal(size=whole)
    given = model(X, training=False)
    if isinstance(given, (list, tuple, Mapping)):
        raise OperandError(f"the model has {len(given)} outputs: it is not a chain of layers")
    theirs, ours = np.asarray(plain_array(given)), chain.sequential().eval()(X).numpy()
    limit = HALF if theirs.dtype.itemsize == 2 else SAME
    theirs = theirs.astype(float)
    room = limit * np.abs(theirs[np.isfinite(theirs)]).max(initial=0.0)  # diverged networks are converted too
    if ours.shape != theirs.shape or not np.allclose(ours, theirs, limit, room, equal_nan=True):
        raise OperandError(
            "from_keras takes a chain of layers, but these layers, one after the other, give other outputs than the "
            "model does (does it add results, use a layer twice, scale its inputs, or have a call of its own?)"
        )


def rows_taken(model: Model) -> int:
    """A few, or as many as the model takes where its Input has a batch_size."""
    shape = getattr(model, "input_shape", None)
    return int(shape[0]) if isinstance(shape, tuple) and shape and shape[0] else FEW


def plain_array(tensor: Any) -> Any:
    """The result of a Keras back end without its graph."""
    return tensor.detach().cpu() if hasattr(tensor, "detach") else tensor


def shape_after(made: list[Step], shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape of one sample behind the steps of a layer."""
    kinds = {step.kind: step for step in made}
    if "flatten" in kinds:
        return (int(np.prod(shape)),)
    if "embedding" in kinds:
        return (*shape, made[0].sizes[1])
    if "recurrent" in kinds:
        outputs = kinds["outputs"]
        return (*shape[:-1], *outputs.sizes) if outputs.name.startswith("all") else outputs.sizes
    return (*shape[:-1], made[0].sizes[1]) if "linear" in kinds else shape


def layers_of(model: Any) -> list[Mapping[str, Any]]:
    """[{"class_name": ..., "config": ...}] of each layer."""
    config = json.loads(model) if isinstance(model, str) else model
    if not isinstance(config, Mapping):
        return [{"class_name": type(layer).__name__, "config": layer.get_config()} for layer in config.layers]
    config = config.get("config", config) if "layers" not in config else config
    layers = config.get("layers", []) if isinstance(config, Mapping) else config
    for layer in layers:
        nodes = layer.get("inbound_nodes") or []
        if len(nodes) > 1 or json.dumps(nodes, default=str).count("keras_history") > 1:
            raise OperandError(
                f"{layer['config'].get('name')}: it takes the results of more than one layer: the model is not a "
                "chain of layers"
            )
    if not layers:
        raise OperandError("the Keras model has no layers")
    return list(layers)


def weights_of(model: Model, count: int) -> list[list[Array]]:
    """The arrays of each layer; none where only the form is known."""
    if isinstance(model, (str, Mapping)):
        return [[] for _ in range(count)]
    return [[np.asarray(w, dtype=float) for w in layer.get_weights()] for layer in model.layers]


def shape_of(model: Any) -> tuple[int, ...]:
    """The shape of a sample that a model object was built for; () where it does not say, or is none."""
    shape = getattr(model, "input_shape", None)
    return tuple(int(n or 1) for n in shape[1:]) if isinstance(shape, tuple) and len(shape) > 1 else ()


def input_shape(layers: list[Mapping[str, Any]]) -> tuple[int, ...]:
    """The shape of one sample; 1 where it may be of any length."""
    for layer in layers:
        config = layer["config"]
        shape = config.get("batch_shape") or config.get("batch_input_shape") or config.get("build_input_shape")
        shape = shape or (layer.get("build_config") or {}).get("input_shape")
        if shape:
            return tuple(int(n or 1) for n in shape[1:])
        if config.get("input_dim"):
            return (
                (int(config.get("input_length") or 1),)
                if layer["class_name"] == "Embedding"
                else (int(config["input_dim"]),)
            )
    raise SettingError("the model does not say how many features it takes: give it an Input layer")


def activation(config: Mapping[str, Any]) -> list[Step]:
    """The activation of a layer, if it has one. Errors: SettingError for one that is not known."""
    name = config.get("activation") or "linear"
    name = name if isinstance(name, str) else str(name.get("config") or name.get("class_name"))
    if name not in ACTIVATIONS:
        raise SettingError(f"activation={name!r} has no counterpart: {', '.join(ACTIVATIONS)} have")
    return [] if ACTIVATIONS[name] == "identity" else [Step("activation", ACTIVATIONS[name])]


def dense(config: Mapping[str, Any], width: int, weights: list[Array]) -> list[Step]:
    bias = bool(config.get("use_bias", True))
    names = ("weight", "bias")[: 1 + bias]
    arrays = {name: np.ascontiguousarray(w.T) for name, w in zip(names, weights, strict=False)}
    options = {
        "start": config.get("kernel_initializer"),
        "bias_start": config.get("bias_initializer"),
    }  # the diagnosis draws new weights with it
    step = Step("linear", sizes=(width, int(config["units"])), bias=bias, arrays=arrays, options=options)
    return [step, *activation(config)]


def norm(name: str, parts: tuple[str, ...]) -> Callable[[Mapping[str, Any], int, list[Array]], list[Step]]:
    """A normalization: gamma, beta and, of a batch, the running statistics."""

    def made(config: Mapping[str, Any], width: int, weights: list[Array]) -> list[Step]:
        scale, center = bool(config.get("scale", True)), bool(config.get("center", True))
        if center and not scale:
            raise SettingError(f"{name}: scale=False has a counterpart with center=False only")
        there = [part for part in parts if {"weight": scale, "bias": center}.get(part, True)]
        arrays = dict(zip(there, weights, strict=False))
        options: dict[str, Any] = {"affine": scale, "bias": center}
        options |= {"momentum": round(1.0 - float(config.get("momentum", 0.99)), 12)} if name == "BatchNorm" else {}
        return [Step("norm", name, (width,), eps=float(config.get("epsilon", 1e-3)), arrays=arrays, options=options)]

    return made


def by_name(name: str) -> Callable[[Mapping[str, Any], int, list[Array]], list[Step]]:
    return lambda config, width, weights: [Step("activation", name)]


LAYERS: dict[str, Callable[[Mapping[str, Any], int, list[Array]], list[Step]]] = {
    "Dense": dense,
    "Activation": lambda config, width, weights: activation(config),
    "Dropout": lambda config, width, weights: [Step("dropout", p=float(config["rate"]))],
    "Flatten": lambda config, width, weights: [Step("flatten")],
    "LayerNormalization": norm("LayerNorm", ("weight", "bias")),
    "BatchNormalization": norm("BatchNorm", ("weight", "bias", "running_mean", "running_var")),
    "ReLU": by_name("relu"),
    "Softmax": by_name("softmax"),
    "ELU": by_name("elu"),
    "Embedding": lambda config, width, weights: [
        Step(
            "embedding",
            sizes=(int(config["input_dim"]), int(config["output_dim"])),
            arrays={"weight": weights[0]} if weights else {},
        )
    ],
    **{kind: partial(recurrent.of_keras, kind) for kind in recurrent.KERAS},
    "Bidirectional": recurrent.bidirectional,
}
