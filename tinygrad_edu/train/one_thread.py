"""A model is trained by one thread at a time: two would each undo and mix the other's steps, without a word."""

from __future__ import annotations

import threading
from collections.abc import Iterable

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.errors import GraphError

MUTEX = threading.Lock()  # of TRAINERS
TRAINERS: dict[int, int] = {}  # the thread that trains a parameter, by the parameter's id


def claim(parameters: Iterable[Node]) -> list[int]:
    """From now on this thread alone may train these parameters; what to `release` in the end.

    A fit inside a callback may train them too. Errors: GraphError if another thread trains one of them.
    """
    here, keys = threading.get_ident(), [id(p) for p in parameters]
    with MUTEX:
        if any(TRAINERS.get(key, here) != here for key in keys):
            raise GraphError(
                "another thread is training this model, or one that shares parameters with it: their steps would mix. "
                "Wait for it, or train a copy, copy.deepcopy(model)"
            )
        mine = [key for key in keys if key not in TRAINERS]
        TRAINERS.update(dict.fromkeys(mine, here))
    return mine


def release(keys: Iterable[int]) -> None:
    """Let others train them; doing it twice is the same as once."""
    with MUTEX:
        for key in keys:
            TRAINERS.pop(key, None)
