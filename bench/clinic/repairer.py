"""The rival of the diagnosis: changes drawn at random from the same table, until one reaches the goal.

It trains each change from as many seeds, and names the cause whose change it was. It does not measure symptoms.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from zlib import crc32

import numpy as np

from bench.clinic.problems_kinds import Problem, balanced_accuracy, r_squared
from tinygrad_edu.clinic.diagnosis.causes.table import CAUSES
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_setup
from tinygrad_edu.clinic.diagnosis.proof.trial import Bench
from tinygrad_edu.errors import TinygradError

SEEDS = range(1, 6)  # as many seeds as the diagnosis uses
FRESH = range(9000, 9005)  # seeds that neither the diagnosis nor the repairer has seen
MOST = 0.8  # share of the seeds that must reach the goal, both here and for the fresh seeds


@dataclass(frozen=True)
class Repair:
    """What the repairer came to: the cause whose change reached the goal, the trials made, and does it hold?"""

    code: str
    trials: int
    holds: bool


@contextmanager
def counted_trials() -> Iterator[list[str]]:
    """The causes whose changes a diagnosis tries in this block, a name for each trial; controls do not count."""
    made: list[str] = []
    original = Bench.trial

    def trial(self: Bench, change: Any, code: str = "", **more: Any) -> Any:
        made.extend([code] * (code != "control"))
        return original(self, change, code, **more)

    Bench.trial = trial  # type: ignore[method-assign]
    try:
        yield made
    finally:
        Bench.trial = original  # type: ignore[method-assign]


def worth(estimate: Any, task: Task) -> float:
    """The score of problems_kinds, of what a network says about the targets."""
    if not np.isfinite(estimate).all():
        return -math.inf
    if task.classes:
        assert task.labels is not None
        return balanced_accuracy(task.nearest_class(estimate), task.labels)
    return r_squared(estimate, task.truth)


def repairs(setup: Setup, task: Task, seeds: Sequence[int], goal: float) -> bool:
    """Does the setup reach the goal from most of these seeds?"""
    try:
        runs = train_setup(setup, task, seeds)
    except (TinygradError, FloatingPointError):
        return False
    return float(np.mean([not r.diverged and worth(r.estimate, task) >= goal for r in runs])) >= MOST


def random_repair(problem: Problem, subject: Any, budget: int) -> Repair:
    """At most `budget` changes, drawn without replacement from those of all causes."""
    record = Record(subject_of(*subject))
    setup, task = record.setup, record.task
    table = [(cause.code, change) for cause in CAUSES for change in cause.changes(record)]
    order = np.random.default_rng(crc32(problem.name.encode())).permutation(len(table))[:budget]
    for done, i in enumerate(order, 1):
        code, change = table[i]
        if repairs(setup.but(change), task, SEEDS, problem.goal):
            return Repair(code, done, repairs(setup.but(change), task, FRESH, problem.goal))
    return Repair("", len(order), False)
