"""Two equal programs with equal seeds give equal runs, also where layers draw that were given no generator."""

import copy
import pickle
import random

import numpy as np
import pytest

from tinygrad_edu import fit, fit_many, nn
from tinygrad_edu.train import lr_range_test

X = np.random.default_rng(0).normal(size=(12, 4))
Y = np.tanh(X[:, :1])


class Own(nn.Module):
    """A class of the user's own with dropout in two places."""

    def __init__(self, p=0.4):
        self.first, self.last = nn.Linear(4, 8, rng=0), nn.Linear(8, 1, rng=1)
        self.drop, self.more = nn.Dropout(p), nn.Sequential(nn.Tanh(), nn.Dropout(p))

    def forward(self, x):
        return self.last(self.more(self.drop(self.first(x))))


class Attention(nn.Module):
    def __init__(self):
        self.layer, self.last = nn.TransformerEncoderLayer(4, 2, 8, dropout=0.3, rng=0), nn.Linear(4, 1, rng=1)
        self.layer.dropout.rng = nn.Dropout(0.3).rng  # as without rng=, where the weights would differ, too

    def forward(self, x):
        return self.last(self.layer(x.reshape(-1, 2, 4)).mean(axis=1))


MODELS = {"own": (Own, X), "attention": (Attention, np.concatenate([X, X[::-1]], axis=1))}


def train(model, x=X, seed=5, compiled=False, **more):
    settings = {"loss": "mse", "optimizer": "sgd", "epochs": 4, "batch_size": 5, "compiled": compiled} | more
    return fit(model, x, Y, seed=seed, **settings)


@pytest.mark.parametrize("kind", MODELS)
def test_equal_seeds_give_equal_runs_each_way(kind):
    make, x = MODELS[kind]
    nn.Dropout(0.5)(np.ones(7))  # other layers draw from the shared generator in between
    first = train(make(), x).loss_curve
    nn.Dropout(0.5)(np.ones(3))
    for compiled in (False, "auto", True):
        np.testing.assert_allclose(train(make(), x, compiled=compiled).loss_curve, first, rtol=1e-9)
    assert not np.allclose(train(make(), x, seed=6).loss_curve, first)


@pytest.mark.parametrize(
    "copied", [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model)), lambda model: model]
)
def test_a_copy_that_has_drawn_and_the_same_model_once_more(copied):
    model, start = Own(), Own().state_dict()
    first = train(model).loss_curve
    model.load_state_dict(start)
    model(X)
    assert train(copied(model)).loss_curve.tolist() == first.tolist()


def test_a_generator_that_was_given_goes_on():
    model, start = Own(), Own().state_dict()
    model.drop.rng = model.more[1].rng = np.random.default_rng(3)
    first = train(model).loss_curve
    model.load_state_dict(start)
    assert train(model).loss_curve.tolist() != first.tolist()


def test_two_layers_draw_different_numbers_and_a_resumed_run_goes_on(tmp_path):
    model = Own()
    whole = train(model, epochs=6)
    assert model.drop.rng.random() != model.more[1].rng.random()
    train(Own(), epochs=3).save(tmp_path / "run.st")
    assert train(Own(), epochs=6, resume_from=tmp_path / "run.st").loss_curve.tolist() == whole.loss_curve.tolist()
    assert train(Own(), epochs=3).resume(6).loss_curve.tolist() == whole.loss_curve.tolist()


def test_fit_many_and_the_range_test():
    settings = {"loss": "mse", "epochs": 4, "batch_size": 5}
    many = fit_many(lambda seed: Own(), X, Y, optimizer="sgd", seeds=[5, 6], **settings)
    np.testing.assert_allclose(many.loss_curves[0, 0], train(Own()).loss_curve, rtol=1e-9)
    tests = [lr_range_test(Own(), X, Y, loss="mse", steps=20, batch_size=5).losses for _ in range(2)]
    assert tests[0].tolist() == tests[1].tolist()


class Draws(nn.Module):
    def __init__(self, draw):
        self.layer, self.draw = nn.Linear(4, 1, rng=0), draw

    def forward(self, x):
        return self.layer(x) + 0.1 * self.draw()


DRAWS = {
    "np.random.seed(...)": np.random.rand,
    "random.seed(...)": random.random,
}


@pytest.mark.parametrize("name", DRAWS)
@pytest.mark.parametrize("where", ["forward", "callback"])
def test_draws_that_the_seed_does_not_set_are_told(name, where):
    words = f"; it drew from {name}, which seed= does not set: to repeat it, call {name} first"
    draw = DRAWS[name]
    model = Draws(draw if where == "forward" else float)
    run = train(model, callbacks=[lambda job: bool(draw() > 2.0)] if where == "callback" else [])
    assert words in run.how
    assert run.resume(6).how.count(words) == 1
    assert "drew" not in train(Draws(float), callbacks=[lambda job: None]).how
