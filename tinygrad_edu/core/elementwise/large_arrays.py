"""where, sigmoid and log_sigmoid of large arrays: calls of NumPy that the processor runs on 8 or 16 numbers at once.

np.where takes a branch for each number, 3.6 ns where the condition is random, and SciPy a call for each, 2.5 ns for
expit and 17 for log_expit; here it is 0.4 to 0.8 ns of float32 (NumPy 2.4, SciPy 1.17, AMD Zen 5). Each function takes
the general one and gives it back with the quick way in front.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike

FEW = 2048  # numbers; of fewer, the calls of NumPy cost more
WHOLE = {"f": np.int32, "d": np.int64}  # whole numbers of the same bits
LOWEST = {"f": -87.0, "d": -708.0}  # above it e⁻ˣ is finite, and σ(x) no denormal number
General = Callable[..., Any]


def is_large(x: ArrayLike) -> bool:
    return x.__class__ is np.ndarray and x.size >= FEW and x.dtype.char in WHOLE


def where(general: General) -> General:
    """By bits: (a ^ b) where the condition holds, else 0, and that ^ b. The very bits of a and b, NaN too."""

    def select(condition: ArrayLike, a: ArrayLike, b: ArrayLike) -> Any:
        if condition.__class__ is not np.ndarray or condition.dtype.char != "?" or condition.size < FEW:
            return general(condition, a, b)
        kind = common_kind(condition.shape, a, b)
        if not kind:
            return general(condition, a, b)
        first, second = (np.asarray(x, kind).view(WHOLE[kind]) for x in (a, b))
        mask = np.negative(condition.view(np.int8)).astype(WHOLE[kind])
        np.bitwise_and(mask, first ^ second, mask)
        return np.bitwise_xor(mask, second, mask).view(kind)

    return select


def common_kind(shape: tuple[int, ...], a: ArrayLike, b: ArrayLike) -> str:
    """The dtype of np.where(condition, a, b) for float arrays of the condition's shape and plain floats, else ""."""
    kinds = {x.dtype.char for x in (a, b) if x.__class__ is np.ndarray}
    if not all(x.__class__ is float or (x.__class__ is np.ndarray and x.shape == shape) for x in (a, b)):
        return ""
    kind = kinds.pop() if len(kinds) == 1 else "" if kinds else "d"
    fits = kind == "d" or all(x.__class__ is np.ndarray or not 3e38 < abs(x) < np.inf for x in (a, b))
    return kind if kind in WHOLE and fits else ""


def sigmoid(general: General) -> General:
    """1/(1 + e⁻ˣ), where that neither overflows nor is a denormal number."""

    def quick(x: ArrayLike) -> Any:
        if not is_large(x) or not np.minimum.reduce(x, axis=None) > LOWEST[x.dtype.char]:
            return general(x)
        y = np.negative(x)
        np.exp(y, y)
        np.add(y, 1.0, y)
        return np.reciprocal(y, y)

    return quick


def log_sigmoid(general: General) -> General:
    """min(x, 0) - log(1 + e^(-|x|))."""

    def quick(x: ArrayLike) -> Any:
        if not is_large(x):
            return general(x)
        y = np.abs(x)
        np.negative(y, y)
        np.exp(y, y)
        np.log1p(y, y)
        return np.subtract(np.minimum(x, 0.0), y, y)

    return quick
