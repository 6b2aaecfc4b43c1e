"""Explanations that give the same numbers here are told apart at other parameters, where they can be."""

import math

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_lists

RNG = np.random.default_rng(0)
X, T, W = RNG.normal(size=(6, 3)), RNG.normal(size=(6, 3)), RNG.normal(size=(3, 3))
SAME = {"W1": W, "W2": W}  # equal weights, so that W2 for W2ᵀ and W1 for W2ᵀ cannot be told apart


def forward(p):
    return 0.5 * np.sum((np.tanh(X @ p["W1"]) @ p["W2"] - T) ** 2)


def grads(p, way_back=lambda p: p["W2"], sign=1.0, before_the_loss=1.0):
    a1 = np.tanh(X @ p["W1"])
    d2 = before_the_loss * (a1 @ p["W2"] - T)
    return {"W1": X.T @ ((d2 @ way_back(p)) * (1 - a1**2)), "W2": sign * a1.T @ d2}


WAYS = {"not_transposed": lambda p: p["W2"], "wrong_matrix_in_propagation": lambda p: p["W1"]}
OTHERS = {
    "alone": {},
    "with a sign": {"sign": -1.0},
    "with a factor that has no name": {"before_the_loss": 0.37},
    "with a factor at one weight": {"sign": 6.0},
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", OTHERS)
def test_single_slips_and_pairs_have_a_probe_that_holds(way, other):
    """What the learner's own code gives at the probe's parameters is one of the two numbers, and names the slip."""

    def theirs(p):
        return grads(p, WAYS[way], **OTHERS[other])

    report = check_backprop(forward, SAME, theirs(SAME))
    assert report.certain
    assert len(report.explanations[0]) == (1 if other == "alone" else 2)
    assert {s.code for s in report.slips} >= set(WAYS)
    probe = report.probe
    number = theirs(probe.params)[probe.name][probe.index]
    shown = dict(zip((probe.first, probe.second), probe.between, strict=True))
    nearest = min(shown, key=lambda x: abs(x - number))
    assert number == pytest.approx(nearest, rel=1e-6)
    assert way in shown[nearest]
    assert str(probe) in str(report)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("other", OTHERS)
def test_a_backward_that_is_handed_over_is_run_at_the_probe_by_the_report_itself(way, other):
    """The same pairs of slips: one of them is left, the learner's, and the other is told as ruled out."""
    report = check_backprop(forward, SAME, lambda p: grads(p, WAYS[way], **OTHERS[other]))
    assert report.certain
    assert report.probe is None
    assert all(way in {slip.code for slip in e} for e in report.explanations)
    (rest,) = {*WAYS} - {way}
    assert any(rest in words for words in report.ruled_out)
    assert "ruled out, which give the same numbers here" in str(report)
    assert "To tell them apart" not in str(report)


def test_weights_updated_too_early_are_predicted_from_the_gradients_there():
    """Where W1 = W2 - lr·dW2, the old W1 in place of W2 is the same as the updated W2."""
    lr = 0.1
    first = {"W1": W, "W2": RNG.normal(size=(3, 3))}
    params = {**first, "W2": first["W2"]}
    for _ in range(60):  # solve W1 = W2 - lr·dW2(W1, W2) by fixed-point iteration
        params = {**params, "W1": params["W2"] - lr * grads(params)["W2"]}

    def theirs(p):
        right = grads(p)
        return grads(p, lambda p: (p["W2"] - lr * right["W2"]).T)

    report = check_backprop(forward, params, theirs(params), lr=lr)
    assert {s.code for s in report.slips} == {"updated_weights_used", "wrong_matrix_in_propagation"}
    there = theirs(report.probe.params)[report.probe.name][report.probe.index]
    number = dict(zip(report.probe.between, (report.probe.first, report.probe.second), strict=True))
    assert there == pytest.approx(next(x for text, x in number.items() if "updated" in text), rel=1e-6)


def test_what_is_the_same_everywhere_is_said_to_be():
    """1 in place of the loss's derivative, or nothing multiplied into what comes from above: one and the same."""
    a1 = np.tanh(X @ W)
    slope = 1 - np.tanh(a1 @ W) ** 2
    given = {"W1": X.T @ ((slope @ W.T) * (1 - a1**2)), "W2": a1.T @ slope}
    report = check_backprop(lambda p: 0.5 * np.sum((np.tanh(np.tanh(X @ p["W1"]) @ p["W2"]) - T) ** 2), SAME, given)
    assert {s.code for s in report.slips} == {"loss_derivative_missing", "upstream_gradient_dropped"}
    assert report.alike
    assert report.probe is None
    assert "None of the other weights that were tried tells them apart" in str(report)


def test_a_forward_that_works_at_its_own_parameters_only_has_no_probe():
    def picky(p):
        assert np.array_equal(np.asarray(getattr(p["W1"], "data", p["W1"])), W), "other weights"
        return forward(p)

    report = check_backprop(picky, SAME, grads(SAME))
    assert report.certain
    assert report.probe is None
    assert not report.alike


def test_lists_have_a_probe_in_their_own_form():
    rows, x, t = [[0.4, -0.7], [0.2, 0.9]], [1.0, -2.0], [0.3, 0.1]

    def outputs(p):
        h = [math.tanh(sum(w * v for w, v in zip(row, x, strict=True))) for row in p["W1"]]
        return h, [sum(w * v for w, v in zip(row, h, strict=True)) for row in p["W2"]]

    def loss(p):
        return sum(0.5 * (y - v) ** 2 for y, v in zip(outputs(p)[1], t, strict=True))

    def theirs(p):
        h, y = outputs(p)
        d2 = [a - b for a, b in zip(y, t, strict=True)]
        d1 = [sum(p["W2"][i][j] * d2[j] for j in range(2)) * (1 - h[i] ** 2) for i in range(2)]
        return {"W1": [[d * v for v in x] for d in d1], "W2": [[d * v for v in h] for d in d2]}

    params = {"W1": rows, "W2": [list(row) for row in rows]}
    report = check_lists(loss, params, theirs(params))
    assert {s.code for s in report.slips} == set(WAYS)
    probe = report.probe
    assert type(probe.params["W1"][0][0]) is float
    i, j = probe.index
    number = theirs(probe.params)[probe.name][i][j]
    assert number == pytest.approx(probe.first if "not_transposed" in probe.between[0] else probe.second, rel=1e-6)


@pytest.mark.parametrize(("units", "words"), [(1, "Any factor explains a single number"), (3, "")])
def test_any_factor_explains_a_single_number_so_that_no_hint_is_given(units, words):
    """0.37 times one number: some mistake of the catalogue is near it by chance."""
    r = np.random.default_rng(0)
    x, t = r.normal(size=(1, units)), np.array([[0.2]])
    p = {"a": r.normal(size=(units, units)), "b": r.normal(size=(units, 1))}

    def forward(p):
        return 0.5 * np.sum((np.tanh(x @ p["a"]) @ p["b"] - t) ** 2)

    h = np.tanh(x @ p["a"])
    d = h @ p["b"] - t
    grads = {"a": 0.37 * x.T @ (d @ p["b"].T * (1 - h * h)), "b": h.T @ d}
    report = check_backprop(forward, p, grads)
    assert words in report.note
    assert bool(report.explanations) == (units > 1)
