"""`fit` as compiled code: the job's arrays handed to a TrainingProgram, and brought back."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.core.operation import ArrayOperation, Operation
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import ShapeError, TraceError
from tinygrad_edu.nn.layers import identity
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train.compiled.program import Buffers, Recipe, TrainingProgram, views
from tinygrad_edu.train.eager import generators
from tinygrad_edu.train.job import Job, curve
from tinygrad_edu.train.stopping import fired, stops

Array = np.ndarray[Any, Any]
OURS = "tinygrad_edu.nn"
START = ("init", "seed")  # say where a model began, which the program does not depend on
PROGRAMS: dict[Any, TrainingProgram] = {}  # by kind of job
# A guess at an epoch before there is a measurement, too long even for a walk over a hundred times: seconds a step,
# weights times samples a second.
STEP, PRODUCTS = 4e-4, 1e7


class CompiledJob:
    """The program of one kind of job, and a session for each run of it."""

    def __init__(self, program: TrainingProgram) -> None:
        self.program = program

    def at_hand(self) -> bool:
        """Is the machine code there already, in this process or on the disk?"""
        return cache.holds(self.program.text, "training")

    @property
    def lines(self) -> int:
        """Lines of the program that the model, the loss and the optimizer make up."""
        return len(self.program.step.lines) + len(self.program.update.lines)

    def compile_seconds(self) -> float:
        """How long a new program takes to compile.

        Measured (processor time): MLPs of 47, 75 and 117 lines 0.7, 1.0 and 1.7 s, RNN of 8 times, 199 lines, 4 s,
        LSTM of 2 and 5 times, 210 and 419 lines, 3.6 and 10 s: walks over time are written out, in one function.
        """
        return 0.3 + 0.009 * self.lines + 3.6e-5 * self.lines**2

    def course(self, job: Job) -> Course:
        return Course(self.program, job)


def program_for(job: Job) -> CompiledJob:
    """The program for a job, traced now or for an equal job earlier.

    Errors: TraceError where the model, the loss or the optimizer cannot be compiled.
    """
    key = kind_of(job)
    if key is None:
        return CompiledJob(traced(job))
    if key not in PROGRAMS:
        found = traced(job)
        if found.given:  # arrays of this very model
            return CompiledJob(found)
        found.forget()
        PROGRAMS[key] = found
    return CompiledJob(PROGRAMS[key])


def kind_of(job: Job) -> Any:
    """What the program of a job depends on, if that is known: models of nn with a loss of nn."""
    model, optimizer = job.model, job.optimizer
    own = job.loss in LOSSES.values() and optimizer.params == model.parameters()
    structure = structure_of(model) if own else None
    if structure is None:
        return None
    settings = tuple((name, "given" if type(x) is float and x else x) for name, x in optimizer.settings.items())
    data = tuple((a.dtype, *(n == 1 for n in a.shape[1:])) for a in job.data)
    s = job.settings
    clips = s.clip_norm is None, s.clip_value is None
    options = job.batch_size == 1, s.accurate, clips, job.rule and not job.watched
    return structure, job.loss, type(optimizer), settings, data, options


def structure_of(x: Any) -> Any:
    """What a trace of a module depends on, without the numbers in it; None where that is not known.

    Tracing and writing a program takes 5 ms, this 0.05 ms.
    """
    if isinstance(x, Tensor):
        return tuple(n == 1 for n in x.shape), str(x.dtype), x.label, x.requires_grad
    if isinstance(x, Module):
        named = [(name, each) for name, each in vars(x).items() if name not in START]
        attributes = structure_of(named) if type(x).__module__.startswith(OURS) else None
        return attributes and (type(x), attributes)
    if isinstance(x, (list, tuple)):
        parts = tuple(map(structure_of, x))
        return None if None in parts else parts
    known = isinstance(x, (int, float, str, type(None), Operation, ArrayOperation, type(identity)))
    return (type(x), x) if known else None


def traced(job: Job) -> TrainingProgram:
    optimizer, settings = job.optimizer, job.settings
    recipe = Recipe(
        job.batch_loss,
        optimizer.params,
        type(optimizer).rule,
        optimizer.settings,
        optimizer.memories,
        common_dtype(optimizer),
        settings.accurate,
        settings.clip_norm is not None,
        stops if job.rule and not job.watched else None,
        settings.clip_value is not None,
    )
    program = TrainingProgram(recipe, job.data, job.batch_size)
    known = [id(rng) for rng in generators(job.model)]
    program.drawn_from = [known.index(id(mask.rng)) for mask in program.masks.values()]
    buffers = [id(array) for _, array in job.model.named_buffers()]
    program.kept_in = [buffers.index(id(kept)) for kept, _ in program.step.trace.followed]
    if program.followed and 1 in (job.batch_size, job.samples % job.batch_size):
        raise ShapeError(
            f"BatchNorm needs at least two samples in every batch, and {job.samples} samples in batches of "
            f"{job.batch_size} leave a batch of one: use another batch_size"
        )
    return program


class Course:
    """A compiled run, block of epochs after block of epochs: ask for one, run it, hand it back."""

    def __init__(self, program: TrainingProgram, job: Job) -> None:
        self.program, self.job, self.rng = program, job, job.generator()
        self.optimizer: Optimizer = job.optimizer
        self.parameters: Sequence[Tensor] = job.optimizer.params
        self.buffers = Buffers(program, self.parameters, job.data, job.batch_size)
        self.arrays = [np.reshape(a, (len(a), -1)) for a in job.data]
        self.shapes = [p.shape for p in self.parameters]
        self.steps = common_steps(job.optimizer)
        self.rngs = [generators(job.model)[i] for i in program.drawn_from]
        self.kept = [[array for _, array in job.model.named_buffers()][i] for i in program.kept_in]
        self.product = job.batch_size * max((math.prod(shape) for shape in self.shapes), default=0)  # the largest
        self.pace = job.batches * (STEP + len(self.buffers.fixed[2]) * job.batch_size / PRODUCTS)
        self.read()

    def read(self) -> None:
        """Weights and the optimizer's memory into the flat state."""
        for i, row in enumerate(self.buffers.state):
            parts = [m[i - 1] for m in self.optimizer.memory] if i else [p.array for p in self.parameters]
            np.concatenate([np.ravel(part) for part in parts], out=row)
        for tensor, array in zip(self.kept, self.buffers.followed, strict=True):
            array[...] = tensor.array

    def write_back(self) -> None:
        """The state of the last whole epoch into the model and the optimizer."""
        rows = [views(row.copy(), self.shapes) for row in self.buffers.state]
        for i, p in enumerate(self.parameters):
            p.assign(rows[0][i])
            self.optimizer.memory[i] = tuple([row[i] for row in rows[1:]])
            self.optimizer.t[i] = self.steps
        for tensor, array in zip(self.kept, self.buffers.followed, strict=True):
            tensor.assign(array.astype(tensor.dtype))

    def rewind(self, before: Sequence[Any], epochs: int) -> None:
        """The generators as after so many whole epochs since they were in the states `before`."""
        batches = self.job.samples // self.job.batch_size
        uneven = self.job.samples % self.job.batch_size > 0
        for rng, state in zip(self.rngs, before, strict=True):
            rng.bit_generator.state = state
        for rng, (full, last) in zip(self.rngs, self.buffers.drawn, strict=True):
            rng.random(epochs * (batches * full + uneven * last))

    def block(self, most: int | None = None) -> Block:
        """The next epochs, all that are left or no more than so many: one where Python looks after each of them."""
        count = min(self.job.left, most or self.job.left)
        return Block(self, self.job.orders(self.rng, 1 if self.job.watched else count))

    def loss_and_gradient(self, weights: Array) -> tuple[float, Array]:
        """Of all samples in one batch, at other weights: one epoch, with an optimizer that changes nothing."""
        self.buffers.state[0] = weights
        block = Block(self, np.empty((1, 0), dtype=np.int64))
        block.run()
        return math.nan if block.bad else float(block.losses[0]), self.buffers.fixed[2].astype(float)

    def record(self, block: Block) -> None:
        """The results of a block that has been run; twice is the same as once."""
        job, start, done = self.job, block.start, block.done
        self.steps = block.steps + done * job.batches
        if done < len(block.losses):
            self.rewind(block.drawn, done)
        if block.seconds and done:
            self.pace = block.seconds / done
        for known, new in ((job.losses, block.losses), (job.norms, block.norms), (job.changes, block.changes)):
            known[start:] = curve(new[:done].tobytes())
        if not job.watched:  # the program itself has looked at them
            job.seen = len(job.losses)
        self.write_back()

    def ended(self, block: Block) -> bool:
        """Has the rule or a callback ended the training after a block that was recorded?"""
        if block.done and self.job.watched:
            return self.job.look()
        self.job.stopped = bool(block.done) and self.job.rule and fired(self.job.stopping, self.job.losses)
        return self.job.stopped


