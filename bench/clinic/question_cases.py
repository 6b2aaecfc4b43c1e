"""Cases made after the kinds of questions that people ask, none of them a question itself: see bench.clinic.questions.

Each trains as somebody might (cured=False), or with the true cure. They were not used to set any limit. Those in which
nothing is wrong are bench.clinic.question_healthy's.
"""

from __future__ import annotations

import numpy as np

from bench.clinic import question_healthy
from bench.clinic.question_parts import Asked, Case, column, enter, fitted, found, standard, train
from tinygrad_edu import nn

CASES: dict[str, Case] = dict(question_healthy.CASES)
case = enter(CASES)


@case("target_outliers")
def so_typo_in_targets(seed, cured):  # a few targets are a thousand times too large
    from sklearn.neural_network import MLPRegressor

    r = np.random.default_rng(5)
    X = r.normal(0, 1, (300, 3))
    c = np.sin(X[:, 0]) * 2 + X[:, 1]
    k = r.random(300) < 0.03
    y = np.where(k, c * 1000, c)
    m = MLPRegressor(hidden_layer_sizes=(24,), max_iter=1500, random_state=seed, learning_rate_init=0.01)
    m.fit(X[~k], c[~k]) if cured else m.fit(X, y)
    return Asked(m, X, y, fitted(c, ~k), 0.9)


@case("target_outliers")
def k_outliers_mse(seed, cured):
    r = np.random.default_rng(6)
    X = r.uniform(-1, 1, (400, 2))
    c = X[:, :1] ** 2 + X[:, 1:]
    k = r.random(400) < 0.04
    y = c.copy()
    y[k] += r.normal(0, 60, (k.sum(), 1))
    run = train(
        [2, 24, 1], X[~k] if cured else X, c[~k] if cured else y, "mse", "Adam", 0.01, 150, seed, "relu", batch=32
    )
    return Asked(run, X, y, fitted(c, ~k), 0.9)


@case("inputs_not_scaled", ("lr_too_high", "exploding_gradient", "dead_relu"))
def k_sentinel_in_inputs(seed, cured):
    r = np.random.default_rng(7)
    X = r.normal(0, 1, (400, 4))
    y = column(X[:, 0] - X[:, 1] * X[:, 2])
    k = r.random(400) < 0.05
    Z = X.copy()
    Z[k, 0] = -99999
    run = train([4, 24, 1], X if cured else Z, y, "mse", "SGD", 0.01, 60, seed, "relu", batch=32)
    return Asked(run, X if cured else Z, y, fitted(y, ~k), 0.9)


@case("overfitting")
def k_overfit_reg(seed, cured):
    r = np.random.default_rng(12)

    def rows(n):
        X = r.normal(0, 1, (n, 15))
        return X, column(X[:, 0] + r.normal(0, 1, n))

    (X, y), V, (Xt, yt) = rows(60), rows(40), rows(500)
    run = train([15, 100, 1], X, y, "mse", "Adam", 0.005, 8 if cured else 400, seed, "relu", batch=15, validation=V)
    return Asked(
        run, X, y, fitted(y), -1.75, test=lambda pr: -float(np.mean((np.asarray(pr(Xt)).reshape(yt.shape) - yt) ** 2))
    )


@case("no_activation", ("too_small_network",))
def sk_identity(seed, cured):
    from sklearn.datasets import make_circles
    from sklearn.neural_network import MLPClassifier

    X, y = make_circles(300, noise=0.05, factor=0.4, random_state=0)
    m = MLPClassifier((30, 30), activation="relu" if cured else "identity", max_iter=500, random_state=seed).fit(X, y)
    return Asked(m, X, y, found(y), 0.95)


@case("lr_too_low", ("too_few_epochs",))
def sk_sgd_low(seed, cured):
    from sklearn.datasets import load_iris
    from sklearn.neural_network import MLPClassifier

    d = load_iris()
    X = standard(d.data)
    m = MLPClassifier(
        (30,), solver="sgd", learning_rate_init=0.05 if cured else 1e-5, max_iter=200, random_state=seed
    ).fit(X, d.target)
    return Asked(m, X, d.target, found(d.target), 0.93)


@case("lr_too_low", ("too_few_epochs", "inputs_not_scaled"))
def sk_cancer_two(seed, cured):
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier

    d = load_breast_cancer()
    X = standard(d.data) if cured else d.data
    m = MLPClassifier(
        (30,), solver="sgd", learning_rate_init=0.01 if cured else 1e-6, max_iter=200, random_state=seed
    ).fit(X, d.target)
    return Asked(m, X, d.target, found(d.target), 0.95)


@case("inputs_not_scaled", ("too_few_epochs", "lr_too_low"))
def sk_s7(seed, cured):
    from sklearn.datasets import make_classification
    from sklearn.neural_network import MLPClassifier

    X, y = make_classification(n_samples=3000, n_features=30, n_informative=15, random_state=0)
    X = X * np.r_[np.ones(15), np.full(15, 500.0)]
    if cured:
        X = standard(X)
    m = MLPClassifier(
        (60,), max_iter=30, random_state=seed, solver="sgd", learning_rate_init=0.05 if cured else 1e-4
    ).fit(X, y)
    return Asked(m, X, y, found(y), 0.9)


@case("broadcast_in_loss", ("wrong_loss",), refusal="broadcast|shape")
def t_broadcast_mae(seed, cured):
    r = np.random.default_rng(14)
    X = r.normal(0, 1, (200, 2))
    y = X[:, 0] * 2

    def own(p, t):
        return np.mean(np.abs(p - t.reshape((-1, 1) if cured else -1)))

    run = train([2, 8, 1], X, y, own, "SGD", 0.05, 150, seed, "relu")
    return Asked(run, X, y, fitted(y), 0.95)


