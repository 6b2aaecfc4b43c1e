"""Lines that are undone, by division or subtraction, to see which of the values that they read is the wrong one."""

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program

r = np.random.default_rng(5)
X, T, EPS = r.normal(size=(6, 3)), r.normal(size=(6, 2)), r.normal(size=(6, 2))
P = {"W": r.normal(size=(3, 4)) * 0.6, "V": r.normal(size=(4, 2)) * 0.6, "U": r.normal(size=(4, 2)) * 0.5}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def swish(z):
    return z * sigmoid(z)


def swish_slope(z, one=1):
    s = sigmoid(z)
    return s + z * s * (one - s)


def swish_loss(p):
    return np.sum((swish(X @ p["W"]) @ p["V"] - T) ** 2)


def swish_pass(p, slope):
    a = X @ p["W"]
    h = swish(a)
    d = 2 * (h @ p["V"] - T)
    da = (d @ p["V"].T) * slope(a, h)
    return {"W": X.T @ da, "V": h.T @ d, "U": np.zeros((4, 2))}


def only(*names):
    return {n: P[n] for n in names}


def of(p, *names):
    return {n: p[n] for n in names}


def test_a_wrong_slope_is_wrong_in_the_function_that_makes_it():
    report = check_backprop(
        swish_loss, only("W", "V"), lambda p: of(swish_pass(p, lambda a, h: swish_slope(a, 0.5)), "W", "V")
    )
    assert report.places[0].source == "return s + z * s * (one - s)"
    assert "divided by it" in report.places[0].sentence


def sigmoid_slope(z):
    s = sigmoid(z)
    return s * (1 - s)


def sigmoid_pass(p):
    a = X @ p["W"]
    h = sigmoid(a)
    d = 2 * (h @ p["V"] - T)
    slope = sigmoid_slope(h)
    da = (d @ p["V"].T) * slope
    return {"W": X.T @ da, "V": h.T @ d}


def test_a_right_slope_at_a_wrong_value_is_wrong_where_it_is_called():
    report = check_backprop(lambda p: np.sum((sigmoid(X @ p["W"]) @ p["V"] - T) ** 2), only("W", "V"), sigmoid_pass)
    assert report.places[0].source == "slope = sigmoid_slope(h)"
    assert report.places[1].sentence.startswith("`da` is not a derivative of the loss. It is made with `slope`")


def vae_loss(p):
    h = np.tanh(X @ p["W"])
    mu, s = h @ p["V"], h @ p["U"]
    return np.sum((mu + np.exp(0.5 * s) * EPS - T) ** 2) - 0.5 * np.sum(1 + s - mu**2 - np.exp(s))


def vae_pass(p):
    h = np.tanh(X @ p["W"])
    mu, s = h @ p["V"], h @ p["U"]
    dz = 2 * (mu + np.exp(0.5 * s) * EPS - T)
    dmu = dz + mu
    ds = dz * EPS * np.exp(0.5 * s)
    ds += 0.5 * (np.exp(s) - 1)
    dh = (dmu @ p["V"].T + ds @ p["U"].T) * (1 - h**2)
    return {"W": X.T @ dh, "V": h.T @ dmu, "U": h.T @ ds}


def test_a_share_of_another_value_is_wrong_where_it_begins_a_sum():
    """∂L/∂(s/2) is a derivative too, and s has another share, which is right."""
    report = check_backprop(vae_loss, P, vae_pass)
    assert report.places[0].source == "ds = dz * EPS * np.exp(0.5 * s)"
    assert "is 2 times the share of a derivative" in report.places[0].sentence


C = {"Wf": r.normal(size=(2, 3)), "Wc": r.normal(size=(2, 3))}
INPUTS = r.normal(size=(4, 3, 1))


def cells(p):
    c, kept = np.zeros((2, 1)), []
    for x in INPUTS:
        f, g = sigmoid(p["Wf"] @ x), np.tanh(p["Wc"] @ x)
        kept.append((x, f, g, c))
        c = f * c + (1 - f) * g
        kept[-1] += (np.tanh(c),)
    return kept


def cells_pass(p):
    dWf, dWc, dc_next = np.zeros((2, 3)), np.zeros((2, 3)), np.zeros((2, 1))
    for x, f, g, before, h in cells(p)[::-1]:
        dc = dc_next + 2 * h * (1 - h**2)
        dWf += dc * (before - g) * f * (1 - f) @ x.T
        dWc += dc * (1 - f) * (1 - g**2) @ x.T
        dc_next = dc
    return {"Wf": dWf, "Wc": dWc}


