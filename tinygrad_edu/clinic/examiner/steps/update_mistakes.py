"""Rows of RULES for updates that people get wrong, each with what is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.steps.update_rules import (
    RULES,
    Array,
    Numbers,
    Start,
    UpdateRule,
    adam_like,
    mean_squares,
    moments,
    rule,
    sums_of_squares,
    velocities,
)

__all__ = ["ASSIGNED", "CLIPPED_THE_WRONG_WAY", "GROWING", "RULES"]


@rule(
    "m̂ = m·(1-β₁ᵗ), v̂ = v·(1-β₂ᵗ)", "mu", "beta2", "eps",
    sentence="Adam's bias correction multiplies by 1 - βᵗ where it must divide.",
    fix="m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ): the averages start at 0 and are too small at first.",
)  # fmt: skip
def adam_bias_correction_multiplied(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m * (1.0 - n["mu"] ** t) / (np.sqrt(v * (1.0 - n["beta2"] ** t)) + n["eps"])

    yield from adam_like(gradients, n, start, correct)


@rule(
    "m̂ = m/(1-β₁), v̂ = v/(1-β₂)", "mu", "beta2", "eps",
    sentence="Adam's bias correction divides by 1 - β at every step: the power t is missing.",
    fix="Divide by 1 - βᵗ with the number t of the step, which counts from 1.",
)  # fmt: skip
def adam_bias_correction_without_power(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m / (1.0 - n["mu"]) / (np.sqrt(v / (1.0 - n["beta2"])) + n["eps"])

    yield from adam_like(gradients, n, start, correct)


@rule(
    "w - lr·m/(√v + ε)", "mu", "beta2", "eps",
    sentence="This is Adam without its bias correction: the first steps have another size.",
    fix="m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ), and then w -= lr·m̂/(√v̂ + ε).",
)  # fmt: skip
def adam_bias_correction_missing(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from adam_like(gradients, n, start, lambda m, v, t, n: m / (np.sqrt(v) + n["eps"]))


@rule(
    "m̂ = m/(1-β₁ᵗ), v as it is", "mu", "beta2", "eps",
    sentence="Adam's bias correction is made for the first average and not for the second.",
    fix="Divide v by 1 - β₂ᵗ too.",
)  # fmt: skip
def adam_bias_correction_of_one(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from adam_like(gradients, n, start, lambda m, v, t, n: m / (1 - n["mu"] ** t) / (np.sqrt(v) + n["eps"]))


@rule(
    "m = m̂, v = v̂", "mu", "beta2", "eps",
    sentence="The averages are overwritten by their corrected values, which the next step corrects once more.",
    fix="Keep m and v as they are; give the corrected ones names of their own: m_hat = m / (1 - β₁ᵗ).",
)  # fmt: skip
def adam_averages_overwritten(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    m, v, t = start
    for g in gradients:
        t += 1
        m = (n["mu"] * m + (1.0 - n["mu"]) * g) / (1.0 - n["mu"] ** t)
        v = (n["beta2"] * v + (1.0 - n["beta2"]) * g * g) / (1.0 - n["beta2"] ** t)
        yield m / (np.sqrt(v) + n["eps"])


@rule(
    "w - lr·m̂/(v̂ + ε)", "mu", "beta2", "eps",
    sentence="Adam divides by the average of g² itself: its square root is missing.",
    fix="w -= lr·m̂/(√v̂ + ε).",
)  # fmt: skip
def adam_without_root(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m / (1.0 - n["mu"] ** t) / (v / (1.0 - n["beta2"] ** t) + n["eps"])

    yield from adam_like(gradients, n, start, correct)


def counted_adam(gradients: Iterable[Array], n: Numbers, start: Start, first: int) -> Iterator[Array]:
    """Adam whose t is raised for every parameter, beginning `first` too high.

    `place`: for every number, which parameter it belongs to (from 1); `count`: how many there are.
    """
    place, count = n["place"], n["count"]
    for _, m, v, t in moments(gradients, n, start):
        now = (t - 1) * count + place + first
        yield m / (1.0 - n["mu"] ** now) / (np.sqrt(v / (1.0 - n["beta2"] ** now)) + n["eps"])


@rule(
    "t counts parameters", "mu", "beta2", "eps",
    sentence="Adam's t runs too fast: it is raised for every parameter and not once a step.",
    fix="Raise t once a step, before the loop over the parameters.",
)  # fmt: skip
def adam_step_counted_per_parameter(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from counted_adam(gradients, n, start, 0)


@rule(
    "t counts parameters, from 2", "mu", "beta2", "eps",
    sentence="Adam's t runs too fast: it begins at 1 and is raised for every parameter, not once a step.",
    fix="Begin with t = 0, and raise it once a step, before the loop over the parameters.",
)  # fmt: skip
def adam_step_counted_per_parameter_from_two(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from counted_adam(gradients, n, start, 1)


@rule(
    "t = 2, 3, 4, ...", "mu", "beta2", "eps",
    sentence="Adam's t is one too high: it begins at 1 and is raised before it is used.",
    fix="Begin with t = 0 where it is raised before the update, with t = 1 where it is raised after it.",
)  # fmt: skip
def adam_step_one_too_high(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def corrected(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m / (1.0 - n["mu"] ** (t + 1)) / (np.sqrt(v / (1.0 - n["beta2"] ** (t + 1))) + n["eps"])

    yield from adam_like(gradients, n, start, corrected)


@rule(
    "w - lr·g/(s + ε)", "beta2", "eps",
    sentence="RMSprop divides by the average of g² itself: its square root is missing.",
    fix="w -= lr·g/(√s + ε).",
)  # fmt: skip
def rmsprop_without_root(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g / (s + n["eps"]) for g, s in mean_squares(gradients, n, start))


@rule(
    "w - lr·g/(s + ε)", "eps",
    sentence="Adagrad divides by the sum of g² itself: its square root is missing.",
    fix="w -= lr·g/(√s + ε).",
)  # fmt: skip
def adagrad_without_root(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g / (s + n["eps"]) for g, s in sums_of_squares(gradients, start))


@rule(
    "w - lr·(g₁ + g₂ + ... + g)",
    sentence="The gradients of earlier steps are still in the sum: they are not set to 0 before the backward pass.",
    fix="Set every gradient to 0 at the beginning of a step (optimizer.zero_grad() in PyTorch).",
)  # fmt: skip
def gradients_not_set_to_zero(gradients: Iterable[Array], _: Numbers, start: Start) -> Iterator[Array]:
    whole: Any = 0.0
    for g in gradients:
        whole = whole + g
        yield whole


@rule(
    "v = μv + g; w - lr·(g + v)", "mu",
    sentence="The gradient is subtracted twice: it is in the velocity already.",
    fix="v = μv + g, and then w -= lr·v alone.",
)  # fmt: skip
def momentum_counted_twice(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g + v for g, v in velocities(gradients, n, start))


@rule(
    "v = μv + g; w - lr·(v + μv)", "mu",
    sentence="The momentum is counted twice: the velocity is added, and once more times μ.",
    fix="v = μv + g, and then w -= lr·v (or lr·(g + μv) for Nesterov's).",
)  # fmt: skip
def momentum_added_twice(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (v + n["mu"] * v for _, v in velocities(gradients, n, start))


@rule(
    "v = μv + g; w - lr·(g + μv + v)", "mu",
    sentence="Nesterov's step has the velocity in it already: it is added once more.",
    fix="v = μv + g, and then w -= lr·(g + μv) alone.",
)  # fmt: skip
def nesterov_added_twice(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (g + n["mu"] * v + v for g, v in velocities(gradients, n, start))


@rule(
    "v = μv - g; w - lr·v", "mu",
    sentence="The gradient enters the velocity with the other sign: the step goes uphill.",
    fix="Either v = μv + g and w -= lr·v, or v = μv - lr·g and w += v.",
)  # fmt: skip
def momentum_uphill(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = n["mu"] * v - g
        yield v


@rule(
    "w - lr·(g of the step before)",
    sentence="The step subtracts the gradient of the step before: the update is made before the backward pass.",
    fix="First the backward pass, then the update.",
)
def gradient_of_the_step_before(gradients: Iterable[Array], _: Numbers, start: Start) -> Iterator[Array]:
    before: Any = None
    for g in gradients:
        yield np.zeros_like(g) if before is None else before
        before = g


@rule(
    "v = β₂v + (1-β₂)|g|", "mu", "beta2", "eps",
    sentence="Adam's second average is made of |g|: the square is missing.",
    fix="v = β₂·v + (1 - β₂)·g², whose root is then taken.",
)  # fmt: skip
def adam_without_square(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    m, v, t = start
    for g in gradients:
        t += 1
        m, v = n["mu"] * m + (1.0 - n["mu"]) * g, n["beta2"] * v + (1.0 - n["beta2"]) * np.abs(g)
        yield m / (1.0 - n["mu"] ** t) / (np.sqrt(v / (1.0 - n["beta2"] ** t)) + n["eps"])


@rule(
    "v = β₂v + (1-β₂)m²", "mu", "beta2", "eps",
    sentence="Adam's second average is made of the first one, m², where g² belongs.",
    fix="v = β₂·v + (1 - β₂)·g², with the gradient itself.",
)  # fmt: skip
def adam_square_of_average(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    m, v, t = start
    for g in gradients:
        t += 1
        m = n["mu"] * m + (1.0 - n["mu"]) * g
        v = n["beta2"] * v + (1.0 - n["beta2"]) * m * m
        yield m / (1.0 - n["mu"] ** t) / (np.sqrt(v / (1.0 - n["beta2"] ** t)) + n["eps"])


@rule(
    "m̂ = m/(1-β₂ᵗ), v̂ = v/(1-β₁ᵗ)", "mu", "beta2", "eps",
    sentence="Adam's corrections are exchanged: m is divided by 1 - β₂ᵗ and v by 1 - β₁ᵗ.",
    fix="m̂ = m / (1 - β₁ᵗ) and v̂ = v / (1 - β₂ᵗ).",
)  # fmt: skip
def adam_bias_corrections_exchanged(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    def correct(m: Array, v: Array, t: int, n: Numbers) -> Any:
        return m / (1.0 - n["beta2"] ** t) / (np.sqrt(v / (1.0 - n["mu"] ** t)) + n["eps"])

    yield from adam_like(gradients, n, start, correct)


@rule(
    "t counts steps and parameters", "mu", "beta2", "eps",
    sentence="Adam's t runs too fast: it is raised once a step, and once more for every parameter.",
    fix="Raise t once a step, before the loop over the parameters.",
)  # fmt: skip
def adam_step_counted_twice(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    for _, m, v, t in moments(gradients, n, start):
        now = (t - 1) * (n["count"] + 1.0) + n["place"] + 1.0
        yield m / (1.0 - n["mu"] ** now) / (np.sqrt(v / (1.0 - n["beta2"] ** now)) + n["eps"])


@rule(
    "v = g - μv; w - lr·v", "mu",
    sentence="The velocity turns round at every step: the part that is kept has the wrong sign.",
    fix="v = μv + g, and then w -= lr·v.",
)  # fmt: skip
def momentum_velocity_turned(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = g - n["mu"] * v
        yield v


@rule(
    "v = μ(v + g); w - lr·v", "mu",
    sentence="The new gradient is multiplied by μ too: the brackets are in the wrong place.",
    fix="v = μ·v + g, and then w -= lr·v.",
)  # fmt: skip
def momentum_of_the_gradient_too(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    v = start[0]
    for g in gradients:
        v = n["mu"] * (v + g)
        yield v


@rule(
    "v = μv + g; w - lr·(v + μg)", "mu",
    sentence="The step ahead is made with the gradient: it adds μ·g to the velocity, where μ·v is added to g.",
    fix="v = μv + g, and then w -= lr·(g + μv).",
)  # fmt: skip
def nesterov_ahead_by_the_gradient(gradients: Iterable[Array], n: Numbers, start: Start) -> Iterator[Array]:
    yield from (v + n["mu"] * g for g, v in velocities(gradients, n, start))


# Found by a look at the change, before the table is searched

ASSIGNED = UpdateRule(
    "update_assigned", "w = c·g", (), RULES["gradient_descent"].rule,
    "The new weight is the change itself: it is assigned, not added to the old weight.",
    "w -= lr * g (or w += lr * (-g)), not w = lr * g.",
)  # fmt: skip


GROWING = UpdateRule(
    "weight_decay_uphill", "w - lr·(g - λw)", (), RULES["gradient_descent"].rule,
    "The weight decay has the wrong sign: it makes the weights grow.",
    "w -= lr * (g + decay * w), or w *= 1 - lr * decay before the step.",
)  # fmt: skip


CLIPPED_THE_WRONG_WAY = UpdateRule(
    "gradient_clip_inverted", "g = g·‖g‖/limit", (), RULES["gradient_descent"].rule,
    "Clipping makes the gradients longer: they are multiplied by ‖g‖/limit, where limit/‖g‖ belongs.",
    "Where ‖g‖ is above the limit: g *= limit / ‖g‖.",
)  # fmt: skip
