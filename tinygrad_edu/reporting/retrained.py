"""Histograms of a run that kept none: it is trained again from its start, where that is quick and gives the same."""

from __future__ import annotations

import copy

import numpy as np

from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn.module import all_numbers
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.train.histograms import Histograms, LayerSnapshot, measure_layers
from tinygrad_edu.train.snapshots import State, snapshots_of

MOST_SNAPSHOTS = 20
MOST_WORK = 2e10  # up to this many samples × weights × epochs the run is trained again: a few seconds


def histograms_of(record: ReportedRun) -> Histograms | None:
    """Histograms of as many epochs as can be computed, at least of the first and the last; None without a network."""
    if record.histograms is not None or not record.measurable or record.data is None:
        return record.histograms
    found, model = Histograms(), copy.deepcopy(record.model)
    with np.errstate(all="ignore"):
        for epoch, state in sorted(states_of(record).items()):
            model.load_state_dict(state)
            try:
                found.snapshots.append(LayerSnapshot(epoch, measure_layers(model, record.loss, record.weighted_data)))
            except TinygradError:
                return None  # the loss does not accept this data
    return found


def states_of(record: ReportedRun) -> dict[int, State]:
    """The weights by epoch."""
    run, now = record.run, all_numbers(record.model)
    if run.job is None or not run.n_epochs:
        return {run.n_epochs: now}
    work = run.job.samples * run.n_epochs * sum(int(array.size) for array in now.values())
    scalar = any(array.dtype.kind == "O" for _, array in record.model.named_arrays())
    if work * (1000 if scalar and not run.compiled else 1) <= MOST_WORK:
        try:
            return snapshots_of(run, MOST_SNAPSHOTS)
        except TinygradError:
            pass  # the repetition took another course, because the run draws random numbers
    return {0: dict(run.job.start), run.n_epochs: now}
