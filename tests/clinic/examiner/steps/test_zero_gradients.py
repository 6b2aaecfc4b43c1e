"""A gradient that comes out as 0 in layers that all call theirs dW; a layer that is frozen; a step that makes NaN."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import ExaminerError

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(8, 3)), RNG.normal(size=(8, 2))


class Dense:
    def __init__(self, inputs, outputs, in_place):
        rng = np.random.default_rng(inputs)
        self.W, self.b, self.in_place = rng.normal(size=(inputs, outputs)), np.full(outputs, 0.1), in_place

    def forward(self, a):
        self.a = a
        return a @ self.W + self.b

    def clear(self):
        self.dW, self.db = np.zeros_like(self.W), np.zeros_like(self.b)

    def backward(self, d, factor):
        self.dW, self.db = self.a.T @ d, d.sum(0)
        return d @ self.W.T * factor

    def update(self):
        if self.in_place:
            self.W -= 0.1 * self.dW
            self.b -= 0.1 * self.db
        else:
            self.W, self.b = self.W - 0.1 * self.dW, self.b - 0.1 * self.db


class Net:
    """Two layers; the delta between them may be lost, or the first one be frozen."""

    def __init__(self, in_place, factor, frozen=False):
        self.layers = [Dense(3, 4, in_place), Dense(4, 2, in_place)]
        self.factor, self.frozen = factor, frozen

    def output(self):
        self.h = np.tanh(self.layers[0].forward(X))
        return self.layers[1].forward(self.h)

    def loss(self):
        return ((self.output() - T) ** 2).mean()

    def train(self):
        for layer in self.layers:
            layer.clear()
        d = self.layers[1].backward(2.0 * (self.output() - T) / T.size, self.factor)
        if not self.frozen:
            self.layers[0].backward(d * (1.0 - self.h**2), self.factor)
        for layer in self.layers:
            layer.update()


@pytest.mark.parametrize("in_place", [True, False])
def test_a_gradient_that_comes_out_as_0_is_no_frozen_layer(in_place):
    lost, frozen, right = (Net(in_place, *x) for x in ((0.0,), (1.0, True), (1.0,)))
    report = tg.clinic.check_program(lost, step=lost.train, loss=lost.loss, lr=0.1)
    assert {*report.wrong} == {"lost.layers[0].W", "lost.layers[0].b"}
    assert "delta_not_propagated" in str(report)
    report = tg.clinic.check_program(frozen, step=frozen.train, loss=frozen.loss, lr=0.1)
    assert report.ok
    assert "right if you keep them fixed" in report.note
    assert tg.clinic.check_program(right, step=right.train, loss=right.loss, lr=0.1).ok


def test_a_step_that_makes_nan_is_told_so():
    net = {"w": np.ones(3), "v": np.zeros(3)}

    def step():
        g = 2.0 * X.T @ (X @ net["w"] - T[:, 0]) / len(X)
        net["v"] = -(g**2)
        net["w"] = net["w"] - 0.1 * g / np.sqrt(net["v"])

    with np.errstate(all="ignore"), pytest.raises(ExaminerError, match="makes NaN or infinity of w"):
        tg.clinic.check_program(net, step=step, loss=lambda: ((X @ net["w"] - T[:, 0]) ** 2).mean(), lr=0.1)
