"""How many transforms and losses are running around this one, in this thread."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tinygrad_edu.core.modes import recording


class _Depth(threading.local):
    level = 0  # number of transforms running around this one
    losses = 0  # number of losses, of `fit` or a compiled function, that are being computed around it


DEPTH = _Depth()


@contextmanager
def inside_transform() -> Iterator[None]:
    DEPTH.level += 1
    try:
        with recording():
            yield
    finally:
        DEPTH.level -= 1


@contextmanager
def inside_loss() -> Iterator[None]:
    """In here a derivative stays a node, also at plain numbers: a backward pass through it will follow."""
    DEPTH.losses += 1
    try:
        yield
    finally:
        DEPTH.losses -= 1


def at_work() -> bool:
    """Is a transform, or a loss that will be differentiated, running around this one?"""
    return DEPTH.level > 0 or DEPTH.losses > 0
