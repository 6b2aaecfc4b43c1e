"""Further questions, asked about scikit-learn: see bench.clinic.question_cases_more."""

from __future__ import annotations

import numpy as np

from bench.clinic.question_parts import (
    Asked,
    Case,
    classifier,
    enter,
    fitted,
    found,
    regressor,
    rng,
    standard,
)

CASES: dict[str, Case] = {}
case = enter(CASES)


@case("too_small_network", ("dead_relu", "unlucky_init"))  # SO 63062211 / 63057691
def sk_xor_three_relu_units(seed, cured):
    from sklearn.neural_network import MLPClassifier

    X = rng(1).uniform(-1, 1, (2000, 2))
    t = X > 0
    y = 2 * (t[:, 0] ^ t[:, 1]).astype(int) - 1
    m = MLPClassifier(
        (3,) if not cured else (16,), n_iter_no_change=100, learning_rate_init=0.01, max_iter=300, random_state=seed
    ).fit(X, y)
    return Asked(m, X, y, found((y + 1) // 2), 0.95)


@case("healthy")  # sklearn example plot_mlp_alpha: moons, alpha 1
def sk_moons_alpha_1(seed, cured):
    from sklearn.datasets import make_moons
    from sklearn.neural_network import MLPClassifier

    X, y = make_moons(100, noise=0.3, random_state=0)
    X = standard(X)
    return Asked(
        MLPClassifier(
            (100, 100), solver="lbfgs", alpha=1.0, max_iter=2000, early_stopping=False, random_state=seed
        ).fit(X, y),
        X,
        y,
        found(y),
        0.85,
    )


@case("healthy")  # imbalanced 1:15, default estimator, found well
def sk_imbalanced_but_fine(seed, cured):
    from sklearn.neural_network import MLPClassifier

    r = rng(21)
    y = (r.random(900) < 0.065).astype(int)
    X = r.normal(0, 1, (900, 3))
    X[y == 1] += [2.6, -2.2, 0]
    return Asked(MLPClassifier((30,), max_iter=400, random_state=seed).fit(X, y), X, y, found(y), 0.85)


@case(
    "lr_too_low", ("too_few_epochs", "batch_too_large_for_epochs", "stopped_too_early")
)  # trouble fitting simple data with MLPRegressor
def sk_sine_by_sgd(seed, cured):
    x = np.linspace(0, 1, 400)[:, None]
    y = np.sin(2 * np.pi * x[:, 0])
    m = regressor(
        hidden_layer_sizes=(10,),
        activation="tanh",
        solver="lbfgs" if cured else "sgd",
        max_iter=2000 if cured else 400,
        random_state=seed,
    ).fit(x, y)
    return Asked(m, x, y, fitted(y), 0.95)


@case(
    "targets_out_of_range", ("lr_too_low", "too_few_epochs", "inputs_not_scaled")
)  # house prices: all predictions near zero
def sk_house_prices(seed, cured):
    r = rng(2)
    X = np.c_[r.uniform(40, 250, 300), r.integers(1, 7, 300), r.uniform(0, 60, 300)]
    y = 1500 * X[:, 0] + 9000 * X[:, 1] - 700 * X[:, 2] + r.normal(0, 9000, 300) + 40000
    Xs, ys = (standard(X), (y - y.mean()) / y.std()) if cured else (X, y)
    return Asked(
        regressor(random_state=seed, max_iter=500 if not cured else 1000).fit(Xs, ys), Xs, ys, fitted(ys), 0.93
    )


@case(
    "too_small_network", ("inputs_not_scaled", "saturated_activations", "dead_relu")
)  # the documentation's (5, 2) on digits
def sk_digits_by_5_2(seed, cured):
    from sklearn.datasets import load_digits

    d = load_digits()
    X, y = d.data[:700] / 16, d.target[:700]
    m = classifier((40,) if cured else (5, 2), solver="lbfgs", alpha=1e-5, random_state=seed, max_iter=300).fit(X, y)
    return Asked(m, X, y, found(y), 0.97)


@case("no_activation", ("too_small_network",))
def sk_identity(seed, cured):
    r = rng(4)
    X = r.uniform(-2, 2, (300, 2))
    y = np.abs(X[:, 0]) - X[:, 1] ** 2
    m = regressor(
        hidden_layer_sizes=(50, 50),
        activation="relu" if cured else "identity",
        max_iter=800,
        learning_rate_init=0.005,
        random_state=seed,
    ).fit(X, y)
    return Asked(m, X, y, fitted(y), 0.95)


@case("lr_too_high", ("dead_relu", "exploding_gradient"))
def sk_rate_of_one(seed, cured):
    from sklearn.datasets import make_moons

    X, y = make_moons(400, noise=0.1, random_state=1)
    m = classifier(
        (30, 30), learning_rate_init=0.01 if cured else 1.0, max_iter=300, n_iter_no_change=50, random_state=seed
    ).fit(X, y)
    return Asked(m, X, y, found(y), 0.97)


@case("weight_decay_too_high")
def sk_alpha_of_30(seed, cured):
    from sklearn.datasets import load_iris

    d = load_iris()
    X = standard(d.data)
    m = classifier((20,), alpha=1e-4 if cured else 600.0, max_iter=600, learning_rate_init=0.01, random_state=seed).fit(
        X, d.target
    )
    return Asked(m, X, d.target, found(d.target), 0.93)


@case("class_imbalance", ("lr_too_low", "too_few_epochs"))  # DS 19283: 88% negatives, everything is predicted negative
def sk_rare_positives(seed, cured):
    r = rng(7)
    n = 900
    y = (r.random(n) < 0.05).astype(int)
    X = r.normal(0, 1, (n, 5))
    X[y == 1, 0] += 1.6
    w = np.where(y == 1, (y == 0).sum() / (y == 1).sum(), 1.0)
    m = classifier((8, 8), max_iter=60, random_state=seed)
    m.fit(X, y, sample_weight=w) if cured else m.fit(X, y)
    return Asked(m, X, y, found(y), 0.72)


@case(
    "inputs_not_scaled", ("constant_or_nonfinite_input",)
)  # a year and an id among the columns, in a Pipeline without a scaler
def sk_year_column_in_a_pipeline(seed, cured):
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import PolynomialFeatures, StandardScaler

    r = rng(8)
    Z = r.normal(0, 1, (250, 2))
    X = np.c_[Z, r.integers(1990, 2020, 250), np.arange(250) * 13]
    y = (Z[:, 0] * Z[:, 1] > 0).astype(int)
    steps = [PolynomialFeatures(2, include_bias=False)] + [StandardScaler()] * cured
    return Asked(
        make_pipeline(*steps, classifier((20,), max_iter=300, random_state=seed)).fit(X, y), X, y, found(y), 0.95
    )


@case("labels_random")  # rows of X sorted, of y not
def sk_sorted_by_mistake(seed, cured):
    r = rng(9)
    X = r.normal(0, 1, (300, 4))
    y = (X @ [1, -1, 0.5, 0] + 0.2 * r.normal(size=300) > 0).astype(int)
    Xm = X if cured else X[np.argsort(X[:, 3])]
    m = classifier((10,), max_iter=300, alpha=0.1, random_state=seed).fit(Xm, y)
    return Asked(m, Xm, y, found(y), 0.93)


@case("healthy")
def sk_digits_default(seed, cured):
    from sklearn.datasets import load_digits

    d = load_digits()
    X, y = d.data[:600], d.target[:600]
    return Asked(classifier(random_state=seed, max_iter=60).fit(X, y), X, y, found(y), 0.97)


@case("healthy")
def sk_diabetes_scaled(seed, cured):
    from sklearn.datasets import load_diabetes

    d = load_diabetes()
    y = (d.target - d.target.mean()) / d.target.std()
    X = standard(d.data)
    return Asked(
        regressor(hidden_layer_sizes=(20,), alpha=1.0, max_iter=300, random_state=seed).fit(X, y), X, y, fitted(y), 0.45
    )


@case("healthy")
def sk_warning_but_good(seed, cured):
    from sklearn.datasets import load_breast_cancer

    d = load_breast_cancer()
    X = standard(d.data)
    return Asked(
        classifier((10,), max_iter=100, random_state=seed).fit(X, d.target), X, d.target, found(d.target), 0.95
    )


@case("healthy")
def sk_multilabel(seed, cured):
    r = rng(33)
    X = r.normal(0, 1, (300, 4))
    Y = np.c_[X[:, 0] > 0, X[:, 1] + X[:, 2] > 0, X[:, 3] > 0.5].astype(int)

    def j(p):
        return float(((np.asarray(p) > 0.5) == Y).mean())

    return Asked(classifier((20,), max_iter=400, random_state=seed).fit(X, Y), X, Y, j, 0.95)


@case("healthy")
def sk_two_targets_noise(seed, cured):
    r = rng(34)
    X = r.normal(0, 1, (300, 3))
    Y = np.c_[X[:, 0] + r.normal(0, 1, 300), X[:, 1] * 3 + r.normal(0, 2, 300)]
    return Asked(
        regressor(hidden_layer_sizes=(20,), max_iter=300, random_state=seed).fit(X, Y),
        X,
        Y,
        lambda p: float(1 - ((p - Y) ** 2).sum() / ((Y - Y.mean(0)) ** 2).sum()),
        0.5,
    )


@case("not_shuffled", ("lr_too_low", "too_few_epochs", "lr_too_high"))
def sk_sorted_iris_sgd(seed, cured):
    from sklearn.datasets import load_iris

    d = load_iris()
    X = standard(d.data)
    m = classifier(
        (10,),
        solver="sgd",
        learning_rate_init=0.3,
        batch_size=10,
        max_iter=25,
        n_iter_no_change=25,
        shuffle=cured,
        random_state=seed,
    ).fit(X, d.target)
    return Asked(m, X, d.target, found(d.target), 0.9)


@case("stopped_too_early", ())
def sk_tol_of_a_tenth(seed, cured):
    from sklearn.datasets import make_moons

    X, y = make_moons(300, noise=0.1, random_state=3)
    m = classifier((30,), tol=1e-5 if cured else 0.1, max_iter=1500, learning_rate_init=0.003, random_state=seed).fit(
        X, y
    )
    return Asked(m, X, y, found(y), 0.97)


@case("lr_too_low", ("too_few_epochs",))
def sk_adam_1e6(seed, cured):
    from sklearn.datasets import load_wine

    d = load_wine()
    X = standard(d.data)
    m = classifier((30,), learning_rate_init=0.001 if cured else 1e-6, max_iter=300, random_state=seed).fit(X, d.target)
    return Asked(m, X, d.target, found(d.target), 0.97)


@case("healthy")
def sk_ordinal_grades(seed, cured):
    r = rng(23)
    X = r.normal(0, 1, (400, 3))
    y = np.clip(np.rint(2 + X[:, 0] + 0.5 * X[:, 1] + r.normal(0, 0.3, 400)), 0, 4)
    return Asked(regressor(hidden_layer_sizes=(20,), max_iter=400, random_state=seed).fit(X, y), X, y, fitted(y), 0.8)


@case("healthy")
def sk_lbfgs_30_rows(seed, cured):
    r = rng(25)
    X = r.normal(0, 1, (30, 2))
    y = (X[:, 0] > 0).astype(int)
    return Asked(
        classifier((5,), solver="lbfgs", alpha=0.01, random_state=seed, max_iter=500).fit(X, y), X, y, found(y), 0.95
    )
