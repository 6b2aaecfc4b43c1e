"""Checks of settings: each returns nothing, or says which setting lies where it must not."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.errors import SettingError


def is_number(x: Any) -> bool:
    return isinstance(x, (int, float, np.integer, np.floating)) and not isinstance(x, bool)


def within(name: str, x: Any, end: float = math.inf) -> None:
    """x in [0, end)."""
    if not (is_number(x) and 0 <= x < end):
        raise SettingError(f"{name}={x!r} lies outside [0, {end})")


def positive(name: str, x: Any, end: float = math.inf) -> None:
    """x in (0, end]."""
    if not (is_number(x) and 0 < x <= end):
        raise SettingError(f"{name}={x!r} lies outside (0, {end}]")


def whole(name: str, x: Any, least: int = 0) -> None:
    """x = least, least + 1, ..."""
    if not (isinstance(x, (int, np.integer)) and not isinstance(x, bool) and x >= least):
        raise SettingError(f"{name}={x!r}: a whole number from {least} on is needed")


def pair(name: str, x: Any, what: str) -> None:
    """Two of something."""
    if not (isinstance(x, (tuple, list)) and len(x) == 2):
        raise SettingError(f"{name}={x!r}: {what}")


def divisor(name: str, x: Any) -> None:
    """What keeps a quotient finite where the gradient is 0."""
    within(name, x)
    if x == 0:
        raise SettingError(
            f"{name}=0: a weight whose gradient is 0 would be moved by 0/0. Use a small number, such as 1e-8"
        )
