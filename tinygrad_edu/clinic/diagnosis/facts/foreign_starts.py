"""How the layers of PyTorch and Keras begin, by their documentation: a trained network shows it no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.initial_weights import (
    ZERO,
    LayerStart,
    Start,
    glorot,
)
from tinygrad_edu.interop.chain import Chain, Step
from tinygrad_edu.nn.module import Module

Array = np.ndarray[Any, Any]
ONE = Start("constant", 1.0, 0.0)
GLOROT = Start("uniform", 0.0, 1.0)
ROUNDING = 1e-3  # relative; float32 makes equal units differ by less, random ones differ by their own size
ZEROS = np.zeros(1)  # stands for the biases of a layer without any


def of_torch(chain: Chain) -> tuple[LayerStart, ...]:
    """torch's own start, uniform within 1/√fan_in, biases too; another one where the weights show it."""
    found = []
    for layer in chain.linear:
        fan_in, fan_out = layer.sizes
        weight, bias = (
            uniform_start(1.0 / math.sqrt(fan_in), (fan_out, fan_in)),
            uniform_start(1.0 / math.sqrt(fan_in), (fan_out,)),
        )
        if began_alike(layer):
            weight, bias = constant_start(layer.arrays["weight"]), constant_start(layer.arrays.get("bias", ZEROS))
        found.append(LayerStart(weight, bias if layer.bias else ZERO))
    return tuple(found)


def began_alike(layer: Step) -> bool:
    """Are all its units alike, or does it take all units before it alike? A random start leaves none so."""
    W = layer.arrays.get("weight")
    if W is None or W.size < 2:
        return False
    least = ROUNDING * float(np.abs(W).max())
    rows, columns = np.ptp(W, axis=0).max(), np.ptp(W, axis=1).max()
    return bool((len(W) > 1 and rows <= least) or (W.shape[1] > 1 and columns <= least))


def constant_start(array: Array) -> Start:
    """One number for all, as they must have begun."""
    return Start("constant", float(np.mean(array)), 0.0)


def of_keras(chain: Chain) -> tuple[LayerStart, ...]:
    """The initial weights as the layers' initializers give them; Glorot uniform and zero biases by default."""
    return tuple(
        LayerStart(constant_start(layer.arrays["weight"]), constant_start(layer.arrays.get("bias", ZEROS)))
        if began_alike(layer)
        else LayerStart(initializer(layer.options.get("start"), layer.sizes), ZERO)
        for layer in chain.linear
    )


def initializer(config: Any, sizes: tuple[int, ...]) -> Start:
    """A kernel_initializer of Keras, in its config or by its name; Glorot's for one that is not known."""
    fan_in, fan_out = sizes
    name = config if isinstance(config, str) else str((config or {}).get("class_name", ""))
    told = {} if isinstance(config, str) else (config or {}).get("config", {})
    plainly, shape = name.replace("_", "").lower(), (fan_out, fan_in)
    if plainly in ("zeros", "ones", "constant"):
        return Start("constant", {"zeros": 0.0, "ones": 1.0}.get(plainly, float(told.get("value", 0.0))), 0.0)
    if plainly in ("randomnormal", "truncatednormal", "normal"):
        return move_centre(float(told.get("mean", 0.0)), wide_start(float(told.get("stddev", 0.05)), shape, "normal"))
    if plainly in ("randomuniform", "uniform"):
        low, high = float(told.get("minval", -0.05)), float(told.get("maxval", 0.05))
        return move_centre((low + high) / 2.0, uniform_start((high - low) / 2.0, shape))
    kind = "normal" if plainly.endswith("normal") else "uniform"
    if plainly.startswith("he"):
        return wide_start(math.sqrt(2.0 / fan_in), shape, kind)
    if plainly.startswith("lecun"):
        return wide_start(math.sqrt(1.0 / fan_in), shape, kind)
    return Start(kind, 0.0, 1.0)


def move_centre(mean: float, start: Start) -> Start:
    return replace(start, centre=mean)


def of_steps(chain: Chain, pattern: Module, dialect: str) -> dict[str, Start]:
    """How each parameter of `chain.sequential()` begins, by its name there."""
    found, shapes = {}, {name: array.shape for name, array in pattern.state_dict().items()}
    for i, step in enumerate(chain.steps):
        prefix = f"layers.{i}."
        for name, shape in shapes.items():
            if name.startswith(prefix):
                found[name] = RULES[dialect](step, name.removeprefix(prefix), shape)
    return found


def uniform_start(bound: float, shape: tuple[int, ...]) -> Start:
    """Uniform between -bound and bound."""
    return wide_start(bound / math.sqrt(3.0), shape)


def wide_start(deviation: float, shape: tuple[int, ...], kind: str = "uniform") -> Start:
    return Start(kind, 0.0, deviation / glorot(shape))


def torch_rule(step: Step, name: str, shape: tuple[int, ...]) -> Start:
    if step.kind == "linear":
        return uniform_start(1.0 / math.sqrt(step.sizes[0]), shape)
    if step.kind == "recurrent":  # one bias here is the sum of two in PyTorch
        two = name.endswith(".bias") and "candidate" not in name
        return uniform_start(math.sqrt((1.0 + two) / step.sizes[1]), shape)
    if step.kind == "embedding":
        return wide_start(1.0, shape, "normal")
    return ONE if name == "weight" else ZERO


def keras_rule(step: Step, name: str, shape: tuple[int, ...]) -> Start:
    if step.kind == "linear":
        return GLOROT if name == "weight" else ZERO
    if step.kind == "recurrent":  # Keras keeps all gates in one array: Glorot of that size, and orthogonal rows
        gates = {"LSTM": 4, "GRU": 3}.get(step.name, 1)
        if name.endswith("weight_ih"):
            return wide_start(glorot((gates * shape[0], shape[1])), shape)
        if name.endswith("weight_hh"):
            return wide_start(1.0 / math.sqrt(gates * shape[0]), shape, "normal")
        return ONE if "forget_gate" in name else ZERO
    if step.kind == "embedding":
        return uniform_start(0.05, shape)
    return ONE if name == "weight" else ZERO


Rule = Callable[[Step, str, tuple[int, ...]], Start]
RULES: Mapping[str, Rule] = {"torch": torch_rule, "keras": keras_rule}
BY_DIALECT: Mapping[str, Callable[[Chain], tuple[LayerStart, ...]]] = {"torch": of_torch, "keras": of_keras}
