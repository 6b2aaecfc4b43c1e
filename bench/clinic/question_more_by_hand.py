"""Further questions, asked about programs by hand: see bench.clinic.question_cases_more."""

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


@case("vanishing_gradient", ("lr_too_low", "too_few_epochs", "symmetric_init", "init_too_large"))  # XOR, weights x 0.01
def hand_xor_small_weights(seed, cured):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = column([0, 1, 1, 0])
    m = nn.MLP([2, 5, 1], activation="sigmoid", seed=seed)
    g = rng(seed)
    for layer in m.layers:
        layer.weight.data = g.normal(0, 1, layer.weight.shape) * (0.01 if not cured else 1.5)
        layer.bias.data = np.zeros(layer.bias.shape) if not cured else g.normal(0, 1, layer.bias.shape)
    return Asked(
        train(None, X, y, "bce_with_logits", "SGD", 0.03 if not cured else 0.3, 8000, seed, model=m),
        X,
        y,
        found(y),
        0.99,
    )


@case("lr_too_low", ("too_few_epochs", "batch_too_large_for_epochs", "inputs_not_scaled"))  # DS 10699
def hand_square_above(seed, cured):
    x = rng(17).integers(-5, 6, (850, 1)).astype(float)
    y = column(x[:, 0] ** 2 > 12.5)
    return Asked(
        train(
            [1, 15, 1], x, y, "bce", "SGD", 1.0 if cured else 0.03, 3000 if cured else 300, seed, "sigmoid", "sigmoid"
        ),
        x,
        y,
        found(y),
        0.97,
    )


@case("healthy")  # SO 66903569: XOR, steep decline, bump, 0.1 and 0.8 at the end
def hand_xor_with_a_bump(seed, cured):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = column([0, 1, 1, 0])
    m = nn.MLP([2, 4, 4, 1], activation="sigmoid", out_activation="sigmoid", seed=seed)
    g = rng(seed + 50)
    for layer in m.layers:
        layer.weight.data = g.normal(0, 2, layer.weight.shape)
        layer.bias.data = g.normal(0, 1, layer.bias.shape)
    return Asked(train(None, X, y, "mse", "SGD", 0.5, 4000, seed, model=m, batch=1), X, y, found(y), 0.99)


@case("healthy")  # counts
def hand_counts(seed, cured):
    r = rng(23)
    X = r.normal(0, 1, (400, 3))
    y = column(r.poisson(np.exp(0.6 * X[:, 0] - 0.3 * X[:, 1])))
    run = train([3, 12, 1], X, y, "poisson", "Adam", 0.01, 60, seed, "tanh", batch=40)
    return Asked(run, X, y, lambda p: float(np.corrcoef(np.asarray(p).ravel(), y.ravel())[0, 1]), 0.6)


@case("targets_out_of_range", ("wrong_output_activation", "wrong_loss"))  # SO 5105718
def hand_never_negative(seed, cured):
    r = rng(24)
    X = r.integers(-1, 2, (200, 4)).astype(float)
    y = column(np.sin(X.sum(1) + 1))
    return Asked(
        train([4, 6, 1], X, y, "mse", "SGD", 0.3, 1500, seed, "sigmoid", "identity" if cured else "sigmoid", batch=50),
        X,
        y,
        fitted(y),
        0.9,
    )


@case("missing_bias", ("too_few_epochs", "lr_too_low"))  # SO 13453501: sine yes, cosine no
def hand_cosine_without_bias(seed, cured):
    r = rng(25)
    x = r.uniform(-np.pi, np.pi, (200, 1))
    y = 0.5 * (np.cos(x) + 1)
    m = nn.MLP([1, 10, 1], activation="tanh", bias=cured, seed=seed)
    return Asked(
        tg.fit(
            m, x, y, loss="mse", optimizer=optim.Adam(m.parameters(), lr=0.01), epochs=300, batch_size=20, seed=seed
        ),
        x,
        y,
        fitted(y),
        0.95,
    )


@case(
    "too_few_epochs", ("lr_too_low", "batch_too_large_for_epochs")
)  # Nemotron: one period of sine by plain backprop, rough and slow
def hand_sine_rough(seed, cured):
    x = np.linspace(0, 2 * np.pi, 100)[:, None]
    y = np.sin(x)
    return Asked(
        train([1, 8, 1], x, y, "mse", "SGD" if not cured else "Adam", 0.05, 600 if not cured else 3000, seed, "tanh"),
        x,
        y,
        fitted(y),
        0.97,
    )


