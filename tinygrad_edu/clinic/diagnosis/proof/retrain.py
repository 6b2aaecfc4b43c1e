"""Training again: a setup from each of some seeds, compiled where that pays, and never beyond the budget's clock."""

from __future__ import annotations

import math
import os
import threading
import time
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.price import Prices
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.module import Module, all_numbers
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.train.best_weights import restore_best
from tinygrad_edu.train.choose import training_program
from tinygrad_edu.train.fit import train_job as trained_by
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.own_code import for_own_code
from tinygrad_edu.train.stopping import has_fired
from tinygrad_edu.train.sweep.many import ManyJobs, goes_on, run_all

Array = np.ndarray[Any, Any]
PART = 0.5  # share of the time left that a compiler may take if training is possible without it
MOST_SLOWED = 8.0  # largest slowdown by other processes that is assumed
# seconds of work needed to measure that slowdown; in less, a single time slice of another process dominates
SHORTEST = 5e-3
TOGETHER = 32  # runs whose buffers are in memory at once


@dataclass(frozen=True)
class Trained:
    """One run: its network, the loss of each epoch, what it says about the targets, and did it end by NaN?"""

    seed: int
    model: Module
    losses: Array
    estimate: Array
    diverged: bool


def sample_weights(setup: Setup, task: Task) -> Any:
    """The sample weights."""
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
        weight, rows = sample_weights(setup, task), task.rows_for(setup)
        options |= {"sample_weight": weight if weight is None else np.asarray(weight)[rows]}
        if setup.validated and task.held_out is not None and (setup.tol or setup.patience or follows(setup.lr)):
            options["validation"] = hold_out(setup, task)
        if setup.patience and setup.min_delta:
            options |= {"tol": None, "patience": None, "callbacks": (Patience(setup),)}
        y = np.ascontiguousarray(task.targets(setup)[rows])
        super().__init__(setup.model, setup.make_optimizer, task.inputs_for(setup), y, options)


class Patience:
    """EarlyStopping as Keras counts: gains below min_delta are no new best, but add up; a callback of several jobs."""

    def __init__(self, setup: Setup) -> None:
        self.setup = setup
        self.best: dict[int | None, tuple[float, int, Any]] = {}  # seed of a job -> (loss, epoch, weights)

    def __call__(self, job: Job) -> bool:
        """Was that the last epoch?"""
        watched = job.progress.validation[-1] if job.held_out is not None else job.losses[-1]
        best, since, state = self.best.get(job.settings.seed, (math.inf, 0, None))
        now = len(job.losses)
        if watched < best - self.setup.min_delta:
            kept = all_numbers(job.model) if self.setup.restores else None
            self.best[job.settings.seed] = watched, now, kept
            return False
        ends = now - since >= (self.setup.patience or math.inf) and now > 1
        if ends and state is not None:
            job.model.load_state_dict(state)
        return ends


def follows(lr: Any) -> bool:
    return isinstance(lr, Schedule) and lr.follows_loss


def hold_out(setup: Setup, task: Task) -> tuple[Array, Array]:
    """The validation data that decide when the run ends, transformed as the setup does it."""
    assert task.held_out is not None
    X, y = task.held_out
    scaling = task.scaling(setup)
    return task.prepare(X, setup), y if scaling is None else np.asarray(scaling(y.reshape(len(y), -1)))


def train_setup(
    setup: Setup, task: Task, seeds: Sequence[int], times: int = 1, budget: Budget | None = None
) -> list[Trained]:
    """The setup from each seed: compiled where that is quicker, `times` times over, else operation by operation.

    Errors: NoTimeError where the budget's clock runs out, as soon as it is known.
    """
    budget, prices = budget or Budget(), Prices(task)
    budget.refuse_if_over()
    if setup.estimator is not None and not (setup.optimizer != lbfgs.NAME and lbfgs.refusal(setup, task)):
        began = time.perf_counter()
        found = by_estimators(setup, task, seeds, budget)
        if budget.is_known((setup.sizes, setup.activation, setup.optimizer, setup.batch_size)):
            budget.time_training(prices.compiled(setup) * count_runs(setup, found), time.perf_counter() - began)
    else:
        found = by_jobs(setup, task, seeds, times, budget, prices)
    budget.charge(prices.compiled(setup) * count_runs(setup, found))
    return found


