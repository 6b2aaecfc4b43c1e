"""THE table: every elementwise operation, declared once, with its derivative and its formula.

A row is a function of plain floats and `partials(y, x, ...)`, which gives ∂y/∂x from the output y and the inputs.
`Value`, `Tensor`, the pictures, the command line and the tests are interpreters of this table; nothing else
knows a derivative of an elementwise operation. A comparison in a derivative, such as `x > 0`, counts as 1 or 0.
Conventions at a kink: relu'(0) = 0, abs'(0) = 0, and ties of maximum and minimum share the gradient equally.
The elementary rows are in `core.elementary`, then `transcendental`, `rounding` and `special`; here are activations and
the losses of single entries.

>>> y = sigmoid(0.5)
>>> round(y, 6), [round(d, 6) for d in sigmoid.partials(y, 0.5)]
(0.622459, [0.235004])
"""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.elementary import *  # noqa: F403  (a list of names would repeat every row of the table)
from tinygrad_edu.core.elementary import (
    PIECES,
    OfLargeArrays,
    abs,
    clip,
    erf,
    exp,
    expm1,
    log,
    log1p,
    maximum,
    minimum,
    reciprocal,
    sign,
    square,
    tanh,
    where,
)
from tinygrad_edu.core.elementwise.rounding import *  # noqa: F403
from tinygrad_edu.core.elementwise.special import *  # noqa: F403
from tinygrad_edu.core.elementwise.transcendental import *  # noqa: F403
from tinygrad_edu.core.operation import TABLE as TABLE
from tinygrad_edu.core.operation import op

SQRT_HALF = math.sqrt(0.5)
INVERSE_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)
SQRT_TWO_OVER_PI = math.sqrt(2.0 / math.pi)
SIX_WIDE = ([(-6.0, -3.3)], [(-2.7, 2.7)], [(3.3, 6.0)])  # the three pieces of a function with kinks at -3 and 3
SMALLEST = math.exp(-100.0)
SELU_SCALE, SELU_ALPHA = 1.0507009873554805, 1.6732632423543772  # these make mean 0, variance 1 a fixed point

# activations


@op(partials=lambda y, _: (y * (1.0 - y),), scipy="expit", kind=OfLargeArrays)
def sigmoid(x: float) -> float:
    """σ(x) = 1/(1 + e⁻ˣ).  dy/dx = y(1 - y). Written with e^(-|x|), which cannot overflow."""
    e = exp(-abs(x))
    return where(x >= 0.0, 1.0, e) / (1.0 + e)  # type: ignore[no-any-return]


@op(partials=lambda _, x: (sigmoid(-x),), scipy="log_expit", kind=OfLargeArrays)
def log_sigmoid(x: float) -> float:
    """log σ(x) = min(x, 0) - log(1 + e^(-|x|)).  dy/dx = σ(-x)."""
    return minimum(x, 0.0) - log1p(exp(-abs(x)))  # type: ignore[no-any-return]


@op(partials=lambda _, x: (sigmoid(x),))
def softplus(x: float) -> float:
    """log(1 + eˣ) = max(x, 0) + log(1 + e^(-|x|)).  dy/dx = σ(x)."""
    return maximum(x, 0.0) + log1p(exp(-abs(x)))  # type: ignore[no-any-return]


@op(partials=lambda y, _: (y > 0.0,), domain=PIECES)
def relu(x: float) -> float:
    """max(x, 0).  dy/dx = [x > 0], so 0 at 0."""
    return maximum(x, 0.0)  # type: ignore[no-any-return]


@op(partials=lambda _, x, slope: (where(x > 0.0, 1.0, slope), minimum(x, 0.0)), domain=PIECES)
def leaky_relu(x: float, slope: float = 0.01) -> float:
    """x where x > 0, else slope·x.  ∂/∂x = 1 or slope, ∂/∂slope = min(x, 0)."""
    return where(x > 0.0, x, slope * x)  # type: ignore[no-any-return]


@op(
    partials=lambda y, x, alpha: (where(x > 0.0, 1.0, y + alpha), expm1(minimum(x, 0.0))),
    domain=PIECES,
)
def elu(x: float, alpha: float = 1.0) -> float:
    """x where x > 0, else α(eˣ - 1).  ∂/∂x = 1 or y + α, ∂/∂α = e^min(x,0) - 1. (Clevert et al. 2015)"""
    return where(x > 0.0, x, alpha * expm1(minimum(x, 0.0)))  # type: ignore[no-any-return]


@op(partials=lambda _, x: (normal_cdf(x) + x * INVERSE_SQRT_TWO_PI * exp(-0.5 * x * x),))
def gelu(x: float) -> float:
    """x·Φ(x), Φ the normal distribution function.  dy/dx = Φ(x) + x·φ(x). (Hendrycks and Gimpel 2016)"""
    return x * normal_cdf(x)  # type: ignore[no-any-return]


