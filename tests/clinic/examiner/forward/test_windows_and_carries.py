"""Convolutions, poolings and recurrent cells with what people forget in them, each generated right and wrong."""

import itertools

import numpy as np
import pytest

from tinygrad_edu.clinic import check_backprop
from tinygrad_edu.clinic.examiner import search

TARGET = np.array([0.3, -0.8])


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


class Pooled:
    """Convolution, max or mean pooling with overlapping windows, a dense layer; loops over windows."""

    def __init__(self, size, stride, seed=0):
        r = np.random.default_rng(seed)
        self.size, self.stride = size, stride
        self.x = r.normal(size=(8, 8))
        self.n = (6 - size) // stride + 1
        self.params = {"K": r.normal(size=(3, 3)), "V": r.normal(size=(self.n**2, 2))}

    def windows(self):
        for i, j in itertools.product(range(self.n), repeat=2):
            rows, columns = (slice(k * self.stride, k * self.stride + self.size) for k in (i, j))
            yield i, j, rows, columns

    def run(self, p):
        z = np.zeros((6, 6))
        for i, j in itertools.product(range(6), repeat=2):
            z[i, j] = np.sum(self.x[i : i + 3, j : j + 3] * p["K"])
        a, pooled = np.tanh(z), np.zeros((self.n, self.n))
        for i, j, rows, columns in self.windows():
            pooled[i, j] = np.max(a[rows, columns])
        return a, pooled, pooled.reshape(-1) @ p["V"]

    def loss(self, p):
        return 0.5 * np.sum((self.run(p)[2] - TARGET) ** 2)

    def backward(self, p, assigned=False):
        a, pooled, y = self.run(p)
        d = y - TARGET
        back, da = (p["V"] @ d).reshape(pooled.shape), np.zeros_like(a)
        for i, j, rows, columns in self.windows():
            share = (a[rows, columns] == pooled[i, j]) * back[i, j]
            da[rows, columns] = share if assigned else da[rows, columns] + share
        dz, dK = da * (1 - a * a), np.zeros((3, 3))
        for i, j in itertools.product(range(6), repeat=2):
            dK += dz[i, j] * self.x[i : i + 3, j : j + 3]
        return {"K": dK, "V": np.outer(pooled.reshape(-1), d)}


@pytest.mark.slow
@pytest.mark.parametrize(("size", "stride"), [(2, 1), (3, 1), (3, 2)])
def test_overlapping_windows_are_added_up(size, stride):
    net = Pooled(size, stride)
    assert check_backprop(net.loss, net.params, net.backward(net.params)).ok
    report = check_backprop(net.loss, net.params, net.backward(net.params, assigned=True))
    assert report.certain
    assert report.slips[0].code == "overlaps_counted_once"


@pytest.mark.parametrize("mode", ["valid", "same", "full"])
@pytest.mark.parametrize("name", ["correlate2d", "convolve2d", "correlate", "convolve"])
def test_convolutions_of_scipy_are_traced(name, mode):
    from scipy import signal

    rng = np.random.default_rng(0)
    x, K = rng.normal(size=(6, 5)), rng.normal(size=(3, 2))

    def loss(p):
        return np.sum(np.tanh(getattr(signal, name)(x, p["K"], mode=mode)) ** 2)

    right = np.zeros_like(K)
    for place in np.ndindex(K.shape):
        nudge = np.zeros_like(K)
        nudge[place] = 1e-6
        right[place] = (loss({"K": K + nudge}) - loss({"K": K - nudge})) / 2e-6
    report = check_backprop(loss, {"K": K}, {"K": right})
    assert report.method == "traced"
    np.testing.assert_allclose(report.right["K"], right, rtol=1e-5, atol=1e-7)


