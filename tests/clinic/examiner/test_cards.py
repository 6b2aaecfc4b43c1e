"""What a card says of a mistake: formulas in the learner's own layout, with the learner's n, and no other mistake."""

import numpy as np
import pytest

import tinygrad_edu as tg

r = np.random.default_rng(3)
X, Y = r.normal(size=(9, 2)), (r.normal(size=(9, 1)) > 0) * 1.0


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def layers(p):
    a = np.tanh(X @ p["W1"])
    return a, sigmoid(a @ p["W2"])


def cross_entropy(p):
    """The forward is called twice, as one calls `net(X)` in a formula."""
    return -np.mean(Y * np.log(layers(p)[1]) + (1 - Y) * np.log(1 - layers(p)[1]))


PARAMS = {"W1": r.normal(size=(2, 4)), "W2": r.normal(size=(4, 1))}


def test_the_slope_of_a_sigmoid_once_too_often_keeps_the_mean():
    def backward(p):
        a, o = layers(p)
        d = (o - Y) / len(X) * o * (1 - o)
        return {"W1": X.T @ (d @ p["W2"].T * (1 - a * a)), "W2": a.T @ d}

    slip = tg.clinic.check_backprop(cross_entropy, PARAMS, backward).slips[0]
    assert (slip.line, slip.right) == ("δ2 = (a2 - t)/n ∘ a2(1 - a2)", "δ2 = (a2 - t)/n")


def test_a_forward_that_is_called_twice_has_each_sample_once():
    def backward(p):
        a, o = layers(p)
        d = o - Y
        return {"W1": X.T @ (d @ p["W2"].T * (1 - a * a)) / len(X), "W2": a.T @ d}

    report = tg.clinic.check_backprop(cross_entropy, PARAMS, backward)
    assert [slip.where for slip in report.slips][:1] == ["output layer"]
    assert "9 (n, the number of samples)" in str(report)
    assert len(report.places) == 1


def test_half_a_penalty_in_one_weight_is_not_half_in_every_weight():
    def loss(p):
        return np.mean((np.tanh(X @ p["W1"]) @ p["W2"] - Y) ** 2) + 0.3 * sum(np.sum(w * w) for w in p.values())

    def backward(p):
        a = np.tanh(X @ p["W1"])
        d = 2 * (a @ p["W2"] - Y) / len(X)
        return {"W1": X.T @ (d @ p["W2"].T * (1 - a * a)) + 0.3 * p["W1"], "W2": a.T @ d + 0.6 * p["W2"]}

    report = tg.clinic.check_backprop(loss, PARAMS, backward)
    assert report.slips[0].code == "regularisation_wrong"
    assert not any(slip.where.startswith("every") for slip in report.slips)


def test_the_input_of_another_layer_stands_where_the_own_one_does():
    """With samples in columns ∂L/∂W = δ xᵀ, of whichever array."""
    weights, x, t = [r.normal(size=(4, 4)) for _ in range(2)], r.normal(size=(4, 1)), r.normal(size=(4, 1))

    def forward(w):
        return 0.5 * np.sum((sigmoid(w[1] @ sigmoid(w[0] @ x)) - t) ** 2)

    def backward(w):
        a1 = sigmoid(w[0] @ x)
        a2 = sigmoid(w[1] @ a1)
        d2 = (a2 - t) * a2 * (1 - a2)
        d1 = (w[1].T @ d2) * a1 * (1 - a1)
        return [d1 @ x.T, d2 @ a2.T]

    slip = tg.clinic.check_backprop(forward, weights, backward).slips[0]
    assert (slip.line, slip.right) == ("∂L/∂[1] = δ2 a2ᵀ", "∂L/∂[1] = δ2 a1ᵀ")


def test_a_forward_that_returns_more_than_the_loss_is_told_to_return_it_alone():
    with pytest.raises(tg.errors.ExaminerError, match="returned 2 values"):
        tg.clinic.check_backprop(lambda p: (cross_entropy(p), {"o": 1.0}), PARAMS, PARAMS)
