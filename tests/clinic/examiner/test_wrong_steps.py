"""Steps that use right gradients wrongly: each is named, and the right step beside it is right."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_program


class Net:
    """A layer with biases that begin at 0; `update(net, p, g, m, v)` changes p."""

    def __init__(self, update, penalty=0.0, on_bias=0.0):
        r = np.random.default_rng(3)
        self.W, self.b, self.V = r.normal(size=(4, 5)) * 0.5, np.zeros(5), r.normal(size=(5, 2)) * 0.5
        self.X, self.Y = r.normal(size=(8, 4)), r.normal(size=(8, 2))
        self.update, self.penalty, self.on_bias, self.t = update, penalty, on_bias, 0
        self.m, self.v = ([np.zeros_like(p) for p in (self.W, self.b, self.V)] for _ in range(2))

    def loss(self):
        data = np.sum((np.tanh(self.X @ self.W + self.b) @ self.V - self.Y) ** 2) / 8
        return data + self.penalty / 2 * (np.sum(self.W**2) + np.sum(self.V**2))

    def step(self):
        h = np.tanh(self.X @ self.W + self.b)
        d = 2 * (h @ self.V - self.Y) / 8
        dh = d @ self.V.T * (1 - h * h)
        dW = self.X.T @ dh + self.penalty * self.W
        db = dh.sum(0) + self.on_bias * self.b
        dV = h.T @ d + self.penalty * self.V
        self.t += 1
        for p, g, m, v in zip((self.W, self.b, self.V), (dW, db, dV), self.m, self.v, strict=True):
            self.update(self, p, g, m, v)


def descent(net, p, g, m, v):
    p -= 0.05 * g


def decay(net, p, g, m, v):
    p -= 0.05 * (g + 0.1 * p)


def decay_uphill(net, p, g, m, v):
    p -= 0.05 * (g - 0.1 * p)


def decay_first_uphill(net, p, g, m, v):
    p *= 1.005
    p -= 0.05 * g


def adam(net, p, g, m, v, square=np.square, swap=False, pull=0.0):
    one, two = (0.999, 0.9) if swap else (0.9, 0.999)
    m[...] = 0.9 * m + 0.1 * g
    v[...] = 0.999 * v + 0.001 * square(g)
    p -= 0.05 * (m / (1 - one**net.t) / (np.sqrt(v / (1 - two**net.t)) + 1e-8) + pull * p)


def adam_of_sizes(net, p, g, m, v):
    adam(net, p, g, m, v, square=np.abs)


def adam_exchanged(net, p, g, m, v):
    adam(net, p, g, m, v, swap=True)


def adam_decay(net, p, g, m, v):
    adam(net, p, g, m, v, pull=0.01)


def adam_decay_uphill(net, p, g, m, v):
    adam(net, p, g, m, v, pull=-0.01)


def adam_counted_twice(net, p, g, m, v):
    net.t += 1
    adam(net, p, g, m, v)


def adam_of_average(net, p, g, m, v):
    adam(net, p, g, m, v, square=lambda _: m * m)


def momentum(net, p, g, m, v):
    m[...] = 0.9 * m + g
    p -= 0.05 * m


def momentum_turned(net, p, g, m, v):
    m[...] = g - 0.9 * m
    p -= 0.05 * m


def momentum_of_both(net, p, g, m, v):
    m[...] = 0.9 * (m + g)
    p -= 0.05 * m


def nesterov_of_gradient(net, p, g, m, v):
    m[...] = 0.9 * m + g
    p -= 0.05 * (m + 0.9 * g)


STEPS = {
    descent: "", decay: "", momentum: "", adam: "", adam_decay: "", decay_uphill: "weight_decay_uphill",
    decay_first_uphill: "weight_decay_uphill", adam_decay_uphill: "weight_decay_uphill",
    adam_of_sizes: "adam_without_square", adam_exchanged: "adam_bias_corrections_exchanged",
    adam_counted_twice: "adam_step_counted_twice", adam_of_average: "adam_square_of_average",
    momentum_turned: "momentum_velocity_turned", momentum_of_both: "momentum_of_the_gradient_too",
    nesterov_of_gradient: "nesterov_ahead_by_the_gradient",
}  # fmt: skip


@pytest.mark.parametrize("update", STEPS)
def test_a_wrong_step_is_named(update):
    net, code = Net(update), STEPS[update]
    report = check_program(net, step=net.step, loss=net.loss, lr=0.05)
    assert report.ok == (not code), report
    assert [slip.code for slip in report.slips] == ([code] if code else [])
    assert report.ok or (report.update_alone and report.places)


@pytest.mark.parametrize("on_bias", [0.0, 0.1])
def test_a_penalty_on_a_bias_that_begins_at_0_shows_in_the_second_step(on_bias):
    net = Net(descent, penalty=0.1, on_bias=on_bias)
    report = check_program(net, step=net.step, loss=net.loss, lr=0.05)
    assert report.ok == (not on_bias)
    if on_bias:
        assert report.slips[0].code == "regularisation_on_bias"
        assert report.places[0].source == "db = dh.sum(0) + self.on_bias * self.b"
        assert "The first step is right, the second is not" in report.note
