"""What model, loss and optimizer keep in Python at the end of each whole epoch, for an epoch that has to be undone.

A state that a recurrent model hands from batch to batch, a list that grows in forward, a counter in the loss, a layer
that a callback has replaced: weights, statistics and plain numbers of modules alone are not the whole state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.compile.kept import Kept
from tinygrad_edu.compile.python_state import SHARED, PythonState
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train.snapshot import generators

LARGEST = 1_000_000  # numbers; a larger array, such as a data set, is not copied at each epoch
MANY = 1_000  # things; so many are searched once only, which takes 5 ms


class HasRoots(Protocol):
    """A call of `fit` or `fit_online`."""

    @property
    def model(self) -> Module: ...
    @property
    def optimizer(self) -> Optimizer: ...
    @property
    def roots(self) -> dict[str, Any]:
        """The code that a step runs, which may be the user's own."""


class KeptInPython:
    """Finds these things at the start and after 1, 4, 16 ... epochs, and copies what they hold at each (10 µs)."""

    def __init__(self, job: HasRoots, done: int) -> None:
        """done: the epochs so far."""
        self.job, self.first, self.next = job, done, 0.0
        self.kept: Sequence[Kept] = ()
        self.searched: list[Any] = []

    def now(self, done: int) -> Callable[[], None]:
        """Copy what they hold after `done` epochs; returns what puts it back, which may be done twice."""
        roots = [*self.job.roots.values()]
        if done >= self.next or list(map(id, roots)) != list(map(id, self.searched)):
            self.kept, self.searched = self.search(), roots
            self.next = self.first + max(1, 4 * (done - self.first)) if len(self.kept) < MANY else math.inf
        return partial(write_back, [pair for kept in self.kept for pair in copied(kept)])

    def search(self) -> list[Kept]:
        """All that is reached from model, loss and an optimizer of the user's, but for what snapshots hold."""
        model, optimizer = self.job.model, self.job.optimizer
        held = [*model.parameters(), *(x for _, x in model.named_buffers()), *optimizer.params, *generators(model)]
        moving = {id(x) for x in (*held, optimizer.t, optimizer.memory, *optimizer.schedules)}
        found = [x for x in PythonState(**self.job.roots).kept if id(x.thing) not in moving and not is_large(x.thing)]
        still = {x.name for x in self.kept if x.name in SHARED and not x.first_change()}
        return [x for x in found if x.name not in still]  # to read the generators of the process takes 25 of 35 µs


def is_large(x: object) -> bool:
    return isinstance(x, np.ndarray) and x.size > LARGEST


def copied(kept: Kept) -> list[tuple[Kept, Any]]:
    """It and what it holds now; nothing if it is no longer there."""
    try:
        return [(kept, kept.read())]
    except (AttributeError, KeyError, ValueError):
        return []


def write_back(pairs: Sequence[tuple[Kept, Any]]) -> None:
    """What they held."""
    for kept, was in pairs:
        kept.was = was
        if kept.first_change():
            kept.write(was)
