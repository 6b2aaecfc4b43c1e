"""`fit`: train a model on arrays, as compiled code where that pays, else operation by operation."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tqdm import tqdm

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError, TraceError, unknown_name
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train.run import Run

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]
COMPILE_SECONDS = 3.0  # a new program of two hidden layers and Adam: 1.5 to 4 s, measured
LOAD_SECONDS = 0.3  # the same from the disk
ORDERS = 1_000_000  # sample numbers drawn at a time
LOOK = 0.05  # seconds between looks at a compiled run: Ctrl-C, progress


@dataclass
class Job:
    """One call of `fit`, its settings checked."""

    model: Module
    X: Array
    y: Array
    loss: Loss
    optimizer: Optimizer
    epochs: int
    batch_size: int
    shuffle: bool
    seed: int
    tol: float | None
    progress: bool
    accurate: bool = False
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)

    @property
    def steps(self) -> int:
        return self.epochs * -(-len(self.X) // self.batch_size)

    def orders(self, left: int, rng: np.random.Generator) -> Array:
        """The order of the samples in each of the next epochs; the same however many are drawn at a time.

        No columns where the samples are taken in turn; that order does for all of them in one batch too.
        """
        count = min(left, max(1, ORDERS // len(self.X)))
        if not self.shuffle or self.batch_size == len(self.X):
            return np.empty((count, 0), dtype=np.int64)
        return rng.permuted(np.tile(np.arange(len(self.X)), (count, 1)), axis=1)

    def converged(self) -> bool:
        """Did the loss improve by no more than tol of itself?"""
        if self.tol is None or len(self.losses) < 2:
            return False
        return abs(self.losses[-1] - self.losses[-2]) <= self.tol * abs(self.losses[-2])

    def reason(self, interrupted: bool = False, bad: bool = False) -> str:
        """Why it ended, with numbers."""
        done = len(self.losses)
        if interrupted:
            return f"interrupted after {done} of {self.epochs} epochs"
        if bad:
            return (
                f"stopped in epoch {done + 1}: the loss became NaN or infinite, the model is as after epoch {done}; "
                f"try a smaller learning rate than {self.optimizer.lr:g}, or detect_anomaly() to find the operation"
            )
        if self.converged():
            change = abs(self.losses[-1] - self.losses[-2])
            return f"converged after {done} epochs: the loss changed by {change:.2g}, at most {self.tol:g} of itself"
        return f"all {done} epochs done"


def fit(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: str | Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool = True,
    seed: int = 0,
    compiled: bool | str = "auto",
    tol: float | None = None,
    progress: bool | None = None,
    accurate: bool = False,
) -> Run:
    """Train `model` in place on X (samples, features) and y (samples, outputs), and record the run.

    loss: a name ("mse", "bce_with_logits", "cross_entropy") or a function of output and target; cross_entropy also
    takes y as class numbers (samples,). batch_size: all samples by default. shuffle: a new order each epoch, from
    `seed`. compiled: True, False, or "auto", which compiles when the run is estimated to take longer than that.
    tol: stop when the loss of an epoch differs from the one before by at most tol of it. progress: a bar (by
    default in a terminal). accurate: compiled exp, tanh, log as the C library has them, for the last digits (the
    compiler's own are within 3 units in the last place, and several times as fast).
    A run that meets NaN, or is interrupted, leaves the model as after the last whole epoch.
    Errors: SettingError, ShapeError, DtypeError for what does not fit; TraceError if compiled=True cannot be.

    >>> from tinygrad_edu import nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model = nn.MLP([2, 8, 1], seed=1)
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.05), epochs=100)
    >>> run.n_epochs, bool(run.loss_curve[-1] < 0.01)
    (100, True)
    """
    job = checked_job(model, X, y, loss, optimizer, epochs, batch_size, shuffle, seed, tol, progress, accurate)
    program, how = choose(job, compiled)
    stop_reason = run_compiled(job, program) if program is not None else run_eager(job)
    config = {
        "loss": loss, "optimizer": type(optimizer).__name__, "lr": optimizer.lr, **optimizer.settings, "epochs": epochs,
        "batch_size": job.batch_size, "shuffle": shuffle, "seed": seed, "tol": tol,
    }  # fmt: skip
    return Run(np.array(job.losses), np.array(job.norms), stop_reason, how, model, config)


def checked_job(
    model: Module,
    X: Any,
    y: Any,
    loss: str | Loss,
    optimizer: Optimizer,
    epochs: int,
    batch_size: int | None,
    shuffle: bool,
    seed: int,
    tol: float | None,
    progress: bool | None,
    accurate: bool = False,
) -> Job:
    """The settings, or an error that says which of them does not fit."""
    function = LOSSES.get(loss) if isinstance(loss, str) else loss
    if function is None:
        raise unknown_name("loss", loss, LOSSES)
    dtype = next((p.dtype for p in model.parameters() if isinstance(p, Tensor)), np.dtype(float))
    rows, targets = samples(X, "X", dtype), samples(y, "y", dtype)
    if len(rows) != len(targets):
        raise ShapeError(f"X has {len(rows)} rows and y has {len(targets)}: each sample needs one target")
    size = len(rows) if batch_size is None else batch_size
    for name, number in (("samples", len(rows)), ("epochs", epochs), ("batch_size", size)):
        if not (isinstance(number, (int, np.integer)) and number > 0):
            raise SettingError(f"{name}={number!r}: a whole number above 0 is needed")
    if function is LOSSES["cross_entropy"] and np.ndim(y) == 1:
        targets = one_hot(np.asarray(y), model, rows, dtype)
    watched = sys.stderr.isatty() if progress is None else progress
    rest = (min(size, len(rows)), shuffle, seed, tol, watched, accurate)
    return Job(model, rows, targets, function, optimizer, epochs, *rest)


def samples(data: Any, name: str, dtype: Any) -> Array:
    """A matrix with a row for each sample, finite and in the model's dtype; a plain row of numbers is one column."""
    array = np.asarray(getattr(data, "array", data))
    if array.dtype.kind not in "fiub":
        raise DtypeError(f"{name} holds {array.dtype}: numbers are needed")
    if array.ndim not in (1, 2):
        raise ShapeError(f"{name} has shape {array.shape}: one row for each sample is needed, so two axes")
    with np.errstate(all="ignore"):
        bad = ~np.isfinite(array) if not np.isfinite(array.sum()) else array[:0]  # NaN and ∞ stay in every sum
    if bad.any():
        raise SettingError(
            f"{name} holds {int(bad.sum())} entries that are NaN or infinite, the first at index "
            f"{tuple(int(i[0]) for i in np.nonzero(bad))}: remove or replace them"
        )
    return np.ascontiguousarray(array if array.ndim == 2 else array[:, None], dtype=dtype)


