"""`fit_online` as compiled code: forward, backward and update of one time, inside a loop over times and epochs."""

from __future__ import annotations

import functools
import math
import re
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.program import ProgramBody, indent, shape_of
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CompileError, TraceError, first_line
from tinygrad_edu.nn.sequence import Recurrent
from tinygrad_edu.optim import Optimizer, flat
from tinygrad_edu.train.compiled.comparison import CLOSE, TRACED
from tinygrad_edu.train.compiled.forward import loss_if_exact, why_nan
from tinygrad_edu.train.compiled.moving import CHANGED_BY_STEPS, as_later, refuse_frozen_numbers, refuse_outside
from tinygrad_edu.train.compiled.program import product_of, tuple_of, views
from tinygrad_edu.train.compiled.programs import refuse_difference, refuse_optimizer
from tinygrad_edu.train.compiled.session import common_dtype, common_steps
from tinygrad_edu.train.snapshot import Snapshot

Array = np.ndarray[Any, Any]
# multiplications; up to here plain loops beat BLAS (5 hidden units: 0.24 µs against 0.46; 48: 6.2 against 4.7)
SMALL = 1024
COMPARED = 3  # times that are trained both ways to compare a program with the eager numbers
ROUNDING = 64.0  # steps of the last digit that the weights of both ways may differ by
BLOCK = 50_000  # updates between two checks for Ctrl-C: 14 ms for Elman 5-5-1, 0.5 s for 5-64-1

# BLAS only for larger products: for one row times a small matrix the call costs more than the product.
PRODUCT = f"""\
product = dot

@njit(error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def dot(a, b, out):
    if a.shape[0] * a.shape[1] * b.shape[1] > {SMALL}:
        product(a, b, out)
    else:
        for i in range(a.shape[0]):
            for j in range(b.shape[1]):
                total = a[i, 0] * b[0, j]
                for k in range(1, a.shape[1]):
                    total += a[i, k] * b[k, j]
                out[i, j] = total

"""
PARAMETERS = (
    "X, Y, start, before, after, saved, state, next_state, gradient, work, sizes, rates, settings, losses, norms, t"
)
EPOCHS = """\
    # before, after: the weights and the optimizer's memories; state: what one time hands on to the next
    n = X.shape[0]
{sizes}
    # the weights, their memories and their gradients stand at the same places of flat memory
    at, total_size = 0, gradient.size
{weights}
{states}
    at = 0
{rooms}
    for epoch in range(losses.shape[0]):
        copy(before, saved)
        copy(start, state)
        total = 0.0
        for time in range(n):
            x = view(X, time * X.shape[1], (1, X.shape[1]))
            y = view(Y, time * Y.shape[1], (1, Y.shape[1]))
            t += 1.0
            lr = rates[epoch * n + time]
{step}
            total += loss
            copy(after, before)
            copy(next_state, state)
        square, moved = 0.0, 0.0
        for j in range(gradient.size):
            square += gradient[0, j] * gradient[0, j]
            if before[0, j] != saved[0, j]:  # else a weight that is infinite and stays so
                moved += (before[0, j] - saved[0, j]) ** 2
        if (total + square + moved) - (total + square + moved) != 0.0:
            copy(saved, before)
            return
        losses[epoch] = total / n
        norms[epoch] = math.sqrt(square)
"""
OWN = set(re.findall(r"[A-Za-z_]\w*", re.sub("#.*", "", EPOCHS + PARAMETERS))) - {"x", "y", "t", "lr"}


