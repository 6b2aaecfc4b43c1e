"""What a program of a run's settings leaves out, as far as the run itself is at hand: it would train another way."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.module import all_numbers
from tinygrad_edu.nn.parameters import trained
from tinygrad_edu.train import Run
from tinygrad_edu.train.changed import changed_by_callbacks
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.sweep.redrawn import Redrawn


def left_out(run: Run) -> list[str]:
    """Each of these in a few words. A run out of a file holds its settings alone, so that nothing is known of it."""
    return [] if run.job is None else [*of_model(run.job), *of_training(run.job)]


def of_model(job: Job) -> Iterator[str]:
    """What an MLP has that its arguments do not say; the program leaves any other model open."""
    if type(job.model) is not MLP:
        return
    try:
        made = Redrawn(job.model).model
    except TinygradError:
        yield "what was changed in the model after it was made (layers, frozen weights, hooks)"
        return
    first = all_numbers(made)
    if job.start and not all(name in first and np.array_equal(first[name], x) for name, x in job.start.items()):
        yield "the weights that it began with: model.load_state_dict(...)"


def of_training(job: Job) -> Iterator[str]:
    """What an optimizer has besides its settings, and what callbacks did."""
    if len(job.optimizer.parts) > 1:
        yield "the groups of its optimizer"
    if {id(p) for p in job.optimizer.params} != {id(p) for p in trained(job.model.parameters())}:
        yield "which weights were trained"
    if changed := changed_by_callbacks(job):
        yield f"what callbacks changed ({changed})"
