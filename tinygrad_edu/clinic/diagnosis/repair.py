"""What `Diagnosis.apply` gives: a model that takes X as it was given, and, of an estimator, an estimator."""

from __future__ import annotations

import warnings
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.data import Scaling
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.nn.module import Module

Array = np.ndarray[Any, Any]


class Scaled(Module):
    """A model between the scalings of its inputs and of its targets."""

    def __init__(
        self, model: Module, columns: Any, inputs: Any, targets: Scaling | None, link: Any = None,
        before: tuple[Any, ...] = (),
    ) -> None:  # fmt: skip
        self.model, self.columns, self.link, self.before = model, columns, link, {"steps": before}
        self.scalings = {"inputs": inputs, "targets": targets}

    def forward(self, x: Any) -> Any:
        """x (n, features) as given → outputs in the units of the targets."""
        inputs, targets = self.scalings["inputs"], self.scalings["targets"]
        for step in self.before["steps"]:  # steps of the user's Pipeline
            x = np.asarray(step.transform(x), dtype=float)
        if isinstance(inputs, Scaling):
            x = (x - inputs.shift) / inputs.scale
        elif inputs is not None:
            x = inputs(np.asarray(x, dtype=float))
        x = x if self.columns is None else x[:, list(self.columns)]
        z = self.model(x)
        z = z if self.link is None else self.link(z)
        return z if targets is None else z * targets.scale + targets.shift


class RepairedEstimator(Module):
    """The repaired network as a Module, and as an estimator: `estimator`, fitted, whose methods it has too."""

    def __init__(self, model: Module, setup: Setup, task: Task, seed: int) -> None:
        self.model, self.made_of = model, (setup, task, seed)

    def forward(self, x: Any) -> Any:
        """x (n, features) as given → logits, or numbers."""
        return self.model(x)

    @cached_property
    def estimator(self) -> Any:
        """MLPClassifier or MLPRegressor of the user's library, in a Pipeline where inputs are scaled, fitted."""
        setup, task, seed = self.made_of
        made = with_scalings(estimator_for(setup, task, seed), setup, task)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            weight = weight_names(made, lbfgs.weights_for(setup, task))
            made.fit(task.X[task.rows_for(setup)], labels(setup, task)[task.rows_for(setup)], **weight)
        return behind_steps(steps_before(setup), made)

    def predict(self, X: Any) -> Any:
        """Classes, or numbers."""
        return self.estimator.predict(X)

    def predict_proba(self, X: Any) -> Any:
        """The probability of each class."""
        return self.estimator.predict_proba(X)

    def score(self, X: Any, y: Any) -> float:
        """The same score as scikit-learn's estimator."""
        return float(self.estimator.score(X, y))

    def get_params(self, deep: bool = True) -> dict[str, Any]:
        """The parameters of the estimator."""
        return dict(self.estimator.get_params(deep))


def estimator_for(setup: Setup, task: Task, seed: int) -> Any:
    """The estimator that a setup describes, not fitted."""
    from sklearn import neural_network

    from tinygrad_edu import estimators

    rule = setup.estimator
    assert rule is not None
    home: Any = neural_network if setup.dialect == "sklearn" else estimators
    made = getattr(home, rule.kind)()
    known, given = made.get_params(), lbfgs.parameters(setup, seed)
    steps = {name: x for name, x in given.items() if name in known}
    if steps.get("n_iter_no_change") == float("inf"):
        steps["n_iter_no_change"] = steps["max_iter"]  # scikit-learn accepts integers only
    return made.set_params(**steps)


def with_scalings(made: Any, setup: Setup, task: Task) -> Any:
    """Behind what is done to inputs, and inside what is done to targets."""
    from sklearn.compose import TransformedTargetRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import FunctionTransformer, StandardScaler

    if setup.columns is not None:
        made = make_pipeline(FunctionTransformer(lambda X: X[:, list(setup.columns or ())]), made)
    if setup.inputs == "standardized":
        made = make_pipeline(StandardScaler(), made)
    elif setup.inputs is not None:
        made = make_pipeline(FunctionTransformer(task.preparation(setup)), made)
    return made if setup.targets is None else TransformedTargetRegressor(made, transformer=StandardScaler())


def weight_names(made: Any, weight: dict[str, Any]) -> dict[str, Any]:
    """sample_weight by the name that reaches the last step of a Pipeline."""
    inner = getattr(made, "regressor", made)
    last = f"{inner.steps[-1][0]}__" if hasattr(inner, "steps") else ""
    return {f"{last}{name}": array for name, array in weight.items()}


def steps_before(setup: Setup) -> tuple[Any, ...]:
    """The fitted steps of the user's Pipeline in front of the estimator."""
    return () if setup.estimator is None else setup.estimator.before


def behind_steps(steps: tuple[Any, ...], made: Any) -> Any:
    """A fitted estimator behind them."""
    from sklearn.pipeline import make_pipeline

    return make_pipeline(*steps, made) if steps else made


def labels(setup: Setup, task: Task) -> Array:
    """y as the user gave it."""
    rule = setup.estimator
    if rule is not None and rule.classes and task.labels is not None:
        return np.asarray(rule.classes)[task.labels]
    return np.squeeze(task.y)


def repair_model(model: Module, setup: Setup, task: Task, usual: Setup | None = None) -> Module:
    """The trained model, for X as it was given; usual: the run's own setup, whose kind of outputs it gives."""
    link = None
    if usual is not None and setup.link != usual.link and usual.link == "identity":
        link = find_activation(setup.link)
    before = steps_before(setup)
    if setup.inputs is None and setup.targets is None and setup.columns is None and link is None and not before:
        return model
    prepare = task.preparation(setup) if setup.inputs else None
    return Scaled(model, setup.columns, prepare, task.scaling(setup), link, before)


def apply_setup(model: Module, setup: Setup, task: Task, usual: Setup, seed: int) -> Module:
    """The model with the setup applied, as an estimator if it was one."""
    made = repair_model(model, setup, task, usual)
    fits = setup.estimator is not None and not lbfgs.refusal(setup, task)
    return RepairedEstimator(made, setup, task, seed) if fits else made
