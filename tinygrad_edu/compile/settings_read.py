"""Settings of the process that a function can ask for by a call: no object that it can reach holds them.

The state of a generator that nobody draws from, the precision of decimal numbers, how NumPy treats a division by 0. A
trace keeps what it was told, so these are compared before each call of a function whose code has the names.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.compile.entries import Entries
from tinygrad_edu.compile.torch_generators import TorchGenerator, state_of_torch

GENERATORS = (np.random.Generator, np.random.BitGenerator, np.random.RandomState, random.Random, TorchGenerator)
STATES = {
    "bit_generator",
    "get_state",
    "getstate",
    "initial_seed",
    "state",
}  # under which code asks for that of a generator
CAUGHT = (
    "DeprecationWarning",
    "FutureWarning",
    "RuntimeWarning",
    "UserWarning",
    "Warning",
)  # where a filter raises them
TEXTS = ("array2string", "array_repr", "array_str", "repr", "str")  # of arrays
DECIMAL = ("prec", "rounding", "Emin", "Emax", "capitals", "clamp")


def state_of(x: Any) -> tuple[str]:
    """The state of a generator, as text. (4 µs; 60 µs for a Mersenne twister)"""
    if isinstance(x, random.Random):
        return (repr(x.getstate()),)
    if isinstance(x, np.random.RandomState):
        found = x.get_state(legacy=False)
        return (f"{found['state']['key'].tobytes()!r} {found['state']['pos']} {found['has_gauss']} {found['gauss']}",)
    if isinstance(x, TorchGenerator):
        return (repr(state_of_torch(x).tobytes()),)
    bits = getattr(x, "bit_generator", x)
    return (f"{bits.state} {getattr(bits.seed_seq, 'n_children_spawned', 0)}",)


def decimal_context() -> tuple[str]:
    """How decimal numbers are computed in this thread."""
    module = sys.modules.get("decimal")
    found = module.getcontext() if module is not None else None
    return (repr([getattr(found, name) for name in DECIMAL] if found is not None else ""),)


def told(ask: Callable[[], Any]) -> tuple[str]:
    """An answer as text."""
    return (repr(ask()),)


# (names that the code has, what it asks for, the answer as it is now)
ASKED: list[tuple[set[str], str, Callable[[], tuple[str]]]] = [
    ({"random", "get_state"}, "the state of numpy.random", partial(state_of, np.random.mtrand._rand)),
    ({"random", "getstate"}, "the state of the module random", partial(state_of, random._inst)),
    ({"Decimal"}, "the context of decimal", decimal_context),
    ({"getcontext"}, "the context of decimal", decimal_context),
    ({"geterr"}, "np.geterr()", partial(told, np.geterr)),
    ({"get_printoptions"}, "np.get_printoptions()", partial(told, np.get_printoptions)),
    ({"getbufsize"}, "np.getbufsize()", partial(told, np.getbufsize)),
    ({"getcwd"}, "os.getcwd()", partial(told, os.getcwd)),
    ({"cwd"}, "Path.cwd()", partial(told, os.getcwd)),
    ({"getrecursionlimit"}, "sys.getrecursionlimit()", partial(told, sys.getrecursionlimit)),
    ({"gc", "isenabled"}, "gc.isenabled()", partial(told, gc.isenabled)),
    ({"modules"}, "sys.modules", lambda: (str(hash(tuple(sys.modules))),)),
    ({"current_thread"}, "the thread", lambda: (threading.current_thread().name,)),
    ({"get_ident"}, "the thread", partial(told, threading.get_ident)),
    *(({"warn", name}, "warnings.filters", lambda: (repr(warnings.filters),)) for name in CAUGHT),
    *(({name}, "np.get_printoptions()", partial(told, np.get_printoptions)) for name in TEXTS),
]


def settings_read(names: set[str]) -> Iterator[Entries]:
    """The checks for code with these names."""
    for wanted, what, answer in ASKED:
        if wanted <= names:
            yield Entries(what, answer)


def flags_read(names: set[str], name: str, x: Any) -> Iterator[Entries]:
    """The check for an array that the code can reach, where it asks whether it may be written to and the like."""
    if "flags" in names:
        yield Entries(f"{name}.flags", lambda: told(lambda: x.flags))


def states_read(names: set[str], name: str, x: Any) -> Iterator[Entries]:
    """The check for a generator that the code can reach, where it asks for its state."""
    if not STATES.isdisjoint(names):
        yield Entries(f"the state of {name}", partial(state_of, x))
