"""More rows of the table: rounding, remainders, signs, and choices that skip NaN.

A step function has derivative 0 everywhere, at the steps themselves by convention.

>>> floor(2.5), rint(2.5), mod(-1.0, 3.0), fmod(-1.0, 3.0)
(2.0, 2.0, 2.0, -1.0)
"""

from __future__ import annotations

import math

from tinygrad_edu.core.elementary import abs, sign, where
from tinygrad_edu.core.operation import op

WHOLE = 2.0**52  # from here on every float is an integer
BETWEEN = ([(-2.9, -2.1)], [(-0.9, -0.6)], [(1.6, 1.9)])  # away from the jumps of floor, ceil, trunc and rint
QUOTIENTS = ([(0.4, 0.9), (1.0, 1.5)], [(-3.4, -2.6), (2.0, 2.5)], [(3.2, 3.8), (-3.0, -2.0)])  # a/b between jumps


@op(partials=lambda *_: (0.0,), domain=BETWEEN, activation=False)
def floor(x: float) -> float:
    """The largest whole number that is not above x.  dy/dx = 0."""
    small = abs(x) < WHOLE  # False for NaN and infinity, which are returned unchanged
    # copysign keeps -0.0, which Python's floor turns into 0
    whole = math.copysign(float(math.floor(where(small, x, 0.0))), x)
    return where(small, whole, x)  # type: ignore[no-any-return]


@op(partials=lambda *_: (0.0,), domain=BETWEEN, activation=False)
def ceil(x: float) -> float:
    """The smallest whole number that is not below x.  dy/dx = 0."""
    return -floor(-x)  # type: ignore[no-any-return]


@op(partials=lambda *_: (0.0,), domain=BETWEEN, activation=False)
def trunc(x: float) -> float:
    """x without its fractional part.  dy/dx = 0."""
    return where(x < 0.0, -floor(-x), floor(x))  # type: ignore[no-any-return]


@op(partials=lambda *_: (0.0,), domain=BETWEEN, activation=False)
def rint(x: float) -> float:
    """The nearest whole number, of two the even one.  dy/dx = 0."""
    low = floor(x)
    odd = low - 2.0 * floor(0.5 * low)
    share = x - low
    up = where(share == 0.5, odd == 1.0, share > 0.5)
    return math.copysign(where(up, low + 1.0, low), x)  # -0.3 rounds to -0.0


@op(partials=lambda y, a, b: (1.0, (y - a) / b), domain=QUOTIENTS)
def mod(a: float, b: float) -> float:
    """a - b·⌊a/b⌋, with the sign of b, as a % b.  ∂/∂a = 1, ∂/∂b = -⌊a/b⌋."""
    rest = math.fmod(a, b)
    moved = where(b < 0.0, where(rest > 0.0, rest + b, rest), where(rest < 0.0, rest + b, rest))
    return where(rest == 0.0, math.copysign(0.0, b), moved)  # type: ignore[no-any-return]


@op(partials=lambda y, a, b: (1.0, (y - a) / b), domain=QUOTIENTS)
def fmod(a: float, b: float) -> float:
    """The remainder of a/b with the sign of a, as in C.  ∂/∂a = 1, ∂/∂b = -trunc(a/b)."""
    return math.fmod(a, b)


@op(partials=lambda *_: (0.0, 0.0), domain=QUOTIENTS)
def floor_divide(a: float, b: float) -> float:
    """⌊a/b⌋, as a // b.  ∂/∂a = ∂/∂b = 0."""
    whole = where(b == 0.0, a / b, rint((a - mod(a, b)) / b))
    found = where(abs(b) == math.inf, 0.0 * a + where(a * b < 0.0, -1.0, 0.0), whole)
    return where(found == 0.0, math.copysign(0.0, a) * math.copysign(1.0, b), found)  # type: ignore[no-any-return]


@op(partials=lambda _, x, _h: (0.0, x == 0.0), domain=([(-3.0, -0.3), (-1.0, 1.0)], [(0.3, 3.0), (-1.0, 1.0)]))
def heaviside(x: float, h: float) -> float:
    """0 below 0, 1 above, and h at 0.  ∂/∂x = 0, ∂/∂h = 1 at x = 0, else 0."""
    return where(x == 0.0, h, where(x < 0.0, 0.0, where(x > 0.0, 1.0, x)))  # type: ignore[no-any-return]


@op(
    partials=lambda _, a, b: (sign_factor(a, b), 0.0),
    domain=([(0.3, 3.0), (-3.0, -0.3)], [(-3.0, -0.3), (-3.0, -0.3)], [(-3.0, -0.3), (0.3, 3.0)]),
)
def copysign(a: float, b: float) -> float:
    """|a| with the sign of b.  ∂/∂a = 1 where a had that sign, else -1 (0 at a = 0), ∂/∂b = 0."""
    return math.copysign(a, b)


def sign_factor(a: float, b: float) -> float:
    """1 where a has the sign of b, -1 where it has the other one, 0 at a = 0."""
    return sign(a) * copysign(1.0, b)  # type: ignore[no-any-return]


@op(
    partials=lambda _, a, b: ((a > b) + 0.5 * (a == b) + (b != b), (b > a) + 0.5 * (a == b) + (a != a)),
    domain=([(-3.0, 0.0), (0.5, 3.0)], [(0.5, 3.0), (-3.0, 0.0)]),
)
def fmax(a: float, b: float) -> float:
    """The larger of a and b, or the one that is not NaN.  It gets the gradient, ties share it."""
    return where(a >= b, a, where(b != b, a, b))  # type: ignore[no-any-return]


@op(
    partials=lambda _, a, b: ((a < b) + 0.5 * (a == b) + (b != b), (b < a) + 0.5 * (a == b) + (a != a)),
    domain=([(-3.0, 0.0), (0.5, 3.0)], [(0.5, 3.0), (-3.0, 0.0)]),
)
def fmin(a: float, b: float) -> float:
    """The smaller of a and b, or the one that is not NaN.  It gets the gradient, ties share it."""
    return where(a <= b, a, where(b != b, a, b))  # type: ignore[no-any-return]
