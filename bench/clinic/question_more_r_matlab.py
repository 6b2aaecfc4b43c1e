"""Further questions, asked about R and MATLAB: see bench.clinic.question_cases_more."""

from __future__ import annotations

import numpy as np

import tinygrad_edu as tg
from bench.clinic.question_parts import (
    Asked,
    Case,
    column,
    enter,
    fitted,
    found,
    rng,
    standard,
    train,
)
from tinygrad_edu import nn, optim

CASES: dict[str, Case] = {}
case = enter(CASES)


@case("inputs_not_scaled", ("targets_out_of_range", "saturated_activations"))  # CV 65292
def r_product_of_uniforms(seed, cured):
    X = rng(18).uniform(1, 500, (50, 2))
    y = column(X[:, 0] * X[:, 1])
    Xs, ys = (standard(X), standard(y)) if cured else (X, y)
    m = nn.MLP([2, 5, 5, 1], activation="sigmoid", seed=seed)
    g = rng(seed)
    for layer in m.layers:
        layer.weight.data = g.normal(0, 1, layer.weight.shape)
        layer.bias.data = g.normal(0, 1, layer.bias.shape)
    run = tg.fit(m, Xs, ys, loss="mse", optimizer=optim.Rprop(m.parameters()), epochs=600, seed=seed)
    return Asked(run, Xs, ys, fitted(ys), 0.95)


@case("targets_out_of_range", ("wrong_output_activation", "wrong_loss"))  # imathworks: correct usage of nnet
def r_letters_as_numbers(seed, cured):
    r = rng(19)
    k = r.integers(1, 9, 400)
    C = r.normal(0, 1, (9, 6))
    X = C[k] + r.normal(0, 0.25, (400, 6))
    y = column(k)
    m = nn.MLP([6, 20, 1], activation="sigmoid", out_activation="identity" if cured else "sigmoid", seed=seed)
    run = tg.fit(m, X, y, loss="mse", optimizer=optim.LBFGS(m.parameters()), epochs=300, seed=seed)
    return Asked(run, X, y, fitted(y), 0.8)


@case("inputs_not_scaled", ("unlucky_init", "saturated_activations", "targets_out_of_range"))  # r-help 2003
def r_weight_from_height(seed, cured):
    r = rng(20)
    sex = r.integers(0, 2, 40)
    age = r.uniform(18, 70, 40)
    height = 160 + 12 * sex + r.normal(0, 7, 40)
    X = np.c_[age, sex, height]
    y = column(50 + 10 * sex + 0.9 * (height - 160) + 0.15 * (age - 40) + r.normal(0, 2, 40))
    Xs = standard(X) if cured else X
    m = nn.MLP([3, 2, 1], activation="sigmoid", seed=seed)
    g = rng(seed)
    for layer in m.layers:
        layer.weight.data = g.uniform(-0.7, 0.7, layer.weight.shape)
        layer.bias.data = g.uniform(-0.7, 0.7, layer.bias.shape)
    run = tg.fit(m, Xs, y, loss="mse", optimizer=optim.LBFGS(m.parameters()), epochs=1000, seed=seed)
    return Asked(run, Xs, y, fitted(y), 0.8)


@case("healthy")  # mathworks 2751: y = 2x by 20 and 10 units
def matlab_line_oversized(seed, cured):
    X = np.linspace(-1, 1, 50)[:, None]
    y = X.copy()
    m = nn.MLP([1, 20, 10, 1], activation="tanh", seed=seed)
    return Asked(
        tg.fit(m, X, y, loss="mse", optimizer=optim.LBFGS(m.parameters()), epochs=50, seed=seed), X, y, fitted(y), 0.99
    )


