"""A model is trained by one thread at a time: two would each undo and mix the other's steps, without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.errors import GraphError

RELEASED = threading.Condition()  # signals changes of TRAINERS and CALLING
TRAINERS: dict[int, int] = {}  # id of a parameter -> the thread that trains it
CALLING: set[int] = set()  # threads that run a callback
LOOK_AGAIN = 0.1  # seconds between checks, so that Ctrl-C ends the wait and a dead thread is noticed


def claim(parameters: Iterable[Node]) -> list[int]:
    """Wait until no other thread trains these parameters, then let none do so; what to `release` in the end.

    A fit inside a callback may train them too. Errors: GraphError if the other thread is running a callback: it may
    wait for this one, so that both would wait for ever.
    """
    here, keys = threading.get_ident(), [id(p) for p in parameters]
    with RELEASED:
        while others := ({TRAINERS.get(key, here) for key in keys} - {here}) & living():
            if others & CALLING:
                raise GraphError(
                    "a callback of another thread, which trains this model or one that shares parameters with it, "
                    "trains it here: their steps would mix. Train a copy, copy.deepcopy(model)"
                )
            RELEASED.wait(LOOK_AGAIN)
        mine = [key for key in keys if TRAINERS.get(key) != here]
        TRAINERS.update(dict.fromkeys(mine, here))
    return mine


def living() -> set[int | None]:
    """The threads that have not ended."""
    return {thread.ident for thread in threading.enumerate()}


def release(keys: Iterable[int]) -> None:
    """Let others train them; doing it twice is the same as once."""
    with RELEASED:
        for key in keys:
            TRAINERS.pop(key, None)
        RELEASED.notify_all()


@contextmanager
def calling_back() -> Iterator[None]:
    """A block that runs callbacks."""
    here = threading.get_ident()
    try:
        CALLING.add(here)
        yield
    finally:
        CALLING.discard(here)
