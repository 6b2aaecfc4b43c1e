"""Conversion to scikit-learn's own estimators and back, and to this package's Run and models."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from tinygrad_edu.errors import OperandError
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import Array, join_arrays, parts, shapes_of
from tinygrad_edu.estimators.stochastic import SolverState
from tinygrad_edu.nn.layers import Linear, Sequential, find_activation
from tinygrad_edu.train.run import Run

# Attributes of scikit-learn's fitted estimators; others are not copied.
FITTED = (
    "classes_", "_label_binarizer", "n_features_in_", "feature_names_in_", "n_outputs_", "n_layers_", "n_iter_", "t_",
    "out_activation_", "coefs_", "intercepts_", "_best_coefs", "_best_intercepts", "loss_", "best_loss_", "loss_curve_",
    "validation_scores_", "best_validation_score_", "_no_improvement_count", "_random_state",
)  # fmt: skip


def from_sklearn(kind: type, fitted: Estimator) -> Any:
    """See Perceptron.from_sklearn. Errors: OperandError for an estimator of another kind."""
    if type(fitted).__name__ != kind.__name__:
        raise OperandError(f"{kind.__name__}.from_sklearn takes scikit-learn's {kind.__name__}, not {fitted!r:.60}")
    made = kind(**fitted.get_params(deep=False))
    carry_over(fitted, made)
    made.norms_, made._beyond = [], False
    if hasattr(fitted, "loss_curve_"):
        made.gradient_norms_ = [float("nan")] * len(fitted.loss_curve_)
    if hasattr(fitted, "_optimizer"):
        made._optimizer = optimizer_from(made, fitted._optimizer)
    return made


def to_sklearn(model: Estimator) -> Any:
    """See Perceptron.to_sklearn. Errors: OperandError if its parameters have no counterpart there."""
    from sklearn import neural_network

    kind = getattr(neural_network, type(model).__name__)
    names = kind._get_param_names()
    if getattr(model, "_beyond", False):
        raise OperandError("scikit-learn does not have the activation, loss, solver or normalization of this model")
    if not isinstance(model.activation, str):
        raise OperandError(f"scikit-learn has one activation for all hidden layers, not {model.activation}")
    made = kind(**{name: value for name, value in model.get_params(deep=False).items() if name in names})
    carry_over(model, made)
    if hasattr(model, "_optimizer"):
        made._optimizer = optimizer_to(model, made)
    return made


def carry_over(source: Estimator, target: Estimator) -> None:
    """Copy everything learned; arrays are copied too, so that training one estimator does not change the other."""
    for name in FITTED:
        if name in vars(source):
            value = getattr(source, name)
            if isinstance(value, list):
                value = [x.copy() if isinstance(x, np.ndarray) else x for x in value]
            setattr(target, name, value)


def optimizer_from(model: Estimator, theirs: Estimator) -> SolverState:
    size, dtype = sum(w.size for w in [*model.coefs_, *model.intercepts_]), model.coefs_[0].dtype
    made = SolverState.of(model, size, dtype)
    made.learning_rate = float(theirs.learning_rate)
    memories = [theirs.ms, theirs.vs] if model.solver == "adam" else [theirs.velocities]
    made.t = getattr(theirs, "t", 0)
    for row, memory in zip(made.moments, memories, strict=False):
        row[:] = join_arrays(memory)
    return made


def optimizer_to(model: Estimator, made: Any) -> Any:
    from sklearn.neural_network import _stochastic_optimizers as theirs

    ours, params = model._optimizer, [*made.coefs_, *made.intercepts_]
    rate, rows = ours.settings["lr_init"], [memory_of(model, row) for row in ours.moments]
    if ours.solver == "adam":
        found = theirs.AdamOptimizer(params, rate, model.beta_1, model.beta_2, model.epsilon)
        found.t, found.ms, found.vs = ours.t, *rows
    else:
        found = theirs.SGDOptimizer(
            params, rate, model.learning_rate, model.momentum, model.nesterovs_momentum, model.power_t
        )
        found.velocities = rows[0]
    found.learning_rate = ours.learning_rate
    return found


def memory_of(model: Estimator, row: Array) -> list[Array]:
    """A memory of the solver, as copies of the shapes of all weights."""
    shapes = shapes_of([model.coefs_[0].shape[0], *(b.size for b in model.intercepts_)])
    return [x.copy() for pieces in parts(row, shapes) for x in pieces]


def history(model: Estimator) -> Run:
    """See Perceptron.history_."""
    curve = np.array(getattr(model, "loss_curve_", [getattr(model, "loss_", np.nan)]))
    norms = np.array(getattr(model, "gradient_norms_", [np.nan] * len(curve)))
    full = model.n_iter_ >= model.max_iter
    reason = f"all {model.n_iter_} epochs that max_iter allows are done" if full else f"converged after {model.n_iter_}"
    return Run(curve, norms, reason, f"compiled: {model.solver}", module(model), model.get_params(deep=False))


def module(model: Estimator) -> Sequential:
    """The network as layers of nn, without the activation of its outputs: it ends in logits."""
    made, norms = Sequential(), copy.deepcopy(getattr(model, "norms_", []))
    for i, (W, b, name) in enumerate(zip(model.coefs_, model.intercepts_, model._activations(), strict=True)):
        layer = Linear(*W.shape)
        for p, array in zip(layer.parameters(), (W.T, b), strict=True):
            p.data = np.array(array, order="C")
        made.layers += [layer, *norms[i : i + 1], find_activation(name)]
    made.layers.pop()
    made.label_parameters()
    return made


def network_with_output(model: Estimator) -> Sequential:
    """The network with its output activation: predict_proba and predict are computed from it."""
    made = module(model)
    made.layers.append(find_activation(model.out_activation_))
    return made.eval()
