"""Parameters at which the loss has a kink: from one side it has another slope than from the other.

So it is where a perceptron starts from zero weights, an SVM has a margin of exactly 1, an absolute error is exactly 0,
a relu is handed exactly 0 (biases of 0, and a sample of zeros), or two entries share a maximum. There is no single
right gradient at such a point: whoever writes relu'(0) = 0, 1 or 1/2 is right.

>>> from tinygrad_edu.clinic.examiner.learner.inputs import parameters
>>> form, weights = parameters({"w": np.array([0.0, 2.0])})
>>> learner = LearnerForward(lambda p: np.abs(p["w"]).sum(), form)
>>> has_kink(learner, weights), has_kink(learner, {"w": np.array([1.0, 2.0])})
(True, False)
>>> [x.round(3).tolist() for x in between_slopes(learner, weights, {"w": np.array([0.0, 1.0])}, "w")["w"]]
[[-1.0, 1.0], [1.0, 1.0]]
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward, nudge

Array = np.ndarray[Any, Any]
STEPS, LONG_STEPS = (1e-5, 3e-6, 1e-6), (3e-2, 1e-2, 3e-3)  # three steps, in double and in single precision
ALIKE = 1.5  # a kink shows the same at every step to this factor; curvature and rounding change tenfold
ROUNDING, SINGLE_ROUNDING = 1e-15, 3e-7  # of a loss, relative to the loss
SHARE = 1e-5  # of the slopes; a smaller difference between the two sides is taken for rounding
DIRECTIONS = 3
MOST = 2_000  # numbers; with more, the slopes at each would take too long
SLACK = 1e-4  # relative; one-sided differences are less exact than central ones


def has_kink(learner: LearnerForward, params: Mapping[str, Array]) -> bool:
    """Does the slope change at these parameters, in one of a few random directions?

    The slopes ahead and behind differ by h·f'' where f is smooth, which shrinks with the step h, and by the same number
    at every h where there is a kink.
    """
    try:
        with np.errstate(all="ignore"):
            start, rng = learner.loss(params), np.random.default_rng(2)
            return any(bends(learner, params, start, rng) for _ in range(DIRECTIONS))
    except Exception:  # the forward may raise anything at other parameters
        return False


def bends(learner: LearnerForward, params: Mapping[str, Array], start: float, rng: np.random.Generator) -> bool:
    direction = {n: rng.normal(size=x.shape) * np.maximum(np.abs(x), 0.1) for n, x in params.items()}
    steps, rounding = (LONG_STEPS, SINGLE_ROUNDING) if learner.single else (STEPS, ROUNDING)
    slopes = [sides(learner, params, direction, start, h) for h in steps]
    jumps = [abs(ahead - behind) for behind, ahead in slopes]
    noise = 100.0 * rounding * max(abs(start), 1e-3) / steps[-1] + SHARE * max(map(abs, slopes[-1]))
    return min(jumps) > noise and max(jumps) < ALIKE * min(jumps)


def sides(
    learner: LearnerForward, params: Mapping[str, Array], direction: Mapping[str, Array], start: float, h: float
) -> tuple[float, float]:
    """The slopes behind and ahead in a direction."""
    down, up = (learner.loss({n: x + s * direction[n] for n, x in params.items()}) for s in (-h, h))
    return (start - down) / h, (up - start) / h


def between_slopes(
    learner: LearnerForward, params: Mapping[str, Array], right: Mapping[str, Array], names: Iterable[str]
) -> dict[str, tuple[Array, Array]]:
    """For each of these parameters, the least and the largest numbers that its entries may have.

    A loss is a sum over samples, each with its own kink: L = S + Σ aᵢ behind and R = S + Σ bᵢ ahead. There relu'(0) = 0
    gives S, and relu'(0) = 1 gives S + Σ aᵢ + Σ bᵢ = L + R - S. right: the gradient S of one convention.
    """
    start, h = learner.loss(params), (LONG_STEPS if learner.single else STEPS)[-1]
    found: dict[str, tuple[Array, Array]] = {}
    for name in names:
        x = params[name]
        behind, ahead = np.zeros(x.size), np.zeros(x.size)
        for i, w in enumerate(x.reshape(-1)):
            step = h * max(1.0, abs(float(w)))
            down, up = (learner.loss({**params, name: nudge(x, i, s)}) for s in (-step, step))
            behind[i], ahead[i] = (start - down) / step, (up - start) / step
        some = right[name].reshape(-1)
        sides = np.array([behind, ahead, some, behind + ahead - some])
        found[name] = (sides.min(axis=0).reshape(x.shape), sides.max(axis=0).reshape(x.shape))
    return found


def lies_between(given: Array, bounds: tuple[Array, Array], single: bool = False) -> bool:
    """Is every entry of a gradient between its two slopes?"""
    low, high = bounds
    slack = (1e-2 if single else SLACK) * max(float(np.abs(low).max(initial=0.0)), float(np.abs(high).max(initial=0.0)))
    return given.shape == low.shape and bool(((given >= low - slack) & (given <= high + slack)).all())


def moved_beside(params: Mapping[str, Array], seed: int, size: float = 0.1) -> dict[str, Array]:
    """Random parameters near these."""
    rng = np.random.default_rng(seed)
    return {n: x + size * rng.normal(size=x.shape) * (1.0 + np.abs(x)) for n, x in params.items()}
