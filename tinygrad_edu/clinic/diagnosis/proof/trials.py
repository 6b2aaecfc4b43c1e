"""The trials of one diagnosis: the run as it is from several seeds, each change, and what time is left."""

from __future__ import annotations

import math
import sys
import threading
import time
from collections.abc import Mapping, Sequence

from tinygrad_edu.clinic.diagnosis.causes.table import CAUSES, Cause
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained, count_runs, train_seeds
from tinygrad_edu.clinic.diagnosis.proof.trial import Bench, Trial, judge_runs
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom

ENOUGH = 20  # seeds needed to tell bad luck from a broken setup
SURE = 12  # seeds in all of which a change must help: by chance, at 3 in 5, this happens once in 500
CHEAP = 0.05  # share of the time left that this extension may take
OFTEN = 6  # trials that are expected to share the program of the unchanged structure
FEWEST = 3  # seeds needed to tell a change from chance: 0 of 3 and 3 of 3 have separate 90% intervals
SHARE = 0.25  # share of the budget for repeating the run unchanged
REPAIRS = 0.8  # share of the seeds that must reach the goal for a change to count as a repair
SLOW = 0.02  # share of the budget; trials that take more are ordered so that few are needed
FLOOR = 1.0  # least seconds for repeating the run unchanged, however small the budget
QUIET = 1.0  # seconds before a progress line appears


