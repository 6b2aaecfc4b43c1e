"""What a loss curve alone tells: pure functions of it, each a Symptom with numbers, or None."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Measured, Symptom, looks, symptom

Array = np.ndarray[Any, Any]
FEWEST = 8  # epochs; fewer say nothing
MOST_CLASSES = 1000
MEDIAN_OF_NORMAL = 0.6745  # median of |x| for a standard normal distribution
SURELY = 3.0  # standard errors by which the last tenth of a curve must be below the tenth before it
FALL = 0.05  # share of its first value; a loss that fell this much has learned something
MANY = 150  # numbers; a longer curve may hold a loss per batch
WINDOWS = 40  # windows over which such a curve is averaged
# correlation between successive changes; for pure noise it is -0.5, above this limit the curve is not noise
ALTERNATING = -0.25


@symptom("divergence", kind="curve")
def divergence(losses: Array) -> Measured:
    """The loss is not finite, or ends well above where it began."""
    limit = LIMITS["divergence"]
    if not np.isfinite(losses).all():
        epoch = int(np.isfinite(losses).argmin()) + 1
        return Symptom("divergence", math.inf, limit, f"The loss is not finite in epoch {epoch}.")
    first, last = float(losses[0]), float(np.median(losses[-max(1, len(losses) // 10) :]))
    if last <= first:
        return None
    times = 1.0 + (last - first) / abs(first) if first else math.inf  # if the first loss is 0 or less, use the distance
    if times <= limit:
        return None
    ratio = f" ({times:.2g} times)" if first > 0.0 else ""
    return Symptom("divergence", times, limit, f"The loss rises, from {first:.3g} to {last:.3g}{ratio}.")


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
        f"In the second half the loss rises in {turns:.0%} of the epochs, and changes by {swing:.0%} of its whole "
        "range from one epoch to the next.",
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
    if abs(fall) > limit or left < LIMITS["left"] or divergence(losses) is not None:
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
    if fall <= limit or before - after <= SURELY * noise_of(losses[len(losses) // 2 :]) * math.sqrt(2.0 / part):
        return None
    return Symptom(
        "improving", fall, limit,
        f"The loss was still falling when training ended: by {fall:.1%} between the last two blocks of {part} "
        "epochs.",
    )  # fmt: skip


def noise_of(losses: Array) -> float:
    """The standard deviation about a smooth curve, by second differences: of noise theirs is sqrt(6) times as large.

    >>> round(noise_of(np.exp(-np.arange(40) / 8)), 2)
    0.0
    """
    bends = np.abs(np.diff(losses, 2))
    return float(np.median(bends)) / (MEDIAN_OF_NORMAL * math.sqrt(6.0)) if bends.size else 0.0


@symptom("chance", kind="curve", below=True)
def at_chance(losses: Array) -> Measured:
    """The loss stays at log(k), which is what guessing among k classes that come equally often costs."""
    if len(losses) < FEWEST or not np.isfinite(losses).all() or losses.min() <= 0.5:
        return None
    level = float(np.median(losses[len(losses) // 2 :]))
    classes = round(math.exp(min(level, 10.0)))
    off = float(np.abs(losses[len(losses) // 2 :] - math.log(max(classes, 2))).max()) / level
    if not 2 <= classes <= MOST_CLASSES or losses[0] - losses[-1] > FALL * losses[0]:
        return None
    return max(off, 1e-6), (
        f"The loss stays at {level:.4g}. Guessing among {classes} classes costs log({classes}) = "
        f"{math.log(classes):.4g}: if there are about so many, nothing has been learned."
    )


@symptom(kind="curve")
def negative(losses: Array) -> Measured:
    """A loss below 0, which no squared error and no cross-entropy of classes can be."""
    least = float(np.min(losses, initial=math.inf, where=np.isfinite(losses)))
    if not least < 0.0:
        return None
    return Symptom(
        "negative", math.inf, 1.0,
        f"The loss reaches {least:.4g}: a squared error is never below 0, nor is a cross-entropy unless targets are "
        "outside [0, 1] (labels -1 and 1?); a log-density may be.",
    )  # fmt: skip


@symptom("flat", kind="curve", below=True)
def flat(losses: Array) -> Measured:
    """The loss hardly moves at all, from the first epoch on."""
    limit = LIMITS["flat"]
    if len(losses) < FEWEST or not np.isfinite(losses).all():
        return None
    fall = float(losses[0] - losses.min()) / max(abs(float(losses[0])), 1e-300)
    if fall >= limit or divergence(losses) is not None:  # a rising loss is not flat
        return None
    how = f"falls by only {fall:.2%} of its first value" if fall > 0.0 else "is never below its first value"
    return Symptom("flat", fall, limit, f"In {len(losses)} epochs the loss {how}.")


def smooth(losses: Array) -> tuple[Array, int]:
    """(means of so many numbers, how many): of losses of batches, which go up and down about a falling curve.

    >>> rng = np.random.default_rng(0)
    >>> smooth(np.exp(-np.arange(600) / 200) + rng.normal(0.0, 0.2, 600))[1]
    15
    """
    if len(losses) < MANY or not np.isfinite(losses).all():
        return losses, 1
    width = len(losses) // WINDOWS
    means = losses[: width * (len(losses) // width)].reshape(-1, width).mean(axis=1)
    steps = np.diff(losses)
    alternating = float(np.corrcoef(steps[:-1], steps[1:])[0, 1]) if np.ptp(steps) > 0.0 else 0.0
    noise = float(np.median(np.abs(steps)))
    noisy = alternating < ALTERNATING and noise > float(np.median(np.abs(np.diff(means))))
    fell = means[-1] < means[0] - noise
    return (means, width) if noisy and fell else (losses, 1)


def of_curve(losses: Array) -> list[Symptom]:
    """All that a curve shows."""
    found = (look(losses) for look in looks("curve"))
    return [symptom for symptom in found if symptom is not None]
