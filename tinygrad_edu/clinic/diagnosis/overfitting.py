"""Overfitting: the validation loss turns up while the training loss goes on falling, and stopping there helps."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.table import PROVED_OTHERWISE
from tinygrad_edu.clinic.diagnosis.facts import lbfgs
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.proof.budget import NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.retrain import Trained, hold_out, train_setup
from tinygrad_edu.clinic.diagnosis.proof.trial import Trial, short
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.nn import losses

Array = np.ndarray[Any, Any]
FEWEST = 8  # epochs needed to see a turn
RISE = 0.1  # least rise from the lowest value to the end, relative to the lowest
NOISE = 4.0  # least rise relative to the changes from epoch to epoch after the lowest point
LATE = 0.8  # share of the epochs; a minimum after this is not a turn yet
GROUPS = 20  # of the held-out samples, whose losses are compared
SURELY = 1.64  # standard errors by which the loss of held-out samples must be lower; 95% of a normal distribution
LIKELY = 1.0  # the same where the training samples are memorized, so that overfitting is likely anyway
APART = 200  # ways to choose which runs are the better ones, of which one in so many is no accident
MEMORIZED = 0.1  # last training loss over that of the epoch with the lowest validation loss
SCORE_NEW = "measure the score on samples that it was not trained on"
REMEDIES = {  # by the library that trained it
    "fit": "train with validation=0.25, and diagnose that run",
    "keras": "train with validation_split=0.25, and give diagnose validation=0.25 too",
    "torch": "keep some samples out of the training, and give diagnose validation=(X_val, y_val), and history=, the "
    "losses of each epoch",
}
NO_CURVE = "give diagnose history={'loss': [...], 'val_loss': [...]}, the losses of each epoch"
PART = 0.3  # share of the rise from the lowest value to the end; a run that stays below does not overfit


def turn(validation: Array, training: Array | None = None) -> Symptom | None:
    """A validation loss that rises again after its lowest point, while the training loss does not."""
    v = np.asarray(validation, dtype=float)
    if len(v) < FEWEST or not np.isfinite(v).all():
        return None
    lowest, tail = int(v.argmin()), v[-max(1, len(v) // 10) :]
    last, least = float(np.median(tail)), float(v.min())
    rise = last - least
    rest = np.abs(np.diff(v[lowest:]))
    noise = float(np.median(rest)) / math.sqrt(max(len(tail), 1)) if rest.size else math.inf
    if lowest >= LATE * len(v) or rise <= RISE * abs(least) or rise <= NOISE * noise:
        return None
    if training is not None and len(training) == len(v) and float(training[-1]) > float(training[lowest]):
        return None  # both losses rise, which is not overfitting
    sentence = (
        f"The validation loss is lowest after epoch {lowest + 1}, {least:.4g}, and rises to {last:.4g} at the end"
    )
    if training is not None and len(training) == len(v):
        sentence += f", while the training loss falls from {training[lowest]:.4g} to {training[-1]:.4g}"
    return Symptom("overfitting", last / least if least > 0.0 else math.inf, 1.0 + RISE, f"{sentence}.")


def turning_point(record: Record) -> Symptom | None:
    """The turn in the run's own curves; None if the model has gone back to the weights of its best epoch."""
    subject = record.subject
    if subject.restored or not subject.validation.size:
        return None
    return turn(subject.validation, subject.losses)


def samples_judged(subject: Subject) -> str:
    """The samples that the score of a run is measured on, in words."""
    if stopped_early(subject):
        return "all samples, some held out by early_stopping"
    return "the samples given" if lost_held_out(subject) else "the training samples"


def stopped_early(subject: Subject) -> bool:
    """Is it an estimator that held samples out itself? L-BFGS never does, whatever early_stopping says."""
    return subject.setup.estimator is not None and subject.restored and subject.setup.optimizer != lbfgs.NAME


def lost_held_out(subject: Subject) -> bool:
    """Is there a validation curve, and are its samples not told apart from the others here?"""
    return subject.task.held_out is None and subject.validation.size > 0


def tell_unchecked(subject: Subject) -> list[str]:
    """Why overfitting could not be looked for, and what to do; nothing where a validation curve was looked at."""
    curve, held_out = subject.validation, subject.task.held_out
    if held_out is not None and curve.size and (subject.restored or len(curve) >= FEWEST):
        return []
    remedy = REMEDIES.get(subject.setup.dialect, SCORE_NEW) if held_out is None else SCORE_NEW
    if held_out is not None and not curve.size and subject.setup.dialect in ("torch", "keras"):
        remedy = NO_CURVE
    if held_out is None and curve.size and subject.setup.dialect in ("torch", "keras"):
        remedy = "give diagnose validation=(X_val, y_val) too"
    if stopped_early(subject) or lost_held_out(subject):
        turned = turn(curve, subject.losses)
        why = f"{turned.sentence.rstrip('.')}, but " if turned and not subject.restored else ""
        why += "the samples that were held out are not known here"
    elif held_out is None:
        why = "no samples were held out"
    elif curve.size:
        why = f"{len(curve)} epochs are too few to see the validation loss turn"
    else:
        why = "there is no curve of the validation loss"
    return [f"overfitting: {why}; {remedy}"]


