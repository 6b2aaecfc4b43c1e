"""What is to be learned: classes or numbers, how targets are coded for a loss, and what outputs say about them."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.encoding import encoding
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.data import Scaling, standardize
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.nn.losses import LOSSES

Array = np.ndarray[Any, Any]
MOST_CLASSES = 30
EDGE = 0.1  # share of an output's range by which targets scaled into it stay away from its ends


@dataclass(frozen=True)
class Task:
    """Data as the network was given it: X (n, ...), y (n,) or (n, k); for classes `labels` (n,) and `codes` (G, k).

    truth (n, k): the targets as rows of numbers. held_out: (X, y) that decide when the run ends, or None. outliers
    (n,): which targets lie far from all the others and from those of their neighbours; they are not judged.
    """

    X: Array
    y: Array
    truth: Array
    labels: Array | None = None
    codes: Array | None = None
    held_out: tuple[Array, Array] | None = None
    outliers: Array | None = None

    @property
    def samples(self) -> int:
        return len(self.X)

    @property
    def classes(self) -> int:
        """How many classes; 0 for numbers."""
        return 0 if self.codes is None else len(self.codes)

    @property
    def counted(self) -> bool:
        """Are more than two classes given as one number per sample?"""
        return self.codes is not None and self.classes > 2 and self.codes.shape[1] == 1

    @cached_property
    def several(self) -> bool:
        """Has each sample several labels, each of them yes or no?"""
        return self.codes is None and self.truth.shape[1] > 1 and bool(np.isin(self.truth, (0.0, 1.0)).all())

    @property
    def chance(self) -> float:
        """The accuracy of guessing; 0 for numbers."""
        return 1.0 / self.classes if self.classes else 0.5 if self.several else 0.0

    @cached_property
    def counts(self) -> Array:
        """How often each class comes."""
        return np.bincount(self.labels, minlength=self.classes) if self.labels is not None else np.array([self.samples])

    @cached_property
    def standard(self) -> Scaling:
        """The scaling that standardizes each feature; for sequences (samples, steps, features) over all steps."""
        return standardize(self.X if self.X.ndim == 2 else self.X.reshape(-1, self.X.shape[-1]))[1]

    def inputs(self, setup: Setup) -> Array:
        """X as a setup feeds it."""
        return self.prepare(self.X, setup)

    def prepare(self, X: Array, setup: Setup) -> Array:
        """Any inputs as a setup feeds them."""
        X = X if setup.inputs is None else self.preparation(setup)(X)
        return np.ascontiguousarray(X if setup.columns is None else X[:, list(setup.columns)])

    def preparation(self, setup: Setup) -> Any:
        """How a setup transforms the inputs."""
        return self.standard if setup.inputs == "standardized" else encoding(setup.inputs, self.X)

    def rows_for(self, setup: Setup) -> Any:
        """The samples that a setup learns from."""
        return slice(None) if setup.rows is None or self.outliers is None else ~self.outliers

    def inputs_for(self, setup: Setup) -> Array:
        """The inputs that a setup learns from."""
        return np.ascontiguousarray(self.inputs(setup)[self.rows_for(setup)])

    @cached_property
    def judged(self) -> Task:
        """Without the samples whose targets are no measure of anything."""
        if self.outliers is None:
            return self
        rows = ~self.outliers
        labels = None if self.labels is None else self.labels[rows]
        return Task(self.X[rows], self.y[rows], self.truth[rows], labels, self.codes)

    def judgeable(self, estimate: Array) -> Array:
        """The rows of an estimate that `judged` has."""
        return estimate if self.outliers is None else estimate[~self.outliers]

    def scaling(self, setup: Setup) -> Scaling | None:
        """How a setup transforms numeric targets."""
        if setup.targets is None:
            return None
        if setup.targets == "standardized":
            return standardize(self.truth[self.rows_for(setup)])[1]
        (low, high), (least, most) = finite_part(*setup.out_range), (self.truth.min(axis=0), self.truth.max(axis=0))
        margin = EDGE * (high - low)
        scale = np.maximum(most - least, 1e-12) / (high - low - 2.0 * margin)
        return Scaling(least - (low + margin) * scale, scale)

    def targets(self, setup: Setup) -> Array:
        """y as a setup's loss takes it."""
        if setup.coding is not None:
            assert self.labels is not None
            return self.labels if setup.coding == "numbers" else self.labels[:, None].astype(float)
        scaling = self.scaling(setup)
        if scaling is not None:
            return np.asarray(scaling(self.truth))
        single = self.y.ndim == 1 and setup.sizes[-1] == 1 and setup.loss_name in LOSSES
        return self.truth if single and not setup.takes_class_numbers else self.y

    def estimate(self, outputs: Array, setup: Setup) -> Array:
        """The estimate of `truth` that a network's outputs amount to: (n, k)."""
        p = link_outputs(outputs, setup)
        if setup.coding is not None:
            assert self.codes is not None
            return self.decide(p if p.shape[1] > 1 else np.hstack([1.0 - p, p]))
        scaling = self.scaling(setup)
        return p if scaling is None else scaling.inverse(p)

    def decide(self, p: Array) -> Array:
        """Probabilities (n, G) as an estimate: of classes that are numbers the likeliest, for 1 and 3 are not 2."""
        assert self.codes is not None
        return np.asarray(self.codes[p.argmax(axis=1)] if self.counted else p @ self.codes)

    def poll(self, near: Array) -> Array:
        """The estimate from neighbouring samples (n, count): their mean target, or their most common class."""
        if not self.counted:
            return np.asarray(self.truth[near].mean(axis=1))
        assert self.labels is not None
        return self.decide(np.eye(self.classes)[self.labels[near]].mean(axis=1))

    def nearest_class(self, estimate: Array) -> Array:
        """The class that each estimate is nearest to."""
        assert self.codes is not None
        if np.array_equal(self.codes, np.eye(self.classes)):
            return np.asarray(estimate.argmax(axis=1))
        return np.asarray(((estimate[:, None, :] - self.codes) ** 2).sum(axis=2).argmin(axis=1))

    def recalls(self, estimate: Array) -> Array:
        """The share of each class that is found, (G,)."""
        assert self.labels is not None
        hits = self.nearest_class(np.clip(estimate, -1e100, 1e100)) == self.labels
        return np.bincount(self.labels, hits, self.classes) / np.maximum(self.counts, 1)

    def accuracy(self, estimate: Array) -> float:
        """The mean over classes of the share found; of several labels, the mean of theirs."""
        if not self.several:
            return float(self.recalls(estimate).mean())
        hits, t = (estimate > 0.5) == (self.truth > 0.5), self.truth > 0.5
        found = [
            hits[t[:, j] == side, j].mean()
            for j in range(t.shape[1])
            for side in (False, True)
            if (t[:, j] == side).any()
        ]
        return float(np.mean(found))

    @np.errstate(over="ignore")
    def share(self, estimate: Array) -> float:
        """1 for all right, 0 for the best constant: accuracy above chance, all classes alike; R² of numbers."""
        if not np.isfinite(estimate).all():
            return -1.0
        if self.chance:
            return (self.accuracy(estimate) - self.chance) / (1.0 - self.chance)
        size = float((self.truth**2).sum())
        spread = float(((self.truth - self.truth.mean(axis=0)) ** 2).sum())
        spread = spread if spread > 1e-20 * size else size  # constant targets: relative to the distance from 0
        return 1.0 - float(((estimate - self.truth) ** 2).sum()) / max(spread, 1e-300)


