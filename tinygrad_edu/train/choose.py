"""How a job is trained: compiled if that is asked for or pays, else operation by operation; and why."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError, first_line
from tinygrad_edu.train.eager import EagerStepper
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.mpi import data_parallel
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.quasi_newton import LbfgsStepper
from tinygrad_edu.train.snapshot import Snapshot, for_certain
from tinygrad_edu.train.stepper import Stepper

clock = time.perf_counter
LOAD_SECONDS = 0.3  # to load a compiled program from the cache on disk
# To begin with one that this process has loaded takes 2 ms. Shorter runs stay eager, whatever was trained before them.
BEGIN_SECONDS = 0.03
OF_SIZES = ", by a program for these sizes"  # such a program rounds differently, so a resumed run must use one too


@dataclass(frozen=True)
class Way:
    """A way of training: the sentence that says which and why, and the compiled session, if there is one."""

    how: str
    session: Any = None

    @property
    def foreign(self) -> bool:
        """Does it run compiled code of the user's own, which is compared with the eager steps?"""
        return self.session is not None and bool(self.session.program.foreign)

    def stepper(self, job: Job, shown: Bar) -> Stepper:
        """The object that runs the epochs of a job in this way."""
        if job.minimizer:
            return LbfgsStepper(job, shown, self.session)
        if job.ranks:
            return data_parallel.RankStepper(job, shown, self.session)
        if self.session is None:
            return EagerStepper(job, shown)
        from tinygrad_edu.train.compiled.stepper import CompiledStepper

        return CompiledStepper(job, shown, self.session)


def way_of(job: Job, compiled: bool | str) -> Way:
    """How a job is trained. Errors: TraceError where compiled=True is given, and it cannot be compiled."""
    return choose_together(job, compiled) if job.ranks else choose(job, compiled)


def choose(job: Job, compiled: bool | str) -> Way:
    """`way_of`, for a job of this process alone."""
    checks.one_of("compiled", compiled, (True, False, "auto"))
    if not compiled:
        return Way("eager: asked for")
    if not all(isinstance(p, Tensor) for p in job.model.parameters()):
        if compiled is True:
            raise TraceError('compiled=True needs a model with backend="tensor"')
        return Way("eager: the scalar back end")
    if compiled is True:
        return session_or_error(job, "compiled: asked for")
    if job.how and not job.compiled:  # eager epochs round differently, and this run has some
        return Way("eager: as before")
    return session_or_eager(job)


def session_or_error(job: Job, how: str) -> Way:
    """A job with its session. Errors: those of `program_or_error`."""
    return way_with(program_or_error(own_program, job, "compiled=True", "With compiled=False it trains"), job, how)


def program_or_error(make: Callable[[Job], Any], job: Job, told: str, instead: str) -> Any:
    """make(job), a program of the job. Errors: the eager error, if there is one, else TraceError.

    told, instead: how the message of TraceError begins and ends.
    """
    try:
        return make(job)
    except TraceError:
        raise
    except Exception as error:  # code of the user's may raise anything in a trace
        refuse_as_eager(job)
        raise TraceError(f"{told}: {first_line(error)}. {instead}") from error


def session_or_eager(job: Job) -> Way:
    """`choose` for "auto": whatever a trace or the compiler cannot do is trained operation by operation."""
    state = PythonState(**job.roots)
    if state.opaque:
        return Way(f"eager: {state.opaque}")
    try:
        if job.how:
            return way_with(own_program(job), job, "compiled: as before")
        seconds = eager_seconds(job)
        if seconds < LOAD_SECONDS and not (seconds >= BEGIN_SECONDS and is_loaded(job)):
            steps = f"{job.steps:,} step{'' if job.steps == 1 else 's'}"
            return Way(f"eager: {steps}, an estimated {seconds:.2g} s in all: too little to be worth compiling")
        program, how = program_if_worth(job, seconds)
        return Way(how, program and program.session(job))
    except Exception as error:
        return Way(f"eager: {first_line(error)}")
    finally:
        for_certain(state.restore)


def choose_together(job: Job, compiled: bool | str) -> Way:
    """`way_of`, for the gradient alone; rank 0 decides for all."""
    bare = data_parallel.gradient_job(job)
    bare.how, bare.ranks = job.how, job.ranks

    own: Way = data_parallel.fail_together(job.ranks, lambda: choose(bare, compiled), "choose how to run")
    compiles = data_parallel.of_rank_0(job.ranks, own.session is not None)
    other = compiles != (own.session is not None)
    way: Way = data_parallel.fail_together(job.ranks, lambda: choose(bare, compiles) if other else own, "follow rank 0")
    return replace(way, how=f"{way.how}; the gradient of each step, on {job.ranks.size} ranks")


def program_if_worth(job: Job, seconds: float) -> tuple[Any, str]:
    """Use a program that exists already, or that takes less time to compile than it saves."""
    try:
        program = own_program(job)
    except TraceError as error:
        return None, f"eager: {error}"
    estimate = f"{job.steps:,} steps would take an estimated {seconds:.2g} s eagerly"
    if program.at_hand():
        return program, add_sizes(program, f"compiled: {estimate}, and the program is in the cache")
    if seconds > program.compile_seconds():
        return program, add_sizes(program, f"compiled: {estimate}")
    needed = f"the {program.compile_seconds():.2g} s that a new program of {program.lines} lines takes to compile"
    return None, f"eager: {estimate}, less than {needed}"


def is_loaded(job: Job) -> bool:
    """Has this process trained an equal job by its program? Then the next run repeats the first to the last bit."""
    programs = sys.modules.get("tinygrad_edu.train.compiled.programs")
    return programs is not None and bool(programs.is_loaded(job))


def eager_seconds(job: Job) -> float:
    """The time of all steps, estimated from the faster of two forward and backward passes; they change nothing."""
    times, before = [], Snapshot(job.model, job.optimizer)
    for _ in range(2):
        job.model.zero_grad()
        start = clock()
        job.batch_loss(*[array[: job.batch_size] for array in job.data]).backward()
        times.append(clock() - start)
    job.model.zero_grad()
    before.restore()
    return min(times) * job.steps


def refuse_as_eager(job: Job) -> None:
    """The eager error of the first or the last batch, if there is one."""
    state, before = PythonState(**job.roots), Snapshot(job.model, job.optimizer)
    try:
        for start in {0, job.samples - (job.samples % job.batch_size or job.batch_size)}:
            job.batch_loss(*[array[start : start + job.batch_size] for array in job.data]).backward()
    finally:
        job.model.zero_grad()
        before.restore()
        state.restore()


def own_program(job: Job) -> Any:
    """The compiled form of this job, one for its sizes alone where that pays. Errors: TraceError."""
    program = training_program(job)
    if not job.ranks and (not job.how or OF_SIZES in job.how):
        program.fix_sizes(as_before=bool(job.how))
    return program


def add_sizes(program: Any, how: str) -> str:
    """How a run goes, and whether its program is for its sizes alone."""
    return how + OF_SIZES * (program.sizes is not None)


def way_with(program: Any, job: Job, how: str) -> Way:
    """A job with a session of its program."""
    return Way(add_sizes(program, how), program.session(job))


def training_program(job: Job) -> Any:
    """The compiled form of this job; Numba is loaded here, not before. Errors: TraceError if it cannot be compiled."""
    if missing := compiler.missing():
        raise TraceError(f"{missing}: nothing can be compiled")
    from tinygrad_edu.train.compiled.programs import program_for

    try:
        return program_for(job)
    except SystemError:  # CPython 3.11 turns Ctrl-C during ast.parse into SystemError
        return program_for(job)
