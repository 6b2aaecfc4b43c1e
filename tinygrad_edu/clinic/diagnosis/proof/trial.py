"""Proof by training again: the same seeds, one change, and how many of them reach the goal."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal
from tinygrad_edu.clinic.diagnosis.proof.price import Prices
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained, train_setup
from tinygrad_edu.errors import TinygradError

Array = np.ndarray[Any, Any]
# 90% quantile (two-sided) of the normal distribution: it separates 0 of 5 from 4 of 5, but not 1 of 5 from 4
Z = 1.645


@dataclass(frozen=True)
class Trial:
    """A setup that was trained from several seeds; `change` makes it of the setup under diagnosis."""

    change: Change
    setup: Setup
    words: str
    runs: tuple[Trained, ...]
    worths: tuple[float, ...]
    hits: tuple[bool, ...]
    code: str = ""

    @property
    def reached(self) -> int:
        return sum(self.hits)

    @property
    def share(self) -> float:
        return self.reached / self.count

    @property
    def count(self) -> int:
        return len(self.hits)

    @property
    def worth(self) -> float:
        """The median of the goal's measure, larger is better."""
        return float(np.median(self.worths))

    @cached_property
    def interval(self) -> tuple[float, float]:
        return wilson(self.reached, self.count)

    def beats(self, other: Trial) -> bool:
        """Do more seeds reach the goal than in the other trial, with 90% intervals that do not overlap?"""
        return self.interval[0] > other.interval[1]

    def again(self, bench: Bench) -> Trial:
        """The same runs judged by another goal."""
        return judge_runs(self.change, self.setup, self.words, self.runs, bench, self.code)

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{self.words}: {self.reached} of {self.count} seeds reach the goal (90% interval {low:.0%} to {high:.0%})"
        )


def wilson(hits: int, count: int) -> tuple[float, float]:
    """The interval of a share of which `hits` of `count` were seen. (Wilson 1927)

    >>> [round(x, 2) for x in wilson(0, 5)], [round(x, 2) for x in wilson(5, 5)]
    ([0.0, 0.35], [0.65, 1.0])
    """
    if not count:
        return 0.0, 1.0
    p, z2 = hits / count, Z * Z
    middle = (p + z2 / (2 * count)) / (1.0 + z2 / count)
    half = Z * math.sqrt(p * (1.0 - p) / count + z2 / (4 * count * count)) / (1.0 + z2 / count)
    return max(0.0, middle - half), min(1.0, middle + half)


@dataclass
class Bench:
    """Where trials are made: the setup under diagnosis, its task and goal, the seeds, and what may be spent."""

    setup: Setup
    task: Task
    goal: Goal
    seeds: Sequence[int]
    budget: Budget
    known: dict[str, Trial] = field(default_factory=dict)  # trials done, by change and number of seeds
    failed: list[str] = field(default_factory=list)

    @cached_property
    def prices(self) -> Prices:
        return Prices(self.task)

    def price(self, setup: Setup, runs: int | None = None) -> float:
        """The price of training a setup from all seeds, or `runs` times."""
        return self.prices.compiled(setup) * (len(self.seeds) if runs is None else runs)

    def trial(self, change: Change, code: str = "") -> Trial | None:
        """One change from all seeds; None, with the reason in `failed`, where it cannot be trained."""
        if repr(change) in self.known:
            return replace(self.known[repr(change)], code=code).again(self)
        setup = self.setup.but(change)
        try:
            runs = train_setup(setup, self.task, self.seeds, 1, self.budget)
        except NoTimeError as error:
            self.budget.cut.append(code)
            self.failed.append(f"{code} ({self.setup.difference(change)}): {error}")
            return None
        except (TinygradError, FloatingPointError) as error:
            self.failed.append(f"{code} ({self.setup.difference(change)}): {error}")
            return None
        self.known[repr(change)] = judge_runs(change, setup, words_of(self.setup, change), runs, self, code)
        return self.known[repr(change)]


def words_of(setup: Setup, change: Change) -> str:
    """ "only lr 1 → 0.1" for one setting, "lr 1 → 0.1, epochs 10 → 20 together" for several, "as is" for none."""
    parts = setup.differences(change)
    return f"only {parts[0]}" if len(parts) == 1 else f"{', '.join(parts)} together" if parts else "as is"


def judge_runs(change: Change, setup: Setup, words: str, runs: Sequence[Trained], bench: Bench, code: str) -> Trial:
    """Runs measured by the goal."""
    worths = tuple(bench.goal.worth(run.estimate, bench.task) for run in runs)
    hits = tuple(not run.diverged and bench.goal.is_reached(run.estimate, bench.task) for run in runs)
    return Trial(change, setup, words, tuple(runs), worths, hits, code)


def short(trial: Trial) -> str:
    """A trial in a proof."""
    return f"{trial.words}: {trial.reached} of {trial.count}{' seeds reach the goal' if not trial.change else ''}"
