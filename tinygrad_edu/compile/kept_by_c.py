"""How the state of things written in C is noted and put back: random numbers, buffers, texts, settings of NumPy.

Each look is called with what notes it (`state.keep`), the name of the thing and the thing.
"""

from __future__ import annotations

import io
import random
from array import array
from collections.abc import Callable, Container, Iterator
from contextvars import ContextVar
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.compile import torch_generators as of_torch
from tinygrad_edu.compile.outside import answers_otherwise
from tinygrad_edu.compile.user_code import ABSENT
from tinygrad_edu.core.aliases import Thing

SETTINGS: list[tuple[Any, Any]] = [(np.seterr, np.geterr), (np.set_printoptions, np.get_printoptions)]


def look_at_generator(state: Any, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    bits = x.bit_generator if isinstance(x, np.random.Generator) else x

    def write(was: Thing) -> None:
        bits.state = was[0]

    state.keep(name, x, lambda: (bits.state, getattr(bits.seed_seq, "n_children_spawned", 0)), write)
    return iter(())


def look_at_random_state(state: Any, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    state.keep(name, x, lambda: x.get_state(legacy=False), x.set_state)
    return iter(())


def look_at_torch_generator(state: Any, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    state.keep(name, x, partial(of_torch.state_of_torch, x), partial(of_torch.put_torch_state, x))
    return iter(())


def look_at_random(state: Any, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    if not answers_otherwise(x):  # SystemRandom has no state
        state.keep(name, x, x.getstate, x.setstate)
    return iter(())


def look_at_bytes(state: Any, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    def write(was: Thing) -> None:
        del x[:]
        x.extend(was)

    state.keep(name, x, lambda: x[:], write)
    return iter(())


def look_at_text(state: Any, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    def write(was: Thing) -> None:
        x.seek(0)
        x.truncate()
        x.write(was[0])
        x.seek(was[1])

    if not x.closed:
        state.keep(name, x, lambda: (x.getvalue(), x.tell()), write)
    return iter(())


def look_at_variable(state: Any, name: str, x: ContextVar[Any]) -> Iterator[tuple[str, Any]]:
    def write(was: Thing) -> None:
        x.set(None if was is ABSENT else was)  # nothing can take its first value away again

    return present(name, state.keep(name, x, lambda: value_of(x), write))


def value_of(x: ContextVar[Any]) -> Any:
    """Its value or default; ABSENT where it has neither."""
    try:
        return x.get()
    except LookupError:
        return ABSENT


def keep_settings(state: Any, words: Container[str]) -> None:
    """Note the settings of NumPy that code with these names may set."""
    for setter, getter in SETTINGS:
        if setter.__name__ in words:
            state.keep(f"np.{getter.__name__}()", np, getter, partial(put_setting, setter))


def present(name: str, x: Thing) -> Iterator[tuple[str, Any]]:
    """One thing, unless there is nothing there yet."""
    return iter(() if x is ABSENT else [(name, x)])


def put_setting(setter: Callable[..., Any], was: dict[str, Any]) -> None:
    setter(**was)


OF_C: list[tuple[Any, Callable[..., Iterator[tuple[str, Any]]]]] = [
    ((array, bytearray), look_at_bytes),
    ((io.StringIO, io.BytesIO), look_at_text),
    (ContextVar, look_at_variable),
    ((np.random.Generator, np.random.BitGenerator), look_at_generator),
    (np.random.RandomState, look_at_random_state),
    (random.Random, look_at_random),
    (of_torch.TorchGenerator, look_at_torch_generator),
]
