"""What a loss curve alone tells: pure functions of it, each a Symptom with numbers, or None."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Measured, Symptom, looks, symptom

Array = np.ndarray[Any, Any]
FEWEST = 8  # epochs that say anything


@symptom("divergence", kind="curve")
def divergence(losses: Array) -> Measured:
    """The loss is not finite, or ends well above where it began."""
    limit = LIMITS["divergence"]
    if not np.isfinite(losses).all():
        epoch = int(np.isfinite(losses).argmin()) + 1
        return Symptom("divergence", math.inf, limit, f"The loss is not finite in epoch {epoch}.")
    first, last = float(losses[0]), float(np.median(losses[-max(1, len(losses) // 10) :]))
    if first <= 0.0 or last <= limit * first:
        return None
    sentence = f"The loss rises, from {first:.3g} to {last:.3g} ({last / first:.2g} times)."
    return Symptom("divergence", last / first, limit, sentence)


@symptom("oscillation", kind="curve")
def oscillation(losses: Array) -> Measured:
    """In the second half the loss goes up and down by much of what it fell in all."""
    limit = LIMITS["oscillation"]
    if len(losses) < FEWEST or not np.isfinite(losses).all():
        return None
    half = losses[len(losses) // 2 :]
    ups = np.diff(half)
    turns = float(np.mean(ups > 0.0))
    swing = float(np.abs(ups).mean()) / max(float(losses.max() - losses.min()), 1e-300)
    if swing <= limit or not 0.2 < turns < 0.8:
        return None
    return Symptom(
        "oscillation", swing, limit,
        f"In the second half the loss rises in {turns:.0%} of the epochs, and moves by {swing:.0%} of its whole range "
        "from one to the next.",
    )  # fmt: skip


@symptom("plateau", kind="curve", below=True)
def plateau(losses: Array) -> Measured:
    """The last fifth changes the loss by next to nothing, while most of it is left."""
    limit = LIMITS["plateau"]
    if len(losses) < FEWEST or not np.isfinite(losses).all():
        return None
    part = max(2, len(losses) // 5)
    fall = float(losses[-part] - losses[-1]) / max(abs(float(losses[0])), 1e-300)
    left = float(losses[-1]) / max(abs(float(losses[0])), 1e-300)
    if abs(fall) > limit or left < LIMITS["left"]:
        return None
    return Symptom(
        "plateau", fall, limit,
        f"Over the last {part} epochs the loss falls by {fall:.1%} of its first value, and {left:.0%} of it is left.",
    )  # fmt: skip


@symptom("improving", kind="curve")
def improving(losses: Array) -> Measured:
    """The loss was still falling when training ended.

    When it would halve is not said: of 15 runs that were trained on, a power law through the tail was right in none.
    """
    limit = LIMITS["improving"]
    if len(losses) < FEWEST or not np.isfinite(losses).all() or losses[-1] <= 0.0:
        return None
    part = max(3, len(losses) // 10)
    before, after = float(np.mean(losses[-2 * part : -part])), float(np.mean(losses[-part:]))
    fall = (before - after) / before
    if fall <= limit:
        return None
    return Symptom(
        "improving", fall, limit,
        f"The loss was still falling when training ended: by {fall:.1%} from the last but one to the last {part} "
        "epochs.",
    )  # fmt: skip


@symptom("flat", kind="curve", below=True)
def flat(losses: Array) -> Measured:
    """The loss hardly moves at all, from the first epoch on."""
    limit = LIMITS["flat"]
    if len(losses) < FEWEST or not np.isfinite(losses).all():
        return None
    fall = float(losses[0] - losses.min()) / max(abs(float(losses[0])), 1e-300)
    if fall >= limit:
        return None
    return Symptom(
        "flat", fall, limit, f"In {len(losses)} epochs the loss falls by only {fall:.2%} of its first value."
    )


def of_curve(losses: Array) -> list[Symptom]:
    """All that a curve shows."""
    found = (look(losses) for look in looks("curve"))
    return [symptom for symptom in found if symptom is not None]
