"""How long: the median of runs that take turns, so that a slow moment of the machine meets every peer."""

from __future__ import annotations

import gc
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median, quantiles
from time import perf_counter

import numpy as np

from bench.speed.workload import OURS, Answer, Probe, Run, Workload

TURN = 0.02  # seconds per turn
# takes the least seconds of a turn; returns the seconds per run, and the answer
Clock = Callable[[float], tuple[float, Answer]]
Tick = Callable[[], None]  # called after each round, to show progress


@dataclass(frozen=True)
class Timing:
    """Seconds: the first call, which may compile or load something, and all later ones."""

    first: float
    runs: Sequence[float]

    @property
    def median(self) -> float:
        return median(self.runs)

    @property
    def quartiles(self) -> tuple[float, float]:
        """Half of the runs lie between these."""
        if len(self.runs) == 1:
            return self.runs[0], self.runs[0]
        low, _, high = quantiles(self.runs, n=4, method="inclusive")
        return low, high


def measure(
    workload: Workload, rounds: int | None = None, tick: Tick = lambda: None, clocks: Mapping[str, Clock] | None = None
) -> dict[str, Timing]:
    """Every installed peer, one after the other in each round; in this process, unless `clocks` says otherwise.

    Errors: ArithmeticError where two answers differ.
    """
    clocks = clocks or {package: partial(timed, workload.peers[package]()) for package in workload.installed()}
    first, answers = {}, {}
    for package, clock in clocks.items():
        first[package], answers[package] = clock(0.0)
    agree(workload, answers)
    later: dict[str, list[float]] = {package: [] for package in clocks}
    for _ in range(rounds or workload.rounds):
        for package, clock in clocks.items():
            later[package].append(clock(TURN)[0])
        tick()
    return {package: whole(workload, package, first[package], later[package]) for package in clocks}


def timed(run: Run, turn: float = 0.0) -> tuple[float, Answer]:
    """A run, with the collector on as Python has it, and nothing left over from the run before.

    It is repeated until the turn is over, and the mean counts: a single run of 1 ms after another process has had its
    turn mostly measures how memory comes back into the caches.
    """
    gc.collect()
    start, runs, seconds = perf_counter(), 0, 0.0
    while not runs or seconds < turn:
        answer = run()
        runs, seconds = runs + 1, perf_counter() - start
    return seconds / runs, answer


def agree(workload: Workload, answers: Mapping[str, Answer]) -> None:
    """A time counts only for the right answer."""
    ours = np.asarray(answers[OURS])
    for package, answer in answers.items():
        theirs = np.asarray(answer)
        if theirs.shape != ours.shape or not np.allclose(theirs, ours, rtol=workload.rtol, atol=0.0):
            raise ArithmeticError(
                f"{workload.name}: {package} answers {list(answer)[:3]} ..., {OURS} {list(answers[OURS])[:3]} ...; "
                f"relative differences up to {workload.rtol:g} are allowed"
            )


def whole(workload: Workload, package: str, first: float, later: Sequence[float]) -> Timing:
    """The time of the whole work, for a peer that did a part of it."""
    repeats = workload.repeats.get(package, 1)
    return Timing(first * repeats, [seconds * repeats for seconds in later])


def probed(probe: Probe, rounds: int | None = None, tick: Tick = lambda: None) -> dict[str, float]:
    """The median of each quantity."""
    found: dict[str, list[float]] = {quantity: [] for quantity in probe.at_most}
    for _ in range(rounds or probe.rounds):
        for quantity, number in probe.measure().items():
            found[quantity].append(number)
        tick()
    return {quantity: median(numbers) for quantity, numbers in found.items()}


def speedups(timings: Mapping[str, Timing]) -> dict[str, float]:
    """How many times as fast as each peer we are."""
    return {package: timing.median / timings[OURS].median for package, timing in timings.items() if package != OURS}
