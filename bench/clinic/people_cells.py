"""Programs about recurrent cells, activations, pooling and convolution, wrong in one line each."""

from __future__ import annotations

import math

import numpy as np

from bench.clinic.people_parts import Handed, program, rng


@program
def gru_candidate_gate(slip: bool) -> Handed:
    """A GRU over three steps; the reset gate is left out of the candidate's way back."""
    r = rng(5)
    xs, t = r.normal(size=(3, 3, 1)), r.normal(size=(2, 1))
    params = {f"{k}{g}": r.normal(size=(2, 3 if k == "W" else 2)) * 0.7 for g in "zrh" for k in "WU"}

    def sigmoid(v):
        return 1 / (1 + np.exp(-v))

    def run(p):
        h, cache = np.zeros((2, 1)), []
        for x in xs:
            z = sigmoid(p["Wz"] @ x + p["Uz"] @ h)
            g = sigmoid(p["Wr"] @ x + p["Ur"] @ h)
            c = np.tanh(p["Wh"] @ x + p["Uh"] @ (g * h))
            new = (1 - z) * h + z * c
            cache.append((x, h, z, g, c))
            h = new
        return h, cache

    def loss(p):
        return np.sum((run(p)[0] - t) ** 2)

    def backward(p):
        h, cache = run(p)
        grads = {k: np.zeros_like(v) for k, v in p.items()}
        dh = 2 * (h - t)
        for x, prev, z, g, c in cache[::-1]:
            dc = dh * z * (1 - c**2)
            dz = dh * (c - prev) * z * (1 - z)
            dgh = p["Uh"].T @ dc
            dr = dgh * prev * g * (1 - g)
            for name, d, inner in (("z", dz, prev), ("r", dr, prev), ("h", dc, g * prev)):
                grads["W" + name] += d @ x.T
                grads["U" + name] += d @ inner.T
            dh = dh * (1 - z) + dgh * (1 if slip else g) + p["Uz"].T @ dz + p["Ur"].T @ dr  # SLIP
        return grads

    return Handed(loss, params, backward)


@program
def char_rnn_clipped_by_value(slip: bool) -> Handed:
    """A character RNN with one-hot columns and clipping to [-5, 5] that never bites; tanh' of another step."""
    r = rng(6)
    inputs, targets, H, V = [0, 1, 2, 1], [1, 2, 1, 3], 5, 4
    params = {
        "Wxh": r.normal(size=(H, V)) * 0.3,
        "Whh": r.normal(size=(H, H)) * 0.3,
        "Why": r.normal(size=(V, H)) * 0.3,
    }
    params |= {"bh": np.zeros((H, 1)), "by": np.zeros((V, 1))}

    def lossFun(p):  # noqa: N802
        xs, hs, ps, loss = {}, {-1: np.zeros((H, 1))}, {}, 0
        for t in range(len(inputs)):
            xs[t] = np.zeros((V, 1))
            xs[t][inputs[t]] = 1
            hs[t] = np.tanh(np.dot(p["Wxh"], xs[t]) + np.dot(p["Whh"], hs[t - 1]) + p["bh"])
            y = np.dot(p["Why"], hs[t]) + p["by"]
            ps[t] = np.exp(y) / np.sum(np.exp(y))
            loss += -np.log(ps[t][targets[t], 0])
        return loss, xs, hs, ps

    def backward(p):
        _, xs, hs, ps = lossFun(p)
        dWxh, dWhh, dWhy = np.zeros_like(p["Wxh"]), np.zeros_like(p["Whh"]), np.zeros_like(p["Why"])
        dbh, dby, dhnext = np.zeros_like(p["bh"]), np.zeros_like(p["by"]), np.zeros((H, 1))
        for t in reversed(range(len(inputs))):
            dy = np.copy(ps[t])
            dy[targets[t]] -= 1
            dWhy += np.dot(dy, hs[t].T)
            dby += dy
            dh = np.dot(p["Why"].T, dy) + dhnext
            dhraw = (1 - hs[t - 1] * hs[t - 1] if slip else 1 - hs[t] * hs[t]) * dh  # SLIP
            dbh += dhraw
            dWxh += np.dot(dhraw, xs[t].T)
            dWhh += np.dot(dhraw, hs[t - 1].T)
            dhnext = np.dot(p["Whh"].T, dhraw)
        for dparam in [dWxh, dWhh, dWhy, dbh, dby]:
            np.clip(dparam, -5, 5, out=dparam)
        return dWxh, dWhh, dWhy, dbh, dby

    return Handed(lambda p: lossFun(p)[0], params, backward)


