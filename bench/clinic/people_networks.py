"""Hand-written backward passes in the idioms of blogs, books and forum posts, one mistake each (see people_course)."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np

from bench.clinic.people_course import Handed, program, rng


@program
def lists_of_lists_network(slip: bool) -> Handed:
    """Pure Python, functions over nested lists, a batch; the hidden layer's error takes the wrong index."""
    r = random.Random(1)
    data = [([0.2, 0.9], [1.0, 0.0]), ([0.7, -0.4], [0.0, 1.0]), ([-0.5, 0.3], [1.0, 1.0])]
    params = {"hidden": [[r.uniform(-1, 1) for _ in range(2)] for _ in range(2)]}
    params["output"] = [[r.uniform(-1, 1) for _ in range(2)] for _ in range(2)]

    def sigmoid(z):
        return 1.0 / (1.0 + math.exp(-z))

    def layer(weights, inputs):
        return [sigmoid(sum(w * i for w, i in zip(row, inputs, strict=True))) for row in weights]

    def loss(p):
        total = 0.0
        for x, t in data:
            out = layer(p["output"], layer(p["hidden"], x))
            total += sum(0.5 * (o - y) ** 2 for o, y in zip(out, t, strict=True))
        return total

    def backward(p):
        gh = [[0.0, 0.0] for _ in range(2)]
        go = [[0.0, 0.0] for _ in range(2)]
        for x, t in data:
            hidden = layer(p["hidden"], x)
            out = layer(p["output"], hidden)
            delta_out = [(o - y) * o * (1 - o) for o, y in zip(out, t, strict=True)]
            delta_hidden = []
            for j in range(2):
                error = sum(delta_out[k] * (p["output"][j][k] if slip else p["output"][k][j]) for k in range(2))  # SLIP
                delta_hidden.append(error * hidden[j] * (1 - hidden[j]))
            for k in range(2):
                for j in range(2):
                    go[k][j] += delta_out[k] * hidden[j]
                    gh[k][j] += delta_hidden[k] * x[j]
        return {"hidden": gh, "output": go}

    return Handed(loss, params, backward)


@program
def lists_of_arrays_as_in_a_book(slip: bool) -> Handed:
    """Weights and biases in lists, columns as vectors, samples one by one, nabla_b and nabla_w."""
    r = rng(2)
    sizes = [3, 4, 2]
    params = [
        [r.normal(size=(y, 1)) for y in sizes[1:]],
        [r.normal(size=(y, x)) for x, y in itertools.pairwise(sizes)],
    ]
    batch = [(r.normal(size=(3, 1)), r.random((2, 1))) for _ in range(3)]

    def sigmoid(z):
        return 1.0 / (1.0 + np.exp(-z))

    def loss(p):
        biases, weights = p
        total = 0.0
        for x, y in batch:
            a = x
            for b, w in zip(biases, weights, strict=True):
                a = sigmoid(np.dot(w, a) + b)
            total += 0.5 * np.sum((a - y) ** 2)
        return total

    def backprop(x, y, biases, weights):
        nabla_b, nabla_w = [np.zeros(b.shape) for b in biases], [np.zeros(w.shape) for w in weights]
        activation, activations, zs = x, [x], []
        for b, w in zip(biases, weights, strict=True):
            z = np.dot(w, activation) + b
            zs.append(z)
            activation = sigmoid(z)
            activations.append(activation)
        delta = (activations[-1] - y) * sigmoid(zs[-1]) * (1 - sigmoid(zs[-1]))
        nabla_b[-1] = delta
        nabla_w[-1] = np.dot(delta, activations[-2].transpose())
        sp = sigmoid(zs[-2]) if slip else sigmoid(zs[-2]) * (1 - sigmoid(zs[-2]))
        delta = np.dot(weights[-1].transpose(), delta) * sp  # SLIP
        nabla_b[-2] = delta
        nabla_w[-2] = np.dot(delta, activations[-3].transpose())
        return nabla_b, nabla_w

    def backward(p):
        biases, weights = p
        nabla_b, nabla_w = [np.zeros(b.shape) for b in biases], [np.zeros(w.shape) for w in weights]
        for x, y in batch:
            delta_b, delta_w = backprop(x, y, biases, weights)
            nabla_b = [nb + db for nb, db in zip(nabla_b, delta_b, strict=True)]
            nabla_w = [nw + dw for nw, dw in zip(nabla_w, delta_w, strict=True)]
        return nabla_b, nabla_w

    return Handed(loss, params, backward)


