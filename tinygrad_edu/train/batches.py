"""The batches of an epoch, and what one of them does to the weights, operation by operation."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import clip_by_norm, clip_by_value
from tinygrad_edu.train.job import NOTHING_TO_TRAIN, Job, trained_flags

Array = np.ndarray[Any, Any]


def batches(job: Job, order: Array) -> Iterator[Array]:
    """The indices of the samples of each batch."""
    order = order if order.size else np.arange(job.samples)
    for start in range(0, len(order), job.batch_size):
        yield order[start : start + job.batch_size]


def step(job: Job, rows: Array) -> float:
    """One update; the loss before it."""
    job.optimizer.zero_grad()
    loss = job.batch_loss(*[array[rows] for array in job.data])
    if not getattr(loss, "requires_grad", True) and not any(trained_flags(job.optimizer)):
        raise SettingError(
            f"{NOTHING_TO_TRAIN}. A callback that freezes the last of them ends the run by returning True"
        )
    loss.backward()
    if job.settings.clip_value is not None:
        clip_by_value(job.optimizer.params, job.settings.clip_value)
    if job.settings.clip_norm is not None:
        clip_by_norm(job.optimizer.params, job.settings.clip_norm)
    job.optimizer.step()
    return float(loss.item())
