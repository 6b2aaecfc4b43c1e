"""Does a change help with samples that were not trained on, or does it only learn its own by heart?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Array, Task
from tinygrad_edu.clinic.diagnosis.proof.baseline import FEWEST, FOLDS, task_of_rows
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget, NoTimeError
from tinygrad_edu.clinic.diagnosis.proof.retrain import answers, train_setup
from tinygrad_edu.clinic.diagnosis.proof.trials import Trials
from tinygrad_edu.clinic.diagnosis.result import FoundCause

# share of the task (see Task.share); single folds of a data set differ by more, four folds pooled by less
BETTER = 0.02


def that_help_with_others(t: Trials, causes: Sequence[FoundCause]) -> list[FoundCause]:
    """The causes whose change does better on held-out samples, too; all causes where too few samples can be held out.

    A run that does all that can be asked for may be brought to do better on its own samples by less weight decay, more
    units or more epochs: that alone is not a fault.
    """
    setup, task = t.record.setup, t.record.task.judged
    if not causes or task.samples < FEWEST:
        return list(causes)
    try:
        before = share_of_others(setup, task, t.bench.budget)
        return [c for c in causes if share_of_others(setup.but(c.change), task, t.bench.budget) > before + BETTER]
    except NoTimeError:
        t.not_checked.append(f"{causes[0].code}: no time left to try it on samples held out")
        return []


def share_of_others(setup: Setup, task: Task, budget: Budget) -> float:
    """The share of the task that it reaches on samples held out, in four parts."""
    folds = np.random.default_rng(3).permutation(task.samples) % FOLDS
    estimate = np.empty(task.truth.shape)
    for fold in range(FOLDS):
        rows, held = np.flatnonzero(folds != fold), folds == fold
        learned = task_of_rows(task, rows)
        (run,) = train_setup(with_weights_of(setup, rows), learned, [1 + fold], FOLDS, budget)
        estimate[held] = answers(run.model, setup, learned, learned.prepare(task.X[held], setup))
    return task.share(estimate)


def with_weights_of(setup: Setup, rows: Array) -> Setup:
    """The setup with the sample weights of these rows."""
    if setup.weights is None or isinstance(setup.weights, str):
        return setup
    some: Change = {"weights": np.asarray(setup.weights)[rows]}
    return setup.but(some)
