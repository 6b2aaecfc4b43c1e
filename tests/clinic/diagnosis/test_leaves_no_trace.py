"""A diagnosis leaves models, generators and all that the user's code keeps as they were, and says the same twice."""

import itertools
import random
from collections import deque
from contextlib import suppress

import numpy as np
import pytest
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.pipeline import make_pipeline

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.data import moons
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.estimators import MLPRegressor
from tinygrad_edu.train import fit

pytestmark = pytest.mark.torch
torch = pytest.importorskip("torch")

X, Y = moons(16, seed=0)
LOG, COUNTS, OUTSIDE = [], {"n": 0}, np.random.default_rng(4)
calls = 0


class Kept:
    """An object of the user's, with slots."""

    __slots__ = ("n",)

    def __init__(self):
        self.n = 0


class Base(nn.Module):
    """Each kind below changes its state in forward, and its output depends on that."""

    shared = 0

    def __init__(self):
        self.a, self.b = nn.Linear(2, 3, rng=0), nn.Linear(3, 1, rng=1)
        self.rng, self.k, self.h, self.drawn = np.random.default_rng(6), 0, np.zeros(1), random.Random(3)
        self.log, self.counts, self.seen, self.last, self.own = [], {"n": 0}, set(), deque(maxlen=3), Kept()
        self.torch, self.old = torch.Generator(), np.random.RandomState(2)

    def forward(self, x):
        return self.b(np.tanh(self.a(x))) * (1.0 + 1e-3 * self.change())


def of_module(model):
    global calls
    calls += 1
    COUNTS["n"] += 1
    LOG.append(calls)
    Base.shared += 1
    return len(LOG) + COUNTS["n"] + calls + Base.shared


def of_itself(model):
    model.k += 1
    model.h += 1
    model.log.append(model.k)
    model.counts["n"] += 1
    model.seen.add(model.k)
    model.last.append(model.k)
    model.own.n += 1
    model.late = model.k  # an attribute that only forward makes
    return model.k + float(model.h[0]) + len(model.log) + len(model.seen) + model.own.n


def of_chance(model):
    drawn = model.rng.normal() + model.drawn.random() + model.old.random() + OUTSIDE.normal()
    return (
        drawn
        + np.random.normal()
        + random.random()
        + float(torch.rand(1))
        + float(torch.rand(1, generator=model.torch))
    )


def beside_what_cannot_be_put_back(model):
    next(model.endless)
    return of_itself(model) + of_module(model) + of_chance(model)


def by_closure():
    n, rng = 0, np.random.default_rng(5)

    def change(model):
        nonlocal n
        n += 1
        return n + rng.normal()

    change.now = lambda: (n, str(rng.bit_generator.state))
    return change


def now(model):
    """All that is to stay as it is."""
    rngs = [x.bit_generator.state for x in (model.rng, OUTSIDE)]
    old = [x.get_state()[1:3] for x in (model.old, np.random.mtrand._rand)]
    own = {key: str(x) for key, x in vars(model).items() if key not in ("rng", "old", "torch", "endless")}
    chance = model.drawn.getstate(), random.getstate(), torch.get_rng_state().tolist(), model.torch.get_state().tolist()
    return [str(x) for x in (rngs, old, own, model.own.n, LOG, COUNTS, calls, Base.shared, chance, model.change.now())]


CHANGES = (of_module, of_itself, of_chance, beside_what_cannot_be_put_back, by_closure())


def run_of(change, place):
    """A run in which a forward, a loss or a rate changes its state."""

    class Model(Base):
        pass

    def loss(outputs, targets):
        return ((outputs - targets) ** 2).mean() * (1.0 + 1e-3 * change(model))

    def rate(t):
        change(model)
        return 1e-3

    model = Model()
    Model.change = change if place == "forward" else (lambda model: 0.0)
    Model.change.now = getattr(change, "now", lambda: 0)
    if change is beside_what_cannot_be_put_back:
        model.endless = itertools.count()
    told = {"loss": loss if place == "loss" else "mse"}
    return fit(
        model, X, Y, optimizer=optim.SGD(model.parameters(), lr=rate if place == "rate" else 1e-3), epochs=2, **told
    )


@pytest.mark.parametrize("place", ["forward", "loss", "rate"])
@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_diagnose_leaves_everything_as_it_was(change, place):
    run = run_of(change, place)
    before = now(run.model)
    first = diagnose(run, seeds=3, goal=1e9)
    assert now(run.model) == before
    if change is not beside_what_cannot_be_put_back:
        assert diagnose(run, seeds=3, goal=1e9).summary == first.summary


def test_an_error_undoes_it_too():
    run = run_of(of_itself, "forward")
    before = now(run.model)
    with pytest.raises(Exception, match="goal"):
        diagnose(run, seeds=3, goal={"no such": 1.0})
    assert now(run.model) == before


LOOKS = {
    "report": lambda run, folder: tg.report(run, path=folder / "run.html", diagnosis=None),
    "animate": lambda run, folder: tg.animate(run, frames=2),
    "draw": lambda run, folder: tg.draw(run.model, inputs=X[:2]),
    "export": lambda run, folder: tg.export(run.model, folder / "run.onnx", X[:2]),
    "lr_range_test": lambda run, folder: tg.lr_range_test(
        run.model, X, Y, loss="mse", optimizer=optim.SGD(run.model.parameters(), lr=0.01)
    ),
}


@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("change", [of_itself, beside_what_cannot_be_put_back], ids=lambda change: change.__name__)
def test_whoever_only_looks_leaves_everything_as_it_was(change, look, tmp_path):
    run = run_of(change, "forward")
    before = now(run.model)
    with suppress(TinygradError):  # what is drawn at random cannot be trained again or exported
        LOOKS[look](run, tmp_path)
    assert now(run.model) == before


class Step(TransformerMixin, BaseEstimator):
    """A step of a pipeline that counts."""

    def fit(self, X, y=None):
        self.n = 0
        return self

    def transform(self, X):
        self.n += 1
        LOG.append(self.n)
        return np.asarray(X) + 1e-9 * np.random.normal()


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_steps_of_a_pipeline_and_modules_of_torch():
    piped = make_pipeline(Step(), MLPRegressor(hidden_layer_sizes=(3,), max_iter=2, random_state=0)).fit(X, Y.ravel())

    class Own(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.a, self.n = torch.nn.Linear(2, 1), 0
            self.register_buffer("total", torch.zeros(1))

        def forward(self, x):
            self.n += 1
            self.total += 1
            LOG.append(torch.rand(1))
            return self.a(x)

    module = Own()
    how = {"loss": torch.nn.MSELoss(), "optimizer": torch.optim.SGD(module.parameters(), lr=0.1), "epochs": 2}
    for trained, y, told, count in (
        (piped, Y.ravel(), {}, lambda: piped[0].n),
        (module, Y, how, lambda: (module.n, module.total.item())),
    ):
        before = count(), len(LOG), str(np.random.get_state()), torch.get_rng_state().tolist()
        diagnose(trained, X, y, seeds=3, goal=1e9, **told)
        assert (count(), len(LOG), str(np.random.get_state()), torch.get_rng_state().tolist()) == before
