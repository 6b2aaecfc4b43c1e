"""Faulty and healthy trainings for the clinic.

`python -m bench.clinic.problems --check [--half tuning|unseen] [--only NAME]`

The check trains each from five seeds: a faulty one has to miss its goal, its twin without the fault to reach it, and a
healthy one to reach it too. Of a lottery of weights some draws reach the goal, and some do not. Data that is spoilt has
no twin. The halves differ in data, sizes, optimizers and seeds.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.clinic import problems_healthy, problems_tuning, problems_unseen
from bench.clinic.problems_kinds import Problem, score

PROBLEMS: tuple[Problem, ...] = (*problems_tuning.PROBLEMS, *problems_unseen.PROBLEMS, *problems_healthy.PROBLEMS)
CODES = tuple(dict.fromkeys(p.code for p in PROBLEMS if p.faulty))
HALVES = ("tuning", "unseen")
FIRST_SEED = {"tuning": 0, "unseen": 500}
SEEDS = 5
DRAWS = 20  # draws of the initial weights in a lottery


@dataclass(frozen=True)
class Check:
    """What the five runs of a problem came to, and those of its twin."""

    problem: Problem
    reached: int
    scores: tuple[float, ...]
    twin_reached: int | None
    twin_scores: tuple[float, ...]
    seconds: float

    @property
    def passed(self) -> bool:
        if self.problem.lottery:
            return 0.2 <= (self.twin_reached or 0) / DRAWS <= 0.9 and not self.reached
        if not self.problem.faulty:
            return self.reached == SEEDS
        return self.reached == 0 and self.twin_reached in (None, SEEDS)

    def row(self) -> str:
        p = self.problem
        of = DRAWS if p.lottery else SEEDS
        twin = "none" if self.twin_reached is None else f"{self.twin_reached} of {of} ({middle(self.twin_scores)})"
        verdict = "" if self.passed else "**NOT AS IT SHOULD BE**"
        as_is = f"{self.reached} of {SEEDS} ({middle(self.scores)})"
        return f"| {p.name} | {p.half} | {p.goal:g} | {as_is} | {twin} | {self.seconds:.2f} s | {verdict} |"


def middle(scores: Sequence[float]) -> str:
    return f"{np.median(scores):.2f}"


def checked(problem: Problem) -> Check:
    """Train a problem and its twin."""
    first = FIRST_SEED[problem.half]
    begin = time.perf_counter()
    scores = [score(*problem.train(first + i)) for i in range(SEEDS)]
    seconds = (time.perf_counter() - begin) / SEEDS
    twin = twin_scores(problem, first)
    reached = None if problem.twin is None else sum(s >= problem.goal for s in twin)
    return Check(problem, sum(s >= problem.goal for s in scores), tuple(scores), reached, tuple(twin), seconds)


def twin_scores(problem: Problem, first: int) -> list[float]:
    """Of the twin, or of many draws of the weights."""
    if problem.lottery:
        return [score(*problem.recipe.trained(first, start=first + i)) for i in range(DRAWS)]
    return [] if problem.twin is None else [score(*problem.twin.trained(first + i)) for i in range(SEEDS)]


def chosen(half: str | None = None, only: str | None = None) -> list[Problem]:
    """The problems of a half (of both by default) whose names contain a text."""
    return [p for p in PROBLEMS if half in (None, p.half) and (only or "") in p.name]


def table(checks: Sequence[Check]) -> str:
    lines = [
        "| problem | half | goal | as is reach it (median score) | twin | seconds a run | |",
        "|---|---|--:|--:|--:|--:|---|",
    ]
    passed = sum(c.passed for c in checks)
    return "\n".join([*lines, *(c.row() for c in checks), "", f"{passed} of {len(checks)} are as they should be."])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.clinic.problems", description=__doc__)
    parser.add_argument("--check", action="store_true", help="train them; without it they are listed")
    parser.add_argument("--half", choices=HALVES)
    parser.add_argument("--only", help="only the problems whose name contains this")
    options: Any = parser.parse_args(arguments)
    problems = chosen(options.half, options.only)
    if not options.check:
        print("\n".join(f"{p.half:<8} {p.name}" for p in problems))
        return 0
    checks = [checked(p) for p in tqdm(problems, disable=None, leave=False)]
    print(table(checks))
    return 0 if all(c.passed for c in checks) else 1


if __name__ == "__main__":
    raise SystemExit(main())
