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


DENSE = """
class Net:
    def __init__(self):
        r = np.random.default_rng(1)
        self.W, self.V = [r.normal(size=(3, 4))], [r.normal(size=(4, 2))]
        self.b = [np.zeros(4)]

    def out(self, X):
        return np.tanh(X @ self.W[0] + self.b[0]) @ self.V[0]

    def step(self):
        h = np.tanh(X @ self.W[0] + self.b[0]); e = DELTA
        LINES
"""
LATE = """self.V[0] = self.V[0] - 0.1 * (h.T @ e); d = e @ self.V[0].T * (1 - h**2)
        gW = X.T @ d; gb = d.sum(0)
        self.W[0] = self.W[0] - 0.1 * gW; self.b[0] = self.b[0] - 0.1 * gb"""
ADDS = """d = e @ self.V[0].T * (1 - h**2); g = h.T @ e
        self.V[0] += 0.1 * g; self.W[0] += 0.1 * (X.T @ d); self.b[0] += 0.1 * d.sum(0)"""


def report_on(text, tmp_path, **replaced):
    """The report on Net of this text."""
    for name, new in replaced.items():
        text = text.replace(name, new)
    file, space = tmp_path / "dense.py", {"np": np, "X": X3, "T": T3, "__name__": "dense"}
    file.write_text(text, encoding="utf-8")
    exec(compile(text, str(file), "exec"), space)
    net = space["Net"]()
    return check_program(net, step=net.step, loss=lambda: 0.5 * np.sum((net.out(X3) - T3) ** 2), lr=0.1)


X3, T3 = np.random.default_rng(2).normal(size=(6, 3)), np.random.default_rng(3).normal(size=(6, 2))
RIGHT = "self.out(X) - T"


def test_of_two_statements_on_one_line_both_are_followed(tmp_path):
    """Only the last of W -= ...; b -= ... was: W was WRONG in the table, and no line named it."""
    report = report_on(DENSE, tmp_path, DELTA=RIGHT, LINES=LATE)
    assert [slip.code for slip in report.slips][:1] == ["updated_weights_used"]
    assert "d = e @" in report.places[0].source
    assert set(report.places[0].explains) == {"net.W[0]", "net.b[0]"} == {*report.wrong}


def test_an_update_that_adds_is_told_to_subtract(tmp_path):
    """It was told to pass minus its numbers, which nobody passes here."""
    report = report_on(DENSE, tmp_path, DELTA=RIGHT, LINES=ADDS)
    assert report.slips[0].code == "sign_flipped"
    assert "Your update adds (line 14)" in report.slips[0].fix
    assert "pass minus" not in str(report)
    assert "which points uphill: it is to be subtracted" in report.places[0].sentence
    assert report_on(DENSE, tmp_path, DELTA="T - self.out(X)", LINES=ADDS).ok


def test_an_update_that_subtracts_is_told_how_the_delta_begins(tmp_path):
    lines = ADDS.replace("+=", "-=")
    report = report_on(DENSE, tmp_path, DELTA="T - self.out(X)", LINES=lines)
    assert report.slips[0].fix.endswith("and the update subtracts: W -= lr * dW.")
    assert "in the derivative of the loss" in str(report.slips[0])


def test_one_delta_of_the_other_sign_is_told_that_the_others_are_right(tmp_path):
    lines = ADDS.replace("d = e @", "d = -e @")
    report = report_on(DENSE, tmp_path, DELTA="T - self.out(X)", LINES=lines)
    assert "which is right for the others" in report.slips[0].fix
    assert not any("uphill" in place.sentence for place in report.places)
