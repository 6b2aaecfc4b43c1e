"""`diagnose`: why a network does not learn, proved by training it again with one change."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.diagnosis import files, keras_pass, torch_pass
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.facts import foreign, reload
from tinygrad_edu.clinic.diagnosis.facts.own_loop import is_bare_model, of_own_loop
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject, subject_of, with_weights
from tinygrad_edu.clinic.diagnosis.histories import History, history_of, json_columns
from tinygrad_edu.clinic.diagnosis.left_gradients import with_gradients_not_reset
from tinygrad_edu.clinic.diagnosis.overfitting import turn
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.session import DiagnosisSession
from tinygrad_edu.clinic.diagnosis.symptoms.curve import FEWEST, of_curve, smooth
from tinygrad_edu.clinic.diagnosis.symptoms.data import constant_columns
from tinygrad_edu.core.aliases import ArrayLike, Model, Samples
from tinygrad_edu.core.user_line import each_once
from tinygrad_edu.errors import SettingError, TinygradError
from tinygrad_edu.interop import keras_models
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.state_kept import code_of, state_kept

Array = np.ndarray[Any, Any]

ROUNDED = 1e-6  # tolerance for inputs that were scaled to between 0 and 1


@check_arguments
def diagnose(
    run_or_estimator: Any, X: Samples = None, y: Samples = None, *, goal: Any = None, seeds: int = 5,
    budget_s: float = 30.0, loss: Any = None, optimizer: Any = None, lr: float | None = None, epochs: int | None = None,
    batch_size: int | None = None, sample_weight: Any = None, class_weight: Any = None, validation: Any = None,
    callbacks: Any = None, scheduler: Any = None, history: Any = None,
) -> Diagnosis:  # fmt: skip
    """Find out why a training run did not learn: measure symptoms, and name causes only with a proof.

    A cause is proved by training again from the same seeds with one change: so many more of them reach the goal that
    the 90% Wilson intervals of the two shares do not overlap. For a run of `fit_online`, and for one of `Run.load`
    without the weights of an nn.MLP, only the curve is looked at, and `not_checked` says why.
    run_or_estimator: a Run of `fit`; a fitted MLPClassifier or MLPRegressor of this library or of scikit-learn, also
    in a Pipeline or a search (GridSearchCV); an nn.MLP that a loop of your own has trained; a torch.nn.Module; or a
    Keras model or its JSON. Other arguments say how these three were trained; a compiled Keras model knows its loss and
    optimizer, and a fitted one its epochs.
    X, y: the data of the training; only a Run of `fit` knows its own.
    goal: a loss, or {"accuracy": 0.95}, {"r2": ...}, {"mse": ...}, {"mae": ...}; by default what the data can give.
    seeds: the number of starts that each change is tried from.
    budget_s: the seconds that all trials may take together.
    loss, optimizer, lr, epochs, batch_size: as torch or Keras name them; optimizer is an object, or a name with lr.
    sample_weight: the weights that `fit` of an estimator was given, which does not keep them.
    class_weight, callbacks: of Keras; of the callbacks EarlyStopping, ReduceLROnPlateau, LearningRateScheduler.
    validation: (X, y), or the share that Keras calls validation_split.
    scheduler: of torch.optim.lr_scheduler.
    history: the losses of each epoch of torch or Keras, as `diagnose_history` reads them; they show overfitting.
    Errors: OperandError for what is not a training run, SettingError for settings, NameNotFoundError for a measure.

    >>> from tinygrad_edu import data, fit, nn, optim
    >>> model = nn.MLP([2, 8, 1], init="zeros")
    >>> run = fit(model, *data.xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.05), epochs=200)
    >>> diagnose(run).causes[0].code
    'symmetric_init'
    """
    how = {
        "loss": loss, "optimizer": optimizer, "lr": lr, "epochs": epochs, "batch_size": batch_size,
        "class_weight": class_weight, "validation": validation, "callbacks": callbacks, "scheduler": scheduler,
        "history": None if history is None else history_in(history),
    }  # fmt: skip
    refuse_settings(seeds, budget_s)
    with state_kept(trained=code_of(run_or_estimator), told=[loss, optimizer, lr, callbacks, scheduler]):
        if foreign.is_foreign(run_or_estimator):
            refuse_weights(sample_weight)
            return of_foreign(run_or_estimator, X, y, how, goal, seeds, budget_s)
        return of_our_own(run_or_estimator, X, y, sample_weight, how, goal, seeds, budget_s)


def refuse_known(how: dict[str, Any]) -> None:
    if given := [name for name, x in how.items() if x is not None]:
        raise SettingError(f"{', '.join(given)}: a run of fit and an estimator already know this: leave it out")


def refuse_weights(weight: Any) -> None:
    if weight is not None:
        raise SettingError("sample_weight is for estimators only: a run of fit already knows its own")


def refuse_settings(seeds: int, budget_s: float) -> None:
    """Settings that cannot be."""
    if not 3 <= checks.whole("seeds", seeds, 3) <= 100:
        raise SettingError(f"seeds={seeds!r}: from 3, with which a share can be told from chance, to 100")
    checks.number("budget_s", budget_s, "(0, inf]")


def of_our_own(
    trained: Any, X: Samples, y: Samples, weight: Any, how: dict[str, Any], goal: Any, seeds: int, budget_s: float
) -> Diagnosis:
    """A Run, an estimator, or a model that a loop of the user's own has trained."""
    by_loop = is_bare_model(trained)
    if not by_loop:
        refuse_known(how)
    if (found := nonfinite(X)) is not None:
        return found
    if by_loop:
        subject = of_own_loop(trained, X, y, weight, how)
        return of_subject(subject, goal, seeds, budget_s, notes_of(subject))
    if isinstance(trained, Run):
        refuse_weights(weight)
    notes: list[str] = []
    if isinstance(trained, Run) and trained.job is None:  # a run of fit_online, or one read from a file
        if missing := reload.why_not(trained, X, y):
            return of_curve_alone(trained, missing)
        trained, X, y = reload.with_job(trained, X, y), None, None
        notes = reload.other_data(trained)
    subject = with_weights(subject_of(trained, X, y), weight)
    return of_subject(subject, goal, seeds, budget_s, [*notes, *notes_of(subject)])


