"""The Robbins-Monro conditions: can a schedule cover any distance, and does the noise of its steps die out?

With α(t) ~ c/tᵖ both follow from p: Σα = ∞ for p ≤ 1, Σα² < ∞ for 2p > 1. For the schedules of this package p is known;
for any other function it is estimated, and the answer says so.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from tinygrad_edu.checks import whole
from tinygrad_edu.optim.schedule import LearningRate, Schedule, as_schedule

NEAR = 0.05  # an estimated exponent this close to 1 is undecided, unless it is 1
EXACT = 1e-3  # ... within this tolerance; the estimate for 1/(t log t) is still 1.09 at t = 10⁶
DRIFT = 10  # p may change further by ten times its change over the last decade of t; logarithms need 5 or 6 times


@dataclass(frozen=True)
class Verdict:
    """Whether both conditions hold: each answer is True, False, or None (undecided); `reasons` has a sentence for each.

    `sum_diverges`: Σα = ∞, so any distance can be covered. `squares_converge`: Σα² < ∞, so the noise of the gradients
    dies out. Together they are enough for convergence to a minimum of a well-behaved loss, with probability 1.

    >>> verdict = robbins_monro(0.1)  # a constant rate
    >>> verdict.sum_diverges, verdict.squares_converge, bool(verdict)
    (True, False, False)
    """

    schedule: Schedule
    sum_diverges: bool | None
    squares_converge: bool | None
    reasons: tuple[str, str]

    @property
    def converges(self) -> bool | None:
        """True if both hold, False if one fails, else None."""
        answers = (self.sum_diverges, self.squares_converge)
        return False if False in answers else None if None in answers else True

    def __bool__(self) -> bool:
        return self.converges is True

    def __repr__(self) -> str:
        word = {True: "holds", False: "fails", None: "undecided"}
        lines = [
            f"  {name} {word[answer]}: {reason}"
            for name, answer, reason in zip(
                ("Σα = ∞ ", "Σα² < ∞"), (self.sum_diverges, self.squares_converge), self.reasons, strict=True
            )
        ]
        return "\n".join([f"Robbins-Monro, {self.schedule!r}: {word[self.converges]}", *lines])


def robbins_monro(schedule: LearningRate, horizon: int = 1_000_000) -> Verdict:
    """Σ α(t) = ∞ and Σ α(t)² < ∞: do the two conditions of Robbins and Monro (1951) hold for a schedule?

    Known forms are decided by their formula; of warmup and piecewise the last part counts. Any other function of
    t = 0, 1, 2, ... is evaluated up to `horizon`: evidence, not proof, and undecided near the border.
    schedule: a schedule, a number, or a function of the step.
    horizon: how many steps are evaluated where no formula decides; 1,000,000.
    Errors: SettingError if a rate is negative, NaN or infinite, or the horizon is below 10,000.

    >>> from tinygrad_edu.optim import schedules
    >>> robbins_monro(schedules.inverse_power(0.1, power=0.5))
    Robbins-Monro, inverse_power(lr=0.1, power=0.5): fails
      Σα = ∞  holds: α falls like 1/t^0.5, and Σ 1/t^0.5 is infinite (0.5 ≤ 1)
      Σα² < ∞ fails: α² falls like 1/t, and Σ 1/t is infinite (1 ≤ 1)
    >>> robbins_monro(schedules.inverse_time(0.1)).converges
    True
    """
    whole("horizon", horizon, 10_000)
    known = as_schedule(schedule)
    power = known.tail()
    if power is not None:
        return analytic(known, power)
    if known.follows_loss:
        why = "the rate depends on the losses that it is told, not only on t"
        return Verdict(known, None, None, (why, why))
    return numerical(known, horizon)


def analytic(schedule: Schedule, power: float) -> Verdict:
    """The verdict for α(t) ~ c/tᵖ."""
    return Verdict(schedule, power <= 1.0, 2.0 * power > 1.0, (sentence("α", power), sentence("α²", 2.0 * power)))


def sentence(name: str, power: float) -> str:
    """A sentence on why Σ 1/tᵖ is finite or infinite."""
    if power == math.inf:
        return f"{name} falls geometrically, or is 0 from some step on: its sum is finite"
    if power == 0.0:
        return f"{name} does not fall to 0: its sum is infinite"
    series = f"{name} falls like {inverse(power)}, and Σ {inverse(power)} is"
    return f"{series} infinite ({power:g} ≤ 1)" if power <= 1.0 else f"{series} finite ({power:g} > 1)"


def inverse(power: float) -> str:
    """1/tᵖ as text; an estimated p has three decimals."""
    shown = f"{round(power, 3) + 0.0:g}"
    return {"0": "a constant", "1": "1/t"}.get(shown, f"1/t^{shown}")


def numerical(schedule: Schedule, horizon: int) -> Verdict:
    """The verdict for a function that is known only by its values."""
    rates = schedule.rates(0, horizon)
    (diverges, why), (squares_diverge, why_squares) = (
        diverging(name, x) for name, x in (("α", rates), ("α²", rates**2))
    )
    return Verdict(schedule, diverges, None if squares_diverge is None else not squares_diverge, (why, why_squares))


def diverging(name: str, terms: np.ndarray[tuple[int], np.dtype[np.float64]]) -> tuple[bool | None, str]:
    """Does Σ terms diverge, judging by the sums over t = n/10⁴ … n/1000 … n/100 … n/10 … n?

    For c/tᵖ each sum is 10¹⁻ᵖ times the one before, which gives three estimates of p.
    """
    ends = [len(terms) // 10**k for k in (4, 3, 2, 1, 0)]
    sums = [float(terms[a:b].sum()) for a, b in pairwise(ends)]
    shown = ", ".join(f"{s:.3g}" for s in sums)
    seen = (
        f"seen up to t = {len(terms):,}, not proved: the sums of {name} over the last four factors of ten are {shown}"
    )
    powers = exponents(sums)
    if not sums[-1]:
        return False, f"{seen}: the terms have vanished"
    answer = decide_divergence(*powers)
    word = {True: "looks infinite", False: "looks finite", None: "is too close to 1, or not steady enough, to decide"}
    return answer, f"{seen}, as of {', '.join(map(inverse, powers))}; this {word[answer]}"


def exponents(sums: Sequence[float]) -> list[float]:
    """p from each pair of neighbouring sums; ∞ if the later one is 0, -∞ if only the earlier one is."""
    return [1.0 - math.log10(b / a) if a and b else -math.inf if b else math.inf for a, b in pairwise(sums)]


def decide_divergence(first: float, middle: float, last: float) -> bool | None:
    """True if the sum diverges, p ≤ 1; the recent estimates of p and the limit they may reach have to agree."""
    before, change = middle - first, last - middle
    if 4.0 * abs(change) <= abs(before):  # the estimates settle quickly, as for 1/(t + c): extrapolate by Aitken's rule
        likely = [last + (change * change / (before - change) if change else 0.0)]
    else:
        likely = [middle, last, last + DRIFT * change]
    if min(likely) > 1.0 + NEAR:
        return False
    return True if max(likely) < 1.0 - NEAR or all(abs(p - 1.0) < EXACT for p in likely) else None
