"""Code that writes into its inputs, as `x -= x.mean()` in forward: training is the same, and the arrays stay."""

import functools

import numpy as np
import pytest

from tinygrad_edu import fit, fit_many, nn, optim, report
from tinygrad_edu.clinic import diagnose
from tinygrad_edu.train import accuracy, choose, fit_online, lr_range_test, one_minus_mae, train
from tinygrad_edu.train.own_code import runs_own_code

X = np.random.default_rng(0).normal(size=(20, 3))
Y = X[:, :1] * 2.0


def halve(x):
    if isinstance(x, np.ndarray):
        x *= 0.5  # into the array
        return x
    return x * 0.5


class Writing(nn.Module):
    def __init__(self, seed=0, writes=True):
        self.layer, self.writes = nn.Linear(3, 1, rng=seed), writes

    def forward(self, x):
        return self.layer(halve(x) if self.writes else x * 0.5)


class WritingElman(nn.Elman):
    writes = True

    def forward(self, x, state=None):
        return super().forward(halve(x) if self.writes else x * 0.5, state)


def mean_square(z, t, writes=True):
    if writes and isinstance(t, np.ndarray):
        t -= 0.1
    else:
        t = t - 0.1
    return np.mean((z - t) ** 2)


def fitted(settings, writes, X, Y, loss="mse"):
    model = Writing(writes=writes)
    optimizer = optim.LBFGS(model.parameters()) if settings.get("lbfgs") else optim.SGD(model.parameters(), lr=0.1)
    more = {k: x for k, x in settings.items() if k not in ("lbfgs", "held_out")}
    more |= {"validation": (X[:6], Y[:6])} if "held_out" in settings else {}
    run = fit(model, X, Y, loss=loss, optimizer=optimizer, epochs=4, **more)
    return np.concatenate([run.loss_curve, run.validation_curve, *map(np.ravel, model.state_dict().values())])


def online(writes, X, Y):
    model = WritingElman(3, 2, 1, seed=0)
    model.writes = writes
    return fit_online(model, X, Y, loss="mse", optimizer="sgd", epochs=2, steps=2).loss_curve


def by_hand(writes, X, Y):
    model = Writing(writes=writes)
    loss = lambda z, t: mean_square(z, t, writes)  # noqa: E731
    return train(model, X, Y, loss, optim.SGD(model.parameters(), lr=0.1), [slice(None), slice(3, 9)] * 3)


WAYS = {
    "eager": lambda w, X, Y: fitted({"compiled": False, "held_out": 1}, w, X, Y),
    "compiled": lambda w, X, Y: fitted({"compiled": True, "held_out": 1, "batch_size": 6}, w, X, Y),
    "auto": lambda w, X, Y: fitted({}, w, X, Y),
    "loss": lambda w, X, Y: fitted({"held_out": 1}, w, X, Y, lambda z, t: mean_square(z, t, w)),
    "L-BFGS": lambda w, X, Y: fitted({"lbfgs": True, "compiled": False}, w, X, Y),
    "many": lambda w, X, Y: (
        fit_many(lambda s: Writing(s, w), X, Y, loss="mse", optimizer="sgd", epochs=2, seeds=range(2)).predictions
    ),
    "range test": lambda w, X, Y: lr_range_test(Writing(writes=w), X, Y, loss="mse", steps=6).losses,
    "online": online,
    "train": by_hand,
    "accuracy": lambda w, X, Y: accuracy(Writing(writes=w), X, Y > 0.0),
    "mae": lambda w, X, Y: one_minus_mae(Writing(writes=w), X, Y),
}


@pytest.mark.parametrize("way", WAYS)
def test_training_is_the_same_and_the_arrays_stay(way, monkeypatch):
    monkeypatch.setattr(choose, "LOAD_SECONDS", 0.0)
    found = []
    for writes in (True, False):
        x, y = X.copy(), Y.copy()
        found.append(WAYS[way](writes, x, y))
        np.testing.assert_array_equal(x, X)
        np.testing.assert_array_equal(y, Y)
    np.testing.assert_allclose(*found, rtol=1e-9)


def hooked():
    model = nn.Linear(3, 1)
    model.register_forward_pre_hook(lambda module, inputs: None)
    return model


def replaced():
    model = nn.Linear(3, 1)
    model.forward = lambda x: x
    return model


@pytest.mark.parametrize(
    ("own", "model", "loss"),
    [
        (False, nn.MLP([3, 2, 1], norm="batch", dropout=0.1), nn.losses.mse),
        (False, nn.Sequential(nn.Linear(3, 2), nn.Tanh(), np.sin), None),
        (True, nn.Sequential(halve, nn.Linear(3, 2)), None),
        (True, nn.Sequential(nn.Sequential(Writing())), None),
        (True, nn.Linear(3, 1), mean_square),
        (True, hooked(), None),
        (True, replaced(), None),
        (True, lambda x: x, None),
    ],
)
def test_whether_code_of_ones_own_takes_part(own, model, loss):
    assert runs_own_code(model, loss) is own


class Halving:
    def __call__(self, x):
        return halve(x)

    def method(self, x):
        return halve(x)


LAYERS = {
    "function": halve,
    "partial": functools.partial(lambda x, by: halve(x), by=2),
    "object": Halving(),
    "method": Halving().method,
}


@pytest.mark.parametrize("kind", LAYERS)
def test_layers_that_are_no_modules(kind):
    model = nn.Sequential(LAYERS[kind], nn.Linear(3, 1, rng=0))
    assert runs_own_code(model)
    assert not runs_own_code(nn.Sequential(np.tanh, nn.Linear(3, 1, rng=0)))
    data = X.copy()
    run = fit(model, data, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=2, compiled=False)
    accuracy(model, data, np.sign(Y))
    np.testing.assert_array_equal(data, X)
    if kind == "object":
        diagnose(run, budget_s=2.0)
        np.testing.assert_array_equal(data, X)
        report(run)
        np.testing.assert_array_equal(data, X)
