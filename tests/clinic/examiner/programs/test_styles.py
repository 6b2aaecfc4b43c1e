"""Other ways of writing a network: samples as columns, single vectors, a loop over samples, class numbers, logits."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop

RNG = np.random.default_rng(0)
X, T = RNG.normal(size=(5, 3)), RNG.random((5, 2))
LABELS = np.array([0, 1, 1, 0, 1])
P = {"W1": RNG.normal(size=(4, 3)), "b1": RNG.normal(size=4), "W2": RNG.normal(size=(2, 4)), "b2": RNG.normal(size=2)}
COLUMNS = {name: x if x.ndim == 2 else x[:, None] for name, x in P.items()}
SOFTMAX = {"W": RNG.normal(size=(3, 2)), "b": RNG.normal(size=2)}


def columns(p):
    a = np.tanh(np.dot(p["W1"], X.T) + p["b1"])
    return np.sum((np.dot(p["W2"], a) + p["b2"] - T.T) ** 2) / 10


def columns_backward(slip):
    z = P["W1"] @ X.T + COLUMNS["b1"]
    a = np.tanh(z)
    d2 = (P["W2"] @ a + COLUMNS["b2"] - T.T) / 5
    if slip == "only_last_sample":
        d2 = np.where(np.arange(5) == 4, d2, 0.0)
    d1 = (P["W2"].T @ d2) * (1 - (z if slip == "derivative_at_preactivation" else a) ** 2)
    x2 = z if slip == "wrong_layer_input" else a
    b1 = np.full((4, 1), d1.sum()) if slip == "bias_wrong_axis" else d1.sum(1, keepdims=True)
    b2 = d2 if slip == "bias_not_summed" else d2.sum(1, keepdims=True)
    return {"W1": d1 @ X, "b1": b1, "W2": d2 @ x2.T, "b2": b2}


def looped(p):
    total = 0
    for x, t in zip(X, T, strict=True):
        total = total + 0.5 * np.sum((p["W2"] @ np.tanh(p["W1"] @ x + p["b1"]) + p["b2"] - t) ** 2)
    return total / len(X)


def looped_backward(slip):
    grads = {name: np.zeros_like(x) for name, x in P.items()}
    for x, t in zip(X, T, strict=True):
        a = np.tanh(P["W1"] @ x + P["b1"])
        d2 = P["W2"] @ a + P["b2"] - t
        d1 = P["W2"].T @ d2 * (1.0 if slip == "missing_activation_derivative" else 1 - a**2)
        new = {"W1": np.outer(d1, x), "b1": d1, "W2": np.outer(d2, a), "b2": d2}
        grads = {n: new[n] + (0.0 if slip == "only_last_sample" else g) for n, g in grads.items()}
    return {name: g if slip == "constant_factor" else g / len(X) for name, g in grads.items()}


def logits(p):
    z = X @ p["W"] + p["b"]
    z = z - z.max(axis=1, keepdims=True)
    return -(z - np.log(np.sum(np.exp(z), axis=1, keepdims=True)))[np.arange(5), LABELS].mean()


def logits_backward(slip):
    z = X @ SOFTMAX["W"] + SOFTMAX["b"]
    p = np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)
    d = p - np.eye(2)[LABELS]
    d = d * p * (1 - p) if slip == "missing_softmax_ce_simplification" else d
    d = d if slip == "constant_factor" else d / 5
    return {"W": X.T @ d, "b": d.sum(0)}


def vector(p):
    a = np.maximum(0, p["W1"].dot(X[0]) + p["b1"])
    return 0.5 * np.sum((p["W2"].dot(a) + p["b2"] - T[0]) ** 2)


def vector_backward(slip):
    z = P["W1"] @ X[0] + P["b1"]
    a = np.maximum(0, z)
    d2 = P["W2"] @ a + P["b2"] - T[0]
    d1 = P["W2"].T @ d2 * {"relu_mask_wrong": z <= 0, "missing_activation_derivative": 1.0}.get(slip, z > 0)
    return {"W1": np.outer(d1, X[0]), "b1": d1, "W2": np.outer(d2, a), "b2": d2}


def minus(p):
    """The minus before the input, as in exp(-x @ W): it binds to x."""
    h = 1 / (1 + np.exp(-X @ p["W1"].T - p["b1"]))
    return 0.5 * np.sum((1 / (1 + np.exp(-h @ p["W2"].T - p["b2"])) - T) ** 2)


def minus_backward(slip):
    z = X @ P["W1"].T + P["b1"]
    h = 1 / (1 + np.exp(-z))
    y = 1 / (1 + np.exp(-(h @ P["W2"].T + P["b2"])))
    d2 = (y - T) * (1.0 if slip == "missing_activation_derivative" else y * (1 - y))
    slope = z * (1 - z) if slip == "derivative_at_preactivation" else h * (1 - h)
    d1 = (0.0 if slip == "delta_not_propagated" else d2 @ P["W2"]) * slope
    x2 = z if slip == "wrong_layer_input" else h
    dW1 = d1.sum(0)[:, None] * P["W1"] if slip == "weight_instead_of_input" else d1.T @ X
    return {"W1": dW1, "b1": d1.sum(0), "W2": d2.T @ x2, "b2": d2.sum(0)}


STYLES = [
    (
        columns,
        COLUMNS,
        columns_backward,
        "only_last_sample derivative_at_preactivation wrong_layer_input bias_wrong_axis",
    ),
    (columns, COLUMNS, columns_backward, "bias_not_summed"),
    (looped, P, looped_backward, "missing_activation_derivative only_last_sample constant_factor"),
    (logits, SOFTMAX, logits_backward, "missing_softmax_ce_simplification constant_factor"),
    (vector, P, vector_backward, "relu_mask_wrong missing_activation_derivative"),
    (minus, P, minus_backward, "missing_activation_derivative derivative_at_preactivation weight_instead_of_input"),
    (minus, P, minus_backward, "wrong_layer_input delta_not_propagated"),
]
CASES = [(*style, code) for *style, codes in STYLES for code in codes.split()]


@pytest.mark.parametrize(("forward", "params", "backward", "code"), CASES)
def test_a_slip_is_named_in_every_style(forward, params, backward, code):
    report = check_backprop(forward, params, backward(code))
    assert report.method == "traced"
    assert report.slips[0].code == code
    assert report.certain


@pytest.mark.parametrize(("forward", "params", "backward", "_"), STYLES)
def test_right_gradients_are_right_in_every_style(forward, params, backward, _):
    assert check_backprop(forward, params, backward("none")).ok


def test_the_last_sample_of_a_loop_is_called_the_last():
    report = check_backprop(looped, P, looped_backward("only_last_sample"))
    assert "last" in report.slips[0].line


RIGHT = looped_backward("none")
PENALISED = {
    "regularisation_missing": RIGHT,
    "regularisation_on_bias": {n: g + 0.01 * P[n] for n, g in RIGHT.items()},
    "regularisation_wrong": {n: g + 0.02 * P[n] * (P[n].ndim == 2) for n, g in RIGHT.items()},
}


@pytest.mark.parametrize("code", PENALISED)
def test_penalties(code):
    report = check_backprop(
        lambda p: looped(p) + 0.005 * sum(np.sum(p[n] ** 2) for n in ("W1", "W2")), P, PENALISED[code]
    )
    assert report.slips[0].code == code
    assert report.slips[0].where in ("every weight", "every bias")


@pytest.mark.filterwarnings("ignore:the matrix subclass")
@pytest.mark.parametrize("factor", [1.0, -1.0])
def test_matrices_of_numpy_are_judged_and_told_what_would_say_more(factor):
    inputs, targets, params = np.asmatrix(X), np.asmatrix(T), {"W": np.asmatrix(SOFTMAX["W"])}

    def forward(p):
        error = inputs * p["W"] - targets
        return float(np.trace(error.T * error))

    report = check_backprop(forward, params, lambda p: {"W": factor * 2.0 * inputs.T * (inputs * p["W"] - targets)})
    assert report.ok == (factor == 1.0)
    assert "np.matrix is not followed: with arrays" in report.note
