"""A forward that only plain arrays go through: fit and diagnose train it eagerly; fit_many says what it cannot do."""

import json

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu import clinic, nn, optim
from tinygrad_edu.data import moons
from tinygrad_edu.errors import ShapeError, TraceError

X, Y = moons(100, seed=0)


class Base(nn.Module):
    def __init__(self):
        self.a, self.b = nn.Linear(2, 3, rng=0), nn.Linear(3, 1, rng=1)

    def forward(self, x):
        return self.b(np.tanh(self.a(self.taken(x))))


def as_array(self, x):
    x = np.asarray(x, dtype=float)
    return x if x.shape else 0.0 * x


def rows(self, x):
    return np.array([list(row) for row in np.asarray(x)])


def fill(self, x):
    out = np.empty(x.shape)
    out[...] = x
    return out


TAKEN = {
    "lists": lambda self, x: np.array(x.tolist()),
    "json": lambda self, x: np.array(json.loads(json.dumps(x.tolist()))),
    "float": lambda self, x: x * float(x[0, 0] < 9.0) * float(np.mean(x) ** 0),
    "isfinite": lambda self, x: x if np.isfinite(np.asarray(x)).all() else 0.0 * x,
    "images": lambda self, x: np.array([list(r) for r in x]),
    "fill": fill,
}
TOO = {"as_array": as_array, "rows": rows}  # a program may have these, if not in every form


def kind_of(taken):
    return type("Own", (Base,), {"taken": taken})


@pytest.mark.parametrize("name", [*TAKEN, *TOO])
def test_what_cannot_be_compiled_is_trained_eagerly(name):
    model = kind_of({**TAKEN, **TOO}[name])()
    run = tg.fit(model, X, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.01), epochs=2, batch_size=50)
    assert clinic.diagnose(run, seeds=3, goal=1e9).healthy
    tg.lr_range_test(model, X, Y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.01))


@pytest.mark.parametrize("name", TAKEN)
def test_fit_many_says_what_cannot_be_compiled(name):
    kind = kind_of(TAKEN[name])
    with pytest.raises(TraceError):
        tg.fit_many(lambda seed: kind(), X, Y, loss="mse", optimizer="sgd", epochs=2, seeds=[0])


def test_an_error_of_the_model_itself_is_told_as_it_is():
    kind = kind_of(lambda self, x: np.asarray(x)[:, :1])
    with pytest.raises(ShapeError):
        tg.fit_many(lambda seed: kind(), X, Y, loss="mse", optimizer="sgd", epochs=2, seeds=[0])
