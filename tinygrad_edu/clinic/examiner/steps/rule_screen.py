"""Which numbers of an update rule are worth a full comparison: all of them tried at once, on a few entries.

A rule works entry by entry, so that its numbers can be columns of a table and a few entries of the gradients its rows.
A rule that explains every change explains these few entries, too. What fails here is left out; nothing is accepted yet.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.steps.step_walk import FITS, NOISE, SINGLE, Walk
from tinygrad_edu.clinic.examiner.steps.update_rules import Start, UpdateRule

Array = np.ndarray[Any, Any]
OF_EACH, OF_ALL = 4, 48  # entries used per parameter, and in all
LOOSE = 4.0  # factor by which the bounds are wider here than in the final test of a rule
DECAY = 1e-3  # relative; the decay's share may vary this much over a few entries


@dataclass(frozen=True)
class FewEntries:
    """A change, its gradient and the weights before it, on a few entries; what rounding allows at each."""

    change: Array
    slope: Array
    weight: Array
    bound: Array
    small: Array

    @classmethod
    def of(cls, walk: Walk, k: int, chosen: Array) -> FewEntries:
        """The k-th change of a walk."""
        change, weight = walk.changes[k], walk.flat(walk.weights[k])
        lengths = [float(np.linalg.norm(x)) for _, x in walk.parts(change)]
        weights = [float(np.linalg.norm(x)) for _, x in walk.parts(weight)]
        sizes = [walk.gradients[0][n].size for n in walk.names]
        fits, lost = (SINGLE, 1e-7) if walk.single else (FITS, 1e-15)
        whole = float(np.linalg.norm(change))
        bounds = [fits * d + lost * w + 10.0 * lost * whole for d, w in zip(lengths, weights, strict=True)]
        small = [1e-7 * d + 1e-14 * w for d, w in zip(lengths, weights, strict=True)]
        wide, narrow = (LOOSE * np.repeat(x, sizes)[chosen] for x in (bounds, small))
        wide = np.where(walk.numb[chosen], np.maximum(wide, NOISE * np.abs(change).max(initial=0.0)), wide)
        return cls(change[chosen], walk.slopes[k][chosen], weight[chosen], wide, narrow)

    def rates(self, made: Array) -> Array:
        """The rate that fits each row best; any where the change is 0."""
        return np.asarray(np.nan_to_num((made @ self.change / np.sum(made * made, axis=1))[:, None]))

    def fits(self, made: Array, lr: Any) -> Array:
        """For each row of steps, whether the change is lr times that row."""
        return np.asarray(np.all(np.abs(self.change - lr * made) <= self.bound, axis=1))

    def decays(self, rest: Array) -> Array:
        """For each row, whether what is left of the change is 0 or one and the same multiple of w at every entry."""
        open_ = np.abs(rest) > self.small
        w = np.where(open_, self.weight, 0.0)
        share = np.sum(rest * w, axis=1) / np.sum(w * w, axis=1)
        off = np.abs(rest - share[:, None] * w) * open_
        near = np.all(off <= self.small + DECAY * np.abs(rest).max(axis=1, keepdims=True), axis=1)
        return np.asarray((share != 0.0) & near)


class Screen:
    """The first changes of a walk on a few entries: the first one, and the direction of the second."""

    def __init__(self, walk: Walk) -> None:
        self.walk = walk
        self.chosen = largest_entries(walk)
        self.changes = [FewEntries.of(walk, k, self.chosen) for k in range(min(2, len(walk.changes)))]

    def pass_on(
        self, rule: UpdateRule, names: Sequence[str], choices: Sequence[Sequence[float]], start: Start
    ) -> Array:
        """A boolean for each combination of the numbers, in order: could it explain the changes?

        The second change may have another rate, one that falls.
        """
        table = [*itertools.product(*choices)]
        columns: Mapping[str, Any] = {
            **{name: np.array([row[k] for row in table])[:, None] for k, name in enumerate(names)},
            "place": self.place[self.chosen],
            "count": len(self.walk.names),
        }
        m, v = (x[self.chosen] if isinstance(x, np.ndarray) else x for x in start[:2])
        steps = rule.steps([x.slope for x in self.changes], columns, (m, v, start[2]))
        made = [np.broadcast_to(np.asarray(x), (len(table), len(self.chosen))) for x in steps]
        lr, first = self.walk.lr, self.changes[0]
        with np.errstate(all="ignore"):
            found = first.fits(made[0], lr or first.rates(made[0]))
            for few, x in zip(self.changes[1:], made[1:], strict=True):
                found &= few.fits(x, few.rates(x))
            if lr and "adam" in rule.name:
                pairs = zip(self.changes, made, strict=True)
                found |= np.all([few.decays(few.change - lr * x) for few, x in pairs], axis=0)
        return found

    @property
    def place(self) -> Array:
        """The number of the parameter, from 1, that each entry belongs to."""
        sizes = [self.walk.gradients[0][n].size for n in self.walk.names]
        return np.repeat(np.arange(1, len(sizes) + 1), sizes)


def largest_entries(walk: Walk) -> Array:
    """The entries with the largest gradients of every parameter."""
    each = max(1, min(OF_EACH, OF_ALL // len(walk.names)))
    begin, found = 0, []
    for _, g in walk.parts(walk.slopes[0]):
        found.append(begin + np.argsort(-np.abs(g))[:each])
        begin += g.size
    return np.concatenate(found)