def one_hot(y: Array, model: Module, X: Array, dtype: Any) -> Array:
    """Class numbers as rows of 0 and 1."""
    classes = model(X[:1]).shape[-1]
    if y.dtype.kind not in "iu" or (y.size and not 0 <= y.min() <= y.max() < classes):
        raise SettingError(
            f"y holds classes from {y.min()} to {y.max()} ({y.dtype}), the model has {classes} outputs: "
            f"whole numbers from 0 to {classes - 1} are needed"
        )
    return np.eye(classes, dtype=dtype)[y]


def choose(job: Job, compiled: bool | str) -> tuple[Any, str]:
    """(the compiled program or None, which way the run goes and why)."""
    if compiled not in (True, False, "auto"):
        raise SettingError(f'compiled={compiled!r}: True, False or "auto"')
    if compiled is False:
        return None, "eager: asked for"
    if not all(isinstance(p, Tensor) for p in job.model.parameters()):
        if compiled is True:
            raise TraceError('compiled=True needs a model with backend="tensor"')
        return None, "eager: the scalar back end"
    if compiled is True:
        return training_program(job), "compiled: asked for"
    seconds = eager_seconds(job)
    if seconds < LOAD_SECONDS:
        return None, f"eager: {job.steps:,} steps at an estimated {seconds:.2g} s in all need no compiler"
    return compiled_if_worth(job, seconds)


def compiled_if_worth(job: Job, seconds: float) -> tuple[Any, str]:
    """A program that is there already, or that takes less time to make than it saves."""
    try:
        program = training_program(job)
    except TraceError as error:
        return None, f"eager: {error}"
    estimate = f"{job.steps:,} steps would take an estimated {seconds:.2g} s eagerly"
    if program.at_hand():
        return program, f"compiled: {estimate}, and the program is in the cache"
    if seconds > COMPILE_SECONDS:
        return program, f"compiled: {estimate}"
    return None, f"eager: {estimate}, less than a new program takes to compile"


