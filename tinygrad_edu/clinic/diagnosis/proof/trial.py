"""Proof by training again: the same seeds, one change, and how many of them reach the goal."""

from __future__ import annotations

import math
import os
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof.goal import Goal
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.errors import TinygradError, TraceError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.train.choose import eager_seconds, training_program
from tinygrad_edu.train.fit import bar
from tinygrad_edu.train.fit import train_job as trained_by
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.stopping import has_fired
from tinygrad_edu.train.sweep.many import ManyJobs

Array = np.ndarray[Any, Any]
PART = 0.5  # of the time left that a compiler may take
MOST_SLOWED = 8.0  # by other work on the machine
Z = 1.645  # of the normal distribution: 90 % of it lie within; 0 of 5 and 4 of 5 are then apart, 1 of 5 and 4 are not


@dataclass(frozen=True)
class Trained:
    """One run: its network, the loss of each epoch, what it says about the targets, and did it end by NaN?"""

    seed: int
    model: Module
    losses: Array
    estimate: Array
    diverged: bool


@dataclass(frozen=True)
class Trial:
    """A setup that was trained from several seeds; `change` makes it of the setup under diagnosis."""

    change: Change
    setup: Setup
    words: str
    runs: tuple[Trained, ...]
    worths: tuple[float, ...]
    hits: tuple[bool, ...]
    seconds: float
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
        """Do so many more seeds reach the goal that the 90 % intervals are apart?"""
        return self.interval[0] > other.interval[1]

    def again(self, bench: Bench) -> Trial:
        """The same runs, measured by another goal."""
        return judge_runs(self.change, self.setup, self.words, self.runs, bench, self.seconds, self.code)

    def __str__(self) -> str:
        low, high = self.interval
        return f"{self.words}: {self.reached} of {self.count} reach the goal (90 % interval {low:.0%} to {high:.0%})"


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


def weights(setup: Setup, task: Task) -> Any:
    """What each sample counts."""
    if not isinstance(setup.weights, str):
        return setup.weights
    assert task.labels is not None
    present = task.counts[task.counts > 0]
    return task.samples / (len(present) * np.maximum(task.counts, 1))[task.labels]


class Jobs(ManyJobs):
    """The runs of a setup, for `fit_many`'s threads."""

    def __init__(self, setup: Setup, task: Task) -> None:
        options = setup.plan | {"progress": False}
        del options["seed"]  # each run has its own
        weight, rows = weights(setup, task), task.rows_for(setup)
        options |= {"sample_weight": weight if weight is None else np.asarray(weight)[rows]}
        if setup.validated and task.held_out is not None and (setup.tol or setup.patience or follows(setup.lr)):
            options["validation"] = hold_out(setup, task)
        y = np.ascontiguousarray(task.targets(setup)[rows])
        super().__init__(setup.model, setup.make_optimizer, task.inputs_for(setup), y, options)

    def with_callback(self, callback: Callable[[Job], bool]) -> ManyJobs:
        """The same runs, which a function of the job may end after each epoch."""
        return ManyJobs(self.make_model, self.optimizer, self.X, self.y, {**self.settings, "callbacks": [callback]})


def follows(lr: Any) -> bool:
    return isinstance(lr, Schedule) and lr.follows_loss


def hold_out(setup: Setup, task: Task) -> tuple[Array, Array]:
    """What decides when the run ends, prepared as a setup does."""
    assert task.held_out is not None
    X, y = task.held_out
    scaling = task.scaling(setup)
    return task.prepare(X, setup), y if scaling is None else np.asarray(scaling(y.reshape(len(y), -1)))


class NoTimeError(TinygradError):
    """There is less time left than the training takes."""


def train_setup(
    setup: Setup, task: Task, seeds: Sequence[int], times: int = 1, ends: float = math.inf
) -> list[Trained]:
    """The setup from each seed: compiled where that is quicker, `times` times over, else operation by operation.

    ends: time.perf_counter() by which to be done. Errors: NoTimeError where that cannot be, as soon as it is known.
    """
    if setup.estimator is not None and not (setup.optimizer != lbfgs.NAME and lbfgs.refusal(setup, task)):
        return by_estimators(setup, task, seeds)
    recipe, places = Jobs(setup, task), [(math.nan, seed) for seed in seeds]
    first = recipe.job(places[0])
    program = None if first.minimizer else program_for(first, len(seeds), times, ends)
    with np.errstate(all="ignore"):
        if program is None:
            jobs = eagerly(recipe, places, ends)
        else:
            jobs = recipe.outcomes(places, program, os.cpu_count() or 1, bar(first))
            for each in jobs:
                each.restore_best()
        return [finish_job(seed, each, setup, task) for seed, each in zip(seeds, jobs, strict=True)]


def eagerly(jobs_of: Jobs, places: Sequence[tuple[float, int]], ends: float) -> list[Job]:
    """Each run, operation by operation. Errors: NoTimeError where the time is up before the last epoch."""
    recipe = jobs_of.with_callback(lambda job: time.perf_counter() > ends) if math.isfinite(ends) else jobs_of
    jobs = [recipe.job(place) for place in places]
    for job in jobs:
        trained_by(job, "auto" if job.minimizer else False)
        if job.progress.callback_reason and time.perf_counter() > ends:
            raise NoTimeError("no time left")
    return jobs


