"""A GPT of scalars: one document of six letters through one layer with four heads, forward + backward.

Embeddings of 16 numbers, root-mean-square norms, attention over what came before, squared relu; 4,064 parameters, as in
the small GPTs that are written on a scalar engine. The same code runs on both engines.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

WIDTH, HEADS, LETTERS = 16, 4, 27
DOCUMENT = (26, 4, 12, 12, 0, 26)
SHAPES = {
    "token": (LETTERS, WIDTH), "place": (8, WIDTH), "query": (WIDTH, WIDTH), "key": (WIDTH, WIDTH),
    "value": (WIDTH, WIDTH), "out": (WIDTH, WIDTH), "up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH),
    "head": (LETTERS, WIDTH),
}  # fmt: skip
Vector = list[Any]


def weights_of(Value: Callable[[float], Any]) -> dict[str, list[Vector]]:
    rng = np.random.default_rng(0)
    return {
        name: [[Value(w) for w in row] for row in rng.normal(scale=0.08, size=shape).tolist()]
        for name, shape in SHAPES.items()
    }


def linear(x: Vector, rows: list[Vector]) -> Vector:
    return [sum(w * xi for w, xi in zip(row, x, strict=True)) for row in rows]


def normed(x: Vector) -> Vector:
    """x / √(mean x² + 1e-5)."""
    scale = (sum(xi * xi for xi in x) / len(x) + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def softmax(x: Vector) -> Vector:
    largest = max(xi.data for xi in x)
    powers = [(xi - largest).exp() for xi in x]
    total = sum(powers)
    return [p / total for p in powers]


def attended(query: Vector, keys: list[Vector], values: list[Vector]) -> Vector:
    """Each head: softmax of its part of query · keys, as weights of its part of the values."""
    size, found = WIDTH // HEADS, []
    for at in range(0, WIDTH, size):
        part = range(at, at + size)
        shares = softmax([sum(query[j] * key[j] for j in part) / size**0.5 for key in keys])
        found += [sum(s * v[j] for s, v in zip(shares, values, strict=True)) for j in part]
    return found


def loss_of(weights: dict[str, list[Vector]]) -> Any:
    """The mean of -log p(next letter)."""
    keys, values, losses = [], [], []
    for place, (letter, following) in enumerate(pairwise(DOCUMENT)):
        x = normed([t + p for t, p in zip(weights["token"][letter], weights["place"][place], strict=True)])
        inner = normed(x)
        keys.append(linear(inner, weights["key"]))
        values.append(linear(inner, weights["value"]))
        mixed = linear(attended(linear(inner, weights["query"]), keys, values), weights["out"])
        x = [a + b for a, b in zip(x, mixed, strict=True)]
        wide = [u.relu() ** 2 for u in linear(normed(x), weights["up"])]
        x = [a + b for a, b in zip(x, linear(wide, weights["down"]), strict=True)]
        losses.append(-softmax(linear(x, weights["head"]))[following].log())
    return sum(losses) * (1.0 / len(losses))


def prepared(Value: Any) -> Run:
    weights = weights_of(Value)
    parameters = [w for rows in weights.values() for row in rows for w in row]

    def run() -> list[float]:
        for p in parameters:
            p.grad = 0.0
        loss = loss_of(weights)
        loss.backward()
        return [loss.data, *[p.grad for p in parameters]]

    return run


def ours() -> Run:
    from tinygrad_edu import Value

    return prepared(Value)


def forty_lines() -> Run:
    from bench.speed.forty_lines import Value

    return prepared(Value)


SCALAR_GPT = Workload(
    name="gpt step, scalars",
    what="a GPT of one layer (16 wide, 4 heads), 5 letters, forward + backward, `Value`s, default collector",
    peers={OURS: ours, "bench.speed.forty_lines": forty_lines},
    at_least={"bench.speed.forty_lines": 1.3},
    rounds=11,
    rtol=1e-9,
)
