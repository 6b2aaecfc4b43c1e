"""Large graphs of Values and Python's cyclic garbage collector: why a node costs the same in a graph of any size.

A graph of Values has no cycles (a node knows its parents, never its children), so reference counts free it at once.
Yet the collector goes through all objects again whenever their number has grown by a quarter: at a million nodes that
was more than half of the time (1.3 to 1.5 µs a node instead of 0.6). While most new objects are Values, all
collections except those of the youngest objects are skipped: every object is set aside meanwhile (`gc.freeze`,
`gc.unfreeze`).

Nothing else changes. The collector stays on, its thresholds are untouched, every `gc.collect()` of a program takes
place, and if a program has frozen objects itself, nothing is skipped. Cyclic garbage that a program makes beside its
Values waits longer: for two million new objects at most, then for four, and so on.
"""

from __future__ import annotations

import gc
from typing import Any

FIRST_WAIT = 285  # collections skipped in a row, one after every 7,000 new objects: 2,000,000 objects
INTERPRETERS = 1000  # Python 3.12 begins with 375 frozen objects of its own; a program freezes tens of thousands


class Collector:
    """A callback of the garbage collector that skips its larger collections while a graph of `node`s is built."""

    def __init__(self, node: type) -> None:
        self.node = node
        self.aside = False  # are the objects set aside just now?
        self.called_off, self.wait = 0, FIRST_WAIT

    def __call__(self, phase: str, info: dict[str, Any]) -> None:
        generation = info["generation"]
        if generation == 0:
            return
        if phase == "start" and self.useless():
            gc.freeze()
            self.aside = True
        elif self.aside:
            gc.unfreeze()
            self.aside = False
        elif generation == 2 and phase == "stop":  # a full collection took place
            self.called_off, self.wait = 0, 2 * self.wait if self.called_off else FIRST_WAIT

    def useless(self) -> bool:
        """Has the collector started by itself, while a graph is being built, and not been skipped for too long?"""
        by_itself = gc.isenabled() and gc.get_count()[0] > gc.get_threshold()[0]
        if self.called_off >= self.wait or not by_itself or frozen_by_program() or not self.building():
            return False
        self.called_off += 1
        return True

    def building(self) -> bool:
        """Is a graph being built, so that most objects since the last collection are nodes?"""
        young = gc.get_objects(generation=0)
        return 2 * sum(type(x) is self.node for x in young) > len(young)


def frozen_by_program() -> bool:
    return gc.get_freeze_count() > INTERPRETERS


def spare(node: type) -> None:
    """Skip collections while graphs of such nodes are built, if Python can (PyPy has no `gc.freeze`)."""
    if hasattr(gc, "freeze"):
        gc.callbacks.append(Collector(node))
