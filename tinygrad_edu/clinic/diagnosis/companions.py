"""Changes that go together: which of those tried are worth it, and what makes one of them help from all seeds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.clinic.diagnosis.causes.changes import scale_rate
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials

SUSPECTED = 0.4  # suspicion from which a cause is tried even if it did not help alone
ALWAYS = 0.95  # share of the seeds that counts as all of them
BONUS = 0.3  # added to the suspicion of a change that helped alone, when several are tried together
SLOWER = 3  # factor: a rate this much lower, or this many times the epochs
MOST = 5  # changes that are combined into sets


def with_companion(t: Trials, trial: Trial) -> Trial | None:
    """A change and one suspected thing more, by which all seeds reach the goal; None where there is no such thing."""
    for other in promising(t):
        if other.code == trial.code or not set(other.change).isdisjoint(trial.change):
            continue
        whole = t.trial(merge([trial.change, other.change]), trial.code)
        whole = t.confirm(whole) if whole is not None and whole.share >= ALWAYS else None
        if whole is not None and whole.share >= ALWAYS:
            return whole
    return None


def with_usual_companion(t: Trials, trial: Trial) -> Trial | None:
    """A change that most seeds reach the goal by, at a third of the rate or with three times the epochs.

    What is mended may need the calmer steps, or the time, that nobody missed while it was broken.
    """
    setup = t.record.setup
    for other in ({"lr": scale_rate(setup.lr, 1.0 / SLOWER)}, {"epochs": SLOWER * setup.epochs}):
        if not set(other).isdisjoint(trial.change):
            continue
        whole = t.trial(merge([trial.change, other]), trial.code)
        whole = t.confirm(whole) if whole is not None and whole.share >= ALWAYS else None
        if whole is not None and whole.share >= ALWAYS and whole.share > trial.share:
            return whole
    return None


def promising(t: Trials) -> list[Trial]:
    """The best trial of each cause that is suspected or helped, in the order of suspicion; one for each field."""
    suspicion = {cause.code: level for level, cause in t.suspects()}
    best = t.best()
    gain = {code: trial.worth - t.as_is.worth for code, trial in best.items()}
    useful = [x for code, x in best.items() if suspicion.get(code, 0.0) >= SUSPECTED or gain[code] > 0.0]
    useful.sort(key=lambda x: -(max(suspicion.get(x.code, 0.0), 0.0) + BONUS * (gain[x.code] > 0.0)))
    taken: set[str] = set()
    kept = []
    for trial in useful:
        if taken.isdisjoint(trial.change):
            taken |= trial.change.keys()
            kept.append(trial)
    return kept[:MOST]


def merge(changes: Sequence[Change]) -> dict[str, Any]:
    return {name: x for change in changes for name, x in change.items()}
