"""A run with callbacks that keep something is resumed as the whole run, or says what began anew."""

import numpy as np
import pytest

from tinygrad_edu import fit, nn, optim
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train import Checkpoint

X = np.random.default_rng(0).normal(size=(12, 3))
COUNT = [0]


def scale(job, factor=0.9):
    for p in job.model.parameters():
        p.data = factor * p.data


class Counts:
    """The weights become smaller by how often it was called."""

    def __init__(self, every=1):
        self.calls, self.every, self.history, self.best, self.last = 0, every, [], {"loss": np.inf}, (0, 0)

    def __call__(self, job):
        self.calls += 1
        self.history.append(job.losses[-1])
        self.best["loss"] = min(self.best["loss"], np.float64(job.losses[-1]))
        self.last = (self.calls, self.last[0])
        scale(job, 1.0 - 0.01 * (self.calls + self.last[1] + len(self.history)) // self.every)

    def stop(self, job):
        """Early stopping by hand."""
        self.calls += 1
        return self.calls > 4


def count(job):
    COUNT[0] += 1
    scale(job, 1.0 - 0.01 * COUNT[0])


def closure():
    calls = 0

    def counts(job):
        nonlocal calls
        calls += 1
        scale(job, 1.0 - 0.01 * calls)

    return counts


def train(callbacks, epochs, start=None, compiled=False):
    model = nn.MLP([3, 4, 1], seed=0)
    rule = optim.SGD(model.parameters(), lr=0.1)
    settings = {"loss": "mse", "optimizer": rule, "epochs": epochs, "batch_size": 5, "compiled": compiled}
    return fit(model, X, np.tanh(X[:, :1]), callbacks=callbacks, resume_from=start, **settings)


KINDS = {
    "function": lambda: scale,
    "object": Counts,
    "method": lambda: Counts().stop,
}


@pytest.mark.parametrize("place", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_the_resumed_run_is_the_whole_one(kind, place, tmp_path):
    """Also where a callback runs before the one that saves: it is not called again for the same epoch."""
    path = tmp_path / "run.st"

    def callbacks():
        found = [KINDS[kind](), scale]
        found.insert(place, Checkpoint(path))
        return found

    whole = train(callbacks(), 7)
    train(callbacks(), 3)
    resumed = train(callbacks(), 7, path)
    assert resumed.loss_curve.tolist() == whole.loss_curve.tolist()
    assert "began anew" not in resumed.how


def test_a_setting_of_a_callback_that_the_run_has_not_changed_stays_the_new_one(tmp_path):
    path = tmp_path / "run.st"
    train([Counts()], 3).save(path)
    counts = Counts(every=2)
    history = counts.history
    train([counts], 5, path)
    assert (counts.every, counts.calls, len(history)) == (2, 5, 5)


class Mean:
    """An average of the weights, as one array that is written in place."""

    def __init__(self):
        self.mean = np.zeros(4)

    def __call__(self, job):
        self.mean *= 0.9
        self.mean += 0.1 * job.model.layers[0].bias.data


class Noise:
    """Noise from a generator of its own."""

    def __init__(self):
        self.rng = np.random.default_rng(0)

    def __call__(self, job):
        job.model.layers[0].bias.array += self.rng.normal(scale=1e-3, size=4)


NOT_HELD = [(lambda: count, "COUNT"), (closure, "calls"), (Mean, "[0].mean"), (Noise, "[0].rng")]


@pytest.mark.parametrize(("make", "name"), NOT_HELD)
def test_what_a_file_does_not_hold_is_told(make, name, tmp_path):
    path = tmp_path / "run.st"
    train([make()], 3).save(path)
    assert f"what callbacks keep in {name} began anew" in train([make()], 5, path).how


@pytest.mark.parametrize("way", ["closure", "attribute"])
def test_the_model_that_a_callback_knows_is_nothing_of_its_own(way, tmp_path):
    """It looks at the model in evaluation mode, which changes attributes of the model."""

    class Keeps(nn.Module):
        def __init__(self):
            self.layer = nn.Linear(3, 1, rng=0)

        def forward(self, x):
            self.last = self.layer(x)
            return self.last

    class Looks:
        def __init__(self, model):
            self.model = model

        def __call__(self, job):
            self.model.eval()
            self.model(X)
            self.model.train()

    def resume(epochs, start=None):
        model = Keeps()
        callback = Looks(model)

        def look(job):
            model.eval()
            model(X)
            model.train()

        settings = {"loss": "mse", "optimizer": "sgd", "epochs": epochs, "compiled": False, "resume_from": start}
        return fit(model, X, X[:, :1], callbacks=[callback if way == "attribute" else look], **settings)

    resume(2).save(tmp_path / "run.st")
    assert "began anew" not in resume(4, tmp_path / "run.st").how


def freeze(job):
    if len(job.losses) == 2:
        job.model.layers[0].weight.requires_grad = False


def test_a_layer_that_a_callback_has_frozen_stays_so(tmp_path):
    """The resumed run trained it again, without a word: the callback did it in an earlier epoch."""
    path = tmp_path / "run.st"
    whole = train([freeze, Checkpoint(path)], 7)
    train([freeze, Checkpoint(path)], 4)
    resumed = train([freeze, Checkpoint(path)], 7, path)
    assert resumed.loss_curve.tolist() == whole.loss_curve.tolist()
    assert not resumed.model.layers[0].weight.requires_grad


def test_other_frozen_layers_than_those_of_the_run_are_refused(tmp_path):
    def begin(frozen, epochs, start=None):
        model = nn.MLP([3, 4, 1], seed=0)
        rule = optim.SGD(model.parameters(), lr=0.1)  # it holds all of them
        model.layers[frozen].bias.requires_grad = False
        settings = {"loss": "mse", "optimizer": rule, "epochs": epochs, "compiled": False, "resume_from": start}
        return fit(model, X, np.tanh(X[:, :1]), **settings)

    path = tmp_path / "run.st"
    begin(0, 2).save(path)
    assert begin(0, 4, path).loss_curve.tolist() == begin(0, 4).loss_curve.tolist()
    with pytest.raises(SettingError, match=r"requires_grad of layers\.0\.bias .* was False and is True now"):
        begin(1, 4, path)
