"""scikit-learn's checks of samples and targets, and a shortcut for plain arrays that need no conversion.

On 11 rows its checks take a fifth of a whole fit of 200 epochs. Anything that is not plain, or not valid, goes to them.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import Array

FLOATS = (np.float64, np.float32)


def samples_and_targets(
    model: Estimator, X: Samples, y: Samples, reset: bool, kinds: str, **options: Any
) -> tuple[Any, Array]:
    """X (samples, features), dense or CSR or CSC, and y; `kinds` of y's numbers that need no conversion."""
    if reset and is_plain_matrix(X) and type(y) is np.ndarray and y.shape == X.shape[:1] and usable(y, kinds):
        model.n_features_in_ = X.shape[1]
        model.__dict__.pop("feature_names_in_", None)
        return X, y
    found = validate_data(
        model, X, y, accept_sparse=["csr", "csc"], multi_output=True, dtype=FLOATS, reset=reset, **options
    )
    return found[0], found[1]


def samples(model: Estimator, X: Samples) -> Any:
    """X for a fitted model."""
    if is_plain_matrix(X) and X.shape[1] == model.n_features_in_ and not hasattr(model, "feature_names_in_"):
        return X
    return validate_data(model, X, accept_sparse=["csr", "csc"], reset=False)


def usable(y: Array, kinds: str) -> bool:
    """Are these targets finite numbers of one of these kinds?"""
    with np.errstate(all="ignore"):
        return y.dtype.kind in kinds and (y.dtype.kind != "f" or bool(np.isfinite(y.sum())))


def is_plain_matrix(X: Samples) -> bool:
    """Is it a finite, non-empty matrix of floats in this machine's byte order?"""
    if type(X) is not np.ndarray or X.ndim != 2 or X.size == 0 or X.dtype not in FLOATS:
        return False
    with np.errstate(all="ignore"):
        return bool(np.isfinite(X.sum()))  # NaN and infinity persist in a sum


def validation(model: Estimator, X: Samples, y: Samples) -> Any:
    """(X, y as the network gets it, no weights) of samples to score, or None. Errors: ValueError if one is missing."""
    if X is None and y is None:
        return None
    if X is None or y is None:
        raise ValueError(f"{'X_val' if y is None else 'y_val'} alone: give both X_val and y_val, or neither")
    X = samples(model, X)
    targets = model._targets(np.asarray(y))
    if len(targets) != X.shape[0] or targets.shape[1] != model.n_outputs_:
        raise ValueError(
            f"X_val has {X.shape[0]} samples, but y_val has shape {np.shape(y)}: give one target for each sample"
        )
    return X, targets, None
