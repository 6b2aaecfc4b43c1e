"""Several changes at once, where no single one is enough: the fewest that are, each shown to be needed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial, short
from tinygrad_edu.clinic.diagnosis.result import FoundCause

if TYPE_CHECKING:
    from tinygrad_edu.clinic.diagnosis.session import Consultation

SUSPECTED = 0.4  # from here on a cause is tried in any case
BONUS = 0.3  # for a change that brings a run nearer to its goal, where several are tried together


def together(c: Consultation) -> list[FoundCause]:
    """Where no single change is enough: the fewest of the promising ones that are, each shown to be needed."""
    chosen = promising(c)
    for count in range(2, len(chosen) + 1):
        change = merged([trial.change for trial in chosen[:count]])
        if not c.affordable(change):
            break
        trial = c.bench.trial(change, "together")
        if trial is not None and trial.beats(c.as_is):
            return needed(c, chosen[:count], trial)
    return []


def promising(c: Consultation) -> list[Trial]:
    """The best trial of each cause that is suspected or helped, in the order of suspicion; one for each field."""
    suspicion = {cause.code: level for level, cause in c.suspects()}
    best: dict[str, Trial] = {}
    for trial in c.trials:
        if trial.code not in best or trial.worth > best[trial.code].worth:
            best[trial.code] = trial
    gain = {code: trial.worth - c.as_is.worth for code, trial in best.items()}
    useful = [t for code, t in best.items() if suspicion.get(code, 0.0) >= SUSPECTED or gain[code] > 0.0]
    useful.sort(key=lambda t: -(max(suspicion.get(t.code, 0.0), 0.0) + BONUS * (gain[t.code] > 0.0)))
    taken: set[str] = set()
    kept = []
    for trial in useful:
        if taken.isdisjoint(trial.change):
            taken |= trial.change.keys()
            kept.append(trial)
    return kept[:5]


def needed(c: Consultation, chosen: Sequence[Trial], whole: Trial) -> list[FoundCause]:
    """The changes without which the others are not enough; those without which they do as well are left out."""
    found, kept = [], list(chosen)
    for trial in reversed(chosen):
        rest = [other for other in kept if other is not trial]
        without = c.bench.trial(merged([t.change for t in rest]), "together") if rest else None
        if without is None:
            continue
        if without.share < whole.share and not whole.beats(without):
            whole, without = c.extended(whole), c.extended(without)
        if whole.beats(without):
            found.append((trial, without))
        elif without.share >= whole.share:
            kept, whole = rest, without
    if len(kept) < 2:
        return c.ranked([(1.0, BY_CODE[trial.code], trial) for trial in kept])
    return [part(c, trial, without, whole, len(kept)) for trial, without in reversed(found) if trial in kept]


def part(c: Consultation, trial: Trial, without: Trial, whole: Trial, count: int) -> FoundCause:
    cause = BY_CODE[trial.code]
    proof = (
        f"{short(c.as_is)}; {short(trial)}; {count} changes together "
        f"({c.subject.setup.difference(whole.change)}): {whole.reached} of {whole.count}; the same without this "
        f"one: {without.reached} of {without.count}."
    )
    evidence = cause.evidence(c.symptoms)
    return FoundCause(cause.code, cause.sentence, evidence, proof, cause.remedy, dict(whole.change), whole)


def merged(changes: Sequence[Change]) -> dict[str, Any]:
    return {name: x for change in changes for name, x in change.items()}
