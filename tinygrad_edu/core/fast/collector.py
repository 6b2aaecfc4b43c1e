"""Large graphs of Values and Python's cyclic garbage collector: why a node costs the same in a graph of any size.

A graph of Values has no cycles (a node knows its parents, never its children), so reference counts free it at once.
Yet the collector goes through all objects again whenever their number has grown by a quarter: at a million nodes that
was half of the time (0.8 µs a node instead of 0.4). So once a program has gone backward through a large graph, all but
the collections of the youngest objects wait until there are four new objects for each of its nodes, two million at
most: no more than it takes to build the next one (at 60,000 nodes both cost the same). They wait for ever after, in the
whole process, and garbage in cycles waits with them: of cycles that hold 1 MB each, 1.4 GB came together in a program
that waited for two million objects after 60,000 nodes.

Nothing else changes: the collector stays on, every `gc.collect()` of a program takes place, and a larger threshold of
the program's own is kept. It is a threshold, not a function in `gc.callbacks`, because Python forgets an exception in
such a function: a Ctrl-C that came during a collection would be lost (48 of 65 were).
"""

from __future__ import annotations

import gc

LARGE = 50_000  # nodes
WAIT, EACH = 2_000_000, 4  # new objects before older ones are collected again: at most in all, and per node


def spare_older(nodes: int) -> None:
    """Delay collections of older objects after a backward pass through a large graph."""
    if nodes < LARGE:
        return
    young, middle, old = gc.get_threshold()
    wait = min(WAIT, EACH * nodes) // max(young, 1)
    if young and 0 < middle < wait:
        gc.set_threshold(young, wait, old)
