"""A compiled run: the job's arrays handed to a TrainingProgram, and brought back."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CompileError, ShapeError, TraceError, first_line
from tinygrad_edu.nn.kept import untrained
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train import samples
from tinygrad_edu.train.compiled.blocks import sources_in_order
from tinygrad_edu.train.compiled.buffers import Buffers
from tinygrad_edu.train.compiled.fixed_sizes import FixedSizes
from tinygrad_edu.train.compiled.program import TrainingProgram, views
from tinygrad_edu.train.ending import first_bad
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.snapshot import generators
from tinygrad_edu.train.stepper import Epochs

Array = np.ndarray[Any, Any]
# Guess at the time of an epoch before one is measured: seconds per step, and weights × samples per second. It is too
# high even for a network that applies its weights a hundred times per sample.
STEP, PRODUCTS = 4e-4, 1e7


class CompiledSession:
    """A compiled run in blocks of epochs: `block`, `run` it, `take` it."""

    def __init__(self, program: TrainingProgram, job: Job, sizes: FixedSizes | None = None) -> None:
        """`sizes`: those of a program that is for them alone, which was chosen for this job."""
        refuse_batch_of_one(job, program)
        self.program, self.job, self.rng = program, job, job.generator()
        self.form = program.form(sizes)
        self.optimizer: Optimizer = job.optimizer
        self.parameters: Sequence[Tensor] = job.optimizer.params
        self.buffers = Buffers(program, self.parameters, job.data, job.batch_size)
        self.arrays = [np.reshape(a, (len(a), -1)) for a in job.data]
        self.shapes = [p.shape for p in self.parameters]
        self.steps = common_steps(job.optimizer)
        self.rngs = [generators(job.model)[i] for i in program.drawn_from]
        sources = dict(zip(program.masks, map(addresses, self.rngs), strict=True))
        self.sources = list(sources_in_order(sources, program.blocks.masks))
        self.kept = [[array for _, array in untrained(job.model)][i] for i in program.kept_in]
        # of the largest weight matrix: multiplications per batch
        self.product = job.batch_size * max((math.prod(shape) for shape in self.shapes), default=0)
        self.size = len(self.buffers.fixed[2]), job.samples, job.batch_size
        self.pace = program.paces.get(self.size) or self.guess_pace()
        self.read()

    def read(self) -> None:
        """Copy weights and the optimizer's memory into the flat state."""
        for i, row in enumerate(self.buffers.state):
            parts = [m[i - 1] for m in self.optimizer.memory] if i else [p.array for p in self.parameters]
            np.concatenate([np.ravel(part) for part in parts], out=row)
        self.steps = common_steps(self.optimizer)
        self.buffers.read(self.program.captures(self.parameters))

    def guess_pace(self) -> float:
        """Seconds that an epoch may take."""
        weights, _, batch = self.size
        return self.job.batches * (STEP + weights * batch / PRODUCTS)

    def write_back(self) -> None:
        """Copy the state of the last whole epoch into the model and the optimizer."""
        rows = [views(row.copy(), self.shapes) for row in self.buffers.state]
        gradients = views(self.buffers.fixed[2].copy(), self.shapes)
        for i, p in enumerate(self.parameters):
            p.assign(rows[0][i])
            if self.job.settings.callbacks:  # callbacks may read gradients, as after an eager step
                p.grad = p._spent = gradients[i]
            self.optimizer.memory[i] = tuple([row[i] for row in rows[1:]])
            self.optimizer.t[i] = self.steps
        for tensor, array in zip(self.kept, self.buffers.followed, strict=True):
            tensor.assign(array.astype(tensor.dtype))

    def rewind(self, before: Sequence[Any], epochs: int) -> None:
        """Set the generators to where they are `epochs` whole epochs after the states `before`."""
        batches = self.job.samples // self.job.batch_size
        uneven = self.job.samples % self.job.batch_size > 0
        for rng, state in zip(self.rngs, before, strict=True):
            rng.bit_generator.state = state
        for rng, (full, last) in zip(self.rngs, self.buffers.drawn, strict=True):
            rng.random(epochs * (batches * full + uneven * last))

    def block(self, most: int | None = None) -> Block:
        """The next epochs: all that are left or at most `most`; only one if Python looks after each epoch."""
        count = min(self.job.left, most or self.job.left)
        return Block(self, self.job.orders(self.rng, 1 if self.job.watched else count))

    def loss_and_gradient(self, weights: Array) -> tuple[float, Array]:
        """Loss and gradient at other weights, all samples in one batch: an epoch whose optimizer changes nothing."""
        self.buffers.state[0] = weights
        block = Block(self, np.empty((1, 0), dtype=np.int64))
        block.run()
        return math.nan if block.bad else float(block.losses[0]), self.buffers.fixed[2].astype(float)

    def one_step(self) -> tuple[Array, Array, Array]:
        """By the first batch: its loss, its gradient, and the weights after it. `read` puts everything back."""
        (losses, norms, changes), control = np.full((3, 1), np.nan), np.zeros(3, dtype=np.int64)
        size, rate = self.job.batch_size, self.optimizer.rates(self.steps, 1)
        try:
            cache.call_first(
                self.form.code, *[a[:size] for a in self.arrays], np.empty((1, 0), dtype=np.int64), size,
                *self.buffers.fixed, rate, self.settings(), float(self.steps), self.job.progress.rule.copy(),
                losses, norms, changes, control, *self.buffers.given, *self.sources,
            )  # fmt: skip
        except IndexError:
            with samples.aside(self.job.model):
                self.job.batch_loss(*[a[:size] for a in self.job.data])  # says which index is out of range
            raise
        except Exception as error:
            raise CompileError(f"the compiler: {first_line(error)}") from error
        return losses, self.buffers.fixed[2].astype(float), self.buffers.state[0].astype(float)

    def settings(self) -> Array:
        """The numbers of the optimizer, and the limits of the gradient, that the program is given."""
        limits = {"clip_norm": self.job.settings.clip_norm, "clip_value": self.job.settings.clip_value}
        given = {**self.optimizer.settings, **limits}
        return np.array([float(given[name]) for name in self.program.floats])

    def record(self, block: Block) -> None:
        """Add the results of a block that has been run to its job."""
        done = self.take(block)
        progress = self.job.progress
        progress.record(done.losses, done.grad_norms, done.update_norms)
        progress.seen = progress.epochs if done.looked else progress.seen

    def take(self, block: Block) -> Epochs:
        """Put the weights of a block that has been run into the model; gives its epochs. Twice is the same as once."""
        job, done = self.job, block.done
        self.steps = block.steps + done * job.batches
        if done < len(block.losses):
            self.rewind(block.drawn, done)
        if block.seconds and done:
            self.pace = block.seconds / done
            # not longer than the guess: the first block's time includes compiling
            self.program.paces[self.size] = min(self.pace, self.guess_pace())
        self.write_back()
        if not job.watched:
            job.progress.rule[:] = block.stopping
        bad = block.orders[done] if block.bad else None
        curves = block.losses[:done], block.norms[:done], block.changes[:done]
        return Epochs(*curves, bad=bad, looked=not job.watched)

    def is_over(self, block: Block) -> bool:
        """Has the rule or a callback ended the training after a block that was recorded?"""
        if block.done and self.job.watched:
            return self.job.look()
        return self.job.progress.follow_program(block.done)


