"""`fit` on the ranks of an MPI job: each computes the gradient of its part of a batch, and one all-reduce adds them up.

Every rank holds all samples and draws the same orders, so that only gradients are sent. With shares s_r = n_r/n of the
rows of a batch (of its weights, if samples are weighted): loss = Σ s_r·loss_r, g = Σ s_r·g_r. Every rank then makes the
same update from the same bits.
"""

from __future__ import annotations

import json
import math
import signal
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.writes.checksum import checksum
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.kept import untrained
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.nn.module import all_numbers
from tinygrad_edu.optim import SGD, clip_by_norm, clip_by_value, flat
from tinygrad_edu.train.batches import batches
from tinygrad_edu.train.changed import prints
from tinygrad_edu.train.config import as_json, config
from tinygrad_edu.train.eager import gradient_norm
from tinygrad_edu.train.ending import refuse_own_nan
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.mpi.ranks import Ranks
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.samples import dtype_of_parameters
from tinygrad_edu.train.snapshot import Snapshot, generators
from tinygrad_edu.train.stepper import Epochs, Stepper

Array = np.ndarray[Any, Any]
LOSS, RAISED, INTERRUPTED = -3, -2, -1  # indices of the last three entries of the buffer, after the gradient


def prepare(ranks: Ranks, make: Callable[[], Job]) -> Job:
    """The job, if all ranks could make theirs and all are the same. Errors: SettingError, on every rank."""

    def make_and_check() -> tuple[Job, dict[str, Any]]:
        job = make()
        refuse_batch_mixing(job)
        return job, facts(job)

    job, told = fail_together(ranks, make_and_check, "begin")
    ranks.agree(told, "before the first step")
    assert isinstance(job, Job)
    if ranks.rank:  # only rank 0 writes and prints
        job.settings = replace(job.settings, callbacks=(), progress=False)
    job.ranks = ranks
    return job


def fail_together(ranks: Ranks, work: Callable[[], Any], what: str) -> Any:
    """The result of this rank's work; if it fails on any rank, an error on every rank."""
    result, error = None, None
    try:
        result = work()
    except Exception as met:
        error = met
    ranks.fail_together(error, what)
    return result


def refuse_batch_mixing(job: Job) -> None:
    """Refuse what is not a sum over the parts of a batch. Errors: SettingError."""
    if job.minimizer:
        raise SettingError("comm with L-BFGS: its search runs in one process; train with SGD or Adam on the ranks")
    if job.loss not in LOSSES.values():
        raise SettingError(
            f"comm with loss={job.loss!r:.60}: only the losses of nn.losses are known to be means over rows, "
            "which can be put together from the parts of a batch"
        )
    if untrained(job.model):
        raise SettingError(
            "comm with BatchNorm: each rank would only see the statistics of its own part; use LayerNorm"
        )
    if generators(job.model):
        raise SettingError(
            "comm with Dropout: each rank would drop other units than a single process does; leave Dropout out"
        )


def facts(job: Job) -> dict[str, Any]:
    """Everything that must be the same on every rank; arrays by their shapes and fingerprints."""
    state = all_numbers(job.model)
    memory = [np.asarray(x) for each in job.optimizer.memory for x in each]
    found = {
        "tinygrad_edu": release(),
        **config(job),
        "parameters": {name: list(np.shape(x)) for name, x in state.items()},
        "weights": marks(state.values()),
        "memory of the optimizer": marks(memory),
        "steps": job.optimizer.t,
        "epochs done": len(job.losses),
    }
    told: dict[str, Any] = json.loads(json.dumps(as_json(found)))
    return told | {f"{name} (shape, CRC)": mark for name, mark in prints(job).items()}


def release() -> str:
    """The version of this package."""
    try:
        return version("tinygrad-edu")
    except PackageNotFoundError:  # run from a source folder, not installed
        return "from source"


def marks(arrays: Any) -> str:
    """A short name for these numbers."""
    return "CRC " + "".join(f"{checksum(np.asarray(x)):08x}" for x in arrays)[-64:]


# gradient of a part of a batch


class EagerGradient:
    """Operation by operation."""

    def __init__(self, job: Job) -> None:
        self.job = job

    def __call__(self, rows: Array) -> tuple[float, Array]:
        self.job.optimizer.zero_grad()
        loss = self.job.batch_loss(*[array[rows] for array in self.job.data])
        loss.backward()
        return float(loss.item()), flat.gradients(self.job.optimizer.params)


class CompiledGradient:
    """One epoch of one batch, by the session of a job whose optimizer changes nothing."""

    def __init__(self, session: Any) -> None:
        self.session = session
        self.settings = np.zeros(len(self.session.program.floats))

    def __call__(self, rows: Array) -> tuple[float, Array]:
        c = self.session
        np.concatenate([np.ravel(p.array) for p in c.parameters], out=c.buffers.state[0])
        (loss, norm, change), control = np.full((3, 1), np.nan), np.zeros(3, dtype=np.int64)
        cache.call_first(
            c.program.code, *[array[rows] for array in c.arrays], np.empty((1, 0), dtype=np.int64), len(rows),
            *c.buffers.fixed, np.zeros(1), self.settings, 0.0, c.job.progress.rule, loss, norm, change, control,
            *c.buffers.given,
        )  # fmt: skip
        return float(loss[0]), c.buffers.fixed[2]


def gradient_job(job: Job) -> Job:
    """The same model, loss and data, with an optimizer that changes nothing, without clipping and stopping."""
    bare = replace(job.settings, clip_norm=None, clip_value=None, tol=None, patience=None, callbacks=(), progress=False)
    return Job(job.model, SGD(job.optimizer.params, lr=0.0), bare, job.data, None, job.loss, start=job.start)


