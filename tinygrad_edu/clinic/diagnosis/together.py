"""Changes that only repair a run together: the words of their proof, all of them in the remedy, and their order."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup
from tinygrad_edu.clinic.diagnosis.proof.goal import RISING
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial, short, wilson
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.clinic.diagnosis.words import change_lines

NUMBERS = ("lr", "epochs", "batch_size", "dropout", "sizes")  # fields of a setup that a remedy tells the values of


def prove_together(
    t: Trials, this: Change, without: Trial, whole: Trial, alone: Trial | None = None, spares: Sequence[Trial] = ()
) -> str:
    """The proof of one of several changes: as it is, this change alone, all of them, and all but this one.

    spares: what was trained with fewer changes, and not seen to do worse; then every count has its interval.
    """
    setup = t.record.setup
    counted = [trial.change for trial in spares]
    parts = [short(t.as_is), *([short(alone)] if alone is not None and alone.change not in counted else [])]
    if whole.change.keys() <= this.keys():
        return f"{'; '.join([*parts, short(whole)])}."
    every, tell = setup.differences(whole.change), count_seeds if spares else count_plainly
    parts += [f"{trial.words}: {tell(trial.reached, trial.count)}" for trial in spares]
    parts += [
        f"{len(every)} changes together ({', '.join(every)}): {tell(whole.reached, whole.count)}",
        f"the same without {setup.difference(this)}: {tell(without.reached, without.count)}",
    ]
    return f"{'; '.join(parts)}."


def changes_together(
    t: Trials, whole: Trial, first: bool = True, spares: Sequence[Trial] = (), left_out: bool = True
) -> str:
    """All changes of a repair, for a remedy. The first cause names them.

    That it takes all of them is said only where each was left out, and then fewer seeds reached the goal.
    """
    setup, every = t.record.setup, t.record.setup.differences(whole.change)
    if len(every) < 2:
        return values_here(t, whole)
    if not first:
        return "It goes with the changes named above." if spares else "It takes all the changes named above."
    told = f": {', '.join(every)}" * (setup.dialect == "fit")  # words.py tells them as arguments of the other tools
    takes = "Here it takes" if left_out else "Here it was mended with"
    begin, count = "Surest with" if spares else takes, "both" if len(every) == 2 else f"all {len(every)}"
    return f"{begin} {count} changes{told}.{words_of_spares(spares)}"


def words_of_spares(spares: Sequence[Trial]) -> str:
    """What is said of fewer changes that may do as well."""
    fewer = [f"{trial.words} ({trial.reached} of {trial.count})" for trial in spares]
    return f" Fewer may do, which the seeds do not tell apart: {'; '.join(fewer)}." if fewer else ""


def count_plainly(reached: int, count: int) -> str:
    return f"{reached} of {count}"


def codes_together(causes: Sequence[FoundCause]) -> str:
    """The code of the first cause, and of those that its repair needs too."""
    first = causes[0]
    others = [cause.code for cause in causes[1:] if first.trial is not None and cause.trial is first.trial]
    *all_but, last = [first.code, *others]
    return f"{', '.join(all_but)} and {last}" if all_but else last


def tell_tried(trials: Sequence[Trial]) -> list[str]:
    """A line for each change that was tried: "only lr 0.1 → 0.01 or 0.001: 0 of 5"; with the interval where some do."""
    rows: dict[tuple[str, int, int], list[str]] = {}
    for trial in trials:
        single = trial.words.count(" → ") == 1
        what, _, value = trial.words.rpartition(" → ") if single else (trial.words, "", "")
        values = rows.setdefault((what, trial.reached, trial.count), [])
        values += [] if value in values else [value] * single
    return [f"{enumerate_values(what, values)}: {count_seeds(*counts)}" for (what, *counts), values in rows.items()]


def enumerate_values(what: str, values: Sequence[str]) -> str:
    """The values that a setting was given, the last behind "or"."""
    if not values:
        return what
    *others, last = values
    return f"{what} → {', '.join(others)} or {last}" if others else f"{what} → {last}"


def count_seeds(reached: int, count: int) -> str:
    low, high = wilson(reached, count)
    return f"{reached} of {count}" + f" (90% interval {low:.0%} to {high:.0%})" * (reached > 0)


def with_words(causes: Sequence[FoundCause], setup: Setup) -> list[FoundCause]:
    """The causes with the changes as the user would write them, once for each repair."""
    seen, found = list[Trial](), list[FoundCause]()
    for cause in causes:
        told = "" if any(cause.trial is trial for trial in seen) else change_lines(setup, cause.change)
        seen += [] if cause.trial is None else [cause.trial]
        found.append(replace(cause, remedy=f"{cause.remedy} {told}".strip()))
    return found


def values_here(t: Trials, trial: Trial) -> str:
    """What the sentence of a remedy does not know: "Here: lr 0.5 → 0.05."."""
    setup = t.record.setup
    if setup.dialect != "fit":
        return ""
    every = setup.differences(trial.change)
    numbers = setup.differences({name: x for name, x in trial.change.items() if name in NUMBERS})
    told = every if len(every) > 1 else numbers
    return f"Here: {', '.join(told)}." if told else ""


def tell_without_symptom(what: str, alone: bool = False) -> str:
    """What is said of a change that helps, and that no symptom speaks for. alone: others might do as well."""
    rest = f"with {what} the task is learned" if alone else f"it takes {what} to learn the task"
    return f"Nothing was seen that shows it, but {rest}."


def halves(t: Trials, without: Trial, whole: Trial) -> int:
    """How many halves of the way the others go alone: what can be spared best comes last.

    Finer steps would set what was looked for first, as it is the most suspected, behind another for a small difference.
    An R² below 0 counts as 0: how much worse than the mean a run is says nothing, and one that blew up has -1e60.
    """
    least = 0.0 if t.bench.goal.measure in RISING else -math.inf
    before, gone, there = (max(trial.worth, least) for trial in (t.as_is, without, whole))
    share = (gone - before) / (there - before) if there > before else 0.0
    return int(2.0 * min(max(share, 0.0), 1.0)) if math.isfinite(share) else 0


def with_fault(verdict: str, symptoms: Sequence[Symptom]) -> str:
    """The verdict of a run that reaches its goal; not "Healthy" where loss and last activation do not match."""
    fault = next((s.sentence for s in symptoms if s.code == "mismatched"), "")
    words = verdict.removeprefix("Healthy as far as training goes: ").removeprefix("Healthy: ")
    return f"{words[:1].upper()}{words[1:]} But the setup has a fault: {fault}" if fault else verdict