def of_foreign(
    model: Model, X: Samples, y: Samples, how: dict[str, Any], goal: Any, seeds: int, budget_s: float
) -> Diagnosis:
    """A network of PyTorch or Keras: converted and trained again if possible, otherwise examined in a single pass."""
    if (found := beyond_two_classes(model, y, how)) is not None:
        return found
    torch = not keras_models.is_keras(model)  # Keras first: its models on the torch backend are torch modules too
    try:
        subject = foreign.of_torch(model, X, y, how) if torch else foreign.of_keras(model, X, y, how)
    except TinygradError as problem:
        if (seen := look_instead(model, X, y, how, f"training again: {problem}")) is None:
            raise
        return seen
    found = of_subject(subject, goal, seeds, budget_s, notes_of(subject))
    found = with_gradients_not_reset(found, model, X, y, how) if torch else found
    seen = None if found.healthy else look_once(model, X, y, how)
    if seen is not None:  # causes that only the other library's own objects show come first
        known = {cause.code for cause in found.causes}
        more = [cause for cause in seen.causes if cause.code not in known]
        if more:
            found = replace(found, healthy=False, causes=[*more, *found.causes], summary=seen.summary)
    return found


def look_instead(model: Model, X: Samples, y: Samples, how: dict[str, Any], why_not: str) -> Diagnosis | None:
    """One pass of a network that has no counterpart here; None where something is missing that only its owner knows."""
    if keras_models.is_keras(model) and not foreign.has_no_counterpart(model, X, how):
        return None
    return look_once(model, X, y, how, why_not)


def look_once(model: Model, X: Samples, y: Samples, how: dict[str, Any], why_not: str = "") -> Diagnosis | None:
    """One pass of the object itself, with its loss; None where one of them is missing."""
    if not keras_models.is_keras(model):
        told = callable(how["loss"])
        return torch_pass.looked_through(model, X, y, how["loss"], how["optimizer"], why_not) if told else None
    loss = how["loss"] if how["loss"] is not None else getattr(model, "loss", None)
    if loss is None or X is None or y is None or not keras_models.is_object(model):
        return None
    return keras_pass.looked_through(model, X, y, loss, why_not)


