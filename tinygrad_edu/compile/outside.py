"""What code asks of the world outside of this process while it runs: the clock, and the system's random numbers.

No state in Python says what it will be told next time, so nothing can be compared before and after. A coin thrown with
os.urandom shows the same side in three traces and four comparisons once in 64 runs. So the calls themselves are seen:
the interpreter reports each call of a built-in function to a profiling function, and uuid, secrets,
random.SystemRandom and NumPy's generators without a seed all come down to os.urandom.
"""

from __future__ import annotations

import contextvars
import datetime
import gc
import inspect
import io
import os
import random
import sys
import time
import warnings
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import BuiltinMethodType, FrameType, GeneratorType
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
# What only the user's own code is seen to ask: who calls it, who holds an object. A trace is called by others.
CALLERS = {sys._getframe: "sys._getframe", sys.getrefcount: "sys.getrefcount"} | {
    getattr(gc, name): f"gc.{name}" for name in ("get_objects", "get_referrers", "get_count")
}
STACKS = {getattr(inspect, name).__code__: f"inspect.{name}" for name in ("currentframe", "stack")}
SEED = random.Random.seed.__code__  # without a number it seeds itself, in C
BITS = random.SystemRandom.getrandbits.__code__
ASKERS = {"datetime", "os", "posix", "random", "secrets", "time", "uuid"}  # modules of what asks
# The names under which code finds it. A class of NumPy says in no attribute that it is one of these.
NAMES = {
    "_getframe", "copy_context", "currentframe", "get_count", "get_objects", "get_referrers", "getrefcount", "stack",
    "Generator", "MT19937", "PCG64", "PCG64DXSM", "Philox", "Random", "RandomState", "SFC64", "SeedSequence",
    "SystemRandom", "asctime", "date", "datetime", "default_rng", "getrandom", "monotonic", "os", "perf_counter",
    "process_time", "randbelow", "randbits", "run", "secrets", "seed", "strftime", "time", "time_ns", "urandom", "uuid",
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


def position_of(x: object) -> Any:
    """How far an iterator of C has come, which a trace moves on; None where it does not say so."""
    if not isinstance(x, Iterator):
        return x if isinstance(x, (int, float, str)) else id(x)
    if isinstance(x, io.IOBase):
        return x.tell() if x.seekable() else None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Python 3.12 deprecates that of itertools
            found: Any = x.__reduce__()
            parts = [part for each in found[1:] for part in (each if isinstance(each, tuple) else (each,))]
            return tuple(map(position_of, parts))
    except Exception:
        return None


def asked_of_c(frame: FrameType, x: Any, chance: Mapping[Any, str]) -> str:
    """What a function written in C is asked for, that a frame calls; "" for all others."""
    if x in chance:
        return "" if is_seeded_next(frame) else chance[x]
    if getattr(x, "__name__", "") == "seed" and isinstance(x.__self__, TorchGenerator):
        return "seed() of torch"  # which asks the system
    if isinstance(getattr(x, "__self__", None), contextvars.Context):
        return "a contextvars.Context, which cannot be compared"
    if not ((x in CLOCKS or x in CALLERS) and is_foreign(frame.f_globals.get("__name__"))):
        return ""
    return CALLERS[x] if x in CALLERS else "" if is_collecting(frame) else CLOCKS[x]


def asked_of_python(frame: FrameType, resumed: Sequence[FrameType]) -> str:
    """The same for a function of Python's, which begins or goes on in this frame."""
    if frame.f_code is SEED and frame.f_locals["a"] is None:
        return "random.Random without a seed"
    if frame.f_code in STACKS and frame.f_back is not None and is_foreign(frame.f_back.f_globals.get("__name__")):
        return STACKS[frame.f_code]
    return "next() of a generator" if any(frame is each for each in resumed) else ""


@contextmanager
def asked_outside(iterators: Collection[Any] = ()) -> Iterator[list[str]]:
    """What is asked within the block, by name: chance by anybody, the clock by the user's own code (logging notes the
    time, too), and the next of these iterators. A profiler of this thread goes on: one in Python is called as well,
    cProfile is halted for the block; behind another one in C nothing can be seen, which is said as if it were asked
    for.
    """
    found: list[str] = []
    frames = [x.gi_frame for x in iterators if isinstance(x, GeneratorType)]
    resumed = [frame for frame in frames if frame is not None]
    before = [position_of(x) for x in iterators]
    of_uuid = getattr(sys.modules.get("uuid"), "_generate_time_safe", None)
    chance = CHANCE if of_uuid is None else {**CHANCE, of_uuid: "uuid.uuid1"}

    def note(frame: Any, event: str, x: Any) -> None:
        if event in ("call", "c_call"):
            asked = asked_of_c(frame, x, chance) if event == "c_call" else asked_of_python(frame, resumed)
            found.extend([asked] if asked else [])

    with profiling(note) as seen:
        if not seen:
            found.append("what a profiler hides, which this thread runs")
        yield found
    moved = [type(x).__name__ for x, was in zip(iterators, before, strict=True) if position_of(x) != was]
    found += [f"next() of a {name}" for name in moved]


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
