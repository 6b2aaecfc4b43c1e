"""The last whole epoch of a run, to which Ctrl-C, NaN and errors lead back wherever they occur."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.train.changed import BeforeCallbacks, memory_prints
from tinygrad_edu.train.interrupted_callbacks import BeforeThisEpoch, Keepers
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.kept_in_python import KeptInPython
from tinygrad_edu.train.own_code import are_own
from tinygrad_edu.train.snapshot import Point


class LastWhole:
    """An epoch is whole once the callbacks have run, because they may write.

    Callbacks that have only read so far may be interrupted: they are called again when the run continues, because one
    of them may have been about to write for the first time.
    """

    def __init__(self, job: Job) -> None:
        self.job = job
        self.point: Point | None = None  # None where nothing has to be undone: before `is_now`, and at the end
        self.measured: Point | None = None  # state of an epoch before its callbacks ran
        # whether the callbacks of all earlier epochs only read; None if none has run
        self.only_look: bool | None = None
        self.memory: list[Any] = []  # of the optimizer, before the callbacks of an epoch
        self.keepers: Keepers | None = None
        self.before: BeforeThisEpoch | None = None  # what callbacks keep, while those of an epoch run
        self.python: KeptInPython | None = None

    def is_now(self) -> None:
        """Note the present state as a whole epoch."""
        point = self.mark()
        # at once, so that no Ctrl-C comes between them: a point goes with what callbacks keep
        self.point, self.measured, self.before = point, None, None

    def mark(self) -> Point:
        """The present state."""
        return Point(self.job, self.python.now(len(self.job.losses))) if self.python is not None else Point(self.job)

    def hold_python(self) -> None:
        """From now on hold what the user's own code keeps in Python, too."""
        self.python = KeptInPython(self.job, len(self.job.losses))
        self.is_now()

    def note(self) -> None:
        """The state before the callbacks."""
        job = self.job
        if not job.settings.callbacks:
            return
        self.measured, self.memory = self.mark(), memory_prints(job.optimizer)
        self.keepers = self.keepers or Keepers(job)
        self.before = BeforeThisEpoch(job, self.keepers)
        if job.before is None and are_own(job.settings.callbacks):
            job.before = BeforeCallbacks(job)

    def follow_callbacks(self, for_good: bool = False) -> None:
        """The callbacks of an epoch have run, where there are any: it is whole.

        for_good: is it the last one, after which nothing will have to be undone?
        """
        if self.measured is not None:
            same = self.measured.is_now() and self.memory == memory_prints(self.job.optimizer)
            self.only_look = self.only_look is not False and same
            self.job.written = self.job.written or not self.only_look
        if for_good:
            self.point, self.measured, self.before = None, None, None
        else:
            self.is_now()

    def count_interrupted(self) -> None:
        """Count an epoch whose callbacks were interrupted as whole, if they have written nothing so far."""
        if self.measured is not None and self.only_look and self.measured.is_now():
            self.point = self.measured

    def restore(self) -> None:
        """Go back to it; doing it twice is the same as once."""
        if self.before is not None:
            self.before.restore()
        if self.point is not None:
            self.point.restore()
