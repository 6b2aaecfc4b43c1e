"""The distributions of numbers, one row each."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.stats.distribution import Distribution

INF = math.inf
HALF_LOG_TWO_PI = 0.5 * math.log(2.0 * math.pi)


# checks of shape parameters


def is_above_0(a: ArrayLike) -> Any:
    return ops.greater(a, 0.0)


def is_from_0(a: ArrayLike) -> Any:
    return ops.greater_equal(a, 0.0)


def is_share(p: ArrayLike) -> Any:
    return ops.where(ops.greater_equal(p, 0.0), ops.less_equal(p, 1.0), False)


def is_share_above_0(p: ArrayLike) -> Any:
    return ops.where(ops.greater(p, 0.0), ops.less_equal(p, 1.0), False)


def is_count(n: ArrayLike) -> Any:
    """A whole number from 0 on."""
    return ops.where(ops.greater_equal(n, 0.0), ops.equal(ops.floor(n), n), False)


def everywhere(*_: ArrayLike) -> tuple[float, float]:
    return -INF, INF


def from_0(*_: ArrayLike) -> tuple[float, float]:
    return 0.0, INF


def from_0_to_1(*_: ArrayLike) -> tuple[float, float]:
    return 0.0, 1.0


MANY = 200.0  # degrees of freedom from which the series is exact to double precision


def log_t(z: ArrayLike, df: ArrayLike) -> Any:
    """log Γ((n+1)/2) - log Γ(n/2) - ½ log πn - (n+1)/2·log(1 + z²/n), for n degrees of freedom.

    For many of them the difference of two large numbers log Γ has no digits left: its series is
    ½ log n/2 - 1/4n + 1/24n³ - 1/20n⁵. For infinitely many it is the normal distribution.
    """
    endless, many = ops.equal(df, INF), ops.greater(df, MANY)
    n = ops.where(endless, 1.0, df)
    few, large = ops.where(many, 1.0, n), ops.where(many, n, MANY)
    of_few = ops.gammaln(0.5 * few + 0.5) - ops.gammaln(0.5 * few) - 0.5 * ops.log(math.pi * few)
    r = 1.0 / large
    of_many = -HALF_LOG_TWO_PI - r * (0.25 - r * r * (1.0 / 24.0 - r * r / 20.0))
    y = ops.where(many, of_many, of_few) - (0.5 * n + 0.5) * ops.log1p(z * z / n)
    return ops.where(endless, -0.5 * z * z - HALF_LOG_TWO_PI, y)


FAR = 1e8  # from here on 1 + z² equals z² in double precision


def log_cauchy(z: ArrayLike) -> Any:
    """-log π - log(1 + z²), where z² may be too large for a float."""
    far = ops.greater(ops.abs(z), FAR)
    near = -ops.log1p(ops.where(far, 0.0, z) ** 2)
    return ops.where(far, -2.0 * ops.log(ops.abs(ops.where(far, z, 1.0))), near) - math.log(math.pi)


def log_choose(n: ArrayLike, k: ArrayLike) -> Any:
    """log of n over k, by the beta function: three log Γ have no digits left where n is large."""
    return -ops.log1p(n) - ops.betaln(n - k + 1.0, k + 1.0)


ROWS = (
    Distribution("norm", {}, lambda z: -0.5 * z * z - HALF_LOG_TWO_PI, everywhere, known={
        "cdf": ops.ndtr, "sf": lambda z: ops.ndtr(-z), "logcdf": ops.log_ndtr, "logsf": lambda z: ops.log_ndtr(-z)}),
    Distribution("t", {"df": is_above_0}, log_t, everywhere),
    Distribution("cauchy", {}, log_cauchy, everywhere, known={
        "cdf": lambda z: ops.atan2(1.0, -z) / math.pi, "sf": lambda z: ops.atan2(1.0, z) / math.pi}),
    Distribution("laplace", {}, lambda z: -ops.abs(z) - math.log(2.0), everywhere, known={
        "cdf": lambda z: below_laplace(z), "sf": lambda z: below_laplace(-z),
        "logcdf": lambda z: log_below_laplace(z), "logsf": lambda z: log_below_laplace(-z)}),
    Distribution("logistic", {}, lambda z: -ops.abs(z) - 2.0 * ops.log1p(ops.exp(-ops.abs(z))), everywhere, known={
        "cdf": ops.sigmoid, "sf": lambda z: ops.sigmoid(-z),
        "logcdf": lambda z: -ops.softplus(-z), "logsf": lambda z: -ops.softplus(z)}),
    Distribution("gumbel_r", {}, lambda z: -z - ops.exp(-z), everywhere, known={
        "logcdf": lambda z: -ops.exp(-z), "sf": lambda z: -ops.expm1(-ops.exp(-z))}),
    # support from 0 to ∞
    Distribution("expon", {}, lambda z: -z, from_0, known={
        "cdf": lambda z: -ops.expm1(-z), "logsf": lambda z: -z}),
    Distribution("gamma", {"a": is_above_0}, lambda z, a: ops.xlogy(a - 1.0, z) - z - ops.gammaln(a), from_0),
    Distribution("chi2", {"df": is_above_0}, lambda z, df: (
        ops.xlogy(0.5 * df - 1.0, z) - 0.5 * z - ops.gammaln(0.5 * df) - 0.5 * math.log(2.0) * df), from_0),
    Distribution("invgamma", {"a": is_above_0}, lambda z, a: (
        -(a + 1.0) * ops.log(z) - ops.gammaln(a) - 1.0 / z), from_0, above=True),
    Distribution("lognorm", {"s": is_above_0}, lambda z, s: (
        -0.5 * (ops.log(z) / s) ** 2 - ops.log(s * z) - HALF_LOG_TWO_PI), from_0, above=True, known={
        "cdf": lambda z, s: ops.ndtr(ops.log(z) / s), "sf": lambda z, s: ops.ndtr(-ops.log(z) / s),
        "logcdf": lambda z, s: ops.log_ndtr(ops.log(z) / s), "logsf": lambda z, s: ops.log_ndtr(-ops.log(z) / s)}),
    Distribution("halfnorm", {}, lambda z: -0.5 * z * z - HALF_LOG_TWO_PI + math.log(2.0), from_0, known={
        "cdf": lambda z: ops.erf(math.sqrt(0.5) * z), "sf": lambda z: 2.0 * ops.ndtr(-z),
        "logsf": lambda z: ops.log_ndtr(-z) + math.log(2.0)}),
    Distribution("weibull_min", {"c": is_above_0}, lambda z, c: (
        ops.log(c) + ops.xlogy(c - 1.0, z) - z**c), from_0, known={
        "cdf": lambda z, c: -ops.expm1(-(z**c)), "logsf": lambda z, c: -(z**c)}),
    Distribution("pareto", {"b": is_above_0}, lambda z, b: ops.log(b) - (b + 1.0) * ops.log(z), lambda b: (1.0, INF),
                 inside=2.0, known={"cdf": lambda z, b: 1.0 - z**-b, "logsf": lambda z, b: -b * ops.log(z)}),
    # support from 0 to 1
    Distribution("uniform", {}, lambda z: 0.0 * z, from_0_to_1, known={"cdf": lambda z: z, "sf": lambda z: 1.0 - z}),
    Distribution("beta", {"a": is_above_0, "b": is_above_0}, lambda z, a, b: ops.where(ops.less(a + b, INF), (
        ops.xlog1py(b - 1.0, -z) + ops.xlogy(a - 1.0, z) - ops.betaln(a, b)), math.nan), from_0_to_1),
    # on integers
    Distribution("bernoulli", {"p": is_share}, lambda k, p: ops.xlogy(k, p) + ops.xlog1py(1.0 - k, -p),
                 lambda p: (0.0, 1.0), 0.0, {"cdf": lambda k, p: 1.0 - p * (1.0 - k), "sf": lambda k, p: p * (1.0 - k)},
                 discrete=True),
    Distribution("binom", {"n": is_count, "p": is_share}, lambda k, n, p: (
        log_choose(n, k) + ops.xlogy(k, p) + ops.xlog1py(n - k, -p)), lambda n, p: (0.0, n), 0.0, discrete=True),
    Distribution("geom", {"p": is_share_above_0}, lambda k, p: (
        ops.xlog1py(k - 1.0, -p) + ops.log(p)), lambda p: (1.0, INF), 1.0,
                 {"cdf": lambda k, p: -ops.expm1(k * ops.log1p(-p)), "logsf": lambda k, p: k * ops.log1p(-p)},
                 discrete=True),
    Distribution("nbinom", {"n": is_above_0, "p": is_share_above_0}, lambda k, n, p: (
        log_choose(n + k - 1.0, k) + n * ops.log(p) + ops.xlog1py(k, -p)), lambda n, p: (0.0, INF), 0.0, discrete=True),
    Distribution("poisson", {"mu": is_from_0}, lambda k, mu: ops.xlogy(k, mu) - ops.gammaln(k + 1.0) - mu,
                 lambda mu: (0.0, INF), 0.0, discrete=True),
)  # fmt: skip
TABLE = {row.name: row for row in ROWS}


def below_laplace(z: ArrayLike) -> Any:
    """e^z/2 below 0, 1 - e^-z/2 above."""
    half = 0.5 * ops.exp(-ops.abs(z))
    return ops.where(ops.less(z, 0.0), half, 1.0 - half)


def log_below_laplace(z: ArrayLike) -> Any:
    far = -ops.abs(z)
    return ops.where(ops.less(z, 0.0), far - math.log(2.0), ops.log1p(-0.5 * ops.exp(far)))
