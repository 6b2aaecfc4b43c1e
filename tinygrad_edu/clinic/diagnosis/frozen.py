"""Weights that were told not to learn: are they what keeps a run from its goal?"""

from __future__ import annotations

from tinygrad_edu.clinic.diagnosis.causes.table import PROVED_OTHERWISE
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject, names_in_short
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.result import FoundCause

IN_THEIR_WORDS = {
    "torch": "In PyTorch: p.requires_grad_(True) for these p, before they are given to the optimizer.",
    "fit": "Give all of them to the optimizer: model.parameters().",
    "keras": "In Keras: layer.trainable = True, then compile the model again.",
}


def weights_that_stay(subject: Subject, as_is: Trial) -> FoundCause:
    """The cause; its proof is the repetition, in which all weights learn."""
    low_high = as_is.interval
    seen = "Not given to the optimizer" if subject.setup.dialect == "fit" else "Told not to learn"
    return FoundCause(
        "unregistered_parameters",
        PROVED_OTHERWISE["unregistered_parameters"][0],
        f"{seen}: {names_in_short(subject.fixed)}.",
        f"with nothing else changed, but all weights learning, {as_is.reached} of {as_is.count} repetitions from other "
        f"seeds reach the goal (90% interval {low_high[0]:.0%} to {low_high[1]:.0%}).",
        IN_THEIR_WORDS[subject.setup.dialect],
    )
