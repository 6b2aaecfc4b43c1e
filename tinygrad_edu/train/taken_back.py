"""Where a compiled run began, to go back to if its epochs cannot be trusted."""

from __future__ import annotations

from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.snapshot import Point


class Beginning:
    """Model, optimizer, record, and what model, loss and callbacks keep in Python, as they were.

    For a compiled run with code of the user's own, whose numbers are compared with the eager ones.

    With callbacks also the data, which they may write to, and all that the job consists of.
    """

    def __init__(self, job: Job) -> None:
        self.job, callbacks = job, job.settings.callbacks
        data = [job.data, job.held_out] if callbacks else []
        self.python = PythonState(model=job.model, loss=job.loss, callbacks=list(callbacks), data=data)
        self.point, self.parts, self.sizes = Point(job), dict(vars(job)), list(job.sizes)

    def restore(self) -> None:
        """Put everything back; to do it twice is the same as once."""
        vars(self.job).update(self.parts)
        self.job.sizes[:] = self.sizes
        self.python.restore()
        self.point.restore()
