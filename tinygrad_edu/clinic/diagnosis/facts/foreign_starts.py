"""How the layers of PyTorch and Keras begin, by their documentation: a trained network shows it no more."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.initial_weights import (
    ZERO,
    LayerStart,
    Start,
    distribution_of,
    glorot,
)
from tinygrad_edu.interop.chain import Chain, Step
from tinygrad_edu.nn.module import Module

ONE = Start("constant", 1.0, 0.0)
GLOROT = Start("uniform", 0.0, 1.0)


def of_torch(chain: Chain) -> tuple[LayerStart, ...]:
    """torch's own start, uniform within 1/√fan_in, biases too; another one where the weights show it."""
    found = []
    for layer in chain.linear:
        fan_in, fan_out = layer.sizes
        weight, bias = within(1.0 / math.sqrt(fan_in), (fan_out, fan_in)), within(1.0 / math.sqrt(fan_in), (fan_out,))
        W = layer.arrays.get("weight")
        if W is not None and len(W) > 1 and (W[0] == W).all():  # all units alike: they began so
            weight, bias = distribution_of(W), distribution_of(layer.arrays.get("bias", np.zeros(1)))
        found.append(LayerStart(weight, bias if layer.bias else ZERO))
    return tuple(found)


def of_keras(chain: Chain) -> tuple[LayerStart, ...]:
    """Glorot's weights, biases at 0."""
    return tuple(LayerStart(GLOROT, ZERO) for _ in chain.linear)


def of_steps(chain: Chain, pattern: Module, dialect: str) -> dict[str, Start]:
    """How each parameter of `chain.sequential()` begins, by its name there."""
    found, shapes = {}, {name: array.shape for name, array in pattern.state_dict().items()}
    for i, step in enumerate(chain.steps):
        prefix = f"layers.{i}."
        for name, shape in shapes.items():
            if name.startswith(prefix):
                found[name] = RULES[dialect](step, name.removeprefix(prefix), shape)
    return found


def within(bound: float, shape: tuple[int, ...]) -> Start:
    """Uniform between -bound and bound."""
    return spread(bound / math.sqrt(3.0), shape)


def spread(deviation: float, shape: tuple[int, ...], kind: str = "uniform") -> Start:
    return Start(kind, 0.0, deviation / glorot(shape))


def torch_rule(step: Step, name: str, shape: tuple[int, ...]) -> Start:
    if step.kind == "linear":
        return within(1.0 / math.sqrt(step.sizes[0]), shape)
    if step.kind == "recurrent":  # one bias here is the sum of two there
        two = name.endswith(".bias") and "candidate" not in name
        return within(math.sqrt((1.0 + two) / step.sizes[1]), shape)
    if step.kind == "embedding":
        return spread(1.0, shape, "normal")
    return ONE if name == "weight" else ZERO


def keras_rule(step: Step, name: str, shape: tuple[int, ...]) -> Start:
    if step.kind == "linear":
        return GLOROT if name == "weight" else ZERO
    if step.kind == "recurrent":  # all gates are one array there: Glorot's of its size, and orthogonal rows
        gates = {"LSTM": 4, "GRU": 3}.get(step.name, 1)
        if name.endswith("weight_ih"):
            return spread(glorot((gates * shape[0], shape[1])), shape)
        if name.endswith("weight_hh"):
            return spread(1.0 / math.sqrt(gates * shape[0]), shape, "normal")
        return ONE if "forget_gate" in name else ZERO
    if step.kind == "embedding":
        return within(0.05, shape)
    return ONE if name == "weight" else ZERO


Rule = Callable[[Step, str, tuple[int, ...]], Start]
RULES: Mapping[str, Rule] = {"torch": torch_rule, "keras": keras_rule}
BY_DIALECT: Mapping[str, Callable[[Chain], tuple[LayerStart, ...]]] = {"torch": of_torch, "keras": of_keras}
