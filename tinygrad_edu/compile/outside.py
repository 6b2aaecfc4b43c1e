"""What code asks of the world outside of this process while it runs: the clock, and the system's random numbers.

No state in Python says what it will be told next time, so nothing can be compared before and after. A coin thrown with
os.urandom shows the same side in three traces and four comparisons once in 64 runs. So the calls themselves are seen:
the interpreter reports each call of a built-in function to a profiling function, and uuid, secrets,
random.SystemRandom and NumPy's generators without a seed all come down to os.urandom.
"""

from __future__ import annotations

import datetime
import os
import random
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import BuiltinMethodType
from typing import Any

from tinygrad_edu.compile.user_code import is_foreign

CHANCE = {getattr(os, name): f"os.{name}" for name in ("urandom", "getrandom") if hasattr(os, name)}
CLOCKS = {
    getattr(time, name): f"time.{name}"
    for name in dir(time)
    if name.removesuffix("_ns") in ("time", "perf_counter", "monotonic", "process_time", "thread_time", "clock_gettime")
    or name in ("localtime", "gmtime", "ctime")
} | {
    getattr(kind, name): f"{kind.__name__}.{name}"
    for kind in (datetime.datetime, datetime.date)
    for name in ("now", "today", "utcnow")
    if hasattr(kind, name)
}
SEED = random.Random.seed.__code__  # without a number it seeds itself, in C


def answers_otherwise(x: object) -> bool:
    """Is it one of these functions, or a generator of the system's random numbers?"""
    return isinstance(x, random.SystemRandom) or (isinstance(x, BuiltinMethodType) and (x in CHANCE or x in CLOCKS))


@contextmanager
def asked_outside() -> Iterator[list[str]]:
    """What is asked within the block, by name: chance by anybody, the clock by the user's own code (logging notes the
    time, too). Where a profiler runs in this thread, its work is not disturbed, and nothing is seen.
    """
    found: list[str] = []
    of_uuid = getattr(sys.modules.get("uuid"), "_generate_time_safe", None)
    chance = CHANCE if of_uuid is None else {**CHANCE, of_uuid: "uuid.uuid1"}

    def note(frame: Any, event: str, x: Any) -> None:
        if event == "c_call":
            if x in chance:
                found.append(chance[x])
            elif x in CLOCKS and is_foreign(frame.f_globals.get("__name__")):
                found.append(CLOCKS[x])
        elif event == "call" and frame.f_code is SEED and frame.f_locals["a"] is None:
            found.append("random.Random without a seed")

    if sys.getprofile() is not None:
        yield found
        return
    sys.setprofile(note)
    try:
        yield found
    finally:
        sys.setprofile(None)
