"""Does a step make the right gradients somewhere, whatever it does with them afterwards?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import Recording

Array = np.ndarray[Any, Any]


def gradients_are_made(
    recording: Recording, right: Mapping[str, Array], factors: Iterable[float], lr: float | None
) -> bool:
    """Are the right gradients, or plain multiples of them, among the values that the step made?

    >>> gradients_are_made(Recording(), {"w": np.ones(2)}, [1.0], None)
    False
    """
    scales = np.abs([*factors])
    return all(is_made(recording, g, scales, lr) for g in right.values() if np.linalg.norm(g) > 1e-12)


def is_made(recording: Recording, g: Array, scales: Array, lr: float | None) -> bool:
    """Is this gradient a value of the run, whole, row by row or number by number?"""
    flat = g.ravel()
    norm = float(np.linalg.norm(flat))
    for made in recording.made.values():
        if made.line and made.value.size == flat.size and flat.size > 1:
            x = made.value.ravel()
            cosine = abs(float(np.vdot(x, flat))) / (norm * float(np.linalg.norm(x)) or 1.0)
            scale = float(np.linalg.norm(x)) / norm
            if cosine > 1.0 - 1e-12 and np.any(np.abs(scales / scale - 1.0) < 1e-6):
                return True
    # an embedding: only the rows that a sample reads are nonzero
    if g.ndim == 2 and 0 < np.any(g, axis=1).sum() < len(g):
        return all(is_made(recording, row, scales, lr) for row in g if np.any(row))
    flat = flat[flat != 0.0]
    rates = [s * c for s in (1.0, -1.0) for c in ((1.0, lr) if lr else (1.0,))]
    numbers = [m.value.reshape(()) for m in recording.made.values() if m.value.size == 1 and m.line]
    single = np.sort([float(x) for x in numbers])
    for c in rates if single.size else ():
        at = (
            np.clip(np.searchsorted(single, c * flat), 1, len(single) - 1)
            if single.size > 1
            else np.zeros(flat.size, int)
        )
        gaps = np.minimum(np.abs(single[at] - c * flat), np.abs(single[at - 1] - c * flat))
        if np.all(gaps <= 1e-9 * np.abs(flat)):
            return True
    return False


def assigned_ones(
    weights: Mapping[str, Array], new: Mapping[str, Array], right: Mapping[str, Array], lr: float
) -> list[str]:
    """The parameters that are lr·g now, in place of w - lr·g, if all others are right."""
    steps = {n: relative(x - new[n], lr * right[n]) for n, x in weights.items()}
    wrong = [n for n, error in steps.items() if error > 1e-3 and np.any(weights[n])]
    close = all(relative(new[n], lr * right[n]) < 1e-5 for n in wrong)
    others = [steps[n] for n in right if n not in wrong]
    return wrong if close and others and max(others) < 1e-5 else []


def relative(a: Array, b: Array) -> float:
    """‖a - b‖ by the larger of both."""
    scale = max(float(np.linalg.norm(a)), float(np.linalg.norm(b)))
    return float(np.linalg.norm(a - b)) / scale if scale else 0.0
