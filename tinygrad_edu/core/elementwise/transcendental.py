"""More rows of the table: logarithms of other bases, inverse hyperbolics, angles, and what two numbers make together.

`core.ops` has these too; the docstring there says how a row reads.

>>> hypot(3.0, 4.0), hypot.partials(5.0, 3.0, 4.0)
(5.0, (0.6, 0.8))
"""

from __future__ import annotations

import math

from tinygrad_edu.core.elementary import POSITIVE, abs, cos, exp, log1p, maximum, sin, sqrt, where
from tinygrad_edu.core.operation import op

LN2, LN10 = math.log(2.0), math.log(10.0)
DEGREE = math.pi / 180.0
PI = math.pi
# for |πx| below this the derivative is summed as a series: the difference in its formula would lose digits
SINC_SERIES = 0.5

# powers and logarithms


@op(partials=lambda _, x: (1.0 / (LN2 * x),), domain=POSITIVE, activation=False)
def log2(x: float) -> float:
    """Logarithm to base 2.  dy/dx = 1/(x·log 2)."""
    return math.log2(x)


@op(partials=lambda _, x: (1.0 / (LN10 * x),), domain=POSITIVE, activation=False)
def log10(x: float) -> float:
    """Logarithm to base 10.  dy/dx = 1/(x·log 10)."""
    return math.log10(x)


@op(partials=lambda y, _: (LN2 * y,), activation=False)
def exp2(x: float) -> float:
    """2ˣ.  dy/dx = y·log 2."""
    return math.pow(2.0, x)


@op(partials=lambda y, _: (1.0 / (3.0 * y * y),), domain=([(0.3, 3.0)], [(-3.0, -0.3)]), activation=False)
def cbrt(x: float) -> float:
    """The real cube root, of negative numbers too.  dy/dx = 1/(3y²), infinite at 0."""
    return math.cbrt(x)


def weights_of_logaddexp(_: float, a: float, b: float) -> tuple[float, float]:
    return exp(-logaddexp(0.0, b - a)), exp(-logaddexp(0.0, a - b))


@op(partials=weights_of_logaddexp)
def logaddexp(a: float, b: float) -> float:
    """log(eᵃ + eᵇ), which does not overflow.  ∂/∂a = e^(a-y), ∂/∂b = e^(b-y).

    The difference is taken before anything is rounded: at a = b = 3e7 in float32 y is a, and e^(a-y) 1, not 1/2.
    """
    return where(a == b, a + LN2, maximum(a, b) + log1p(exp(-abs(a - b))))  # type: ignore[no-any-return]


def weights_of_logaddexp2(_: float, a: float, b: float) -> tuple[float, float]:
    return exp2(-logaddexp2(0.0, b - a)), exp2(-logaddexp2(0.0, a - b))


@op(partials=weights_of_logaddexp2)
def logaddexp2(a: float, b: float) -> float:
    """log₂(2ᵃ + 2ᵇ), which does not overflow.  ∂/∂a = 2^(a-y), ∂/∂b = 2^(b-y), as in logaddexp."""
    return where(a == b, a + 1.0, maximum(a, b) + log1p(exp2(-abs(a - b))) / LN2)  # type: ignore[no-any-return]


# inverse hyperbolics


@op(partials=lambda _, x: (1.0 / sqrt(1.0 + x * x),), numpy="arcsinh")
def asinh(x: float) -> float:
    """Inverse hyperbolic sine, log(x + √(x² + 1)).  dy/dx = 1/√(1 + x²)."""
    return math.asinh(x)


@op(partials=lambda _, x: (1.0 / sqrt(x * x - 1.0),), domain=([(1.3, 4.0)],), numpy="arccosh", activation=False)
def acosh(x: float) -> float:
    """Inverse hyperbolic cosine, log(x + √(x² - 1)), of x ≥ 1.  dy/dx = 1/√(x² - 1)."""
    return math.acosh(x)


@op(partials=lambda _, x: (1.0 / (1.0 - x * x),), domain=([(-0.8, 0.8)],), numpy="arctanh", activation=False)
def atanh(x: float) -> float:
    """Inverse hyperbolic tangent, log((1 + x)/(1 - x))/2.  dy/dx = 1/(1 - x²)."""
    return math.atanh(x)


# angles and distances


@op(partials=lambda *_: (DEGREE,), activation=False)
def deg2rad(x: float) -> float:
    """Degrees as radians, x·π/180.  dy/dx = π/180."""
    return x * DEGREE


@op(partials=lambda *_: (1.0 / DEGREE,), activation=False)
def rad2deg(x: float) -> float:
    """Radians as degrees, x·180/π.  dy/dx = 180/π."""
    return x * (180.0 / PI)


@op(
    partials=lambda y, a, b: (a / where(y == 0.0, 1.0, y), b / where(y == 0.0, 1.0, y)),
    domain=([(0.3, 3.0), (-3.0, 3.0)], [(-3.0, -0.3), (-3.0, 3.0)]),
)
def hypot(a: float, b: float) -> float:
    """√(a² + b²), which does not overflow.  ∂/∂a = a/y, ∂/∂b = b/y, and 0 at (0, 0)."""
    return math.hypot(a, b)


@op(
    partials=lambda _, a, b: (b / (a * a + b * b), -a / (a * a + b * b)),
    domain=([(0.3, 3.0), (-3.0, 3.0)], [(-3.0, -0.3), (-3.0, 3.0)]),
    numpy="arctan2",
)
def atan2(a: float, b: float) -> float:
    """The angle of the point (b, a), from -π to π.  ∂/∂a = b/(a² + b²), ∂/∂b = -a/(a² + b²)."""
    return math.atan2(a, b)


@op(partials=lambda y, x: (sinc_slope(y, x),), activation=False)
def sinc(x: float) -> float:
    """sin(πx)/(πx), and 1 at 0.  dy/dx = (cos(πx) - y)/x, and 0 at 0."""
    p = PI * where(x == 0.0, 1.0, x)
    return where(x == 0.0, 1.0, sin(p) / p)  # type: ignore[no-any-return]


def sinc_slope(y: float, x: float) -> float:
    """(cos πx - y)/x; near 0 π·Σ (-1)ᵏ·2k·(πx)²ᵏ⁻¹/(2k + 1)!, whose own derivatives are right at 0 too."""
    p = PI * where(abs(PI * x) < SINC_SERIES, x, 0.0)
    q = p * p
    tail = 1.0 / 45360.0 - q * (1.0 / 3991680.0 - q * (1.0 / 518918400.0 - q / 93405312000.0))
    series = -PI * p * (1.0 / 3.0 - q * (1.0 / 30.0 - q * (1.0 / 840.0 - q * tail)))
    far = where(abs(PI * x) < SINC_SERIES, 1.0, x)
    return where(abs(PI * x) < SINC_SERIES, series, (cos(PI * far) - y) / far)  # type: ignore[no-any-return]
