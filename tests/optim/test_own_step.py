"""Optimizers of one's own that are written as in PyTorch: a class with __init__ and step alone."""

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.errors import OperandError, SettingError, TraceError

X, Y = tg.data.moons(40, seed=0)


class InState(tg.optim.Optimizer):
    """PyTorch's form: defaults in a dict, groups, and memory in self.state[p]."""

    def __init__(self, params, lr=0.01, beta=0.9):
        super().__init__(params, {"lr": lr, "beta": beta})

    def step(self, closure=None):
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is not None:
                    state = self.state[p]
                    state["v"] = group["beta"] * state.get("v", 0.0) + p.grad
                    p.data = p.data - group["lr"] * state["v"]


class InAttribute(tg.optim.Optimizer):
    def __init__(self, params, lr=0.01):
        super().__init__(params, lr)
        self.v = {}

    def step(self):
        for i, p in enumerate(self.params):
            if p.grad is not None:
                self.v[i] = 0.9 * self.v.get(i, 0.0) + p.grad
                p.data -= self.lr * self.v[i]


class Neither(tg.optim.Optimizer):
    pass


def curve(make, epochs=6, **options):
    model = tg.nn.MLP([2, 4, 1], seed=0)
    return tg.fit(model, X, Y, loss="mse", optimizer=make(model.parameters()), epochs=epochs, **options)


@pytest.mark.parametrize("kind", [InState, InAttribute])
def test_it_trains_as_the_rule_does(kind):
    expected = curve(lambda p: tg.optim.SGD(p, 0.01, 0.9), compiled=False).loss_curve
    np.testing.assert_allclose(curve(kind).loss_curve, expected, rtol=1e-12)
    half = curve(kind, epochs=3)
    np.testing.assert_allclose(half.resume(6).loss_curve, expected, rtol=1e-12)
    with pytest.raises(TraceError, match="a step of its own"):
        curve(kind, compiled=True)


def test_its_steps_count_for_schedules_and_groups():
    w, u = tg.Value(3.0), tg.Value(3.0)
    optimizer = InState([{"params": [w], "lr": 0.5}, {"params": [u]}], lr=tg.optim.schedules.inverse_time(0.01))
    for _ in range(2):
        optimizer.zero_grad()
        ((w - 1.0) ** 2 + (u - 1.0) ** 2).backward()
        optimizer.step()
    assert (optimizer.steps, w.data, u.data) == (2, pytest.approx(-0.8), pytest.approx(2.9224))


def test_what_is_missing_is_said():
    w = [tg.Value(1.0)]
    for kind in (Neither, tg.optim.Optimizer):
        with pytest.raises(OperandError, match=r"needs step\(self, closure=None\).*or rule = staticmethod\(f\)"):
            kind(w, lr=0.1)
    with pytest.raises(SettingError, match="a step of its own, which decides where it goes"):
        InState(w, maximize=True)
    with pytest.raises(SettingError, match=r"optimizer\.state is a method here"):
        tg.optim.Adam(w).state[w[0]]


@pytest.mark.parametrize("kind", [tg.optim.Adam, tg.optim.SGD, InState])
def test_without_parameters_it_is_said_what_to_write(kind):
    with pytest.raises(OperandError, match=r"needs the parameters first: \w+\(model.parameters\(\), lr=0.1\)"):
        kind(lr=0.1)


def test_one_epoch_is_one():
    assert "Run of 1 epoch, loss" in repr(curve(InState, epochs=1))
    assert "1 epoch done; eager: 1 step," in repr(curve(InState, epochs=1))
