"""Which program trains a job: the one that was traced for an equal job before, or a new one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import cached_property, partial
from typing import Any

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.python_state import SHARED, PythonState
from tinygrad_edu.compile.user_code import is_own_class
from tinygrad_edu.core.operation import ArrayOperation, Operation
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError
from tinygrad_edu.nn.kept import PLAIN, untrained
from tinygrad_edu.nn.layers import identity
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import trained
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train import samples
from tinygrad_edu.train.compiled.comparison import Comparison
from tinygrad_edu.train.compiled.fixed_sizes import FixedSizes, OfSizes
from tinygrad_edu.train.compiled.forward import forward_trace
from tinygrad_edu.train.compiled.moving import (
    CHANGED_BY_STEPS,
    OF_A_JOB,
    as_later,
    refuse_frozen_numbers,
    refuse_outside,
)
from tinygrad_edu.train.compiled.places_in_model import places_in_model
from tinygrad_edu.train.compiled.program import TrainingProgram
from tinygrad_edu.train.compiled.session import CompiledSession, common_dtype
from tinygrad_edu.train.compiled.sizes_of_job import choose_sizes
from tinygrad_edu.train.compiled.task import CompiledTask, refuse_frozen
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.rate_state import state_of_rate
from tinygrad_edu.train.snapshot import generators
from tinygrad_edu.train.stopping import stops

OURS = "tinygrad_edu.nn"
APART = ("init", "seed", "training")  # no program depends on `init` and `seed`; `training` is added by name below
PROGRAMS: dict[Any, TrainingProgram] = {}  # cached, by kind of job
CHANCES = 3  # further traces if another thread may have drawn random numbers during one


class CompiledJob:
    """The program of one kind of job, and a session for each run of it."""

    def __init__(self, program: TrainingProgram, job: Job, kind: Callable[[Job], Any]) -> None:
        """`kind`: what has to be equal for another job that this program is to train."""
        self.program, self.job, self.kind = program, job, kind
        self.sizes: FixedSizes | None = None  # set if this job has a program for its sizes only

    def fix_sizes(self, as_before: bool) -> None:
        """Take a program for the sizes of this job alone, if it is worth it, or as it was before."""
        self.sizes = choose_sizes(self.program, self.job, as_before)

    @property
    def form(self) -> TrainingProgram | OfSizes:
        """The program that trains this job."""
        return self.program.form(self.sizes)

    @cached_property
    def own_kind(self) -> Any:
        return self.kind(self.job)

    def at_hand(self) -> bool:
        """Is the machine code there already, in this process or on the disk?"""
        return cache.holds(self.form.machine_text, "training")

    def ready(self) -> bool:
        """Has this process compiled or loaded it?"""
        return bool(getattr(self.form.code, "overloads", True))

    @property
    def lines(self) -> int:
        """Lines of the program's text."""
        return self.form.text.count("\n")

    def compile_seconds(self) -> float:
        """How long a new program takes to compile.

        Measured (processor time): MLPs of 298, 406 and 694 lines 0.4, 0.5 and 0.6 s; LSTM of any number of times, 522
        lines, 0.8 s, of two layers, 786 lines, 1.4 s; 1, 2 and 4 transformer layers, 871, 1,164 and 1,692 lines, 1.7,
        2.0 and 2.4 s.
        """
        return 0.3 + 0.001 * self.lines

    def session(self, job: Job) -> CompiledSession:
        """A session for a job. Errors: TraceError for one that computes something else than the first.

        Where its sizes do not fit the program, the model's own error says which.
        """
        if job is not self.job and self.kind(job) != self.own_kind:
            raise TraceError("the models differ in more than their weights: train them one by one with fit")
        try:
            return CompiledSession(self.program, job, self.sizes if job is self.job else None)
        except TraceError:
            with samples.aside(job.model):
                job.batch_loss(*[a[: samples.ROWS] for a in job.data])
            raise

    def comparison(self, session: CompiledSession) -> Comparison:
        """The object that compares a session's steps with eager ones."""
        return Comparison(session)


def program_for(job: Job) -> CompiledJob:
    """The program for a job, traced now or for an equal job earlier.

    Errors: TraceError where the model, the loss or the optimizer cannot be compiled, or the user's own code keeps state
    from step to step; whatever an operation raises that cannot be traced.
    """
    refuse_optimizer(job)
    key = program_key(job)
    if key is None:
        return CompiledJob(trace_job(job), job, relative_signature)
    if key not in PROGRAMS:
        found = trace_job(job)
        if found.given or found.step.trace.fixed:  # it holds this model's own arrays or sizes: no use to other jobs
            return CompiledJob(found, job, program_key)
        found.forget()
        for other in PROGRAMS.values():  # models of other widths may have the same program text
            if other.text == found.text:
                found.of_sizes = other.of_sizes
        PROGRAMS[key] = found
    return CompiledJob(PROGRAMS[key], job, program_key)


