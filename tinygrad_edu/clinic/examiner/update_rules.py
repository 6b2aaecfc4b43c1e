"""How an optimizer makes a step of a gradient: right rules; `update_mistakes` adds the ways in which they go wrong.

Each row of RULES is declared once: what it subtracts from w at step t, written as a generator over the gradients, with
the numbers that it has beside lr. A run of a few steps is compared with every row; the first that fits is what the
learner's update is. lr scales every rule, so where it is not told it is read off the first step.

>>> gradients = [np.array([1.0, -2.0]), np.array([0.5, 0.5])]
>>> [x.tolist() for x in RULES["momentum"].steps(gradients, {"mu": 0.9})]
[[1.0, -2.0], [1.4, -1.3]]
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Numbers = Mapping[str, float]
Start = tuple[Any, Any, int]  # first moment, second moment, steps made before
Steps = Callable[[Iterable[Array], Numbers, Start], Iterator[Array]]
FRESH: Start = (0.0, 0.0, 0)


@dataclass(frozen=True)
class UpdateRule:
    """A row: `numbers` are the names of its numbers; `sentence` and `fix` are for rules that are mistakes."""

    name: str
    formula: str
    numbers: tuple[str, ...]
    rule: Steps
    sentence: str = ""
    fix: str = ""

    @property
    def right(self) -> bool:
        return not self.sentence

    @property
    def adapts(self) -> bool:
        """Does it divide by the size of the gradients?"""
        return "eps" in self.numbers

    def steps(self, gradients: Iterable[Array], numbers: Numbers, start: Start = FRESH) -> list[Array]:
        """What is subtracted at each step, divided by lr."""
        with np.errstate(all="ignore"):
            return [*self.rule(gradients, numbers, start)]


RULES: dict[str, UpdateRule] = {}


def rule(formula: str, *numbers: str, sentence: str = "", fix: str = "") -> Callable[[Steps], Steps]:
    """Declare an update rule."""

    def declare(steps: Steps) -> Steps:
        name = steps.__name__
        RULES[name] = UpdateRule(name, formula, numbers, steps, sentence, fix)
        return steps

    return declare


@rule("w - lr·g")
def gradient_descent(gradients: Iterable[Array], _: Numbers, start: Start) -> Iterator[Array]:
    yield from gradients


@rule("v = μv + g; w - lr·v", "mu")
def momentum(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = n["mu"] * v + g
        yield v


@rule("v = βv + (1 - β)g; w - lr·v", "mu")
def averaged_momentum(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = n["mu"] * v + (1.0 - n["mu"]) * g
        yield v


@rule("v = μv + g; w - lr·(g + μv)", "mu")
def nesterov(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = n["mu"] * v + g
        yield g + n["mu"] * v


@rule("s = s + g²; w - lr·g/(√s + ε)", "eps")
def adagrad(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    s = start[1]
    for g in gradients:
        s = s + g * g
        yield g / (np.sqrt(s) + n["eps"])


@rule("s = s + g²; w - lr·g/√(s + ε)", "eps")
def adagrad_eps_inside(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    s = start[1]
    for g in gradients:
        s = s + g * g
        yield g / np.sqrt(s + n["eps"])


@rule("s = ρs + (1 - ρ)g²; w - lr·g/(√s + ε)", "beta2", "eps")
def rmsprop(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    s = start[1]
    for g in gradients:
        s = n["beta2"] * s + (1.0 - n["beta2"]) * g * g
        yield g / (np.sqrt(s) + n["eps"])


@rule("s = ρs + (1 - ρ)g²; w - lr·g/√(s + ε)", "beta2", "eps")
def rmsprop_eps_inside(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    s = start[1]
    for g in gradients:
        s = n["beta2"] * s + (1.0 - n["beta2"]) * g * g
        yield g / np.sqrt(s + n["eps"])


def adam_like(
    gradients: Iterable[Array], n: Numbers, start: Start, correct: Callable[..., Any], second: int = 2
) -> Iterator[Array]:
    """Adam, where `correct(m, v, t, n)` makes a step of the two averages."""
    m, v, t = start
    for g in gradients:
        t += 1
        m = n["mu"] * m + (1.0 - n["mu"]) * g
        v = n["beta2"] * v + (1.0 - n["beta2"]) * g**second
        yield correct(m, v, t, n)


ADAM = "m = β₁m + (1-β₁)g; v = β₂v + (1-β₂)g²; w - lr·m̂/(√v̂ + ε), m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ)"


@rule(ADAM, "mu", "beta2", "eps")
def adam(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m / (1.0 - n["mu"] ** t) / (np.sqrt(v / (1.0 - n["beta2"] ** t)) + n["eps"])

    yield from adam_like(gradients, n, start, correct)


@rule(ADAM + ", with ε/√(1-β₂ᵗ) or under the root", "mu", "beta2", "eps")
def adam_eps_elsewhere(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m / (1.0 - n["mu"] ** t) / (np.sqrt(v) + n["eps"]) * np.sqrt(1.0 - n["beta2"] ** t)

    yield from adam_like(gradients, n, start, correct)


@rule(ADAM + ", ε under the root", "mu", "beta2", "eps")
def adam_eps_inside(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return np.asarray(m / (1.0 - n["mu"] ** t) / np.sqrt(v / (1.0 - n["beta2"] ** t) + n["eps"]))

    yield from adam_like(gradients, n, start, correct)


@rule("Adam with the largest |g| in place of √v", "mu", "beta2", "eps")
def adamax(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    m, u, t = start
    for g in gradients:
        t += 1
        m, u = n["mu"] * m + (1.0 - n["mu"]) * g, np.maximum(n["beta2"] * u, np.abs(g))
        yield np.asarray(m / (1.0 - n["mu"] ** t) / (u + n["eps"]))