@program
def residual_block_without_its_skip(slip: bool) -> Handed:
    """y = x + f(x): the gradient of the skip connection is not added."""
    r = rng(3)
    X, t = r.normal(size=(5, 3)), r.normal(size=(5, 1))
    params = {"Win": r.normal(size=(3, 4)), "W": r.normal(size=(4, 4)) * 0.5, "v": r.normal(size=(4, 1))}

    def run(p):
        x = np.tanh(X @ p["Win"])
        f = np.maximum(x @ p["W"], 0)
        return x, f, x + f

    def loss(p):
        return np.mean((run(p)[-1] @ p["v"] - t) ** 2)

    def backward(p):
        x, f, y = run(p)
        dout = 2 * (y @ p["v"] - t) / len(t)
        dy = dout @ p["v"].T
        df = dy * (f > 0)
        dx = df @ p["W"].T + (0 if slip else dy)  # SLIP
        dpre = dx * (1 - x**2)
        return {"Win": X.T @ dpre, "W": x.T @ df, "v": y.T @ dout}

    return Handed(loss, params, backward)


@program
def tied_autoencoder(slip: bool) -> Handed:
    """One matrix encodes and decodes: its gradient has two parts."""
    r = rng(4)
    X = r.normal(size=(6, 5))
    params = {"W": r.normal(size=(5, 3)) * 0.6, "b": r.normal(size=3) * 0.1, "c": r.normal(size=5) * 0.1}

    def run(p):
        h = 1 / (1 + np.exp(-(X.dot(p["W"]) + p["b"])))
        return h, h.dot(p["W"].T) + p["c"]

    def loss(p):
        return 0.5 * np.mean(np.sum((run(p)[1] - X) ** 2, axis=1))

    def backward(p):
        h, out = run(p)
        d = (out - X) / len(X)
        dh = d.dot(p["W"]) * h * (1 - h)
        dW = X.T.dot(dh) + (0 if slip else d.T.dot(h))  # SLIP
        return {"W": dW, "b": dh.sum(axis=0), "c": d.sum(axis=0)}

    return Handed(loss, params, backward)


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
def svm_in_loops(slip: bool) -> Handed:
    """A multiclass hinge loss, in loops over samples and classes; the correct class's row is left out."""
    r = rng(7)
    X, y = r.normal(size=(5, 4)), np.array([0, 2, 1, 2, 0])
    params = {"W": r.normal(size=(4, 3))}

    def loss(p):
        total = 0.0
        for i in range(5):
            scores = X[i].dot(p["W"])
            for j in range(3):
                if j != y[i]:
                    margin = scores[j] - scores[y[i]] + 1
                    if margin > 0:
                        total += margin
        return total / 5 + 0.1 * np.sum(p["W"] * p["W"])

    def backward(p):
        dW = np.zeros_like(p["W"])
        for i in range(5):
            scores = X[i].dot(p["W"])
            for j in range(3):
                if j != y[i] and scores[j] - scores[y[i]] + 1 > 0:
                    dW[:, j] += X[i]  # SLIP
                    if not slip:
                        dW[:, y[i]] -= X[i]
        return {"W": dW / 5 + 2 * 0.1 * p["W"]}

    return Handed(loss, params, backward)


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
def matrix_factorisation(slip: bool) -> Handed:
    """Ratings by users and items, one at a time; the item's factor is updated with the item's own."""
    r = rng(10)
    ratings = [(0, 1, 4.0), (1, 0, 2.0), (2, 2, 5.0), (0, 2, 1.0), (1, 1, 3.0)]
    params = {"P": r.normal(size=(3, 2)), "Q": r.normal(size=(3, 2)), "bu": r.normal(size=3), "bi": r.normal(size=3)}

    def predict(p, u, i):
        return p["bu"][u] + p["bi"][i] + np.dot(p["P"][u], p["Q"][i])

    def loss(p):
        return sum((x - predict(p, u, i)) ** 2 for u, i, x in ratings)

    def backward(p):
        g = {n: np.zeros_like(v) for n, v in p.items()}
        for u, i, x in ratings:
            e = x - predict(p, u, i)
            g["bu"][u] += -2 * e
            g["bi"][i] += -2 * e
            g["P"][u] += -2 * e * p["Q"][i]
            g["Q"][i] += -2 * e * (p["Q"][i] if slip else p["P"][u])  # SLIP
        return g

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
        inner = c * (1 + (1 if slip else 3) * 0.044715 * x**2)
        return 0.5 * (1 + u) + 0.5 * x * (1 - u**2) * inner

    def loss(p):
        return ((gelu(X @ p["W1"] + p["b1"]) @ p["W2"] - T) ** 2).mean()

    def backward(p):
        z = X @ p["W1"] + p["b1"]
        a = gelu(z)
        d = 2 * (a @ p["W2"] - T) / T.size
        dz = (d @ p["W2"].T) * gelu_grad(z)  # SLIP
        return {"W1": X.T @ dz, "b1": dz.sum(0), "W2": a.T @ d}

    return Handed(loss, params, backward)


