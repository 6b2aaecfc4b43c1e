"""How long: the median of runs that take turns, so that a slow moment of the machine meets every peer."""

from __future__ import annotations

import gc
from dataclasses import dataclass
from statistics import median
from time import perf_counter

from bench.workload import OURS, Run, Workload


@dataclass(frozen=True)
class Timing:
    """Seconds: the first call, which may compile or load something, and the median of the later ones."""

    first: float
    median: float


def measure(workload: Workload, rounds: int | None = None) -> dict[str, Timing]:
    """Every installed peer, one after the other in each round."""
    runs = {package: workload.peers[package]() for package in workload.installed()}
    first = {package: timed(run) for package, run in runs.items()}
    later: dict[str, list[float]] = {package: [] for package in runs}
    for _ in range(rounds or workload.rounds):
        for package, run in runs.items():
            later[package].append(timed(run))
    return {package: Timing(first[package], median(later[package])) for package in runs}


def timed(run: Run) -> float:
    """One run, with the collector on as Python has it, and nothing left over from the run before."""
    gc.collect()
    start = perf_counter()
    run()
    return perf_counter() - start


def speedups(timings: dict[str, Timing]) -> dict[str, float]:
    """How many times as fast as each peer we are."""
    return {package: timing.median / timings[OURS].median for package, timing in timings.items() if package != OURS}
