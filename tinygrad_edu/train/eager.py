"""`fit` operation by operation: the reference for the compiled way, and the only one for models of Values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import clip_by_norm, clip_by_value
from tinygrad_edu.train.ending import bad_reason, reason
from tinygrad_edu.train.job import Job

Array = np.ndarray[Any, Any]


def run_eager(job: Job, shown: Any) -> str:
    """All epochs that are left; why they ended."""
    rng = job.generator()
    try:
        while job.left:
            for order in job.orders(rng, job.left):
                if not one_epoch(job, order):
                    return bad_reason(job, order)
                shown.update()
                if job.look():
                    return reason(job, stopped=True)
    except KeyboardInterrupt:
        job.measure()
        return reason(job, interrupted=True)
    return reason(job)


def one_epoch(job: Job, order: Array) -> bool:
    """An epoch, recorded; False where the loss became NaN. One that does not end well is undone."""
    before, mean = Snapshot(job), math.nan
    try:
        mean, norm = epoch(job, order)
    finally:
        if not math.isfinite(mean):
            before.restore()
    if math.isfinite(mean):
        job.record(mean, norm, before.distance())
    return math.isfinite(mean)


def epoch(job: Job, order: Array) -> tuple[float, float]:
    """(mean loss, length of the last gradient) of one pass over the samples."""
    total = 0.0
    for rows in batches(job, order):
        total += step(job, rows) * len(rows)
    return total / job.samples, gradient_norm(job.model)


def gradient_norm(model: Module) -> float:
    """The length of all gradients together."""
    return math.sqrt(sum(float(np.sum(g * g)) for g in model.gradients().values()))


def batches(job: Job, order: Array) -> Iterator[Array]:
    """The numbers of the samples of each batch."""
    order = order if order.size else np.arange(job.samples)
    for start in range(0, len(order), job.batch_size):
        yield order[start : start + job.batch_size]


def step(job: Job, rows: Array) -> float:
    """One update; the loss before it."""
    job.optimizer.zero_grad()
    loss = job.batch_loss(*[array[rows] for array in job.data])
    loss.backward()
    if job.settings.clip_value is not None:
        clip_by_value(job.optimizer.params, job.settings.clip_value)
    if job.settings.clip_norm is not None:
        clip_by_norm(job.optimizer.params, job.settings.clip_norm)
    job.optimizer.step()
    return float(loss.item())


def generators(model: Module) -> list[np.random.Generator]:
    """The random generators of its layers."""
    found = [getattr(module, "rng", None) for _, module in model.named_modules()]
    return [rng for rng in found if isinstance(rng, np.random.Generator)]


class Snapshot:
    """Model and optimizer as they are now, to go back to."""

    def __init__(self, job: Job) -> None:
        self.job, self.weights, self.memory = job, job.model.state_dict(), job.optimizer.state()
        self.generators = [(rng, rng.bit_generator.state) for rng in generators(job.model)]

    def restore(self) -> None:
        self.job.model.load_state_dict(self.weights)
        self.job.optimizer.load_state(self.memory)
        for rng, state in self.generators:
            rng.bit_generator.state = state

    def distance(self) -> float:
        """How far the weights have come since then."""
        now = self.job.model.state_dict()
        names = [name for name, _ in self.job.model.named_arrays()]
        return math.sqrt(sum(float(np.sum((now[name] - self.weights[name]) ** 2)) for name in names))
