"""Ctrl-C within an epoch: what the user's model and loss keep in Python is as after the last whole epoch, too."""

import copy

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import fit, nn, optim

X = np.random.default_rng(0).normal(size=(12, 3))
COUNT = [0]


class Base(nn.Module):
    interrupt_at = 0  # the number of the call of forward that is interrupted
    calls = 0

    def __init__(self):
        self.first, self.last = nn.Linear(3, 4, rng=1), nn.Linear(4, 1, rng=2)
        self.start()

    def start(self):
        """What it keeps besides."""

    def forward(self, x):
        found = self.last(self.change(np.tanh(self.first(x))))
        Base.calls += 1
        if Base.calls == Base.interrupt_at:
            raise KeyboardInterrupt
        return found


class State(Base):
    def start(self):
        self.h = np.zeros(4)

    def change(self, h):
        h = h + self.h
        self.h = 0.5 * h.detach().array.mean(0)
        return h


class InPlace(State):
    def change(self, h):
        h = h + self.h.copy()
        self.h[:] = 0.5 * h.detach().array.mean(0)
        return h


class Grows(Base):
    def start(self):
        self.log = []

    def change(self, h):
        self.log.append(0.1)
        return h * (1.0 + sum(self.log))


class Nested(Base):
    def start(self):
        self.kept = {"deep": [[0]]}

    def change(self, h):
        self.kept["deep"][0][0] += 1
        return h * (1.0 + 0.1 * self.kept["deep"][0][0])


class Global(Base):
    def start(self):
        COUNT[0] = 0

    def change(self, h):
        COUNT[0] += 1
        return h * (1.0 + 0.1 * COUNT[0])


class Draws(Base):
    def start(self):
        self.rngs = [np.random.default_rng(0)]

    def change(self, h):
        return h * self.rngs[0].uniform(0.5, 1.5)


class Replaces(Base):
    """A layer of another width, for good."""

    def change(self, h):
        self.count = getattr(self, "count", 0) + 1
        if self.count == 11:
            self.last = nn.Linear(4, 1, rng=3)
        return h


class CountingLoss:
    def __init__(self):
        self.calls = 0

    def __call__(self, output, y):
        self.calls += 1
        return ((output - y) ** 2).mean() * (1.0 + 0.1 * self.calls)


class OwnParameter(nn.Module):
    def __init__(self):
        self.log_scale = tg.Tensor(np.zeros(1), requires_grad=True)

    def forward(self, output, y):
        return (((output - y) ** 2).mean() * np.exp(-self.log_scale) + self.log_scale).sum()


MODELS = {model.__name__: model for model in (State, InPlace, Grows, Nested, Global, Draws, Replaces)}
LOSSES = {"CountingLoss": CountingLoss, "OwnParameter": OwnParameter}
KINDS = {**{name: (model, lambda: "mse") for name, model in MODELS.items()}}
KINDS |= {name: (lambda: nn.MLP([3, 4, 1], seed=0), loss) for name, loss in LOSSES.items()}


def train(kind, epochs, interrupt_at=0, path=None):
    make, loss_of = KINDS[kind]
    model, loss = make(), loss_of()
    Base.calls, Base.interrupt_at = 0, interrupt_at
    params = [*model.parameters(), *(loss.parameters() if isinstance(loss, nn.Module) else [])]
    settings = {"optimizer": optim.Adam(params, lr=0.05), "batch_size": 4, "compiled": False, "resume_from": path}
    return fit(model, X, np.tanh(X[:, :1]), loss=loss, epochs=epochs, **settings)


@pytest.mark.parametrize("kind", MODELS)
def test_the_run_goes_on_as_if_nothing_had_been(kind):
    whole = train(kind, 6)
    before, calls = train(kind, 3), Base.calls
    paused = train(kind, 6, interrupt_at=calls + 2)
    assert (paused.n_epochs, before.n_epochs) == (3, 3)
    Base.interrupt_at = 0
    np.testing.assert_array_equal(paused.resume(6).loss_curve, whole.loss_curve)


