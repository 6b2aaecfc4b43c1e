"""Floats that give inf and nan where Python's own raise: IEEE 754's answers on a machine without NumPy.

>>> Real(1.0) / 0.0, Real(-8.0) ** 0.5, MATH.log(0.0), MATH.sinh(-1000.0)
(inf, nan, -inf, -inf)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike

# x where f(x) = ±∞ and Python raises ValueError, and the sign of the infinity
POLES = {"log": (0.0, -1.0), "log2": (0.0, -1.0), "log10": (0.0, -1.0), "log1p": (-1.0, -1.0)}


class Real(float):
    """A float whose operators never raise and give floats of the same kind."""

    @staticmethod
    def __apply__(operation: Any, arguments: tuple[Any, ...]) -> Any:
        """An operation of the table called on such floats."""
        return operation.ieee_function(*map(Real, arguments))

    def __truediv__(self, other: ArrayLike) -> Real:
        return quotient(float(self), float(other))

    def __rtruediv__(self, other: ArrayLike) -> Real:
        return quotient(float(other), float(self))

    def __floordiv__(self, other: ArrayLike) -> Real:
        return floor_quotient(float(self), float(other))

    def __rfloordiv__(self, other: ArrayLike) -> Real:
        return floor_quotient(float(other), float(self))

    def __pow__(self, other: ArrayLike, modulo: None = None) -> Real:
        return power(float(self), float(other))

    def __rpow__(self, other: ArrayLike, modulo: None = None) -> Real:
        return power(float(other), float(self))


def keeping(name: str) -> Callable[..., Any]:
    """An operator of float with a Real as its result; nan if it raises (x % 0, ∞ // x)."""
    plain = getattr(float, name)

    def operator(self: Real, *other: ArrayLike) -> Any:
        try:
            found = plain(self, *map(float, other))
        except (ArithmeticError, ValueError):
            return Real(math.nan)
        return Real(found)

    return operator


for name in ("add", "radd", "sub", "rsub", "mul", "rmul", "mod", "rmod", "neg", "pos", "abs"):
    setattr(Real, f"__{name}__", keeping(f"__{name}__"))


def floor_quotient(a: float, b: float) -> Real:
    return quotient(a, b) if b == 0.0 else Real(math.nan if math.isinf(a) else a // b)


def quotient(a: float, b: float) -> Real:
    if b == 0.0:
        sign = math.copysign(1.0, a) * math.copysign(1.0, b)
        return Real(math.nan if a == 0.0 or a != a else sign * math.inf)
    return Real(a / b)


def power(a: float, b: float) -> Real:
    odd = math.isfinite(b) and b % 2.0 == 1.0
    try:
        found = a**b
    except ZeroDivisionError:
        return Real(math.copysign(math.inf, a) if odd else math.inf)
    except OverflowError:
        return Real(-math.inf if a < 0.0 and odd else math.inf)
    return Real(math.nan if isinstance(found, complex) else found)


def forgiving(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """A function of `math` that gives inf and nan where it raises."""
    if name == "pow":
        return lambda x, y: power(float(x), float(y))

    def call(x: float, *rest: float) -> Real:
        if name in ("floor", "ceil", "trunc") and not math.isfinite(x):
            return Real(x)
        try:
            return Real(function(x, *rest))
        except OverflowError:
            return Real(math.copysign(math.inf, x) if name in ("sinh", "asinh") else math.inf)
        except (ValueError, ZeroDivisionError):
            if name in POLES and x == POLES[name][0]:
                return Real(POLES[name][1] * math.inf)
            if name == "atanh" and abs(x) == 1.0:
                return Real(math.copysign(math.inf, x))
            return Real(math.inf if name in ("lgamma", "gamma") else math.nan)

    return call


MATH = SimpleNamespace(**{name: forgiving(name, f) if callable(f) else f for name, f in vars(math).items()})


def elementwise(function: Callable[..., Any], count: int) -> Callable[..., Any]:
    """The function of `count` floats over arrays, entry by entry: slow, with the same numbers to the last digits."""
    import numpy

    each = numpy.frompyfunc(lambda *x: float(function(*map(Real, x))), count, 1)

    def over_arrays(*arguments: ArrayLike) -> Any:
        dtype = numpy.result_type(*arguments, numpy.float32)
        return numpy.asarray(each(*[numpy.asarray(x, dtype=float) for x in arguments]), dtype=dtype)[()]

    return over_arrays
