"""The exercises, in their order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.course.exercise import Exercise
from tinygrad_edu.errors import NameNotFoundError, unknown_name

Rng = np.random.Generator


def size(rng: Rng, least: int = 2, most: int = 5) -> int:
    return int(rng.integers(least, most + 1))


def different(rng: Rng, count: int) -> list[int]:
    """Sizes of which no two are equal, so that a missing transpose shows in the shape."""
    return [int(n) for n in rng.permutation(np.arange(2, 2 + count + 2))[:count]]


def normal(rng: Rng, *shape: int) -> Any:
    return rng.normal(size=shape)


def chain_rule(rng: Rng) -> Mapping[str, Any]:
    return dict(zip("abc", rng.uniform(0.3, 1.2, 3).tolist(), strict=True))


def mlp_layer(rng: Rng) -> Mapping[str, Any]:
    n, a, b = different(rng, 3)
    return {"x": normal(rng, n, a), "W": normal(rng, a, b), "b": normal(rng, b), "dy": normal(rng, n, b)}


def softmax_cross_entropy(rng: Rng) -> Mapping[str, Any]:
    n, k = different(rng, 2)
    return {"z": 2.0 * normal(rng, n, k), "labels": rng.integers(0, k, n)}


def two_layer_network(rng: Rng) -> Mapping[str, Any]:
    n, a, h, b = different(rng, 4)
    return {
        "x": normal(rng, n, a), "t": normal(rng, n, b), "W1": normal(rng, a, h), "b1": normal(rng, h),
        "W2": normal(rng, h, b), "b2": normal(rng, b),
    }  # fmt: skip


def norm(rng: Rng) -> Mapping[str, Any]:
    n, k = different(rng, 2)
    n, k = n + 2, k + 1
    return {
        "x": 3.0 * normal(rng, n, k) + 1.0, "gamma": rng.uniform(0.5, 2.0, k), "beta": normal(rng, k),
        "dy": normal(rng, n, k), "eps": 0.01,
    }  # fmt: skip


def dropout(rng: Rng) -> Mapping[str, Any]:
    n, k = different(rng, 2)
    mask = (rng.random((n, k)) > 0.4).astype(float)
    mask[0, 0], mask[0, 1] = 0.0, 1.0
    return {"x": normal(rng, n, k), "mask": mask, "p": 0.4, "dy": normal(rng, n, k)}


def embedding(rng: Rng) -> Mapping[str, Any]:
    words, width = size(rng, 4, 6), size(rng)
    ids = np.array([1, 0, 1, words - 1, 1])  # one word three times, and one that never occurs
    return {"ids": ids, "table": normal(rng, words, width), "dy": normal(rng, 5, width)}


def convolution(rng: Rng) -> Mapping[str, Any]:
    n, c, o = different(rng, 3)
    k = size(rng, 2, 3)
    t = k + size(rng, 3, 5)
    return {
        "x": normal(rng, n, c, t),
        "w": normal(rng, o, c, k),
        "b": normal(rng, o),
        "dy": normal(rng, n, o, t - k + 1),
    }


def rnn_step(rng: Rng) -> Mapping[str, Any]:
    n, a, h = different(rng, 3)
    return {
        "x": normal(rng, n, a), "h": np.tanh(normal(rng, n, h)), "Wx": normal(rng, a, h), "Wh": normal(rng, h, h),
        "b": normal(rng, h), "dnext": normal(rng, n, h),
    }  # fmt: skip


def attention(rng: Rng) -> Mapping[str, Any]:
    q, k, d, v = different(rng, 4)
    return {"Q": normal(rng, q, d), "K": normal(rng, k, d), "V": normal(rng, k, v), "dY": normal(rng, q, v)}


def momentum(rng: Rng) -> Mapping[str, Any]:
    n = size(rng)
    return {"w": normal(rng, n), "g": normal(rng, n), "v": normal(rng, n), "lr": 0.1, "momentum": 0.8}


def adam(rng: Rng) -> Mapping[str, Any]:
    n = size(rng)
    return {
        "w": normal(rng, n), "g": normal(rng, n), "m": 0.1 * normal(rng, n), "v": rng.uniform(0.0, 0.1, n),
        "t": int(rng.integers(1, 6)), "lr": 0.05, "beta1": 0.9, "beta2": 0.99, "eps": 1e-3,
    }  # fmt: skip


def no_inputs(rng: Rng) -> Mapping[str, Any]:
    """The lab takes no inputs."""
    return {}


EXERCISES = [
    Exercise(
        "chain_rule",
        1,
        10,
        chain_rule,
        {"backward": ("d_a", "d_b", "d_c")},
        {
            "d_a": "d_a = d_s·b + d_L·y, both places where a is used",
            "d_b": "d_b = d_s·a",
            "d_c": "d_c = d_u",
        },
    ),
    Exercise(
        "mlp_layer",
        2,
        15,
        mlp_layer,
        {"backward": ("dx", "dW", "db")},
        {
            "dx": "dx = dz·Wᵀ with dz = dy·(1 - y²)",
            "dW": "dW = xᵀ·dz",
            "db": "db = Σ over the samples of dz",
        },
    ),
    Exercise(
        "softmax_cross_entropy",
        3,
        15,
        softmax_cross_entropy,
        {"backward": ("dz",)},
        {
            "dz": "dz = (p - one-hot(labels))/samples",
        },
    ),
    Exercise(
        "two_layer_network",
        4,
        20,
        two_layer_network,
        {"backward": ("dW1", "db1", "dW2", "db2")},
        {
            "dW1": "dW1 = xᵀ·dz with dz = (do·W2ᵀ)·(z > 0)",
            "db1": "db1 = Σ dz",
            "dW2": "dW2 = hᵀ·do",
            "db2": "db2 = Σ do, do = 2(o - t)/entries",
        },
    ),
    Exercise(
        "batch_norm",
        5,
        30,
        norm,
        {"backward": ("dx", "dgamma", "dbeta")},
        {
            "dx": "dx = (dn - mean(dn) - n·mean(dn·n))/√(σ² + ε), means over the samples, dn = dy·γ",
            "dgamma": "dγ = Σ over the samples of dy·n",
            "dbeta": "dβ = Σ over the samples of dy",
        },
    ),
    Exercise(
        "layer_norm",
        6,
        20,
        norm,
        {"backward": ("dx", "dgamma", "dbeta")},
        {
            "dx": "dx = (dn - mean(dn) - n·mean(dn·n))/√(σ² + ε), means over the features, dn = dy·γ",
            "dgamma": "dγ = Σ over the samples of dy·n",
            "dbeta": "dβ = Σ over the samples of dy",
        },
    ),
    Exercise(
        "dropout",
        7,
        10,
        dropout,
        {"forward": ("y",), "backward": ("dx",)},
        {
            "y": "y = x·mask/(1 - p)",
            "dx": "dx = dy·mask/(1 - p)",
        },
    ),
    Exercise(
        "embedding",
        8,
        10,
        embedding,
        {"backward": ("dtable",)},
        {
            "dtable": "dtable[ids[i]] += dy[i] for every i, as np.add.at does",
        },
    ),
    Exercise(
        "convolution",
        9,
        30,
        convolution,
        {"backward": ("dx", "dw", "db")},
        {
            "dx": "dx[n, c, t + k] += Σₒ dy[n, o, t]·w[o, c, k]",
            "dw": "dw[o, c, k] = Σ over n, t of dy[n, o, t]·x[n, c, t + k]",
            "db": "db[o] = Σ over n, t of dy[n, o, t]",
        },
    ),
    Exercise(
        "rnn_step",
        10,
        15,
        rnn_step,
        {"backward": ("dx", "dh", "dWx", "dWh", "db")},
        {
            "dx": "dx = dz·Wxᵀ, dz = dh'·(1 - h'²)",
            "dh": "dh = dz·Whᵀ",
            "dWx": "dWx = xᵀ·dz",
            "dWh": "dWh = hᵀ·dz",
            "db": "db = Σ dz",
        },
    ),
    Exercise(
        "attention",
        11,
        30,
        attention,
        {"backward": ("dQ", "dK", "dV")},
        {
            "dQ": "dQ = dS·K/√d",
            "dK": "dK = dSᵀ·Q/√d",
            "dV": "dV = Aᵀ·dY",
        },
    ),
    Exercise(
        "momentum",
        12,
        10,
        momentum,
        {"step": ("w", "v")},
        {
            "w": "w = w - η·v, with the new v",
            "v": "v = μ·v + g",
        },
    ),
    Exercise(
        "adam",
        13,
        15,
        adam,
        {"step": ("w", "m", "v")},
        {
            "w": "w - η·m̂/(√v̂ + ε), m̂ = m/(1 - β₁ᵗ), v̂ = v/(1 - β₂ᵗ)",
            "m": "m = β₁·m + (1 - β₁)·g",
            "v": "v = β₂·v + (1 - β₂)·g²",
        },
    ),
    Exercise(
        "convergence_lab",
        14,
        45,
        no_inputs,
        {"answers": ()},
        {},
    ),
]
BY_NAME = {exercise.name: exercise for exercise in EXERCISES}


YOUR_OWN = (
    "A file is found by the name of the exercise that it solves. A backward pass of your own program is checked in "
    "it: print(tg.clinic.check_backprop(forward, params, backward))"
)


def find(name: str) -> Exercise:
    """The exercise of a name, or of a file's name. Errors: NameNotFoundError.

    name: the name of an exercise, or of a file that holds it.

    >>> find("02_mlp_layer.py").name, find("adam").minutes
    ('mlp_layer', 15)
    """
    own = name.rpartition("/")[2].partition(".")[0].lstrip("0123456789_")
    if own not in BY_NAME:
        problem = unknown_name("exercise", name, BY_NAME)
        raise NameNotFoundError(f"{problem}. {YOUR_OWN}") if name.endswith(".py") else problem
    return BY_NAME[own]
