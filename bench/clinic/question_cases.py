"""Cases made after the kinds of questions that people ask, none of them a question itself: see bench.clinic.questions.

Each trains as somebody might (cured=False), or with the true cure. They were not used to set any limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import tinygrad_edu as tg
from tinygrad_edu import nn, optim
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.nn.losses import LOSSES

Array = np.ndarray[Any, Any]


@dataclass
class Asked:
    """What is handed over, and how good an estimate is: judge(estimate) >= good. test: of any X, in its place."""

    obj: Any
    X: Any
    y: Any
    judge: Callable[[Array], float]
    good: float
    kwargs: dict[str, Any] = field(default_factory=dict)
    test: Callable[[Callable[[Any], Array]], float] | None = None

    def worth(self, predict: Callable[[Any], Array]) -> float:
        return self.test(predict) if self.test else self.judge(predict(self.X))

    def asis(self) -> float:
        return self.worth(lambda X: estimate_of(self.obj, X))


@dataclass(frozen=True)
class Case:
    name: str
    truth: str
    accept: tuple[str, ...]
    healthy: bool
    refusal: str
    build: Callable[..., Asked]


CASES: dict[str, Case] = {}


def case(truth: str, accept: tuple[str, ...] = (), refusal: str = "") -> Callable[..., Any]:
    def add(build: Callable[..., Asked]) -> Callable[..., Asked]:
        name = build.__name__
        CASES[name] = Case(name, truth, accept, truth == "healthy", refusal, build)
        return build

    return add


def estimate_of(obj: Any, X: Any) -> Array:
    if hasattr(obj, "predict_proba"):
        p = obj.predict_proba(X)
        return np.asarray(p[:, 1:] if p.shape[1] == 2 else p)
    if hasattr(obj, "predict"):
        return np.asarray(obj.predict(X)).reshape(len(X), -1)
    z = np.asarray(obj.model.eval()(np.asarray(X, float)).numpy()).reshape(len(X), -1)
    loss = LOSSES.get(obj.config.get("loss")) if isinstance(obj.config.get("loss"), str) else None
    return np.asarray(find_activation(loss.link if loss else "identity")(z))


def column(values: Any) -> Array:
    return np.asarray(values, float).reshape(-1, 1)


def fitted(y: Any, rows: Any = slice(None)) -> Callable[[Array], float]:
    """R² on some rows."""
    t = column(y) if np.ndim(y) == 1 else np.asarray(y, float)

    def measure(p: Array) -> float:
        p = np.asarray(p, float).reshape(t.shape)[rows]
        target = t[rows]
        if not np.isfinite(p).all():
            return -9.0
        return float(1.0 - ((p - target) ** 2).sum() / ((target - target.mean(axis=0)) ** 2).sum())

    return measure


def found(labels: Any) -> Callable[[Array], float]:
    """The mean over classes of the share found."""
    t = np.asarray(labels).astype(int).reshape(-1)

    def measure(p: Array) -> float:
        p = np.asarray(p, float)
        if not np.isfinite(p).all():
            return 0.0
        named = p.argmax(axis=1) if p.shape[1] > 1 else (p[:, 0] > 0.5).astype(int)
        return float(np.mean([(named[t == c] == c).mean() for c in np.unique(t)]))

    return measure


def standard(X: Any) -> Array:
    return np.asarray((X - X.mean(axis=0)) / X.std(axis=0))


def train(
    sizes: Any, X: Any, y: Any, loss: Any, opt: str, lr: float, epochs: int, seed: int, activation: str = "tanh",
    out: str = "identity", batch: int | None = None, model: Any = None, net: Any = None, **options: Any,
) -> Any:  # fmt: skip
    model = model or nn.MLP(sizes, activation=activation, out_activation=out, seed=seed, **(net or {}))
    optimizer = getattr(optim, opt)(model.parameters(), lr=lr)
    return tg.fit(model, X, y, loss=loss, optimizer=optimizer, epochs=epochs, batch_size=batch, seed=seed, **options)


@case("target_outliers")
def so_typo_in_targets(seed, cured):  # a few targets a thousand times too large
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
