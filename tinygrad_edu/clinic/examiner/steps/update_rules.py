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
Start = tuple[Any, Any, int]  # (first moment, second moment, steps made before)
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

    @property
    def signs(self) -> bool:
        """Does it take the sign of something, whose size does not show?"""
        return "sign(" in self.formula

    def steps(self, gradients: Iterable[Array], numbers: Numbers, start: Start = FRESH) -> list[Array]:
        """The change subtracted at each step, divided by lr."""
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


# Parts that rules share: generators over the steps that yield the averages after each


def velocities(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[tuple[Array, Array]]:
    """(g, v = μv + g)."""
    v = start[0]
    for g in gradients:
        v = n["mu"] * v + g
        yield g, v


def sums_of_squares(gradients: Iterable[Array], start: Start) -> Iterator[tuple[Array, Array]]:
    """(g, s = s + g²)."""
    s = start[1]
    for g in gradients:
        s = s + g * g
        yield g, s


def mean_squares(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[tuple[Array, Array]]:
    """(g, s = ρs + (1 - ρ)g²)."""
    s = start[1]
    for g in gradients:
        s = n["beta2"] * s + (1.0 - n["beta2"]) * g * g
        yield g, s


def moments(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[tuple[Array, Array, Array, int]]:
    """(g, m = β₁m + (1 - β₁)g, v = β₂v + (1 - β₂)g², t)."""
    m, v, t = start
    for g in gradients:
        t += 1
        m, v = n["mu"] * m + (1.0 - n["mu"]) * g, n["beta2"] * v + (1.0 - n["beta2"]) * g * g
        yield g, m, v, t


@rule("w - lr·g")
def gradient_descent(gradients: Iterable[Array], _: Numbers, start: Start) -> Iterator[Array]:
    yield from gradients


@rule("v = μv + g; w - lr·v", "mu")
def momentum(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (v for _, v in velocities(gradients, n, start))


@rule("w - lr·(g + μ·g of the step before)", "mu")
def last_gradient_once_more(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    before: Any = 0.0
    for g in gradients:
        yield g + n["mu"] * before
        before = g


@rule("v = βv + (1 - β)g; w - lr·v", "mu")
def averaged_momentum(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = n["mu"] * v + (1.0 - n["mu"]) * g
        yield v


@rule("v = μv + g; w - lr·(g + μv)", "mu")
def nesterov(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g + n["mu"] * v for g, v in velocities(gradients, n, start))


@rule("v = g, then v = μv + (1 - τ)g; w - lr·v", "mu", "dampening")
def momentum_with_dampening(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v, _, t = start
    for g in gradients:
        v = n["mu"] * v + (1.0 - n["dampening"] * (t > 0)) * g
        t += 1
        yield v


@rule("s = s + g²; w - lr·g/(√s + ε)", "eps")
def adagrad(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g / (np.sqrt(s) + n["eps"]) for g, s in sums_of_squares(gradients, start))


@rule("s = s + g²; w - lr·g/√(s + ε)", "eps")
def adagrad_eps_inside(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g / np.sqrt(s + n["eps"]) for g, s in sums_of_squares(gradients, start))


@rule("s = ρs + (1 - ρ)g²; w - lr·g/(√s + ε)", "beta2", "eps")
def rmsprop(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g / (np.sqrt(s) + n["eps"]) for g, s in mean_squares(gradients, n, start))


@rule("s = ρs + (1 - ρ)g²; w - lr·g/√(s + ε)", "beta2", "eps")
def rmsprop_eps_inside(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g / np.sqrt(s + n["eps"]) for g, s in mean_squares(gradients, n, start))


def adam_like(gradients: Iterable[Array], n: Numbers, start: Start, correct: Callable[..., Any]) -> Iterator[Array]:
    """Adam, where `correct(m, v, t, n)` makes a step of the two averages."""
    yield from (correct(m, v, t, n) for _, m, v, t in moments(gradients, n, start))


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


@rule(ADAM + ", with the largest v so far (AMSGrad)", "mu", "beta2", "eps")
def amsgrad(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    largest = start[1]
    for _, m, v, t in moments(gradients, n, start):
        largest = np.maximum(largest, v)
        yield m / (1.0 - n["mu"] ** t) / (np.sqrt(largest / (1.0 - n["beta2"] ** t)) + n["eps"])


@rule("AMSGrad, with the largest v̂ so far", "mu", "beta2", "eps")
def amsgrad_of_corrected(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    largest: Any = 0.0
    for _, m, v, t in moments(gradients, n, start):
        largest = np.maximum(largest, v / (1.0 - n["beta2"] ** t))
        yield m / (1.0 - n["mu"] ** t) / (np.sqrt(largest) + n["eps"])


@rule("AMSGrad as published: w - lr·m/(√max v + ε)", "mu", "beta2", "eps")
def amsgrad_uncorrected(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    largest = start[1]
    for _, m, v, _ in moments(gradients, n, start):
        largest = np.maximum(largest, v)
        yield m / (np.sqrt(largest) + n["eps"])


def nadam_like(
    gradients: Iterable[Array], n: Numbers, start: Start, share: Callable[[int], float], first: int = 0
) -> Iterator[Array]:
    """NAdam, whose β₁ of step t is β₁·share(t); the sum of both shares is corrected by their products."""
    before = start[2]
    product = np.prod([n["mu"] * share(k) for k in range(1, before + 1)], axis=0) if before else 1.0
    for g, m, v, t in moments(gradients, n, start):
        now, later = n["mu"] * share(t), n["mu"] * share(t + 1)
        product = product * now
        step = (1.0 - now) * g / (1.0 - product) + later * m / (1.0 - product * (later if not first else 1.0))
        yield step / (np.sqrt(v / (1.0 - n["beta2"] ** t)) + n["eps"])


@rule("NAdam: Adam with β₁·m/(1-β₁ᵗ⁺¹) + (1-β₁)·g/(1-β₁ᵗ) for m̂", "mu", "beta2", "eps")
def nadam(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from nadam_like(gradients, n, start, lambda t: 1.0)


@rule("NAdam: Adam with (β₁·m + (1-β₁)·g)/(1-β₁ᵗ) for m̂", "mu", "beta2", "eps")
def nadam_of_one_correction(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from nadam_like(gradients, n, start, lambda t: 1.0, first=1)


@rule("NAdam, with μₜ = β₁(1 - 0.96^(0.004·t)/2) for β₁ (Dozat 2016)", "mu", "beta2", "eps")
def nadam_with_schedule(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from nadam_like(gradients, n, start, lambda t: 1.0 - 0.5 * 0.96 ** (0.004 * t))


@rule("s = ρs + (1 - ρ)g²; v = μv + g/(√s + ε); w - lr·v", "beta2", "mu", "eps")
def rmsprop_with_momentum(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v: Any = 0.0
    for g, s in mean_squares(gradients, n, start):
        v = n["mu"] * v + g / (np.sqrt(s) + n["eps"])
        yield v


@rule("m = ρm + (1 - ρ)g; s = ρs + (1 - ρ)g²; w - lr·g/(√(s - m²) + ε)", "beta2", "eps")
def rmsprop_centered(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    m, s, _ = start
    for g in gradients:
        m, s = n["beta2"] * m + (1.0 - n["beta2"]) * g, n["beta2"] * s + (1.0 - n["beta2"]) * g * g
        yield g / (np.sqrt(np.maximum(s - m * m, 0.0)) + n["eps"])


@rule("s = ρs + (1 - ρ)g²; Δ = g·√(d + ε)/√(s + ε); d = ρd + (1 - ρ)Δ²; w - lr·Δ", "beta2", "eps")
def adadelta(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    d: Any = 0.0
    for g, s in mean_squares(gradients, n, start):
        step = g * np.sqrt(d + n["eps"]) / np.sqrt(s + n["eps"])
        d = n["beta2"] * d + (1.0 - n["beta2"]) * step * step
        yield step


@rule("w - lr·sign(β₁m + (1 - β₁)g); m = β₂m + (1 - β₂)g", "mu", "beta2")
def lion(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    m = start[0]
    for g in gradients:
        yield np.sign(n["mu"] * m + (1.0 - n["mu"]) * g)
        m = n["beta2"] * m + (1.0 - n["beta2"]) * g


@rule("Δ·1.2 where g keeps its sign, Δ/2 where it turns, and no step there; w - Δ·sign(g)")
def rprop(gradients: Iterable[Array], _: Numbers, start: Start) -> Iterator[Array]:
    step: Any = 1.0
    before: Any = 0.0
    for g in gradients:
        turn = g * before
        step = step * np.where(turn > 0.0, 1.2, np.where(turn < 0.0, 0.5, 1.0))
        before = np.where(turn < 0.0, 0.0, g)
        yield step * np.sign(before)
