"""Ctrl-C among the callbacks of an epoch: those that had run are undone with it, and run once more when it goes on."""

import sys
from dataclasses import replace

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.optim import lr_scheduler

X = np.random.default_rng(0).normal(size=(12, 3))


class Counts:
    """The weights become smaller by what it keeps."""

    def __init__(self):
        self.calls, self.history, self.best = 0, [], {"calls": 0}

    def __call__(self, job):
        self.calls += 1
        self.history.append(job.losses[-1])
        self.best["calls"] = self.last = self.calls
        job.model.layers[0].weight.data *= 1.0 - 0.01 * (self.calls + len(self.history) + self.best["calls"])


def scheduled(optimizer):
    scheduler = lr_scheduler.StepLR(optimizer, 3, gamma=0.5)
    return lambda job: scheduler.step()


def widen(job):
    if len(job.losses) in (2, 4):
        job.batch_size += 1


def clip(job):
    job.settings = replace(job.settings, clip_norm=1.0 / len(job.losses))


def counting(optimizer):
    calls = 0

    def shrink(job):
        nonlocal calls
        calls += 1
        job.model.layers[0].weight.data *= 1.0 - 0.01 * calls

    return shrink


def drawing(optimizer):
    rng = np.random.default_rng(0)
    return lambda job: job.model.layers[0].weight.assign(job.model.layers[0].weight.array * rng.uniform(0.9, 1.0))


def averaging(optimizer):
    mean = np.zeros((4, 3))

    def average(job):
        mean[:] = 0.5 * mean + 0.5 * job.model.layers[0].weight.array
        job.model.layers[0].weight.data = mean.copy()

    return average


def other_data(job):
    job.data = (0.9 * job.data[0], job.data[1])


def data_in_place(job):
    job.data[0][:] *= 0.9


KINDS = {
    "a variable": counting,
    "a generator": drawing,
    "an array": averaging,
    "other data": lambda optimizer: other_data,
    "data in place": lambda optimizer: data_in_place,
    "scheduler": scheduled,
    "object": lambda optimizer: Counts(),
    "method": lambda optimizer: Counts().__call__,
    "batch size": lambda optimizer: widen,
    "settings": lambda optimizer: clip,
}


def train(kind, error=None, compiled=False):
    model = nn.MLP([3, 4, 1], seed=0)
    rule = optim.SGD(model.parameters(), lr=0.2)

    def interrupt(job):
        if error is not None and len(job.losses) == 4 and not interrupt.raised:
            interrupt.raised = True
            raise error

    interrupt.raised = False  # not in a list of the closure, which would be undone with the epoch

    settings = {"loss": "mse", "optimizer": rule, "epochs": 8, "batch_size": 5, "compiled": compiled}
    return fit(model, X.copy(), np.tanh(X[:, :1]), callbacks=[KINDS[kind](rule), interrupt], **settings)


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("kind", KINDS)
def test_the_run_goes_on_as_if_nothing_had_been(kind, compiled):
    whole = train(kind, compiled=compiled)
    paused = train(kind, KeyboardInterrupt(), compiled)
    assert paused.n_epochs in (3, 4)  # 4 where the callbacks had not written to the model yet
    again = paused.resume(8)
    np.testing.assert_allclose(again.loss_curve, whole.loss_curve, rtol=1e-12)
    assert (again.job.sizes, again.job.optimizer.lr) == (whole.job.sizes, whole.job.optimizer.lr)


def moments(cut_at):
    """The run, interrupted at the cut_at-th call that notes an epoch; and how many such calls there are."""
    count = 0

    def look(frame, event, argument):
        nonlocal count
        if event == "call" and frame.f_code.co_filename.endswith("last_whole.py"):
            count += 1
            if count == cut_at:
                sys.setprofile(None)
                raise KeyboardInterrupt

    model, rng = nn.MLP([3, 4, 1], seed=0), np.random.default_rng(0)
    settings = {"loss": "mse", "optimizer": "sgd", "epochs": 4, "compiled": False}
    callback = lambda job: model.layers[0].weight.assign(model.layers[0].weight.array * rng.uniform(0.9, 1.0))  # noqa: E731
    before = sys.getprofile()
    sys.setprofile(look)
    try:
        return fit(model, X, X[:, :1], callbacks=[callback], **settings), count
    finally:
        sys.setprofile(before)


def test_between_the_callbacks_and_the_note_that_an_epoch_is_whole():
    """What the callbacks kept went on while the epoch was undone, where Ctrl-C came between the two."""
    whole, count = moments(0)
    assert count > 15
    for cut_at in range(4, count + 1):
        paused, _ = moments(cut_at)
        again = paused.resume(4) if paused.n_epochs < 4 else paused
        np.testing.assert_allclose(again.loss_curve, whole.loss_curve, rtol=1e-12, err_msg=str(cut_at))
