"""The elementary rows of the table: arithmetic, exponentials, trigonometry, choices and comparisons.

`core.ops` contains these and adds what is made of them. Its docstring explains a row.

>>> y = tanh(0.5)
>>> round(y, 6), [round(d, 6) for d in tanh.partials(y, 0.5)]
(0.462117, [0.786448])
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import Operation, op

PIECES = ([(-3.0, -0.3)], [(0.3, 3.0)])  # intervals on both sides of a kink at 0
POSITIVE = ([(0.3, 3.0)],)

# arithmetic


@op(partials=lambda *_: (1.0, 1.0))
def add(a: float, b: float) -> float:
    """a + b.  ∂/∂a = 1, ∂/∂b = 1."""
    return a + b


@op(partials=lambda *_: (1.0, -1.0), numpy="subtract")
def sub(a: float, b: float) -> float:
    """a - b.  ∂/∂a = 1, ∂/∂b = -1."""
    return a - b


@op(partials=lambda _y, a, b: (b, a), numpy="multiply")
def mul(a: float, b: float) -> float:
    """a·b.  ∂/∂a = b, ∂/∂b = a."""
    return a * b


@op(
    partials=lambda y, _a, b: (1.0 / b, -y / b),
    domain=([(-3.0, 3.0), (0.5, 3.0)], [(-3.0, 3.0), (-3.0, -0.5)]),
    numpy="divide",
)
def div(a: float, b: float) -> float:
    """a / b.  ∂/∂a = 1/b, ∂/∂b = -y/b."""
    return a / b


class Power(Operation):
    """The row whose function of arrays is our own, around NumPy's."""

    @functools.cached_property
    def array_function(self) -> Callable[..., Any]:
        """xⁿ of arrays, quick for whole n."""
        from tinygrad_edu.core.formulas.powers import power  # not above: the scalar engine runs without NumPy

        return power


class OfLargeArrays(Operation):
    """A row whose function of large arrays is our own, in front of NumPy's or SciPy's."""

    @functools.cached_property
    def array_function(self) -> Callable[..., Any]:
        """The function of arrays, quick for large ones."""
        from tinygrad_edu.core.elementwise import large_arrays

        return getattr(large_arrays, self.name)(super().array_function)  # type: ignore[no-any-return]


def exponent_of_slope(n: ArrayLike) -> Any:
    """n - 1, and 0 for n = 0, whose slope 0·x⁰ is 0 at 0 too; a plain number stays one, which has no dtype."""
    if isinstance(n, (int, float)):
        return n - 1.0 if n else 0.0
    return where(n == 0.0, 0.0, n - 1.0)


@op(
    partials=lambda y, x, n: (
        n * pow(x, exponent_of_slope(n)),
        where(x > 0.0, y * log(where(x > 0.0, x, 1.0)), where((x == 0.0) & (n < 0.0), -math.inf, 0.0)),
    ),
    domain=([(0.3, 3.0), (-3.0, 3.0)],),
    numpy="power",
    kind=Power,
)
def pow(x: float, n: float) -> float:
    """xⁿ.  ∂/∂x = n·xⁿ⁻¹ (0 for n = 0, so 0⁰ has slope 0), ∂/∂n = y·log x (0 where x ≤ 0; -∞ for 0ⁿ, n < 0)."""
    return math.pow(x, n)


@op(partials=lambda *_: (-1.0,), numpy="negative")
def neg(x: float) -> float:
    """-x.  dy/dx = -1."""
    return -x


@op(partials=lambda *_: (1.0,), numpy="positive")
def pos(x: float) -> float:
    """x itself, as a new node.  dy/dx = 1."""
    return x


@op(partials=lambda _, x: (sign(x),), domain=PIECES, numpy="absolute")
def abs(x: float) -> float:
    """|x|.  dy/dx = sign x, and 0 at 0."""
    return math.fabs(x)


@op(partials=lambda *_: (0.0,), domain=PIECES)
def sign(x: float) -> float:
    """-1, 0 or 1 as x is below, at or above 0.  dy/dx = 0."""
    return 1.0 if x > 0.0 else -1.0 if x < 0.0 else x


@op(partials=lambda _, x: (2.0 * x,))
def square(x: float) -> float:
    """x².  dy/dx = 2x."""
    return x * x


@op(partials=lambda y, _: (0.5 / y,), domain=POSITIVE)
def sqrt(x: float) -> float:
    """√x.  dy/dx = 1/(2y)."""
    return math.sqrt(x)


@op(partials=lambda y, _: (-y * y,), domain=([(0.5, 3.0)], [(-3.0, -0.5)]))
def reciprocal(x: float) -> float:
    """1/x.  dy/dx = -y²."""
    return 1.0 / x


# exponentials and logarithms


@op(partials=lambda y, _: (y,))
def exp(x: float) -> float:
    """eˣ.  dy/dx = y."""
    return math.exp(x)


@op(partials=lambda y, _: (y + 1.0,))
def expm1(x: float) -> float:
    """eˣ - 1, exact near 0.  dy/dx = y + 1."""
    return math.expm1(x)


@op(partials=lambda _, x: (1.0 / x,), domain=POSITIVE)
def log(x: float) -> float:
    """Natural logarithm.  dy/dx = 1/x."""
    return math.log(x)


@op(partials=lambda _, x: (1.0 / (1.0 + x),), domain=([(-0.6, 3.0)],))
def log1p(x: float) -> float:
    """log(1 + x), exact near 0.  dy/dx = 1/(1 + x)."""
    return math.log1p(x)


