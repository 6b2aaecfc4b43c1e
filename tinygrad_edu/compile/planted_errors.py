"""Errors of Python's numbers that a function catches, found by raising them in further traces.

`1 / 0.0` and `1e300**3` are errors for Python's numbers, and inf or nan in a program. A function that catches such an
error goes another way then, which its first call may not show. So where its code catches errors at all, one more trace
for each place that divides or raises to a power raises one there: if the function goes on, it is refused.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from types import FrameType
from typing import Any

from tinygrad_edu.core.tracing.whose_code import is_foreign
from tinygrad_edu.errors import TraceError

RAISING = {"div", "pow", "square", "reciprocal", "mod", "floor_divide"}  # operations whose operators may raise one
BY_DIVISOR = {"div", "mod", "floor_divide"}
MOST = 16  # places that are tried
Place = tuple[str, int]  # file and line


class PlantedError(ZeroDivisionError, OverflowError):
    """An error raised on trial."""


class _Trial(threading.local):
    places: dict[Place, list[Any]] | None = None  # those that the trace has met, and what it computed with there
    at: Place | None = None  # where to raise


TRIAL = _Trial()


def meet(name: str, operands: Sequence[Any], constant_divisor: bool) -> None:
    """Note the line of the user's that computes with these numbers. Errors: PlantedError if it is its turn."""
    if TRIAL.places is None or name not in RAISING or (constant_divisor and name in BY_DIVISOR):
        return
    frame = users_frame(sys._getframe(2))
    if frame is not None:
        place = frame.f_code.co_filename, frame.f_lineno
        TRIAL.places.setdefault(place, []).extend(operands)
        if place == TRIAL.at:
            raise PlantedError("division by zero")


def users_frame(frame: FrameType | None) -> FrameType | None:
    while frame is not None and not is_foreign(frame.f_globals.get("__name__")):
        frame = frame.f_back
    return frame


@contextmanager
def on_trial(at: Place | None = None, wanted: bool = True) -> Iterator[dict[Place, list[Any]]]:
    """A block whose traces note the places that they meet, if that is wanted, and raise an error at one."""
    before, places = (TRIAL.places, TRIAL.at), dict[Place, list[Any]]()
    TRIAL.places, TRIAL.at = places if wanted else None, at
    try:
        yield places
    finally:
        TRIAL.places, TRIAL.at = before


def refuse_caught(trace: Callable[[], Any], places: Iterable[Place]) -> None:
    """Errors: TraceError if the function goes on after an error at one of these places."""
    for place in list(places)[:MOST]:
        if goes_on(trace, place):
            raise TraceError(
                f"the function catches the error that Python's numbers raise in line {place[1]} of {place[0]}, as of "
                "1 / 0.0 and 1e300**3, and a compiled function gives inf or nan: look at the numbers, as in "
                "tg.ops.where(y == 0, 0.0, x / y), give NumPy's numbers, which raise no error either, or call the "
                "function without jit"
            )


def goes_on(trace: Callable[[], Any], place: Place) -> bool:
    """Does the function catch an error at this place? What it does then may end in an error of its own."""
    try:
        with on_trial(place):
            trace()
    except PlantedError:
        return False
    except Exception:
        return True
    return True
