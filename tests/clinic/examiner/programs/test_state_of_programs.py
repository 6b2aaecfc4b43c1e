"""What the loss alone writes is state, such as what a recurrent net begins with or a layer keeps: no parameter."""

import importlib
import importlib.util
import os
import random
import sys

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program
from tinygrad_edu.clinic.examiner.learner.reachable import preserve
from tinygrad_edu.compile.settings_read import GENERATORS
from tinygrad_edu.compile.torch_generators import TorchGenerator


class Recurrent:
    """An RNN whose next forward begins with its last state, and that keeps its inputs for the backward pass."""

    def __init__(self, in_place=False):
        rng = np.random.default_rng(0)
        self.Wx, self.Wh, self.Wy = rng.normal(size=(3, 2)), 0.5 * rng.normal(size=(3, 3)), rng.normal(size=(1, 3))
        self.X, self.y = rng.normal(size=(4, 2)), rng.normal(size=4)
        self.h, self.cache, self.in_place = np.full(3, 0.3), {"X": self.X}, in_place

    def forward(self):
        self.cache = {"X": self.X, "h": [self.h.copy()]}
        for x in self.X:
            self.cache["h"].append(np.tanh(self.Wx @ x + self.Wh @ self.cache["h"][-1]))
        if self.in_place:
            self.h[:] = self.cache["h"][-1]
        else:
            self.h = self.cache["h"][-1]
        return [(self.Wy @ h)[0] for h in self.cache["h"][1:]]

    def loss(self):
        return 0.5 * sum((o - t) ** 2 for o, t in zip(self.forward(), self.y, strict=True))

    def step(self, slip=False):
        outputs, h = self.forward(), self.cache["h"]
        d_Wx, d_Wh, d_Wy, d_next = np.zeros((3, 2)), np.zeros((3, 3)), np.zeros((1, 3)), np.zeros(3)
        for t in reversed(range(4)):
            error = outputs[t] - self.y[t]
            d_Wy += error * h[t + 1]
            d_z = (self.Wy[0] * error + d_next) * (1.0 - h[t + 1] ** 2)
            d_Wx += np.outer(d_z, self.cache["X"][t])
            d_Wh += np.outer(d_z, h[t + 1] if slip else h[t])
            d_next = self.Wh.T @ d_z
        self.Wx -= 0.01 * d_Wx
        self.Wh -= 0.01 * d_Wh
        self.Wy -= 0.01 * d_Wy


@pytest.mark.slow
@pytest.mark.parametrize("in_place", [False, True])
def test_the_state_of_a_recurrent_net_is_no_parameter(in_place):
    net = Recurrent(in_place)
    report = check_program(net, step=net.step, loss=net.loss, lr=0.01)
    assert report.ok
    assert set(report.right) == {"net.Wx", "net.Wh", "net.Wy"}
    assert "right if you keep" not in report.note
    np.testing.assert_array_equal(net.h, 0.3)


def test_a_mistake_beside_a_state_is_named():
    net = Recurrent()
    report = check_program(net, step=lambda: net.step(slip=True), loss=net.loss, lr=0.01)
    assert not report.ok
    assert "net.Wh  WRONG" in str(report)
    assert "should be:  ∂L/∂net.Wh = δ1 a1(t-1)ᵀ" in str(report)


def test_a_weight_that_the_loss_makes_short_is_still_a_parameter():
    net = {"w": np.array([3.0, 4.0])}

    def loss():
        net["w"] = net["w"] / np.linalg.norm(net["w"])
        return (net["w"][0] - 1.0) ** 2

    def step():
        net["w"] = net["w"] - 0.1 * np.array([2.0 * (net["w"][0] - 1.0), 0.0])

    assert "w" in str(check_program(net, step=step, loss=loss, lr=0.1))


def test_lines_are_those_of_the_file_as_it_is_now(tmp_path, monkeypatch):
    """Whoever edits a module and loads it again saw new numbers beside the old lines."""
    monkeypatch.syspath_prepend(tmp_path)
    text = "def backward(p):\n    {}d = 3.0 * p['w']\n    return {{'w': d}}\n"
    for i, before in enumerate(["", "first = 1.0\n    "]):
        (tmp_path / "edited_later.py").write_text(text.format(before))
        os.utime(tmp_path / "edited_later.py", (1e9 + i, 1e9 + i))
        module = importlib.reload(importlib.import_module("edited_later"))
        report = check_backprop(lambda p: p["w"] ** 2, {"w": np.array(2.0)}, module.backward)
        assert f"edited_later.py:{2 + i}: d = 3.0 * p['w']" in str(report)
    sys.modules.pop("edited_later")


# (a generator that a program keeps, how the program draws from it)
KEPT_GENERATORS = [
    (np.random.default_rng(0), lambda g: g.random()),
    (np.random.PCG64(0), lambda bits: np.random.Generator(bits).random()),
    (np.random.RandomState(0), lambda g: g.rand()),
    (random.Random(0), lambda g: g.random()),
]


def test_every_kind_of_generator_is_rewound():
    kept, kinds = [*KEPT_GENERATORS], {*GENERATORS}
    if importlib.util.find_spec("torch") is None:
        kinds.remove(TorchGenerator)
    else:
        torch = importlib.import_module("torch")
        kept.append((torch.Generator(), lambda g: torch.rand(1, generator=g).item()))
    assert all(any(isinstance(g, kind) for g, _ in kept) for kind in kinds)
    for generator, draw in kept:
        with preserve({"rng": generator}) as state:
            assert not state.has_drawn(), generator
            drawn = draw(generator)
            assert state.has_drawn(), generator
        assert draw(generator) == drawn, generator


def test_a_generator_without_a_state_does_not_stop_the_examination():
    class Perceptron:
        def __init__(self):
            self.w, self.rng = np.array([0.5, -0.3]), random.SystemRandom()
            self.X, self.y = np.array([[1.0, 2.0], [0.5, -1.0]]), np.array([1.0, 0.0])

        def loss(self):
            return 0.5 * np.sum((self.X @ self.w - self.y) ** 2)

        def step(self):
            self.w -= 0.1 * self.X.T @ (self.X @ self.w - self.y)

    net = Perceptron()
    assert check_program(net, step=net.step, loss=net.loss, lr=0.1).ok
