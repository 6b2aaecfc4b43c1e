"""The state before the first epoch: weights drawn in scikit-learn's order, empty records."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from tinygrad_edu.core.aliases import Dtype
from tinygrad_edu.estimators import choices, general
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import Array
from tinygrad_edu.nn import init as nn_init


def initialize(model: Estimator, widths: Sequence[int], dtype: Dtype) -> None:
    """Set all attributes of a model that starts training."""
    model.n_iter_, model.t_, model.n_layers_ = 0, 0, len(widths)
    model.out_activation_ = choices.out_activation(model)
    layers = [layer(model, *pair, dtype) for pair in pairwise(widths)]
    model.coefs_, model.intercepts_ = [W for W, _ in layers], [b for _, b in layers]
    model._best_coefs, model._best_intercepts = ([x.copy() for x in xs] for xs in (model.coefs_, model.intercepts_))
    model.norms_ = general.make_norms(model, widths, dtype)
    if model.solver != "lbfgs":
        records(model)


def records(model: Estimator) -> None:
    model.loss_curve_, model.gradient_norms_, model._no_improvement_count = [], [], 0
    early = model.early_stopping
    model.validation_scores_, model.best_validation_score_ = ([], -np.inf) if early else (None, None)
    model.best_loss_ = None if early else np.inf
    if model.validation_curve:
        model.validation_loss_curve_ = []


def layer(model: Estimator, n_in: int, n_out: int, dtype: Dtype) -> tuple[Array, Array]:
    """W (n_in, n_out) and b (n_out,) as scikit-learn draws them, or as `init` says."""
    init = model.init or ("scikit_learn" if model.activation != "logistic" else nn_init.scikit_learn("logistic"))
    W = nn_init.draw_weight(init, model._random_state, n_in, n_out).T
    b = nn_init.draw_bias(init, model._random_state, n_in, n_out)
    return np.ascontiguousarray(W, dtype), b.astype(dtype, copy=False)
