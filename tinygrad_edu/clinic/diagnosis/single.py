"""From trials to causes: which change repairs, in which order, with a control and with the words of the proof."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.changes import scale_rate
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, Cause
from tinygrad_edu.clinic.diagnosis.companions import ALWAYS, SUSPECTED, with_companion
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial, short
from tinygrad_edu.clinic.diagnosis.proof.trials import SURE, Trials, chance
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.together import tell_without_symptom, values_here

Row = tuple[float, Cause, Trial]  # (suspicion, cause, the trial that proves it)
HALF = 0.5  # share of the seeds; a change that helps this many is part of a repair
READ = ("bent_logits", "mismatched")  # symptoms that are seen in the setup, without a run
USUAL = ("inputs_not_scaled", "lr_too_low", "lr_too_high")  # changes that cost nothing
PLAIN = {"inputs": "standardized"}
MANY = 100  # times the epochs
FAR_BELOW = 0.05  # of the largest stable rate; 95% of healthy runs have more (symptoms/limits.py)
BEYOND_CHANCE = 0.1  # largest probability that a change which always helped did so by chance


def single(t: Trials, least: float, looked_at: set[str], lucky: bool = False) -> list[FoundCause]:
    """Causes that one change repairs, of those suspected at least so much.

    lucky: most other seeds do well without a change; then one that always does is enough.
    """
    proved, partly = list[Row](), list[Row]()
    for suspicion, cause in t.suspects():
        if suspicion < least or (proved and suspicion < max(SUSPECTED, 0.5 * proved[0][0])):
            break
        if cause.code in looked_at:
            continue
        looked_at.add(cause.code)
        trial = t.try_cause(cause)
        if trial is not None and (t.beats(trial) or (lucky and always(t, trial))):
            trial = t.confirm(trial)
            (proved if t.beats(trial) or lucky else partly).append((suspicion, cause, trial))
    return rank(t, [*proved, *complete(t, partly, proved)])


def try_usual_changes(t: Trials, looked_at: set[str]) -> list[FoundCause]:
    """The usual changes that repair though little speaks for them: simpler repairs than two of the suspected ones.

    A higher rate is tried beside scaled inputs, and comes first where the rate is a small part of the largest stable
    one: then both may do, and the numbers of the inputs are not what is to blame.
    """
    rows = list[Row]()
    for code in USUAL:
        if code in looked_at or t.suspicion(code) < 0.0 or (rows and code == "lr_too_high"):
            continue
        looked_at.add(code)
        trial = t.try_cause(BY_CODE[code])
        if trial is not None and t.beats(trial) and (trial := surest(t, BY_CODE[code], trial)).share >= ALWAYS:
            slow = code == "lr_too_low" and 0.0 < t.record.reach < FAR_BELOW
            rows.append((t.suspicion(code) + 0.1 * slow, BY_CODE[code], trial))
    return rank(t, rows)


def surest(t: Trials, cause: Cause, trial: Trial) -> Trial:
    """The trial with more seeds; where it is not enough from all, the first of the cause's next changes that is.

    A rate a hundred times as high may do for 4 of 5 seeds, and one a thousand times as high for all.
    """
    first = t.confirm(trial)
    if first.share >= ALWAYS:
        return first
    every = list(cause.changes(t.record))
    place = next((k for k, change in enumerate(every) if repr(change) == repr(dict(trial.change))), len(every))
    for change in every[place + 1 :]:
        other = t.trial(change, cause.code)
        if other is not None and t.beats(other) and (other := t.confirm(other)).share >= ALWAYS:
            return other
    return first


def complete(t: Trials, partly: Sequence[Row], proved: Sequence[Row]) -> list[Row]:
    """The most suspected change that helps beyond chance, though not enough, with what makes it enough."""
    least = max((suspicion for suspicion, _, _ in proved), default=0.0)
    for suspicion, cause, trial in partly:
        if suspicion > least and trial.share >= HALF and trial.beats(t.as_is):
            whole = with_companion(t, trial)
            if whole is not None and not any(is_part(row[2], whole) for row in proved):
                return [(suspicion, cause, whole)]
    return []


def is_part(trial: Trial, whole: Trial) -> bool:
    """Does the companion do alone what both do? Then the other change is not needed."""
    return trial.share >= whole.share and all(whole.change.get(name) == x for name, x in trial.change.items())


def always(t: Trials, trial: Trial) -> bool:
    """Does it reach the goal from every seed, and the run as it is not, beyond chance or by what can be read?"""
    better = trial.share >= ALWAYS and trial.share > t.as_is.share
    few = chance(trial.reached, trial.count, t.as_is.reached, t.as_is.count) < BEYOND_CHANCE
    return better and (few or can_be_read(t, BY_CODE[trial.code]))


def can_be_read(t: Trials, cause: Cause) -> bool:
    """Do the settings alone show it, as a last relu before a loss that takes logits? That comes before luck."""
    return any(symptom.code in READ and cause.symptoms.get(symptom.code, 0.0) > 0.0 for symptom in t.symptoms)


def rank(t: Trials, proved: list[Row]) -> list[FoundCause]:
    """By effect, where the intervals are apart; then what is enough from all seeds before what is not; by suspicion."""
    if not proved:
        return []
    best = max((trial for _, _, trial in proved), key=lambda trial: trial.interval[0])
    order = sorted(
        proved,
        key=lambda row: (
            best.interval[0] > row[2].interval[1], costs_more(t, row, proved), not enough(t, row), -row[0]
        ),
    )  # fmt: skip
    check = control(t, order[0][2])
    if check is not None:
        order = [row for row in order if row[2].share > check.share or can_be_read(t, row[1])]
    return [make_cause(t, cause, trial, check) for _, cause, trial in order]


def costs_more(t: Trials, row: Row, proved: Sequence[Row]) -> bool:
    """Does it take a hundred times the epochs, where a higher rate does as well?"""
    many = row[2].setup.epochs >= MANY * t.record.setup.epochs
    return many and any(cause.code == "lr_too_low" for _, cause, _ in proved)


def enough(t: Trials, row: Row) -> bool:
    """Did it help from all of the seeds, of which no few were tried? Or can it be read off the settings anyway?"""
    return (row[2].share >= ALWAYS and row[2].count >= SURE) or can_be_read(t, row[1])


def control(t: Trials, trial: Trial) -> Trial | None:
    """A change that is not a cause: the learning rate as far the other way, or a little up or down at random."""
    rng = np.random.default_rng(0)
    old, new = t.record.setup.rate, trial.setup.rate
    factor = old / new if 0.0 < new != old else float(rng.choice([1.0 / 1.1, 1.1]))
    lr = scale_rate(t.record.setup.lr, factor)
    return None if not t.affordable({}) else t.bench.trial({"lr": lr}, "control")


def make_cause(t: Trials, cause: Cause, trial: Trial, check: Trial | None) -> FoundCause:
    proof = "; ".join(short(each) for each in (t.as_is, *plainly_scaled(t, trial), trial))
    turned = "as far the other way, " * (check is not None and is_turned(t.record.setup.rate, trial, check))
    proof += f"; as a control, {turned}{short(check)}." if check is not None else "."
    evidence = cause.evidence(t.symptoms)
    remedy = f"{cause.remedy_by(trial.change)} {faster(t, trial) or values_here(t, trial)}".strip()
    sentence = cause.sentence if evidence else tell_without_symptom(t.record.setup.difference(trial.change), alone=True)
    return FoundCause(cause.code, sentence, evidence, proof, remedy, dict(trial.change), trial)


def plainly_scaled(t: Trials, trial: Trial) -> list[Trial]:
    """The trial with inputs scaled by mean and deviation alone, where another form of them repairs the run."""
    other = trial.change.get("inputs", PLAIN["inputs"]) != PLAIN["inputs"]
    return [each for each in t.done if each.change == PLAIN][-1:] if other else []


def is_turned(rate: float, trial: Trial, check: Trial) -> bool:
    """Has the control changed the rate as far the other way as this trial has? It was made for the first cause."""
    return trial.setup.rate != rate and math.isclose(check.setup.rate * trial.setup.rate, rate * rate, rel_tol=1e-6)


def faster(t: Trials, trial: Trial) -> str:
    """Inputs that are scaled take a larger rate, and may need it."""
    if not {"inputs", "lr"} <= set(trial.change) or trial.setup.varies or trial.setup.rate <= t.record.setup.rate:
        return ""
    return (
        f"Then raise the learning rate, here to {trial.setup.told_rate:.3g}: it was small only for inputs like these."
    )


def by_lower_goal(t: Trials) -> list[FoundCause]:
    """The causes by a lower goal, where neither a change nor a set of changes does all that the baseline does.

    The goal does not go below what the run or a trial has reached anyway.
    """
    lower = t.bench.goal.lower(t.record.task)
    if lower is None:
        return []
    best, before = t.best(), t.bench.goal
    reached = max([t.as_is.worth, *(trial.worth for trial in best.values())])
    t.by(raise_goal(lower, min(reached, before.number)))
    rows = [(level, cause, t.best()[cause.code]) for level, cause in t.suspects() if cause.code in best and level > 0.0]
    rows = [row for row in rows if t.beats(row[2])]
    if not rows or rows[0][0] < SUSPECTED:
        t.by(before)
        return []
    return rank(t, rows)


def raise_goal(goal: Goal, reached: float) -> Goal:
    """A goal of at least nine tenths of what something has reached."""
    from dataclasses import replace

    number = max(goal.number, 0.9 * reached)
    if number == goal.number:
        return goal
    return replace(goal, number=number, sentence=goal.sentence.replace(f"{goal.number:.3f}", f"{number:.3f}"))
