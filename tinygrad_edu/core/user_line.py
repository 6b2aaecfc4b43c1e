"""Warnings that point at the user's line, whatever of this library stands between it and the place that warns."""

from __future__ import annotations

import sys
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

HERE = str(Path(__file__).parents[1])


class _Telling(threading.local):
    told: set[type[Warning]] | None = None  # inside of `each_once`, the kinds that were told already
    silent = False


TELLING = _Telling()


def warn_user(words: str, kind: type[Warning]) -> None:
    """Warn in the line of the user's program that runs now."""
    if TELLING.silent or (TELLING.told is not None and kind in TELLING.told):
        return
    if TELLING.told is not None:
        TELLING.told.add(kind)
    warnings.warn(words, kind, stacklevel=1 + level_of(users_frame(sys._getframe(0))))


def leaf_in_words(leaf: Any) -> str:
    """A leaf by its label or what it is, without numbers.

    Python shows a text once for each line of a program, and a loop has other numbers in each round.
    """
    kind = type(leaf).__name__
    if leaf.label:
        return f"{kind} {leaf.label!r}"
    return f"{kind} of shape {leaf.shape}" if getattr(leaf, "shape", ()) else f"a {kind}"


def users_frame(frame: FrameType) -> FrameType:
    """The frame of the user's program that this one runs for."""
    while frame.f_back is not None and not is_users(frame):
        frame = frame.f_back
    return frame


def level_of(frame: FrameType) -> int:
    """How many calls the caller of this is away from that frame."""
    level, each = 0, sys._getframe(1)
    while each is not frame and each.f_back is not None:
        level, each = level + 1, each.f_back
    return level


def is_users(frame: FrameType) -> bool:
    """Is it a line of neither this library nor Python's own?"""
    root = str(frame.f_globals.get("__name__")).partition(".")[0]
    return not frame.f_code.co_filename.startswith(HERE) and root not in sys.stdlib_module_names


@contextmanager
def each_once(silent: bool = False) -> Iterator[None]:
    """In this block, each kind of warning is told once: `fit` makes the same step again and again.

    silent: not at all, where the same is about to be said in another way.
    """
    before = TELLING.told, TELLING.silent
    TELLING.told, TELLING.silent = (set() if before[0] is None else before[0]), silent or before[1]
    try:
        yield
    finally:
        TELLING.told, TELLING.silent = before
