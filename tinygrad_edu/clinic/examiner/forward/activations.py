"""Activations as the examiner knows them: the function, and each form in which its derivative is written down.

A learner may spell σ as 1/(1 + e⁻ᶻ), e^z/(1 + e^z) or with `where`; what is compared is therefore the numbers.

>>> float(ACTIVATIONS["tanh"].slope_from_output(np.array(0.5)))
0.75
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core import ops as ops  # fills the table
from tinygrad_edu.core.operation import TABLE, Operation

Array = np.ndarray[Any, Any]
OfArray = Callable[[Array], Array]


@dataclass(frozen=True)
class Activation:
    """a = function(z), and da/dz as a function of z and as a function of a."""

    name: str
    symbol: str  # in formulas: σ
    function: OfArray
    slope_at_input: OfArray
    slope_from_output: OfArray | None  # None if the output does not determine it
    slope_text: str  # the derivative as learners write it, with {a} for the output
    pieces: tuple[tuple[float, float], ...]  # intervals from which inputs are drawn to tell it from other functions


def positive(z: Array) -> Array:
    """1 where z > 0, else 0: the derivative of relu, by its input or by its output."""
    return np.asarray(z > 0.0, dtype=float)


# How learners write the rows that they know best: a symbol, the derivative by the output as text, and as a function.
SPELLED: dict[str, tuple[str, str, OfArray]] = {
    "sigmoid": ("σ", "{a}(1 - {a})", lambda a: a * (1.0 - a)),
    "tanh": ("tanh", "(1 - {a}²)", lambda a: 1.0 - a * a),
    "relu": ("relu", "[{a} > 0]", positive),
    "leaky_relu": ("leaky", "[{a} > 0 or 0.01]", lambda a: np.asarray(np.where(a > 0.0, 1.0, 0.01))),
    "softplus": ("softplus", "(1 - e^-{a})", lambda a: -np.expm1(-a)),
}


def from_table(operation: Operation) -> Activation:
    """A row of the table of operations, with its defaults."""

    def function(z: Array) -> Array:
        return np.asarray(operation.array_function(z, *operation.defaults))

    def slope(z: Array) -> Array:
        partial = operation.array_partials(function(z), z, *operation.defaults)[0]
        return np.asarray(np.broadcast_to(np.asarray(partial, dtype=float), z.shape))

    name = operation.name
    symbol, text, from_output = SPELLED.get(name, (name, f"{name}'(z)", None))
    return Activation(name, symbol, function, slope, from_output, text, tuple(box[0] for box in operation.domain))


# Table rows that are steps inside other functions (a written-out sigmoid, a norm, a cross-entropy, of which log σ(z) is
# one half) and not activations: recognized as such, they would cut those functions in two.
PARTS = frozenset(
    ("abs", "acos", "asin", "clip", "cosh", "exp", "expm1", "log", "log1p", "log_sigmoid", "neg", "pos", "reciprocal",
     "sign", "sinh", "sqrt", "square", "tan")
)  # fmt: skip


def is_activation_alone(row: Operation) -> bool:
    """Does it have one input besides its settings, and is it not just a step inside other functions?"""
    unary = row.partials is not None and len(row.parameters) - len(row.defaults) == 1
    return unary and row.activation and row.name not in PARTS


# Those that are written out above come first: where several rows give the same numbers, they are meant.
NAMES = [*SPELLED, *(name for name, row in TABLE.items() if is_activation_alone(row) and name not in SPELLED)]
ACTIVATIONS = {name: from_table(TABLE[name]) for name in NAMES}


def softmax(z: Array, axis: int = -1) -> Array:
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return np.asarray(e / np.sum(e, axis=axis, keepdims=True))


def softmax_pull(g: Array, y: Array, axis: int) -> Array:
    """y·(ȳ - Σ ȳ·y)."""
    return np.asarray(y * (g - np.sum(g * y, axis=axis, keepdims=True)))
