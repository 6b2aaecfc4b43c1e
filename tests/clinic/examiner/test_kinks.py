"""Where the loss has a kink, every slope between those on its two sides is right, and wrong passes are still found."""

from __future__ import annotations

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward, parameters
from tinygrad_edu.clinic.examiner.learner.kinks import has_kink

X = np.random.default_rng(3).normal(size=(8, 2))
X[0] = [1.0, 0.0]
Y, ZERO = np.where(X @ [1.0, 0.3] > 0.0, 1.0, -1.0), {"w": np.zeros(2)}
T, LEVELS = X @ [0.5, -1.0], np.arange(1.0, 9.0)
XOR, OUT = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]), np.array([[1.0], [0.0], [0.0], [1.0]])


def perceptron(p):
    return np.maximum(0.0, -Y * (X @ p["w"])).mean()


def perceptron_pass(sign=-1.0, below=np.less_equal, over=8):
    return lambda p: {"w": sign * (X.T * Y * below(Y * (X @ p["w"]), 0.0)).sum(axis=1) / over}


def neuron(p):
    return sum(max(0.0, -t * (p["w"][0] * a + p["w"][1] * b)) for (a, b), t in zip(X.tolist(), Y.tolist(), strict=True))


def neuron_pass(second=1):
    def backward(p):
        g = [0.0, 0.0]
        for x, t in zip(X.tolist(), Y.tolist(), strict=True):
            if t * (p["w"][0] * x[0] + p["w"][1] * x[1]) <= 0.0:
                g[0] -= t * x[0]
                g[1] -= t * x[second]
        return {"w": g}

    return backward


def hinge(p):
    return 0.005 * (p["w"] ** 2).sum() + np.maximum(0.0, 1.0 - Y * (X @ p["w"] + p["b"])).mean()


def hinge_pass(inside, sign=1.0):
    def backward(p):
        m = inside(Y * (X @ p["w"] + p["b"]))
        return {"w": 0.01 * p["w"] - sign * (X.T * Y * m).mean(axis=1), "b": -(Y * m).mean()}

    return backward


def absolute(p):
    return np.abs(X @ p["w"] - T).mean()


def absolute_pass(sign, over=8):
    return lambda p: {"w": X.T @ sign(X @ p["w"] - T) / over}


def lasso_pass(sign, strength=0.1):
    return lambda p: {"w": 2.0 * X.T @ (X @ p["w"] - T) / 8 + strength * sign(p["w"])}


def network_pass(f, slope, mistake=""):
    def backward(p):
        z = XOR @ p["W1"] + p["b1"]
        d = 2.0 * (f(z) @ p["W2"] + p["b2"] - OUT) / 4 * (-1.0 if mistake == "sign" else 1.0)
        dz = d @ p["W2"].T * (1.0 if mistake == "slope" else slope(z))
        return {"W1": XOR.T @ dz, "b1": dz.sum(axis=0), "W2": f(z).T @ d, "b2": d.sum(axis=0)}

    return lambda p: ((f(XOR @ p["W1"] + p["b1"]) @ p["W2"] + p["b2"] - OUT) ** 2).mean(), backward


def pool_pass(kind):
    def backward(p):
        top, hit = p["k"].max(), (p["k"] == p["k"].max()) * 1.0
        first = np.eye(4)[p["k"].argmax()]
        return {"k": 2.0 * top * {"first": first, "shared": hit / hit.sum(), "all": hit + (hit == 0.0)}[kind]}

    return backward


def relu(z):
    return np.maximum(0.0, z)


def up(x):
    return np.where(x >= 0.0, 1.0, -1.0)


def down(x):
    return np.where(x > 0.0, 1.0, -1.0)


DRAWN = np.random.default_rng(0)
START = {
    "W1": DRAWN.normal(size=(2, 3)), "b1": np.zeros(3), "W2": DRAWN.normal(size=(3, 1)), "b2": np.zeros(1)
}  # fmt: skip
MARGIN, EXACT, TIES = {"w": np.zeros(2), "b": np.array(1.0)}, {"w": np.array([0.5, -1.0])}, {"k": np.ones(4)}
LISTS, LEVEL = {"w": [0.0, 0.0]}, {"m": np.array(4.0)}


def lasso(p):
    return ((X @ p["w"] - T) ** 2).mean() + 0.1 * np.abs(p["w"]).sum()


def pinball(p):
    return np.maximum(0.3 * (LEVELS - p["m"]), -0.7 * (LEVELS - p["m"])).mean()


def pool(p):
    return p["k"].max() ** 2