def finite_part(low: float, high: float) -> tuple[float, float]:
    """A range without its infinite ends: one unit from the finite one, or 0 to 1.

    >>> finite_part(-np.inf, 0.0), finite_part(1.0, np.inf)
    ((-1.0, 0.0), (1.0, 2.0))
    """
    if np.isfinite(low):
        return low, high if np.isfinite(high) else low + 1.0
    return (high - 1.0, high) if np.isfinite(high) else (0.0, 1.0)


def link_outputs(outputs: Array, setup: Setup) -> Array:
    """Outputs as probabilities, or as numbers in the units of the targets that the loss takes."""
    z: Array = outputs.reshape(len(outputs), -1).astype(float)
    return np.asarray(find_activation(setup.link)(z))


def task_of(X: Samples, y: Samples, setup: Setup) -> Task:
    """The task that X and y define. Classes: integers (cross_entropy, nll), one-hot rows, or two values in a column."""
    X, y = np.asarray(X, dtype=float), np.asarray(y)
    rows = y.reshape(len(y), -1)
    if setup.takes_class_numbers and y.ndim == 1:
        count = max(int(y.max()) + 1, setup.sizes[-1])
        return Task(X, y.astype(np.int64), np.eye(count)[y.astype(int)], y.astype(np.int64), np.eye(count))
    rows = rows.astype(float)
    given = rows if y.ndim == 1 else y.astype(float)
    codes, labels = np.unique(rows, axis=0, return_inverse=True)
    if not are_classes(codes, setup, len(y)):
        return Task(X, given, rows)
    if rows.shape[1] > 1:
        low, high = codes.min(), codes.max()
        codes, labels = low + (high - low) * np.eye(rows.shape[1]), rows.argmax(axis=1)
    return Task(X, given, rows, labels.reshape(-1).astype(np.int64), codes)


def are_classes(codes: Array, setup: Setup, samples: int) -> bool:
    """Are these different rows of targets classes?"""
    count, width = codes.shape
    if not 2 <= count <= min(MOST_CLASSES, max(2, samples // 2)):
        return False
    if width > 1:
        high = codes == codes.max()  # one-hot in any coding: 0 and 1, -1 and 1, 0.1 and 0.9
        return bool((high | (codes == codes.min())).all() and (high.sum(axis=1) == 1).all())
    counting = np.array_equal(codes[:, 0], np.arange(count)) and setup.link != "exp"
    return count == 2 or setup.for_classes or bool(counting and count * 5 <= samples)
