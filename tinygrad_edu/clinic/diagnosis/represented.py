"""Inputs that hold the answer in a form that the network cannot read: proved by samples that it was not trained on.

With more inputs a network learns more samples by heart, shuffled labels too. That another form of the inputs lets it
learn its training samples is therefore no proof; that it then knows the targets of others is one.
"""

from __future__ import annotations

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.changes import other_form
from tinygrad_edu.clinic.diagnosis.causes.table import BY_CODE
from tinygrad_edu.clinic.diagnosis.facts.encoding import encoding
from tinygrad_edu.clinic.diagnosis.facts.look import unique_rows
from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.proof import baseline as yardstick
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.goal import derive_goal
from tinygrad_edu.clinic.diagnosis.proof.retrain import answers, train_seeds
from tinygrad_edu.clinic.diagnosis.proof.trial import short
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause

CODE = "representation"
MARGIN = 0.05  # share of the task by which held-out samples must be told better than by chance, or by the form as it is
ORDERS = 100  # random orders of the targets that show what chance tells


def by_other_form(t: Trials, random: str) -> list[FoundCause]:
    """The cause, if the network learns the targets from another form of the inputs; random: why they looked random."""
    before = t.bench.goal
    t.by(derive_goal(1.0, yardstick.POSSIBLE.source, t.record.task))
    cause = BY_CODE[CODE]
    for change in other_form(t.record):
        trial = t.trial(change, CODE)
        if trial is not None and t.beats(trial) and (told := proof_by_others(t, change)):
            proof = f"{random and random + '. '}{short(t.as_is)}; {short(trial)}. {told}"
            return [FoundCause(CODE, cause.sentence, "", proof, cause.remedy, dict(change), trial)]
    t.by(before)
    return []


def proof_by_others(t: Trials, change: Change) -> str:
    """What the network tells of samples held out, by the form as it is and by the other one; "" if that is no proof."""
    whole, setup = t.record.task.judged, without_weights(t.record.setup)
    task = yardstick.task_of_rows(whole, unique_rows(whole))
    X = encoding(str(change["inputs"]), task.X)(task.X)
    other, changed = Task(X, task.y, task.truth, task.labels, task.codes), setup.but({**change, "inputs": None})
    try:
        now, _ = share_of_others(setup, task, t.bench.budget)
        then, chance = share_of_others(changed, other, t.bench.budget)
    except NoTimeError:
        t.not_checked.append(f"{CODE}: no time left to try it on samples held out")
        return ""
    if then <= max(now, chance, 0.0) + MARGIN:
        return ""
    return (
        f"Of samples held out it explains {then:.1%} then, and {max(now, 0.0):.1%} as it is; in random orders of the "
        f"targets at most {max(chance, 0.0):.1%}."
    )


def without_weights(setup: Setup) -> Setup:
    """Weights of single samples belong to all of them, in their order."""
    return setup if setup.weights is None or isinstance(setup.weights, str) else setup.but({"weights": None})


def share_of_others(setup: Setup, task: Task, budget: Budget) -> tuple[float, float]:
    """(The share that this setup tells of samples held out, the most that its answers tell of targets in random order).

    Errors: NoTimeError.
    """
    rng = np.random.default_rng(3)
    folds = rng.permutation(task.samples) % yardstick.FOLDS
    estimate = np.empty(task.truth.shape)
    for fold in range(yardstick.FOLDS):
        learned = yardstick.task_of_rows(task, np.flatnonzero(folds != fold))
        (run,) = train_seeds(setup, learned, [fold], 2 * yardstick.FOLDS, budget)
        held = learned.prepare(task.X[folds == fold], setup)
        estimate[folds == fold] = answers(run.model, setup, learned, held)
    orders = (rng.permutation(task.samples) for _ in range(ORDERS))
    by_chance = [yardstick.task_of_rows(task, np.arange(task.samples), order).share(estimate) for order in orders]
    return task.share(estimate), max(by_chance)
