"""Idioms of forward functions: each is traced, with the gradient that finite differences measure."""

import math

import numpy as np
import pytest

from tinygrad_edu.clinic.examiner.forward.book import total
from tinygrad_edu.clinic.examiner.forward.forward_network import network_of, on_arrays
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward, parameters

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(5, 3)), RNG.random((5, 4))
P = {"W": RNG.normal(size=(3, 4)), "b": RNG.normal(size=4)}


def z(p):
    return X.dot(p["W"]) + p["b"]


def rows(p):
    h = np.zeros((5, 4))
    for i in range(5):
        h[i] = np.tanh(X[i] @ p["W"] + p["b"])
    return np.sum(h**2)


def entries(p):
    h = np.zeros((5, 4))
    for i in range(5):
        for j in range(4):
            h[i, j] = np.tanh(np.sum(X[i] * p["W"][:, j]) + p["b"][j])
    return np.sum(h**2)


def sums(p):
    h = np.zeros((5, 4))
    for k in range(3):
        h += np.outer(X[:, k], p["W"][k])
    return np.sum(np.tanh(h + p["b"]) ** 2)


def masked(p):
    a = z(p).copy()
    a[a < 0] = 0
    return np.sum(a**2)


def stable_sigmoid(p):
    y = z(p)
    out, pos = np.empty_like(y), y >= 0
    out[pos] = 1 / (1 + np.exp(-y[pos]))
    e = np.exp(y[~pos])
    out[~pos] = e / (1 + e)
    return np.sum((out - T) ** 2)


def in_place(p):
    y = X.dot(p["W"])
    y += p["b"]
    np.tanh(y, out=y)
    y *= 2
    return np.sum(y**2)


def through_a_view(p):
    h = np.zeros((5, 4))
    for i in range(5):
        row = h[i]
        row[:] = np.tanh(X[i].dot(p["W"]) + p["b"])
    return (h**2).sum()


def by_numbers(p):
    total = 0
    for n in range(5):
        for j in range(4):
            s = p["b"][j]
            for k in range(3):
                s += X[n, k] * p["W"][k, j]
            total += (1 / (1 + math.exp(-s)) - T[n, j]) ** 2
    return total / 5


def added_at(p):
    g = np.zeros(4)
    np.add.at(g, [0, 1, 1, 3], p["b"])
    return np.sum((g + X.dot(p["W"])) ** 2)


IDIOMS = {
    "dot": lambda p: np.sum(np.tanh(z(p)) ** 2), "rows": rows, "entries": entries, "sums": sums, "masked": masked,
    "stable sigmoid": stable_sigmoid, "in place": in_place, "view": through_a_view, "numbers": by_numbers,
    "add.at": added_at, "list": lambda p: np.sum(np.array([np.tanh(x @ p["W"] + p["b"]) for x in X]) ** 2),
    "vectorize": lambda p: np.sum(np.vectorize(lambda v: 1 / (1 + math.exp(-v)))(z(p)) ** 2),
    "amax": lambda p: np.sum(np.exp(z(p) - np.amax(z(p), axis=1, keepdims=True)) * T),
    "insert": lambda p: np.sum(np.insert(np.tanh(z(p)), 0, 1, axis=1) ** 3),
    "append": lambda p: np.sum(np.append(np.tanh(z(p)), np.ones((5, 1)), axis=1) ** 3),
    "c_": lambda p: np.sum(np.c_[np.ones(5), np.tanh(z(p))] ** 3), "average": lambda p: np.average((z(p) - T) ** 2),
    "tile": lambda p: np.sum((X @ p["W"] + np.tile(p["b"], (5, 1))) ** 2),
    "roll": lambda p: np.sum((np.flip(np.roll(np.tanh(z(p)), 1, axis=1), 0) * T) ** 2),
    "tensordot": lambda p: np.sum(np.tanh(np.tensordot(X, p["W"], axes=1) + p["b"]) ** 2),
    "along axis": lambda p: np.sum(np.apply_along_axis(np.tanh, 1, z(p)) ** 2),
    "convolve": lambda p: np.sum(np.convolve(X[:, 0], p["b"], mode="valid") ** 2) + np.sum(p["W"] ** 2),
    "logaddexp": lambda p: np.sum(np.logaddexp(0, z(p))), "astype": lambda p: np.sum(z(p).astype(np.float64) ** 2),
    "asarray": lambda p: np.sum(np.asarray(np.tanh(z(p))) ** 2), "float": lambda p: float(np.sum(z(p) ** 2)),
    "item": lambda p: np.sum(z(p) ** 2).item(), "nan_to_num": lambda p: np.sum(np.nan_to_num(np.tanh(z(p)) ** 2)),
    "isinstance": lambda p: np.sum((p["W"].copy() if isinstance(p["W"], np.ndarray) else 0) ** 2) + np.sum(p["b"]),
    "attribute": lambda p, f={"act": math.tanh}: f["act"](p["W"][0, 0] * 0.5 + p["b"][1]) ** 2,
}  # fmt: skip


@pytest.mark.parametrize("name", IDIOMS)
def test_an_idiom_is_traced_exactly(name):
    form, params = parameters(P)
    learner = LearnerForward(IDIOMS[name], form)
    net, reason = on_arrays(learner, params, learner.checked_loss(params))
    assert net is not None, reason
    for n, slope in learner.slopes(params).items():
        np.testing.assert_allclose(np.asarray(total(net, n)) + np.zeros(slope.shape), slope, rtol=1e-5, atol=1e-7)


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
def test_what_loses_its_graph_is_not_believed():
    """np.matrix multiplies behind our back: the traced slope is not the measured one, so single Values are used."""
    form, params = parameters(P)
    data = X.view(np.matrix)
    learner = LearnerForward(lambda p: np.sum(np.asarray(data * p["W"]) ** 2) + np.sum(p["b"] ** 2), form)
    assert on_arrays(learner, params, learner.checked_loss(params))[0] is None
    net, method, _ = network_of(learner, params, learner.checked_loss(params))
    assert method == "traced"
    np.testing.assert_allclose(total(net, "b"), 2 * P["b"], rtol=1e-9)
    np.testing.assert_allclose(total(net, "W"), 2 * X.T @ X @ P["W"], rtol=1e-9)
