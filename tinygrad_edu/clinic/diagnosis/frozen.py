"""Weights that were told not to learn: are they what keeps a run from its goal?"""

from __future__ import annotations

from tinygrad_edu.clinic.diagnosis.causes.table import PROVED_OTHERWISE
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.result import FoundCause

IN_THEIR_WORDS = {
    "torch": "In PyTorch: p.requires_grad_(True) for these p, before they are given to the optimizer.",
    "keras": "In Keras: layer.trainable = True, then compile the model again.",
}


def weights_that_stay(subject: Subject, as_is: Trial) -> FoundCause:
    """The cause; its proof is the repetition, in which all weights learn."""
    names, low_high = ", ".join(subject.fixed[:4]), as_is.interval
    return FoundCause(
        "unregistered_parameters",
        PROVED_OTHERWISE["unregistered_parameters"][0],
        f"Told not to learn: {names}{' and more' if len(subject.fixed) > 4 else ''}.",
        f"with nothing else changed, but all weights learning, {as_is.reached} of {as_is.count} repetitions from other "
        f"seeds reach the goal (90% interval {low_high[0]:.0%} to {low_high[1]:.0%}).",
        IN_THEIR_WORDS[subject.setup.dialect],
    )
