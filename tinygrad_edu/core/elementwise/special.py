"""More rows of the table: functions of `scipy.special` whose derivatives are known.

On arrays most are SciPy's own. On floats, and in compiled programs, they are the straight-line formulas below, so
that Values need neither SciPy nor NumPy.

>>> round(gammaln(5.0), 6), round(digamma(1.0), 6)  # log 24, and minus Euler's constant
(3.178054, -0.577216)
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.elementary import POSITIVE, abs, erf, exp, log, log1p, pow, sqrt, tan, where
from tinygrad_edu.core.elementwise.fixed_arguments import refuse_gradient
from tinygrad_edu.core.elementwise.rounding import floor, mod
from tinygrad_edu.core.operation import Operation, op


class OfOrder(Operation):
    """A row whose first argument, a whole number, has no derivative: a Tensor that requires one is refused."""

    fixed = (0,)

    def __call__(self, *arguments: ArrayLike) -> Any:
        if arguments:
            refuse_gradient(self.name, self.parameters[0], arguments[0])
        return super().__call__(*arguments)


PI = math.pi
SQRT_PI = math.sqrt(math.pi)
SQRT_HALF = math.sqrt(0.5)
INVERSE_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)
TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)
FAR = -12.0  # below this the asymptotic series is exact to double precision


@op(partials=lambda _, x: (-TWO_OVER_SQRT_PI * exp(-x * x),), scipy="erfc", activation=False)
def erfc(x: float) -> float:
    """1 - erf(x), accurate for large x.  dy/dx = -2/√π · e^(-x²)."""
    return math.erfc(x)


@op(partials=lambda _, x: (INVERSE_SQRT_TWO_PI * exp(-0.5 * x * x),), scipy="ndtr", activation=False)
def ndtr(x: float) -> float:
    """Φ(x), the share of a normal distribution below x.  dy/dx = e^(-x²/2)/√(2π)."""
    return 0.5 * math.erfc(-SQRT_HALF * x)


@op(
    partials=lambda y, x: (mills_inverse(y, x),),
    domain=([(-3.0, 3.0)], [(-40.0, -20.0)]),
    scipy="log_ndtr",
    activation=False,
)
def log_ndtr(x: float) -> float:
    """log Φ(x), where Φ(x) itself may be too small for a float.  dy/dx = φ(x)/Φ(x).

    Below -12 Laplace's series, φ(x)/|x|·(1 - 1/x² + 3/x⁴ - 15/x⁶ ...), to x⁻²⁸ (error 3e-17): Φ(-14) is 0 in float32.
    """
    below = where(x < 0.0, where(x < FAR, FAR, x), 0.0)
    above = where(x < 0.0, 0.0, x)
    near = where(x < 0.0, log(0.5 * math.erfc(-SQRT_HALF * below)), log1p(-0.5 * math.erfc(SQRT_HALF * above)))
    w = where(x < FAR, x, FAR)
    far = -0.5 * w * w - log(-w) + log1p(-laplace(w)) + math.log(INVERSE_SQRT_TWO_PI)
    return where(x < FAR, far, near)  # type: ignore[no-any-return]


def laplace(x: float) -> float:
    """1 - Φ(x)·|x|/φ(x) for x ≤ -12: q·(1 - 3q·(1 - 5q·(1 - 7q ...))) of q = 1/x²."""
    q = 1.0 / (x * x)
    p = 1.0 - 25.0 * q * (1.0 - 27.0 * q)
    p = 1.0 - 21.0 * q * (1.0 - 23.0 * q * p)
    p = 1.0 - 17.0 * q * (1.0 - 19.0 * q * p)
    p = 1.0 - 13.0 * q * (1.0 - 15.0 * q * p)
    p = 1.0 - 9.0 * q * (1.0 - 11.0 * q * p)
    p = 1.0 - 5.0 * q * (1.0 - 7.0 * q * p)
    return q * (1.0 - 3.0 * q * p)


def mills_inverse(y: float, x: float) -> float:
    """φ(x)/Φ(x), where y = log Φ(x). Far below 0 both terms of -x²/2 - y are huge, and their difference is lost."""
    w = where(x < FAR, x, FAR)
    near = INVERSE_SQRT_TWO_PI * exp(where(x < FAR, 0.0, -0.5 * x * x - y))
    return where(x < FAR, -w / (1.0 - laplace(w)), near)  # type: ignore[no-any-return]


@op(
    partials=lambda y, _: (exp(0.5 * y * y) / INVERSE_SQRT_TWO_PI,),
    domain=([(0.1, 0.9)],),
    scipy="ndtri",
    activation=False,
)
def ndtri(x: float) -> float:
    """The number below which the share x of a normal distribution lies, the inverse of Φ.  dy/dx = 1/φ(y).

    √2·erfinv(2x - 1) or √(-2 log x), and Newton's steps for the logarithm of the smaller share.
    """
    share = where(x > 0.5, 1.0 - x, x)
    inside = where(share > 0.0, share, 0.5)
    near = erfinv(2.0 * where(inside < 1e-9, 0.5, inside) - 1.0) / SQRT_HALF
    rough = where(inside < 1e-9, -sqrt(-2.0 * log(inside)), near)
    y = newton(newton(newton(newton(rough, inside), inside), inside), inside)
    y = where(share > 0.0, y, where(share == 0.0, -math.inf, math.nan))
    return where(x > 0.5, -y, y)  # type: ignore[no-any-return]


def newton(y: float, share: float) -> float:
    """A step towards log Φ(y) = log share, whose left side is concave: it cannot overshoot twice."""
    at = log_ndtr(y)
    return y - (at - log(share)) * exp(0.5 * y * y + at) / INVERSE_SQRT_TWO_PI  # type: ignore[no-any-return]


# relatives of the logistic function


@op(partials=lambda _, x: (1.0 / (x * (1.0 - x)),), domain=([(0.1, 0.9)],), scipy="logit", activation=False)
def logit(x: float) -> float:
    """log(x/(1 - x)), the inverse of the sigmoid.  dy/dx = 1/(x(1 - x)).

    Near 1/2, where x/(1 - x) rounds to 1, it is log(1 + s) - log(1 - s) of s = 2x - 1, which is exact there.
    """
    near = abs(x - 0.5) < 0.15
    s = where(near, 2.0 * (x - 0.5), 0.0)
    return where(near, log1p(s) - log1p(-s), log(x / (1.0 - x)))  # type: ignore[no-any-return]


@op(
    partials=lambda _, a, b: (log_beside_zero(a, b), a / where(a == 0.0, where(b == 0.0, 1.0, b), b)),
    domain=([(-3.0, 3.0), (0.3, 3.0)],),
    scipy="xlogy",
)
def xlogy(a: float, b: float) -> float:
    """a·log b, and 0 where a = 0, for b = 0 too.  ∂/∂a = log b (0 where a = 0 and b ≤ 0), ∂/∂b = a/b."""
    return where(a == 0.0, where(b == b, 0.0, b), a * log(where(a == 0.0, 1.0, b)))  # type: ignore[no-any-return]


def log_beside_zero(a: float, b: float) -> float:
    """log b, the derivative of a·log b by a; 0 where a = 0 and there is no logarithm of b."""
    free = where(a == 0.0, b, 1.0) <= 0.0
    return where(free, 0.0, log(where(free, 1.0, b)))  # type: ignore[no-any-return]


@op(
    partials=lambda _, a, b: (
        where(where(a == 0.0, b, 0.0) <= -1.0, 0.0, log1p(where(where(a == 0.0, b, 0.0) <= -1.0, 0.0, b))),
        a / where(a == 0.0, where(b == -1.0, 1.0, 1.0 + b), 1.0 + b),
    ),
    domain=([(-3.0, 3.0), (-0.7, 3.0)],),
    scipy="xlog1py",
)
def xlog1py(a: float, b: float) -> float:
    """a·log(1 + b), and 0 where a = 0, for b = -1 too.  ∂/∂a = log(1 + b), ∂/∂b = a/(1 + b).

    Where a = 0 and b ≤ -1 both count as 0.
    """
    return where(a == 0.0, where(b == b, 0.0, b), a * log1p(where(a == 0.0, 1.0, b)))  # type: ignore[no-any-return]


@op(partials=lambda y, _: (0.5 * SQRT_PI * exp(y * y),), domain=([(-0.9, 0.9)],), scipy="erfinv", activation=False)
def erfinv(x: float) -> float:
    """The inverse of the error function.  dy/dx = √π/2 · e^(y²).

    Winitzki's formula (2008, error 2e-3), and three of Halley's steps; ±1 gives ±∞, anything beyond NaN.
    """
    inside = where(abs(x) < 1.0, x, 0.0)
    w = log((1.0 - inside) * (1.0 + inside))
    half = 4.330746750799873 + 0.5 * w  # 2/(π·0.147)
    y = math.copysign(sqrt(sqrt(half * half - w / 0.147) - half), x)
    e = (erf(y) - inside) * 0.5 * SQRT_PI * exp(y * y)
    y = y - e / (1.0 + y * e)
    e = (erf(y) - inside) * 0.5 * SQRT_PI * exp(y * y)
    y = y - e / (1.0 + y * e)
    e = (erf(y) - inside) * 0.5 * SQRT_PI * exp(y * y)
    y = y - e / (1.0 + y * e)
    return where(abs(x) < 1.0, y, where(abs(x) == 1.0, math.copysign(math.inf, x), math.nan))  # type: ignore[no-any-return]


@op(partials=lambda _, x: (-1.0 - log(x),), domain=POSITIVE, scipy="entr", activation=False)
def entr(x: float) -> float:
    """-x·log x, one term of an entropy: 0 at 0, -∞ below.  dy/dx = -1 - log x."""
    inner = -x * log(where(x > 0.0, x, 1.0))
    return where(x < 0.0, -math.inf, inner)  # type: ignore[no-any-return]


# the logarithm of the gamma function, and its derivatives


@op(partials=lambda _, x: (psi(0.0, x),), domain=POSITIVE, scipy="gammaln", activation=False)
def gammaln(x: float) -> float:
    """log |Γ(x)|, and -∞ at -∞; Γ(n) = (n - 1)! of whole n.  dy/dx = ψ(x), the digamma function."""
    return where(x == -math.inf, x, math.lgamma(x))  # type: ignore[no-any-return]


@op(
    partials=lambda _, a, b: (psi(0.0, a) - psi(0.0, a + b), psi(0.0, b) - psi(0.0, a + b)),
    domain=POSITIVE,
    scipy="betaln",
)
def betaln(a: float, b: float) -> float:
    """log B(a, b) = log Γ(a) + log Γ(b) - log Γ(a + b).  ∂/∂a = ψ(a) - ψ(a + b).

    ∞ at the poles 0, -1, -2, ... of a and b; but for whole numbers with a + b < 1 the poles of Γ(a) and Γ(a + b)
    cancel, and log B(1 - a - b, b) is left. For a → ∞ it is -b·log a.
    """
    low, high = where(a > b, b, a), where(a > b, a, b)
    y = where(where(high == math.inf, low < high, False), -math.inf * low, gammaln(a) + gammaln(b) - gammaln(a + b))
    y = where(where(high > 100.0, where(high < math.inf, low > 0.0, False), False), far_betaln(low, high), y)
    left = 1.0 - low - high
    cancel = where(is_pole(low), where(floor(high) == high, where(left > 0.0, low > -math.inf, False), False), False)
    rest = (
        gammaln(where(cancel, left, 1.0)) + gammaln(where(cancel, high, 1.0)) - gammaln(where(cancel, 1.0 - low, 1.0))
    )
    pole = where(is_pole(low), True, is_pole(high))
    return where(cancel, rest, where(pole, math.inf, y))  # type: ignore[no-any-return]


def far_betaln(low: float, high: float) -> float:
    """log B(low, high) for 0 < low ≤ high, 100 < high: log Γ(low) - (log Γ(high + low) - log Γ(high)).

    The difference is that of Stirling's series, (x - ½)·log x - x + 1/(12x) - 1/(360x³) + 1/(1260x⁵) (error 6e-18),
    taken term by term: of high = 1e16 two large logarithms of Γ would leave nothing.
    """
    x, total = where(high > 100.0, high, 100.0), where(high > 100.0, high + low, 100.0)
    p, q = 1.0 / x, 1.0 / total
    tail = p * (1.0 / 12.0 - p * p * (1.0 / 360.0 - p * p / 1260.0))
    rest = q * (1.0 / 12.0 - q * q * (1.0 / 360.0 - q * q / 1260.0)) - tail
    grown = (x - 0.5) * log1p(where(low > 0.0, low, 0.0) * p) + low * log(total) - low + rest
    return gammaln(where(low > 0.0, low, 1.0)) - grown  # type: ignore[no-any-return]


def is_pole(x: float) -> bool:
    """Is Γ(x) infinite: at 0, -1, -2, ...?"""
    return where(x <= 0.0, floor(x) == x, False)  # type: ignore[no-any-return]


@op(partials=lambda _, x: (psi(1.0, x),), domain=([(0.3, 3.0)], [(-0.8, -0.2)]), scipy="digamma", activation=False)
def digamma(x: float) -> float:
    """ψ(x) = d log Γ(x)/dx.  dy/dx = ψ₁(x).

    ψ(z) = ψ(z + 10) - Σ 1/(z + k), and there Stirling's series to w⁻¹² (error 1e-15); ψ(x) = ψ(1 - x) - π/tan(πx).
    NaN at -1, -2, ...
    """
    z = where(x <= 0.0, 1.0 - x, x)
    steps = 1.0 / z + 1.0 / (z + 1.0) + 1.0 / (z + 2.0) + 1.0 / (z + 3.0) + 1.0 / (z + 4.0)
    steps = steps + 1.0 / (z + 5.0) + 1.0 / (z + 6.0) + 1.0 / (z + 7.0) + 1.0 / (z + 8.0) + 1.0 / (z + 9.0)
    w = z + 10.0
    q = 1.0 / (w * w)
    tail = 1.0 / 252.0 - q * (1.0 / 240.0 - q * (1.0 / 132.0 - q * (691.0 / 32760.0)))
    series = log(w) - 0.5 / w - q * (1.0 / 12.0 - q * (1.0 / 120.0 - q * tail))
    mirrored = where(x <= 0.0, PI / tan(PI * where(x <= 0.0, x, 0.25)), 0.0)
    pole = where(x < 0.0, floor(x) == x, False)
    return where(pole, math.nan, series - steps - mirrored)  # type: ignore[no-any-return]


@op(
    partials=lambda _, n, x: (math.nan, psi(n + 1.0, x)),
    domain=([(1.0, 1.0), (0.3, 3.0)], [(2.0, 2.0), (0.3, 3.0)]),
    kind=OfOrder,
)
def polygamma(n: float, x: float) -> float:
    """The n-th derivative of ψ, for whole n ≥ 0: (-1)ⁿ⁺¹·n!·Σ (x + k)⁻ⁿ⁻¹.  ∂/∂x = polygamma(n + 1, x).

    Ten terms of the sum, and Euler's and Maclaurin's formula for the rest of it. Below 0, ψₙ(x) = (-1)ⁿ·ψₙ(1 - x) minus
    the n-th derivative of π·cot(πx) for n ≤ 4; NaN for larger n below -4. n has no derivative: a Tensor
    that requires a gradient is refused, and of a Value, or in a compiled function, its derivative is NaN.
    """
    s = where(n == 0.0, 2.0, n + 1.0)
    mirrored = where(n <= 4.0, x, 1.0)
    z = where(mirrored < 0.0, 1.0 - x, x)
    w = z + 10.0
    total = pow(z, -s) + pow(z + 1.0, -s) + pow(z + 2.0, -s) + pow(z + 3.0, -s) + pow(z + 4.0, -s)
    total = total + pow(z + 5.0, -s) + pow(z + 6.0, -s) + pow(z + 7.0, -s) + pow(z + 8.0, -s) + pow(z + 9.0, -s)
    q = 1.0 / (w * w)
    fifth = (s + 7.0) * (s + 8.0) * q * (1.0 / 47900160.0 - (s + 9.0) * (s + 10.0) * q * (691.0 / 1307674368000.0))
    fourth = (s + 5.0) * (s + 6.0) * q * (1.0 / 1209600.0 - fifth)
    third = (s + 3.0) * (s + 4.0) * q * (1.0 / 30240.0 - fourth)
    second = (s + 1.0) * (s + 2.0) * q * (1.0 / 720.0 - third)
    rest = pow(w, 1.0 - s) * (1.0 / (s - 1.0) + 0.5 / w + s * q * (1.0 / 12.0 - second))
    sign_of_n = 2.0 * mod(n, 2.0) - 1.0
    y = sign_of_n * exp(gammaln(s)) * (total + rest)
    y = where(mirrored < 0.0, -sign_of_n * y - pow(PI, s) * slope_of_cotangent(n, mirrored), y)
    y = where(where(n > 4.0, x, 0.0) < -4.0, math.nan, y)
    return where(n == 0.0, digamma(x), y)  # type: ignore[no-any-return]


def slope_of_cotangent(n: float, x: float) -> float:
    """The n-th derivative of cot at πx < 0, for n from 1 to 4."""
    c = 1.0 / tan(PI * where(x < 0.0, x - floor(x), 0.25))
    q = c * c
    high = where(n == 3.0, -2.0 * (1.0 + q) * (1.0 + 3.0 * q), 8.0 * c * (1.0 + q) * (2.0 + 3.0 * q))
    return where(n == 1.0, -1.0 - q, where(n == 2.0, 2.0 * c * (1.0 + q), high))  # type: ignore[no-any-return]


def psi(n: float, x: float) -> float:
    """ψ or its n-th derivative."""
    return digamma(x) if n.__class__ is float and n == 0.0 else polygamma(n, x)  # type: ignore[no-any-return]
