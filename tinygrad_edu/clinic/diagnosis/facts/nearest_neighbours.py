"""Do inputs tell anything about targets? Asked without a network: by the nearest other samples."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.task import Task

Array = np.ndarray[Any, Any]
MOST = 1500  # samples; all pairs of them are compared
NEAREST = 5
PERMUTATIONS = 40


def neighbour_share(task: Task) -> tuple[float, float]:
    """(Task.share that the mean of the 5 nearest other samples reaches, the most of 40 permutations of the targets)."""
    rng = np.random.default_rng(0)
    rows = rng.permutation(task.samples)[:MOST]
    X = task.standard(task.X).reshape(task.samples, -1)[rows]
    near = nearest(X, min(NEAREST, len(rows) - 1))
    if not near.size:
        return 0.0, 0.0
    part = Task(X, task.y[rows], task.truth[rows], None if task.labels is None else task.labels[rows], task.codes)
    orders = [rng.permutation(len(rows)) for _ in range(PERMUTATIONS)]
    by_chance = [share_of_shuffle(part, order, near) for order in orders]
    return part.share(part.poll(near)), max(by_chance)


def nearest(X: Array, count: int) -> Array:
    """The numbers of the `count` nearest other samples of each: (n, count)."""
    squares = (X * X).sum(axis=1)
    distances = squares[:, None] + squares - 2.0 * X @ X.T
    np.fill_diagonal(distances, np.inf)
    return np.argpartition(distances, count - 1, axis=1)[:, :count] if count > 0 else np.empty((len(X), 0), int)


def share_of_shuffle(task: Task, order: Array, near: Array) -> float:
    """The share for targets in another order."""
    labels = None if task.labels is None else task.labels[order]
    part = Task(task.X, task.y[order], task.truth[order], labels, task.codes)
    return part.share(part.poll(near))
