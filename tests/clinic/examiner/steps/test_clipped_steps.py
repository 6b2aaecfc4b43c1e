"""Steps that clip their gradients before an optimizer gets them: right ones are right, a wrong gradient is wrong."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_program


def by_value(grads):
    for g in grads:
        np.clip(g, -0.7, 0.7, out=g)
    return grads


def by_numbers(grads):
    return [np.array([max(-0.7, min(0.7, x)) for x in g.ravel()]).reshape(g.shape) for g in grads]


def by_norm(grads, limit=1.5, small=0.0):
    norm = np.sqrt(sum((g**2).sum() for g in grads))
    return [g * min(1.0, limit / (norm + small)) for g in grads]


def as_pytorch(grads):
    return by_norm(grads, small=1e-6)


def by_own_norm(grads):
    return [g * min(1.0, 0.9 / np.linalg.norm(g)) for g in grads]


def by_value_and_norm(grads):
    return by_norm(by_value(grads))


def by_own_size(grads):
    return [g / max(1.0, np.abs(g).max()) for g in grads]


def momentum(m, v, g, t):
    m[...] = 0.9 * m + g
    return m


def adagrad(m, v, g, t):
    v[...] = v + g * g
    return g / (np.sqrt(v) + 1e-8)


def rmsprop(m, v, g, t):
    v[...] = 0.9 * v + 0.1 * g * g
    return g / (np.sqrt(v) + 1e-8)


def adam(m, v, g, t):
    m[...] = 0.9 * m + 0.1 * g
    v[...] = 0.999 * v + 0.001 * g * g
    return m / (1 - 0.9**t) / (np.sqrt(v / (1 - 0.999**t)) + 1e-8)


class Net:
    def __init__(self, clip, rule, start=0.0, slope=2):
        r = np.random.default_rng(3)
        self.clip, self.rule, self.slope, self.t = clip, rule, slope, 0
        self.W1, self.b1, self.W2 = r.normal(size=(4, 5)), np.zeros(5), r.normal(size=(5, 2))
        self.X, self.Y = r.normal(size=(8, 4)) * 2, r.normal(size=(8, 2)) * 3
        self.m = [np.zeros_like(p) for p in self.weights()]
        self.v = [np.full_like(p, start) for p in self.weights()]

    def weights(self):
        return self.W1, self.b1, self.W2

    def loss(self):
        return np.sum((np.tanh(self.X @ self.W1 + self.b1) @ self.W2 - self.Y) ** 2) / 8

    def step(self):
        h = np.tanh(self.X @ self.W1 + self.b1)
        d = 2 * (h @ self.W2 - self.Y) / 8
        dh = d @ self.W2.T * (1 - h**self.slope)
        grads = self.clip([self.X.T @ dh, dh.sum(0), h.T @ d])
        self.t += 1
        for p, g, m, v in zip(self.weights(), grads, self.m, self.v, strict=True):
            p -= 0.05 * self.rule(m, v, g, self.t)


RIGHT = [(by_value, adagrad, "clipped by value"), (by_numbers, momentum, "clipped by value"),
         (by_norm, rmsprop, "clipped to a norm"), (as_pytorch, momentum, "clipped to a norm"),
         (by_own_norm, rmsprop, "each gradient clipped to a norm"), (by_value, adam, "clipped by value"),
         (by_value_and_norm, momentum, "by value and then to a norm"),
         (by_own_size, adagrad, "largest entry")]  # fmt: skip


@pytest.mark.parametrize(("clip", "rule", "words"), RIGHT)
def test_a_right_step_may_clip_before_its_rule(clip, rule, words):
    net = Net(clip, rule)
    report = check_program(net, step=net.step, loss=net.loss, lr=0.05)
    assert report.ok
    assert f"The step is {rule.__name__}" in report.note
    assert words in report.note


def test_adagrad_may_begin_with_a_memory_and_clip():
    net = Net(by_value, adagrad, start=0.5)
    assert "adagrad" in check_program(net, step=net.step, loss=net.loss, lr=0.05).note


@pytest.mark.parametrize(("clip", "rule"), [(by_value, rmsprop), (by_norm, rmsprop)])
def test_a_wrong_gradient_before_a_clip_and_a_rule_is_wrong(clip, rule):
    net = Net(clip, rule, slope=1)
    report = check_program(net, step=net.step, loss=net.loss, lr=0.05)
    assert not report.ok
    assert report.places[0].source.startswith("dh = "), report


def test_the_first_step_of_adam_shows_no_sign_alone():
    """It is lr·sign(g), as of every step that takes the sign; the second one tells them apart."""
    odd = Net(lambda grads: grads, lambda m, v, g, t: adam(m, v, g, t) * (1.0 if t == 1 else 0.7 + 0.1 / t))
    codes = [slip.code for slip in check_program(odd, step=odd.step, loss=odd.loss, lr=0.05).slips]
    assert "gradient_sign_only" not in codes
