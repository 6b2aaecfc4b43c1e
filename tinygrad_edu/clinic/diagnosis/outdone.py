"""A loss that does not fit, in a run that is good enough: does the one that fits do better from every seed?"""

from __future__ import annotations

from dataclasses import replace

from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.proof.goal import RISING, WORDS
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.single import single

MORE = 0.03  # in accuracy or R²: how much the worst seed with the other loss must beat the best one without it


def outdone_by_the_fitting_loss(t: Trials) -> list[FoundCause]:
    """wrong_loss, by the goal that the fitting loss reaches from all seeds; the goal stays where it is no better.

    All of 5 seeds above all of 5 others come by chance once in 252 times.
    """
    before, cause = t.bench.goal, BY_CODE["wrong_loss"]
    if before.measure not in RISING or not any(symptom.code == "mismatched" for symptom in t.symptoms):
        return []
    for change in cause.changes(t.record):
        trial = t.trial(change, cause.code)
        if trial is None or min(trial.worths) <= max(t.as_is.worths) + MORE:
            continue
        number = min(trial.worths)
        source = f"what it reaches from each of {trial.count} seeds with a loss that fits"
        t.by(replace(before, number=number, sentence=f"{WORDS[before.measure]} {number:.3f} (derived: {source})"))
        if found := single(t, t.suspicion(cause.code), set()):
            return [each for each in found if each.code == cause.code] or found
        t.by(before)
    return []