def beyond_two_classes(model: Model, y: Samples, how: dict[str, Any]) -> Diagnosis | None:
    """Targets below 0 or above 1 for a loss of two classes, which both libraries take without a word."""
    targets = None if y is None else foreign.data_as_array(y)
    if targets is None or targets.dtype.kind not in "fiu" or not foreign.binary_loss(model, how):
        return None
    low, high = targets.min(initial=0.0), targets.max(initial=1.0)
    if low >= -ROUNDED and high <= 1.0 + ROUNDED:
        return None
    values = np.unique(targets)
    how_to = (
        f"Code the classes as 0 and 1: y = (y == {values[1]:g}), as floats."
        if len(values) == 2
        else "For numbers take the squared error (MSELoss, loss='mse') and a last layer without an activation."
    )
    return certain(
        f"The loss is for targets from 0 to 1, and these go from {targets.min():.6g} to {targets.max():.6g}.",
        "of a target t and a probability p it is -t log(p) - (1 - t) log(1 - p). For t above 1 or below 0 it falls "
        "without end as p nears 1 or 0, so it gets negative, and the network says 1 or 0 for every input.",
        how_to,
        "wrong_loss",
    )


def notes_of(subject: Subject) -> list[str]:
    """For the card: parts of its training that the repetitions lack."""
    return [f"the run as it was: {note}" for note in subject.notes]


def of_subject(subject: Subject, goal: Any, seeds: int, budget_s: float, notes: list[str]) -> Diagnosis:
    """The full diagnosis of a run whose training is known."""
    flat, t = subject.task.X.ndim == 2, subject.task.truth
    asked = np.ptp(t, axis=0).max(initial=0.0) > 1e-12 * max(float(np.abs(t).max(initial=0.0)), 1e-300)
    if flat and asked and len(constant_columns(subject.task)) == subject.task.X.shape[1]:
        return nothing_in(subject.task.X)
    with modes_kept(subject.model), each_once(silent=True):  # it says itself what fit has warned of
        found = DiagnosisSession(subject, goal, range(1, seeds + 1), budget_s).result()
    return replace(found, not_checked=[*notes, *found.not_checked])


def of_curve_alone(run: Run, missing: str) -> Diagnosis:
    """A diagnosis from the curve alone, with the reason why the run was not trained again."""
    found = diagnose_curve(run.loss_curve, run.validation_curve)
    rest = [row for row in found.not_checked if row != CANNOT]
    return replace(found, not_checked=[*rest, f"which of the causes it is, by training again: {missing}"])


def nonfinite(X: Samples) -> Diagnosis | None:
    """Inputs that are NaN or infinite need no trial."""
    array = np.asarray(X if X is not None else 0.0)
    if array.dtype.kind != "f" or np.isfinite(array).all():
        return None
    bad = np.argwhere(~np.isfinite(array))
    return certain(
        f"{len(bad)} entries of X are NaN or infinite, the first at index {tuple(map(int, bad[0]))}.",
        "a sum with NaN in it is NaN: every output and every gradient of such a sample is.",
        "Remove those samples or features, or fill them in, before training.",
    )


def nothing_in(X: Array) -> Diagnosis:
    """Inputs that are all the same need no trial either."""
    return certain(
        f"All {X.shape[1]} features are the same in each of the {len(X)} samples.",
        "of equal inputs a network makes equal outputs, whatever its weights: the best it can do is a constant.",
        "Look how X was made; the columns that differ between samples were lost.",
    )


def certain(evidence: str, proof: str, remedy: str, code: str = "constant_or_nonfinite_input") -> Diagnosis:
    cause = FoundCause(code, BY_CODE[code].sentence, evidence, proof, remedy)
    return Diagnosis(False, [cause], summary=f"The run cannot learn: {code}.")


@check_arguments
def diagnose_curve(losses: ArrayLike, validation: Any = None) -> Diagnosis:
    """Find the symptoms that a loss curve shows by itself.

    No cause is named: that needs a proof, and a proof needs the model and the data. `healthy` is None.
    losses: the loss of the training samples, one number an epoch.
    validation: the loss of samples held out, where there are any.
    Errors: SettingError if `losses` is not a 1-D sequence of numbers.

    >>> print(diagnose_curve([1.0, 0.9, 2.0, 5.0, 20.0, 90.0, 400.0, 2000.0]).symptoms[0])
    The loss rises, from 1 to 2e+03 (2e+03 times).
    """
    if isinstance(losses, (dict, str, Path)):
        return diagnose_history(losses)
    curve = np.asarray(losses, dtype=float) if np.size(losses) else np.empty(0)
    if curve.ndim != 1 or not curve.size:
        raise SettingError(f"losses has shape {np.shape(losses)}: one number for each epoch is needed")
    held_out = np.empty(0) if validation is None else np.asarray(validation, dtype=float).reshape(-1)
    return of_history(History(curve, held_out))


