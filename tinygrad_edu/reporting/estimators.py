"""The record of a fitted estimator, of ours, of scikit-learn's, or of anybody's that follows its conventions."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.other_data import refuse_other_data, refuse_other_names
from tinygrad_edu.clinic.diagnosis.facts.subject import estimator_loss, targets_of
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import NameNotFoundError, OperandError, SettingError
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.train import Run

Array = np.ndarray[Any, Any]
HOLDERS = ("best_estimator_", "regressor_", "estimator_")  # attributes of a search, of scaled targets and of wrappers


def is_estimator(candidate: Any) -> bool:
    """Does it follow scikit-learn's conventions?"""
    return hasattr(candidate, "predict") and hasattr(candidate, "get_params")


def record_of_estimator(estimator: Any, X: Samples, y: Samples) -> ReportedRun:
    """The record of a fitted estimator on data: curves and network of an MLP, answers of any other.

    Errors: OperandError for what is not an estimator, SettingError without data, ShapeError for other data.
    """
    if not is_estimator(estimator):
        raise OperandError(
            f"report takes a Run of fit, a file written by Run.save, or a fitted estimator with predict and "
            f"get_params, as in scikit-learn, not {type(estimator).__name__} {estimator!r:.60}"
        )
    if X is None or y is None:
        raise SettingError("report(estimator, X, y): an estimator does not keep its data: give X and y")
    last, data, targets = innermost(estimator, X, y := np.asarray(y))
    if hasattr(last, "coefs_") and hasattr(last, "intercepts_") and answers_as(last, data, estimator, X, targets is y):
        refuse_other_names(last, data)
        found = of_network(estimator, last, to_array(data), targets, scaled=targets is not y)
        if found is not None:
            return found
    return of_answers(estimator, last, X, y)


def innermost(estimator: Any, X: Samples, y: Array) -> tuple[Any, Any, Array]:
    """(the estimator inside pipelines and searches, X and y as it is given them)."""
    for attribute in HOLDERS:
        if hasattr(estimator, attribute) and not hasattr(estimator, "estimators_"):
            scaled = getattr(estimator, "transformer_", None)
            y = y if scaled is None else scaled.transform(np.asarray(y, dtype=float).reshape(len(y), -1))
            return innermost(getattr(estimator, attribute), X, y)
    if hasattr(estimator, "steps") and hasattr(estimator, "named_steps"):
        for _, step in estimator.steps[:-1]:
            X = X if step in (None, "passthrough") else step.transform(X)
        return innermost(estimator.steps[-1][1], X, y)
    return estimator, X, y


def answers_as(last: Model, data: Samples, estimator: Model, X: Samples, same_unit: bool) -> bool:
    """Are the answers of a wrapper those of the network inside?

    No where it chooses features (RFE) or another threshold (FixedThresholdClassifier). Scaled targets are another unit,
    in which nothing is compared.
    """
    if last is estimator or not same_unit:
        return True
    if np.shape(data)[1:] != (last.coefs_[0].shape[0],):
        return False
    own, whole = predict(last, data), predict(estimator, X)
    return bool(np.allclose(own, whole) if own.dtype.kind == "f" == whole.dtype.kind else np.array_equal(own, whole))


def to_array(X: Samples) -> Array:
    """Data frames and sparse matrices as an array. Errors: SettingError for what is not made of numbers."""
    try:
        return np.asarray(X.toarray() if hasattr(X, "toarray") else X, dtype=float)
    except (TypeError, ValueError):
        raise SettingError(
            "report(estimator, X, y): X holds text; a Pipeline that turns it into numbers is fine"
        ) from None


def of_network(estimator: Any, last: Any, X: Array, y: Array, scaled: bool) -> ReportedRun | None:
    """The record of an MLPClassifier or MLPRegressor as one of our networks; None if its layers have no equivalent."""
    refuse_other_data(last, X, y)
    model = network_of(last)
    if model is None:
        return None
    named = losses.LOSSES.get(getattr(last, "loss", ""))
    return ReportedRun(
        run_of_network(last, model), (X, targets_of(last, y)), named or losses.find(estimator_loss(last)), None,
        classes=class_names(last), program=estimator_source(estimator), scores=array_of(last, "validation_scores_"),
        numbers=not has_one_class(last, y),
        unit=", in the unit of the scaled targets" * scaled,
    )  # fmt: skip