@op(partials=lambda _, x: (gelu_tanh_slope(x, tanh(SQRT_TWO_OVER_PI * (x + 0.044715 * x * x * x))),))
def gelu_tanh(x: float) -> float:
    """x(1 + t)/2, t = tanh u, u = √(2/π)(x + 0.044715·x³), close to gelu.  dy/dx = (1 + t)/2 + x(1 - t²)/2·du/dx."""
    return 0.5 * x * (1.0 + tanh(SQRT_TWO_OVER_PI * (x + 0.044715 * x * x * x)))  # type: ignore[no-any-return]


def gelu_tanh_slope(x: ArrayLike, t: ArrayLike) -> Any:
    return 0.5 * (1.0 + t) + 0.5 * x * (1.0 - t * t) * SQRT_TWO_OVER_PI * (1.0 + 0.134145 * x * x)


def normal_cdf(x: ArrayLike) -> Any:
    """Φ(x) = (1 + erf(x/√2))/2."""
    return 0.5 * (1.0 + erf(SQRT_HALF * x))


@op(partials=lambda _, x: (sigmoid(x) * (1.0 + x * sigmoid(-x)),))
def silu(x: float) -> float:
    """x·σ(x).  dy/dx = σ(x)(1 + x·σ(-x)), in which no large numbers cancel."""
    return x * sigmoid(x)  # type: ignore[no-any-return]


@op(partials=lambda y, x: (where(x > 0.0, SELU_SCALE, y + SELU_SCALE * SELU_ALPHA),), domain=PIECES)
def selu(x: float) -> float:
    """λ·elu(x, α), λ = 1.0507, α = 1.6733.  dy/dx = λ where x > 0, else y + λα. (Klambauer et al. 2017)"""
    return SELU_SCALE * where(x > 0.0, x, SELU_ALPHA * expm1(minimum(x, 0.0)))  # type: ignore[no-any-return]


@op(
    partials=lambda _, x, alpha: (exp(minimum(x, 0.0) / alpha), celu_by_alpha(minimum(x, 0.0) / alpha)),
    domain=([(-3.0, -0.3), (0.5, 2.0)], [(0.3, 3.0), (0.5, 2.0)]),
)
def celu(x: float, alpha: float = 1.0) -> float:
    """x where x > 0, else α(e^(x/α) - 1).  ∂/∂x = e^m, ∂/∂α = e^m - 1 - m·e^m, m = min(x, 0)/α. (Barron 2017)"""
    return where(x > 0.0, x, alpha * expm1(minimum(x, 0.0) / alpha))  # type: ignore[no-any-return]


def celu_by_alpha(m: ArrayLike) -> Any:
    return expm1(m) - m * exp(m)


@op(partials=lambda y, x: ((tanh(softplus(x)) + x * sigmoid(x) * (1.0 - square(tanh(softplus(x))))),))
def mish(x: float) -> float:
    """x·w, w = tanh(log(1 + eˣ)).  dy/dx = w + x·σ(x)·(1 - w²). (Misra 2019)"""
    return x * tanh(softplus(x))  # type: ignore[no-any-return]


@op(partials=lambda _, x: (reciprocal(square(1.0 + abs(x))),), domain=PIECES)
def softsign(x: float) -> float:
    """x/(1 + |x|).  dy/dx = 1/(1 + |x|)²."""
    return x / (1.0 + abs(x))  # type: ignore[no-any-return]


@op(partials=lambda _, x: ((x > -1.0) & (x < 1.0),), domain=([(-3.0, -1.3)], [(-0.7, 0.7)], [(1.3, 3.0)]))
def hard_tanh(x: float) -> float:
    """x kept between -1 and 1.  dy/dx = 1 between them, 0 on them and outside."""
    return clip(x, -1.0, 1.0)  # type: ignore[no-any-return]


@op(partials=lambda _, x: ((x > 0.0) & (x < 6.0),), domain=(*PIECES, [(6.3, 9.0)]))
def relu6(x: float) -> float:
    """x kept between 0 and 6.  dy/dx = 1 between them, 0 on them and outside. (Krizhevsky 2010)"""
    return clip(x, 0.0, 6.0)  # type: ignore[no-any-return]


@op(partials=lambda _, x: (((x > -3.0) & (x < 3.0)) / 6.0,), domain=SIX_WIDE)
def hard_sigmoid(x: float) -> float:
    """x/6 + 1/2 kept between 0 and 1.  dy/dx = 1/6 where -3 < x < 3, else 0. (Howard et al. 2019)"""
    return clip(x / 6.0 + 0.5, 0.0, 1.0)  # type: ignore[no-any-return]