def train_seeds(
    setup: Setup, task: Task, seeds: Sequence[int], times: int = 1, budget: Budget | None = None
) -> list[Trained]:
    """`train_setup`, where a refusal in the middle of a run, as of a prediction of 13 for a probability, counts as NaN.

    Errors: NoTimeError; SettingError where every seed is refused.
    """
    try:
        return train_setup(setup, task, seeds, times, budget)
    except SettingError:
        runs = [train_or_fail(setup, task, seed, budget) for seed in seeds]
        if not any(len(run.losses) for run in runs):
            raise
        return runs


def train_or_fail(setup: Setup, task: Task, seed: int, budget: Budget | None) -> Trained:
    """One run; one that is refused has no losses and no estimate."""
    try:
        return train_setup(setup, task, [seed], 1, budget)[0]
    except SettingError:
        unknown = np.full(task.truth.shape, math.nan)
        return Trained(seed, Jobs(setup, task).job((math.nan, seed)).model, np.empty(0), unknown, True)


def count_runs(setup: Setup, runs: Sequence[Trained]) -> float:
    """How many runs of all epochs they come to: a rule, or NaN, may have ended some of them early."""
    return sum(min(1.0, len(run.losses) / setup.epochs) if len(run.losses) else 1.0 for run in runs)


def by_jobs(
    setup: Setup, task: Task, seeds: Sequence[int], times: int, budget: Budget, prices: Prices
) -> list[Trained]:
    """The runs as `fit` makes them."""
    recipe, places = Jobs(setup, task), [(math.nan, seed) for seed in seeds]
    first = recipe.job(places[0])
    eager = prices.eager(setup) * len(seeds)
    program = None if first.minimizer else program_for(first, eager, times, budget)
    price = prices.compiled(setup) * len(seeds) if program is not None or first.minimizer else eager
    began = time.perf_counter()
    with np.errstate(all="ignore"):
        if program is None:
            jobs = eagerly(recipe, places, budget)
        else:
            jobs = train_in_threads(recipe, places, program, budget)
            for each in jobs:
                restore_best(each)
        seconds = time.perf_counter() - began
        for each in jobs if not setup.restores else ():
            each.go_on()
        found = [finish_job(seed, each, setup, task) for seed, each in zip(seeds, jobs, strict=True)]
        budget.time_training(price * count_runs(setup, found) / len(seeds), seconds)
        return found


def eagerly(recipe: Jobs, places: Sequence[tuple[float, int]], budget: Budget) -> list[Job]:
    """Each run, operation by operation. Errors: NoTimeError where the clock runs out between two steps."""
    jobs = [recipe.job(place) for place in places]
    for job in jobs:
        plain = job.batch_loss

        def batch_loss(*batch: Any, plain: Callable[..., Any] = plain) -> Any:
            budget.refuse_if_over()
            return plain(*batch)

        job.batch_loss = batch_loss  # type: ignore[method-assign]
        trained_by(job, "auto" if job.minimizer else False)
    return jobs


def train_in_threads(recipe: Jobs, places: Sequence[tuple[float, int]], program: Any, budget: Budget) -> list[Job]:
    """All runs, in threads. Errors: NoTimeError where the clock runs out, at the next step."""
    jobs: list[Job] = []
    threads = os.cpu_count() or 1
    with ThreadPoolExecutor(threads) as pool:
        while len(jobs) < len(places):
            some = [recipe.job(place) for place in places[len(jobs) : len(jobs) + TOGETHER]]
            active = [program.session(job) for job in some]
            while active:
                blocks = [session.block() for session in active]
                waiting = [pool.submit(run_all, blocks[i::threads]) for i in range(threads)]
                wait(waiting, timeout=time_out(budget))
                for block in blocks:  # when time is up, stop each at its next step
                    if budget.clock_left <= 0.0:
                        block.stop()
                for future in waiting:
                    future.result()
                budget.refuse_if_over()
                active = [c for c, block in zip(active, blocks, strict=True) if goes_on(c, block)]
            jobs += some
    return jobs


