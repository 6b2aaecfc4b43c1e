"""Steps that do not show their gradients (Adam, RMSprop, Adagrad, clipping); what a step leaves out or does late."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_program
from tinygrad_edu.clinic.examiner.steps.used_gradients import CUT, is_cut

OPTIMIZERS = ("adam", "rmsprop", "adagrad", "cut", "norm")


class Net:
    """Two layers whose step is made by an optimizer of their own; `mistake` says what is done wrong."""

    def __init__(self, optimizer="sgd", mistake=""):
        r = np.random.default_rng(3)
        self.X, self.T = r.normal(size=(6, 3)), r.normal(size=(6, 2))
        self.W_xh, self.bh = r.normal(size=(3, 4)), r.normal(size=(1, 4))
        self.W_hy, self.by = r.normal(size=(4, 2)), r.normal(size=(1, 2))
        self.names = ["W_xh", "bh", "W_hy", "by"]
        self.m, self.v, self.t = {}, {}, 0
        self.optimizer, self.mistake, self.grads = optimizer, mistake, {}

    def loss(self):
        return 0.5 * np.mean(
            np.sum((np.tanh(self.X @ self.W_xh + self.bh) @ self.W_hy + self.by - self.T) ** 2, axis=1)
        )

    def backward(self):
        a = np.tanh(self.X @ self.W_xh + self.bh)
        d2 = (a @ self.W_hy + self.by - self.T) / len(self.X)
        d1 = d2 @ self.W_hy.T
        if self.mistake != "slope":
            d1 = d1 * (1 - a * a)
        dby = np.sum(d2, axis=0, keepdims=True)
        if self.mistake == "mean":
            dby = np.mean(d2, axis=0, keepdims=True)  # mean
        dbh = np.sum(d1, axis=0, keepdims=True)
        if self.mistake == "uphill":
            dbh = -np.sum(d1, axis=0, keepdims=True)  # uphill
        dW_xh = self.X.T @ d1
        if self.mistake == "no W":
            dW_xh = 0 * dW_xh
        if self.mistake == "no by":
            dby = 0 * dby
        self.grads = {"W_xh": dW_xh, "bh": dbh, "W_hy": a.T @ d2, "by": dby}

    def step(self):
        self.t += 1
        late = self.grads
        self.backward()
        for n in self.names:
            g = (late if self.mistake == "late" else self.grads).get(n, 0.0 * getattr(self, n))
            if self.optimizer == "norm":
                g = g * min(1.0, 0.1 / np.sqrt(sum(np.sum(x * x) for x in self.grads.values())))
            setattr(self, n, getattr(self, n) - 0.1 * self.change(n, g))

    def change(self, n, g):
        if self.optimizer == "cut" and n.startswith("W"):  # the biases are not cut
            return np.clip(g, -0.15, 0.15)
        if self.optimizer == "adagrad":
            self.v[n] = self.v.get(n, 0.0) + g * g
            return g / (np.sqrt(self.v[n]) + 1e-8)
        if self.optimizer == "rmsprop":
            self.v[n] = 0.9 * self.v.get(n, 0.0) + 0.1 * g**2
            return g / (np.sqrt(self.v[n]) + 1e-8)
        if self.optimizer == "adam":
            self.m[n] = 0.9 * self.m.get(n, 0.0) + 0.1 * g
            self.v[n] = 0.999 * self.v.get(n, 0.0) + 0.001 * g**2
            return self.m[n] / (1 - 0.9**self.t) / (np.sqrt(self.v[n] / (1 - 0.999**self.t)) + 1e-8)
        return g


def examine(net):
    return check_program(net, step=net.step, loss=net.loss, lr=0.1)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_right_step_is_right(optimizer):
    assert examine(Net(optimizer)).ok


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize(
    ("mistake", "code"),
    [("slope", "missing_activation_derivative"), ("uphill", "sign_flipped")],
)
def test_a_wrong_gradient_is_named_through_the_optimizer(optimizer, mistake, code):
    report = examine(Net(optimizer, mistake))
    assert report.certain, report
    assert {slip.code for slip in report.explanations[0]} == {code}
    if mistake == "uphill":
        assert f"# {mistake}" in report.places[0].source


@pytest.mark.slow
@pytest.mark.parametrize("optimizer", ["rmsprop", "adam"])
def test_a_mean_in_place_of_a_sum_shows_although_adam_hides_its_size(optimizer):
    net = Net(optimizer, "mean")
    net.X, net.T = net.X * 1e-6, net.T * 1e-6  # gradients that ε does not hide
    net.W_xh, net.W_hy, net.by = net.W_xh * 1e-3, net.W_hy * 1e-3, net.by * 1e-6
    report = examine(net)
    assert list(report.wrong) == ["net.by"], report
    assert "# mean" in report.places[0].source


@pytest.mark.slow
@pytest.mark.parametrize(("mistake", "name"), [("no W", "net.W_xh"), ("no by", "net.by")])
def test_a_weight_that_a_step_leaves_out_is_not_overlooked(mistake, name):
    report = examine(Net("sgd", mistake))
    assert list(report.wrong) == [name]
    assert f"The step leaves {name} unchanged" in report.note


def test_a_frozen_layer_is_no_mistake():
    class Layer:
        def __init__(self, W, b):
            self.W, self.b = W, b

    first, last = Layer(np.ones((3, 4)), np.ones(4)), Layer(np.full((4, 2), 0.5), np.zeros(2))
    X = np.random.default_rng(0).normal(size=(5, 3))

    def step():
        a = np.tanh(X @ first.W + first.b)
        d = a @ last.W + last.b
        last.W, last.b = last.W - 0.1 * a.T @ d, last.b - 0.1 * d.sum(0)

    def loss():
        return 0.5 * np.sum((np.tanh(X @ first.W + first.b) @ last.W + last.b) ** 2)

    net = {"old": first, "new": last}
    report = check_program(net, step=step, loss=loss, lr=0.1)
    assert report.ok


def test_an_update_before_the_backward_pass_is_named():
    report = examine(Net("sgd", "late"))
    assert [slip.code for slip in report.slips] == ["gradient_of_the_step_before"]
    assert "before the backward pass" in str(report)


@pytest.mark.slow
def test_decay_of_one_weight_alone_is_wrong_and_of_all_weights_is_right():
    net = Net()
    plain = net.change
    net.change = lambda n, g: plain(n, g) + (0.02 * getattr(net, n) if n.startswith("W") else 0.0)
    assert examine(net).ok
    net = Net()
    net.change = lambda n, g: plain(n, g) + (0.02 * net.W_hy if n == "W_hy" else 0.0)
    assert list(examine(net).wrong) == ["net.W_hy"]


def test_one_number_is_no_limit():
    """A single number below its gradient looks as if it were clipped to itself."""
    assert is_cut(np.array([1.0]), np.array([2.0]), 1.0)
    assert CUT < 1e-6
    net = {"w": np.array([2.0]), "b": np.array([1.0])}
    x, t = np.array([1.0, 2.0, 3.0]), np.array([2.0, 1.0, 0.0])

    def step():
        d = net["w"] * x + net["b"] - t
        net["w"], net["b"] = net["w"] - 0.01 * np.sum(d * x), net["b"] - 0.01 * np.mean(d)

    def loss():
        return 0.5 * np.sum((net["w"] * x + net["b"] - t) ** 2)

    report = check_program(net, step=step, loss=loss, lr=0.01)
    assert list(report.wrong) == ["b"]
    assert "clip" not in report.note


def test_a_setting_with_the_name_of_a_weight_is_no_weight():
    class Layer:
        def __init__(self):
            self.kernel, self.kernel_size, self.b_in, self.w_no = np.array([0.5, -1.0, 2.0]), 3, np.array(1.0), 2

        def __call__(self, x):
            return np.array([x[k : k + self.kernel_size] @ self.kernel + self.b_in for k in range(self.w_no)])

    layer, x = Layer(), np.array([1.0, 2.0, -1.0, 0.5])

    def step():
        y = layer(x)
        layer.kernel = layer.kernel - 0.1 * sum(y[k] * x[k : k + 3] for k in range(2))
        layer.b_in = layer.b_in - 0.1 * y.sum()

    assert check_program(layer, step=step, loss=lambda: 0.5 * np.sum(layer(x) ** 2), lr=0.1).ok


def test_units_that_hold_each_other_hold_each_number_once():
    class Unit:
        def __init__(self, w, b):
            self.w, self.b, self.others = w, b, []

    first, last, x = Unit(0.7, 0.1), Unit(-1.2, 0.3), 1.5
    first.others, last.others = [last], [first]

    def loss():
        return 0.5 * (last.w * np.tanh(first.w * x + first.b) + last.b - 1.0) ** 2

    def step():
        a = np.tanh(first.w * x + first.b)
        d = last.w * a + last.b - 1.0
        e = d * last.w * (1 - a * a)
        last.w, last.b = last.w - 0.1 * d * a, last.b - 0.1 * d
        first.w, first.b = first.w - 0.1 * e * x, first.b - 0.1 * e

    report = check_program([first, last], step=step, loss=loss, lr=0.1)
    assert report.ok
    assert len(report.errors) == 4
