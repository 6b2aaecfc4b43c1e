"""A look at the data before any verdict: outliers, copies, targets that are the inputs, and what a constant can do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.nearest_neighbours import nearest
from tinygrad_edu.clinic.diagnosis.facts.task import Task

Array = np.ndarray[Any, Any]
FAR = 10.0  # robust deviations; a normal number is this far out with probability 10⁻²³
STEEP = 3.0  # robust deviations of the targets by which an outlier differs from its neighbours
MOST = 0.15  # largest share of outliers among the targets; if there are more, they are part of the task
FEWEST = 20  # samples needed to see what is usual
ROWS = 4000  # samples that are compared with all others
NEAREST = 7


def look_at(task: Task) -> Task:
    """The task with its outliers, where it has any."""
    found = outliers(task)
    return task if found is None else replace(task, outliers=found)


def outliers(task: Task) -> Array | None:
    """Targets (n,) far from those of the nearest samples, where some of them lie far from all others too, or None.

    A large target whose neighbours are large too is not an outlier: there the inputs tell it. Nor is one that lies away
    from its neighbours by less than the targets differ anyway, as on the steep side of x⁴.
    """
    y = task.truth
    if task.chance or not FEWEST <= task.samples <= ROWS or not np.isfinite(y).all():
        return None
    far = distance(y) > FAR
    if not 0 < far.sum() <= MOST * len(y):
        return None
    X = task.standard(task.X).reshape(len(y), -1)
    near = nearest(np.where(np.isfinite(X), X, 0.0), min(NEAREST, len(y) - 1))
    rest = y - np.median(y[near], axis=1)
    away = (distance(rest) > FAR) & (np.abs(rest) > STEEP * robust_deviation(y)).any(axis=1)
    return away if (far & away).any() and away.sum() <= MOST * len(y) else None


def distance(y: Array) -> Array:
    """How many robust deviations each row lies from the median: the largest over its columns, (n,)."""
    away, spread = np.abs(y - np.median(y, axis=0)), robust_deviation(y)
    return np.asarray(np.where(spread > 0.0, away / np.maximum(spread, 1e-300), 0.0).max(axis=1))


def robust_deviation(y: Array) -> Array:
    """1.4826 times the median distance from the median, per column; a trimmed mean of the distances if that is 0."""
    away = np.abs(y - np.median(y, axis=0))
    spread = 1.4826 * np.median(away, axis=0)
    trimmed = 1.4826 * np.mean(np.minimum(away, np.quantile(away, 0.8, axis=0)), axis=0)
    return np.asarray(np.where(spread > 0.0, spread, trimmed))


def unique_rows(task: Task) -> Array:
    """One sample of each that is written down several times: their numbers, in order."""
    rows = np.hstack([task.X.reshape(task.samples, -1), task.truth])
    first = np.unique(rows, axis=0, return_index=True)[1]
    return np.sort(first)


def copies(task: Task) -> bool:
    """Are most samples there more than once?"""
    return len(unique_rows(task)) < 0.8 * task.samples


def reconstructs(task: Task) -> bool:
    """Are the targets the inputs, as an autoencoder has them?"""
    X = task.X.reshape(task.samples, -1)
    return X.shape == task.truth.shape and bool(np.allclose(X, task.truth))


def principal(task: Task, width: int) -> float:
    """The share of the targets' variance in their first `width` principal components: R² of the best linear code."""
    centred = task.truth - task.truth.mean(axis=0)
    values = np.linalg.svd(centred, compute_uv=False) ** 2
    return float(values[:width].sum() / max(values.sum(), 1e-300))


def is_unambiguous(task: Task) -> bool:
    """Do equal inputs always have equal targets, so that the inputs could explain all of them?"""
    X = task.X.reshape(task.samples, -1)
    both = np.unique(np.hstack([X, task.truth]), axis=0)
    return len(np.unique(X, axis=0)) == len(both) == task.samples
