"""`fit` as compiled code: the job's arrays handed to a TrainingProgram, and brought back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile import cache
from tinygrad_edu.compile.training import Buffers, Recipe, TrainingProgram, views
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TraceError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer

Array = np.ndarray[Any, Any]


class CompiledJob:
    """The program of one kind of job, and a session for each run of it."""

    def __init__(self, program: TrainingProgram) -> None:
        self.program = program

    def at_hand(self) -> bool:
        """Is the machine code there already, in this process or on the disk?"""
        return cache.holds(self.program.text, "training")

    def session(self, job: Any) -> Session:
        return Session(self.program, job)


def program_for(job: Any) -> CompiledJob:
    """The program for a job. Errors: TraceError where the model, the loss or the optimizer cannot be compiled."""
    return CompiledJob(program_of(job.model, job.loss, job.optimizer, job.X, job.y, job.batch_size, job.accurate))


def program_of(
    model: Module, loss: Any, optimizer: Optimizer, X: Array, y: Array, batch: int, accurate: bool
) -> TrainingProgram:
    tensors = [p for p in optimizer.params if isinstance(p, Tensor)]
    dtypes = {p.dtype for p in tensors}
    if len(dtypes) != 1 or len(tensors) < len(optimizer.params):
        raise TraceError(f"compiled training needs Tensors of one dtype, not {sorted(map(str, dtypes))}")
    rule = type(optimizer).rule
    settings, dtype = optimizer.settings, str(dtypes.pop())
    recipe = Recipe(lambda x, t: loss(model(x), t), tensors, rule, settings, optimizer.memories, dtype, accurate)
    return TrainingProgram(recipe, X, y, batch)


class Session:
    """The buffers of one run, filled from model and optimizer."""

    def __init__(self, program: TrainingProgram, job: Any) -> None:
        self.program, self.optimizer = program, job.optimizer
        self.parameters: Sequence[Tensor] = job.optimizer.params
        self.X, self.y, self.batch = job.X, job.y, job.batch_size
        self.tol = -1.0 if job.tol is None else job.tol
        self.previous = np.nan
        self.buffers = Buffers(program, job.X, job.y, job.batch_size)
        self.shapes = [p.shape for p in self.parameters]
        self.steps = common_steps(job.optimizer)
        self.read()

    def read(self) -> None:
        """Weights and the optimizer's memory into the flat state."""
        for i, p in enumerate(self.parameters):
            self.buffers.weights[i][...] = p.array
            for row, memory in enumerate(self.optimizer.memory[i]):
                views(self.buffers.state[1 + row], self.shapes)[i][...] = memory

    def write_back(self) -> None:
        """The state of the last whole epoch into the model and the optimizer."""
        rows = [views(row.copy(), self.shapes) for row in self.buffers.state]
        for i, p in enumerate(self.parameters):
            p.assign(rows[0][i])
            self.optimizer.memory[i] = tuple(row[i] for row in rows[1:])
            self.optimizer.t[i] = self.steps

    def block(self, orders: Array) -> Block:
        return Block(self, orders)


class Block:
    """Some epochs in one compiled call."""

    def __init__(self, session: Session, orders: Array) -> None:
        self.session, self.orders = session, orders
        self.losses, self.norms = np.full(len(orders), np.nan), np.full(len(orders), np.nan)
        self.control = np.zeros(3, dtype=np.int64)
        self.shown = 0

    def run(self) -> None:
        """All epochs of the block, or as far as it gets."""
        s = self.session
        floats = [float(s.optimizer.settings[name]) for name in s.program.floats]
        code = s.program.code()
        code(
            s.X, s.y, self.orders, s.batch, *s.buffers.fixed, s.buffers.numbers, float(s.steps), float(s.optimizer.lr),
            *floats, s.previous, s.tol, self.losses, self.norms, self.control,
        )  # fmt: skip
        s.steps += self.done * -(-len(s.X) // s.batch)
        s.previous = self.losses[self.done - 1] if self.done else s.previous

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
