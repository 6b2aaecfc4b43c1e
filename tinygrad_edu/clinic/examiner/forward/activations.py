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
    """a = function(z), and da/dz as a function of z and as a function of a; `slope_text` has {a} for the output."""

    name: str
    symbol: str
    function: OfArray
    slope_at_input: OfArray
    slope_from_output: OfArray | None  # None if the output does not determine it
    slope_text: str
    pieces: tuple[tuple[float, float], ...] = (
        (-2.0, 0.0),
        (0.0, 2.0),
    )  # intervals from which inputs are drawn to tell it from other functions


def sigmoid(z: Array) -> Array:
    e = np.exp(-np.abs(z))
    return np.asarray(np.where(z >= 0.0, 1.0, e) / (1.0 + e))


def sigmoid_slope(z: Array) -> Array:
    return sigmoid(z) * sigmoid(-z)


def tanh_slope(z: Array) -> Array:
    return np.asarray(1.0 - np.tanh(z) ** 2)


def positive(z: Array) -> Array:
    return np.asarray(z > 0.0, dtype=float)


def leaky_slope(z: Array) -> Array:
    return np.asarray(np.where(z > 0.0, 1.0, 0.01))


ACTIVATIONS = {
    x.name: x
    for x in (
        Activation("sigmoid", "σ", sigmoid, sigmoid_slope, lambda a: a * (1.0 - a), "{a}(1 - {a})"),
        Activation("tanh", "tanh", np.tanh, tanh_slope, lambda a: 1.0 - a * a, "(1 - {a}²)"),
        Activation("relu", "relu", lambda z: np.maximum(z, 0.0), positive, positive, "[{a} > 0]"),
        Activation("leaky_relu", "leaky", lambda z: z * leaky_slope(z), leaky_slope, leaky_slope, "[{a} > 0 or 0.01]"),
        Activation(
            "softplus", "softplus", lambda z: np.logaddexp(0.0, z), sigmoid, lambda a: -np.expm1(-a), "(1 - e^-{a})"
        ),
    )
}  # fmt: skip


def from_table(operation: Operation) -> Activation:
    """A row of the table of operations, with its defaults."""

    def function(z: Array) -> Array:
        return np.asarray(operation.array_function(z, *operation.defaults))

    def slope(z: Array) -> Array:
        partial = operation.array_partials(function(z), z, *operation.defaults)[0]
        return np.asarray(np.broadcast_to(np.asarray(partial, dtype=float), z.shape))

    name = operation.name
    return Activation(name, name, function, slope, None, f"{name}'(z)", tuple(box[0] for box in operation.domain))


# Table rows that are steps inside other functions (a written-out sigmoid, a norm, a cross-entropy, of which log σ(z) is
# one half) and not activations: recognized as such, they would cut those functions in two.
PARTS = frozenset(
    ("abs", "acos", "asin", "clip", "cosh", "exp", "expm1", "log", "log1p", "log_sigmoid", "neg", "pos", "reciprocal",
     "sign", "sinh", "sqrt", "square", "tan")
)  # fmt: skip


def read_table() -> None:
    """Add what THE table has beyond the five that have words of their own above."""
    for name, row in TABLE.items():
        unary = row.partials is not None and len(row.parameters) - len(row.defaults) == 1
        if unary and row.activation and name not in PARTS and name not in ACTIVATIONS:
            ACTIVATIONS[name] = from_table(row)


read_table()


def softmax(z: Array, axis: int = -1) -> Array:
    e = np.exp(z - np.max(z, axis=axis, keepdims=True))
    return np.asarray(e / np.sum(e, axis=axis, keepdims=True))


def softmax_pull(g: Array, y: Array, axis: int) -> Array:
    """y·(ȳ - Σ ȳ·y)."""
    return np.asarray(y * (g - np.sum(g * y, axis=axis, keepdims=True)))
