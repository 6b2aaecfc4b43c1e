"""How weights begin: functions of a random generator and the two widths, giving a (fan_out, fan_in) array."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.errors import unknown_name

Array = np.ndarray[Any, Any]
Initializer = Callable[[np.random.Generator, int, int], Array]


def zeros(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """0 everywhere: every unit of a layer then stays equal to every other."""
    return np.zeros((fan_out, fan_in))


def normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """N(0, 1)."""
    return rng.standard_normal((fan_out, fan_in))


def glorot_uniform(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """U(-a, a), a = √(6/(fan_in + fan_out)). (Glorot and Bengio 2010)"""
    bound = math.sqrt(6.0 / (fan_in + fan_out))
    return rng.uniform(-bound, bound, (fan_out, fan_in))


def he_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """N(0, 2/fan_in), for ReLU layers. (He et al. 2015)"""
    return rng.standard_normal((fan_out, fan_in)) * math.sqrt(2.0 / fan_in)


def lecun_normal(rng: np.random.Generator, fan_in: int, fan_out: int) -> Array:
    """N(0, 1/fan_in). (LeCun et al. 1998)"""
    return rng.standard_normal((fan_out, fan_in)) * math.sqrt(1.0 / fan_in)


INITIALIZERS: dict[str, Initializer] = {f.__name__: f for f in (zeros, normal, glorot_uniform, he_normal, lecun_normal)}


def find(name: str | Initializer) -> Initializer:
    """An initializer by name, or the function itself.

    >>> find("glorot")
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.NameNotFoundError: unknown init 'glorot'. Did you mean 'glorot_uniform'? Known: ...
    """
    if callable(name):
        return name
    if not isinstance(name, str) or name not in INITIALIZERS:
        raise unknown_name("init", name, INITIALIZERS)
    return INITIALIZERS[name]
