"""A fitted estimator as an ONNX model: `probabilities` and `label` of a classifier, `output` of a regressor."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.compile.onnx_graph.model import OnnxModel
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.exchange import network_with_output
from tinygrad_edu.whole_files import replace


def write_onnx(estimator: Estimator, path: str | Path) -> Path:
    """See Perceptron.to_onnx."""
    model, sample = network_with_output(estimator), np.zeros((1, estimator.n_features_in_), np.float32)
    classes = getattr(estimator, "classes_", None)
    one_column = classes is not None and estimator.n_outputs_ == 1

    def answer(x: ArrayLike) -> Any:
        p = model(x)
        return np.concatenate([1.0 - p, p], axis=1) if one_column else p

    names = {id(p): name for name, p in model.named_parameters()}
    made = OnnxModel(answer, sample, ["output" if classes is None else "probabilities"], names)
    if classes is not None and not is_multilabel(estimator):
        made.add_label("probabilities", classes)
    target = checks.path("path", path, "to_onnx").resolve()
    replace(target, made.model().SerializeToString())
    return target


def is_multilabel(estimator: Estimator) -> bool:
    """May a sample have several classes at once?"""
    return bool(estimator.out_activation_ == "logistic" and estimator.n_outputs_ > 1)
