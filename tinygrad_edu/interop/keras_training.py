"""What a Keras model says of its training: initializers, regularizers, constraints, noise, frozen layers, branches."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.interop.chain import Chain, Step
from tinygrad_edu.nn import init

Layer = Mapping[str, Any]
USUAL_STARTS = {  # Keras' defaults, for which from_keras draws as this library does
    "kernel": "glorot_uniform", "bias": "zeros", "recurrent": "orthogonal", "embeddings": "random_uniform",
    "gamma": "ones", "beta": "zeros", "moving_mean": "zeros", "moving_variance": "ones",
}  # fmt: skip
KEPT = ("kernel_initializer", "bias_initializer")  # of Dense
SHORT = {"uniform": "random_uniform", "normal": "random_normal", "orthogonal_initializer": "orthogonal"}
NOISE = {"GaussianNoise": ("stddev",), "ActivityRegularization": ("l1", "l2")}  # layers that do something in training


def what_training_loses(layers: Sequence[Layer], drawn: bool) -> Iterator[str]:
    """Each setting that changes the training and has no counterpart here; drawn: are new weights drawn?"""
    for kind, config in inner_layers(layers):
        own = config.get("name") or kind
        for argument, given in config.items():
            penalty = argument.endswith(("_regularizer", "_constraint")) and has_effect(given)
            start = drawn and argument.endswith("_initializer") and is_lost(kind, argument, given)
            noise = argument in NOISE.get(kind, ()) and given
            if penalty or start or noise:
                yield f"{argument}={name_of(given)} of {own}"
        if kind == "BatchNormalization" and not config.get("trainable", True):
            yield f"trainable=False of {own}, which stops its statistics too"


def inner_layers(layers: Sequence[Layer]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(kind, config) of each layer, and of those inside TimeDistributed and Bidirectional."""
    for layer in layers:
        yield str(layer["class_name"]), layer["config"]
        inside = [layer["config"][name] for name in ("layer", "backward_layer") if layer["config"].get(name)]
        yield from inner_layers([each for each in inside if isinstance(each, Mapping)])


def has_effect(given: Any) -> bool:
    """Is it a regularizer or a constraint that does something? L1 and L2 of 0 do nothing."""
    config = given.get("config") if isinstance(given, Mapping) else None
    factors = [x for name, x in (config or {}).items() if name in ("l1", "l2")]
    return given is not None and not (factors and not any(factors))


def name_of(given: Any) -> str:
    """A setting of Keras, short enough for a sentence."""
    if not isinstance(given, Mapping):
        return str(given)
    config = given.get("config")
    pairs = config.items() if isinstance(config, Mapping) else ()
    inside = ", ".join(f"{key}={short_number(x)}" for key, x in pairs if x is not None)
    return f"{given.get('class_name')}({inside})"


def short_number(x: Any) -> str:
    """A setting inside another: Keras keeps them in float32, so that 0.1 is 0.10000000149."""
    return f"{x:.6g}" if isinstance(x, float) else str(x)


def initializer_name(given: Any) -> str:
    """Keras' name of an initializer, as in "he_normal".

    >>> initializer_name({"class_name": "HeNormal", "config": {"seed": None}}), initializer_name("uniform")
    ('he_normal', 'random_uniform')
    """
    name = str(given.get("class_name", "")) if isinstance(given, Mapping) else str(given)
    plain = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", name).lower()
    return SHORT.get(plain, plain)


def is_lost(kind: str, argument: str, given: Any) -> bool:
    """Is it an initializer that is neither Keras' default nor one that from_keras draws with?"""
    name = initializer_name(given)
    if given is None or USUAL_STARTS.get(argument.removesuffix("_initializer")) == name:
        return False
    return not (kind == "Dense" and argument in KEPT and initializer_of(given) is not None)


