"""Hand-written backward passes in the idioms of blogs, books and forum posts, one mistake each (see people_course)."""

from __future__ import annotations

import itertools
import math
import random
from typing import Any

import numpy as np

from bench.clinic.people_parts import Handed, program, rng


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