@case("healthy")  # nnet's own example: iris, size 2, decay 5e-4, 200 iterations
def r_nnet_iris(seed, cured):
    from sklearn.datasets import load_iris

    d = load_iris()
    m = nn.MLP([4, 2, 3], activation="sigmoid", seed=seed)
    g = rng(seed + 3)
    for layer in m.layers:
        layer.weight.data = g.uniform(-0.1, 0.1, layer.weight.shape)
        layer.bias.data = g.uniform(-0.1, 0.1, layer.bias.shape)
    run = tg.fit(
        m, d.data, d.target, loss="cross_entropy", optimizer=optim.LBFGS(m.parameters()), epochs=200, seed=seed
    )
    return Asked(run, d.data, d.target, found(d.target), 0.93)


@case("weight_decay_too_high")
def r_nnet_decay_5(seed, cured):
    r = rng(27)
    X = r.normal(0, 1, (150, 3))
    y = column(X[:, 0] ** 2 + X[:, 1])
    m = nn.MLP([3, 10, 1], activation="sigmoid", seed=seed)
    return Asked(
        tg.fit(
            m,
            X,
            y,
            loss="mse",
            optimizer=optim.Adam(m.parameters(), lr=0.03, weight_decay=0.0 if cured else 0.5),
            epochs=300,
            batch_size=30,
            seed=seed,
        ),
        X,
        y,
        fitted(y),
        0.95,
    )


@case(
    "inputs_not_scaled", ("targets_out_of_range", "saturated_activations", "lr_too_high")
)  # neuralnet on Boston without scaling
def r_boston_unscaled(seed, cured):
    r = rng(28)
    X = np.c_[r.exponential(4, 200), r.uniform(0, 100, 200), r.uniform(200, 700, 200), r.normal(6, 0.7, 200)]
    y = column(9 * (X[:, 3] - 6) - 0.02 * (X[:, 2] - 400) - 0.3 * X[:, 0] + 22 + r.normal(0, 1, 200))
    Xs, ys = (standard(X), standard(y)) if cured else (X, y)
    return Asked(train([4, 5, 3, 1], Xs, ys, "mse", "Rprop", 0.01, 400, seed, "sigmoid"), Xs, ys, fitted(ys), 0.9)


@case("lr_too_low", ("too_few_epochs", "batch_too_large_for_epochs"))  # traingd with its default rate
def matlab_traingd(seed, cured):
    r = rng(29)
    X = r.uniform(-1, 1, (100, 2))
    y = column(X[:, 0] ** 2 - X[:, 1] ** 2)
    return Asked(
        train([2, 10, 1], X, y, "mse", "SGD" if not cured else "Adam", 0.01, 1000, seed, "tanh"), X, y, fitted(y), 0.95
    )


@case("healthy")
def r_noisy_wave_few(seed, cured):
    r = rng(41)
    x = np.sort(10 * r.random(50))[:, None]
    y = np.sin(x) + 0.2 * r.normal(size=(50, 1))
    m = nn.MLP([1, 6, 1], activation="sigmoid", seed=seed)
    g = rng(seed)
    for layer in m.layers:
        layer.weight.data = g.uniform(-0.7, 0.7, layer.weight.shape)
        layer.bias.data = g.uniform(-0.7, 0.7, layer.bias.shape)
    return Asked(
        tg.fit(m, x, y, loss="mse", optimizer=optim.LBFGS(m.parameters()), epochs=200, seed=seed), x, y, fitted(y), 0.85
    )


@case("target_outliers", ())
def r_typing_errors(seed, cured):
    r = rng(18)
    X = r.normal(0, 1, (250, 3))
    t = X[:, :1] - X[:, 1:2]
    y = t.copy()
    y[::25] *= 1000
    k = np.ones(250, bool)
    k[::25] = False
    run = train(
        [3, 12, 1], X[k] if cured else X, t[k] if cured else y, "mse", "Adam", 0.01, 100, seed, "tanh", batch=25
    )
    return Asked(run, X[k] if cured else X, t[k] if cured else y, (fitted(t[k]) if cured else fitted(t, k)), 0.9)