RIGHT = {
    "perceptron <=": (perceptron, ZERO, perceptron_pass()),
    "perceptron <": (perceptron, ZERO, perceptron_pass(below=np.less)),
    "neuron": (neuron, LISTS, neuron_pass()),
    "hinge <": (hinge, MARGIN, hinge_pass(lambda m: m < 1.0)),
    "hinge <=": (hinge, MARGIN, hinge_pass(lambda m: m <= 1.0)),
    "absolute >=": (absolute, EXACT, absolute_pass(up)),
    "absolute >": (absolute, EXACT, absolute_pass(down)),
    "pinball": (pinball, LEVEL, lambda p: {"m": np.where(p["m"] < LEVELS, -0.3, 0.7).mean()}),
    "pinball >=": (pinball, LEVEL, lambda p: {"m": np.where(p["m"] <= LEVELS, -0.3, 0.7).mean()}),
    "lasso": (lasso, ZERO, lasso_pass(up)),
    "relu >": (network_pass(relu, None)[0], START, network_pass(relu, lambda z: z > 0.0)[1]),
    "relu >=": (network_pass(relu, None)[0], START, network_pass(relu, lambda z: z >= 0.0)[1]),
    "abs": (network_pass(np.abs, None)[0], START, network_pass(np.abs, up)[1]),
    "pool, first": (pool, TIES, pool_pass("first")),
    "pool, shared": (pool, TIES, pool_pass("shared")),
}
WRONG = {
    "perceptron, sign": (perceptron, ZERO, perceptron_pass(1.0), "sign_flipped"),
    "perceptron, other side": (perceptron, ZERO, perceptron_pass(below=np.greater_equal), ""),
    "perceptron, no n": (perceptron, ZERO, perceptron_pass(over=1), "constant_factor"),
    "neuron, index": (neuron, LISTS, neuron_pass(second=0), ""),
    "hinge, sign": (hinge, MARGIN, hinge_pass(lambda m: m < 1.0, -1.0), "data_term_scaled"),
    "hinge, other margin": (hinge, MARGIN, hinge_pass(lambda m: m < 0.0), ""),
    "absolute, no n": (absolute, EXACT, absolute_pass(up, over=1), "constant_factor"),
    "pinball, sum": (pinball, LEVEL, lambda p: {"m": np.where(p["m"] < LEVELS, -0.3, 0.7).sum()}, ""),
    "lasso, strength": (lasso, ZERO, lasso_pass(up, 1.0), ""),
    "relu, slope": (*network_pass(relu, None, "slope"), "missing_activation_derivative"),
    "relu, sign": (*network_pass(relu, lambda z: z >= 0.0, "sign"), "sign_flipped"),
    "pool, all": (pool, TIES, pool_pass("all"), ""),
}


@pytest.mark.parametrize("name", RIGHT)
def test_every_slope_at_a_kink_is_right(name):
    forward, params, backward = RIGHT[name]
    for grads in (backward, backward(params)):
        report = check_backprop(forward, params, grads)
        assert report.ok, report


@pytest.mark.parametrize("name", WRONG)
def test_wrong_passes_are_found_beside_the_kink(name):
    forward, *rest, code = WRONG[name]
    params, backward = rest if len(rest) == 2 else (START, *rest)
    report = check_backprop(forward, params, backward)
    assert not report.ok
    assert not code or (report.certain and report.slips[0].code == code), report


def test_numbers_outside_of_the_slopes_are_wrong_and_no_factor_is_invented():
    given = perceptron_pass(1.0)(ZERO)
    report = check_backprop(perceptron, ZERO, given)
    assert not report.ok
    assert "kink" in report.note
    assert all(slip.code != "constant_factor" for slip in report.slips)


def descend(forward, backward, params):
    """A program that takes one step of gradient descent."""
    net = {n: np.array(x) for n, x in params.items()}

    def step():
        for n, g in backward(net).items():
            net[n] = net[n] - 0.1 * g

    return check_program(net, step=step, loss=lambda: forward(net), lr=0.1)


@pytest.mark.parametrize("name", ["perceptron <=", "hinge <=", "pool, first"])
def test_steps_at_a_kink_are_right(name):
    forward, params, backward = RIGHT[name]
    report = descend(forward, backward, params)
    assert report.ok, report


def test_steps_that_are_right_at_a_kink_alone_are_found():
    forward, params, backward, _ = WRONG["hinge, other margin"]
    assert not descend(forward, backward, params).ok


def test_rounding_and_curvature_are_no_kinks():
    """A forward that works in single precision looks rough from near, and its wrong gradients stay wrong."""
    params, right = {"w": np.array([0.5, -0.3])}, {"w": 2.0 * X.T @ (X @ [0.5, -0.3] - T)}

    def rough(p):
        return np.sum(((X @ p["w"] - T) ** 2).astype(np.float32), dtype=np.float32)

    for forward in (rough, lambda p: ((X @ p["w"] - T) ** 2).sum()):
        form, weights = parameters(params)
        assert not has_kink(LearnerForward(forward, form), weights)
    assert not check_backprop(rough, params, {"w": 1.1 * right["w"]}).ok