# the run


class RankStepper(Stepper):
    """This rank's part in a run: every rank has the same epochs and the same messages."""

    def __init__(self, job: Job, shown: Bar, session: Any = None) -> None:
        super().__init__(job, shown)
        self.ranks: Ranks = job.ranks
        self.gradient: Any = CompiledGradient(session) if session else EagerGradient(job)
        self.asked_to_end = False  # Ctrl-C on this rank; `interrupted` is the same on all ranks, set at the same step
        sizes = [getattr(p, "size", 1) for p in job.optimizer.params]
        self.buffer = np.zeros(sum(sizes) + 3, dtype_of_parameters(job.model))
        job.optimizer.zero_grad()
        job.batch_loss(*[array[:1] for array in job.data[:2]]).backward()
        # False for a parameter without a gradient, which the rule leaves unchanged
        self.used = [p.grad is not None for p in job.optimizer.params]
        job.optimizer.zero_grad()

    def share(self, rows: Array, part: Array) -> float:
        """The share of this part in the batch's loss; NaN if all weights of a batch are 0, as in one process."""
        if len(self.job.data) < 3:
            return len(part) / len(rows)
        weights = self.job.data[2]
        with np.errstate(invalid="ignore"):
            return float(weights[part].sum() / weights[rows].sum())

    def step(self, rows: Array) -> float:
        """One update on every rank; the loss of the whole batch before it."""
        part, error = self.ranks.part(rows), None
        self.buffer[:] = 0.0
        try:
            share = self.share(rows, part)
            if share != 0.0:
                loss, gradient = self.gradient(part)
                np.multiply(gradient, share, out=self.buffer[:LOSS], casting="same_kind")
                self.buffer[LOSS] = share * loss
        except Exception as met:
            error = met
        self.buffer[RAISED], self.buffer[INTERRUPTED] = error is not None, self.asked_to_end
        self.ranks.sum(self.buffer)
        if self.buffer[RAISED]:
            self.ranks.fail_together(error, "compute its gradient")
        self.interrupted = bool(self.buffer[INTERRUPTED])
        if not self.interrupted:
            self.update()
        return float(self.buffer[LOSS])

    def update(self) -> None:
        """Do what a single process does after backward()."""
        start, optimizer, s = 0, self.job.optimizer, self.job.settings
        for p, used in zip(optimizer.params, self.used, strict=True):
            piece = self.buffer[start : start + getattr(p, "size", 1)].copy()
            start += piece.size
            if isinstance(p, Tensor):
                p.grad = piece.reshape(p.shape) if used else None
            else:
                p.grad = float(piece[0])
        if s.clip_value is not None:
            clip_by_value(optimizer.params, s.clip_value)
        if s.clip_norm is not None:
            clip_by_norm(optimizer.params, s.clip_norm)
        optimizer.step()

    def epochs(self) -> Generator[Epochs, None, None]:
        """One at a time, until NaN or an interrupt on any rank."""
        rng = self.job.generator()
        with ctrl_c_noted(self):
            while self.job.left:
                for order in self.job.orders(rng, 1 if self.job.watched else self.job.left):
                    done = self.epoch(order)
                    if self.interrupted:
                        return
                    yield done

    def epoch(self, order: Array) -> Epochs:
        """One pass over the samples; it ends where the loss is NaN or any rank was interrupted."""
        before, total = Snapshot(self.job.model, self.job.optimizer), 0.0
        for rows in batches(self.job, order):
            total += self.step(rows) * len(rows)
            if self.interrupted or not math.isfinite(total):
                return Epochs([], [], [], bad=order)
        moved = before.distance()
        if not math.isfinite(moved):
            return Epochs([], [], [], bad=order)
        self.shown.update()
        return Epochs([total / self.job.samples], [gradient_norm(self.job.optimizer.params)], [moved])

    def bad_ending(self, order: ArrayLike) -> str:
        """As in `Stepper`. Errors: CompileError, on every rank, if only the program arrives at NaN."""
        if isinstance(self.gradient, CompiledGradient):
            refuse_own_nan(self.job, order, self.gradient.session.program.why_nan)
        return super().bad_ending(order)

    def look(self, measured: Callable[[], None]) -> bool:
        """After an epoch: run the callbacks on rank 0; did any rank fail, have they drifted apart, is it over?"""
        what = "finish an epoch (validation, callbacks, checkpoint)"
        over = bool(fail_together(self.ranks, partial(self.job.look, measured), what))
        state = all_numbers(self.job.model).values()
        self.ranks.agree({"weights": marks(state), "lr": self.job.optimizer.lr}, f"after epoch {len(self.job.losses)}")
        first = self.ranks.texts(self.job.progress.callback_reason if over else "", "the end of an epoch")[0]
        self.job.progress.callback_reason = first
        return over or bool(first)


@contextmanager
def ctrl_c_noted(stepper: RankStepper) -> Iterator[None]:
    """Ctrl-C ends all ranks at the same step: in the middle of a sum, it would leave the others waiting."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def note(*_: Any) -> None:
        stepper.asked_to_end = True

    before = signal.signal(signal.SIGINT, note)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def of_rank_0(ranks: Ranks, compiled: bool) -> bool:
    """The estimates of the ranks may differ: rank 0 decides which way they all go."""
    answers: Sequence[str] = ranks.texts("compiled" if compiled else "", "the choice of compiled or eager")
    return bool(answers[0])