def test_a_counter_of_the_loss_and_callbacks():
    def cut(job):
        if len(job.losses) == 3 and not cut.done:
            cut.done = True
            job.model.layers[0].weight.data *= 1.0
            raise KeyboardInterrupt

    for cut.done in (True, False):
        model = nn.MLP([3, 4, 1], seed=0)
        settings = {"optimizer": "adam", "epochs": 6, "batch_size": 4, "compiled": False, "callbacks": [cut]}
        run = fit(model, X, X[:, :1], loss=CountingLoss(), **settings)
        if cut.done and run.n_epochs == 6:
            whole = run
    np.testing.assert_array_equal(run.resume(6).loss_curve, whole.loss_curve)


def test_a_file_holds_the_parameters_of_the_loss(tmp_path):
    whole = train("OwnParameter", 6)
    train("OwnParameter", 3).save(tmp_path / "run.st")
    np.testing.assert_array_equal(train("OwnParameter", 6, path=tmp_path / "run.st").loss_curve, whole.loss_curve)


def evaluate(job):
    job.model.eval()


@pytest.mark.parametrize("way", ["process", "file"])
def test_a_model_that_a_callback_leaves_in_evaluation_mode_stays_so_and_is_told(way, tmp_path):
    def run(epochs, path=None):
        layers = nn.Linear(3, 4, rng=1), nn.BatchNorm(4), nn.Dropout(0.2, rng=np.random.default_rng(0))
        model = nn.Sequential(*layers, nn.Linear(4, 1, rng=2))
        settings = {"optimizer": "sgd", "callbacks": [evaluate], "compiled": False, "resume_from": path}
        return fit(model, X, X[:, :1], loss="mse", epochs=epochs, **settings)

    whole, half = run(6), run(3)
    half.save(tmp_path / "run.st")
    again = half.resume(6) if way == "process" else run(6, tmp_path / "run.st")
    np.testing.assert_allclose(again.loss_curve, whole.loss_curve, rtol=1e-12)
    assert "a callback left the model in evaluation mode" in whole.how
    assert all(module.training for module in again.model.modules())


def scheduled(optimizer):
    scheduler = optim.lr_scheduler.StepLR(optimizer, 1, gamma=0.5)
    return lambda job: scheduler.step()


def penalty(model):
    return lambda output, y: ((output - y) ** 2).mean() + (model.layers[0].weight ** 2).sum()


@pytest.mark.parametrize("what", ["the loss", "a callback"])
def test_a_copy_of_a_run_does_not_go_on_with_the_first_model(what):
    model = nn.MLP([3, 4, 1], seed=0)
    rule = optim.SGD(model.parameters(), lr=0.1)
    loss, callbacks = (penalty(model), []) if what == "the loss" else ("mse", [scheduled(rule)])
    run = fit(model, X, X[:, :1], loss=loss, optimizer=rule, epochs=2, callbacks=callbacks, compiled=False)
    with pytest.raises(tg.errors.SettingError, match=f"this run is a copy, .* {what} knows"):
        copy.deepcopy(run).resume(4)
    assert run.resume(4).n_epochs == 4


def test_a_file_is_refused_where_a_callback_has_replaced_a_weight_that_the_optimizer_held(tmp_path):
    def replace(job):
        if len(job.losses) == 2:
            job.model.layers[0].weight = tg.Tensor(job.model.layers[0].weight.array, requires_grad=True)

    def run(epochs, path=None):
        settings = {"optimizer": "adam", "callbacks": [replace], "compiled": False, "resume_from": path}
        return fit(nn.MLP([3, 4, 1], seed=0), X, X[:, :1], loss="mse", epochs=epochs, **settings)

    half = run(3)
    half.save(tmp_path / "run.st")
    with pytest.raises(tg.errors.SettingError, match=r"did not hold layers.0.weight .* and does hold it now"):
        run(5, tmp_path / "run.st")
    np.testing.assert_array_equal(half.resume(5).loss_curve, run(5).loss_curve)


def test_a_parameter_that_a_callback_adds_after_the_best_epoch_does_not_end_the_run_in_an_error():
    def grow(job):
        job.optimizer.lr = 2.0
        job.model.extra = tg.Tensor(np.ones(2), requires_grad=True)

    settings = {"optimizer": "sgd", "callbacks": [grow], "validation": 0.25, "patience": 2, "compiled": False}
    run = fit(nn.MLP([3, 4, 1], seed=0), X, np.tanh(X[:, :1]), loss="mse", epochs=9, **settings)
    assert "a callback has given the model other parameters since epoch 1" in run.stop_reason
