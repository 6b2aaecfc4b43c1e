"""Kinds of programs that the examiner once took wrongly: frozen layers, schedules, values appended to lists."""

import itertools
import math

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program, grade

r = np.random.default_rng(0)
X, T = r.normal(size=(6, 3)), r.normal(size=(6, 2))
P = {"W1": r.normal(size=(3, 4)), "b1": r.normal(size=4) * 0.1, "W2": r.normal(size=(4, 2)), "b2": np.zeros(2)}


def forward(p):
    return np.mean((np.tanh(X @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"] - T) ** 2)


def gradients(p):
    h = np.tanh(X @ p["W1"] + p["b1"])
    d2 = 2 * (h @ p["W2"] + p["b2"] - T) / T.size
    d1 = d2 @ p["W2"].T * (1 - h * h)
    return {"W1": X.T @ d1, "b1": d1.sum(0), "W2": h.T @ d2, "b2": d2.sum(0)}


# gradients of some parameters

SOME = [
    (("W2", "b2"), ()),  # a frozen layer below
    (("W2",), ("b2",)),  # the other half of a trained pair
    (("W1", "b1"), ("W2", "b2")),  # what stands above a trained layer is forgotten
    (("b1", "W2", "b2"), ("W1",)),
]


@pytest.mark.parametrize(("handed", "wrong"), SOME)
@pytest.mark.parametrize("called", [False, True])
def test_a_layer_below_without_gradients_is_frozen_and_others_are_forgotten(handed, wrong, called):
    def backward(p):
        return {n: g for n, g in gradients(p).items() if n in handed}

    report = check_backprop(forward, P, backward if called else backward(P))
    assert set(report.wrong) == set(wrong)
    assert set(report.kept) == set(P) - set(handed) - set(wrong)
    assert ("handed over: right if you keep" in str(report)) == bool(report.kept)


@pytest.mark.parametrize("lr", [None, 0.1])
@pytest.mark.parametrize("handed", [("W2", "b2"), ("b1", "W2"), ("W1", "b2")])
def test_wrong_ones_of_some_gradients_are_examined(handed, lr):
    def backward(p):
        return {n: 3.0 * g for n, g in gradients(p).items() if n in handed}

    report = check_backprop(forward, P, backward, lr=lr)
    assert set(handed) <= set(report.wrong)
    assert str(report)


def test_a_grade_counts_what_was_not_handed_over():
    assert grade(forward, P, {n: g for n, g in gradients(P).items() if n in ("W2", "b2")}).score == 0.5


# updates


class Net:
    """Two layers with an update of its own: update(net, name, gradient)."""

    def __init__(self, update, lam=0.0):
        self.p, self.state, self.t, self.update, self.lam = {n: x.copy() for n, x in P.items()}, {}, 0, update, lam

    def loss(self):
        return forward(self.p) + self.lam / 2 * sum(np.sum(self.p[n] ** 2) for n in ("W1", "W2"))

    def step(self):
        found = gradients(self.p)
        self.t += 1
        for n, g in found.items():
            self.update(self, n, g + (self.lam * self.p[n] if n[0] == "W" else 0.0))


def examine(net, lr):
    return check_program(net, step=net.step, loss=net.loss, lr=lr)


SCHEDULES = {
    "1/t": lambda t: 0.1 / (1 + 0.1 * t),
    "exponential": lambda t: 0.1 * 0.95**t,
    "straight": lambda t: 0.1 * (1 - t / 30),
    "root": lambda t: 0.1 / math.sqrt(1 + t),
}


def rmsprop(net, name, g, rate):
    s = net.state[name] = 0.9 * net.state.get(name, np.zeros_like(g)) + 0.1 * g * g
    net.p[name] = net.p[name] - rate * g / (np.sqrt(s) + 1e-8)


def descent(net, name, g, rate):
    net.p[name] = net.p[name] - rate * g


@pytest.mark.parametrize("kind", SCHEDULES)
@pytest.mark.parametrize(("rule", "before", "lr"), [(descent, 4, 0.1), (rmsprop, 0, None), (rmsprop, 4, 0.1)])
def test_rates_that_fall_are_right_from_wherever_they_stand(kind, rule, before, lr):
    net = Net(lambda net, n, g: rule(net, n, g, SCHEDULES[kind](net.t)))
    for _ in range(before):
        net.step()
    report = examine(net, lr)
    assert report.ok
    assert "with a learning rate that falls" in str(report)


def test_a_rate_twice_the_told_one_is_no_schedule():
    assert not examine(Net(lambda net, n, g: descent(net, n, 2.0 * g, 0.1)), 0.1).ok


def corrected_in_place(net, name, g, own):
    m, v = net.state.get(name, (np.zeros_like(g), np.zeros_like(g)))
    m, v = 0.9 * m + 0.1 * g, 0.999 * v + 0.001 * g * g
    m_hat, v_hat = m / (1 - 0.9**net.t), v / (1 - 0.999**net.t)
    net.state[name] = (m_hat, v_hat) if own else (m, v)
    net.p[name] = net.p[name] - 0.01 * m_hat / (np.sqrt(v_hat) + 1e-8)


@pytest.mark.parametrize("before", [0, 3])
@pytest.mark.parametrize("own", [False, True])
def test_averages_that_are_overwritten_by_their_corrected_values(before, own):
    net = Net(lambda net, n, g: corrected_in_place(net, n, g, own))
    for _ in range(before):
        net.step()
    codes = [slip.code for slip in examine(net, 0.01).slips]
    assert codes == (["adam_averages_overwritten"] if own else [])


@pytest.mark.parametrize(("in_loss", "decay", "right"), [(0.0, 0.2, True), (0.2, 0.0, True), (0.2, 0.2, False)])
def test_a_penalty_of_the_loss_is_not_subtracted_once_more_as_decay(in_loss, decay, right):
    def update(net, name, g):
        net.p[name] = net.p[name] - 0.1 * (g + (decay * net.p[name] if name[0] == "W" else 0.0))

    report = examine(Net(update, in_loss), 0.1)
    assert report.ok == right
    assert [slip.code for slip in report.slips[:1]] == ([] if right else ["regularisation_wrong"])


@pytest.mark.slow
@pytest.mark.parametrize("known", [True, False])
def test_online_steps_with_a_share_of_the_last_gradient(known):
    net = {"w": [0.3, -0.2], "b": 0.1}
    data, last = [([0.5, -1.0], 1.0), ([1.5, 0.3], 0.0), ([-0.7, 0.8], 1.0)], [0.0, 0.0, 0.0]

    def predict(x):
        return math.tanh(net["w"][0] * x[0] + net["w"][1] * x[1] + net["b"])

    def step():
        for x, t in data:
            y = predict(x)
            d = (y - t) * (1 - y * y)
            for k, g in enumerate((d * x[0], d * x[1])):
                net["w"][k] -= 0.5 * g + 0.1 * last[k] * (1.0 if known else abs(g))
                last[k] = g
            net["b"] -= 0.5 * d + 0.1 * last[2] * (1.0 if known else abs(d))
            last[2] = d

    report = check_program(net, step=step, loss=lambda: sum(0.5 * (predict(x) - t) ** 2 for x, t in data), lr=0.5)
    assert report.ok
    assert ("I cannot say" in str(report)) != known


@pytest.mark.parametrize("draw", ["again", "all in another order", "some"])
def test_batches_that_are_drawn_at_random(draw):
    rng = np.random.default_rng(2)
    net = {"w": np.array([[0.3], [-0.2], [0.5]])}

    def step():
        n = len(X)
        i = {"again": lambda: rng.integers(0, n, n), "some": lambda: rng.integers(0, n, 3)}.get(
            draw, lambda: rng.permutation(n)
        )()
        net["w"] = net["w"] - 0.1 * 2 * X[i].T @ (X[i] @ net["w"] - T[i, :1]) / len(i)

    report = check_program(net, step=step, loss=lambda: np.mean((X @ net["w"] - T[:, :1]) ** 2), lr=0.1)
    assert report.ok


# numbers that prove nothing


def test_two_fitted_factors_are_no_explanation():
    h = {n: g.copy() for n, g in gradients(P).items()}
    h["W1"] *= 0.3243
    h["W2"] *= 1.7171
    report = check_backprop(forward, P, h)
    assert set(report.wrong) == {"W1", "W2"}
    assert not report.certain


def test_every_order_of_three_falling_rates_but_the_falling_one_is_no_schedule():
    from tinygrad_edu.clinic.examiner.steps.rate_schedule import is_schedule

    rates = [SCHEDULES["1/t"](t) for t in range(3)]
    assert [is_schedule(x) for x in itertools.permutations(rates)] == [True] + [False] * 5