@case(
    "init_too_large", ("saturated_activations", "lr_too_high")
)  # randn weights of deviation 1 in a wide tanh net on 64 pixels
def hand_randn_on_digits(seed, cured):
    from sklearn.datasets import load_digits

    d = load_digits()
    X, y = d.data[:600] / 16 * 2 - 1, d.target[:600]
    m = nn.MLP([64, 60, 10], activation="tanh", seed=seed)
    g = rng(seed)
    if not cured:
        for layer in m.layers:
            layer.weight.data = g.normal(0, 3, layer.weight.shape)
    return Asked(train(None, X, y, "cross_entropy", "SGD", 0.05, 30, seed, model=m, batch=30), X, y, found(y), 0.95)


@case("healthy")
def hand_quantile(seed, cured):
    r = rng(42)
    X = r.uniform(-1, 1, (400, 1))
    y = X + r.normal(0, 0.3, (400, 1))

    def pinball(p, t):
        d = t - p
        return tg.ops.mean(tg.ops.maximum(0.9 * d, -0.1 * d))

    run = train([1, 12, 1], X, y, pinball, "Adam", 0.01, 80, seed, "tanh", batch=40)
    return Asked(run, X, y, lambda p: -abs(float((y <= np.asarray(p)).mean()) - 0.9), -0.06)


@case("targets_out_of_range", ("wrong_output_activation",))
def hand_tanh_output_clamps(seed, cured):
    r = rng(9)
    x = r.uniform(-3, 3, (200, 1))
    y = 4 * x + r.normal(0, 0.2, x.shape)
    return Asked(
        train([1, 10, 1], x, y, "mse", "Adam", 0.01, 200, seed, "tanh", "identity" if cured else "tanh", batch=20),
        x,
        y,
        fitted(y),
        0.95,
    )


@case("inputs_not_scaled", ("too_small_network", "too_few_epochs", "lr_too_low", "representation"))  # sine up to 30
def hand_sine_up_to_20(seed, cured):
    x = np.linspace(0, 20, 300)[:, None]
    y = np.sin(x)
    xs = standard(x) * 2 if cured else x
    return Asked(
        train(
            [1, 20, 20, 1] if not cured else [1, 64, 64, 1],
            xs,
            y,
            "mse",
            "Adam",
            0.005 if cured else 0.001,
            1500 if cured else 200,
            seed,
            "tanh",
            batch=30,
        ),
        xs,
        y,
        fitted(y),
        0.93,
    )


@case("schedule_freezes_early", ("lr_too_low", "too_few_epochs"))
def hand_step_schedule(seed, cured):
    r = rng(16)
    X = r.normal(0, 1, (300, 3))
    y = column(np.sin(2 * X[:, 0]) + X[:, 1])
    m = nn.MLP([3, 24, 1], seed=seed)
    lr = 0.1 if cured else tg.optim.schedules.step(0.1, 20, 0.1)
    return Asked(
        tg.fit(m, X, y, loss="mse", optimizer=optim.SGD(m.parameters(), lr=lr), epochs=300, batch_size=30, seed=seed),
        X,
        y,
        fitted(y),
        0.95,
    )


@case("labels_random")
def hand_lottery(seed, cured):
    r = rng(19)
    X = r.integers(1, 50, (300, 5)).astype(float) / 50
    y = column(r.integers(1, 50, 300) / 50.0)
    if cured:
        y = X[:, :1]
    return Asked(train([5, 16, 1], X, y, "mse", "Adam", 0.003, 60, seed, "relu", batch=32), X, y, fitted(y), 0.8)


@case("healthy")
def hand_huber_outliers(seed, cured):
    r = rng(24)
    X = r.uniform(-1, 1, (300, 2))
    t = X[:, :1] + X[:, 1:] ** 2
    y = t + r.standard_t(1.5, (300, 1)) * 0.1
    return Asked(train([2, 16, 1], X, y, "huber", "Adam", 0.01, 80, seed, "tanh", batch=30), X, y, fitted(t), 0.8)
