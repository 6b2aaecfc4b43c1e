"""Further questions, asked about Keras: see bench.clinic.question_cases_more."""

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


@case("overfitting")  # devpeace / SO 44909134; validation kept aside, in tg.fit's form
def keras_pima_overfit(seed, cured):
    r = rng(14)

    def rows(n):
        X = r.normal(0, 1, (n, 8))
        return X, column(X[:, 0] + 0.5 * X[:, 1] + r.normal(0, 1, n) > 0)

    (X, y), aside, (Xt, yt) = rows(200), rows(100), rows(600)
    run = train(
        [8, 12, 200, 8, 1],
        X,
        y,
        "bce_with_logits",
        "RMSprop",
        0.001,
        12 if cured else 250,
        seed,
        "relu",
        batch=10,
        validation=aside,
    )

    def test(predict):
        p = np.clip(np.asarray(predict(Xt), float).reshape(yt.shape), 1e-9, 1 - 1e-9)
        return float(np.mean(yt * np.log(p) + (1 - yt) * np.log(1 - p)))

    return Asked(run, X, y, found(y), -0.62, test=test)


@case("class_imbalance", ("too_few_epochs", "lr_too_low"))  # exchangetuts: five classes of 5 to 46%, one is predicted
def keras_five_uneven_classes(seed, cured):
    r = rng(10)
    k = r.choice(5, 900, p=[0.03, 0.04, 0.40, 0.50, 0.03])
    M = r.normal(0, 0.9, (5, 6))
    X = M[k] + r.normal(0, 1.0, (900, 6))
    w = np.array([1 / (k == c).mean() / 5 for c in range(5)])[k]
    run = train(
        [6, 40, 10, 5],
        X,
        k,
        "cross_entropy",
        "RMSprop",
        0.001,
        12,
        seed,
        "relu",
        batch=32,
        **({"sample_weight": w} if cured else {}),
    )
    return Asked(run, X, k, found(k), 0.62)


@case("symmetric_init", ("dead_relu",))
def keras_zeros(seed, cured):
    r = rng(11)
    X = r.random((500, 6))
    y = column(X.sum(1) + X[:, 0] * X[:, 1])
    run = train(
        [6, 64, 64, 1], X, y, "mse", "Adam", 0.001, 60, seed, "relu", batch=32, net={} if cured else {"init": "zeros"}
    )
    return Asked(run, X, y, fitted(y), 0.9)


@case("momentum_too_high", ("lr_too_high",))
def keras_momentum_0999(seed, cured):
    r = rng(13)
    X = r.normal(0, 1, (300, 4))
    y = column(np.tanh(X[:, 0]) + 0.5 * X[:, 1])
    m = nn.MLP([4, 20, 1], seed=seed)
    run = tg.fit(
        m,
        X,
        y,
        loss="mse",
        optimizer=optim.SGD(m.parameters(), lr=0.02, momentum=0.9 if cured else 0.999),
        epochs=30,
        batch_size=30,
        seed=seed,
    )
    return Asked(run, X, y, fitted(y), 0.95)


@case("clip_too_tight", ("lr_too_low", "too_few_epochs"))
def keras_clipnorm(seed, cured):
    r = rng(14)
    X = r.normal(0, 1, (300, 4))
    y = column(X[:, 0] * X[:, 1] + X[:, 2])
    m = nn.MLP([4, 24, 1], seed=seed)
    run = tg.fit(
        m,
        X,
        y,
        loss="mse",
        optimizer=optim.SGD(m.parameters(), lr=0.05),
        epochs=100,
        batch_size=20,
        seed=seed,
        clip_norm=None if cured else 1e-3,
    )
    return Asked(run, X, y, fitted(y), 0.9)


