"""What a person hands over to the examiner, and the table of the bench's own programs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

PROGRAMS: dict[str, Callable[[bool], Handed]] = {}


COURSE: set[str] = set()


@dataclass
class Handed:
    """What a person hands over: a forward and a backward of params, or an object that trains itself."""

    forward: Any = None
    params: Any = None
    backward: Any = None
    obj: Any = None
    step: Any = None
    loss: Any = None
    lr: float | None = None


def program(build: Callable[[bool], Handed]) -> Callable[[bool], Handed]:
    PROGRAMS[build.__name__] = build
    return build


def course(build: Callable[[bool], Handed]) -> Callable[[bool], Handed]:
    COURSE.add(build.__name__)
    return program(build)


def rng(seed: int) -> np.random.Generator:
    return np.random.default_rng(seed)