class OnlineProgram:
    """One time's loss, its gradients, the optimizer's update and the next state, compiled for one model and optimizer.

    Errors: TraceError where the model, the loss or the update rule cannot be compiled.
    """

    def __init__(self, model: Recurrent, loss: Callable[[Any, Any], Any], optimizer: Optimizer, X: Array, y: Array):
        self.model, self.optimizer = model, optimizer
        self.dtype = common_dtype(optimizer)
        self.X, self.y = np.ascontiguousarray(X, self.dtype), np.ascontiguousarray(y, self.dtype)
        self.weights: list[Tensor] = list(optimizer.params)
        self.floats = [name for name, x in optimizer.settings.items() if isinstance(x, float) and x != 0.0]
        self.trace = Trace(floats=np.dtype(self.dtype))
        self.step = ProgramBody(self.trace, self.trace_step(loss), self.dtype)
        self.allocate()
        self.text, self.foreign = self.module_text(), False  # foreign: does code of the user's own take part?

    def trace_step(self, loss: Callable[[Any, Any], Any]) -> dict[str, Any]:
        """The results of one time by name."""
        trace = self.trace
        x, y = trace.input("x", self.X[:1]), trace.input("y", self.y[:1])
        state = tuple(trace.input(name, np.empty(self.model.hidden_features, self.dtype)) for name in self.model.states)
        self.states = [x.name for x in state]
        numbers = [Traced((), name=name) for name in ("t", "lr", *self.floats)]
        trace.inputs |= {number.name: number for number in numbers}

        def one_time() -> tuple[Any, Any]:
            output, after = self.model(x, state if len(state) > 1 else state[0])
            return loss(output, y), after

        trace.results, after = trace.run(one_time)
        gradients = trace.gradients([self.input_of(w) for w in self.weights])
        checked = loss_if_exact(trace, str(self.dtype))
        self.why_nan = why_nan(trace, checked, str(self.dtype))
        results = {"loss": checked} | self.updates(gradients, numbers)
        after = after if isinstance(after, tuple) else (after,)
        return results | {f"next_{name}": x for name, x in zip(self.states, after, strict=True)}

    def updates(self, gradients: Sequence[Any], numbers: Sequence[Any]) -> dict[str, Any]:
        """Gradients, new weights and new memories, from the rule that the other ways of training use."""
        rule, (t, lr, *rest) = self.optimizer.rule, numbers
        settings = {**self.optimizer.settings, **dict(zip(self.floats, rest, strict=True))}
        results: dict[str, Any] = {}
        self.names: list[list[str]] = []  # names of each weight and its memories
        for weight, g in zip(self.weights, gradients, strict=True):
            w = self.input_of(weight)
            memory = [self.trace.input(f"m{k}_{w.name}", weight.array) for k in range(self.optimizer.memories)]
            new = self.trace.run(functools.partial(rule, w, g, *memory, t, lr, **settings))
            self.names.append([w.name, *(m.name for m in memory)])
            results |= {f"d_{w.name}": g} | {f"new_{name}": x for name, x in zip(self.names[-1], new, strict=True)}
        return results

    def input_of(self, weight: Tensor) -> Any:
        for name, array in self.trace.captured.items():
            if array is weight:
                return self.trace.inputs[name]
        raise TraceError(f"the loss does not depend on {weight!r:.60}")

    def allocate(self) -> None:
        """Flat memory: weights and memories before and after a time, gradients, states, intermediate results."""
        total, count = sum(w.size for w in self.weights), 1 + self.optimizer.memories
        self.before, self.after = np.zeros((count, total), self.dtype), np.zeros((count, total), self.dtype)
        self.gradient = np.zeros((1, total), self.dtype)
        self.state = np.zeros((len(self.model.states), self.model.hidden_features), self.dtype)
        self.next_state = np.zeros_like(self.state)
        known = {"x": self.X[:1], "y": self.y[:1]} | dict(zip(self.states, self.state, strict=True))
        for names, w in zip(self.names, self.weights, strict=True):
            known |= dict.fromkeys(names, w.array)
        given = {k: getattr(a, "array", a) for k, a in self.trace.captured.items() if k not in known}
        self.given = {k: np.ascontiguousarray(a, self.dtype) for k, a in given.items()}
        found = self.step.sizes([{**known, **self.given}.get(name, 0.0) for name in self.trace.inputs])
        assert found is not None
        rooms = [shape_of(s, found) for s in self.step.buffers.values()]
        self.work = np.zeros(sum(map(math.prod, rooms)), self.dtype)
        self.sizes = np.array([found[size] for size in self.step.own_sizes()], dtype=np.int64)

    def views(self, flat: Array) -> list[Array]:
        """Pieces of a flat array in the weights' shapes."""
        return views(flat, [w.shape for w in self.weights])

    def module_text(self) -> str:
        """The operations, and the loops over epochs and times with one time's lines in the middle."""
        clash = OWN & {*self.trace.inputs, *self.given, *self.step.buffers}
        if clash:
            raise TraceError(f"the loop around the step has names of its own, {sorted(clash)}: label these otherwise")
        sizes = [f"{size} = sizes[{i}]" for i, size in enumerate(self.step.own_sizes())]
        scalars = [f"{name} = settings[{i}]" for i, name in enumerate(self.floats)]
        lines = EPOCHS.format(
            sizes="\n".join(indent([*self.step.shape_comments(), *sizes, *scalars])),
            weights="\n".join(indent(self.weight_lines())),
            states="\n".join(indent(self.state_lines())),
            rooms="\n".join(indent(self.room_lines())),
            step="\n".join(indent(self.step.lines, 3)),
        )
        parameters = ", ".join([PARAMETERS, *self.given])
        return module_writer.module(self.step.functions + PRODUCT, "epochs", parameters, lines, accurate=True)

    def weight_lines(self) -> Iterator[str]:
        """Each weight with its memories, before and after a time, and its gradient, as views."""
        for names in self.names:
            extent = self.step.names.shape(self.trace.inputs[names[0]])
            for k, name in enumerate(names):
                yield f"{name} = view(before, {k} * total_size + at, {tuple_of(extent)})"
                yield f"new_{name} = view(after, {k} * total_size + at, {tuple_of(extent)})"
            yield f"d_{names[0]} = view(gradient, at, {tuple_of(extent)})"
            yield f"at += {product_of(extent)}"

    def state_lines(self) -> Iterator[str]:
        """The state and the next one: a row for each part of it."""
        for k, name in enumerate(self.states):
            yield f"{name} = view(state, {k} * state.shape[1], (state.shape[1],))"
            yield f"next_{name} = view(next_state, {k} * state.shape[1], (state.shape[1],))"

    def room_lines(self) -> Iterator[str]:
        """Arrays for intermediate results."""
        for name, extent in self.step.buffers.items():
            yield f"{name} = room(work, at, {tuple_of(extent)})"
            yield f"at += {product_of(extent)}"

    def blocks(self, job: Any) -> Iterator[list[tuple[float, float]]]:
        """(mean loss, length of the last gradient) of some epochs, again and again; model and optimizer follow.

        Errors: CompileError, whatever the compiler raises, and where the eager way gives other numbers.
        """
        left, n = job.epochs, len(self.X)
        while left > 0:
            refuse_other_numbers(self, job)
            losses, norms = self.train(self.X, self.y, min(left, max(1, BLOCK // n)))
            done = len(losses)
            if not np.isfinite(losses[-1]):
                done -= 1
                refuse_own_nan(job, self.why_nan)
            yield list(zip(losses.tolist(), norms.tolist(), strict=True))
            left -= done
        refuse_other_numbers(self, job)

    def train(self, X: Array, y: Array, epochs: int) -> tuple[Array, Array]:
        """Losses and lengths of gradients; after NaN, which is the last loss, model and optimizer are as before it."""
        losses, norms = np.full(epochs, np.nan), np.full(epochs, np.nan)
        try:
            self.run(cache.load(self.text, "online").epochs, X, y, losses, norms)
        except Exception as error:
            raise CompileError(f"the compiler: {first_line(error)}") from error
        done = epochs if np.isfinite(losses).all() else int(np.isfinite(losses).argmin())
        self.write_back(done * len(X))
        return losses[: done + 1], norms[: done + 1]

    def run(self, code: Callable[..., None], X: Array, y: Array, losses: Array, norms: Array) -> None:
        """One block of epochs, from the present weights."""
        steps, n = common_steps(self.optimizer), len(X)
        for i, (w, memory) in enumerate(zip(self.weights, self.optimizer.memory, strict=True)):
            for row, array in zip(self.before, (w.array, *memory), strict=True):
                self.views(row)[i][...] = array
        start = np.full_like(self.state, self.model.start)
        settings = np.array([float(self.optimizer.settings[name]) for name in self.floats])
        cache.call_first(
            code, X, y, start, self.before, self.after, np.empty_like(self.before), self.state,
            self.next_state, self.gradient, self.work, self.sizes, self.optimizer.rates(steps, len(losses) * n),
            settings, losses, norms, float(steps), *self.given.values(),
        )  # fmt: skip

    def write_back(self, steps: int) -> None:
        """The weights and memories after the last whole epoch into the model and the optimizer."""
        rows = [self.views(row.copy()) for row in self.before]
        for i, w in enumerate(self.weights):
            w.assign(rows[0][i])
            self.optimizer.memory[i] = tuple(row[i] for row in rows[1:])
            self.optimizer.t[i] += steps


def trace_series(job: Any) -> OnlineProgram:
    """The program of a job of `fit_online`; what the user's own code keeps in Python is then as it was before.

    Errors: TraceError where it cannot be compiled: see `programs.trace_job`.
    """
    refuse_optimizer(job)
    state = PythonState(model=job.model, loss=job.loss)
    if state.opaque:
        raise TraceError(state.opaque)
    try:
        made = online_program(job)
        made.foreign = state.foreign
        if state.foreign:
            refuse_difference(made.text, refuse_outside(functools.partial(trace_watched, job)))
            refuse_difference(made.text, trace_as_later(job))
            if changed := state.first_change():
                raise TraceError(CHANGED_BY_STEPS.format(changed))
        return made
    finally:
        state.restore()


def online_program(job: Any) -> OnlineProgram:
    return OnlineProgram(job.model, job.loss, job.optimizer, job.X, job.y)


def trace_watched(job: Any) -> str:
    """The text of a trace. Errors: TraceError if it reads numbers that training changes."""
    return refuse_frozen_numbers(job.model, job.optimizer, lambda: online_program(job).text)  # type: ignore[no-any-return]


def trace_as_later(job: Any) -> str:
    """The text of a trace when everything that training changes is as it may be at the end."""
    with as_later(job.model, job.optimizer, job.updates):
        return online_program(job).text


def refuse_other_numbers(program: OnlineProgram, job: Any) -> None:
    """Train the first times both ways, where code of the user's own takes part, and put everything back.

    Errors: CompileError where the weights are not the same: such code may do something else when it is traced.
    """
    if not program.foreign:
        return
    before, state = Snapshot(job.model, job.optimizer), PythonState(model=job.model, loss=job.loss)
    params = job.optimizer.params
    start = flat.weights(params)
    try:
        with np.errstate(all="ignore"):
            losses, _ = program.train(program.X[:COMPARED], program.y[:COMPARED], 1)
            compiled = flat.weights(params)
            before.restore()
            job.one_epoch(COMPARED)
            eager = flat.weights(params)
    finally:
        before.restore()
        state.restore()
    if not np.isfinite(eager).all():
        return
    if not np.isfinite(losses).all():
        raise CompileError(program.why_nan)
    limit = CLOSE[str(program.dtype)] * np.abs(eager - start).max()
    if np.abs(compiled - eager).max() > limit + ROUNDING * np.finfo(program.dtype).eps * np.abs(start).max():
        raise CompileError(f"{TRACED}: after {COMPARED} times the weights differ")


def refuse_own_nan(job: Any, why: str) -> None:
    """Errors: CompileError where only the program comes to NaN in the next epoch."""
    before = Snapshot(job.model, job.optimizer)
    try:
        with np.errstate(all="ignore"):
            found = job.one_epoch(len(job.X)) + before.distance()
    finally:
        before.restore()
    if math.isfinite(found):
        raise CompileError(why)
