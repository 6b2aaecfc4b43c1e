"""The weights of a run at several epochs: kept while it trains, or found by training it again."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.checks import whole
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.module import all_numbers
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.fit import train_job
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.run import Run

Array = np.ndarray[Any, Any]
State = Mapping[str, Array]
CLOSE = 1e-6  # relative; how well the loss must be reproduced when an epoch is trained again


class Snapshots:
    """A callback for `fit` that keeps the weights at some epochs, for `tg.animate`.

    every: epochs between two snapshots; it doubles, and every second snapshot is dropped, when there are more than
    `most`, so that memory is bounded. The run is the same as without it. `tg.animate` does without it where it can
    train the run again; it cannot where dropout or a loss of your own draws random numbers.
    most: the largest number of snapshots that are kept; 60.
    Errors: SettingError for numbers that are not whole and above 0.

    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model, snapshots = nn.MLP([2, 3, 1]), Snapshots(every=2)
    >>> optimizer = optim.Adam(model.parameters())
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optimizer, epochs=5, callbacks=[snapshots])
    >>> list(snapshots.states)
    [0, 2, 4, 5]
    """

    @check_arguments
    def __init__(self, every: int = 1, *, most: int = 60) -> None:
        self.first_every = self.every = whole("every", every, owner="Snapshots")
        self.most = whole("most", most, 3, owner="Snapshots")
        self.states: dict[int, State] = {}

    def __call__(self, job: Any) -> None:
        epoch = len(job.losses)
        if self.states and epoch <= max(self.states):  # a new run has started
            self.states, self.every = {}, self.first_every
        if not self.states:
            self.states[0] = dict(job.start)
        if epoch % self.every == 0 or not job.left:
            self.states[epoch] = all_numbers(job.model)
        while len(self.states) > self.most:
            self.every *= 2
            self.states = {e: s for e, s in self.states.items() if e % self.every == 0 or e == epoch}

    def __repr__(self) -> str:
        return f"<Snapshots of {len(self.states)} epochs: {list(self.states)[:1]} to {list(self.states)[-1:]}>"


def snapshots_of(run: Run, most: int) -> dict[int, State]:
    """The weights at up to `most` epochs: those that a callback has kept, or found by training again.

    Errors: SettingError where there is neither.
    """
    job = run.job
    if job is None or not run.n_epochs:
        raise SettingError(
            "only a run of fit with at least one epoch can be shown epoch by epoch, not one loaded from a file"
        )
    kept = [callback for callback in job.settings.callbacks if isinstance(callback, Snapshots) and callback.states]
    if kept:
        states = {epoch: state for epoch, state in kept[-1].states.items() if epoch <= run.n_epochs}
        return {epoch: states[epoch] for epoch in thin(sorted(states), most)}
    return retrain(run, space_epochs(run.n_epochs, most))


def thin(epochs: Sequence[int], most: int) -> list[int]:
    """At most `most` of the epochs, evenly chosen, with the first and the last."""
    places = np.unique(np.linspace(0, len(epochs) - 1, min(most, len(epochs))).round().astype(int))
    return [epochs[place] for place in places]


def space_epochs(epochs: int, most: int) -> list[int]:
    """Epochs from 0 to the last, closer at the start, where weights change most.

    >>> space_epochs(100, 6), space_epochs(3, 6)
    ([0, 4, 16, 36, 64, 100], [0, 1, 2, 3])
    """
    if epochs < most:
        return list(range(epochs + 1))
    return sorted({round(epochs * (place / (most - 1)) ** 2) for place in range(most)} | {0, epochs})


def retrain(run: Run, epochs: Sequence[int]) -> dict[int, State]:
    """The weights at these epochs, by the same training from the same start. Errors: SettingError if it differs."""
    wanted, states = set(epochs), start_of(run)

    def keep(job: Any) -> None:
        if len(job.losses) in wanted:
            states[len(job.losses)] = all_numbers(job.model)

    again = fresh_job(run.job, run.n_epochs, keep)
    found = again_run(again, [epoch for epoch in epochs if epoch], states, compiled=run.compiled)
    same = len(found) >= run.n_epochs and np.allclose(found[: run.n_epochs], run.loss_curve, rtol=CLOSE, atol=1e-12)
    if not same:
        raise SettingError(
            "trained again from its start, this run gives other losses: it draws random numbers (dropout), its "
            "optimizer had taken steps before, or data or settings have changed since. Keep its weights as it trains: "
            "fit(..., callbacks=[tg.train.Snapshots()])"
        )
    return states


def start_of(run: Run) -> dict[int, State]:
    return {0: dict(run.job.start)}


def again_run(job: Job, epochs: Sequence[int], states: dict[int, State], compiled: bool) -> Array:
    """The losses of the run, in pieces that end at these epochs; L-BFGS, which cannot go on, in one with a callback."""
    with np.errstate(all="ignore"):
        if job.minimizer:
            return train_job(job, compiled).loss_curve
        job.settings = replace(job.settings, callbacks=())
        for epoch in epochs:
            job.settings = replace(job.settings, epochs=epoch)
            curve = train_job(job, compiled).loss_curve
            if len(curve) < epoch:
                return curve
            job.go_on()  # continues from the last weights even if those of the best epoch were restored
            states[epoch] = all_numbers(job.model)
    return curve


def fresh_job(job: Job, epochs: int, keep: Callable[[Any], None]) -> Job:
    """The job at its start, with a model and an optimizer of its own."""
    model, optimizer, minimizer = copy.deepcopy((job.model, job.optimizer, job.minimizer))
    model.load_state_dict(job.start)
    optimizer.t = [0] * len(optimizer.params)
    for part in optimizer.parts:
        part.schedule = part.schedule.anew()
    optimizer.begin()
    settings = replace(job.settings, epochs=epochs, callbacks=(keep,), progress=False)
    again = Job(model, optimizer, settings, job.data, job.held_out, job.loss, job.chances, minimizer, start=job.start)
    again.how = job.how  # the same way, because a program for fixed sizes rounds differently
    return again