@op(partials=lambda _, x: (where(x < 3.0, where(x > -3.0, x / 3.0 + 0.5, 0.0), 1.0),), domain=SIX_WIDE)
def hard_swish(x: float) -> float:
    """x·hard_sigmoid(x).  dy/dx = 0 up to x = -3, x/3 + 1/2 between, 1 from x = 3 on. (Howard et al. 2019)"""
    return x * hard_sigmoid(x)  # type: ignore[no-any-return]


# losses of one entry, from a prediction p and its target t; losses.py takes their mean


@op(partials=lambda _, p, t: (2.0 * (p - t), 2.0 * (t - p)))
def squared_error(p: float, t: float) -> float:
    """(p - t)².  ∂/∂p = 2(p - t) = -∂/∂t."""
    return (p - t) * (p - t)


@op(
    partials=lambda _, p, t: (sign(p - t), sign(t - p)),
    domain=([(-3.0, 0.0), (0.5, 3.0)], [(0.5, 3.0), (-3.0, 0.0)]),
)
def absolute_error(p: float, t: float) -> float:
    """|p - t|.  ∂/∂p = sign(p - t) = -∂/∂t, and 0 where they are equal."""
    return abs(p - t)  # type: ignore[no-any-return]


@op(
    partials=lambda _, p, t, delta: (
        clip(p - t, -delta, delta),
        clip(t - p, -delta, delta),
        maximum(abs(p - t) - delta, 0.0),
    ),
    domain=([(-1.0, 1.0), (1.5, 3.0), (0.1, 0.4)], [(-1.0, 1.0), (-1.0, 1.0), (2.5, 3.0)]),
)
def huber_loss(p: float, t: float, delta: float = 1.0) -> float:
    """e²/2 where |e| ≤ δ, else δ(|e| - δ/2), e = p - t.  ∂/∂p = e kept within ±δ, ∂/∂δ = max(|e| - δ, 0)."""
    return where(abs(p - t) <= delta, 0.5 * (p - t) * (p - t), delta * (abs(p - t) - 0.5 * delta))  # type: ignore[no-any-return]


@op(partials=lambda _, z, t: (sigmoid(z) - t, -z))
def logistic_loss(z: float, t: float) -> float:
    """-(t·log σ(z) + (1 - t)·log(1 - σ(z))) = max(z, 0) - z·t + log(1 + e^(-|z|)).  ∂/∂z = σ(z) - t, ∂/∂t = -z."""
    return maximum(z, 0.0) - z * t + log1p(exp(-abs(z)))  # type: ignore[no-any-return]


@op(
    partials=lambda _, p, t: (
        where(p * (1.0 - p) >= 0.0, (p - t) / maximum(p * (1.0 - p), 1e-12), math.nan),
        log(maximum(1.0 - p, SMALLEST)) - log(maximum(p, SMALLEST)),
    ),
    domain=([(0.1, 0.9), (0.1, 0.9)],),
)
def log_loss(p: float, t: float) -> float:
    """-(t·log p + (1 - t)·log(1 - p)).  ∂/∂p = (p - t)/(p(1 - p)), ∂/∂t = log(1 - p) - log p.

    As in PyTorch the logarithms are at least -100, and p(1 - p) in the derivative at least 1e-12. Where p is no
    probability both are NaN: a compiled program, which cannot refuse it, does not go on with it.
    """
    cost = -(t * log(maximum(p, SMALLEST)) + (1.0 - t) * log(maximum(1.0 - p, SMALLEST)))
    return where(p * (1.0 - p) >= 0.0, cost, math.nan)  # type: ignore[no-any-return]


@op(
    partials=lambda _, p, t: (-t * (p * t < 1.0), -p * (p * t < 1.0)),
    domain=([(-3.0, 0.3), (0.5, 2.0)], [(2.5, 3.0), (0.5, 3.0)]),
)
def hinge_loss(p: float, t: float) -> float:
    """max(1 - p·t, 0).  ∂/∂p = -t, ∂/∂t = -p where p·t < 1, else 0."""
    return maximum(1.0 - p * t, 0.0)  # type: ignore[no-any-return]


@op(partials=lambda _, z, t: (exp(z) - t, -z))
def poisson_loss(z: float, t: float) -> float:
    """e^z - t·z, of the logarithm z of a rate.  ∂/∂z = e^z - t, ∂/∂t = -z.

    From z = 1000 on e^z is infinite, and so is the loss: ∞ - ∞ would be NaN.
    """
    return exp(z) - t * minimum(z, 1000.0)  # type: ignore[no-any-return]