class Block:
    """Some epochs in one compiled call."""

    def __init__(self, course: Course, orders: Array) -> None:
        self.course, self.orders, self.start = course, orders, len(course.job.losses)
        self.losses, self.norms, self.changes = np.full((3, len(orders)), np.nan)
        self.control = np.zeros(3, dtype=np.int64)
        self.shown = 0
        self.steps, self.drawn = course.steps, [rng.bit_generator.state for rng in course.rngs]  # before it
        self.seconds = 0.0

    def run(self) -> None:
        """All epochs of the block, or as far as it gets."""
        c, job = self.course, self.course.job
        given = {**c.optimizer.settings, "clip_norm": job.settings.clip_norm, "clip_value": job.settings.clip_value}
        settings = np.array([float(given[name]) for name in c.program.floats])
        rates = c.optimizer.rates(self.steps, len(self.orders) * job.batches)
        code, start = c.program.code, time.perf_counter()
        try:
            cache.called(
                code, *c.arrays, self.orders, job.batch_size, *c.buffers.fixed, rates, settings,
                float(self.steps), job.stopping, self.losses, self.norms, self.changes, self.control,
                *c.buffers.given, *c.rngs,
            )  # fmt: skip
        except IndexError:
            c.rewind(self.drawn, 0)
            job.refuse_indices()
            raise
        self.seconds = time.perf_counter() - start

    @property
    def done(self) -> int:
        """Whole epochs so far."""
        return int(self.control[1])

    @property
    def bad(self) -> bool:
        """Did the loss become NaN or infinite?"""
        return bool(self.control[2])

    def stop(self) -> None:
        """End at the next step."""
        self.control[0] = 1

    def news(self) -> int:
        """Epochs done since it was last asked."""
        new = self.done - self.shown
        self.shown += new
        return new


def common_steps(optimizer: Optimizer) -> int:
    """How many steps all parameters have seen. Errors: TraceError where they differ."""
    steps: Sequence[int] = sorted(set(optimizer.t))
    if len(steps) > 1:
        raise TraceError(f"the parameters have seen different numbers of steps, {steps}: train on without compiling")
    return steps[0]


def common_dtype(optimizer: Optimizer) -> str:
    """The dtype of all parameters. Errors: TraceError where they differ, or are Values."""
    dtypes = {str(p.dtype) for p in optimizer.params if isinstance(p, Tensor)}
    if len(dtypes) != 1 or not all(isinstance(p, Tensor) for p in optimizer.params):
        raise TraceError(f"compiled training needs Tensors of one dtype, not {sorted(dtypes)}")
    return dtypes.pop()
