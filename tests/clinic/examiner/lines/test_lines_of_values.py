"""Lines that make a value which is no derivative of the loss, or that of something else: a chain, a σ, a mask."""

import math

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop, check_program
from tinygrad_edu.clinic.examiner.forward.book import Truth
from tinygrad_edu.clinic.examiner.lines.recorder import record_run
from tinygrad_edu.clinic.examiner.lines.recording import key_of
from tinygrad_edu.clinic.examiner.lines.trail import RIGHT, SCALED, Trail

R = np.random.default_rng(5)
X, T = R.normal(size=(5, 3)), R.normal(size=(5, 2))


class Neurons:
    """2-2-1 in single numbers, trained sample by sample, with every ∂/∂ under a name of its own."""

    data = ((0.3, -1.2, 1.0), (0.9, 0.4, 0.0))

    def __init__(self, slip):
        self.slip = slip
        self.w1, self.w2, self.w3, self.w4, self.w5, self.w6 = 0.4, -0.7, 1.1, 0.2, 0.8, -1.3
        self.b1, self.b2, self.b3 = 0.1, -0.2, 0.3

    def forward(self, x, y):
        z1, z2 = self.w1 * x + self.w2 * y + self.b1, self.w3 * x + self.w4 * y + self.b2
        z = self.w5 * sigmoid(z1) + self.w6 * sigmoid(z2) + self.b3
        return z1, z2, z

    def loss(self):
        return sum((t - sigmoid(self.forward(x, y)[2])) ** 2 for x, y, t in self.data) / len(self.data)

    def train(self):
        for x, y, t in self.data:
            z1, z2, z = self.forward(x, y)
            h1, h2, p = sigmoid(z1), sigmoid(z2), sigmoid(z)
            d_l_d_p = -2 * (t - p)
            d_p_d_w5 = h1 * slope(z)
            d_p_d_w6 = h2 * slope(z)
            d_p_d_h1 = self.w5 + slope(z) if self.slip == "link" else self.w5 * slope(z)
            d_p_d_h2 = self.w6 * slope(z)
            d_h1_d_w1, d_h1_d_w2, d_h1_d_b1 = x * slope(z1), y * slope(z1), slope(z1)
            d_h2_d_w3, d_h2_d_w4, d_h2_d_b2 = x * slope(z2), y * slope(z2), slope(z2)
            self.w1 -= 0.1 * d_l_d_p * d_p_d_h1 * d_h1_d_w1
            self.w2 -= 0.1 * d_l_d_p * d_p_d_h1 * d_h1_d_w2
            if self.slip == "left out":
                self.b1 -= 0.1 * d_l_d_p * d_h1_d_b1
            else:
                self.b1 -= 0.1 * d_l_d_p * d_p_d_h1 * d_h1_d_b1
            self.w3 -= 0.1 * d_l_d_p * d_p_d_h2 * d_h2_d_w3
            self.w4 -= 0.1 * d_l_d_p * d_p_d_h2 * d_h2_d_w4
            self.b2 -= 0.1 * d_l_d_p * d_p_d_h2 * d_h2_d_b2
            self.w5 -= 0.1 * d_l_d_p * d_p_d_w5
            self.w6 -= 0.1 * d_l_d_p * d_p_d_w6
            self.b3 -= 0.1 * d_l_d_p * slope(z)


def sigmoid(z):
    return 1 / (1 + math.exp(-z))


def slope(z):
    return sigmoid(z) * (1 - sigmoid(z))


LINKS = {"link": "d_p_d_h1 = ", "left out": "self.b1 -= 0.1 * d_l_d_p * d_h1_d_b1"}


@pytest.mark.slow
@pytest.mark.parametrize("slip", [*LINKS, ""])
def test_a_link_of_a_chain_of_single_numbers(slip):
    net = Neurons(slip)
    report = check_program(net, step=net.train, loss=net.loss, lr=0.1)
    assert report.ok == (not slip)
    assert not slip or report.places[0].source.startswith(LINKS[slip])


def norm(p, slip=""):
    """x W, normed over the batch, scaled, squared: with its backward, in which 1/σ is computed anew."""

    def values(p):
        z = X @ p["W"]
        std = np.sqrt(z.var(axis=0) + 1e-5)
        return z, std, (z - z.mean(axis=0)) / std

    def forward(p):
        return 0.5 * np.sum((p["gamma"] * values(p)[2] - T) ** 2)

    def backward(p):
        z, _, n = values(p)
        dy = p["gamma"] * n - T
        dgamma = np.sum(dy * n, axis=0)
        std_inv = 1.0 / (z.var(axis=0) + 1e-5) if slip else 1.0 / np.sqrt(z.var(axis=0) + 1e-5)
        dz = p["gamma"] * std_inv / len(z) * (len(z) * dy - dgamma * n - np.sum(dy, axis=0))
        return {"W": X.T @ dz, "gamma": dgamma}

    return check_backprop(forward, p, backward)


@pytest.mark.slow
def test_a_value_of_the_forward_that_is_computed_anew_and_wrongly():
    p = {"W": R.normal(size=(3, 2)), "gamma": np.array([1.3, 0.6])}
    assert norm(p).ok
    assert norm(p, "σ² for σ").places[0].source.startswith("std_inv = ")


