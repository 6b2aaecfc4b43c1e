"""Several changes at once, where no single one is enough: the fewest that are, each shown to be needed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import combinations

from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE, texts_of
from tinygrad_edu.clinic.diagnosis.companions import ALWAYS, merge, promising, with_companion, with_usual_companion
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.single import rank
from tinygrad_edu.clinic.diagnosis.together import changes_together, halves, prove_together, tell_without_symptom

LONGER = 10  # factor on the epochs of a trial that helps but does not suffice
PAIRS = 6  # pairs of changes tried before larger sets
SCALES = ("inputs_not_scaled", "targets_out_of_range")
WORK = ("too_few_epochs", "batch_too_large_for_epochs", "lr_too_low", "lr_too_high")  # what makes up for them


def fewest_together(t: Trials) -> list[FoundCause]:
    """The fewest of the promising changes that are enough, the most suspected sets first.

    A set of which a part may do as well is the answer only where no other one is seen to be needed as a whole.
    """
    unsure: list[FoundCause] = []
    for chosen in sets(promising(t)):
        trial = t.trial(merge([trial.change for trial in chosen]), "together")
        if trial is None:
            break
        if not t.beats(trial) and trial.share > max(x.share for x in chosen):
            chosen, trial = longer(t, chosen, trial)
        if not t.beats(trial):
            continue
        found, spares = needed_and_spares(t, chosen, trial)
        if found and not spares:
            return found
        unsure = unsure or found
    return unsure


def with_more_work(t: Trials) -> list[FoundCause]:
    """Many more epochs, alone or with one other change, where no symptom speaks for them and nothing else is enough."""
    cause = BY_CODE["too_few_epochs"]
    if cause.code in t.best() or (trial := t.try_cause(cause)) is None:
        return []
    if t.beats(trial) and t.beats(trial := t.confirm(trial)):
        return steady(t, rank(t, [(0.0, cause, trial)]))
    for other in promising(t):
        whole = t.trial(merge([other.change, trial.change]), "together") if other.code != cause.code else None
        if whole is not None and t.beats(whole) and (found := necessary(t, [other, trial], whole)):
            return found
    return []


def scales_before_work(t: Trials, causes: list[FoundCause]) -> list[FoundCause]:
    """Both scales of the data before more steps or another rate, where both are seen more clearly and are enough."""
    if not causes or causes[0].code not in WORK or causes[0].trial is None:
        return causes
    if min(t.suspicion(code) for code in SCALES) <= t.suspicion(causes[0].code):
        return causes
    chosen = [trial for code in SCALES if (trial := t.best().get(code) or t.try_cause(BY_CODE[code])) is not None]
    whole = t.trial(merge([trial.change for trial in chosen]), "together") if len(chosen) == len(SCALES) else None
    if whole is None or not t.beats(whole) or whole.share < causes[0].trial.share:
        return causes
    return [*necessary(t, chosen, whole), *causes]


def steady(t: Trials, causes: list[FoundCause]) -> list[FoundCause]:
    """Where the first change helps from most seeds only: with one suspected thing more that makes it all of them."""
    if not causes or causes[0].trial is None or causes[0].trial.share >= ALWAYS or set(causes[0].change) == {"seed"}:
        return causes
    first, trial = causes[0], causes[0].trial
    whole = with_companion(t, trial) or with_usual_companion(t, trial)
    if whole is None:
        return causes
    more = t.record.setup.difference({name: x for name, x in whole.change.items() if name not in trial.change})
    proof = f"{first.proof} With {more} too: {whole.reached} of {whole.count}."
    spares = [] if whole.beats(trial) else [trial]
    told = BY_CODE[first.code].remedy_by(trial.change) if first.code in BY_CODE else texts_of(first.code)[1]
    remedy = f"{told} {changes_together(t, whole, spares=spares)}"
    return [replace(first, proof=proof, remedy=remedy, change=dict(whole.change), trial=whole), *causes[1:]]


def longer(t: Trials, chosen: list[Trial], trial: Trial) -> tuple[list[Trial], Trial]:
    """Changes that help but do not suffice, with still more epochs, if epochs are among them."""
    epochs = trial.change.get("epochs")
    if epochs is None:
        return chosen, trial
    more = [{**x.change, "epochs": LONGER * epochs} if "epochs" in x.change else x.change for x in chosen]
    whole = t.trial(merge(more), "together")
    if whole is None or whole.share <= trial.share:
        return chosen, trial
    parts = [t.trial(change, x.code) for change, x in zip(more, chosen, strict=True)]
    return [x for x in parts if x is not None], whole


def sets(chosen: list[Trial]) -> Iterator[list[Trial]]:
    """The two scales of the data, the other pairs, the most promising first, and then the first three, four and five.

    Numbers that are scaled neither at the input nor at the target can do with a rate of 1e-9 too, and are why it helps.
    """
    scales = [trial for trial in chosen if trial.code in SCALES]
    if len(scales) == len(SCALES):
        yield scales
    pairs = sorted(combinations(range(len(chosen)), 2), key=lambda pair: (sum(pair), pair))
    yield from ([chosen[i], chosen[j]] for i, j in pairs[:PAIRS])
    yield from (chosen[:count] for count in range(3, len(chosen) + 1))


def necessary(t: Trials, chosen: Sequence[Trial], whole: Trial) -> list[FoundCause]:
    """The changes without which the others are not enough."""
    return needed_and_spares(t, chosen, whole)[0]


def needed_and_spares(t: Trials, chosen: Sequence[Trial], whole: Trial) -> tuple[list[FoundCause], list[Trial]]:
    """The changes without which the others are not enough; those without which they do as well are left out.

    Fewer changes that are a repair too, and that the seeds do not tell apart from all of them, are preferred.
    """
    shown, kept, spares = [], list(chosen), list[Trial]()
    for trial in reversed(chosen):
        rest = [other for other in kept if other is not trial]
        without = t.trial(merge([x.change for x in rest]), "together") if rest else None
        if without is None:
            continue
        if without.share < whole.share and not whole.beats(without):
            whole, without = t.extend(whole), t.extend(without)
        if whole.beats(without):
            shown.append((trial, without))
        elif without.share >= whole.share or t.beats(without):
            kept, whole = rest, without
        else:
            spares.append(without)
    if len(kept) < 2:
        rows = [(1.0, BY_CODE[trial.code], t.confirm(trial)) for trial in kept]
        return rank(t, [row for row in rows if t.beats(row[2])]), []  # 4 of 5 may be 3 of 5 the next time
    needed = [(trial, without) for trial, without in reversed(shown) if trial in kept]
    if not t.beats(whole):  # with more seeds it turned out not to be enough
        return [], []
    least = min((without for _, without in needed), key=lambda x: x.share, default=None)
    needed.sort(key=lambda row: (least is not None and row[1].beats(least), halves(t, row[1], whole)))
    found = [cause_of_trial(t, trial, without, whole, trial is needed[0][0], spares) for trial, without in needed]
    return found, spares


def cause_of_trial(
    t: Trials, trial: Trial, without: Trial, whole: Trial, first: bool, spares: Sequence[Trial]
) -> FoundCause:
    cause = BY_CODE[trial.code]
    proof = prove_together(t, trial.change, without, whole, alone=trial, spares=spares)
    remedy = f"{cause.remedy_by(trial.change)} {changes_together(t, whole, first, spares)}"
    evidence = cause.evidence(t.symptoms)
    sentence = cause.sentence if evidence else tell_without_symptom(t.record.setup.difference(trial.change))
    return FoundCause(cause.code, sentence, evidence, proof, remedy, dict(whole.change), whole)