@case("vanishing_gradient", ("saturated_activations", "lr_too_low", "too_few_epochs"))  # ten sigmoid layers
def keras_ten_sigmoid_layers(seed, cured):
    r = rng(15)
    X = r.normal(0, 1, (400, 5))
    y = column(X[:, 0] * X[:, 1] > 0)
    run = train(
        [5, *[20] * (3 if cured else 8), 1],
        X,
        y,
        "bce_with_logits",
        "SGD",
        0.1,
        120,
        seed,
        "tanh" if cured else "sigmoid",
        batch=20,
    )
    return Asked(run, X, y, found(y), 0.93)


@case(
    "wrong_loss", ("wrong_output_activation", "targets_out_of_range", "lr_too_low", "too_few_epochs")
)  # class numbers as numbers, five classes
def keras_mse_on_class_numbers(seed, cured):
    r = rng(16)
    k = r.integers(0, 5, 500)
    M = r.normal(0, 2, (5, 2))
    X = M[k] + r.normal(0, 0.3, (500, 2))
    if cured:
        run = train([2, 16, 5], X, k, "cross_entropy", "Adam", 0.01, 60, seed, "relu", batch=32)
    else:
        run = train([2, 16, 1], X, column(k), "mse", "Adam", 0.01, 60, seed, "relu", batch=32)

    def judge(p):
        return (
            found(k)(p)
            if np.asarray(p).shape[1] > 1
            else float(np.mean([(np.rint(np.asarray(p)[:, 0])[k == c] == c).mean() for c in range(5)]))
        )

    return Asked(run, X, k if cured else column(k), judge, 0.9)


@case("schedule_freezes_early", ("lr_too_low", "too_few_epochs"))
def keras_exponential_decay(seed, cured):
    r = rng(17)
    X = r.uniform(-1, 1, (400, 2))
    y = column(np.sin(4 * X[:, 0]) * X[:, 1])
    m = nn.MLP([2, 32, 32, 1], seed=seed)
    lr = 0.01 if cured else tg.optim.schedules.exponential(0.01, 0.98)
    run = tg.fit(m, X, y, loss="mse", optimizer=optim.Adam(m.parameters(), lr=lr), epochs=60, batch_size=20, seed=seed)
    return Asked(run, X, y, fitted(y), 0.95)


@case("healthy")
def keras_dropout_on_digits(seed, cured):
    from sklearn.datasets import load_digits

    d = load_digits()
    X, y = d.data[:600] / 16, d.target[:600]
    return Asked(
        train([64, 64, 10], X, y, "cross_entropy", "Adam", 0.003, 40, seed, "relu", batch=32, net={"dropout": 0.3}),
        X,
        y,
        found(y),
        0.97,
    )


@case("healthy")
def keras_label_noise_30(seed, cured):
    r = rng(36)
    X = r.normal(0, 1, (500, 2))
    y = X[:, 0] > 0
    y = column(np.where(r.random(500) < 0.3, ~y, y))
    return Asked(
        train([2, 8, 1], X, y, "bce_with_logits", "Adam", 0.01, 40, seed, "relu", batch=32), X, y, found(y), 0.62
    )


@case("healthy")
def keras_plateau_then_down(seed, cured):
    X = np.array([[0, 0], [0, 1], [1, 0], [1, 1.0]])
    y = column([0, 1, 1, 0])
    return Asked(train([2, 8, 1], X, y, "mse", "SGD", 0.5, 6000, seed, "sigmoid", "sigmoid"), X, y, found(y), 0.99)


@case(
    "inputs_not_scaled", ("exploding_gradient", "lr_too_high", "targets_out_of_range")
)  # SO 37232782 nan loss in a regression network
def keras_nan_regression(seed, cured):
    r = rng(5)
    X = r.lognormal(2, 1.2, (400, 6)) * [1, 10, 100, 1, 5, 1000]
    y = column(np.log(X[:, 0]) + np.log(X[:, 2]) + r.normal(0, 0.1, 400))
    Xs = standard(np.log(X)) if cured else X
    m = nn.MLP([6, 20, 20, 1], activation="relu", seed=seed)
    o = optim.Adam(m.parameters(), lr=0.005) if cured else optim.SGD(m.parameters(), lr=0.01)
    return Asked(tg.fit(m, Xs, y, loss="mse", optimizer=o, epochs=80, batch_size=32, seed=seed), Xs, y, fitted(y), 0.8)