def initializer_of(given: Any) -> Any:
    """Our initializer for one of Keras; None where there is none."""
    name, told = initializer_name(given), given.get("config", {}) if isinstance(given, Mapping) else {}
    if name in ("ones", "constant"):
        return init.constant(float(told.get("value", 0.0)) if name == "constant" else 1.0)
    if name == "random_normal":
        return None if told.get("mean") else init.normal(float(told.get("stddev", 0.05)))
    if name == "random_uniform":
        return init.uniform(float(told.get("minval", -0.05)), float(told.get("maxval", 0.05)))
    if name == "orthogonal":
        return init.orthogonal(float(told.get("gain", 1.0)))
    return init.INITIALIZERS[name] if name in {f.__name__ for f in init.PLAIN} else None


def with_starts(chain: Chain) -> Chain:
    """A chain without weights, with those of its linear layers drawn as their initializers say."""
    rng = np.random.default_rng(0)
    return Chain(tuple(draw_start(step, rng) if step.kind == "linear" else step for step in chain.steps))


def draw_start(step: Step, rng: np.random.Generator) -> Step:
    """A linear step with first values, unless both of its initializers are Keras' defaults."""
    starts = [step.options.get(name) or usual for name, usual in (("start", "glorot_uniform"), ("bias_start", "zeros"))]
    if step.arrays or [initializer_name(each) for each in starts] == ["glorot_uniform", "zeros"]:
        return step
    weight, bias = map(initializer_of, starts)
    arrays = {"weight": np.asarray(weight(rng, *step.sizes))}
    if step.bias:
        arrays["bias"] = np.asarray(bias(rng, 1, step.sizes[1])).reshape(-1)
    return replace(step, arrays=arrays)


def refuse_branches(layers: Sequence[Layer]) -> None:
    """A functional model whose layers do not each take the result of the one before. Errors: OperandError."""
    before = ""
    for layer in layers:
        sources = list(layers_named_in(layer.get("inbound_nodes") or []))
        if before and sources and sources != [before]:
            raise OperandError(
                f"{layer_name(layer)} takes the result of {', '.join(sources)}, not of {before}, the layer before it: "
                "the model is not a chain of layers"
            )
        before = layer_name(layer)


def layer_name(layer: Layer) -> str:
    return str(layer.get("name") or layer["config"].get("name") or "")


def layers_named_in(nodes: Any) -> Iterator[str]:
    """The layers that nodes come from: ["name", 0, 0] of Keras 3's keras_history, ["name", 0, 0, {}] of Keras 2."""
    if isinstance(nodes, Mapping):
        for inside in nodes.values():
            yield from layers_named_in(inside)
    elif isinstance(nodes, (list, tuple)):
        if len(nodes) > 2 and isinstance(nodes[0], str) and isinstance(nodes[1], int):
            yield nodes[0]
            return
        for inside in nodes:
            yield from layers_named_in(inside)


def refuse_unlike(model: Any, layers: Sequence[Layer]) -> None:
    """What a JSON or a config alone cannot say to be right. Errors: SettingError, OperandError."""
    version = str(model.get("keras_version", "")) if isinstance(model, Mapping) else ""
    for kind, config in inner_layers(layers):
        named = [config.get(argument) for argument in ("activation", "recurrent_activation")]
        if version.startswith(("1.", "2.")) and "hard_sigmoid" in named:
            raise SettingError(
                f"hard_sigmoid of Keras {version} is max(0, min(1, 0.2x + 0.5)), and here, as in Keras 3, it is "
                "max(0, min(1, x/6 + 0.5))"
            )
        if config.get("lora_rank"):
            raise SettingError(f"{kind}(lora_rank={config['lora_rank']}) has no counterpart")
    refuse_branches(layers)
    inside = model.get("config", model) if isinstance(model, Mapping) else {}
    ends = list(layers_named_in(inside.get("output_layers") or [])) if isinstance(inside, Mapping) else []
    if ends and ends != [layer_name(layers[-1])]:
        raise OperandError(
            f"the outputs of the model are those of {', '.join(ends)}, not of its last layer alone, "
            f"{layer_name(layers[-1])}: the model is not a chain of layers"
        )
