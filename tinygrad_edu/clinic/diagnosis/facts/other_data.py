"""Data that a fitted estimator was not trained on."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.core.column_names import refuse_other_columns
from tinygrad_edu.errors import SettingError, ShapeError

Array = np.ndarray[Any, Any]


def refuse_other_names(model: Model, X: Samples) -> None:
    """A frame whose columns are not those of the training, in their order. Errors: ShapeError."""
    known = tuple(getattr(model, "feature_names_in_", ()))
    refuse_other_columns("X", X, known, "this estimator was trained on")


def refuse_other_data(model: Model, X: Array, y: Samples) -> None:
    """Data that this estimator was not trained on. Errors: ShapeError, SettingError."""
    width, y = model.coefs_[0].shape[0], np.asarray(y)
    if X.ndim != 2 or X.shape[1] != width:
        raise ShapeError(f"X has shape {X.shape}; this estimator was trained on {width} features: (samples, {width})")
    if len(y) != len(X):
        raise ShapeError(f"X has {len(X)} samples and y {len(y)}: one target for each sample is needed")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        row = int(np.argwhere(~np.isfinite(y))[0][0])
        raise SettingError(
            f"y is NaN or infinite in {np.sum(~np.isfinite(y))} places, first in row {row}: fill or drop them"
        )
    if hasattr(model, "classes_") and y.reshape(len(y), -1).shape[1] == 1:
        known = list(np.asarray(model.classes_).tolist())
        strange = [label for label in np.unique(y).tolist() if label not in known]
        if strange:
            raise SettingError(
                f"y holds {label_list(np.unique(y).tolist())}, and this classifier was trained on {label_list(known)}: "
                "give y as fit was given it"
            )


def label_list(labels: list[Any]) -> str:
    """The first labels as text."""
    return ", ".join(map(repr, labels[:5])) + (", ..." if len(labels) > 5 else "")
