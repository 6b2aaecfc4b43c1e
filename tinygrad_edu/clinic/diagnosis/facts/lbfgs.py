"""Estimators with solver="lbfgs" trained again: by our estimator itself, since its steps are no steps of batches."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.layers import MLP

NAME = "lbfgs"
DEFAULTS = {"out_activation": "identity", "bias": True, "norm": None, "dropout": 0.0, "clip_norm": None}
ACTIVATIONS = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}


def fitted(setup: Setup, task: Task, seed: int) -> tuple[MLP, Any]:
    """(the network, its loss curve) after a fit. Errors: SettingError for a change that L-BFGS cannot be given."""
    import sklearn.exceptions

    from tinygrad_edu import estimators

    refused = [name for name, usual in DEFAULTS.items() if getattr(setup, name) != usual]
    if refused or setup.activation not in ACTIVATIONS or setup.weights is not None:
        raise SettingError(f"solver='lbfgs' has no {', '.join(refused) or setup.activation}")
    kind: Any = estimators.MLPClassifier if task.classes else estimators.MLPRegressor
    model = kind(
        hidden_layer_sizes=setup.sizes[1:-1], activation=ACTIVATIONS[setup.activation], solver=NAME,
        alpha=setup.options.get("weight_decay", 0.0), max_iter=setup.epochs, random_state=seed, tol=setup.tol or 0.0,
        init=setup.init if isinstance(setup.init, str) else None,
    )  # fmt: skip
    targets = task.labels if task.classes else np.squeeze(task.targets(setup))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", sklearn.exceptions.ConvergenceWarning)  # whether it converged is measured
        model.fit(task.inputs(setup), targets)
    return network(model, setup), np.array(model.loss_curve_ if hasattr(model, "loss_curve_") else [model.loss_])


def network(model: Any, setup: Setup) -> MLP:
    """A fitted estimator as an nn.MLP that ends in logits or numbers."""
    made = MLP(setup.sizes, setup.activation)
    for layer, W, b in zip(made.layers, model.coefs_, model.intercepts_, strict=True):
        assert layer.bias is not None
        layer.weight.data, layer.bias.data = np.array(W.T, dtype=float, order="C"), np.array(b, dtype=float)
    return made
