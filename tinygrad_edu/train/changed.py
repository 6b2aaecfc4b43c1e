"""What callbacks can change in place, without an assignment that a snapshot of the model sees.

A program that is written from a run (interop/files.py) trains without its callbacks. So it is refused where they had a
part in the training: weights, rates and settings are compared after each epoch (last_whole.py); data, loss and all that
forward reads in Python are compared here once, with what they were before the callbacks first ran.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.compile.closure_guard import Guard
from tinygrad_edu.core.writes.checksum import checksum
from tinygrad_edu.core.writes.write_guard import fingerprint
from tinygrad_edu.nn.kept import untrained
from tinygrad_edu.train.snapshot import generators


class BeforeCallbacks:
    """A job before its callbacks first ran."""

    def __init__(self, job: Any) -> None:
        self.loss, self.settings, self.data, self.found = job.loss, job.settings, prints(job), ""
        self.guard: Guard | None = Guard([*job.roots.values()])
        self.callbacks: Guard | None = Guard([*job.settings.callbacks])
        # training itself changes these
        moving = {id(x) for x in (*job.model.parameters(), *generators(job.model))}
        moving |= {id(array) for _, array in untrained(job.model)}
        moving |= {id(x) for x in (*job.data, *(job.held_out or ()))}
        for guard in (self.guard, self.callbacks):
            guard.things = [(name, x) for name, x in guard.things if id(x) not in moving]
            guard.compare({}, ())

    def change(self, job: Any) -> str:
        """What of it is another thing or holds something else by now; "" for nothing."""
        data, known = prints(job), self.data
        other = [name for name in {**data, **known} if data.get(name) != known.get(name)]
        if other:
            return other[0]
        if job.loss is not self.loss:
            return "the loss"
        if {**job.settings.plan, "epochs": 0} != {**self.settings.plan, "epochs": 0}:  # Run.resume changes the epochs
            return "the settings"
        return self.found or self.read_by_forward()

    def read_by_forward(self) -> str:
        return self.guard.first_change() if self.guard is not None else ""

    def changed_by_callbacks(self) -> list[str]:
        """The names of what the callbacks themselves keep, and have changed."""
        checks = self.callbacks.checks if self.callbacks is not None else []
        return list(dict.fromkeys(check.what() for check in checks if not check.holds()))

    def __getstate__(self) -> dict[str, Any]:
        """For copies of a run and for pickle: what was found so far, since a guard looks at one model's own objects."""
        return {**vars(self), "guard": None, "callbacks": None, "found": self.found or self.read_by_forward()}


def changed_by_callbacks(job: Any) -> str:
    """What callbacks of this run have changed, or somebody else meanwhile; "" for nothing that is known of."""
    if job.written or len(job.sizes) > 1:
        return "weights, rates, batches or other settings"
    return job.before.change(job) if job.before is not None else ""


def prints(job: Any) -> dict[str, Any]:
    """Shapes and checksums of the data that it is trained and validated on."""
    names = ("X", "y", "sample_weight")
    found = dict(zip(names, job.data, strict=False))
    found |= {} if job.chances is None else {"sample_weight": job.chances}
    found |= dict(zip(("validation X", "validation y"), job.held_out or (), strict=False))
    return {name: [list(x.shape), checksum(x)] for name, x in found.items()}


def memory_prints(optimizer: Any) -> list[Any]:
    """Something for each array in an optimizer's memory that is another one once it has been written to."""
    found = [x for each in optimizer.memory for x in each]
    return [fingerprint(x) if isinstance(x, np.ndarray) else repr(x) for x in found]
