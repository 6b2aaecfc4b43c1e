"""The progress of a run: its curves, the best epoch, and whether something has ended it."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.train.stopping import has_fired, stopping, stops

Curve: TypeAlias = "array[float]"


def as_curve(numbers: ArrayLike = b"") -> Curve:
    """Numbers of each epoch, from the bytes of an array or a list: without an object for each (75 µs in a thousand)."""
    return array("d", numbers)


@dataclass
class Progress:
    """The record of a run so far, which every stepper adds to with `record` and `observe`.

    `losses`, `grad_norms`, `update_norms`: a number for each whole epoch, `validation` too where samples were held out.
    """

    tol: float | None = None
    patience: int | None = None
    losses: Curve = field(default_factory=as_curve)
    grad_norms: Curve = field(default_factory=as_curve)
    update_norms: Curve = field(default_factory=as_curve)
    validation: list[float] = field(default_factory=list)
    best: Any = None  # (loss, epoch, state) of the best epoch on the validation data
    last: Any = None  # state after the last epoch, kept while the model holds the best one
    seen: int = 0  # epochs observed by the stopping rule so far
    stopped: bool = False  # the stopping rule has ended the run
    callback_reason: str = ""  # why a callback has ended the run; "" if none has
    pending: bool = False  # callbacks of the last epoch were interrupted: call them again when the run continues
    called: int = 0  # of these, the first so many have run already: one of them has saved the run

    def __post_init__(self) -> None:
        self.rule = stopping(self.tol, self.patience)  # the rule's state as numbers, which compiled programs update too

    @property
    def curves(self) -> tuple[Any, ...]:
        """All four."""
        return self.losses, self.grad_norms, self.update_norms, self.validation

    @property
    def epochs(self) -> int:
        """Whole epochs so far."""
        return len(self.losses)

    @property
    def has_rule(self) -> bool:
        """Is there a rule that may end the run early?"""
        return self.tol is not None or self.patience is not None

    def record(self, losses: Sequence[float], grad_norms: Sequence[float], update_norms: Sequence[float]) -> None:
        """Add whole epochs to the curves."""
        for known, new in zip(self.curves[:3], (losses, grad_norms, update_norms), strict=True):
            known.frombytes(np.ascontiguousarray(new, dtype=float).data.cast("B"))  # a single copy

    def observe(self, loss: float) -> None:
        """Tell the rule the loss of an epoch that it goes by."""
        self.stopped = self.has_rule and bool(stops(self.rule, loss))

    def follow_program(self, epochs: int) -> bool:
        """Follow the rule after epochs in which a compiled program updated it; True if it has ended the run."""
        self.seen = self.epochs
        self.stopped = bool(epochs) and self.has_rule and has_fired(self.rule, self.losses)
        return self.stopped

    def mark(self) -> Any:
        """A mark of how far the run is, for `back_to`."""
        flags = self.best, self.last, self.seen, self.stopped, self.callback_reason, self.pending, self.called
        return [len(each) for each in self.curves], self.rule.copy(), flags

    def back_to(self, mark: Any) -> None:
        """The record as it was at a `mark()`."""
        for known, length in zip(self.curves, mark[0], strict=True):
            del known[length:]
        self.rule[:] = mark[1]
        self.best, self.last, self.seen, self.stopped, self.callback_reason, self.pending, self.called = mark[2]
