"""An estimator trained again by our own, whose numbers are scikit-learn's: stopping, orders, start, penalty and all."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.optim.schedule import Schedule

NAME = "lbfgs"
SOLVERS = {NAME: NAME, "Adam": "adam", "SGD": "sgd"}
PLAIN = {"out_activation": "identity", "bias": True, "norm": None, "clip_value": None, "coding": None}
ACTIVATIONS = {"identity": "identity", "sigmoid": "logistic", "tanh": "tanh", "relu": "relu"}
KEPT = ("early_stopping", "validation_fraction", "n_iter_no_change", "tol", "power_t", "max_fun")


def refusal(setup: Setup, task: Task) -> str:
    """What the estimator's parameters cannot express in this setup; "" if nothing."""
    rule = setup.estimator
    if rule is None:
        return "this is not an estimator"
    different = [name for name, usual in PLAIN.items() if getattr(setup, name) != usual]
    if different or setup.activation not in ACTIVATIONS or setup.optimizer not in SOLVERS:
        return f"an estimator has no {', '.join(different) or setup.activation}"
    if setup.loss is not rule.first_loss or not isinstance(setup.init, (str, tuple)):
        return "an estimator has one loss and its own start"
    if isinstance(setup.weights, str) and rule.kind != "MLPClassifier":
        return "a regressor has no classes to balance"
    if isinstance(setup.lr, Schedule) and setup.lr.kind not in ("invscaling", "adaptive", "constant"):
        return f"an estimator has no schedule {setup.lr}"
    if setup.shuffle not in (True, False):
        return f"an estimator has no order {setup.shuffle}"
    lonely = setup.optimizer == NAME and (setup.dropout or setup.clip_norm or isinstance(setup.weights, str))
    return f"solver={NAME!r} has no dropout, clip_norm or class_weight" if lonely else ""


def parameters(setup: Setup, seed: int) -> dict[str, Any]:
    """The parameters of our estimator for a setup."""
    rule = setup.estimator
    assert rule is not None
    options, kept = setup.options, dict(rule.kept)
    if rule.stops and setup.tol is None and setup.patience is None:  # after the change "to the last epoch"
        kept |= {"early_stopping": False, "n_iter_no_change": math.inf}
        kept |= {"tol": 0.0} if setup.optimizer == NAME else {}
    alpha = float(options.get("weight_decay", 0.0)) * (1 if setup.optimizer == NAME else rule.batch)
    found: dict[str, Any] = {
        "hidden_layer_sizes": setup.sizes[1:-1], "activation": ACTIVATIONS[setup.activation],
        "solver": SOLVERS[setup.optimizer], "alpha": alpha, "max_iter": setup.epochs, "random_state": seed,
        "init": setup.init if isinstance(setup.init, str) else None, **kept,
    }  # fmt: skip
    if setup.optimizer == NAME:
        return found
    found |= {"batch_size": setup.batch_size or "auto", "shuffle": bool(setup.shuffle), "dropout": setup.dropout}
    found |= {"learning_rate_init": setup.rate, "clip_norm": setup.clip_norm}
    if isinstance(setup.lr, Schedule):
        found["learning_rate"] = setup.lr.kind
    if setup.optimizer == "Adam":
        betas = options.get("betas", (0.9, 0.999))
        return found | {"beta_1": betas[0], "beta_2": betas[1], "epsilon": options.get("eps", 1e-8)}
    momentum = float(options.get("momentum", 0.0))
    return found | {"momentum": momentum, "nesterovs_momentum": bool(options.get("nesterov", False))}


def fit_network(
    setup: Setup, task: Task, seed: int, told: Callable[[Any], Any] = lambda model: None
) -> tuple[MLP, Any]:
    """(the network, its loss curve) after a fit; told: is given the estimator before.

    Errors: SettingError for what an estimator cannot be told.
    """
    from tinygrad_edu import estimators

    if why := refusal(setup, task):
        raise SettingError(why)
    rule = setup.estimator
    assert rule is not None
    model = getattr(estimators, rule.kind)(**parameters(setup, seed))
    if rule.kind == "MLPClassifier":
        model.set_params(class_weight=setup.weights if isinstance(setup.weights, str) else None)
    else:
        model.set_params(loss=rule.loss)
    told(model)
    curve = np.empty(0)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")  # warnings about convergence and clipped batches: both are measured here
        try:
            model.fit(task.inputs_for(setup), targets(setup, task), **weights_for(setup, task))
        except ValueError:  # the weights became NaN or infinite
            curve = np.array([np.nan])
    found = getattr(model, "loss_curve_", [getattr(model, "loss_", np.nan)])
    return network_of_estimator(model, setup), np.append(np.array(found, dtype=float), curve)


def weights_for(setup: Setup, task: Task) -> dict[str, Any]:
    """The sample weights as an argument of `fit`, if any."""
    if setup.weights is None or isinstance(setup.weights, str):
        return {}
    return {"sample_weight": np.asarray(setup.weights)[task.rows_for(setup)]}


def targets(setup: Setup, task: Task) -> Any:
    """y as an estimator takes it, of the samples that are learned from."""
    if task.labels is not None and task.classes:
        return task.labels[task.rows_for(setup)]
    y = task.targets(setup)[task.rows_for(setup)]
    return y.astype(int) if setup.estimator and setup.estimator.kind == "MLPClassifier" else np.squeeze(y)


def network_of_estimator(model: Any, setup: Setup) -> MLP:
    """A fitted estimator as an nn.MLP that ends in logits or numbers."""
    made = MLP(setup.sizes, setup.activation)
    for layer, W, b in zip(made.layers, model.coefs_, model.intercepts_, strict=True):
        assert layer.bias is not None
        layer.weight.data, layer.bias.data = np.array(W.T, dtype=float, order="C"), np.array(b, dtype=float)
    return made