@program
def two_heads_on_one_trunk(slip: bool) -> Handed:
    """Two outputs share a hidden layer; only one of their gradients goes down."""
    r = rng(12)
    X, ya, yb = r.normal(size=(6, 3)), r.normal(size=(6, 1)), (r.random((6, 1)) > 0.5) * 1.0
    params = {"W": r.normal(size=(3, 4)), "a": r.normal(size=(4, 1)), "b": r.normal(size=(4, 1))}

    def run(p):
        h = np.tanh(X @ p["W"])
        return h, h @ p["a"], 1 / (1 + np.exp(-h @ p["b"]))

    def loss(p):
        _, u, v = run(p)
        return np.mean((u - ya) ** 2) - np.mean(yb * np.log(v) + (1 - yb) * np.log(1 - v))

    def backward(p):
        h, u, v = run(p)
        du, dv = 2 * (u - ya) / 6, (v - yb) / 6
        dh = dv @ p["b"].T if slip else du @ p["a"].T + dv @ p["b"].T  # SLIP
        return {"W": X.T @ (dh * (1 - h * h)), "a": h.T @ du, "b": h.T @ dv}

    return Handed(loss, params, backward)


@program
def layer_objects_with_state(slip: bool) -> Handed:
    """A network object handed over as params; its backward leaves dW and db beside W and b."""

    class Layer:
        def __init__(self, n, m, r):
            self.W, self.b = r.normal(size=(n, m)), r.normal(size=m) * 0.1

        def forward(self, x):
            self.x = x
            self.z = x @ self.W + self.b
            return 1 / (1 + np.exp(-self.z))

        def backward(self, da):
            s = 1 / (1 + np.exp(-self.z))
            dz = da * s * (1 - s)
            self.dW = self.x.T @ dz
            self.db = dz.mean(axis=0) if slip else dz.sum(axis=0)  # SLIP
            return dz @ self.W.T

    r = rng(13)
    X, T = r.normal(size=(5, 3)), r.random((5, 2))
    layers: Any = [Layer(3, 4, r), Layer(4, 2, r)]

    def forward(net):
        a = X
        for layer in net:
            a = layer.forward(a)
        return np.sum((a - T) ** 2) / 5

    def backward(net):
        a = X
        for layer in net:
            a = layer.forward(a)
        d = 2 * (a - T) / 5
        for layer in reversed(net):
            d = layer.backward(d)
        return [{"W": layer.dW, "b": layer.db} for layer in net]

    params = [{"W": layer.W, "b": layer.b} for layer in layers]

    def put(p):
        for layer, inner in zip(layers, p, strict=True):
            layer.W, layer.b = inner["W"], inner["b"]
        return layers

    return Handed(lambda p: forward(put(p)), params, lambda p: backward(put(p)))


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