class TwoConvolutions:
    """Two layers of convolution over rows, in the layouts that people use, as loops or as one matrix product."""

    def __init__(self, matrix, seed=0):
        r = np.random.default_rng(seed)
        self.x, self.matrix = r.normal(size=(2, 6, 6)), matrix
        self.params = {"K1": r.normal(size=(3, 2, 2, 2)), "K2": r.normal(size=(2, 3, 3, 3))}

    def convolve(self, x, K):
        k, n = K.shape[-1], x.shape[-1] - K.shape[-1] + 1
        patches = [x[:, i : i + k, j : j + k] for i, j in itertools.product(range(n), repeat=2)]
        if self.matrix:
            columns = np.stack([patch.reshape(-1) for patch in patches], axis=1)
            return (K.reshape(len(K), -1) @ columns).reshape(len(K), n, n)
        return np.stack([np.array([np.sum(patch * f) for patch in patches]).reshape(n, n) for f in K])

    def loss(self, p):
        a = np.tanh(self.convolve(self.x, p["K1"]))
        return 0.5 * np.sum(self.convolve(a, p["K2"]) ** 2)

    def backward(self, p, flipped=()):
        a = np.tanh(self.convolve(self.x, p["K1"]))
        d2 = self.convolve(a, p["K2"])
        da, K = np.zeros_like(a), np.flip(p["K2"], flipped) if flipped else p["K2"]
        dK2 = np.zeros_like(K)
        for f, i, j in np.ndindex(d2.shape):
            da[:, i : i + 3, j : j + 3] += d2[f, i, j] * K[f]
            dK2[f] += d2[f, i, j] * a[:, i : i + 3, j : j + 3]
        d1, dK1 = da * (1 - a * a), np.zeros_like(p["K1"])
        for f, i, j in np.ndindex(d1.shape):
            dK1[f] += d1[f, i, j] * self.x[:, i : i + 2, j : j + 2]
        return {"K1": dK1, "K2": dK2}


@pytest.mark.slow
@pytest.mark.parametrize(("matrix", "flipped"), [(True, (2, 3)), (False, (2, 3)), (True, (1, 2, 3))])
def test_a_kernel_that_is_turned_round_on_the_way_back(matrix, flipped):
    net = TwoConvolutions(matrix)
    assert check_backprop(net.loss, net.params, net.backward(net.params)).ok
    report = check_backprop(net.loss, net.params, net.backward(net.params, flipped))
    assert report.certain
    assert report.slips[0].code == "kernel_flipped"


def test_a_slow_machine_finds_the_same(monkeypatch):
    """The slips one by one get more time as long as none of them explains the gradients."""
    monkeypatch.setattr(search, "ALONE", 0.0)
    monkeypatch.setattr(search, "AGAIN", 0.0)
    net = TwoConvolutions(True)
    assert check_backprop(net.loss, net.params, net.backward(net.params, (2, 3))).slips[0].code == "kernel_flipped"


class Cell:
    """An LSTM or a GRU over four steps, with or without the state stacked on the input."""

    def __init__(self, kind, outputs, seed=0):
        r = np.random.default_rng(seed)
        self.kind, self.outputs = kind, outputs
        self.x, self.t = r.normal(size=(4, 2, 1)), r.normal(size=(4, 2, 1))
        gates = "figo" if kind == "lstm" else "zrn"
        self.params = {f"W{k}": 0.8 * r.normal(size=(3, 5)) for k in gates} | {"V": r.normal(size=(2, 3))}

    def run(self, p):
        h, c, steps = np.zeros((3, 1)), np.zeros((3, 1)), []
        for x in self.x:
            u = np.vstack([h, x])
            if self.kind == "lstm":
                f, i, o = (sigmoid(p[f"W{k}"] @ u) for k in "fio")
                g, before = np.tanh(p["Wg"] @ u), c
                c = f * c + i * g
                h = o * np.tanh(c)
                steps.append((u, before, c, h, f, i, g, o))
            else:
                z, r = sigmoid(p["Wz"] @ u), sigmoid(p["Wr"] @ u)
                v, before = np.vstack([r * h, x]), h
                n = np.tanh(p["Wn"] @ v)
                h = z * h + (1 - z) * n
                steps.append((u, before, v, h, z, r, n))
        return steps

    def counts(self, t):
        return self.outputs == "each" or t == 3

    def loss(self, p):
        errors = [p["V"] @ s[3] - y for t, (s, y) in enumerate(zip(self.run(p), self.t, strict=True)) if self.counts(t)]
        total = 0.0
        for e in errors:
            total = total + 0.5 * np.sum(e**2)
        return total

    def backward(self, p, forgotten=""):
        steps, grads = self.run(p), {k: np.zeros_like(w) for k, w in p.items()}
        dh_next, dc_next = np.zeros((3, 1)), np.zeros((3, 1))
        for t in (3, 2, 1, 0):
            e = p["V"] @ steps[t][3] - self.t[t] if self.counts(t) else np.zeros((2, 1))
            grads["V"] += e @ steps[t][3].T
            dh = p["V"].T @ e + (0 if forgotten == "hidden" else dh_next)
            carried = 0 if forgotten == "cell" else dc_next
            step = self.lstm if self.kind == "lstm" else self.gru
            dh_next, dc_next = step(p, grads, steps[t], dh, carried, forgotten)
        return grads

    def lstm(self, p, grads, step, dh, dc_next, forgotten):
        u, before, c, _, f, i, g, o = step
        dc = dh * o * (1 - np.tanh(c) ** 2) + dc_next
        deltas = {"Wf": dc * before * f * (1 - f), "Wi": dc * g * i * (1 - i), "Wg": dc * i * (1 - g * g),
                  "Wo": dh * np.tanh(c) * o * (1 - o)}  # fmt: skip
        for name, d in deltas.items():
            grads[name] += d @ u.T
        return sum(p[name].T @ d for name, d in deltas.items())[:3], dc * (1 if forgotten == "gate" else f)

    def gru(self, p, grads, step, dh, _, forgotten):
        u, before, v, _, z, r, n = step
        dn = dh * (1 - z) * (1 - n * n)
        dv = p["Wn"].T @ dn
        dz, dr = dh * (before - n) * z * (1 - z), dv[:3] * before * r * (1 - r)
        for name, d, x in (("Wn", dn, v), ("Wz", dz, u), ("Wr", dr, u)):
            grads[name] += d @ x.T
        back = (p["Wz"].T @ dz + p["Wr"].T @ dr)[:3] + dv[:3] * r
        return back + (0 if forgotten == "old state" else dh * z), 0.0


