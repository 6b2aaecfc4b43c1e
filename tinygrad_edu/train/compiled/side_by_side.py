"""Small runs of one kind side by side: one call of compiled code trains eight models, each in its own vector lane.

A network of four units and four samples does not fill a register of the processor; eight of them do. Each run does the
arithmetic it would do alone (compile/backend/lanes.py), but sums over a batch, as of its losses, are added in another
order: the results are equal up to rounding, as those of a compiled and an eager run are, and what a run gives does not
depend on its neighbours, bit for bit.
Runs that need more than plain steps, such as a stopping rule, clipping or random numbers, are trained one by one.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.errors import CompileError, TraceError, first_line
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train.compiled.program import TrainingProgram, views
from tinygrad_edu.train.compiled.programs import CompiledJob, program_key, same_structure
from tinygrad_edu.train.job import AT_A_TIME, Job

Array = np.ndarray[Any, Any]
LANES = 8
LARGEST = 1 << 20  # bytes for the weights and intermediate results of all lanes: they must fit in the caches of a core
MEMORY = 1 << 26  # bytes for the orders, rates and curves of all runs started together
PRODUCTS = 10**10  # weights × samples in the forward passes of all runs started together: a few seconds


class PendingRun(NamedTuple):
    """A run before its start."""

    model: Module
    optimizer: Optimizer
    seed: int  # seed of the sample order
    parameters: Sequence[Any]  # the model's parameters
    weights: Sequence[Array] | None = None  # its initial weights, if the model object serves many runs

    def beginning(self) -> Sequence[Array]:
        """The first numbers of its parameters."""
        return [p.array for p in self.optimizer.params] if self.weights is None else self.weights


class SideBySide:
    """The program for runs like the first one."""

    def __init__(self, program: TrainingProgram, first: Job) -> None:
        self.program, self.first = program, first
        self.ordered = orders_of(first, first.settings.seed).shape[1] > 0
        self.layout = program.layout(first.optimizer.params, first.data, first.batch_size)
        self.total = sum(p.size for p in first.optimizer.params)
        self.steps = first.settings.epochs * first.batches
        if self.ordered not in program.abreast:
            text = program.module_text(program.recipe, LANES, self.ordered)
            program.abreast[self.ordered] = cache.load(text, "training")
        self.code = program.abreast[self.ordered].epochs
        self.arrays = [np.reshape(a, (len(a), -1)) for a in first.data]
        self.settings = np.array([float(first.optimizer.settings[name]) for name in program.floats])
        self.fitting: Module | None = None  # the last model that was found to be like the first
        self.groups: list[LaneGroup] = []  # the groups being trained
        self.ended = False

    def at_a_time(self, threads: int) -> int:
        """How many runs are started together: no more than memory holds, or than are trained in some seconds."""
        epochs, samples = self.first.settings.epochs, self.first.samples
        numbers = self.steps + 3 * epochs + epochs * samples * self.ordered
        products = epochs * samples * self.total
        return int(max(LANES * threads, min(MEMORY // (8 * numbers), PRODUCTS // products)))

    def takes(self, start: PendingRun) -> bool:
        """Does this run differ from the first one only in numbers?"""
        model, own, parameters, known = start.model, start.optimizer, start.parameters, self.first.optimizer
        same = (
            type(own) is type(known)
            and len(own.params) == len(known.params)
            and own.settings == known.settings
            and not own.groups
            and not any(own.t)
            and own.schedule.kind != "by_function"
            and not own.schedule.follows_loss
        )
        if not same or list(map(id, own.params)) != list(map(id, parameters)):
            return False
        if model is not self.fitting and not same_structure(model, self.first.model):
            return False
        self.fitting = model
        return True

    def train(self, starts: Sequence[PendingRun], threads: int) -> tuple[Array, Array, Array]:
        """(losses (n, epochs), states (n, 1 + memories, weights), which runs met NaN (n,)).

        A state is the weights and the optimizer's memories. Runs that met NaN have to be trained one by one; their
        neighbours start again, so that the result of a run does not depend on its neighbours. Errors: CompileError.
        """
        n, epochs, rows = len(starts), self.first.settings.epochs, 1 + self.program.memories
        losses, bad = np.empty((n, epochs)), np.zeros(n, dtype=bool)
        states, waiting = np.empty((n, rows, self.total), dtype=self.program.dtype), np.arange(n)
        weights = [x.ravel() for start in starts for x in start.beginning()]
        states[:, 0] = np.concatenate(weights).reshape(n, self.total)
        for i in range(rows - 1):
            memories = [memory[i].ravel() for start in starts for memory in start.optimizer.memory]
            states[:, 1 + i] = np.concatenate(memories).reshape(n, self.total)
        with ThreadPoolExecutor(threads) as pool:
            while len(waiting):
                groups = [
                    LaneGroup(self, starts, states, waiting[i : i + LANES]) for i in range(0, len(waiting), LANES)
                ]
                self.groups = groups
                with self.stop_at_errors():
                    self.run(groups[:1])  # alone first, because it may compile the program
                    list(pool.map(self.run, [groups[1 + i :: threads] for i in range(threads)]))
                waiting = np.array([i for group in groups for i in group.hand_in(losses, states, bad)], dtype=int)
        return losses, states, bad

    @contextmanager
    def stop_at_errors(self) -> Iterator[None]:
        """Where this thread is interrupted, let the others end at their next step: their pool waits for them."""
        try:
            if self.ended:
                self.stop()
            yield
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """End all runs, whichever thread they are in, at their next step."""
        self.ended = True
        for group in self.groups:
            group.control[0] = 1

    def run(self, groups: Sequence[LaneGroup]) -> None:
        """Group after group, in the same memory. Errors: CompileError."""
        dtype, size, state = self.program.dtype, (self.total, LANES), (1 + self.program.memories, self.total, LANES)
        saved, gradient = aligned(state, dtype), aligned(size, dtype)
        work, curves = aligned((self.layout.work, LANES), dtype), np.empty((2, self.first.settings.epochs, LANES))
        whole, stopping = np.zeros(0, dtype=np.int64), self.first.progress.rule.copy()
        for group in groups:
            try:
                cache.call_first(
                    self.code, *self.arrays, group.orders, self.first.batch_size, group.state, saved, gradient, work,
                    whole, self.layout.sizes, group.rates, self.settings, 0.0, stopping, group.losses, *curves,
                    group.control,
                )  # fmt: skip
            except Exception as error:
                raise CompileError(f"the compiler: {first_line(error)}") from error


class LaneGroup:
    """The runs of one call, at `places` in the arrays of all runs. Spare lanes repeat the last run."""

    def __init__(self, way: SideBySide, starts: Sequence[PendingRun], states: Array, places: Array) -> None:
        self.places = places
        filled = np.concatenate([places, np.repeat(places[-1:], LANES - len(places))])
        lanes = [starts[i] for i in filled]
        program, epochs = way.program, way.first.settings.epochs
        self.state = aligned((1 + program.memories, way.total, LANES), program.dtype)
        self.state[:] = states[filled].transpose(1, 2, 0)
        self.rates = rates_of([start.optimizer for start in lanes], way.steps)
        self.orders = np.empty((epochs, 0, LANES), dtype=np.int64)
        if way.ordered:
            self.orders = np.stack([orders_of(way.first, start.seed) for start in lanes], axis=2)
        self.losses = np.empty((epochs, LANES))
        self.control = np.zeros(3, dtype=np.int64)

    def hand_in(self, losses: Array, states: Array, bad: Array) -> list[int]:
        """Write the results of its runs; if one met NaN, mark it and return the places of the others."""
        n, done = len(self.places), int(self.control[1])
        if not self.control[2]:
            losses[self.places], states[self.places] = self.losses[:, :n].T, self.state[:, :, :n].transpose(2, 0, 1)
            return []
        met = ~np.isfinite(self.losses[done, :n])
        bad[self.places[met]] = True
        return list(self.places[~met])


class Ahead:
    """Trains runs in a thread of its own while Python makes the next ones, which takes as long for small networks."""

    def __init__(self, way: SideBySide, threads: int) -> None:
        self.way, self.threads, self.pool = way, threads, ThreadPoolExecutor(1)
        self.starts: Mapping[int, PendingRun] = {}
        self.outcomes: Future[Any] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.way.stop()
        self.pool.shutdown()

    def train(self, starts: Mapping[int, PendingRun]) -> list[tuple[Any, ...]]:
        """Begin these runs; of those begun before: (key, start, losses, state, did it meet NaN). Errors: CompileError.

        starts: runs by a key of their own; none, to wait for the last.
        """
        before = zip(self.starts, self.starts.values(), *self.outcomes.result(), strict=True) if self.outcomes else ()
        done = list(before)
        self.starts, work = starts, list(starts.values())
        self.outcomes = self.pool.submit(self.way.train, work, self.threads) if work else None
        return done


def put_weights(model: Module, params: Sequence[Any], weights: Array) -> None:
    """Put a run's weights, one vector, into its parameters."""
    for p, part in zip(params, views(weights, [p.shape for p in params]), strict=True):
        p.assign(part)
    model.eval()


