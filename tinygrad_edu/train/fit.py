"""`fit`: train a model on arrays, as compiled code where that pays, else operation by operation."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import fields, replace
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.compile.backend.blas_threads import for_product
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import SettingError, TraceError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import LBFGS, Optimizer, optimizer_for
from tinygrad_edu.train import checkpoint
from tinygrad_edu.train import progress as progress_bars
from tinygrad_edu.train.config import config
from tinygrad_edu.train.eager import Snapshot, run_eager
from tinygrad_edu.train.ending import bad_reason, reason
from tinygrad_edu.train.job import Job, Loss, Settings, job_of, note_of_parts, progress_shown
from tinygrad_edu.train.mpi import data_parallel
from tinygrad_edu.train.mpi.ranks import Ranks
from tinygrad_edu.train.quasi_newton import run_minimizer
from tinygrad_edu.train.run import Run

clock = time.perf_counter
LOAD_SECONDS = 0.3  # a compiled program from the disk
SETTINGS = [field.name for field in fields(Settings)]
LOOK = 0.05  # seconds between looks at a compiled run: Ctrl-C, progress
HERE = 0.1  # seconds of a block that is not worth a thread, which takes 1 to 3 ms to begin and to come back from


def fit(
    model: Module,
    X: Any,
    y: Any,
    *,
    loss: str | Loss,
    optimizer: str | Optimizer | LBFGS | Callable[[Any], Any],
    epochs: int,
    batch_size: int | None = None,
    shuffle: bool | str = True,
    seed: int = 0,
    compiled: bool | str = "auto",
    tol: float | None = None,
    patience: int | None = None,
    validation: Any = None,
    sample_weight: Any = None,
    clip_norm: float | None = None,
    clip_value: float | None = None,
    callbacks: Sequence[Callable[[Any], Any]] = (),
    progress: bool | None = None,
    accurate: bool = False,
    resume_from: str | os.PathLike[str] | None = None,
    comm: Any = None,
    comm_timeout_s: float = 300.0,
) -> Run:
    """Train `model` in place on X (samples, ...) and y (samples, ...), and record the run.

    What is not named here: see train.job.Settings. optimizer: one of this model's parameters, its name, or a function
    that makes it of them; with LBFGS an epoch is one iteration over all samples. compiled: True, False, or "auto",
    which compiles where that is estimated to pay. resume_from: the file of an earlier run (Run.save), to go on to so
    many epochs in all; everything else is given again. A run that meets NaN, or is interrupted, leaves the model as
    after the last epoch. comm: mpi4py's MPI.COMM_WORLD, which splits each batch over the ranks of `mpiexec` (see
    train.parallel); a rank that waits comm_timeout_s for the others ends them all.
    Errors, with the model as before: SettingError, ShapeError, DtypeError for what does not fit, CheckpointError for a
    file that cannot be read, TraceError if compiled=True cannot be.

    >>> from tinygrad_edu import nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model = nn.MLP([2, 8, 1], seed=1)
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.05), epochs=100)
    >>> run.n_epochs, bool(run.loss_curve[-1] < 0.01)
    (100, True)
    """
    make = partial(begun, model, X, y, optimizer, {k: x for k, x in locals().items() if k in SETTINGS}, resume_from)
    return trained(make() if comm is None else data_parallel.prepared(Ranks(comm, comm_timeout_s), make), compiled)


def begun(model: Module, X: Any, y: Any, optimizer: Any, given: Mapping[str, Any], resume_from: Any = None) -> Job:
    """The job, at its start or where the file of an earlier run left it."""
    job = job_of(model, X, y, optimizer_for(optimizer, model.parameters()), Settings(**given))
    if resume_from is not None:
        checkpoint.resume(job, resume_from)
    return job


def trained(job: Job, compiled: bool | str) -> Run:
    """The epochs of the job that are left, and its record."""
    training = job.model.training
    job.model.train()
    try:
        program, job.how = choose_together(job, compiled) if job.ranks else choose(job, compiled)
        job.how += note_of_parts(job)
        job.ending = ""
        job.go_on()
        with bar(job) as shown, np.errstate(all="ignore"):  # what overflows ends the run, and it says where
            ending = gone_through(job, program, shown) + job.restore_best()
    finally:
        job.model.train(training)
    return record(job, ending, compiled)


def gone_through(job: Job, program: Any, shown: Any) -> str:
    """All epochs that are left; why they ended. Where the stopping rule has ended it before, none are."""
    if job.stopped:
        return reason(job, stopped=True)
    if job.minimizer:
        return run_minimizer(job, program, shown)
    if job.ranks:
        return data_parallel.run_ranks(job, program, shown)
    return run_compiled(job, program, shown) if program else run_eager(job, shown)


def record(job: Job, ending: str, compiled: bool | str) -> Run:
    """What has happened so far."""

    def resume(epochs: int) -> Run:
        if job.minimizer:
            raise SettingError(
                "L-BFGS cannot go on: SciPy keeps its memory. Call fit, which starts anew from these weights"
            )
        job.settings, job.ended = replace(job.settings, epochs=epochs), ""
        return trained(job, compiled)

    job.ending, job.steps_made = ending, list(job.optimizer.t)
    return Run(
        np.array(job.losses), np.array(job.norms), ending, job.how, job.model, config(job), np.array(job.changes),
        np.array(job.validation), resume, job,
    )  # fmt: skip


def choose(job: Job, compiled: bool | str) -> tuple[Any, str]:
    """(the compiled program or None, which way the run goes and why)."""
    checks.one_of("compiled", compiled, (True, False, "auto"))
    if not compiled:
        return None, "eager: asked for"
    if not all(isinstance(p, Tensor) for p in job.model.parameters()):
        if compiled is True:
            raise TraceError('compiled=True needs a model with backend="tensor"')
        return None, "eager: the scalar back end"
    if compiled is True:
        return training_program(job), "compiled: asked for"
    if job.how:  # the other way would round otherwise
        return (training_program(job), "compiled: as before") if job.compiled else (None, "eager: as before")
    seconds = eager_seconds(job)
    if seconds < LOAD_SECONDS:
        return None, f"eager: {job.steps:,} steps at an estimated {seconds:.2g} s in all need no compiler"
    return compiled_if_worth(job, seconds)


def choose_together(job: Job, compiled: bool | str) -> tuple[Any, str]:
    """`choose`, for the gradient alone; rank 0 decides for all."""
    bare = data_parallel.gradient_job(job)
    bare.how = job.how

    found = data_parallel.together(job.ranks, lambda: choose(bare, compiled), "choose how to run")
    compiles = data_parallel.of_rank_0(job.ranks, found[0] is not None)
    other = compiles != (found[0] is not None)
    found = data_parallel.together(job.ranks, lambda: choose(bare, compiles) if other else found, "follow rank 0")
    return found[0], f"{found[1]}; the gradient of each step, on {job.ranks.size} ranks"


def compiled_if_worth(job: Job, seconds: float) -> tuple[Any, str]:
    """A program that is there already, or that takes less time to make than it saves."""
    try:
        program = training_program(job)
    except TraceError as error:
        return None, f"eager: {error}"
    estimate = f"{job.steps:,} steps would take an estimated {seconds:.2g} s eagerly"
    if program.at_hand():
        return program, f"compiled: {estimate}, and the program is in the cache"
    if seconds > program.compile_seconds():
        return program, f"compiled: {estimate}"
    needed = f"the {program.compile_seconds():.2g} s that a new program of {program.lines} lines takes to compile"
    return None, f"eager: {estimate}, less than {needed}"


def eager_seconds(job: Job) -> float:
    """All steps, estimated from the quicker of two forward and backward passes of one batch. They leave no trace."""
    times, before = [], Snapshot(job)
    for _ in range(2):
        job.optimizer.zero_grad()
        start = clock()
        job.batch_loss(*[array[: job.batch_size] for array in job.data]).backward()
        times.append(clock() - start)
    job.optimizer.zero_grad()
    before.restore()
    return min(times) * job.steps


def training_program(job: Job) -> Any:
    """The compiled form of this job; Numba is loaded here, not before. Errors: TraceError where it cannot be made."""
    if reason := compiler.missing():
        raise TraceError(f"{reason}: nothing can be compiled")
    from tinygrad_edu.train.compiled.session import program_for

    return program_for(job)


def bar(job: Job) -> Any:
    settings = job.settings
    return progress_bars.bar(
        settings.epochs, "epoch", progress_shown(settings), len(job.losses), asked=bool(settings.progress)
    )


def run_compiled(job: Job, program: Any, shown: Any) -> str:
    """Short blocks of epochs run here, long ones in a thread that this one watches, for Ctrl-C and progress."""
    course = program.course(job)
    with for_product(course.product), ThreadPoolExecutor(1) as pool:  # its thread begins with the first long block
        while job.left:
            block = future = None
            try:
                few = int(HERE / course.pace)
                block = course.block(few)
                future = None if few else pool.submit(block.run)
                interrupted = watch(future, block, shown) if future else here(block, shown)
                course.record(block)
                ended = interrupted or block.bad or course.ended(block)
            except KeyboardInterrupt:  # outside of the wait for the block
                if block is not None:
                    block.stop()
                    wait([future] if future else [])
                    course.record(block)
                job.measure()
                return reason(job, interrupted=True)
            if block.bad:
                return bad_reason(job, block.orders[block.done])
            if ended:
                return reason(job, interrupted, stopped=True)
    return reason(job)


def here(block: Any, shown: Any) -> bool:
    """A block that is over before anyone could wish to end it."""
    block.run()
    shown.update(block.news())
    return False


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