def test_a_derivative_that_is_handed_on_under_another_name_is_wrong_there():
    report = check_backprop(lambda p: sum(np.sum(k[4] ** 2) for k in cells(p)), C, cells_pass)
    assert report.places[0].source == "dc_next = dc"


class Adam:
    """Both corrections multiply: with lr = 0.01 and β₁ = 0.9 the first of them gives lr·g by chance."""

    def __init__(self):
        self.w, self.m, self.v, self.t, self.betas, self.lr = P["W"].copy(), 0.0, 0.0, 0, (0.9, 0.999), 0.01

    def loss(self):
        return np.sum((X @ self.w) ** 2)

    def step(self):
        self.t += 1
        g = 2 * X.T @ (X @ self.w)
        self.m = self.betas[0] * self.m + (1 - self.betas[0]) * g
        self.v = self.betas[1] * self.v + (1 - self.betas[1]) * g**2
        m_hat = self.m * (1 - self.betas[0] ** self.t)
        v_hat = self.v * (1 - self.betas[1] ** self.t)
        self.w -= self.lr * m_hat / (np.sqrt(v_hat) + 1e-8)


@pytest.mark.parametrize("lr", [0.01, 0.003])
def test_the_lines_of_a_wrong_correction_come_before_the_update(lr):
    net = Adam()
    net.lr = lr
    report = check_program(net, step=net.step, loss=net.loss, lr=lr)
    assert {place.source[:5] for place in report.places[:2]} == {"m_hat", "v_hat"}
    assert "√v̂" in report.slips[0].right
    assert report.verdict().startswith("One mistake gives exactly your numbers")


def test_the_verdict_of_right_gradients_is_that_they_are_right():
    report = check_backprop(lambda p: np.sum(p["W"] ** 2), only("W"), lambda p: {"W": 2 * p["W"]})
    assert report.verdict() == "The gradient is right."


ACTIVATIONS = {
    "tanh": (np.tanh, lambda a: 1 - a),
    "lin": (lambda z: z, np.ones_like),
}


def table_pass(p):
    h = ACTIVATIONS["tanh"][0](X @ p["W"])
    d = 2 * (h @ p["V"] - T) * ACTIVATIONS["lin"][1](T)
    dh = (d @ p["V"].T) * ACTIVATIONS["tanh"][1](h)
    return {"W": X.T @ dh, "V": h.T @ d}


def test_a_lambda_in_a_table_is_a_line_like_any_other():
    report = check_backprop(lambda p: np.sum((np.tanh(X @ p["W"]) @ p["V"] - T) ** 2), only("W", "V"), table_pass)
    assert report.places[0].source == '"tanh": (np.tanh, lambda a: 1 - a),'


UNCHANGED = [  # what a backward pass does to ∂L/∂a1, which then is no δ1
    "d1 = d2 @ p['V'].T",
    "d1 = d2 @ p['V'].T * (h >= 0)",
    "d1 = d2 @ p['V'].T; d1[h < 0] = 0",
]


@pytest.mark.parametrize("line", UNCHANGED)
def test_a_gradient_made_with_another_delta_says_which(line, tmp_path, monkeypatch):
    """It said "Everything that this line reads is right" of the line that reads d1, which is what is wrong."""
    text = f"""def backward(p):
    h = np.maximum(X @ p["W"], 0)
    d2 = h @ p["V"] - T
    {line}
    return {{"W": X.T @ d1, "V": h.T @ d2}}
"""
    file, space = tmp_path / "mine.py", {"np": np, "X": X, "T": T}
    file.write_text(text, encoding="utf-8")
    exec(compile(text, str(file), "exec"), space)
    params = {"W": P["W"], "V": P["V"]}
    report = check_backprop(
        lambda p: 0.5 * np.sum((np.maximum(X @ p["W"], 0) @ p["V"] - T) ** 2), params, space["backward"]
    )
    assert report.places
    for place in report.places:
        assert "Everything that this line reads is right" not in place.sentence
        assert "∂L/∂a1" in place.sentence
    assert f"  {file}:" in str(report)
    monkeypatch.chdir(tmp_path)
    assert "  mine.py:" in str(report), "in the folder that one works in, as one types it"
