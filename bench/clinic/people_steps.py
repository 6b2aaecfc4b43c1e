"""Programs that update themselves: right optimizers in many spellings, and updates with one mistake."""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.clinic.people_parts import Handed, program, rng


class Regression:
    """Two layers, tanh, squared error: gradients are right, what is done with them is the subject."""

    def __init__(self, seed: int, update: Callable[[Any, str, Any], None]) -> None:
        r = rng(seed)
        self.X, self.t = r.normal(size=(8, 3)), r.normal(size=(8, 1))
        self.W1, self.b1 = r.normal(size=(3, 4)) * 0.5, np.zeros((1, 4))
        self.W2, self.b2 = r.normal(size=(4, 1)) * 0.5, np.zeros((1, 1))
        self.update, self.steps, self.memory = update, 0, {}

    def forward(self) -> Any:
        self.h = np.tanh(self.X @ self.W1 + self.b1)
        return self.h @ self.W2 + self.b2

    def loss(self) -> float:
        return float(np.mean((self.forward() - self.t) ** 2))

    def train(self) -> None:
        d2 = 2 * (self.forward() - self.t) / len(self.t)
        d1 = d2 @ self.W2.T * (1 - self.h**2)
        grads = {
            "W1": self.X.T @ d1,
            "b1": d1.sum(0, keepdims=True),
            "W2": self.h.T @ d2,
            "b2": d2.sum(0, keepdims=True),
        }
        self.steps += 1
        for name, g in grads.items():
            self.update(self, name, g)


def stepping(seed: int, update: Callable[[Any, str, Any], None], lr: float | None, before: int = 0) -> Handed:
    net = Regression(seed, update)
    for _ in range(before):
        net.train()
    return Handed(obj=net, step=net.train, loss=net.loss, lr=lr)


def old(net: Any, key: str, g: Any) -> Any:
    return net.memory.get(key, np.zeros_like(g))


@program
def momentum_in_mid_training(slip: bool) -> Handed:
    def update(net, name, g):
        v = 0.9 * old(net, name, g) - 0.05 * g
        net.memory[name] = v
        setattr(net, name, getattr(net, name) + v + (0.9 * v if slip else 0))  # SLIP

    return stepping(1, update, 0.05, before=4)


@program
def nesterov_from_the_start(slip: bool) -> Handed:
    def update(net, name, g):
        before = old(net, name, g)
        net.memory[name] = v = 0.8 * before - 0.1 * g
        step = -0.8 * before + (1 + 0.8) * v
        setattr(net, name, getattr(net, name) + (step + v if slip else step))  # SLIP

    return stepping(2, update, 0.1)


@program
def rmsprop_step(slip: bool) -> Handed:
    def update(net, name, g):
        net.memory[name] = s = 0.9 * old(net, name, g) + 0.1 * g**2
        w = getattr(net, name)
        w -= 0.01 * g / ((s if slip else np.sqrt(s)) + 1e-8)  # SLIP

    return stepping(3, update, 0.01)


@program
def adam_in_mid_training(slip: bool) -> Handed:
    def update(net, name, g):
        m = net.memory[name + "m"] = 0.9 * old(net, name + "m", g) + 0.1 * g
        v = net.memory[name + "v"] = 0.999 * old(net, name + "v", g) + 0.001 * g * g
        t = 1 if slip else net.steps
        mhat, vhat = m / (1 - 0.9**t), v / (1 - 0.999**t)  # SLIP
        setattr(net, name, getattr(net, name) - 0.002 * mhat / (np.sqrt(vhat) + 1e-8))

    return stepping(4, update, 0.002, before=3)


@program
def weight_decay_on_the_weights(slip: bool) -> Handed:
    def update(net, name, g):
        decay = 0.01 * getattr(net, name) if name.startswith("W") else 0
        setattr(net, name, getattr(net, name) - 0.1 * (g + decay) * (-1 if slip else 1))  # SLIP

    return stepping(5, update, 0.1)


