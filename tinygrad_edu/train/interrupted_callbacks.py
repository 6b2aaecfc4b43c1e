"""What callbacks keep, as it was before those of an epoch ran: if they are interrupted, they will run once more."""

from __future__ import annotations

from collections.abc import Sequence
from types import CellType
from typing import Any

import numpy as np

from tinygrad_edu.compile.kept import Kept
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.compile.settings_read import GENERATORS
from tinygrad_edu.compile.user_code import attribute_space
from tinygrad_edu.train.code_of_runs import known_to
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.kept_by_callbacks import owner_of
from tinygrad_edu.train.set_by_callbacks import schedulers_of

# parts of a Job that a callback may put another one in place of, as in job.data = (X, y)
PARTS = ("model", "optimizer", "settings", "data", "held_out", "loss", "chances")
MANY = 1_000  # entries of a list or dict, which is copied before each epoch's callbacks
SMALL = 10_000  # numbers of an array: the same


class Keepers:
    """What callbacks know and may change: their objects, lists, dicts, arrays, variables, generators; found once."""

    def __init__(self, job: Job) -> None:
        callbacks = job.settings.callbacks
        self.schedulers, found = schedulers_of(callbacks), [x for _, x in known_to({"": list(callbacks)})]
        owners = {id(x): x for x in map(owner_of, callbacks) if x is not None}
        self.spaces = [attribute_space(x) for x in owners.values()]
        self.containers = [x for x in found if type(x) in (list, dict)]
        self.arrays = [x for x in (*found, *job.data, *(job.held_out or ())) if is_small(x)]
        self.generators = states_of_generators([x for x in found if isinstance(x, GENERATORS)])
        functions = [getattr(x, "__func__", x) for x in callbacks]
        self.cells = [cell for f in functions for cell in getattr(f, "__closure__", None) or ()]


def is_small(x: object) -> bool:
    return isinstance(x, np.ndarray) and x.size <= SMALL and x.flags.writeable


def states_of_generators(found: Sequence[Any]) -> list[Kept]:
    """How to read and write the state of each."""
    return [kept for kept in PythonState(callbacks=found).kept if any(kept.thing is x for x in found)]


def holds_something(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not cell
    except ValueError:  # its variable has no value yet
        return False


class BeforeThisEpoch:
    """Batch sizes, settings, data, schedulers and what the callbacks keep, before those of an epoch.

    Not held: large arrays that are written in place.
    """

    def __init__(self, job: Job, keepers: Keepers) -> None:
        self.job, self.sizes = job, list(job.sizes)
        self.parts = {name: getattr(job, name) for name in PARTS}
        self.schedulers = [(x, x.state_dict()) for x in keepers.schedulers]
        self.attributes = [(space, dict(space)) for space in keepers.spaces]
        found = [*keepers.containers, *(x for _, kept in self.attributes for x in kept.values())]
        self.lists = [(x, list(x)) for x in found if type(x) is list and len(x) <= MANY]
        self.long = [(x, len(x)) for x in found if type(x) is list and len(x) > MANY]
        self.dicts = [(x, dict(x)) for x in found if type(x) is dict and len(x) <= MANY]
        self.arrays = [(x, x.copy()) for x in keepers.arrays]
        self.generators = [(kept, kept.read()) for kept in keepers.generators]
        self.cells = [(cell, cell.cell_contents) for cell in keepers.cells if holds_something(cell)]

    def restore(self) -> None:
        """Put everything back; to do it twice is the same as once."""
        self.job.sizes[:] = self.sizes
        vars(self.job).update(self.parts)
        for scheduler, state in self.schedulers:
            scheduler.load_state_dict(state)
        for space, kept in self.attributes:
            for name in space.keys() - kept.keys():
                del space[name]
            space.update(kept)
        for each, entries in self.lists:
            each[:] = entries
        for array, numbers in self.arrays:
            array[...] = numbers
        for each, length in self.long:
            del each[length:]
        for mapping, items in self.dicts:
            mapping.clear()
            mapping.update(items)
        for rng, state in self.generators:
            rng.write(state)
        for cell, x in self.cells:
            cell.cell_contents = x
