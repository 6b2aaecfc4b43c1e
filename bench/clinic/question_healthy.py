"""Runs in which nothing is wrong, though somebody asked: cases of bench.clinic.question_cases."""

from __future__ import annotations

import numpy as np

from bench.clinic.question_parts import Asked, Case, column, enter, fitted, found, standard, train

CASES: dict[str, Case] = {}
case = enter(CASES)


@case("healthy")
def ok_autoencoder(seed, cured):
    r = np.random.default_rng(8)
    X = r.normal(0, 1, (300, 10)) @ r.normal(0, 1, (10, 10)) / 3
    run = train([10, 3, 10], X, X, "mse", "Adam", 0.01, 200, seed, "identity", batch=30)
    return Asked(run, X, X, fitted(X), 0.3)


@case("healthy")
def ok_quantile(seed, cured):
    r = np.random.default_rng(9)
    X = r.uniform(-1, 1, (400, 1))
    y = X + (0.3 + 0.5 * np.abs(X)) * r.normal(0, 1, X.shape)

    def pin(p, t):
        e = t - p
        return np.mean(np.maximum(0.9 * e, -0.1 * e))

    run = train([1, 16, 1], X, y, pin, "Adam", 0.01, 150, seed, batch=32)
    return Asked(run, X, y, lambda p: -abs(float((np.asarray(p) >= y).mean()) - 0.9), -0.06)


@case("healthy")
def ok_duplicates_reg(seed, cured):
    r = np.random.default_rng(10)
    X = r.normal(0, 1, (80, 3))
    y = X[:, 0] + r.normal(0, 1.0, 80)
    X, y = np.repeat(X, 4, 0), np.repeat(y, 4)
    from sklearn.neural_network import MLPRegressor

    m = MLPRegressor(hidden_layer_sizes=(5,), alpha=3.0, max_iter=600, learning_rate_init=0.01, random_state=seed).fit(
        X, y
    )
    return Asked(m, X, y, fitted(y), 0.3)


@case("healthy")
def ok_early_stop_good(seed, cured):
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier

    d = load_breast_cancer()
    X = standard(d.data)
    m = MLPClassifier((20,), early_stopping=True, learning_rate_init=0.01, max_iter=300, random_state=seed).fit(
        X, d.target
    )
    return Asked(m, X, d.target, found(d.target), 0.9)


@case("healthy")
def ok_val_noise(seed, cured):
    r = np.random.default_rng(11)
    X = r.normal(0, 1, (200, 4))
    y = column(X[:, 0] + X[:, 1] * X[:, 2] + r.normal(0, 0.3, 200))
    V = r.normal(0, 1, (80, 4))
    v = column(V[:, 0] + V[:, 1] * V[:, 2] + r.normal(0, 0.3, 80))
    run = train([4, 16, 1], X, y, "mse", "Adam", 0.005, 80, seed, batch=20, validation=(V, v))
    return Asked(run, X, y, fitted(y), 0.7)


@case("healthy")
def ok_convergence_warning(seed, cured):
    from sklearn.datasets import load_wine
    from sklearn.neural_network import MLPClassifier

    d = load_wine()
    X = standard(d.data)
    m = MLPClassifier(max_iter=150, random_state=seed).fit(X, d.target)
    return Asked(m, X, d.target, found(d.target), 0.97)


@case("healthy")
def ok_noise_floor(seed, cured):
    r = np.random.default_rng(20)
    X = r.uniform(-1, 1, (400, 2))
    y = X[:, :1] - X[:, 1:] + r.normal(0, 0.5, (400, 1))
    return Asked(train([2, 16, 1], X, y, "mse", "Adam", 0.01, 80, seed, batch=32), X, y, fitted(y), 0.6)


@case("healthy")
def ok_heavy_targets(seed, cured):
    r = np.random.default_rng(21)
    X = r.normal(0, 1, (400, 2))
    y = np.exp(1.2 * X[:, :1] + 0.3 * X[:, 1:])
    y = y / y.std()
    return Asked(train([2, 24, 1], X, y, "mse", "Adam", 0.01, 250, seed, "tanh", batch=32), X, y, fitted(y), 0.9)
