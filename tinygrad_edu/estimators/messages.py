"""scikit-learn's warnings and errors in its own words, each with one more sentence that helps."""

from __future__ import annotations

import contextlib
import inspect
from pathlib import Path
from typing import Any

import numpy as np
import sklearn

from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.estimators.aliases import Estimator

INSIDE = (str(Path(__file__).parent), str(Path(sklearn.__file__).parent), contextlib.__file__)

PARTIAL_EARLY = (
    "partial_fit does not support early_stopping=True. One call sees one batch of data, from which nothing can be held "
    "out: pass samples to score, partial_fit(X, y, X_val=..., y_val=...)"
)


def callers() -> int:
    """The `stacklevel` with which a warning points at the line that called `fit`, outside this package and sklearn."""
    level, frame = 1, inspect.currentframe()
    frame = frame and frame.f_back
    while frame is not None and any(part in frame.f_code.co_filename for part in INSIDE):
        level, frame = level + 1, frame.f_back
    return level


def not_converged(model: Estimator) -> str:
    return (
        f"Stochastic Optimizer: Maximum iterations ({model.max_iter}) reached and the optimization hasn't converged "
        f"yet. {trend(model)}"
    )


def trend(model: Estimator) -> str:
    """A sentence that says whether the loss still falls, and by how much per epoch."""
    recent = np.array(model.loss_curve_[-10:])
    if not np.isfinite(recent).all():
        rate = f"learning_rate_init (it is {model.learning_rate_init:g})"
        return f"The loss is {recent[-1]}: lower {rate} or scale the data."
    if len(recent) < 2:
        return f"One epoch shows no trend: raise max_iter (it is {model.max_iter})."
    fall = (recent[0] - recent[-1]) / (len(recent) - 1)
    if fall > 0.0:
        return (
            f"The loss still falls, by {fall:.2g} per epoch over the last {len(recent)}, to {recent[-1]:.4g} "
            f"(tol={model.tol:g}): raise max_iter, or learning_rate_init (it is {model.learning_rate_init:g})."
        )
    return (
        f"The loss no longer falls: over the last {len(recent)} epochs it rose by {-fall:.2g} per epoch, to "
        f"{recent[-1]:.4g}: lower learning_rate_init (it is {model.learning_rate_init:g})."
    )


def of_held_out(samples: int, X: Any, weight: Any) -> str:
    """Why the samples that were held out cannot be scored; "" where they can."""
    if X.shape[0] < 2:
        return small_validation(samples, X.shape[0])
    if weight is None or np.any(weight):
        return ""
    return (
        f"Sample weights must contain at least one non-zero number, and the {X.shape[0]} samples that early_stopping "
        "holds out all have the weight 0: leave such samples out, or set another random_state."
    )


def weightless(epoch: int, begin: int, size: int, rows: int) -> str:
    """The sample weights of a step sum to zero."""
    return (
        f"Weights sum to zero, can't be normalized. In epoch {epoch} those of samples {begin} to "
        f"{min(begin + size, rows) - 1} in their order do: leave samples of weight 0 out, or raise batch_size={size}."
    )


def interruption(model: Estimator) -> str:
    return f"Training interrupted by user. {model.n_iter_} complete epochs of {model.max_iter} are done and kept."


def batch_size_note(size: Any, samples: int) -> str:
    return (
        "Got `batch_size` less than 1 or larger than sample size. It is going to be clipped: "
        f"batch_size={size}, but there are {samples} samples, so each epoch is one step."
    )


def event(model: Estimator, kind: int, rate: float) -> str:
    """The message that scikit-learn prints when the loss or the score has not improved for too long."""
    what = "Validation score" if model.early_stopping else "Training loss"
    text = f"{what} did not improve more than tol={model.tol:f} for {model.n_iter_no_change:d} consecutive epochs."
    ends = {1: " Stopping.", 2: " Learning rate too small. Stopping.", 3: f" Setting learning rate to {rate:f}"}
    return text + ends[kind]


def not_finite(model: Estimator) -> str:
    """Weights are NaN or infinite."""
    text = (
        "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
        "preprocessed."
    )
    if model.solver == "lbfgs":
        return f"{text} Scale them, for example with StandardScaler."
    curve = np.array(model.loss_curve_)
    bad = np.flatnonzero(~np.isfinite(curve))
    when = f"from epoch {bad[0] + 1} on" if bad.size else "in the last epoch"
    return (
        f"{text} The loss was not finite {when}, with learning_rate_init={model.learning_rate_init:g}: lower it, or "
        "scale the data, for example with StandardScaler."
    )


def small_validation(rows: int, held: int) -> str:
    return (
        "The validation set is too small. Increase 'validation_fraction' or the size of your dataset. "
        f"Of {rows} samples {held} would be held out; at least 2 are needed."
    )


def refuse_batches(model: Estimator, validation: Samples) -> None:
    """Refuse what works on batches only: L-BFGS has none. Errors: ValueError."""
    given = {
        "dropout": model.dropout > 0.0, "clip_norm": model.clip_norm is not None, "norm": model.norm == "batch",
        "learning_rate": callable(model.learning_rate), "stop_loss": model.stop_loss is not None,
        "weight_decay": model.weight_decay is not None, "X_val": validation is not None,
    }  # fmt: skip
    names = [name for name, is_given in given.items() if is_given]
    if names:
        raise ValueError(
            f'{" and ".join(names)}: this needs batches, which solver="lbfgs" does not use: choose "adam" or "sgd"'
        )
