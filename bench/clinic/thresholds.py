"""Where healthy runs lie, which the limits of the clinic are set by: `python -m bench.clinic.thresholds [--seeds N]`.

For each measurement of tinygrad_edu.clinic.diagnosis.symptoms.limits: its percentiles over the healthy problems of
bench.clinic.problems that are for tuning, and the share of those runs that lie beyond the limit. Limits are opened wide
while it measures, so that every symptom tells its number.
"""

from __future__ import annotations

import argparse
import math
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from tqdm import tqdm

from bench.clinic.problems import PROBLEMS
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.proof.retrain import train_setup
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.seeds import spread_over_seeds
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import SYMPTOMS, looks

PERCENTILES = (1, 5, 50, 95, 99)
# Code of a symptom -> (limit, whether the symptom lies below the limit), from its declaration
MEASURED = {row.code: (row.limit, row.below) for row in SYMPTOMS.values() if row.limit}
LOOKS: dict[str, Callable[[Any], Any]] = {row.code: row.look for row in SYMPTOMS.values()}
LOOKS["spread_over_seeds"] = lambda record: spread_over_seeds(
    [run.losses for run in train_setup(record.setup, record.task, range(1, 6))]  # as many seeds as `diagnose` uses
)
LOOKS |= {look.__name__: lambda record, look=look: look(record.losses) for look in looks("curve")}  # type: ignore[misc]


@contextmanager
def wide_open() -> Iterator[dict[str, float]]:
    """Every limit where anything is beyond it; gives the limits as they were."""
    before = dict(LIMITS)
    LIMITS.update({limit: math.inf if below else -math.inf for limit, below in MEASURED.values()}, left=0.0)
    try:
        yield before
    finally:
        LIMITS.update(before)


def measured(seeds: int) -> dict[str, list[float]]:
    """The numbers of all healthy runs by symptom."""
    problems = [p for p in PROBLEMS if not p.faulty and p.half == "tuning"]
    values: dict[str, list[float]] = defaultdict(list)
    for problem in tqdm(problems, disable=None, leave=False):
        for seed in range(100, 100 + seeds):
            record = Record(subject_of(*problem.train(seed)))
            for name in MEASURED:
                with np.errstate(all="ignore"):
                    symptom = LOOKS[name](record)
                values[name] += [] if symptom is None else [float(symptom.value)]
    return values


def row(name: str, values: Sequence[float], limit: float) -> str:
    """One measurement as a row of the table."""
    below = MEASURED[name][1]
    found = np.array(values)
    beyond = float(np.mean(found < limit if below else found > limit))
    numbers = " | ".join(f"{x:.3g}" for x in np.percentile(found, PERCENTILES))
    return f"| {name} | {'<' if below else '>'} {limit:g} | {numbers} | {beyond:.0%} | {len(found)} |"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.clinic.thresholds", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="runs of each healthy problem")
    options = parser.parse_args(arguments)
    with wide_open() as limits:
        values = measured(options.seeds)
    print("| symptom | limit | " + " | ".join(f"{p} %" for p in PERCENTILES) + " | beyond | runs |")
    print("|---|---|" + "--:|" * (len(PERCENTILES) + 2))
    for name, (limit, _) in MEASURED.items():
        if values[name]:
            print(row(name, values[name], limits[limit]))
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