@check_arguments
def diagnose_history(history: Any) -> Diagnosis:
    """Find the symptoms in the history of a training, as Keras, Lightning, fastai, pandas or a console log keep it.

    history: a dict of columns (Keras' `history.history`), an object that has one, a DataFrame, or the path of a file;
    see clinic.diagnosis.histories. Which columns were read stands on the card.
    Errors: InputFileError for a file, SettingError where it cannot be told which column is the training loss.

    >>> history = {"loss": [0.9, 0.4, 0.2, 0.1, 0.05, 0.02, 0.01, 0.005, 0.002, 0.001],
    ...            "val_loss": [0.9, 0.6, 0.5, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.1]}
    >>> diagnose_history(history).symptoms[0].code
    'overfitting'
    """
    return of_history(history_in(history))


def history_in(history: Any) -> History:
    """The history in a dict, an object with one, a DataFrame or a file. Errors: those of diagnose_history."""
    if isinstance(history, (str, os.PathLike)):
        return files.read_history(Path(history))
    inner = getattr(history, "history", history)
    columns = {str(k): list(v) for k, v in inner.items()} if hasattr(inner, "items") else json_columns(inner)
    if columns is None:
        raise SettingError(f"history={history!r:.60}: a dict of columns, an object that has one, or a path is needed")
    return history_of(columns)


def of_history(history: History) -> Diagnosis:
    """The symptoms of curves, and what they may come from."""
    curve, width = smooth(history.losses)
    # differences of huge losses overflow to infinity, which the checks below can handle
    with np.errstate(all="ignore"):
        symptoms = of_curve(curve)
        turned = turn(history.validation, history.losses) if history.validation.size else None
    symptoms = [turned, *symptoms] if turned else symptoms
    codes = {symptom.code for symptom in symptoms}
    ruled_out = {code for seen, others in RULED_OUT.items() if seen in codes for code in others}
    names = [code for seen, suspects in SUGGESTED.items() if seen in codes - ruled_out for code in suspects]
    symptoms = [symptom for symptom in symptoms if symptom.code not in ruled_out]
    losses = history.losses
    summary = (
        f"{len(losses)} epoch{'s' * (len(losses) != 1)}, loss {losses[0]:.4g} to {losses[-1]:.4g}. "
        if width == 1
        else (
            f"{len(losses)} numbers, loss {losses[0]:.4g} to {losses[-1]:.4g}; they go up and down as losses of single "
            f"batches do, and {width} at a time were averaged. "
        )
    )
    summary += f"Possible: {', '.join(dict.fromkeys(names))}." if names else "The curve shows nothing unusual."
    summary = f"{summary} {history.sentence}".strip()
    count = "1 epoch is" if len(losses) == 1 else f"{len(losses)} epochs are"
    few = [f"plateau, oscillation: {count} too few"] * (len(losses) < FEWEST)
    return Diagnosis(None, [], summary=summary, symptoms=symptoms, not_checked=[*few, CANNOT])


SUGGESTED = {  # symptom -> causes that it suggests
    "overfitting": ("overfitting",),
    "negative": ("wrong_loss", "targets_out_of_range"),
    "at_chance": ("lr_too_low", "labels_random", "vanishing_gradient", "dead_relu", "inputs_not_scaled"),
    "divergence": ("lr_too_high", "exploding_gradient", "init_too_large", "inputs_not_scaled"),
    "oscillation": ("lr_too_high", "momentum_too_high", "gradients_not_reset"),
    "flat": ("lr_too_low", "vanishing_gradient", "dead_relu", "saturated_activations", "symmetric_init"),
    "plateau": ("too_small_network", "missing_bias", "schedule_freezes_early", "unlucky_init", "labels_random"),
    "improving": ("too_few_epochs", "stopped_too_early", "lr_too_low"),
}
RULED_OUT = {  # symptom -> other symptoms that mean nothing beside it
    "overfitting": ("improving", "plateau"),
    "negative": ("divergence", "plateau", "improving"),
    "at_chance": ("oscillation", "flat", "plateau"),
}
CANNOT = (
    "which of the causes it is, and whether the loss reached is a good one: a curve does not show that. "
    "diagnose(run) trains again with one change at a time, and proves it"
)