CUTS = {
    ("lstm", "hidden"): "hidden_gradient_not_handed_back",
    ("lstm", "cell"): "cell_gradient_not_handed_back",
    ("lstm", "gate"): "cell_gradient_not_handed_back",
    ("gru", "old state"): "cell_gradient_not_handed_back",
}


@pytest.mark.slow
@pytest.mark.parametrize("outputs", ["each", "last"])
@pytest.mark.parametrize(("kind", "forgotten"), CUTS)
def test_what_a_step_hands_back(kind, forgotten, outputs):
    net = Cell(kind, outputs)
    assert check_backprop(net.loss, net.params, net.backward(net.params)).ok
    report = check_backprop(net.loss, net.params, net.backward(net.params, forgotten))
    assert report.certain, str(report)
    assert CUTS[kind, forgotten] in {s.code for e in report.explanations for s in e}


@pytest.mark.parametrize("factor", [0.0, -1.0, 2.0, 1 / 3, 6.0])
def test_a_term_of_the_loss_that_is_scaled(factor):
    """An autoencoder's error beside a term on its code: one of the two has another factor in the gradient."""
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(6, 3)), {"W": rng.normal(size=(3, 2)), "V": rng.normal(size=(2, 3))}

    def loss(p):
        code = np.tanh(x @ p["W"])
        return np.mean((code @ p["V"] - x) ** 2) + 0.1 * np.sum(code**4)

    def backward(p, c):
        code = np.tanh(x @ p["W"])
        d = c * 2 * (code @ p["V"] - x) / x.size
        dz = (d @ p["V"].T + 0.4 * code**3) * (1 - code**2)
        return {"W": x.T @ dz, "V": code.T @ d}

    assert check_backprop(loss, p, backward(p, 1.0)).ok
    report = check_backprop(loss, p, backward(p, factor))
    assert "loss_term_scaled" in {s.code for e in report.explanations for s in e}


@pytest.mark.parametrize("factor", [-1.0, 2.0])
def test_the_variance_of_a_norm_with_another_sign_or_factor(factor):
    rng = np.random.default_rng(0)
    x, p = rng.normal(size=(6, 3)), {"W": rng.normal(size=(3, 4)), "v": rng.normal(size=4)}

    def loss(p):
        z = x @ p["W"]
        return np.sum(((z - z.mean(0)) / np.sqrt(np.var(z, axis=0) + 1e-5) @ p["v"] - 1.0) ** 2)

    def backward(p, c):
        z = x @ p["W"]
        std = np.sqrt(np.var(z, axis=0) + 1e-5)
        normed = (z - z.mean(0)) / std
        e = 2 * (normed @ p["v"] - 1.0)
        d = np.outer(e, p["v"])
        dvar = -0.5 * c * np.sum(d * (z - z.mean(0)), axis=0) / std**3
        dz = d / std + dvar * 2 * (z - z.mean(0)) / len(z)
        return {"W": x.T @ (dz - dz.mean(0)), "v": normed.T @ e}

    assert check_backprop(loss, p, backward(p, 1.0)).ok
    report = check_backprop(loss, p, backward(p, factor))
    assert report.slips[0].code == "statistics_share_wrong"
