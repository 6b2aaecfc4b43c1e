"""How a diagnosis is made: symptoms, the run as it is from other seeds, one change after the other, and the proof."""

from __future__ import annotations

import math
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.changes import times
from tinygrad_edu.clinic.diagnosis.causes.table import CAUSES, PROVED_OTHERWISE, Cause
from tinygrad_edu.clinic.diagnosis.combined import SUSPECTED, together
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.proof import baseline as yardstick
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal, derived_goal, given_goal
from tinygrad_edu.clinic.diagnosis.proof.trial import Bench, Trained, Trial, answered, judged, short, trained
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.curve import Symptom
from tinygrad_edu.clinic.diagnosis.symptoms.data import of_data
from tinygrad_edu.clinic.diagnosis.symptoms.network import of_network
from tinygrad_edu.clinic.diagnosis.symptoms.seeds import of_seeds

Row = tuple[float, Cause, Trial]  # a cause that a trial proves, and how much it is suspected
ENOUGH = 20  # seeds that tell bad luck from a broken setup
LUCK = 0.3  # of them reach the goal where the setup works
OFTEN = 6  # trials that a program of the structure as it is will serve
PLAIN = 2.0  # suspicion of a cause that is tried in a good run too
CLEAR = 1.5  # suspicion of a cause that comes before luck
LEAST = 0.1  # share of the task that is asked for in any case
MARGIN = 0.05  # by which the reference has to do better than on permuted targets
NO_STRUCTURE = 0.3  # share that the reference reaches where targets may be random


