"""A run whose callbacks changed data, memory or what forward reads, in place, gives no program that trains."""

import copy
import dataclasses

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.errors import TraceError
from tinygrad_edu.nn import losses
from tinygrad_edu.train.changed import changed_by_callbacks

SEEN = []


class Own(nn.Module):
    """A module that reads a list and an array, and keeps a log that nothing reads."""

    def __init__(self):
        self.net, self.mask, self.factors, self.log = nn.MLP([4, 3, 1], seed=0), np.ones(4), [1.0], []

    def forward(self, x):
        return self.net(x * self.mask) * self.factors[0]


def train(callback, **settings):
    X = np.random.default_rng(0).normal(size=(6, 4))
    model = Own()
    sgd = optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    given = {"loss": "mse", "optimizer": sgd, "epochs": 3, "batch_size": 3, "compiled": False, **settings}
    return tg.fit(model, X, np.tanh(X[:, :1]), callbacks=[callback], **given)


def at(epoch, write):
    def callback(job):
        if len(job.losses) == epoch:
            write(job)

    return callback


WRITERS = {
    "X": lambda job: np.multiply(job.data[0], 0.5, out=job.data[0]),
    "other data": lambda job: setattr(job, "data", (job.data[0], -job.data[1])),
    "memory": lambda job: job.optimizer.memory[0][0].fill(0.0),
    "an array": lambda job: job.model.mask.put(0, 0.0),
    "a list": lambda job: job.model.factors.__setitem__(0, 3.0),
    "the loss": lambda job: setattr(job, "loss", losses.mae),
    "the settings": lambda job: setattr(job, "settings", dataclasses.replace(job.settings, clip_norm=0.1)),
    "a hook": lambda job: job.model.register_forward_hook(lambda m, x, y: y * 2.0),
    "another forward": lambda job: setattr(job.model, "forward", lambda x: job.model.net(x)),
}
READERS = {
    "look": lambda job: SEEN.append(job.losses[-1]),
    "a log": lambda job: job.model.log.append(job.losses[-1]),
    "draw": lambda job: SEEN.append(np.random.normal()),
    "answers": lambda job: SEEN.append(job.model(job.data[0]).data.sum()),
}


@pytest.mark.parametrize("writes", WRITERS)
def test_what_callbacks_wrote_in_place_is_noticed(writes, tmp_path):
    """In the run, after it goes on, in a copy of it, and in its file."""
    run = train(at(1, WRITERS[writes]))
    runs = [run, copy.deepcopy(run)]
    for each in runs:
        with pytest.raises(TraceError, match="callbacks of this run changed"):
            tg.export(each, tmp_path / "net.js")
    with pytest.raises(TraceError, match="callbacks of this run changed"):
        tg.export(run.resume(4), tmp_path / "net.js")


@pytest.mark.parametrize("reads", READERS)
def test_callbacks_that_look_are_not_in_the_way(reads, tmp_path):
    run = train(READERS[reads])
    for each in (run, copy.deepcopy(run)):
        tg.export(each, tmp_path / "net.js")


def test_the_file_of_the_run_says_so(tmp_path):
    path = tmp_path / "run.st"
    train(at(1, WRITERS["memory"])).save(path)
    assert changed_by_callbacks(train(lambda job: None, epochs=5, resume_from=path).job)
