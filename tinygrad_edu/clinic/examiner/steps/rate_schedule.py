"""Learning rates that change from step to step: lr/(1 + c·t), lr·γᵗ, a straight line, lr/√t."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Sequence

import numpy as np

SLOW = 1e-7  # relative fall per step; less is rounding
LEAST = 0.05  # relative to the first rate; a fall below this within three steps is not a schedule
STRAIGHT = 1e-5  # relative deviation from a straight line, after scaling by the schedule's function
FALLING = ", with a learning rate that falls"
SCALES: tuple[Callable[[float], float], ...] = (
    lambda c: c,  # linear: lr·(1 - t/T)
    np.log,  # lr·γᵗ
    lambda c: 1.0 / c,  # lr/(1 + c·t)
    lambda c: 1.0 / c**2,  # lr/√(1 + c·t)
)


def is_schedule(rates: Sequence[float | None]) -> bool:
    """Do three rates or more fall as those of a usual schedule do, from wherever it stands?

    Other numbers than a learning rate can change a step too (a bias correction does): those lie on none of these lines.

    >>> is_schedule([0.1 / (1 + 0.1 * t) for t in range(3, 6)]), is_schedule([0.1 * 0.9**t for t in range(3)])
    (True, True)
    >>> is_schedule([(1 - 0.9**t) / (1 - 0.999**t) ** 0.5 for t in (1, 2, 3)]), is_schedule([0.1, 0.1, 0.1])
    (False, False)
    """
    known = [c for c in rates if c is not None]
    falls = all((1.0 - SLOW) * a > b > LEAST * known[0] for a, b in itertools.pairwise(known))
    if len(known) < max(3, len(rates)) or not falls:
        return False
    return any(is_straight([scale(c) for c in known]) for scale in SCALES)


def is_straight(numbers: Iterable[float]) -> bool:
    bends, steps = np.diff([*numbers], 2), np.diff([*numbers])
    return bool(np.all(np.abs(bends) <= STRAIGHT * np.abs(steps).max()))
