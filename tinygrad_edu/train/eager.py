"""`fit` operation by operation: the reference for compiled training, and the only form for models of Values."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.optim import flat
from tinygrad_edu.optim.clip import length
from tinygrad_edu.train.batches import batches, step
from tinygrad_edu.train.first_batch import note_first
from tinygrad_edu.train.snapshot import Snapshot
from tinygrad_edu.train.stepper import Epochs, Stepper

Array = np.ndarray[Any, Any]


class EagerStepper(Stepper):
    """Trains epoch after epoch, one operation at a time."""

    def epochs(self) -> Generator[Epochs, None, None]:
        """All epochs that are left, one at a time."""
        rng = self.job.generator()
        while self.job.left:
            for order in self.job.orders(rng, 1 if self.job.watched else self.job.left):
                yield self.epoch(order)

    def epoch(self, order: Array) -> Epochs:
        """One pass over the samples."""
        job, before, total = self.job, Snapshot(self.job.model, self.job.optimizer), 0.0
        begun = job.first is not None or len(job.losses) > 0
        for rows in batches(job, order):
            loss = step(job, rows)
            if not begun:
                note_first(job, loss, flat.gradients(job.optimizer.params), before)
                begun = True
            total += loss * len(rows)
        moved = before.distance()  # NaN or infinite if a weight is
        if not math.isfinite(total + moved):
            return Epochs([], [], [], bad=order)
        norm = gradient_norm(job.optimizer.params)
        self.shown.update()
        return Epochs([total / job.samples], [norm], [moved])


def gradient_norm(parameters: Sequence[Any]) -> float:
    """The length of all gradients together; a weight that the model has in two places counts once."""
    return length(flat.gradients(parameters))