@case(
    "targets_out_of_range", ("wrong_output_activation",)
)  # autoencoder of standardized data with a sigmoid at the end
def keras_autoencoder_sigmoid(seed, cured):
    r = rng(6)
    X = r.normal(0, 1, (300, 3)) @ r.normal(0, 1, (3, 10))
    X = standard(X)
    return Asked(
        train([10, 6, 10], X, X, "mse", "Adam", 0.01, 100, seed, "relu", "identity" if cured else "sigmoid", batch=32),
        X,
        X,
        fitted(X),
        0.9,
    )


@case("dead_relu", ("inputs_not_scaled", "init_too_large", "lr_too_high", "too_small_network"))  # keras#13891
def keras_small_relu_layer(seed, cured):
    r = rng(7)
    X = r.uniform(50, 150, (300, 5))
    y = column((X[:, 0] - X[:, 1] + 0.5 * X[:, 2] - 50) / 20)
    Xs = standard(X) if cured else X
    return Asked(
        train([5, 3, 1] if not cured else [5, 12, 1], Xs, y, "mse", "Adam", 0.01, 60, seed, "relu", batch=32),
        Xs,
        y,
        fitted(y),
        0.9,
    )


@case("inputs_not_scaled", ("lr_too_high", "dead_relu", "too_few_epochs"))  # keras#2139 pixels 0..255
def keras_pixels_255(seed, cured):
    r = rng(8)
    X = r.integers(0, 256, (300, 48)).astype(float)
    w = r.normal(0, 1, 48)
    y = column(1 / (1 + np.exp(-(X - 127) @ w / 400)))
    Xs = X / 255 * 2 - 1 if cured else X
    return Asked(
        train(
            [48, 32, 1], Xs, y, "mse", "Adam", 0.003 if cured else 0.001, 60 if cured else 10, seed, "relu", batch=32
        ),
        Xs,
        y,
        fitted(y),
        0.8,
    )


@case("constant_or_nonfinite_input", ())
def keras_all_columns_equal(seed, cured):
    r = rng(20)
    Z = r.normal(0, 1, (200, 4))
    X = Z if cured else np.tile(Z[:1], (200, 1))
    y = column(Z[:, 0] > 0)
    return Asked(
        train([4, 12, 1], X, y, "bce_with_logits", "Adam", 0.01, 60, seed, "relu", batch=20), X, y, found(y), 0.9
    )


@case("healthy")
def keras_line_raw(seed, cured):
    X = column([1, 3, 2, 10, 4, 7, 8])
    y = 4 * X
    return Asked(train([1, 1], X, y, "mse", "SGD", 0.01, 100, seed), X, y, fitted(y), 0.97)


@case("healthy")
def keras_validation_flat(seed, cured):
    r = rng(26)

    def rows(n):
        X = r.normal(0, 1, (n, 4))
        return X, column(X[:, 0] * 2 + r.normal(0, 1, n))

    (X, y), aside = rows(300), rows(100)
    return Asked(
        train([4, 8, 1], X, y, "mse", "Adam", 0.003, 60, seed, "tanh", batch=32, validation=aside), X, y, fitted(y), 0.7
    )


@case("healthy")
def keras_multilabel_sigmoid_mse(seed, cured):
    r = rng(27)
    X = r.normal(0, 1, (300, 4))
    Y = np.c_[X[:, 0] > 0, X[:, 1] > 0, X[:, 2] > 0.8].astype(float)
    return Asked(
        train([4, 24, 3], X, Y, "bce_with_logits", "Adam", 0.01, 60, seed, "relu", batch=32),
        X,
        Y,
        lambda p: float(((np.asarray(p) > 0.5) == Y).mean()),
        0.95,
    )
