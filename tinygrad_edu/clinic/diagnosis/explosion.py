"""Clipping mends a gradient that grows on its way back, and a rate that is too high too: which of them it was.

That the gradient explodes is claimed only where it is larger at the first layer than at the last. Where it is not, the
lower rate is tried in the place of the clipping, with what is changed anyway, and for longer.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import islice

from tinygrad_edu.clinic.diagnosis.causes.changes import lower_rate, more_epochs
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.combined import necessary
from tinygrad_edu.clinic.diagnosis.companions import merge
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.together import tell_without_symptom

EXPLODING, RATE = BY_CODE["exploding_gradient"], BY_CODE["lr_too_high"]
CLIP = "clip_norm"
RATES = 3  # lower rates that are tried beside other changes
OR_CLIPPED = "Or clip the gradient, which bounds the length of each step."


def tell_from_high_rate(t: Trials, causes: Sequence[FoundCause]) -> list[FoundCause]:
    """The causes, with the rate named in the place of an explosion that is not there."""
    found = next((cause for cause in causes if cause.code == EXPLODING.code and cause.trial), None)
    if found is None or not shrinks(t.record):
        return list(causes)
    others = [cause for cause in causes if cause is not found]
    if any(cause.code == RATE.code and cause.trial is not found.trial for cause in others):
        return others  # the rate alone does it, and is named
    if CLIP in found.change and (lower := lower_instead(t, found, others)):
        return [*lower, *(cause for cause in others if cause.trial is not found.trial)]
    return [as_rate(t, cause) if cause is found else cause for cause in causes]


def shrinks(record: Record) -> bool:
    """Is the gradient smaller at the first layer than at the last, before training?"""
    ratio = record.start.ratio
    return math.isfinite(ratio) and ratio <= 1.0


def lower_instead(t: Trials, found: FoundCause, others: Sequence[FoundCause]) -> list[FoundCause]:
    """The causes of the repair in which a lower rate stands for the clipping; none where there is no such repair."""
    rest = [t.best()[cause.code] for cause in others if cause.trial is found.trial and cause.code in t.best()]
    kept = merge([trial.change for trial in rest])
    if kept != {name: x for name, x in found.change.items() if name != CLIP}:
        return []
    for change in slower(t.record, kept):
        whole = t.trial({**kept, **change}, RATE.code)
        if whole is not None and t.beats(whole) and (alone := t.trial(change, RATE.code)) is not None:
            return with_rate(necessary(t, [replace(alone, code=RATE.code), *rest], whole))
    return []


def slower(record: Record, kept: Change) -> Iterator[Change]:
    """Lower rates; then the same for longer, as shorter steps need, if the epochs are not changed anyway."""
    if "lr" in kept:
        return
    rates = list(islice(lower_rate(record), RATES))
    yield from rates
    for longer in more_epochs(record) if "epochs" not in kept else ():
        yield from ({**rate, **longer} for rate in rates)


def with_rate(causes: list[FoundCause]) -> list[FoundCause]:
    """The causes of a repair, if the rate is one of them."""
    return causes if any(cause.code == RATE.code for cause in causes) else []


def as_rate(t: Trials, found: FoundCause) -> FoundCause:
    """The rate, where it is above the largest stable one and shorter steps mend the run; else nothing is claimed."""
    if CLIP not in found.change or not t.record.reach > 1.0:
        return replace(found, sentence=tell_change(t, found.trial), evidence="")
    remedy = f"{RATE.remedy} {OR_CLIPPED}{found.remedy.removeprefix(EXPLODING.remedy)}"
    return replace(
        found, code=RATE.code, sentence=RATE.sentence, evidence=RATE.evidence(t.symptoms), remedy=remedy
    )  # fmt: skip


def tell_change(t: Trials, trial: Trial | None) -> str:
    """What is said of a change that helps, where nothing shows why."""
    return tell_without_symptom(t.record.setup.difference(trial.change if trial else {}), alone=True)
