"""What a problem of the clinic is made of: a recipe that trains a network from any seed, and what counts as success."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from bench.clinic.problems_data import Array, Pair

Maker = Callable[..., Pair]
Trained = tuple[Any, Array, Array]  # (a Run or a fitted estimator, X, y)


@dataclass(frozen=True)
class Recipe:
    """Data, and what is done to it: `steps` are functions of problems_data that take and give (X, y)."""

    data: Maker
    given: Mapping[str, Any] = field(default_factory=dict)
    steps: tuple[Callable[..., Pair], ...] = ()

    def arrays(self, seed: int) -> Pair:
        X, y = self.data(seed, **self.given)
        rng = np.random.default_rng([seed, 7])
        for step in self.steps:
            X, y = step(X, y, rng)
        return X, y

    def but(self, **changes: Any) -> Any:
        """The same with other settings; `given` and `options` are added to."""
        merged = {name: {**getattr(self, name), **changes[name]} for name in ("given", "options") if name in changes}
        return replace(self, **{**changes, **merged})


@dataclass(frozen=True, kw_only=True)
class Net(Recipe):
    """An nn.MLP trained by `fit`. `options`: of the optimizer; `weights`: "balanced" counts each class alike."""

    hidden: tuple[int, ...] = (12,)
    activation: str = "tanh"
    out_activation: str = "identity"
    bias: bool = True
    init: Any = "glorot_uniform"
    loss: str = "mse"
    optimizer: str = "Adam"
    lr: Any = 0.01
    options: Mapping[str, Any] = field(default_factory=dict)
    epochs: int = 100
    batch_size: int | None = None
    shuffle: bool | str = True
    tol: float | None = None
    patience: int | None = None
    clip_norm: float | None = None
    weights: str | None = None

    def trained(self, seed: int, start: int | None = None) -> Trained:
        """One run; `start`: a seed of its own for the weights."""
        import tinygrad_edu as tg

        X, y = self.arrays(seed)
        outputs = y.shape[1] if y.ndim == 2 else int(y.max()) + 1
        model = tg.nn.MLP(
            (X.shape[1], *self.hidden, outputs), self.activation, self.out_activation, self.bias, self.init,
            seed if start is None else start,
        )  # fmt: skip
        optimizer = getattr(tg.optim, self.optimizer)(model.parameters(), lr=self.lr, **self.options)
        run = tg.fit(
            model, X, y, loss=self.loss, optimizer=optimizer, epochs=self.epochs, batch_size=self.batch_size,
            shuffle=self.shuffle, seed=seed, tol=self.tol, patience=self.patience, clip_norm=self.clip_norm,
            sample_weight=balanced(y) if self.weights else None, progress=False,
        )  # fmt: skip
        return run, X, y


@dataclass(frozen=True, kw_only=True)
class Fitted(Recipe):
    """An estimator: `library` "ours" or "sklearn", `kind` MLPClassifier or MLPRegressor, `options` its parameters.

    scaled: "standard" puts it at the end of a Pipeline, behind a StandardScaler.
    """

    library: str = "sklearn"
    kind: str = "MLPClassifier"
    options: Mapping[str, Any] = field(default_factory=dict)
    scaled: str | None = "standard"

    def trained(self, seed: int, start: int | None = None) -> Trained:
        import warnings

        from sklearn import neural_network, pipeline, preprocessing
        from sklearn.exceptions import ConvergenceWarning

        from tinygrad_edu import estimators

        X, y = self.arrays(seed)
        home = estimators if self.library == "ours" else neural_network
        model = getattr(home, self.kind)(random_state=seed if start is None else start, **self.options)
        model = pipeline.make_pipeline(preprocessing.StandardScaler(), model) if self.scaled else model
        with warnings.catch_warnings():
            # many of these runs end before they converge, on purpose
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(X, np.ravel(y)), X, y


@dataclass(frozen=True, kw_only=True)
class Problem:
    """A training with a known fault, or with none.

    name; code, the cause that is to be named, or "healthy"; also_right, codes that are the same fault in other words;
    half, "tuning" or "unseen"; goal, the least `score` that counts as success; recipe, what is trained; twin, the same
    without the fault (None where no setting repairs it); lottery, whether the fault is a bad draw of the weights.
    """

    name: str
    code: str
    half: str
    recipe: Any
    twin: Any = None
    goal: float = 0.95
    also_right: tuple[str, ...] = ()
    lottery: bool = False

    @property
    def faulty(self) -> bool:
        return self.code != "healthy"

    @property
    def repairable(self) -> bool:
        """Is there a setting that repairs it? Not where the data itself is spoilt."""
        return self.faulty and self.twin is not None

    @property
    def right(self) -> tuple[str, ...]:
        """The codes that count as named rightly."""
        return (self.code, *self.also_right)

    def train(self, seed: int) -> Trained:
        """(run or estimator, X, y) from a seed: data, weights and order are drawn from it.

        In a lottery the weights are drawn until a draw fails.
        """
        if not self.lottery:
            return self.recipe.trained(seed)  # type: ignore[no-any-return]
        starts = (self.recipe.trained(seed, start=1000 * seed + i) for i in range(200))
        return next(t for t in starts if score(*t) < self.goal)

    def reached(self, trained: Trained) -> bool:
        return score(*trained) >= self.goal


def fault(
    half: str, code: str, what: str, twin: Any, also: tuple[str, ...] = (), goal: float = 0.95, **changes: Any
) -> Problem:
    """A healthy training with something changed."""
    return Problem(
        name=f"{code}/{what}", code=code, half=half, recipe=twin.but(**changes), twin=twin, goal=goal, also_right=also
    )


def spoilt(half: str, code: str, what: str, recipe: Any, goal: float = 0.95) -> Problem:
    """A training on data that no setting repairs."""
    return Problem(name=f"{code}/{what}", code=code, half=half, recipe=recipe, goal=goal)


def score(subject: Any, X: Array, y: Array) -> float:
    """How well a trained subject fits its data, at most 1: the mean accuracy of the classes, or R²; -∞ for NaN."""
    model = getattr(subject, "model", None)
    if model is None:
        return estimator_score(subject, X, y)
    loss = subject.config.get("loss")
    return output_score(model.eval()(X).numpy(), y, getattr(loss, "name", loss))


def estimator_score(model: Any, X: Array, y: Array) -> float:
    with np.errstate(all="ignore"):
        found = model.predict(X)
    if hasattr(model, "classes_"):
        return balanced_accuracy(np.ravel(found), np.ravel(y))
    return r_squared(np.reshape(found, y.shape), y)


def output_score(outputs: Array, y: Array, loss: str) -> float:
    """The score of a network's outputs; what they stand for is told by the targets and the loss."""
    if not np.isfinite(outputs).all():
        return -np.inf
    if y.ndim == 1:
        return balanced_accuracy(outputs.argmax(axis=1), y)
    if y.shape[1] > 1 and np.array_equal(y.sum(axis=1), np.ones(len(y))):
        return balanced_accuracy(outputs.argmax(axis=1), y.argmax(axis=1))
    levels = np.unique(y).tolist()
    if levels == [-1.0, 1.0]:
        return balanced_accuracy(outputs > 0.0, y > 0.0)
    if levels == [0.0, 1.0]:
        return balanced_accuracy(outputs > (0.0 if loss == "bce_with_logits" else 0.5), y > 0.5)
    return r_squared(outputs, y)


def balanced_accuracy(found: Array, y: Array) -> float:
    """The mean over classes of the share that is found: always naming the largest class gives 1/classes."""
    return float(np.mean([np.mean(found[y == c] == c) for c in np.unique(y)]))


def r_squared(found: Array, y: Array) -> float:
    if not np.isfinite(found).all():
        return -np.inf
    with np.errstate(over="ignore"):  # a diverged run may end at 1e200
        return float(1.0 - np.sum((found - y) ** 2) / np.sum((y - y.mean(axis=0)) ** 2))


def balanced(y: Array) -> Array:
    """A weight for each sample: all classes count alike."""
    classes, which = np.unique(np.reshape(y, len(y)), return_inverse=True)
    weight: Array = len(y) / (len(classes) * np.bincount(which))[which]
    return weight
