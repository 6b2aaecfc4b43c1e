"""Kinds of steps in programs that people have published: modules, missing data, parameters in turn, Adam's ε."""

import types

import numpy as np
import pytest

import tinygrad_edu as tg
from tinygrad_edu.clinic.examiner.learner.reachable import preserve
from tinygrad_edu.clinic.examiner.scale_factors import power

ONLINE = """
import numpy as np

def forward(net, xs):
    hs = [np.zeros(3)]
    for x in xs:
        hs.append(np.tanh(net["Wx"] @ x + net["Wh"] @ hs[-1]))
    z = net["Wy"] @ hs[-1] + net["by"]
    return hs, np.exp(z) / np.sum(np.exp(z))

def epoch(net, data):
    for xs, t in data:
        hs, p = forward(net, xs)
        dy = p - np.eye(2)[t]
        dWx, dWh, dWy = np.zeros((3, 2)), np.zeros((3, 3)), np.outer(dy, hs[-1])
        dh = net["Wy"].T @ dy
        for k in reversed(range(len(xs))):
            dz = (1 - hs[k + 1] ** 2) * dh
            dWx += np.outer(dz, xs[k])
            dWh += np.outer(dz, hs[k])
            dh = net["Wh"].T @ dz
        net["Wx"] -= 0.1 * dWx
        net["Wh"] -= 0.1 * dWh
        net["Wy"] -= 0.1 * dWy
        net["by"] -= 0.1 * dy

def loss(net, data):
    return -sum(np.log(forward(net, xs)[1][t]) for xs, t in data) / len(data)
"""


def module_of(source: str) -> types.ModuleType:
    module = types.ModuleType("learner_of_a_test")
    exec(compile(source, "learner_of_a_test.py", "exec"), vars(module))  # our own text above
    return module


def sequences() -> list[tuple[np.ndarray, int]]:
    rng = np.random.default_rng(4)
    return [(rng.normal(size=(n, 2)), k % 2) for k, n in enumerate((1, 3, 2, 1))]


def recurrent() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    return {
        "Wx": rng.normal(size=(3, 2)),
        "Wh": rng.normal(size=(3, 3)),
        "Wy": rng.normal(size=(2, 3)),
        "by": np.zeros(2),
    }


@pytest.mark.parametrize("transposed", [True, False])
def test_updates_on_sequences_of_different_lengths_are_told_apart(transposed):
    module, net, data = (
        module_of(ONLINE if transposed else ONLINE.replace('net["Wh"].T', 'net["Wh"]')),
        recurrent(),
        sequences(),
    )
    report = tg.clinic.check_program(net, step=lambda: module.epoch(net, data), loss=lambda: module.loss(net, data))
    assert report.ok == transposed
    assert transposed or "not_transposed" in {slip.code for slip in report.slips if slip.certain}


def test_the_names_of_a_module_are_put_back():
    module = module_of("import numpy as np\nw = np.array([1.0, -2.0, 0.5])")
    before = module.w

    def step():
        module.w = module.w - 0.1 * 2.0 * module.w

    with preserve(step):
        module.w = module.w + 1.0
    assert module.w is before
    assert tg.clinic.check_program(module, step=step, loss=lambda: np.sum(module.w**2), lr=0.1).ok
    assert module.w is before


def rasch(in_turn=True, stale=False):
    """Item response theory on data with gaps: abilities first, then difficulties at the new abilities."""
    rng = np.random.default_rng(0)
    data = np.where(rng.random((5, 4)) < 0.2, np.nan, rng.integers(0, 2, (5, 4)).astype(float))
    net = {"theta": rng.normal(size=(5, 1)), "beta": rng.normal(size=(1, 4))}

    def error():
        return np.nan_to_num(data - 1.0 / (1.0 + np.exp(net["beta"] - net["theta"])))

    def loss():
        z = net["theta"] - net["beta"]
        each = np.multiply(data, z) - np.log(1.0 + np.exp(z))
        each[np.isnan(data)] = 0.0
        return -np.sum(each)

    def step():
        e = error()
        net["theta"] += 0.1 * np.sum(e, axis=1, keepdims=True)
        net["beta"] -= (0.2 if stale else 0.1) * np.sum(error() if in_turn else e, axis=0, keepdims=True)

    return tg.clinic.check_program(net, step=step, loss=loss, lr=0.1)


def test_missing_data_and_one_parameter_after_the_other_are_right():
    assert rasch().ok
    assert "parameter after parameter" in rasch().note
    assert rasch(in_turn=False).ok
    assert not rasch(stale=True).ok


@pytest.mark.parametrize("forgotten", [False, True])
def test_adam_divides_rounding_by_its_epsilon(forgotten):
    """The bias of the keys of an attention has no gradient; Adam makes a step of its rounding."""
    rng = np.random.default_rng(3)
    X, T = rng.normal(size=(4, 3)), rng.normal(size=(4, 3))
    net = {"Wq": rng.normal(size=(3, 3)), "Wk": rng.normal(size=(3, 3)), "bk": rng.normal(size=3)}
    moments = {n: [np.zeros(x.shape), np.zeros(x.shape)] for n, x in net.items()}
    t = [0]

    def forward():
        q, k = X @ net["Wq"], X @ net["Wk"] + net["bk"]
        e = np.exp(q @ k.T)
        return q, k, e / np.sum(e, axis=1, keepdims=True)

    def step():
        q, k, a = forward()
        da = (a @ X - T) @ X.T
        ds = a * (da if forgotten else da - np.sum(da * a, axis=1, keepdims=True))
        dk = ds.T @ q
        grads = {"Wq": X.T @ (ds @ k), "Wk": X.T @ dk, "bk": np.cumsum(dk[::-1], axis=0)[-1] + 1e-15}
        t[0] += 1
        for n, g in grads.items():
            m, v = moments[n]
            m[:] = 0.9 * m + 0.1 * g
            v[:] = 0.999 * v + 0.001 * g**2
            net[n] -= 0.01 * (m / (1 - 0.9 ** t[0])) / (np.sqrt(v / (1 - 0.999 ** t[0])) + 1e-8)

    report = tg.clinic.check_program(net, step=step, loss=lambda: 0.5 * np.sum((forward()[2] @ X - T) ** 2), lr=0.01)
    assert report.ok != forgotten
    assert not forgotten or {slip.code for slip in report.slips if slip.certain} & {"softmax_without_its_dot"}


def test_a_power_that_is_no_number_fits_nothing():
    assert power(-2.0, 3) == -8.0
    assert power(1e9, 60) == 0.0


SPELLINGS = {
    "keepdims": lambda e: e / e.sum(axis=1, keepdims=True),
    "divided transposed": lambda e: (e.T / e.sum(axis=1)).T,
    "multiplied transposed": lambda e: (e.T * (1.0 / np.sum(e, axis=1))).transpose(),
}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_softmax_that_is_spelled_with_transposes_is_one(spelling):
    rng = np.random.default_rng(2)
    X, t = rng.normal(size=(6, 4)), np.array([0, 2, 1, 1, 0, 2])

    def probabilities(p):
        return SPELLINGS[spelling](np.exp(X @ p["W"]))

    def backward(p):
        s, v = probabilities(p), np.zeros((6, 3))
        v[np.arange(6), t] = -1.0 / s[np.arange(6), t] / 6
        return {"W": X.T @ (s * v)}

    def loss(p):
        return -np.mean(np.log(probabilities(p)[np.arange(6), t]))

    report = tg.clinic.check_backprop(loss, {"W": rng.normal(size=(4, 3))}, backward)
    assert "softmax_without_its_dot" in {slip.code for slip in report.slips if slip.certain}