def put_state(start: PendingRun, state: Array, steps: int) -> None:
    """Put a run's weights and its optimizer's memories (1 + memories, weights) where a run by itself leaves them."""
    if start.weights is not None:  # the model object serves many runs, and nobody holds this run's model
        return
    optimizer = start.optimizer
    put_weights(start.model, optimizer.params, state[0])
    rows = [views(row, [p.shape for p in optimizer.params]) for row in state[1:]]
    for i in range(len(optimizer.params)):
        optimizer.memory[i] = tuple([row[i] for row in rows])
        optimizer.t[i] = steps


class Answers:
    """Predictions of runs when they are asked for, whatever has become of their models: by a model kept for this."""

    def __init__(self, model: Module, X: Array) -> None:
        self.model, self.X, self.lock = copy.deepcopy(model), X.copy(), Mutex()

    def __call__(self, weights: Array) -> Array:
        with self.lock.freed(), self.lock.taken:
            put_weights(self.model, self.model.parameters(), weights)
            return np.asarray(self.model(self.X).array)


def rates_of(optimizers: Sequence[Optimizer], steps: int) -> Array:
    """The rates of each run: (steps, runs)."""
    schedules = [(optimizer.schedule.kind, optimizer.schedule.parameters) for optimizer in optimizers]
    if all(schedule == schedules[0] for schedule in schedules):
        return np.repeat(optimizers[0].rates(0, steps)[:, None], len(optimizers), axis=1)
    return np.stack([optimizer.rates(0, steps) for optimizer in optimizers], axis=1)


