"""Momentum and gradient descent whose rate falls inside the velocity, or at every parameter that is updated.

In v = μv - lr·g, w += v, a rate that falls makes the step no multiple of one rule's step; and where the count of
iterations is raised by each layer's update, every layer has a rate of its own. Neither is a mistake.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence

import numpy as np

from tinygrad_edu.clinic.examiner.steps.rate_schedule import SLOW
from tinygrad_edu.clinic.examiner.steps.step_walk import FITS, Walk

LEAST = 0.9  # relative to lr; a rate below this within three steps is another number, not a slow fall


def falls_with_momentum(walk: Walk, mu: float) -> float | None:
    """The first rate, if every change is μ·(the change before) + c·g, with c near lr for each parameter, and falling.

    >>> g, w, rates = np.array([1.0, -2.0]), np.zeros(2), (0.1, 0.0999, 0.0998)
    >>> weights = [{"w": w}] + [{"w": w - sum(rates[:k]) * g} for k in (1, 2, 3)]
    >>> round(falls_with_momentum(Walk(weights, [{"w": g}] * 3, 0.1), 0.0), 9)
    0.1
    """
    if len(walk.changes) < 2:
        return None
    table = [[*rates_in_change(walk, mu, k)] for k in range(len(walk.changes))]
    if any(c is None for step in table for c in step):
        return None
    series = [[c for c in x if c] for x in zip(*table, strict=True)]
    first = max((x[0] for x in series if x), default=0.0)
    told = walk.lr or first
    near = all(LEAST * told < c <= told * (1.0 + FITS) for x in series for c in x)
    return first if near and any(map(falls, series)) and all(map(never_rises, series)) else None


def rates_in_change(walk: Walk, mu: float, k: int) -> Iterator[float | None]:
    """Of each parameter, c in the k-th change; 0 where there is no gradient, None where there is no such c."""
    before = walk.changes[k - 1] if k else np.zeros_like(walk.changes[0])
    rest = walk.changes[k] - mu * before
    for (_, x), (_, g), (_, d) in zip(*(walk.parts(a) for a in (rest, walk.slopes[k], walk.changes[k])), strict=True):
        square = float(np.vdot(g, g))
        c = float(np.vdot(g, x)) / square if square else 0.0
        yield c if np.linalg.norm(x - c * g) <= FITS * float(np.linalg.norm(d)) else None


def falls(rates: Sequence[float]) -> bool:
    return any(b < a * (1.0 - SLOW) for a, b in itertools.pairwise(rates))


def never_rises(rates: Sequence[float]) -> bool:
    return all(b <= a * (1.0 + FITS) for a, b in itertools.pairwise(rates))