def run_of_network(last: Any, model: MLP | None) -> Run:
    """The record of the training of an MLPClassifier or MLPRegressor."""
    loss, curve = estimator_loss(last), array_of(last, "loss_curve_")
    curve = curve if curve.size else np.array([getattr(last, "loss_", np.nan)], dtype=float)
    return Run(
        curve, np.empty(0), f"{getattr(last, 'n_iter_', len(curve))} of {last.max_iter} epochs done", "", model,
        {"loss": loss if isinstance(loss, str) else "squared error / 2", **settings_of(last)},
        validation_curve=array_of(last, "validation_losses_"),
    )  # fmt: skip


def array_of(estimator: Any, name: str) -> Array:
    """What an estimator has recorded; nothing where it has not."""
    found = getattr(estimator, name, None)
    return np.empty(0) if found is None else np.asarray(found, dtype=float)


def ends_in_link(last: Any) -> bool:
    """Are its answers the link of its loss, of the outputs of its layers?"""
    loss = getattr(last, "loss", "log_loss" if hasattr(last, "classes_") else "squared_error")
    if hasattr(last, "classes_"):
        return loss == "log_loss" and len(last.classes_) > 1
    link = losses.LOSSES[loss].link if loss in losses.LOSSES else "identity"
    return bool(last.out_activation_ == link)


def network_of(last: Any) -> MLP | None:
    """The weights of an estimator in an MLP that ends in logits or numbers."""
    sizes = (last.coefs_[0].shape[0], *(len(b) for b in last.intercepts_))
    if not isinstance(last.activation, str) or getattr(last, "norm", None) is not None or not ends_in_link(last):
        return None
    try:
        made = MLP(sizes, last.activation)
    except NameNotFoundError:
        return None
    for layer, W, b in zip(made.layers, last.coefs_, last.intercepts_, strict=True):
        layer.weight.data = np.array(W.T, dtype=float, order="C")
        if layer.bias is not None:
            layer.bias.data = np.array(b, dtype=float)
    return made


def of_answers(estimator: Any, last: Any, data: Samples, y: Array) -> ReportedRun:
    """The record of any other estimator: its predictions, without a network, and its curves where it keeps some."""
    classes, X = getattr(estimator, "classes_", None), to_array(data)
    outputs: Callable[[Any], Array] = partial(predict, estimator)
    targets = y
    if len(X) != len(y):
        raise SettingError(f"X has {len(X)} samples and y {len(y)}: one target for each sample is needed")
    if classes is not None and not isinstance(classes, list) and y.ndim == 1:
        known = np.asarray(classes)
        unknown = sorted(set(y.tolist()) - set(known.tolist()), key=str)
        if unknown:
            raise SettingError(f"y holds {unknown[:5]}, and this classifier was trained on {known.tolist()[:8]}")
        targets, outputs = np.searchsorted(known, y), partial(scores_of, estimator, known)
    ready = outputs(data)  # raises the estimator's own error if it is not fitted or X does not fit
    said = f"{type(estimator).__name__}, measured on {len(X):,} samples"
    trained = hasattr(last, "loss_curve_") and hasattr(last, "out_activation_")
    run = run_of_network(last, None) if trained else Run(np.empty(0), np.empty(0), said, "", None)
    run.config = settings_of(estimator)
    kept = {id(X): ready}
    return ReportedRun(
        run, (X, targets), None, None, classes=class_names(estimator), program=estimator_source(estimator),
        outputs=lambda asked: kept[id(asked)] if id(asked) in kept else outputs(asked),
        numbers=not has_one_class(estimator, y), scores=array_of(last, "validation_scores_"),
    )  # fmt: skip


def has_one_class(estimator: Model, y: Array) -> bool:
    """Is each answer one class? Not a number, and not several labels, even where each sample happens to have one."""
    return hasattr(estimator, "classes_") and (y.ndim == 1 or y.shape[1] == 1)


def predict(last: Any, X: Samples) -> Array:
    """The predictions for an array; the estimator may have been fitted on a data frame."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return np.asarray(last.predict(X))


def scores_of(last: Any, known: Array, X: Samples) -> Array:
    """A score for each class: 1 for the one that is predicted."""
    return np.asarray(predict(last, X)[:, None] == known[None, :], dtype=float)


def class_names(last: Any) -> tuple[str, ...]:
    """The names of the classes, as y holds them."""
    classes = getattr(last, "classes_", ())
    return tuple(map(str, np.asarray(classes).tolist())) if not isinstance(classes, list) else ()


def settings_of(last: Any) -> Mapping[str, Any]:
    """Its parameters, with its class first."""
    return {"estimator": type(last).__name__, **last.get_params(deep=False)}


def estimator_source(estimator: Any) -> str:
    """Python that makes the estimator again, as it shows itself."""
    return f"model = {estimator!r}\nmodel.fit(X, y)"