class Consultation:
    """One diagnosis."""

    def __init__(self, subject: Subject, goal: Any, seeds: Sequence[int], budget: float) -> None:
        self.began = time.perf_counter()
        self.subject, self.record, self.task = subject, Record(subject), subject.task
        self.symptoms: list[Symptom] = of_data(self.record) + of_network(self.record)
        self.trials: list[Trial] = []
        self.not_checked: list[str] = []
        self.looked_at: set[str] = set()  # codes of causes
        self.wanted = goal
        self.random: str = ""  # why the targets look random
        self.bench = Bench(subject.setup, self.task, Goal("r2", 0.0, ""), seeds, self.began + budget)

    def result(self) -> Diagnosis:
        """The whole way."""
        first, seconds = self.first()
        self.estimate = answered(self.subject.model, self.subject.setup, self.task)
        self.bench.goal = self.goal([run.estimate for run in first])
        self.as_is = judged({}, self.subject.setup, "as is", first, self.bench, seconds, "")
        self.symptoms += of_seeds([np.append(run.losses, [np.nan] * run.diverged) for run in first])
        self.hit = not self.subject.diverged and self.bench.goal.reached(self.estimate, self.task)
        if self.random:
            return self.named([self.labels_random()])
        if self.hit and self.as_is.reached >= 1:
            causes = self.held_back()
            return self.named(causes) if causes else self.healthy("Healthy: this run reaches the goal")
        if self.as_is.reached > 0:
            self.as_is = self.extended(self.as_is)
        lucky = self.unlucky()
        causes = self.single(CLEAR if lucky else SUSPECTED)
        if lucky and causes and self.suspicion(causes[0].code) < CLEAR:
            causes, lucky = [*lucky, *causes], []
        causes = [*causes, *lucky] or together(self) or self.single(-math.inf)
        return self.named(causes) if causes else self.nothing()

    def first(self) -> tuple[list[Trained], float]:
        """The setup as it is, from all seeds, and how long that takes when its program is at hand."""
        start = time.perf_counter()
        runs = trained(self.subject.setup, self.task, self.bench.seeds, OFTEN)
        seconds = time.perf_counter() - start
        if seconds > 0.5:  # it may have been the compiler
            start = time.perf_counter()
            trained(self.subject.setup, self.task, self.bench.seeds[:1], OFTEN * len(runs))
            seconds = (time.perf_counter() - start) * len(runs) / 2.0  # two at a time
        self.bench.note(self.subject.setup, seconds)
        return runs, seconds

    def held_back(self) -> list[FoundCause]:
        """A plain fault in a run that is good enough: does mending it bring all that is possible?"""
        if self.bench.goal.derived is None or self.suspects()[0][0] < PLAIN:
            return []
        bench, as_is = self.bench, self.as_is
        self.bench = replace(bench, goal=derived_goal(1.0, yardstick.POSSIBLE.source, self.task))
        self.as_is = as_is.again(self.bench)
        causes = [] if self.as_is.reached else self.single(PLAIN)
        if not causes:
            self.bench, self.as_is = bench, as_is
        return causes

    # The goal

    def goal(self, estimates: Sequence[Any]) -> Goal:
        """As asked for, or what a yardstick makes reasonable; all that is possible where that is reached anyway."""
        if self.wanted is not None:
            return given_goal(self.wanted, self.subject.setup, self.task)
        most = derived_goal(1.0, yardstick.POSSIBLE.source, self.task)
        if most.reached(self.estimate, self.task) and any(most.reached(e, self.task) for e in estimates):
            return most
        if self.subject.setup.pattern is not None or self.task.X.ndim != 2:
            return most
        found = yardstick.measured(self.record)
        if found.share < NO_STRUCTURE and self.task.samples >= yardstick.FEWEST:
            self.look_for_structure(found.share)
        return derived_goal(max(found.share, LEAST), found.source, self.task)

    def look_for_structure(self, share: float) -> None:
        """Does the reference learn more of the targets than of permuted ones?"""
        permuted = yardstick.of_permuted(self.task)
        if share <= max(permuted) + MARGIN:
            self.random = (
                f"a network that learns such tasks explains {share:.1%} of the targets of samples held out; of "
                f"permuted targets {min(permuted):.1%} to {max(permuted):.1%}"
            )

    def labels_random(self) -> FoundCause:
        sentence, remedy = PROVED_OTHERWISE["labels_random"]
        seen = " ".join(s.sentence for s in self.symptoms if s.code == "no_structure")
        return FoundCause("labels_random", sentence, seen, f"{self.random}.", remedy)

    # Luck

    def extended(self, trial: Trial) -> Trial:
        """The same from more seeds, where time allows."""
        more = range(max(self.bench.seeds) + 1, max(self.bench.seeds) + 1 + ENOUGH - trial.count)
        cost = trial.seconds / trial.count * len(more)
        if not more or cost > 0.4 * self.bench.left:
            return trial
        runs = [*trial.runs, *trained(trial.setup, self.task, more)]
        return judged(trial.change, trial.setup, trial.words, runs, self.bench, trial.seconds + cost, trial.code)

    def unlucky(self) -> list[FoundCause]:
        """This run failed, and many others of the same setup do not."""
        share = self.as_is.reached / self.as_is.count
        if self.hit or share < LUCK:
            return []
        sentence, remedy = PROVED_OTHERWISE["unlucky_init"]
        spread = [s.sentence for s in self.symptoms if s.code == "spread_over_seeds"]
        seen = " ".join([f"This run misses the goal ({self.measured()}).", *spread])
        seed = self.as_is.runs[int(np.argmax(self.as_is.worths))].seed
        low, high = self.as_is.interval
        proof = (
            f"from {self.as_is.count} other seeds, with nothing else changed, {self.as_is.reached} reach the goal "
            f"(90 % interval {low:.0%} to {high:.0%})."
        )
        return [FoundCause("unlucky_init", sentence, seen, proof, remedy, {"seed": seed}, self.as_is)]

    # One change at a time

    def suspects(self) -> list[tuple[float, Cause]]:
        """Causes that can be tried, the most suspected first."""
        found = [(cause.suspicion(self.symptoms), cause) for cause in CAUSES]
        return sorted(found, key=lambda pair: -pair[0])

    def suspicion(self, code: str) -> float:
        return next(level for level, cause in self.suspects() if cause.code == code)

    def single(self, least: float) -> list[FoundCause]:
        """Causes that one change repairs; where none of the most suspected does, by a goal less high."""
        proved: list[Row] = []
        for suspicion, cause in self.suspects():
            if suspicion < least or (proved and suspicion < max(SUSPECTED, 0.5 * proved[0][0])):
                break
            if cause.code in self.looked_at:
                continue
            self.looked_at.add(cause.code)
            trial = self.tried(cause)
            if trial is not None and trial.beats(self.as_is):
                proved.append((suspicion, cause, trial))
        return self.ranked(self.by_lower_goal(proved) or proved)

    def by_lower_goal(self, proved: list[Row]) -> list[Row]:
        """One change need not do all that a yardstick does: is a lower goal reached by a cause suspected more?"""
        lower = self.bench.goal.lower(self.task)
        if lower is None:
            return []
        best = max((level for level, _, _ in proved), default=0.0)
        bench = replace(self.bench, goal=lower)
        as_is = self.as_is.again(bench)
        by_code = {code: max(runs, key=lambda t: t.worth) for code, runs in grouped(self.trials).items()}
        tried = [(level, cause) for level, cause in self.suspects() if cause.code in by_code]
        rows = [(level, cause, by_code[cause.code].again(bench)) for level, cause in tried]
        rows = [row for row in rows if row[2].beats(as_is)]
        if not rows or rows[0][0] <= best or rows[0][0] < SUSPECTED:
            return []
        self.bench, self.as_is, self.trials = bench, as_is, [trial.again(bench) for trial in self.trials]
        return rows

    def tried(self, cause: Cause) -> Trial | None:
        """The best trial of a cause's changes; stops at the first that repairs."""
        best: Trial | None = None
        for change in cause.changes(self.record):
            if not self.affordable(change):
                self.not_checked.append(f"{cause.code} ({self.subject.setup.difference(change)}): no time left")
                continue
            trial = self.bench.trial(change, cause.code)
            if trial is None:
                continue
            if trial.reached >= 0.8 * trial.count and not trial.beats(self.as_is):
                trial = self.extended(trial)
            self.trials.append(trial)
            if best is None or (trial.reached, trial.worth) > (best.reached, best.worth):
                best = trial
            if trial.beats(self.as_is):
                break
        return best

    def affordable(self, change: Change) -> bool:
        """Is there time for it?"""
        return self.bench.seconds(self.subject.setup.but(change)) < self.bench.left

    def ranked(self, proved: list[Row]) -> list[FoundCause]:
        """By effect, where the intervals are apart, then by suspicion."""
        if not proved:
            return []
        best = max((trial for _, _, trial in proved), key=lambda t: t.interval[0])
        order = sorted(proved, key=lambda row: (best.interval[0] > row[2].interval[1], -row[0]))
        control = self.control(order[0][2])
        if control is not None:
            order = [row for row in order if row[2].share > control.share]
        return [self.cause(cause, trial, control) for _, cause, trial in order]

    def control(self, trial: Trial) -> Trial | None:
        """A change that is no cause: the learning rate as far the other way, or a little up or down at random."""
        rng = np.random.default_rng(0)
        old, new = self.subject.setup.rate, trial.setup.rate
        factor = old / new if 0.0 < new != old else float(rng.choice([1.0 / 1.1, 1.1]))
        lr = times(self.subject.setup.lr, factor)
        return None if lr is None or not self.affordable({}) else self.bench.trial({"lr": lr}, "control")

    def cause(self, cause: Cause, trial: Trial, control: Trial | None) -> FoundCause:
        proof = f"{short(self.as_is)}; {short(trial)}"
        proof += f"; as a control, {short(control)}." if control is not None else "."
        return FoundCause(
            cause.code, cause.sentence, cause.evidence(self.symptoms), proof, cause.remedy, dict(trial.change), trial
        )

    # Endings

    def measured(self) -> str:
        goal = self.bench.goal
        return f"{goal.measure} {goal.measured(self.estimate, self.task):.3g}, goal {goal.number:.3g}"

    def healthy(self, verdict: str) -> Diagnosis:
        rate = f"and so do {self.as_is.reached} of {self.as_is.count} other seeds"
        return self.card(True, [], f"{verdict} ({self.measured()}), {rate}.")

    def nothing(self) -> Diagnosis:
        """No change does significantly better."""
        if self.hit:
            return self.healthy("No change does significantly better: this run reaches the goal")
        return self.card(
            False, [], f"The run misses the goal ({self.measured()}), and no change that was tried repairs it."
        )

    def named(self, causes: list[FoundCause]) -> Diagnosis:
        verdict = "The run misses the goal"
        if self.hit and not self.random:
            verdict = f"This run reaches the goal by luck: {self.as_is.reached} of {self.as_is.count} other seeds do"
        return self.card(False, causes, f"{verdict} ({self.measured()}): {causes[0].code}.")

    def card(self, healthy: bool, causes: list[FoundCause], summary: str) -> Diagnosis:
        named = {cause.code for cause in causes}
        used = {code for cause in causes if cause.trial for code in [cause.trial.code]}
        without = [str(t) for t in self.trials if t.code not in named | used and not t.beats(self.as_is)]
        return Diagnosis(
            healthy, causes, self.bench.goal, summary, self.symptoms, without, [*self.unchecked()],
            time.perf_counter() - self.began, self.subject.setup, self.task, self.subject.model,
        )  # fmt: skip

    def unchecked(self) -> Iterator[str]:
        """What nobody looked at, and why."""
        yield from dict.fromkeys([*self.not_checked, *self.bench.failed])
        if self.task.samples < yardstick.FEWEST:
            yield f"labels_random: {self.task.samples} samples are too few to tell"
        if self.subject.setup.pattern is not None:
            yield "causes that need another structure: this is no nn.MLP, and only its training was varied"


def grouped(trials: Iterable[Trial]) -> dict[str, list[Trial]]:
    """Trials by the code of their cause."""
    found: dict[str, list[Trial]] = {}
    for trial in trials:
        found.setdefault(trial.code, []).append(trial)
    return found