@program
def clipped_to_a_norm(slip: bool) -> Handed:
    net: Any = Regression(6, lambda *_: None)

    def train():
        d2 = 2 * (net.forward() - net.t) / len(net.t)
        d1 = d2 @ net.W2.T * (1 - net.h**2)
        grads = [net.X.T @ d1, d1.sum(0, keepdims=True), net.h.T @ d2, d2.sum(0, keepdims=True)]
        norm = np.sqrt(sum((g**2).sum() for g in grads))
        if norm > 0.1:
            grads = [g * 0.1 / norm for g in grads]
        for w, g in zip([net.W1, net.b1, net.W2, net.b2], grads, strict=True):
            if slip:
                w[...] = 0.5 * g  # SLIP
            else:
                w -= 0.5 * g

    return Handed(obj=net, step=train, loss=net.loss, lr=0.5)


@program
def learning_rate_not_told(slip: bool) -> Handed:
    def update(net, name, g):
        sign = 1 if slip and name == "W1" else -1
        setattr(net, name, getattr(net, name) + sign * 0.03 * g)  # SLIP

    return stepping(7, update, None)


@program
def perceptron_of_plain_numbers(slip: bool) -> Handed:
    """A class of floats and lists, online over a data set in one step."""

    class Perceptron:
        def __init__(self):
            r = random.Random(3)
            self.weights, self.bias, self.rate = [r.uniform(-1, 1) for _ in range(3)], 0.1, 0.2

        def output(self, x):
            s = self.bias
            for w, v in zip(self.weights, x, strict=True):
                s += w * v
            return 1 / (1 + math.exp(-s))

        def fit_one(self, x, t):
            o = self.output(x)
            delta = (t - o) * (1 if slip else o * (1 - o))  # SLIP
            for k in range(3):
                self.weights[k] += self.rate * delta * x[k]
            self.bias += self.rate * delta

    p = Perceptron()
    x, t = [0.5, -1.0, 2.0], 1.0
    return Handed(obj=p, step=lambda: p.fit_one(x, t), loss=lambda: 0.5 * (t - p.output(x)) ** 2, lr=0.2)


@program
def linear_layers_in_a_list(slip: bool) -> Handed:
    """Layers in a list, each updating itself on the way back: the delta passes weights that are new already."""

    class Layer:
        def __init__(self, n, m, r):
            self.weights = r.normal(size=(n, m))

        def forward(self, x):
            self.x = x
            self.out = np.tanh(x.dot(self.weights))
            return self.out

        def backward(self, delta, lr):
            delta = delta * (1 - self.out**2)
            if slip:
                self.weights = self.weights - lr * self.x.T.dot(delta)
                return delta.dot(self.weights.T)  # SLIP
            below = delta.dot(self.weights.T)
            self.weights = self.weights - lr * self.x.T.dot(delta)
            return below

    r = rng(9)
    net = [Layer(3, 4, r), Layer(4, 4, r), Layer(4, 1, r)]
    X, t = r.normal(size=(6, 3)), r.normal(size=(6, 1))

    def predict():
        a = X
        for layer in net:
            a = layer.forward(a)
        return a

    def train():
        delta = 2 * (predict() - t) / 6
        for layer in reversed(net):
            delta = layer.backward(delta, 0.3)

    return Handed(obj=net, step=train, loss=lambda: np.mean((predict() - t) ** 2), lr=0.3)


@program
def dictionary_of_parameters_with_adagrad(slip: bool) -> Handed:
    r = rng(10)
    X, y = r.normal(size=(9, 3)), (r.random(9) > 0.5) * 1.0
    state: Any = {"w": r.normal(size=3), "b": 0.0, "cache": np.zeros(4)}

    def loss():
        p = 1 / (1 + np.exp(-(X @ state["w"] + state["b"])))
        return -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))

    def train():
        p = 1 / (1 + np.exp(-(X @ state["w"] + state["b"])))
        g = np.append(X.T @ (p - y) / 9, np.mean(p - y))
        state["cache"] = state["cache"] + (g if slip else g * g)  # SLIP
        step = 0.1 * g / (np.sqrt(np.abs(state["cache"])) + 1e-8)
        state["w"] = state["w"] - step[:3]
        state["b"] = state["b"] - step[3]

    return Handed(obj=state, step=train, loss=loss, lr=0.1)
