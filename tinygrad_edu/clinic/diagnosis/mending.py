"""Causes that one pass proves, each with a trial of its fix, with other usual changes if the fix is not enough."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from tinygrad_edu.clinic.diagnosis.causes.changes import larger_network, scale_rate
from tinygrad_edu.clinic.diagnosis.causes.table import texts_of
from tinygrad_edu.clinic.diagnosis.certain import certainties
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial, short
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.together import changes_together

ENOUGH = 0.8  # share of the seeds
FIRST = " That has to be mended first, but alone it is not enough here: then ask again."


def certain_causes(t: Trials) -> list[FoundCause]:
    """The causes that one pass through the network proves, each with a trial of its fix."""
    found = []
    for code, certainty in certainties(t.record).items():
        if certainty.best is not None and t.bench.goal.is_reached(certainty.best, t.record.task):
            continue
        sentence, usual = texts_of(code)
        trial = mend(t, [x for x in (certainty.change, certainty.other) if x], code)
        proof = certainty.proof + (f" {with_more(t, trial, certainty.change or {})}" if trial else "")
        remedy = (certainty.remedy or usual) + FIRST * (trial is not None and trial.share < ENOUGH)
        if trial is not None and trial.change.keys() - (certainty.change or {}).keys():
            remedy = f"{remedy} {changes_together(t, trial, left_out=False)}"
        change = dict(trial.change) if trial else {}
        found.append(FoundCause(code, sentence, certainty.seen, proof, remedy, change, trial))
    return found


def mend(t: Trials, changes: Sequence[Change], code: str) -> Trial | None:
    """The trial that fixes a certain cause, with other usual changes if the fix alone does not suffice."""
    best: Trial | None = None
    for extra in usual_things(t) if changes else ():
        for change in changes:
            trial = t.trial({**change, **extra}, code)
            if trial is not None and (best is None or (trial.share, trial.worth) > (best.share, best.worth)):
                best = trial
            if best is not None and best.share >= ENOUGH:
                return best
    return best


def with_more(t: Trials, trial: Trial, first: Change) -> str:
    """A sentence that says how many seeds the fix repairs, alone and together with other changes."""
    more = {name: x for name, x in trial.change.items() if name not in first}
    alone = t.trial(first) if more and len(more) < len(trial.change) else None
    if alone is None:
        return f"{short(t.as_is)}; {short(trial)}."
    rest = t.record.setup.difference(more)
    return f"{short(t.as_is)}; {short(alone)}; with {rest} too: {trial.reached} of {trial.count}."


def usual_things(t: Trials) -> Iterator[Change]:
    """Changes that are tried along with a fix: none, more epochs, scaled inputs, larger steps, a larger network."""
    setup, task = t.record.setup, t.record.task
    longer: Change = {"epochs": 10 * setup.epochs}
    faster: Change = {"lr": scale_rate(setup.lr, 10.0)}
    yield from ({}, longer)
    if t.record.flat is None:
        return
    numbers: Change = {"inputs": "standardized"} if task.X.dtype.kind == "f" else {}
    yield from (numbers, {**longer, **faster}, {**longer, **faster, **numbers})
    for wider in larger_network(t.record) if setup.pattern is None else ():
        yield {**longer, **faster, **numbers, **wider}