def is_loaded(job: Job) -> bool:
    """Has this process loaded or compiled the program of an equal job? Nothing is traced or loaded for the answer."""
    found = PROGRAMS.get(program_key(job))
    return found is not None and "code" in vars(found)


def refuse_optimizer(job: Any) -> None:
    """What a job's optimizer does beside one rule with one rate. Errors: TraceError."""
    refuse_frozen(job.optimizer)
    refuse_groups(job.optimizer)
    refuse_own_update(job.optimizer)
    refuse_stateful_rate(job)


def refuse_own_update(optimizer: Optimizer) -> None:
    """A program holds the rule alone, and calls neither `step` nor `zero_grad`. Errors: TraceError."""
    for name in own_updates(optimizer):
        raise TraceError(
            f"the optimizer has a {name} of its own ({type(optimizer).__name__}), which a program does not call: "
            "training runs operation by operation"
        )


def own_updates(optimizer: Optimizer) -> list[str]:
    """The methods of an optimizer that are not the library's."""
    kind = type(optimizer)
    names = ("step", "zero_grad")
    return [n for n in names if n in vars(optimizer) or getattr(kind, n) is not getattr(Optimizer, n)]


def refuse_groups(optimizer: Optimizer) -> None:
    """A program has one rate and one set of settings."""
    if optimizer.groups:
        raise TraceError("groups of parameters with their own settings are trained operation by operation")


def refuse_stateful_rate(job: Any) -> None:
    """A learning rate that each step moves on, or that reads the weights: a program is given the rates of many steps
    ahead, and may end before it has used them. Errors: TraceError."""
    found = state_of_rate(job, later=True)
    if found:
        raise TraceError(
            f"the function of the learning rate {found}: it is called at each step, so training runs operation by "
            "operation"
        )


def program_key(job: Job) -> Any:
    """The key of a job's program, if it is known what that depends on: models of nn with a loss of nn."""
    model, optimizer = job.model, job.optimizer
    all_of_it = list(map(id, optimizer.params)) == list(map(id, trained(model.parameters())))
    own = job.loss in LOSSES.values() and all_of_it and not is_own_class(type(optimizer))
    structure = structure_of(model) if own else None
    if structure is None:
        return None
    settings = tuple((name, "given" if type(x) is float and x else x) for name, x in optimizer.settings.items())
    data = tuple((a.dtype, *(n == 1 for n in a.shape[1:])) for a in job.data)
    s = job.settings
    clips = s.clip_norm is None, s.clip_value is None
    options = job.batch_size == 1, s.accurate, clips, job.progress.has_rule and not job.watched
    return structure, job.loss, type(optimizer), rule_of(optimizer), settings, data, options


def rule_of(optimizer: Optimizer) -> Any:
    """The rule's function; of one that goes up, or was given its first arguments in another way, those too."""
    rule = optimizer.rule
    return (rule.func, rule.args, *rule.keywords.items()) if isinstance(rule, partial) else rule


def structure_of(x: object) -> Any:
    """What a trace of a module depends on, without the numbers in it; None where that is not known.

    Tracing and writing a program takes 5 ms, this 0.05 ms.
    """
    kind = type(x)
    if kind in PLAIN:
        return kind, x
    if isinstance(x, Tensor):
        return tuple([n == 1 for n in x.array.shape]), x.array.dtype, x.label, x.requires_grad
    if isinstance(x, Module):
        if not kind.__module__.startswith(OURS):
            return None
        named = [(name, structure_of(each)) for name, each in vars(x).items() if name not in APART]
        # `training` is a class attribute until it is set
        return None if any([s is None for _, s in named]) else (kind, x.training, *named)  # noqa: C419
    if isinstance(x, (list, tuple)):
        parts = tuple([structure_of(each) for each in x])
        return None if None in parts else parts
    known = isinstance(x, (int, float, str, Operation, ArrayOperation)) or (
        isinstance(x, type(identity)) and x.__module__.startswith(OURS)  # the user's own functions may do anything
    )
    return (kind, x) if known else None


