"""`diagnose`: why a network does not learn, proved by training it again with one change."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.facts import reload
from tinygrad_edu.clinic.diagnosis.facts.subject import subject_of
from tinygrad_edu.clinic.diagnosis.result import Diagnosis, FoundCause
from tinygrad_edu.clinic.diagnosis.session import Consultation
from tinygrad_edu.clinic.diagnosis.symptoms.curve import FEWEST, of_curve
from tinygrad_edu.clinic.diagnosis.symptoms.data import constant_columns
from tinygrad_edu.errors import SettingError
from tinygrad_edu.train.run import Run

Array = np.ndarray[Any, Any]


def diagnose(
    run_or_estimator: Any, X: Any = None, y: Any = None, *, goal: Any = None, seeds: int = 5, budget_s: float = 30.0
) -> Diagnosis:
    """Why a training run did not learn: symptoms are measured, and causes are named only with a proof.

    run_or_estimator: a Run of `fit` (X and y may be left out), a fitted MLPClassifier or MLPRegressor of ours or of
    scikit-learn's, or a Pipeline that ends in one. A Run of `Run.load` needs X and y, and an nn.MLP with its weights;
    of other ones, and of `fit_online`, only the curve is looked at, and `not_checked` says why. goal: a loss, or a
    measure such as {"accuracy": 0.95}, {"r2": ...}, {"mse": ...} or {"mae": ...}; by default it is derived from
    what the data can give, and said so. seeds: the starts that each change is tried from. budget_s: seconds, roughly.
    The proof of a cause: of the same seeds, so many more reach the goal with one change than as is that the 90 %
    Wilson intervals are apart.
    Errors: OperandError for what is no training run, SettingError for settings, NameNotFoundError for a measure.

    >>> from tinygrad_edu import nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> from tinygrad_edu.train import fit
    >>> model = nn.MLP([2, 8, 1], init="zeros")
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optim.Adam(model.parameters(), lr=0.05), epochs=200)
    >>> diagnose(run).causes[0].code
    'symmetric_init'
    """
    if not 3 <= checks.whole("seeds", seeds, 3) <= 100:
        raise SettingError(f"seeds={seeds!r}: from 3, with which a share can be told from chance, to 100")
    checks.number("budget_s", budget_s, "(0, inf]")
    broken = nonfinite(X)
    if broken is not None:
        return broken
    notes: list[str] = []
    if isinstance(run_or_estimator, Run) and run_or_estimator.job is None:  # of fit_online, or read from a file
        if missing := reload.why_not(run_or_estimator, X, y):
            return of_curve_alone(run_or_estimator, missing)
        run_or_estimator, X, y = reload.with_job(run_or_estimator, X, y), None, None
        notes = reload.other_data(run_or_estimator)
    subject = subject_of(run_or_estimator, X, y)
    flat, t = subject.task.X.ndim == 2, subject.task.truth
    asked = np.ptp(t, axis=0).max(initial=0.0) > 1e-12 * max(float(np.abs(t).max(initial=0.0)), 1e-300)
    if flat and asked and len(constant_columns(subject.task)) == subject.task.X.shape[1]:
        return nothing_in(subject.task.X)
    found = Consultation(subject, goal, range(1, seeds + 1), budget_s).result()
    return replace(found, not_checked=[*notes, *found.not_checked])


def of_curve_alone(run: Run, missing: str) -> Diagnosis:
    """What the curve says, and why the run was not trained again."""
    found = diagnose_curve(run.loss_curve)
    rest = [row for row in found.not_checked if row != CANNOT]
    return replace(found, not_checked=[*rest, f"which of the causes it is, by training again: {missing}"])


def nonfinite(X: Any) -> Diagnosis | None:
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


def certain(evidence: str, proof: str, remedy: str) -> Diagnosis:
    code = "constant_or_nonfinite_input"
    cause = FoundCause(code, BY_CODE[code].sentence, evidence, proof, remedy)
    return Diagnosis(False, [cause], summary=f"The run cannot learn: {code}.")


def diagnose_curve(losses: Any) -> Diagnosis:
    """What a loss curve alone can tell, the loss of each epoch, and what it cannot.

    No cause is named: that needs a proof, and a proof needs the model and the data. `healthy` is None.
    Errors: SettingError for what is no row of numbers.

    >>> print(diagnose_curve([1.0, 0.9, 2.0, 5.0, 20.0, 90.0, 400.0, 2000.0]).symptoms[0])
    The loss rises, from 1 to 2e+03 (2e+03 times).
    """
    curve = np.asarray(losses, dtype=float) if np.size(losses) else np.empty(0)
    if curve.ndim != 1 or not curve.size:
        raise SettingError(f"losses has shape {np.shape(losses)}: one number for each epoch is needed")
    with np.errstate(all="ignore"):  # differences of the largest floats are infinite, which the tests allow for
        symptoms = of_curve(curve)
    codes = {symptom.code for symptom in symptoms}
    names = [code for code, suspects in SUGGESTED.items() if code in codes for code in suspects]
    summary = f"{len(curve)} epochs, loss {curve[0]:.4g} to {curve[-1]:.4g}. "
    summary += f"Possible: {', '.join(dict.fromkeys(names))}." if names else "The curve shows nothing unusual."
    few = [f"plateau, oscillation: {len(curve)} epochs are too few"] * (len(curve) < FEWEST)
    return Diagnosis(None, [], summary=summary, symptoms=symptoms, not_checked=[*few, CANNOT])


SUGGESTED = {  # by symptom: what it may come from
    "divergence": ("lr_too_high", "exploding_gradient", "init_too_large", "inputs_not_scaled"),
    "oscillation": ("lr_too_high", "momentum_too_high"),
    "flat": ("lr_too_low", "vanishing_gradient", "dead_relu", "saturated_activations", "symmetric_init"),
    "plateau": ("too_small_network", "missing_bias", "schedule_freezes_early", "unlucky_init", "labels_random"),
    "improving": ("too_few_epochs", "stopped_too_early", "lr_too_low"),
}
CANNOT = (
    "which of the causes it is, and whether the loss reached is a good one: a curve does not show that. "
    "diagnose(run) trains again with one change at a time, and proves it"
)
