"""scikit-learn's MLPs and ours, which give the same numbers: small fits, the grid of case 2, mini-batches, 12 shapes.

Each answer is what a user would look at: losses and scores. float64 throughout.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload
from tinygrad_edu.data import body_metrics

PEER = "sklearn"
THREADS = 2
WIDTHS = range(1, 22)
COMPARED = (4, 11, 18)  # widths that scikit-learn trains; its time is multiplied by 7 to stand for all 21
# (samples, features, hidden units, outputs of the regressor or 0 for two classes, epochs)
SHAPES = [
    (10, 2, 10, 0, 200), (30, 4, 100, 0, 200), (100, 10, 50, 1, 100), (150, 4, 100, 0, 100), (500, 30, 100, 1, 40),
    (1000, 20, 20, 0, 40), (2000, 64, 100, 0, 20), (5000, 8, 100, 1, 20), (5000, 300, 50, 0, 5),
    (10_000, 50, 200, 3, 3), (20_000, 100, 100, 0, 3),
]  # fmt: skip
DIGITS = (10_000, 900)  # (samples, features) for the mini-batches
LARGE = (50_000, 200, 100, 0, 1)  # a shape in which matrix products take most of the time


def module(package: str) -> Any:
    if package == OURS:
        from tinygrad_edu import estimators

        return estimators
    from sklearn import neural_network

    return neural_network


def quietly(run: Run) -> Run:
    """Without the warnings that 200 epochs were not enough."""

    def quiet() -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return run()

    return quiet


def fit(package: str, kind: str, X: Any, y: Any, settings: Mapping[str, Any]) -> Run:
    model = getattr(module(package), kind)(random_state=0, **settings)
    return quietly(lambda: [float(model.fit(X, y).loss_)])


def body_fit(package: str) -> Run:
    settings = {"hidden_layer_sizes": (3,), "activation": "logistic", "n_iter_no_change": 1000}
    return fit(package, "MLPClassifier", *body_metrics(), settings)


def grid(package: str) -> Run:
    """The mean scores of the cells with widths COMPARED."""
    from sklearn.model_selection import GridSearchCV

    widths = WIDTHS if package == OURS else COMPARED
    cells = {
        "activation": ["identity", "logistic", "tanh", "relu"],
        "solver": ["lbfgs", "sgd", "adam"],
        "hidden_layer_sizes": [(width,) for width in widths],
    }
    search = GridSearchCV(module(package).MLPClassifier(random_state=0), cells, cv=3)

    def run() -> list[float]:
        found = search.fit(*body_metrics()).cv_results_
        rows = zip(found["params"], found["mean_test_score"], strict=True)
        return [float(score) for cell, score in rows if cell["hidden_layer_sizes"][0] in COMPARED]

    return quietly(run)


def digits(package: str) -> Run:
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=DIGITS), rng.integers(0, 10, DIGITS[0])
    settings = {"hidden_layer_sizes": (64,), "batch_size": 32, "max_iter": 1}
    return fit(package, "MLPClassifier", X, y, settings)


def shape(package: str, samples: int, features: int, hidden: int, outputs: int, epochs: int) -> Run:
    rng = np.random.default_rng(0)
    X = rng.normal(size=(samples, features))
    y = np.sin(X[:, : max(outputs, 1)])
    settings = {"hidden_layer_sizes": (hidden,), "max_iter": epochs, "n_iter_no_change": epochs}
    if outputs:
        return fit(package, "MLPRegressor", X, y if outputs > 1 else y.ravel(), settings)
    return fit(package, "MLPClassifier", X, (y > 0).ravel().astype(int), settings)


def workload(
    name: str, what: str, make: Callable[..., Run], at_least: float, rounds: int, rtol: float, repeats: float = 1.0
) -> Workload:
    peers = {package: lambda package=package: make(package) for package in (OURS, PEER)}
    times = {} if repeats == 1.0 else {PEER: repeats}
    return Workload(f"estimators {name}", what, peers, {PEER: at_least}, rounds, rtol, THREADS, times)


def shape_workload(sizes: tuple[int, ...], required: float = 1.0) -> Workload:
    samples, features, hidden, outputs, epochs = sizes
    what = f"{features}-{hidden}-{outputs or 1}, adam, {epochs} epochs, " + ("numbers" if outputs else "classes")
    return workload(f"{samples}x{features}", what, lambda package: shape(package, *sizes), required, 3, 1e-6)


ESTIMATORS = [
    workload("body metrics", "11 people, 3-3-1 logistic, adam, 200 epochs", body_fit, 30.0, 9, 1e-8),
    workload(
        "grid",
        f"GridSearchCV of 4 activations, 3 solvers, 21 widths on 3 folds: 757 fits; scikit-learn does {len(COMPARED)} "
        f"of the widths, its time is multiplied by {len(WIDTHS) // len(COMPARED)}",
        grid, 12.0, 3, 1e-12, len(WIDTHS) / len(COMPARED),
    ),
    workload("900-64-10 batch 32", "10,000 samples, adam, one epoch", digits, 4.0, 9, 1e-6),
    *map(shape_workload, SHAPES),
    shape_workload(LARGE, 2.5),
]  # fmt: skip