# trigonometry


@op(partials=lambda _, x: (cos(x),))
def sin(x: float) -> float:
    """Sine of x in radians.  dy/dx = cos x."""
    return math.sin(x)


@op(partials=lambda _, x: (-sin(x),))
def cos(x: float) -> float:
    """Cosine of x in radians.  dy/dx = -sin x."""
    return math.cos(x)


@op(partials=lambda y, _: (1.0 + y * y,), domain=([(-1.2, 1.2)],))
def tan(x: float) -> float:
    """Tangent of x in radians.  dy/dx = 1 + y²."""
    return math.tan(x)


@op(partials=lambda _, x: (1.0 / sqrt(1.0 - x * x),), domain=([(-0.8, 0.8)],), numpy="arcsin")
def asin(x: float) -> float:
    """Inverse sine, in radians.  dy/dx = 1/√(1 - x²)."""
    return math.asin(x)


@op(partials=lambda _, x: (-1.0 / sqrt(1.0 - x * x),), domain=([(-0.8, 0.8)],), numpy="arccos")
def acos(x: float) -> float:
    """Inverse cosine, in radians.  dy/dx = -1/√(1 - x²)."""
    return math.acos(x)


@op(partials=lambda _, x: (1.0 / (1.0 + x * x),), numpy="arctan")
def atan(x: float) -> float:
    """Inverse tangent, in radians.  dy/dx = 1/(1 + x²)."""
    return math.atan(x)


@op(partials=lambda _, x: (cosh(x),))
def sinh(x: float) -> float:
    """(eˣ - e⁻ˣ)/2.  dy/dx = cosh x."""
    return math.sinh(x)


@op(partials=lambda _, x: (sinh(x),))
def cosh(x: float) -> float:
    """(eˣ + e⁻ˣ)/2.  dy/dx = sinh x."""
    return math.cosh(x)


@op(partials=lambda y, _: (1.0 - y * y,))
def tanh(x: float) -> float:
    """Hyperbolic tangent.  dy/dx = 1 - y², from the output alone."""
    return math.tanh(x)


class Erf(Operation):
    """The row whose function of large float32 arrays is our own, beside SciPy's."""

    @functools.cached_property
    def array_function(self) -> Callable[..., Any]:
        """erf of arrays, quick for float32."""
        from tinygrad_edu.core.elementwise.error_function import with_singles

        return with_singles(super().array_function)


@op(partials=lambda _, x: (2.0 / math.sqrt(math.pi) * exp(-x * x),), scipy="erf", kind=Erf)
def erf(x: float) -> float:
    """Error function 2/√π ∫₀ˣ e⁻ᵗ² dt.  dy/dx = 2/√π · e^(-x²)."""
    return math.erf(x)


# choices


@op(
    partials=lambda _, a, b: ((a > b) + 0.5 * (a == b), (b > a) + 0.5 * (a == b)),
    domain=([(-3.0, 0.0), (0.5, 3.0)], [(0.5, 3.0), (-3.0, 0.0)]),
)
def maximum(a: float, b: float) -> float:
    """The larger of a and b; NaN where either is NaN.  The larger one gets the gradient, ties share it."""
    return a if a >= b or a != a else b


@op(
    partials=lambda _, a, b: ((a < b) + 0.5 * (a == b), (b < a) + 0.5 * (a == b)),
    domain=([(-3.0, 0.0), (0.5, 3.0)], [(0.5, 3.0), (-3.0, 0.0)]),
)
def minimum(a: float, b: float) -> float:
    """The smaller of a and b; NaN where either is NaN.  The smaller one gets the gradient, ties share it."""
    return a if a <= b or a != a else b


@op(
    partials=lambda _y, condition, _a, _b: (0.0, condition != 0.0, condition == 0.0),
    domain=([(1.0, 1.0), (-3.0, 3.0)], [(0.0, 0.0), (-3.0, 3.0)]),
    kind=OfLargeArrays,
)
def where(condition: float, a: float, b: float) -> float:
    """a where the condition holds, else b.  The one that was chosen gets the gradient, the condition none."""
    return a if condition else b


@op(
    partials=lambda _, x, low, high: ((x >= low) & (x <= high), (x < low) & (low <= high), (x > high) | (low > high)),
    domain=([(-3.0, 3.0), (-9.0, -4.0), (4.0, 9.0)], [(3.0, 4.0), (-2.0, -1.0), (1.0, 2.0)]),
)
def clip(x: float, low: float = -math.inf, high: float = math.inf) -> float:
    """x kept between low and high, or high if they cross.  ∂/∂x = 1 inside and on them, else the bound's."""
    return minimum(maximum(x, low), high)  # type: ignore[no-any-return]


# comparisons: plain booleans, without derivative


@op()
def greater(a: float, b: float) -> bool:
    """a > b."""
    return a > b


@op()
def greater_equal(a: float, b: float) -> bool:
    """a ≥ b."""
    return a >= b


@op()
def less(a: float, b: float) -> bool:
    """a < b."""
    return a < b


@op()
def less_equal(a: float, b: float) -> bool:
    """a ≤ b."""
    return a <= b


@op()
def equal(a: float, b: float) -> bool:
    """a = b."""
    return a == b


@op()
def not_equal(a: float, b: float) -> bool:
    """a ≠ b."""
    return a != b
