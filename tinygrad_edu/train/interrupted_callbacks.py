"""What callbacks keep, as it was before those of an epoch ran: if they are interrupted, they will run once more."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.compile.user_code import attribute_space
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.kept_by_callbacks import owner_of
from tinygrad_edu.train.set_by_callbacks import schedulers_of

MANY = 1000  # entries of a dict; it is copied before each epoch's callbacks


class Keepers:
    """The callback objects of a run and the schedulers that they know: found once."""

    def __init__(self, callbacks: Sequence[Any]) -> None:
        self.schedulers = schedulers_of(callbacks)
        owners = {id(x): x for x in map(owner_of, callbacks) if x is not None}
        self.spaces = [attribute_space(x) for x in owners.values()]


class BeforeThisEpoch:
    """Batch sizes, settings, schedulers and attributes of callback objects, before the callbacks of an epoch.

    Arrays that they write in place, and variables of closures, are not held.
    """

    def __init__(self, job: Job, keepers: Keepers) -> None:
        self.job, self.sizes, self.settings = job, list(job.sizes), job.settings
        self.schedulers = [(x, x.state_dict()) for x in keepers.schedulers]
        self.attributes = [(space, dict(space)) for space in keepers.spaces]
        found = [x for _, kept in self.attributes for x in kept.values()]
        self.lists = [(x, len(x)) for x in found if type(x) is list]
        self.dicts = [(x, dict(x)) for x in found if type(x) is dict and len(x) <= MANY]

    def restore(self) -> None:
        """Put everything back; to do it twice is the same as once."""
        self.job.sizes[:], self.job.settings = self.sizes, self.settings
        for scheduler, state in self.schedulers:
            scheduler.load_state_dict(state)
        for space, kept in self.attributes:
            for name in space.keys() - kept.keys():
                del space[name]
            space.update(kept)
        for each, length in self.lists:
            del each[length:]
        for entries, kept in self.dicts:
            entries.clear()
            entries.update(kept)
