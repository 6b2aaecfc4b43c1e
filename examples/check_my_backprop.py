"""A newcomer's own network in plain NumPy does not learn XOR. Which line of the backward pass is wrong?

python examples/check_my_backprop.py
"""

import numpy as np

import tinygrad_edu as tg

X = np.array([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])
t = np.array([[0.0], [1.0], [1.0], [0.0]])
rng = np.random.default_rng(1)
params = {"W1": rng.normal(size=(2, 3)), "b1": np.zeros(3), "W2": rng.normal(size=(3, 1)), "b2": np.zeros(1)}


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def sigmoid_derivative(z):
    return sigmoid(z) * (1 - sigmoid(z))


def forward(p):
    hidden = sigmoid(X @ p["W1"] + p["b1"])
    y = sigmoid(hidden @ p["W2"] + p["b2"])
    return np.mean((y - t) ** 2)


def backward(p):
    hidden = sigmoid(X @ p["W1"] + p["b1"])
    y = sigmoid(hidden @ p["W2"] + p["b2"])
    d2 = 2 * (y - t) / len(t) * y * (1 - y)
    d1 = d2 @ p["W2"].T * sigmoid_derivative(hidden)  # the mistake: `hidden` is σ(z) already
    return {"W1": X.T @ d1, "b1": d1.sum(axis=0), "W2": hidden.T @ d2, "b2": d2.sum(axis=0)}


report = tg.clinic.check_backprop(forward, params, backward(params))
print(report)
