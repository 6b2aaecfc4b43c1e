"""What code asks of the world outside of this process while it runs: the clock, and the system's random numbers.

No state in Python says what it will be told next time, so nothing can be compared before and after. A coin thrown with
os.urandom shows the same side in three traces and four comparisons once in 64 runs. So the calls themselves are seen:
the interpreter reports each call of a built-in function to a profiling function, and uuid, secrets,
random.SystemRandom and NumPy's generators without a seed all come down to os.urandom.
"""

from __future__ import annotations

import datetime
import gc
import os
import random
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import BuiltinMethodType, FrameType
from typing import Any

import numpy as np

from tinygrad_edu.compile.torch_generators import TorchGenerator
from tinygrad_edu.compile.user_code import is_foreign

CHANCE = {getattr(os, name): f"os.{name}" for name in ("urandom", "getrandom") if hasattr(os, name)}
CLOCKS = {
    getattr(time, name): f"time.{name}"
    for name in dir(time)
    if name.removesuffix("_ns") in ("time", "perf_counter", "monotonic", "process_time", "thread_time", "clock_gettime")
    or name in ("localtime", "gmtime", "ctime", "asctime", "strftime")
} | {
    getattr(kind, name): f"{kind.__name__}.{name}"
    for kind in (datetime.datetime, datetime.date)
    for name in ("now", "today", "utcnow")
    if hasattr(kind, name)
}
SEED = random.Random.seed.__code__  # without a number it seeds itself, in C
BITS = random.SystemRandom.getrandbits.__code__
ASKERS = {"datetime", "os", "posix", "random", "secrets", "time", "uuid"}  # modules of what asks
# The names under which code finds it. A class of NumPy says in no attribute that it is one of these.
NAMES = {
    "Generator", "MT19937", "PCG64", "PCG64DXSM", "Philox", "Random", "RandomState", "SFC64", "SeedSequence",
    "SystemRandom", "asctime", "date", "datetime", "default_rng", "getrandom", "monotonic", "os", "perf_counter",
    "process_time", "randbelow", "randbits", "secrets", "seed", "strftime", "time", "time_ns", "urandom", "uuid",
    "uuid1", "uuid4",
}  # fmt: skip


def answers_otherwise(x: object) -> bool:
    """Is it one of these functions, or a generator of the system's random numbers?"""
    return isinstance(x, random.SystemRandom) or (isinstance(x, BuiltinMethodType) and (x in CHANCE or x in CLOCKS))


def may_ask(names: set[str], things: Iterable[Any]) -> bool:
    """May code that reads these names and things ask outside? Things under other names are known by their module."""
    return not names.isdisjoint(NAMES) or any(map(is_asker, things))


def is_asker(x: object) -> bool:
    """Is it a function or class of such a module, or of numpy.random?"""
    if not callable(x):
        return False
    module = getattr(x, "__module__", None)
    return isinstance(module, str) and (module in ASKERS or module.startswith("numpy.random"))


def is_seeded_next(frame: FrameType) -> bool:
    """Does NumPy ask only to make a RandomState(seed)? That draws 128 bits, and then takes its seed."""
    caller = frame.f_back
    if frame.f_code is not BITS or frame.f_locals["k"] != 128 or caller is None:
        return False
    code, space = caller.f_code, {**caller.f_globals, **caller.f_locals}
    named = "RandomState" in code.co_names or any(space.get(x) is np.random.RandomState for x in code.co_names)
    return named and code.co_code[caller.f_lasti + 1] > 0  # the number of arguments of the call


def is_collecting(frame: FrameType | None) -> bool:
    """Does the garbage collector tell somebody that it works, as hypothesis wants it, to measure how long it takes?"""
    told = {getattr(each, "__code__", None) for each in gc.callbacks}
    while frame is not None and frame.f_code not in told:
        frame = frame.f_back
    return frame is not None


@contextmanager
def asked_outside() -> Iterator[list[str]]:
    """What is asked within the block, by name: chance by anybody, the clock by the user's own code (logging notes the
    time, too). A profiler of this thread goes on: one in Python is called as well, cProfile is halted for the block;
    behind another one in C nothing can be seen, which is said as if it were asked for.
    """
    found: list[str] = []
    of_uuid = getattr(sys.modules.get("uuid"), "_generate_time_safe", None)
    chance = CHANCE if of_uuid is None else {**CHANCE, of_uuid: "uuid.uuid1"}

    def note(frame: Any, event: str, x: Any) -> None:
        if event == "c_call":
            if x in chance and not is_seeded_next(frame):
                found.append(chance[x])
            elif x in CLOCKS and is_foreign(frame.f_globals.get("__name__")) and not is_collecting(frame):
                found.append(CLOCKS[x])
            elif getattr(x, "__name__", "") == "seed" and isinstance(x.__self__, TorchGenerator):
                found.append("seed() of torch")  # which asks the system
        elif event == "call" and frame.f_code is SEED and frame.f_locals["a"] is None:
            found.append("random.Random without a seed")

    with profiling(note) as seen:
        if not seen:
            found.append("what a profiler hides, which this thread runs")
        yield found


@contextmanager
def profiling(note: Callable[[Any, str, Any], None]) -> Iterator[bool]:
    """Report each call of this thread to `note`, and to the profiler that runs already; False if that is in the way."""
    other: Any = sys.getprofile()
    halted = isinstance(other, getattr(sys.modules.get("_lsprof"), "Profiler", ()))  # that of cProfile
    if not (other is None or halted or callable(other)):
        yield False
        return

    def both(frame: Any, event: str, x: Any) -> None:
        note(frame, event, x)
        other(frame, event, x)

    if halted:
        other.disable()
    sys.setprofile(note if other is None or halted else both)
    try:
        yield True
    finally:
        sys.setprofile(None if halted else other)
        if halted:
            other.enable()
