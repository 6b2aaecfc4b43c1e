"""What each way of training is to the loop in train.fit: whole epochs, one after the other."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import CompileError
from tinygrad_edu.train.ending import bad_reason, reason
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.progress_bar import Bar

Numbers = Any  # a list or an array


@dataclass(frozen=True)
class Epochs:
    """Whole epochs that were just done: their mean losses, the lengths of their last gradients and of their changes.

    `bad`: the order of the samples in the epoch after these, if its loss or the weights became NaN or infinite.
    `looked`: has the stopping rule been asked already?
    """

    losses: Numbers
    grad_norms: Numbers
    update_norms: Numbers
    bad: Any = None
    looked: bool = False


class TakenBackError(CompileError):
    """Compiled epochs that cannot be trusted, because the eager step gives other numbers: the run begins anew."""


class Stepper:
    """One way of training. The loop records what `epochs` gives, and then asks for more."""

    writes_whole = False  # does it change model and optimizer by whole epochs only, never within one?
    interrupted = False  # Ctrl-C has ended training without an exception, as it does on ranks

    def __init__(self, job: Job, shown: Bar) -> None:
        self.job, self.shown, self.start = job, shown, len(job.losses)  # start: epochs done before

    def epochs(self) -> Generator[Epochs, None, None]:
        """All epochs that are left, as they are done."""
        raise NotImplementedError

    def look(self, measured: Callable[[], None]) -> bool:
        """Do what Python does after an epoch; True if it was the last one."""
        return self.job.look(measured)

    def read_again(self) -> None:
        """Read what callbacks may have changed, if this way keeps copies of it."""

    def confirm(self) -> None:
        """Check the end of a run. Errors: TakenBackError where its numbers are not those of the eager way."""

    def settle(self) -> Epochs | None:
        """After Ctrl-C: whole epochs that the loop has not had yet. To ask twice is the same as once."""
        return None

    def close(self) -> None:
        """Let go of threads and the like."""

    def ending(self) -> str:
        """Why it ended by itself."""
        return reason(self.job)

    def bad_ending(self, order: ArrayLike) -> str:
        """Why it ended, where the loss or the weights became NaN or infinite; the model is as before that epoch."""
        return bad_reason(self.job, order)