def aligned(shape: tuple[int, ...], dtype: str) -> Array:
    """Zeros that start at a cache line, so that no vector spans two of them."""
    size = math.prod(shape) * np.dtype(dtype).itemsize
    memory = np.zeros(size + 64, dtype=np.uint8)
    first = -memory.ctypes.data % 64
    return memory[first : first + size].view(dtype).reshape(shape)


def orders_of(job: Job, seed: int) -> Array:
    """The orders of all epochs of a run with that seed: (epochs, samples), or (epochs, 0) without shuffling."""
    rng, count = np.random.default_rng(seed), job.settings.epochs
    found = [job.orders(rng, count)]
    while sum(map(len, found)) < count:
        found.append(job.orders(rng, count - sum(map(len, found))))
    return np.concatenate(found)


def side_by_side(job: Job, compiled: CompiledJob) -> SideBySide | None:
    """The program that trains runs like this one side by side; None if they have to be trained one by one."""
    program = compiled.program
    asked = program.given or program.masks or program.followed or program.foreign or program.limited
    if asked or compiled.kind is not program_key or job.watched or job.progress.has_rule:
        return None
    if program.step.trace.fixed or any(x.integer for x in program.step.trace.inputs.values()):
        return None
    try:
        layout = program.layout(job.optimizer.params, job.data, job.batch_size)
    except TraceError:  # runs one by one explain what is wrong with the data
        return None
    numbers = layout.work + (3 + program.memories) * sum(p.size for p in job.optimizer.params)
    many = job.settings.epochs * job.samples > AT_A_TIME
    if numbers * LANES * np.dtype(program.dtype).itemsize > LARGEST or many or job.steps == 0:
        return None
    try:
        return SideBySide(program, job)
    except NotImplementedError:
        return None
