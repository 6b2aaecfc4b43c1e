"""Steps that make several updates: online epochs and passes over minibatches, right ones and wrong ones."""

import itertools
import math

import numpy as np
import pytest

from tinygrad_edu.clinic import check_program

RULES = ("plain", "momentum")
SLIPS = {
    "no derivative": "missing_activation_derivative",
    "uphill": "sign_flipped",
    "old delta, new weights": "updated_weights_used",
    "input": "weight_instead_of_input",
}


class Online:
    """Two layers, trained on `batch` samples at a time, in the order of the data or a random one."""

    def __init__(self, batch=1, shuffled=False, rule="plain", mean=False, slip="", seed=0):
        r = np.random.default_rng(seed)
        self.X, self.t = r.normal(size=(6, 3)), r.normal(size=(6, 2))
        self.X[0] = 0.0  # the update for this sample leaves W1 unchanged
        self.W1, self.b1 = r.normal(size=(3, 4)), r.normal(size=4)
        self.W2, self.b2 = r.normal(size=(4, 2)), r.normal(size=2)
        self.batch, self.shuffled, self.rule, self.mean, self.slip = batch, shuffled, rule, mean, slip
        self.velocity = {}

    def loss(self):
        a = np.tanh(self.X @ self.W1 + self.b1)
        each = 0.5 * np.sum((a @ self.W2 + self.b2 - self.t) ** 2, axis=1)
        return np.mean(each) if self.mean else np.sum(each)

    def update(self, name, g):
        if self.rule == "momentum":
            g = self.velocity[name] = 0.9 * self.velocity.get(name, 0.0) + g
        value = getattr(self, name)
        value -= 0.05 * g

    def train(self, x, t):
        a = np.tanh(x @ self.W1 + self.b1)
        d2 = (a @ self.W2 + self.b2 - t) / (len(x) if self.mean else 1)
        if self.slip == "old delta, new weights":
            self.update("W2", a.T @ d2)
        d1 = d2 @ self.W2.T
        if self.slip != "no derivative":
            d1 = d1 * (1 - a * a)
        if self.slip != "old delta, new weights":
            self.update("W2", a.T @ d2)
        self.update("b2", d2.sum(0))
        self.update("W1", self.W1 * d1.sum(0) if self.slip == "input" else x.T @ d1)
        self.update("b1", -d1.sum(0) if self.slip == "uphill" else d1.sum(0))

    def epoch(self):
        order = np.random.permutation(6) if self.shuffled else np.arange(6)
        for k in range(0, 6, self.batch):
            some = order[k : k + self.batch]
            self.train(self.X[some], self.t[some])


@pytest.mark.parametrize(("batch", "shuffled", "mean"), [*itertools.product((1, 2, 3), (False, True), (False, True))])
def test_a_right_epoch_is_right(batch, shuffled, mean):
    net = Online(batch, shuffled, "plain", mean)
    before = net.W1.copy()
    report = check_program(net, step=net.epoch, loss=net.loss, lr=0.05)
    assert report.ok, str(report)
    assert "updates" in report.note
    np.testing.assert_array_equal(net.W1, before)


@pytest.mark.parametrize("batch", [1, 2])
def test_a_right_epoch_with_momentum_is_right(batch):
    net = Online(batch, rule="momentum")
    assert check_program(net, step=net.epoch, loss=net.loss, lr=0.05).ok


@pytest.mark.slow
@pytest.mark.parametrize("slip", SLIPS)
@pytest.mark.parametrize(("batch", "shuffled"), [(1, True), (3, True)])
def test_the_mistake_of_an_epoch_is_named(slip, batch, shuffled):
    net = Online(batch, shuffled, slip=slip)
    report = check_program(net, step=net.epoch, loss=net.loss, lr=0.05)
    assert not report.ok
    assert report.certain, str(report)
    assert SLIPS[slip] in {s.code for e in report.explanations for s in e}
    assert "update" in report.note


XOR = [([0.0, 0.0], 0.0), ([0.0, 1.0], 1.0), ([1.0, 0.0], 1.0), ([1.0, 1.0], 0.0)]


class Lists:
    """Pure Python: nested lists, a loop over samples, weights changed one by one."""

    def __init__(self, slip=False):
        self.hidden = [[0.8, -0.5, 0.3], [-0.7, 0.9, 0.1], [0.4, 0.6, -0.9]]
        self.out = [0.7, -1.1, 0.5, 0.2]
        self.slip = slip

    def run(self, x):
        h = [1 / (1 + math.exp(-(row[0] * x[0] + row[1] * x[1] + row[2]))) for row in self.hidden]
        return h, 1 / (1 + math.exp(-(sum(w * v for w, v in zip(self.out, h, strict=False)) + self.out[3])))

    def loss(self):
        total = 0.0
        for x, t in XOR:
            total += (self.run(x)[1] - t) ** 2
        return total / len(XOR)

    def epoch(self):
        for x, t in XOR:
            h, y = self.run(x)
            d = 2 * (y - t) * (1 if self.slip else y * (1 - y))
            deltas = [d * w * v * (1 - v) for w, v in zip(self.out, h, strict=False)]
            for k in range(3):
                self.out[k] -= 0.2 * d * h[k]
                self.hidden[k][0] -= 0.2 * deltas[k] * x[0]
                self.hidden[k][1] -= 0.2 * deltas[k] * x[1]
                self.hidden[k][2] -= 0.2 * deltas[k]
            self.out[3] -= 0.2 * d


@pytest.mark.slow
def test_an_epoch_in_pure_python():
    right, wrong = Lists(), Lists(slip=True)
    assert check_program(right, step=right.epoch, loss=right.loss, lr=0.2).ok
    report = check_program(wrong, step=wrong.epoch, loss=wrong.loss, lr=0.2)
    assert [s.code for s in report.slips] == ["missing_activation_derivative"]


def test_one_update_in_two_places_is_one_update():
    """W2 is changed long before W1: that alone makes no second update."""
    net = Online(batch=6, slip="old delta, new weights")
    report = check_program(net, step=net.epoch, loss=net.loss, lr=0.05)
    assert report.slips[0].code == "updated_weights_used"
    assert "updates" not in report.note


def test_the_same_data_several_times():
    net = Online(batch=6)

    def step():
        for _ in range(3):
            net.epoch()

    assert check_program(net, step=step, loss=net.loss, lr=0.05).ok


@pytest.mark.slow
@pytest.mark.parametrize("slip", ["", "no derivative"])
def test_minibatches_of_many_samples_in_a_random_order(slip):
    """More samples than are tried one by one: which ones an update took is seen in the run."""
    net = Online(batch=25, shuffled=True, mean=True, slip=slip)
    r = np.random.default_rng(1)
    net.X, net.t = r.normal(size=(150, 3)), r.normal(size=(150, 2))

    def epoch():
        order = np.random.permutation(150)
        for k in range(0, 150, 25):
            net.train(net.X[order[k : k + 25]], net.t[order[k : k + 25]])

    report = check_program(net, step=epoch, loss=net.loss, lr=0.05)
    assert report.ok is not bool(slip)
    if slip:
        assert report.slips[0].code == "missing_activation_derivative"
