"""What a case of a question is made of: what is handed over, how good an estimate is, and the table it stands in."""

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


def enter(cases: dict[str, Case]) -> Callable[..., Any]:
    """A decorator that puts a function into a table of cases, with the true cause and others that are right too."""

    def case(truth: str, accept: tuple[str, ...] = (), refusal: str = "") -> Callable[..., Any]:
        def add(build: Callable[..., Asked]) -> Callable[..., Asked]:
            name = build.__name__
            cases[name] = Case(name, truth, accept, truth == "healthy", refusal, build)
            return build

        return add

    return case


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


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)


def classifier(*a: Any, **k: Any) -> Any:
    from sklearn.neural_network import MLPClassifier

    return MLPClassifier(*a, **k)


def regressor(**k: Any) -> Any:
    from sklearn.neural_network import MLPRegressor

    return MLPRegressor(**k)
