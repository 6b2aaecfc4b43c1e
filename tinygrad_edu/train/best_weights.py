"""The weights of the best epoch by validation, restored at the end of a run that may stop early."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from tinygrad_edu.nn.module import Module, all_numbers, arrays_to_keep
from tinygrad_edu.train.job import Job


def restore_best(job: Job) -> str:
    """Restore the best weights by validation, if they are not the last ones, and say so."""
    progress = job.progress
    if progress.best is None or progress.best[1] == progress.epochs:
        return ""
    loss, epoch, state = progress.best
    if not has_same_arrays(job.model, state):
        return (
            f"; the weights are those of the last epoch, because a callback has given the model other parameters since "
            f"epoch {epoch}, the best by validation ({loss:.4g})"
        )
    if progress.last is None:
        progress.last = all_numbers(job.model)
    job.model.load_state_dict(state)
    return f"; the weights are those of epoch {epoch}, the best by validation ({loss:.4g})"


def has_same_arrays(model: Module, state: Mapping[str, np.ndarray]) -> bool:
    """Are there arrays of the same names and shapes?"""
    return {name: x.shape for name, x in arrays_to_keep(model).items()} == {name: x.shape for name, x in state.items()}
