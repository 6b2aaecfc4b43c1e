"""Histograms of a run that kept none: it is trained again from its start, where that is quick and gives the same.

That also shows whether its model is still what the run left: it may have been trained on, or changed by hand.
"""

from __future__ import annotations

import copy
from dataclasses import replace

import numpy as np

from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn.module import all_numbers
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.train.histograms import Histograms, LayerSnapshot, measure_layers
from tinygrad_edu.train.snapshots import State, snapshots_of

MOST_SNAPSHOTS = 20
MOVED = 1e-3  # a difference of weights far above what rounding makes of a run that is trained again
MOST_WORK = 2e10  # up to this many samples × weights × epochs the run is trained again: a few seconds


def with_histograms(record: ReportedRun) -> ReportedRun:
    """The record with histograms of as many epochs as can be computed, at least of the first and the last.

    Without a network, with those that are given, or where the loss does not accept this data: the record as it is.
    """
    if record.histograms is not None or not record.measurable or record.data is None:
        return record
    found, model, states = Histograms(), copy.deepcopy(record.model), states_of(record)
    moved = has_moved(record, states)
    with np.errstate(all="ignore"):
        for epoch, state in sorted(states.items()):
            model.load_state_dict(state)
            try:
                found.snapshots.append(LayerSnapshot(epoch, measure_layers(model, record.loss, record.weighted_data)))
            except TinygradError:
                return replace(record, moved=moved)
    return replace(record, histograms=found, moved=moved)


def has_moved(record: ReportedRun, states: dict[int, State]) -> bool:
    """Does the model hold other weights than those with which the run ended?

    A run that has put the best weights back by validation ended with those of another epoch: nothing is said of it.
    """
    job, last = record.run.job, states.get(record.run.n_epochs, {})
    if job is None or job.progress.last is not None:
        return False
    now = all_numbers(record.model)
    pairs = [(x, now[name]) for name, x in last.items() if name in now and x.dtype.kind == "f"]
    return not all(x.shape == y.shape and np.allclose(x, y, rtol=MOVED, atol=MOVED, equal_nan=True) for x, y in pairs)


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
