"""Symptoms of the same setup trained from several seeds: pure functions of the losses of each run."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Measured, Symptom, looks, symptom

Array = np.ndarray[Any, Any]
FEWEST = 3  # seeds needed to see a spread


@symptom("seeds", kind="seeds")
def spread_over_seeds(curves: Sequence[Array]) -> Measured:
    """The start decides where the training ends.

    curves: the loss of each epoch of each run. value: (largest - smallest last loss) / (smallest first loss - smallest
    last loss), 0 where all seeds end alike, and 1 where one ends no better than another begins.
    """
    if len(curves) < FEWEST or not all(len(curve) for curve in curves):
        return None
    last = np.array([curve[-1] for curve in curves], dtype=float)
    best, lost = float(np.min(last, initial=math.inf, where=np.isfinite(last))), int(np.sum(~np.isfinite(last)))
    first = min(float(curve[0]) for curve in curves)
    fall = first - best
    if lost:
        most = "none is finite" if lost == len(last) else f"the best one ends at {best:.3g}"
        value, rest = math.inf, f"the last loss of {lost} is not finite, and {most}."
    elif fall > 0.0:
        value = (float(last.max()) - best) / fall
        rest = (
            f"the last losses range from {best:.3g} to {last.max():.3g}: the spread is {value:.0%} of the best one's "
            f"fall from {first:.3g}."
        )
    else:
        return None
    return value, f"Of {len(curves)} seeds, with nothing else changed, {rest}"


def of_seeds(curves: Sequence[Array]) -> list[Symptom]:
    """All symptoms of runs from several seeds."""
    return [symptom for look in looks("seeds") if (symptom := look(curves)) is not None]