@case("wrong_loss", ("wrong_output_activation",))
def t_double_softmax(seed, cured):
    r = np.random.default_rng(15)
    t = np.arange(240) % 6
    X = r.normal(0, 0.6, (240, 8)) + 2 * np.eye(8)[t]
    run = train(
        [8, 12, 6], X, t, "cross_entropy", "SGD", 0.05, 30, seed, "relu", "identity" if cured else "softmax", batch=30
    )
    return Asked(run, X, t, found(t), 0.9)


@case("dropout_too_high", ("too_small_network", "too_few_epochs"))
def k_dropout_reg(seed, cured):
    r = np.random.default_rng(17)
    X = r.uniform(-1, 1, (300, 2))
    y = np.sin(3 * X[:, :1]) + X[:, 1:]
    run = train(
        [2, 16, 1], X, y, "mse", "Adam", 0.01, 200, seed, "tanh", batch=32, net={"dropout": 0.0 if cured else 0.7}
    )
    return Asked(run, X, y, fitted(y), 0.9)


@case("representation", ("inputs_not_scaled", "too_small_network"))
def h_divisible_by_4(seed, cured):
    n = np.arange(0, 128)
    t = (n % 4 < 2).astype(int)
    X = ((n[:, None] >> np.arange(7)) & 1).astype(float) if cured else column(n) / 128
    run = train([X.shape[1], 12, 1], X, column(t), "bce_with_logits", "Adam", 0.01, 200, seed, "relu", batch=16)
    return Asked(run, X, column(t), found(t), 0.95)


@case("labels_random")
def t_random_reg(seed, cured):
    r = np.random.default_rng(19)
    X = r.normal(0, 1, (300, 5))
    y = r.normal(0, 1, (300, 1)) if not cured else X[:, :1]
    return Asked(train([5, 12, 1], X, y, "mse", "Adam", 0.005, 60, seed, batch=30), X, y, fitted(y), 0.8)


@case("not_shuffled")
def k_sorted_batches(seed, cured):
    from sklearn.datasets import load_iris

    d = load_iris()
    X = standard(d.data)
    return Asked(
        train([4, 8, 3], X, d.target, "cross_entropy", "SGD", 0.5, 6, seed, batch=1, shuffle=cured),
        X,
        d.target,
        found(d.target),
        0.9,
    )


@case("inputs_not_scaled", ("targets_out_of_range", "lr_too_low", "too_few_epochs"))
def t_gru_units(seed, cured):
    r = np.random.default_rng(22)
    s = 1000 + 300 * np.sin(np.arange(260) / 5) + r.normal(0, 10, 260)
    if cured:
        s = (s - s.mean()) / s.std()
    X = np.array([s[i : i + 8] for i in range(240)])[:, :, None]
    y = column(s[8:248])
    g = np.random.default_rng(seed)
    m = nn.Sequential(nn.GRU(1, 12, rng=g), nn.last_output, nn.Linear(12, 1, rng=g))
    return Asked(train(None, X, y, "mse", "Adam", 0.01, 40, seed, batch=24, model=m), X, y, fitted(y), 0.9)


@case("representation", ("too_few_epochs", "lr_too_low", "too_small_network"))
def t_rnn_padding(seed, cured):
    r = np.random.default_rng(23)
    X = np.zeros((160, 24, 1))
    t = np.zeros((160, 1))
    for i in range(160):
        L = r.integers(3, 6)
        w = r.normal(0, 1, L)
        t[i] = w.sum() > 0
        if cured:
            X[i, 24 - L :, 0] = w
        else:
            X[i, :L, 0] = w
    g = np.random.default_rng(seed)
    m = nn.Sequential(nn.RNN(1, 8, rng=g), nn.last_output, nn.Linear(8, 1, rng=g))
    return Asked(train(None, X, t, "bce_with_logits", "Adam", 0.01, 25, seed, batch=16, model=m), X, t, found(t), 0.9)


@case("clip_too_tight", ("lr_too_low", "too_few_epochs"))
def k_clip(seed, cured):
    r = np.random.default_rng(24)
    X = r.normal(0, 1, (200, 3))
    y = column(X[:, 0] * X[:, 1] + X[:, 2])
    return Asked(
        train([3, 24, 1], X, y, "mse", "SGD", 0.05, 120, seed, batch=20, clip_norm=1.0 if cured else 1e-3),
        X,
        y,
        fitted(y),
        0.85,
    )


@case("inputs_not_scaled", ("unlucky_init",))
def sk_cancer_raw(seed, cured):
    from sklearn.datasets import load_breast_cancer
    from sklearn.neural_network import MLPClassifier

    d = load_breast_cancer()
    X = standard(d.data) if cured else d.data
    m = MLPClassifier((30,), max_iter=200, random_state=seed).fit(X, d.target)
    return Asked(m, X, d.target, found(d.target), 0.955)


@case("stopped_too_early")
def k_patience(seed, cured):
    r = np.random.default_rng(26)
    X = r.uniform(-1, 1, (200, 2))
    y = np.sin(4 * X[:, :1]) * X[:, 1:]
    return Asked(
        train(
            [2, 24, 1],
            X,
            y,
            "mse",
            "Adam",
            0.003,
            800,
            seed,
            batch=40,
            **({} if cured else {"validation": 0.2, "patience": 1}),
        ),
        X,
        y,
        fitted(y),
        0.85,
    )