class Block:
    """Some epochs in one compiled call."""

    def __init__(self, session: CompiledSession, orders: Array) -> None:
        self.session, self.orders, self.start = (
            session,
            orders,
            len(session.job.losses),
        )  # start: epochs before the block
        self.losses, self.norms, self.changes = np.full((3, len(orders)), np.nan)
        self.control = np.zeros(3, dtype=np.int64)
        self.stopping = session.job.progress.rule.copy()  # losses noted during the block; copied back when it is taken
        self.shown = 0
        # steps and generator states before the block
        self.steps, self.drawn = session.steps, [rng.bit_generator.state for rng in session.rngs]
        self.seconds = 0.0

    def run(self) -> None:
        """Train all epochs of the block, or as many as it gets to."""
        c, job = self.session, self.session.job
        rates = c.optimizer.rates(self.steps, len(self.orders) * job.batches)
        start = time.perf_counter()
        try:
            cache.call_first(
                c.form.code, *c.arrays, self.orders, job.batch_size, *c.buffers.fixed, rates, c.settings(),
                float(self.steps), self.stopping, self.losses, self.norms, self.changes, self.control,
                *c.buffers.given, *c.sources,
            )  # fmt: skip
        except IndexError:
            c.rewind(self.drawn, 0)
            job.refuse_indices()
            # repeats the epoch eagerly, where the error says which index is out of range
            first_bad(job, self.orders[0])
            raise
        except Exception as error:
            c.rewind(self.drawn, 0)
            raise CompileError(f"the compiler: {first_line(error)}") from error
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
        """Let the program end at its next step."""
        self.control[0] = 1

    def news(self) -> int:
        """Epochs done since it was last asked."""
        new = self.done - self.shown
        self.shown += new
        return new


def refuse_batch_of_one(job: Job, program: TrainingProgram) -> None:
    """BatchNorm has no variance of one sample, unless it is one of many places, as an image is."""
    alone = 1 in (job.batch_size, job.samples % job.batch_size)
    if program.followed and alone and program.sizes_of(program.captures(job.optimizer.params), job.data, 1) is None:
        raise ShapeError(
            f"BatchNorm needs at least two samples in every batch, and {job.samples} samples in batches of "
            f"{job.batch_size} leave a batch of one: use another batch_size"
        )


def addresses(rng: np.random.Generator) -> Array:
    """Where compiled code finds the next random number, as rng.random() does: the function, and what it is given."""
    own = rng.bit_generator.ctypes
    return np.array([ctypes.cast(own.next_double, ctypes.c_void_p).value, own.state_address], dtype=np.int64)


def common_steps(optimizer: Optimizer) -> int:
    """How many steps all parameters have seen. Errors: TraceError where they differ."""
    steps: Sequence[int] = sorted(set(optimizer.t))
    if len(steps) > 1:
        raise TraceError(f"the parameters have taken different numbers of steps, {steps}: go on with compiled=False")
    return steps[0]


def common_dtype(optimizer: Optimizer) -> str:
    """The dtype of all parameters. Errors: TraceError where they differ, or are Values."""
    dtypes = {str(p.dtype) for p in optimizer.params if isinstance(p, Tensor)}
    if len(dtypes) != 1 or not all(isinstance(p, Tensor) for p in optimizer.params):
        raise TraceError(f"compiled training needs Tensors of one dtype, not {sorted(dtypes)}")
    return dtypes.pop()