def by_estimators(setup: Setup, task: Task, seeds: Sequence[int]) -> list[Trained]:
    """Each seed in a thread of its own: their programs run without Python's lock."""
    with warnings.catch_warnings(), ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        warnings.simplefilter("ignore")  # of what did not converge, and of batches that are cut: both are measured
        return list(pool.map(lambda seed: by_estimator(setup, task, seed), seeds))


def by_estimator(setup: Setup, task: Task, seed: int) -> Trained:
    model, losses = lbfgs.fit_network(setup, task, seed)
    return Trained(seed, model, losses, answers(model, setup, task), not np.isfinite(losses).all())


def program_for(first: Job, runs: int, times: int, ends: float) -> Any:
    """The compiled program, or None where steps without it take less time than making it, or making it too much.

    A compiler cannot be stopped: what it will take is estimated before, by how slow the machine is just now.
    Errors: NoTimeError where there is no time for either way.
    """
    try:
        program = training_program(first)
    except TraceError:
        return None
    if program.at_hand():
        return program
    eager, slowdown = timed_eagerly(first)
    compiling, left = program.compile_seconds() * slowdown, ends - time.perf_counter()
    if eager * runs * times > compiling and compiling < PART * left:
        return program
    if eager * runs > left:
        raise NoTimeError(
            f"no time left: of {left:.0f} s, compiling takes about {compiling:.0f} and runs {eager * runs:.0f}"
        )
    return None


def timed_eagerly(job: Job) -> tuple[float, float]:
    """(seconds of one run operation by operation, how many seconds the processor takes for one of its own)."""
    wall, own = time.perf_counter(), time.thread_time()
    eager = eager_seconds(job)
    spent = time.perf_counter() - wall
    return eager, min(max(1.0, spent / max(time.thread_time() - own, 1e-4)), MOST_SLOWED)


def finish_job(seed: int, job: Job, setup: Setup, task: Task) -> Trained:
    """A job that has been run."""
    return Trained(
        seed, job.model, np.array(job.losses), answers(job.model, setup, task), job.left > 0 and not has_stopped(job)
    )


def has_stopped(job: Job) -> bool:
    """Has its rule ended it, rather than NaN?"""
    progress = job.progress
    ended = progress.stopped or progress.callback_reason or job.minimizer
    return bool(ended or (progress.has_rule and has_fired(progress.rule, progress.losses)))


def answers(model: Module, setup: Setup, task: Task, X: Array | None = None) -> Array:
    """What a network says about the targets, (n, k)."""
    with no_grad(), np.errstate(all="ignore"):
        outputs = np.asarray(model.eval()(task.inputs(setup) if X is None else X).numpy())
        return task.estimate(outputs, setup)


@dataclass
class Bench:
    """Where trials are made: the setup under diagnosis, its task and goal, the seeds, and the time left."""

    setup: Setup
    task: Task
    goal: Goal
    seeds: Sequence[int]
    ends: float  # time.perf_counter() by which to be done
    per_step: float = math.inf  # the fewest seconds that a step has taken
    known: dict[str, Trial] = field(default_factory=dict)  # by the change and the number of seeds
    failed: list[str] = field(default_factory=list)

    @property
    def left(self) -> float:
        return self.ends - time.perf_counter()

    def note(self, setup: Setup, seconds: float) -> None:
        """How long all seeds of a setup took."""
        self.per_step = min(self.per_step, seconds / setup.steps(self.task.samples))

    def seconds(self, setup: Setup) -> float:
        """How long all seeds of a setup will take, roughly."""
        return self.per_step * setup.steps(self.task.samples)

    def trial(self, change: Change, code: str = "") -> Trial | None:
        """One change from all seeds; None, with the reason in `failed`, where it cannot be trained."""
        if repr(change) in self.known:
            return replace(self.known[repr(change)], code=code).again(self)
        setup, start = self.setup.but(change), time.perf_counter()
        try:
            runs = train_setup(setup, self.task, self.seeds, 1, self.ends)
        except (TinygradError, FloatingPointError) as error:
            self.failed.append(f"{code} ({self.setup.difference(change)}): {error}")
            return None
        words = f"only {self.setup.difference(change)}" if change else "as is"
        seconds = time.perf_counter() - start
        self.note(setup, seconds)
        self.known[repr(change)] = judge_runs(change, setup, words, runs, self, seconds, code)
        return self.known[repr(change)]


def judge_runs(
    change: Change, setup: Setup, words: str, runs: Sequence[Trained], bench: Bench, seconds: float, code: str
) -> Trial:
    """Runs measured by the goal."""
    worths = tuple(bench.goal.worth(run.estimate, bench.task) for run in runs)
    hits = tuple(not run.diverged and bench.goal.is_reached(run.estimate, bench.task) for run in runs)
    return Trial(change, setup, words, tuple(runs), worths, hits, seconds, code)


def short(trial: Trial) -> str:
    """A trial in a proof."""
    return f"{trial.words}: {trial.reached} of {trial.count}{' reach the goal' if not trial.change else ''}"
