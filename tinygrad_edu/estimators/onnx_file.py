"""A fitted estimator as an ONNX model: `probabilities` and `label` of a classifier, `output` of a regressor."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.compile.onnx_graph.model import OnnxModel
from tinygrad_edu.core.aliases import ArrayLike, Model
from tinygrad_edu.estimators import choices
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.exchange import network_with_output
from tinygrad_edu.whole_files import replace


def write_onnx(estimator: Estimator, path: str | Path) -> Path:
    """See Perceptron.to_onnx."""
    sample = np.zeros((1, estimator.n_features_in_), np.float32)
    classes, model = getattr(estimator, "classes_", None), network_with_output(estimator)
    names = {id(p): name for name, p in model.named_parameters()}
    answer = partial(answer_of_classifier, estimator, model) if classes is not None else model
    made = OnnxModel(answer, sample, ["output" if classes is None else "probabilities"], names)
    if classes is not None and not estimator._label_binarizer.y_type_.startswith("multilabel"):
        made.add_label("probabilities", classes if len(classes) > 1 else [classes[0]] * 2)
    target = checks.path("path", path, "to_onnx").resolve()
    replace(target, made.model().SerializeToString())
    return target


def answer_of_classifier(estimator: Estimator, network: Model, x: ArrayLike) -> Any:
    """What `predict_proba` gives, of a network that ends in the activation of the outputs."""
    p = network(x)
    p = choices.probabilities(estimator, p) if choices.is_beyond_classes(estimator) else p
    return np.concatenate([1.0 - p, p], axis=1) if estimator.n_outputs_ == 1 else p