def eager_seconds(job: Job) -> float:
    """All steps, estimated from the quicker of two forward and backward passes of one batch."""
    times = []
    for _ in range(2):
        start = time.perf_counter()
        job.loss(job.model(job.X[: job.batch_size]), job.y[: job.batch_size]).backward()
        times.append(time.perf_counter() - start)
    job.optimizer.zero_grad()
    return min(times) * job.steps


def training_program(job: Job) -> Any:
    """The compiled form of this job; Numba is loaded here, not before."""
    from tinygrad_edu.train.compiled import program_for

    return program_for(job)


def run_eager(job: Job) -> str:
    """Operation by operation; the reference for the compiled way."""
    rng, done = np.random.default_rng(job.seed), 0
    with bar(job) as shown:
        while done < job.epochs:
            for order in job.orders(job.epochs - done, rng):
                before = snapshot(job)
                try:
                    mean, norm = eager_epoch(job, order)
                except KeyboardInterrupt:
                    restore(job, before)
                    return job.reason(interrupted=True)
                if not np.isfinite(mean):
                    restore(job, before)
                    return job.reason(bad=True)
                job.losses.append(mean)
                job.norms.append(norm)
                done += 1
                shown.update()
                if job.converged():
                    return job.reason()
    return job.reason()


def eager_epoch(job: Job, order: Array) -> tuple[float, float]:
    """(mean loss, length of the last gradient) of one pass over the samples."""
    total = 0.0
    order = order if order.size else np.arange(len(job.X))
    for start in range(0, len(order), job.batch_size):
        rows = order[start : start + job.batch_size]
        job.optimizer.zero_grad()
        loss = job.loss(job.model(job.X[rows]), job.y[rows])
        loss.backward()
        total += float(loss.item()) * len(rows)
        job.optimizer.step()
    squares = sum(float(np.sum(g * g)) for g in job.model.gradients().values())
    return total / len(order), squares**0.5


def snapshot(job: Job) -> Any:
    return job.model.state_dict(), job.optimizer.state()


def restore(job: Job, before: Any) -> None:
    job.model.load_state_dict(before[0])
    job.optimizer.load_state(before[1])


def bar(job: Job) -> Any:
    return tqdm(total=job.epochs, unit="epoch", disable=not job.progress, mininterval=0.1, leave=False)


def run_compiled(job: Job, program: Any) -> str:
    """Compiled code runs in a thread of its own; this one watches for Ctrl-C and shows progress."""
    course = Course(job, program)
    with bar(job) as shown, ThreadPoolExecutor(1) as pool:
        reason = None
        while reason is None:
            try:
                block = course.block()
            except KeyboardInterrupt:  # between two blocks
                return job.reason(interrupted=True)
            reason = course.take(block, watch(pool.submit(block.run), block, shown))
    return reason


class Course:
    """A compiled run, block of epochs after block of epochs: ask for one, run it, hand it back."""

    def __init__(self, job: Job, program: Any) -> None:
        self.job, self.session, self.rng = job, program.session(job), np.random.default_rng(job.seed)

    def block(self) -> Any:
        """The next epochs."""
        return self.session.block(self.job.orders(self.job.epochs - len(self.job.losses), self.rng))

    def take(self, block: Any, interrupted: bool = False) -> str | None:
        """The results of a block that has been run; why the run has ended, if it has."""
        job = self.job
        job.losses += block.losses[: block.done].tolist()
        job.norms += block.norms[: block.done].tolist()
        self.session.write_back()
        if interrupted or block.bad or job.converged() or len(job.losses) == job.epochs:
            return job.reason(interrupted, block.bad)
        return None


def watch(future: Future[None], block: Any, shown: Any) -> bool:
    """Wait for a block; True if Ctrl-C ended it (at the next step, long before half a second is over)."""
    interrupted = False
    while not future.done():
        try:
            wait([future], timeout=LOOK)
            shown.update(block.news())
        except KeyboardInterrupt:
            interrupted = True
            block.stop()
    future.result()
    return interrupted