def time_out(budget: Budget) -> float | None:
    """Seconds to wait; None for as long as it takes."""
    return max(0.0, budget.clock_left) if math.isfinite(budget.ends) else None


def by_estimators(setup: Setup, task: Task, seeds: Sequence[int], budget: Budget) -> list[Trained]:
    """Each seed in a thread of its own: their programs run without Python's lock.

    Errors: NoTimeError where the clock runs out; what runs then ends with the block of epochs that it is in.
    """
    models: list[Any] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # warnings about convergence and clipped batches: both are measured here
        pool = ThreadPoolExecutor(os.cpu_count() or 1)
        waiting = [pool.submit(by_estimator, setup, task, seed, models) for seed in seeds]
        late = wait(waiting, timeout=time_out(budget)).not_done
        for model in models if late else ():
            model.callbacks = [lambda model: True]  # called before each block; True stops the training
        pool.shutdown(wait=not late, cancel_futures=True)
    if late:
        raise NoTimeError("no time left")
    return [future.result() for future in waiting]


def by_estimator(setup: Setup, task: Task, seed: int, models: list[Any]) -> Trained:
    model, losses = lbfgs.fit_network(setup, task, seed, models.append)
    return Trained(seed, model, losses, answers(model, setup, task), not np.isfinite(losses).all())


def program_for(first: Job, eager: float, times: int, budget: Budget) -> Any:
    """The compiled program, or None where steps without it, which take `eager` seconds, are quicker than making it.

    Which is quicker goes by prices; the clock decides only where it may run out.
    Errors: NoTimeError where there is no time for either way.
    """
    wall, own = time.perf_counter(), time.thread_time()
    try:
        program = training_program(first)
    except Exception:  # code of the user's may raise anything in a trace; what is wrong without one, steps will tell
        return None
    spent = time.perf_counter() - wall
    slowed = min(max(1.0, spent / max(time.thread_time() - own, SHORTEST)), MOST_SLOWED)
    left = budget.clock_left
    share = PART if eager * slowed < PART * left else 1.0
    if not program.at_hand():
        compiling = program.compile_seconds()
        if eager * times <= compiling or compiling * slowed > share * left:
            return None
    return program if compile_within(program, first, budget, share) else None


def compile_within(program: Any, job: Job, budget: Budget, share: float = 1.0) -> bool:
    """Its machine code, made now: is it done within this share of the time that is left?

    A compiler cannot be stopped: it is left to a thread, which goes on for itself, and the cache has the program then.
    Errors: NoTimeError where it is not done and all the time was for it.
    """
    if not math.isfinite(budget.ends) or program.ready():
        return True
    problems: list[Exception] = []

    def make() -> None:
        try:
            program.session(job).one_step()
        except Exception as problem:  # any exception is passed to the waiting thread
            problems.append(problem)

    thread = threading.Thread(target=make)  # no daemon: the interpreter may crash if it exits while a compiler runs
    thread.start()
    thread.join(max(0.0, share * budget.clock_left))
    if thread.is_alive() and share < 1.0:
        return False
    if thread.is_alive():
        budget.cut.append("compiling")
        raise NoTimeError("no time left: the compiler took all of it")
    if problems:
        raise problems[0]
    return True


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
    """The network's estimate of the targets: (n, k)."""
    with no_grad(), np.errstate(all="ignore"):
        given = for_own_code(model, None, task.inputs(setup) if X is None else X)  # other measures take them next
        outputs = np.asarray(model.eval()(*given).numpy())
        return task.estimate(outputs, setup)
