"""xⁿ of arrays for a plain number n.

NumPy's vectorized power is quick for positive x only: each negative one goes to a scalar routine (47 ns against 0.9 for
float32, NumPy 2.4 on AMD Zen 5). For a whole n the sign is known beforehand, and the smallest n are products.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike

FEW = 64  # numbers; of fewer, three calls of NumPy's cost more than its scalar routine


def power(x: ArrayLike, n: ArrayLike) -> Any:
    """xⁿ: products and quotients for -2 ≤ n ≤ 4, |x|ⁿ with the sign put back for other whole n, else NumPy's power."""
    if x.__class__ is not np.ndarray or x.dtype.kind != "f" or not (n.__class__ is float or n.__class__ is int):
        # of a mask, x**2 is int8 and np.power(x, 2) int64
        return x**n if x.__class__ is np.ndarray and x.dtype.kind == "b" else np.power(x, n)
    if n in QUICK:
        return QUICK[n](x)
    if x.size < FEW or not float(n).is_integer():
        return np.power(x, n)
    y = np.abs(x)
    np.power(y, float(n), y)
    return np.copysign(y, x, y) if n % 2 else y


def cube(x: ArrayLike) -> Any:
    """x²·x"""
    y = x * x
    return np.multiply(y, x, y) if y.__class__ is np.ndarray else y * x


# Within 1.9 units in the last place; NumPy's own within 1. |x| and its powers lie on the same side of 1, so that no
# intermediate result overflows or vanishes before xⁿ does; of x⁻² that holds for 1/x, squared, not for 1/x².
# x^0.5 is the square root, as in NumPy: -0 of -0, NaN of -inf, where C's pow has 0 and inf.
QUICK: dict[float, Callable[[Any], Any]] = {
    -2: lambda x: np.square(1.0 / x),
    -1: lambda x: 1.0 / x,
    0.5: np.sqrt,
    2: np.square,
    3: cube,
    4: lambda x: np.square(np.square(x)),
}