def prove_overfitting(t: Trials) -> list[FoundCause]:
    """The cause, if training that ends at the lowest point does better on held-out samples than the run as it is."""
    symptom = turning_point(t.record)
    if symptom is None or t.record.task.held_out is None:
        return []
    v = t.record.subject.validation
    change = {"epochs": int(v.argmin()) + 1}
    goal = float(v.min()) + PART * (float(np.median(v[-max(1, len(v) // 10) :])) - float(v.min()))
    setup = t.record.setup
    as_is = judge_runs(t, {}, "as is", t.as_is.runs, goal)
    try:
        runs = train_setup(setup.but(change), t.record.task, t.bench.seeds, 1, t.bench.budget)
    except NoTimeError:
        t.not_checked.append("overfitting: the validation loss turns up, and there is no time left to stop there")
        return []
    stopped = judge_runs(t, change, setup.difference(change), runs, goal)
    if not (stopped.beats(as_is) or lies_apart(stopped, as_is)):
        t.symptoms.append(replace(symptom, sentence=f"{symptom.sentence} {unproved(stopped, as_is)}"))
        return []
    if (rise := rise_by_chance(t, as_is, stopped)) is not None:
        t.symptoms.append(replace(symptom, sentence=f"{symptom.sentence} {rise}"))
        return []
    sentence, remedy = PROVED_OTHERWISE["overfitting"]
    middle = [-float(np.median(trial.worths)) for trial in (as_is, stopped)]
    proof = (
        f"{short(as_is)} a validation loss of at most {goal:.4g}; {short(stopped)}. "
        f"The medians are {middle[0]:.4g} and {middle[1]:.4g}."
    ).replace("seeds reach the goal a", "seeds reach a")
    return [FoundCause("overfitting", sentence, symptom.sentence, proof, remedy, change, stopped)]


def lies_apart(stopped: Trial, as_is: Trial) -> bool:
    """Does every run that stops there end better than every run that does not, with enough of them?

    By chance 5 and 5 lie apart in one of 252 ways (the test of Mann and Whitney 1947), 3 and 3 in one of 20.
    """
    ways = math.comb(len(stopped.worths) + len(as_is.worths), len(as_is.worths))
    return ways >= APART and min(stopped.worths) > max(as_is.worths)


def unproved(stopped: Trial, as_is: Trial) -> str:
    """What stopping there did, where it is no proof."""
    late, early = (-float(np.median(trial.worths)) for trial in (as_is, stopped))
    return (
        f"But trained again, {len(stopped.worths)} runs that stop there end at a validation loss of {early:.4g} "
        f"(median), and {len(as_is.worths)} that do not at {late:.4g}: too little to call it overfitting for sure."
    )


def rise_by_chance(t: Trials, as_is: Trial, stopped: Trial) -> str | None:
    """That the rise may be due to the choice of held-out samples, in a sentence; None where it is more than that.

    All seeds are judged by the same samples: their agreement says nothing of how well these stand for others.
    """
    X, y = hold_out(as_is.setup, t.record.task)
    parts = [np.arange(first, len(X), GROUPS) for first in range(min(GROUPS, len(X)))]
    late, early = (
        np.median([loss_of_parts(run, trial, X, y, parts) for run in trial.runs], axis=0) for trial in (as_is, stopped)
    )
    falls = late - early
    error = float(falls.std(ddof=1)) / math.sqrt(len(falls)) if len(falls) > 1 else math.inf
    if float(falls.mean()) > (LIKELY if memorized(t.record.subject) else SURELY) * error:
        return None
    return (
        f"But {len(X)} held-out samples are few for this: stopping earlier lowers their loss by {falls.mean():.3g}, "
        f"with a standard error of {error:.2g}."
    )


def memorized(subject: Subject) -> bool:
    lowest = int(subject.validation.argmin())
    return lowest < len(subject.losses) and bool(subject.losses[-1] < MEMORIZED * subject.losses[lowest])


def loss_of_parts(run: Trained, trial: Trial, X: Array, y: Array, parts: Sequence[Array]) -> Array:
    """The loss of each part of the held-out samples."""
    loss, model = losses.find(trial.setup.loss), run.model.eval()
    with no_grad(), np.errstate(all="ignore"):
        return np.array([float(loss(model(X[rows]), y[rows]).item()) for rows in parts])


def judge_runs(t: Trials, change: dict[str, Any], words: str, runs: Sequence[Trained], goal: float) -> Trial:
    """A trial of runs that are judged by their loss on held-out samples."""
    setup = t.record.setup.but(change)
    X, y = hold_out(setup, t.record.task)
    found = []
    for run in runs:
        with no_grad(), np.errstate(all="ignore"):
            found.append(float(losses.find(setup.loss)(run.model.eval()(X), y).item()))
    hits = tuple(x <= goal for x in found)
    return Trial(change, setup, words, tuple(runs), tuple(-x for x in found), hits, "overfitting")
