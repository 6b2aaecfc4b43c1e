"""The compiled step of a run against the eager one, at several moments: code of the user's own may do anything.

Such code may ask what kind of thing it is given, or look at what no trace can see: a module that it finds by a computed
name, the environment, the time, another thread. So loss, gradient and update of the first batch are computed both ways
before the first epoch, after the first, second, fourth, eighth ... and after the last one, with the weights, memories,
statistics and record as they are then. A comparison moves nothing: whatever the eager step changes is put back.

What it cannot see: a number that looks the same at each of these moments and differs between them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.optim import clip_by_norm, clip_by_value, flat
from tinygrad_edu.train.compiled.moving import CHANGED_BY_STEPS
from tinygrad_edu.train.compiled.session import CompiledSession
from tinygrad_edu.train.config import epochs_of
from tinygrad_edu.train.ending import OWN_NAN
from tinygrad_edu.train.first_batch import note_first
from tinygrad_edu.train.snapshot import Snapshot, generators
from tinygrad_edu.train.stepper import TakenBackError

Array = np.ndarray[Any, Any]
# How far compiled and eager numbers may differ, relative to the largest of them: far above the rounding errors of two
# orders of summation, far below the effect of a number frozen by the trace.
CLOSE = {"float64": 1e-7, "float32": 1e-3}
# Losses and gradients below this, relative to the square of the largest input or weight, are rounding errors: float32's
# cross-entropy of a network that is sure of its answers is 1e-6, and the rounding error of its logits is as large.
SMALL = {"float64": 1e-8, "float32": 5e-4}

# Where the two ways differ: how often the eager step is repeated, at how many other weights both are tried, and how far
# these are from the present ones.
AGAIN, NEARBY, NUDGE = 4, 3, 1e-3

TRACED = "forward or the loss does something else when it is traced"
SOURCES = {"loss": TRACED, "gradient": TRACED, "weight": "the optimizer's step does something else than its rule"}


def call_here(work: Callable[[], Any]) -> Any:
    """work(), here."""
    return work()


class Comparison:
    """The moments, and what is computed at each of them; nothing for programs of this library's own code."""

    def __init__(self, session: CompiledSession) -> None:
        self.session, self.job, self.params = session, session.job, session.parameters
        self.wanted, self.first = session.program.foreign, len(session.job.losses)
        self.next, self.seen = self.first, -1  # epochs done at the next comparison, and at the last one
        self.scale = np.zeros(3)  # largest loss, gradient and weight at the first comparison

    def ahead(self) -> int | None:
        """Epochs until the next comparison; None where there is none."""
        return max(1, self.next - len(self.job.losses)) if self.wanted else None

    def look(self, run: Callable[[Callable[[], Any]], Any] = call_here) -> None:
        """Compare, if it is time; `run` does the compiled step, which takes a while at first. Errors: see `compare`."""
        done = len(self.job.losses)
        if self.wanted and done >= self.next:
            self.compare(run)
            self.next = self.first + max(1, 2 * (done - self.first))

    def confirm(self) -> None:
        """Compare at the end of a run."""
        if self.wanted and self.seen not in (-1, len(self.job.losses)):
            self.compare(call_here)

    def compare(self, run: Callable[[Callable[[], Any]], Any]) -> None:
        """Loss, gradient and update of the first batch, both ways.

        Errors: TakenBackError where they are not the same, or the eager step has changed what no program changes.
        """
        self.seen = len(self.job.losses)
        found, eager = self.both_ways(run)
        difference = self.difference(found, eager)
        if difference and not self.agree_nearby(found, eager):
            raise TakenBackError(difference)

    def agree_nearby(self, found: Any, eager: Any) -> bool:
        """Are both ways the same at other weights near these? Then they differ here by rounding alone.

        The input of a ReLU that is 0 but for rounding may have one sign in a program and the other in an eager step,
        and its gradient is there or not. In float32 one step of a transformer with 262,144 of them in 30 meets that.
        A step that draws numbers where no trace sees them agrees at times, too, but not with itself.
        """
        if any(self.difference(eager, self.eager_step(found[1])) for _ in range(AGAIN)):
            return False
        before, rng = Snapshot(self.job.model, self.job.optimizer), np.random.default_rng(self.seen)
        try:
            return sum(self.agree_at(before, rng) for _ in range(NEARBY)) >= NEARBY - 1
        finally:
            before.restore()
            self.session.read()

    def agree_at(self, before: Snapshot, rng: np.random.Generator) -> bool:
        """Are both ways the same at random weights near those of the snapshot?"""
        before.restore()
        for p in self.params:
            p.assign((p.array * (1.0 + NUDGE * rng.standard_normal(p.shape))).astype(p.dtype))
        self.session.read()
        return not self.difference(*self.both_ways(call_here))

    def both_ways(self, run: Callable[[Callable[[], Any]], Any]) -> tuple[Any, Any]:
        """(the compiled, the eager) loss, gradient and weights after a step."""
        states = [rng.bit_generator.state for rng in self.session.rngs]
        try:
            with np.errstate(all="ignore"):
                found = run(self.session.one_step)
        finally:
            for rng, state in zip(self.session.rngs, states, strict=True):
                rng.bit_generator.state = state
            self.session.read()
        with np.errstate(all="ignore"):
            return found, self.eager_step(found[1])

    def difference(self, found: Any, eager: Any) -> str:
        """What differs, as a sentence; "" for nothing. A loss that is NaN or infinite both ways says nothing."""
        if not (np.isfinite(found[0]).all() or np.isfinite(eager[0]).all()):
            return ""
        if np.isnan(found[0]).any() and self.session.program.why_nan != OWN_NAN:
            return str(self.session.program.why_nan)
        dtype = self.session.program.dtype
        small = SMALL[dtype]
        size = np.array([np.abs(x[np.isfinite(x)]).max(initial=0.0) for x in eager])
        if self.seen == self.first:
            self.scale = size
        inputs = max((np.abs(a).max(initial=0.0) for a in self.job.data if a.dtype.kind == "f"), default=0.0)
        with np.errstate(over="ignore"):
            floor = small * np.nan_to_num(max(inputs, size[2], self.scale[2])) ** 2
        close = CLOSE[dtype] * (np.maximum(size, self.scale) + floor)
        y = self.job.data[1]
        targets = np.abs(y).max(initial=0.0) if y.dtype.kind == "f" else 1.0
        # the loss is not a rounding error, even if the inputs are large and the model scales them down
        if size[0] > small * targets**2:
            close[0] = min(close[0], 0.01 * size[0])
        for what, a, b, limit in zip(SOURCES, found, eager, close, strict=True):
            if not agree(a, b, limit):
                i = int(np.argmax(np.nan_to_num(np.abs(a - b), nan=np.inf)))
                when = f"after {epochs_of(self.seen)}" if self.seen else "of the first batch"
                return f"{SOURCES[what]}: {when} the compiled {what} is {a[i]:.6g}, the eager {b[i]:.6g}"
        return ""

    def eager_step(self, gradient: Array) -> tuple[Array, Array, Array]:
        """Loss and gradient of the first batch, and the weights and memories after a step by the given gradient.

        The same gradient both ways, because a rule may go by its sign, which rounding turns where it is about 0.
        """
        job, params = self.job, self.params
        python, before = PythonState(**job.roots), Snapshot(job.model, job.optimizer)
        grads = [(p, p.grad, p._spent) for p in job.optimizer.params]
        moving = {id(x) for x in (*self.session.kept, *generators(job.model))}
        try:
            job.optimizer.zero_grad()
            loss = job.batch_loss(*[array[: job.batch_size] for array in job.data])
            loss.backward()
            changed = python.first_change(but=moving)
            if job.settings.clip_value is not None:
                clip_by_value(params, job.settings.clip_value)
            if job.settings.clip_norm is not None:
                clip_by_norm(params, job.settings.clip_norm)
            value, own = np.array([float(loss.item())]), flat.gradients(params)
            assign_gradients(params, gradient)
            start = flat.weights(params)
            job.optimizer.step()
            after = flat.weights(params)
            if not self.seen:
                note_first(job, value[0], own, before, in_turn=True)
        finally:
            for p, grad, spent in grads:
                p.grad, p._spent = grad, spent
            before.restore()
            python.restore()
        if changed:
            raise TakenBackError(CHANGED_BY_STEPS.format(changed))
        # As in the program: the loss of an epoch is NaN if the square of its last step is not finite.
        moved = np.sum(np.square(after - start, dtype=self.session.program.dtype))
        return value if np.isfinite(moved) else np.full(1, np.nan), own, after


def agree(a: Array, b: Array, limit: float) -> bool:
    """Are all numbers as near as this, and NaN or infinite at the same places?"""
    finite = np.isfinite(a)
    return bool(np.array_equal(finite, np.isfinite(b)) and np.all(np.abs(a[finite] - b[finite]) <= limit))


def assign_gradients(params: Any, vector: Array) -> None:
    """Pieces of one vector as the gradients."""
    start = 0
    for p in params:
        if isinstance(p, Tensor):
            p.grad, start = vector[start : start + p.size].reshape(p.shape).astype(p.dtype), start + p.size
