"""A learning rate of each layer's own is a choice, where the right gradient is made; a factor in a gradient is none."""

import numpy as np
import pytest

import tinygrad_edu as tg

RNG = np.random.default_rng(4)
X, T = RNG.normal(size=(12, 3)), RNG.normal(size=(12, 2))


class Net:
    """Two layers, trained by `update(net, name, gradient)`."""

    def __init__(self, update, tamper=lambda net, g: g):
        rng = np.random.default_rng(1)
        self.W1, self.b1 = 0.6 * rng.normal(size=(3, 5)), np.full(5, 0.1)
        self.W2, self.b2 = 0.6 * rng.normal(size=(5, 2)), np.zeros(2)
        self.update, self.tamper, self.slow = update, tamper, 0.013

    def output(self):
        self.h = np.tanh(X @ self.W1 + self.b1)
        return self.h @ self.W2 + self.b2

    def loss(self):
        return ((self.output() - T) ** 2).mean()

    def train(self):
        d2 = 2.0 * (self.output() - T) / T.size
        d1 = (d2 @ self.W2.T) * (1.0 - self.h**2)
        dW2, db2, dW1, db1 = self.h.T @ d2, d2.sum(0), X.T @ d1, d1.sum(0)
        dW2 = self.tamper(self, dW2)
        for name, gradient in (("W2", dW2), ("b2", db2), ("W1", dW1), ("b1", db1)):
            setattr(self, name, self.update(self, name, gradient))


def half(net, name, g):
    return getattr(net, name) - (0.05 / 2 if name[1] == "2" else 0.05) * g


def tenfold(net, name, g):
    return getattr(net, name) - (0.5 if name[1] == "2" else 0.05) * g


def held(net, name, g):
    return getattr(net, name) - (net.slow if name[1] == "1" else 0.05) * g


def biases(net, name, g):
    return getattr(net, name) - 0.05 * (2.0 * g if name[0] == "b" else g)


def same(net, name, g):
    return getattr(net, name) - 0.05 * g


def by_count(net, name, g):
    return getattr(net, name) - 0.05 * (g / len(X) if name == "W2" else g)


def uphill(net, name, g):
    return getattr(net, name) - (-0.025 if name[1] == "2" else 0.05) * g


def judge(net, lr):
    return tg.clinic.check_program(net, step=net.train, loss=net.loss, lr=lr)


@pytest.mark.parametrize("lr", [0.05, None])
@pytest.mark.parametrize("update", [half, tenfold, held], ids=lambda f: f.__name__)
def test_rates_of_their_own_are_right_and_told(update, lr):
    report = judge(Net(update), lr)
    assert report.ok
    assert "rates of their own" in report.note


def halved(net, g):
    return g / 2.0


@pytest.mark.parametrize(
    ("update", "tamper"),
    [(same, halved), (by_count, lambda net, g: g), (uphill, lambda net, g: g), (biases, lambda net, g: g)],
    ids=["halved", "by the count", "uphill", "biases"],
)
def test_a_factor_in_a_gradient_is_no_rate(update, tamper):
    assert not judge(Net(update, tamper), 0.05).ok