def same_structure(a: object, b: object) -> bool:
    """Is `structure_of` the same of both, which have one? In a tenth of its time."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, Tensor):
        assert isinstance(b, Tensor)
        p, q = a.array, b.array
        return (p.shape, p.dtype, a.label, a.requires_grad) == (q.shape, q.dtype, b.label, b.requires_grad)
    if isinstance(a, Module):
        assert isinstance(b, Module)
        x, y = vars(a), vars(b)
        if a.training != b.training:
            return False
        if x.keys() != y.keys() and (x.keys() ^ y.keys()) - {"training"}:  # it appears in `vars` once it has been set
            return False
        differ = [name for name, each in x.items() if each is not y.get(name) and name not in APART]
        return all(same_structure(x[name], y[name]) for name in differ)
    if isinstance(a, (list, tuple)):
        assert isinstance(b, (list, tuple))
        return len(a) == len(b) and all(map(same_structure, a, b))
    return bool(a == b)


def trace_job(job: Job, stacked: bool = True) -> TrainingProgram:
    """The program of a trace; what the user's own code keeps in Python is then as it was before.

    `stacked`: as of TrainingProgram.
    Errors: TraceError where a further trace finds something else, or that code has changed something: a step does so
    each time, and the program would do it once.
    """
    state = PythonState(**job.roots)
    if state.opaque:
        raise TraceError(state.opaque)
    try:
        program = trace_once(job, stacked)
        program.foreign = state.foreign
        if state.foreign:
            refuse_difference(program.signature, refuse_outside(partial(trace_watched, job)))
            refuse_difference(program.signature, trace_as_later(job))
            changed = what_a_step_changes(job, state)
            if changed:
                raise TraceError(CHANGED_BY_STEPS.format(changed))
        return program
    finally:
        state.restore()


def what_a_step_changes(job: Job, state: PythonState) -> str:
    """What every step changes; "" for nothing.

    The generators that all threads share may have been used by another thread meanwhile (one of Dask, say): a step that
    draws from them changes them at each further trace too, another thread only by chance.
    """
    changed = state.first_change()
    for _ in range(CHANCES):
        if changed not in SHARED or threading.active_count() == 1:
            return changed
        again = PythonState(**job.roots)
        forward_signature(job)
        changed = again.first_change()
    return changed


def trace_watched(job: Job) -> Any:
    """A trace's signature. Errors: TraceError if it reads numbers that training changes."""
    others = [("job", job, OF_A_JOB), ("job.progress", job.progress, ())]
    return refuse_frozen_numbers(job.model, job.optimizer, partial(forward_signature, job), others)


def trace_as_later(job: Job) -> Any:
    """A trace's signature when everything that training changes is as it may be at the end."""
    curves = job.progress.curves if job.held_out is not None else job.progress.curves[:3]
    with as_later(job.model, job.optimizer, max(1, job.left) * job.batches, curves):
        return forward_signature(job)


def forward_signature(job: Job) -> Any:
    """The present signature of a trace of one batch's loss."""
    return forward_trace(job.batch_loss, job.data, job.batch_size).signature


def relative_signature(job: Job) -> Any:
    """A signature that does not depend on which model it is: parameters, statistics and generators by position."""
    model = job.model
    things = [*job.optimizer.params, *(x for _, x in untrained(model)), *generators(model)]
    known = {id(x): i for i, x in enumerate(things)}
    return forward_trace(job.batch_loss, job.data, job.batch_size, known).signature


def refuse_difference(before: Any, now: object) -> None:
    """Errors: TraceError where two traces of one function are not the same."""
    if before != now:
        raise TraceError(
            "forward or the loss computes something else at each call, such as with random numbers of its own, a "
            "counter, the time, or plain numbers made of what training changes, which a compiled program would freeze"
        )


def trace_once(job: Job, stacked: bool) -> TrainingProgram:
    optimizer, settings = job.optimizer, job.settings
    recipe = CompiledTask(
        job.batch_loss,
        optimizer.params,
        optimizer.rule,
        optimizer.settings,
        optimizer.memories,
        common_dtype(optimizer),
        settings.accurate,
        settings.clip_norm is not None,
        stops if job.progress.has_rule and not job.watched else None,
        settings.clip_value is not None,
    )
    program = TrainingProgram(recipe, job.data, job.batch_size, stacked)
    drawn = [mask.rng for mask in program.masks.values()]
    program.drawn_from = places_in_model(drawn, generators(job.model), "Dropout")
    followed = [kept for kept, _ in program.step.trace.followed]
    buffers = [array for _, array in untrained(job.model)]
    program.kept_in = places_in_model(followed, buffers, "BatchNorm")
    return program