def cell(slip=""):
    """One step of an LSTM-like cell: s = g·i, h = o·s."""
    names = ("Wg", "Wi", "Wo")
    p = {n: R.normal(size=(3, 4)) for n in names}

    def gates(p):
        z = [X @ p[n] for n in names]
        return np.tanh(z[0]), *(1.0 / (1.0 + np.exp(-x)) for x in z[1:])

    def forward(p):
        g, i, o = gates(p)
        return np.sum((g * i * o) ** 2)

    def backward(p):
        g, i, o = gates(p)
        s = g * i
        dh = 2 * s * o
        ds = o * dh
        do = s * dh
        di = (i if slip == "exchanged" else g) * ds
        dg = i * ds
        di_input = i * (1 - i) * di
        dg_input = (1 - g**2) * dg
        return {"Wg": X.T @ dg_input, "Wi": X.T @ di_input, "Wo": X.T @ (o * (1 - o) * do)}

    return check_backprop(forward, p, backward)


def test_a_derivative_that_two_lines_compute_stands_in_the_place_of_another():
    assert cell().ok
    assert cell("exchanged").places[0].source.startswith("di = ")


def pool(slip=""):
    """The largest of each pair of tanh(x W), by its index, as in pooling over columns."""
    p = {"W": R.normal(size=(3, 8))}

    def windows(p):
        return np.tanh(X @ p["W"]).reshape(-1, 2).T

    def forward(p):
        w = windows(p)
        return np.sum((w[np.argmax(w, axis=0), np.arange(w.shape[1])] - 0.3) ** 2)

    def backward(p):
        w = windows(p)
        at = np.argmax(w, axis=0)
        dmax = 2 * (w[at, np.arange(w.shape[1])] - 0.3)
        dw = np.zeros_like(w)
        if slip:
            dw[:, :] = dmax
        else:
            dw[at, np.arange(w.shape[1])] = dmax
        da = dw.T.reshape(5, 8)
        dz = da * (1 - np.tanh(X @ p["W"]) ** 2)
        return {"W": X.T @ dz}

    return check_backprop(forward, p, backward)


def test_a_maximum_by_its_index_whose_mask_is_forgotten():
    assert pool().ok
    assert pool("no mask").places[0].source == "dw[:, :] = dmax"


def test_a_derivative_that_comes_several_times_is_no_forgotten_mask():
    """One prediction for several words beside it: the errors of equal rows are the same, and no maximum is there."""
    p = {"W": R.normal(size=(4, 3)), "U": R.normal(size=(3, 4))}
    words = [1, 2, 1, 1]

    def predict(p):
        e = np.exp(p["W"][0] @ p["U"])
        return e / np.sum(e)

    def backward(p):
        errors = np.array([predict(p) - np.eye(4)[c] for c in words])
        dW = np.zeros_like(p["W"])
        dW[0] = p["U"] @ np.mean(errors, axis=0)
        return {"W": dW, "U": np.outer(p["W"][0], errors.sum(axis=0))}

    report = check_backprop(lambda p: -sum(np.log(predict(p)[c]) for c in words), p, backward)
    assert report.places[0].source.startswith("dW[0] = ")


def test_a_rate_that_is_some_derivative_by_chance_has_no_sign_to_compare():
    """All is computed with y - p, so deltas have their signs turned; 0.5 is a derivative of ½(y - p)² by chance."""
    net = {"W1": R.normal(size=(3, 4)), "W2": R.normal(size=(4, 2))}

    def loss():
        return 0.5 * np.sum((T - np.tanh(X @ net["W1"]) @ net["W2"]) ** 2)

    def step():
        h = np.tanh(X @ net["W1"])
        error = T - h @ net["W2"]
        hidden_error = error @ net["W2"].T
        hidden_delta = hidden_error * (1 - h**2)
        net["W2"] += h.T @ error * 0.5
        net["W1"] += X.T @ hidden_error * 0.5 + 0.0 * hidden_delta[0, 0]

    report = check_program(net, step=step, loss=loss, lr=0.5)
    assert report.places[0].source.startswith('net["W1"] += ')


@pytest.mark.parametrize(("factor", "kind"), [(-0.5, SCALED), (-1.0, SCALED), (1.0, RIGHT), (0.3, "made")])
def test_a_single_number_is_a_derivative_times_what_people_leave_for_later(factor, kind):
    """In a program of single numbers, e = r - p·q is -½ times the derivative of e²."""

    def error(p, target):
        e = target - p
        return e

    truth = Truth()
    truth.values.add(np.array([0.7, 3.1]))
    truth.derivatives.add(np.array([(3.1 - 0.7) / factor, 9.0]))
    recording = record_run(error, 0.7, 3.1)
    assert Trail(recording, truth, [1.0, -1.0]).kinds[key_of(np.asarray(recording.result))] == kind


def test_a_share_is_made_where_it_is_computed_and_not_where_it_is_reshaped():
    """A norm over the last axis that forgets the way through its variance, then a layer that flattens its gradient."""
    x, t = R.normal(size=(2, 3, 3)), R.normal(size=(2, 3, 4))

    def norm(p):
        z = x @ p["W"]
        std = np.sqrt(z.var(axis=-1, keepdims=True) + 1e-6)
        return std, (z - z.mean(axis=-1, keepdims=True)) / std

    def backward(p):
        std, n = norm(p)
        dy = 2 * (n - t)
        dx = (dy - dy.mean(axis=-1, keepdims=True)) / std
        flat = dx.reshape(-1, 4)
        return {"W": x.reshape(-1, 3).T @ flat}

    report = check_backprop(lambda p: np.sum((norm(p)[1] - t) ** 2), {"W": R.normal(size=(3, 4))}, backward)
    assert report.places[0].source.startswith("dx = ")