class Trials:
    """All trials: `as_is`, the setup unchanged; `done`, one per change; `not_checked`, for which no time was left."""

    def __init__(self, record: Record, seeds: Sequence[int], budget: float) -> None:
        self.began = time.perf_counter()
        self.record, self.symptoms = record, list[Symptom]()
        self.done: list[Trial] = []
        self.not_checked: list[str] = []
        self.bench = Bench(record.setup, record.task, Goal("r2", 0.0, ""), seeds, Budget(budget))
        self.budget, self.shown, self.doing = budget, False, ""
        self.clock: threading.Timer | None = None
        self.as_is = Trial({}, record.setup, "as is", (), (), ())

    # The run as it is

    def first(self) -> list[Trained]:
        """The setup as it is, from all seeds, or from as many as a quarter of the budget pays for, at least three."""
        setup, task, bench = self.record.setup, self.record.task, self.bench
        self.show("training it again as it is")
        most = int(SHARE * self.budget / max(bench.price(setup, 1), 1e-9))
        bench.seeds = bench.seeds[: max(FEWEST, min(len(bench.seeds), most))]
        runs = train_seeds(setup, task, bench.seeds, OFTEN, bench.budget.floor(FLOOR))
        bench.budget.charge(bench.price(setup, 1) * count_runs(setup, runs))
        return runs

    def anew(self, record: Record) -> list[Trained]:
        """`first` for a record with another setup, paid from the same budget."""
        self.record, self.bench.setup = record, record.setup
        return self.first()

    def judge_first(self, runs: list[Trained], goal: Goal) -> None:
        """The first runs by the goal."""
        self.bench.goal = goal
        self.as_is = judge_runs({}, self.record.setup, "as is", runs, self.bench, "")

    # One change

    def trial(self, change: Change, code: str = "") -> Trial | None:
        """Train with one change from all seeds; None, and a note in `not_checked`, if the budget does not allow it."""
        self.show(f"trying {code}")
        if not self.affordable(change, code):
            self.not_checked.append(f"{code} ({self.record.setup.difference(change)}): no time left")
            return None
        return self.bench.trial(change, code)

    def affordable(self, change: Change, code: str = "") -> bool:
        """Does the budget allow it?"""
        if repr(change) in self.bench.known:
            return True
        return self.bench.budget.allows(self.bench.price(self.record.setup.but(change)), code or "a trial")

    @property
    def slow(self) -> bool:
        """Does the budget pay for few trials only?"""
        return self.bench.price(self.record.setup) > SLOW * self.budget

    def try_cause(self, cause: Cause) -> Trial | None:
        """The best trial of a cause's changes; stops at the first that repairs."""
        best: Trial | None = None
        for change in cause.changes(self.record):
            trial = self.trial(change, cause.code)
            if trial is None:
                continue
            if trial.reached >= 0.8 * trial.count and not self.beats(trial):
                trial = self.extend(trial)
            self.done.append(trial)
            if best is None or (trial.reached, trial.worth) > (best.reached, best.worth):
                best = trial
            if self.beats(trial):
                break
        return best

    def beats(self, trial: Trial) -> bool:
        """Is it a repair: do most seeds reach the goal with it, and more than without it by more than chance?"""
        return trial.share >= REPAIRS and trial.beats(self.as_is)

    def extend(self, trial: Trial, count: int = ENOUGH, part: float = 0.4) -> Trial:
        """The trial with more seeds, `count` in all, if that takes at most `part` of the budget that is left."""
        last = max(run.seed for run in trial.runs)
        more, budget = range(last + 1, last + 1 + count - trial.count), self.bench.budget
        price = self.bench.price(trial.setup, len(more))
        if not more or price > part * budget.left or not budget.allows(price, f"more seeds of {trial.code or 'it'}"):
            return trial
        try:
            runs = [*trial.runs, *train_seeds(trial.setup, self.record.task, more, 1, budget)]
        except NoTimeError:
            budget.cut.append(f"more seeds of {trial.code or 'it'}")
            return trial
        return judge_runs(trial.change, trial.setup, trial.words, runs, self.bench, trial.code)

    def confirm(self, trial: Trial) -> Trial:
        """The trial with more seeds, if they are cheap: after 4 or even 5 of 5 the next five may give 3."""
        if trial.share == 1.0:
            return self.extend(trial, SURE, CHEAP)
        return self.extend(trial)

    # Goals

    def by(self, goal: Goal) -> None:
        """Judge all trials by another goal."""
        self.bench.goal = goal
        self.as_is = self.as_is.again(self.bench)
        self.done = [trial.again(self.bench) for trial in self.done]

    # Suspicion

    def suspects(self) -> list[tuple[float, Cause]]:
        """Causes that can be tried, the most suspected first."""
        found = [(cause.suspicion(self.symptoms), cause) for cause in CAUSES]
        return sorted(found, key=lambda pair: -pair[0])

    def suspicion(self, code: str) -> float:
        return next((level for level, cause in self.suspects() if cause.code == code), 0.0)

    def best(self) -> Mapping[str, Trial]:
        """The best trial of each cause."""
        found: dict[str, Trial] = {}
        for trial in self.done:
            if trial.code not in found or (trial.reached, trial.worth) > (
                found[trial.code].reached,
                found[trial.code].worth,
            ):
                found[trial.code] = trial
        return found

    # Progress

    def show(self, what: str) -> None:
        """Show on a terminal what is being done, once a second has passed; a timer writes it, as a step may be long."""
        self.doing = what
        if not sys.stderr.isatty():
            return
        if time.perf_counter() - self.began >= QUIET:
            self.write()
        elif self.clock is None:
            self.clock = threading.Timer(QUIET, self.write)
            self.clock.daemon = True
            self.clock.start()

    def write(self) -> None:
        spent = time.perf_counter() - self.began
        text = f"\r\033[Kdiagnose: {self.doing} ({spent:.0f} of at most {self.budget:.0f} s)"
        print(text, end="", file=sys.stderr, flush=True)
        self.shown = True

    def end(self) -> None:
        """Take the line of progress away."""
        if self.clock is not None:
            self.clock.cancel()
            self.clock.join()  # it may be writing just now
        if self.shown:
            print("\r\033[K", end="", file=sys.stderr, flush=True)


def chance(good: int, of: int, less: int, of_less: int) -> float:
    """How likely so many more of one kind are by chance alone: Fisher's exact test, one-sided.

    >>> round(chance(20, 20, 16, 20), 3), round(chance(5, 5, 0, 5), 3)
    (0.053, 0.004)
    """
    hits, total = good + less, of + of_less
    ways = math.comb(total, of)
    most = min(hits, of)
    return sum(math.comb(hits, k) * math.comb(total - hits, of - k) for k in range(good, most + 1)) / ways
