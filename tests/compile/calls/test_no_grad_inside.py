"""no_grad inside a function that is traced: what is computed in it has no gradient, as it has none eagerly."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tests.compile.programs import without_numba
from tinygrad_edu import nn, optim
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import TraceError

X = np.array([0.5, -1.0, 2.0])


def in_block(x):
    h = x * 2.0
    with tg.no_grad():
        scale = np.sum(h * h)
    return np.sum(h / scale)


@tg.no_grad()
def largest(h):
    return np.max(h, axis=0, keepdims=True)


def decorated(x):
    return np.sum(np.exp(x - largest(x)) * x)


def whole(x):
    with tg.no_grad():
        y = np.sum(x * x)
    return y + 0.0 * np.sum(x)


def a_gradient(x):
    with tg.no_grad():
        step = tg.grad(lambda z: np.sum(np.tanh(z) ** 2))(x)
    return np.sum(step * x)


def samples(x):
    with tg.no_grad():
        y = tg.vmap(lambda each: np.tanh(each) * each)(x)
    return np.sum(y * x)


def a_loop(x):
    with tg.no_grad():
        h, _ = tg.scan(lambda h, t: (np.tanh(h + x * t), h), np.zeros(3), np.arange(5.0))
    return np.sum(h * x)


def indexed(x):
    with tg.no_grad():
        part, product, joined = x[[2, 0]], x @ x, np.concatenate([x, x])
    return np.sum(x) * (np.sum(part) + product + np.sum(joined))


def switched_on_again(x):
    with tg.no_grad():
        inner = tg.grad(lambda z: np.sum(z**3))(x)  # grad records, whatever the mode outside
    return np.sum(inner * inner * x)


FUNCTIONS = [in_block, decorated, whole, a_gradient, samples, a_loop, indexed, switched_on_again]
WAYS = {
    "compiled": lambda f: tg.jit(f).value_and_grad(X)[1],
    "a gradient of compiled": lambda f: tg.grad(tg.jit(f))(X),
    "a compiled gradient": lambda f: tg.jit(lambda x: tg.grad(f)(x))(X),
    "for each sample": lambda f: tg.vmap(tg.grad(f))(X[None])[0],
    "compiled for each sample": lambda f: tg.jit(lambda x: tg.vmap(tg.grad(f))(x))(X[None])[0],
    "a second derivative": lambda f: tg.jit(lambda x: tg.grad(lambda z: np.sum(tg.grad(f)(z)))(x))(X),
}


@pytest.mark.parametrize("f", FUNCTIONS)
@pytest.mark.parametrize("way", WAYS)
def test_as_eagerly(way, f):
    with without_numba():
        wanted = tg.grad((lambda z: np.sum(tg.grad(f)(z))) if way == "a second derivative" else f)(X)
        np.testing.assert_allclose(WAYS[way](f), wanted, rtol=1e-10, atol=1e-12)
    assert MODES.recording


def test_numbers_alone():
    def f(a):
        with tg.no_grad():
            s = a * a
        return a * s

    with without_numba():
        assert tg.jit(f).value_and_grad(3.0) == (27.0, 9.0)


class Scaled(nn.Module):
    def __init__(self):
        self.a, self.norm, self.o = nn.Linear(2, 3, rng=0), nn.BatchNorm(3), nn.Linear(3, 1, rng=1)
        self.again = False

    def forward(self, x):
        h = self.norm(self.a(x))
        with tg.no_grad():
            scale = np.mean(np.abs(h)) + 1.0
        return self.o(self.norm(h) if self.again else h / scale)


@pytest.mark.slow
@pytest.mark.parametrize("again", [False, True])
def test_training(again):
    """`again`: BatchNorm that forward uses twice is not compiled, and says why."""
    x, curves = np.random.default_rng(0).normal(size=(12, 2)), []
    for compiled in (False, True):
        model = Scaled()
        model.again = again
        given = {"loss": "mse", "optimizer": optim.SGD(model.parameters(), lr=0.1), "epochs": 3, "compiled": compiled}
        with without_numba():
            if again and compiled:
                with pytest.raises(TraceError, match="uses twice"):
                    tg.fit(model, x, x[:, :1], **given)
            else:
                curves.append(tg.fit(model, x, x[:, :1], **given).loss_curve)
    np.testing.assert_allclose(curves[0], curves[-1], rtol=1e-10)
