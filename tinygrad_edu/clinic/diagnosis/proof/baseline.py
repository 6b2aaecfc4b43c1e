"""What a run can be asked to reach: what a plain, well-set-up network reaches on samples that it has not seen."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Array, Task
from tinygrad_edu.clinic.diagnosis.proof.budget import Budget
from tinygrad_edu.clinic.diagnosis.proof.goal import WORDS, Goal
from tinygrad_edu.clinic.diagnosis.proof.retrain import answers, train_setup
from tinygrad_edu.data import standardize
from tinygrad_edu.nn import losses

FEWEST = 40  # samples; with fewer, none are held out
FOLDS = 4
STEPS = 1200
WIDTH = 24
WIDEST, MOST_ROWS = 100, 5000  # features and samples up to which a linear fit is tried
# random orders of the targets to compare with, and the margin by which the true order must win
ORDERS, CLEARLY = 60, 0.01
DEVIATIONS = 3.0  # of the shares of those orders; a share that is normal is this far above their mean once in 740 times
PERMUTED = 6  # times the reference is trained on permuted targets


@dataclass(frozen=True)
class Yardstick:
    """`share` (see Task.share) that can be asked for, `source`, what reaches it, and `own`, that of the reference."""

    share: float
    source: str
    own: float = 0.0


def reference_of(task: Task) -> Setup:
    """Inputs scaled, two layers of 24 tanh units, Glorot's weights, Adam at 0.01, shuffled batches, 1,200 steps."""
    batch = min(task.samples, max(8, min(64, task.samples // 8)))
    numbers, binary = not task.chance, task.classes == 2 or task.several
    outputs = 1 if task.classes == 2 else task.classes or task.truth.shape[1]
    return Setup(
        sizes=(task.X.shape[1], WIDTH, WIDTH, outputs),
        loss="mse" if numbers else "bce_with_logits" if binary else "cross_entropy",
        coding=None if not task.classes else "zero_one" if binary else "numbers",
        optimizer="Adam", lr=0.01, inputs="standardized", targets="standardized" if numbers else None,
        epochs=max(1, STEPS * batch // task.samples), batch_size=batch,
        weights="balanced" if uneven(task) else None,
    )  # fmt: skip


def uneven(task: Task) -> bool:
    return bool(task.classes) and task.counts.max() > 2 * max(task.counts.min(), 1)


def task_of_rows(task: Task, rows: Array, order: Array | None = None) -> Task:
    """Some samples; `order`: with the targets of others."""
    targets = rows if order is None else order[rows]
    labels = None if task.labels is None else task.labels[targets]
    return Task(task.X[rows], task.y[targets], task.truth[targets], labels, task.codes)


def reference_share(task: Task, budget: Budget | None = None, order: Array | None = None, times: int = 1) -> float:
    """The share that the reference reaches on samples held out, in four parts; of few samples on themselves.

    times: how often this will be asked for, which decides whether compiling pays.
    """
    whole = task_of_rows(task, np.arange(task.samples), order)
    setup = reference_of(whole)
    if task.samples < FEWEST:
        return float(
            np.median([whole.share(run.estimate) for run in train_setup(setup, whole, range(3), times, budget)])
        )
    folds = np.random.default_rng(0).permutation(task.samples) % FOLDS
    estimate = np.empty(whole.truth.shape)
    for fold in range(FOLDS):
        learned = task_of_rows(whole, np.flatnonzero(folds != fold))
        (run,) = train_setup(setup, learned, [fold], FOLDS * times, budget)
        held = learned.standard(whole.X[folds == fold])
        estimate[folds == fold] = answers(run.model, setup, learned, held)
    return whole.share(estimate)


def measure_baseline(record: Record, budget: Budget) -> Yardstick:
    """The better of the reference and the nearest neighbours."""
    task = record.flat
    assert task is not None
    own = reference_share(task, budget)
    found = [Yardstick(own, SMALL if task.samples < FEWEST else HELD_OUT, own)]
    if task.samples >= FEWEST:
        found.append(Yardstick(record.neighbours[0], NEIGHBOURS, own))
    return max(found, key=lambda y: y.share)


SMALL = "a network with scaled inputs, 2 x 24 tanh units and Adam at 0.01 reaches in 1,200 steps"
HELD_OUT = f"{SMALL} on held-out samples"
NEIGHBOURS = "the mean of the 5 nearest samples predicts"
LINEAR = "a linear fit explains of held-out samples"
POSSIBLE = Yardstick(1.0, "is possible")


def weak_relation(task: Task) -> float:
    """The share that a linear fit tells of samples held out, where that is more than of any permuted targets; else 0.

    A network of the reference's size learns noise by heart, and of a relation that explains a few percent it tells less
    than nothing; a line has few weights. Of 60 orders all do worse by chance once in 61 times: too often for a relation
    that nothing else shows, and so the share must lie far from theirs too.
    """
    if task.X.ndim != 2 or task.X.shape[1] > WIDEST or task.samples > MOST_ROWS:
        return 0.0
    A = np.column_stack([np.ones(task.samples), standardize(task.X)[0]])
    rng = np.random.default_rng(2)
    folds = rng.permutation(task.samples) % FOLDS
    hats = [(folds == k, A[folds == k] @ np.linalg.pinv(A[folds != k])) for k in range(FOLDS)]

    def share(order: Array) -> float:
        shuffled, estimate = task_of_rows(task, np.arange(task.samples), order), np.empty(task.truth.shape)
        for held, hat in hats:
            estimate[held] = hat @ shuffled.truth[~held]
        return shuffled.share(estimate)

    own = share(np.arange(task.samples))
    if own <= CLEARLY:
        return 0.0
    others = np.array([share(rng.permutation(task.samples)) for _ in range(ORDERS)])
    chance = max(others.max() + CLEARLY, CLEARLY, others.mean() + DEVIATIONS * others.std())
    return own if own > chance else 0.0


def of_permuted(task: Task, budget: Budget) -> Sequence[float]:
    """The shares that the reference reaches on permuted targets."""
    rng = np.random.default_rng((1, task.samples))  # default_rng(1) may undo what has shuffled the user's rows
    return [reference_share(task, budget, rng.permutation(task.samples), PERMUTED) for _ in range(PERMUTED)]


CONSTANTS = 41  # constant outputs that are tried
OF_OWN_LOSS = 0.8  # share of the way from the best constant output to what the reference reaches


def loss_goal(setup: Setup, task: Task, budget: Budget) -> Goal:
    """By a loss of somebody's own: most of the way from the best constant to what the run's own loss makes possible.

    What is possible is what a network with scaled inputs and 2 x 24 units reaches by that loss.
    """
    loss, t = losses.find(setup.loss), task.truth
    levels = np.quantile(t, np.linspace(0.0, 1.0, CONSTANTS), axis=0)
    constant = min(float(np.mean(data_inside(loss(np.broadcast_to(c, t.shape).copy(), t)))) for c in levels)
    own = replace(
        reference_of(task),
        loss=setup.loss,
        targets=None,
        coding=None,
        sizes=(*reference_of(task).sizes[:-1], t.shape[1]),
    )
    best = float(
        np.median(
            [float(np.mean(data_inside(loss(run.estimate, t)))) for run in train_setup(own, task, range(3), 3, budget)]
        )
    )
    aim = constant - OF_OWN_LOSS * (constant - best)
    text = (
        f"{WORDS['loss']} {aim:.4g} (derived: {OF_OWN_LOSS:.0%} of the way from the best constant, {constant:.4g}, to "
        f"{best:.4g}, which a network with scaled inputs and 2 x 24 tanh units reaches)"
    )
    return Goal("loss", aim, text, setup.loss)


def data_inside(loss: Any) -> Any:
    return getattr(loss, "data", loss)
