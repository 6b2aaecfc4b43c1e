"""A model is trained by one thread at a time: two would each undo and mix the other's steps, without a word."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.errors import GraphError

# id of a parameter -> the thread that trains it. Changed only by setdefault and pop, which are atomic: no lock is
# needed, and none can be left locked by Ctrl-C, as a Condition was, which takes its lock in Python code.
TRAINERS: dict[int, int] = {}
CALLING: set[int] = set()  # threads that run a callback
LOOK_AGAIN = 0.1  # seconds between checks, so that Ctrl-C ends the wait and a dead thread is noticed


def claim(parameters: Iterable[Node], mine: list[int]) -> None:
    """Wait until no other thread trains these parameters, then let none do so.

    mine: is given what to `release` in the end, before anything is claimed, so that Ctrl-C leaves nothing claimed.
    A fit inside a callback may train them too. Errors: GraphError if the other thread is running a callback: it may
    wait for this one, so that both would wait for ever.
    """
    here, keys, pause = threading.get_ident(), [id(p) for p in parameters], 0.001
    while not claimed_at_once(here, keys, mine):
        time.sleep(pause)
        pause = min(2.0 * pause, LOOK_AGAIN)


def claimed_at_once(here: int, keys: list[int], mine: list[int]) -> bool:
    """Claim them, or none if another thread trains one of them. Errors: GraphError."""
    for key in keys:
        if TRAINERS.get(key) == here:
            continue
        mine.append(key)
        other = TRAINERS.setdefault(key, here)
        if other != here and other not in living():
            TRAINERS[key] = other = here
        if other != here:
            release(mine)
            mine.clear()
            if other in CALLING:
                raise GraphError(
                    "a callback of another thread, which trains this model or one that shares parameters with it, "
                    "trains it here: their steps would mix. Train a copy, copy.deepcopy(model)"
                )
            return False
    return True


def living() -> set[int | None]:
    """The threads that have not ended."""
    return {thread.ident for thread in threading.enumerate()}


def release(mine: Iterable[int]) -> None:
    """Let others train them; doing it twice is the same as once."""
    here = threading.get_ident()
    for key in mine:
        if TRAINERS.get(key) == here:  # Ctrl-C may have come before it was claimed
            TRAINERS.pop(key)


@contextmanager
def calling_back() -> Iterator[None]:
    """A block that runs callbacks."""
    here = threading.get_ident()
    try:
        CALLING.add(here)
        yield
    finally:
        CALLING.discard(here)