@program
def average_pooling_without_its_share(slip: bool) -> Handed:
    """2x2 average pooling by reshape; the gradient is handed back whole to all four."""
    r = rng(8)
    imgs, t = r.normal(size=(3, 4, 4)), r.normal(size=(3, 1))
    params = {"k": r.normal(size=(4, 4)), "w": r.normal(size=(4, 1))}

    def run(p):
        a = np.tanh(imgs * p["k"])
        pooled = a.reshape(3, 2, 2, 2, 2).mean(axis=(2, 4))
        return a, pooled.reshape(3, -1)

    def loss(p):
        return np.sum((run(p)[1].dot(p["w"]) - t) ** 2)

    def backward(p):
        a, flat = run(p)
        d = 2 * (flat.dot(p["w"]) - t)
        dpool = d.dot(p["w"].T).reshape(3, 2, 2)
        da = np.repeat(np.repeat(dpool, 2, axis=1), 2, axis=2) * (1.0 if slip else 0.25)  # SLIP
        dk = np.sum(da * (1 - a**2) * imgs, axis=0)
        return {"k": dk, "w": flat.T.dot(d)}

    return Handed(loss, params, backward)


@program
def parametric_relu(slip: bool) -> Handed:
    """PReLU with a slope for each unit; the slope's gradient over the wrong half."""
    r = rng(9)
    X, T = r.normal(size=(8, 3)), r.normal(size=(8, 2))
    params = {"W": r.normal(size=(3, 4)), "alpha": np.full(4, 0.25) + 0.1 * r.random(4), "V": r.normal(size=(4, 2))}

    def run(p):
        z = X @ p["W"]
        return z, np.where(z > 0, z, p["alpha"] * z)

    def loss(p):
        return np.mean((run(p)[1] @ p["V"] - T) ** 2)

    def backward(p):
        z, a = run(p)
        d = 2 * (a @ p["V"] - T) / T.size
        da = d @ p["V"].T
        dalpha = np.sum(da * z * ((z > 0) if slip else (z <= 0)), axis=0)  # SLIP
        dz = da * np.where(z > 0, 1, p["alpha"])
        return {"W": X.T @ dz, "alpha": dalpha, "V": a.T @ d}

    return Handed(loss, params, backward)


@program
def gelu_transformer_feed_forward(slip: bool) -> Handed:
    """GELU by its tanh formula between two products; the inner derivative lacks a factor 3."""
    r = rng(11)
    X, T, c = r.normal(size=(4, 3)), r.normal(size=(4, 3)), math.sqrt(2 / math.pi)
    params = {"W1": r.normal(size=(3, 6)) * 0.6, "b1": r.normal(size=6) * 0.1, "W2": r.normal(size=(6, 3)) * 0.6}

    def gelu(x):
        return 0.5 * x * (1 + np.tanh(c * (x + 0.044715 * x**3)))

    def gelu_grad(x):
        u = np.tanh(c * (x + 0.044715 * x**3))
        inner = c * (1 + (1 if slip else 3) * 0.044715 * x**2)  # SLIP
        return 0.5 * (1 + u) + 0.5 * x * (1 - u**2) * inner

    def loss(p):
        return ((gelu(X @ p["W1"] + p["b1"]) @ p["W2"] - T) ** 2).mean()

    def backward(p):
        z = X @ p["W1"] + p["b1"]
        a = gelu(z)
        d = 2 * (a @ p["W2"] - T) / T.size
        dz = (d @ p["W2"].T) * gelu_grad(z)
        return {"W1": X.T @ dz, "b1": dz.sum(0), "W2": a.T @ d}

    return Handed(loss, params, backward)


@program
def one_dimensional_convolution(slip: bool) -> Handed:
    """np.convolve over a signal; the kernel's gradient by correlate with the arguments the wrong way round."""
    r = rng(14)
    x, t = r.normal(size=10), r.normal(size=8)
    params = {"k": r.normal(size=3), "b": np.array(0.1)}

    def loss(p):
        y = np.tanh(np.convolve(x, p["k"], mode="valid") + p["b"])
        return 0.5 * np.sum((y - t) ** 2)

    def backward(p):
        y = np.tanh(np.convolve(x, p["k"], mode="valid") + p["b"])
        d = (y - t) * (1 - y**2)
        dk = np.correlate(x, d, mode="valid")[:: 1 if slip else -1]  # SLIP
        return {"k": dk, "b": d.sum()}

    return Handed(loss, params, backward)
