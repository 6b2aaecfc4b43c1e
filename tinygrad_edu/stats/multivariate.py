"""Densities of vectors: the last axis of x, or the first one of Dirichlet's as SciPy has it, holds one vector."""

from __future__ import annotations

import math
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.diagonals import diagonal
from tinygrad_edu.core.arrays.factors import cholesky
from tinygrad_edu.core.arrays.linear_systems import solve
from tinygrad_edu.core.broadcasting import sum
from tinygrad_edu.core.shapes import reshape, transpose
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.stats.distribution import as_floats

LOG_TWO_PI = math.log(2.0 * math.pi)


def normal_logpdf(x: ArrayLike, mean: ArrayLike = 0.0, cov: ArrayLike = 1.0, allow_singular: bool = False) -> Any:
    """The logarithm of the density of a normal distribution of vectors.

    -½(d·log 2π + log |Σ| + (x - μ)ᵀΣ⁻¹(x - μ)), by the Cholesky factor of Σ.

    `x`: (..., d), or (n,) of numbers where d = 1. `mean`: (d,). `cov`: Σ (d, d), its diagonal (d,) or one number for
    all of it; of a matrix the lower half is read, and its gradient is symmetric. `allow_singular`: SciPy's; not here.
    Errors: ShapeError; NumPy's LinAlgError for a matrix that is not positive definite; SettingError.
    """
    if allow_singular:
        raise SettingError(
            "allow_singular=True: a singular covariance has no gradient here; add a little to its diagonal"
        )
    x, mean, cov = as_floats(x), as_floats(mean), as_floats(cov)
    size = max(np.shape(cov)[-1:] + np.shape(mean)[-1:] + (1,))
    x = in_vectors(x, size)
    off = x - mean
    if np.ndim(cov) < 2:
        log_det = sum(ops.log(cov) + np.zeros(size))
        squares = sum(off * off / cov, axis=-1)
    else:
        factor = cholesky(cov)
        log_det = 2.0 * sum(ops.log(diagonal(factor)))
        rows = reshape(off, (-1, size))
        white = solve(factor, transpose(rows))
        squares = reshape(sum(white * white, axis=0), np.shape(off)[:-1])
    return -0.5 * (size * LOG_TWO_PI + log_det + squares)


def in_vectors(x: ArrayLike, size: int) -> Any:
    """x with one vector on its last axis. Errors: ShapeError."""
    if size == 1 and (np.ndim(x) < 1 or np.shape(x)[-1] != 1):
        return reshape(x, (*np.shape(x), 1))
    if np.ndim(x) < 1 or np.shape(x)[-1] != size:
        raise ShapeError(f"x of shape {np.shape(x)}: its last axis should hold one vector of {size} numbers")
    return x


def dirichlet_logpdf(x: ArrayLike, alpha: ArrayLike) -> Any:
    """Σ(αₖ - 1)·log xₖ + log Γ(Σα) - Σ log Γ(αₖ).

    `x`: (k,) or (k, n), shares that add up to 1 along the first axis. `alpha`: (k,), above 0. Errors: ShapeError.
    """
    x, alpha = as_floats(x), as_floats(alpha)
    if np.shape(x)[:1] != np.shape(alpha):
        raise ShapeError(
            f"x of shape {np.shape(x)} and alpha of shape {np.shape(alpha)}: their first axes should agree"
        )
    spread = reshape(alpha, (*np.shape(alpha), *(1,) * (np.ndim(x) - 1)))
    constant = ops.gammaln(sum(alpha)) - sum(ops.gammaln(alpha))
    return constant + sum(ops.xlogy(spread - 1.0, x), axis=0)


def multinomial_logpmf(x: ArrayLike, n: ArrayLike, p: ArrayLike) -> Any:
    """log n! + Σ(xₖ·log pₖ - log xₖ!); -∞ where the counts do not add up to n.

    `x`: (..., k), counts. `n`: how many draws. `p`: (k,), the shares.
    """
    x, n, p = as_floats(x), as_floats(n), as_floats(p)
    y = ops.gammaln(n + 1.0) + sum(ops.xlogy(x, p) - ops.gammaln(x + 1.0), axis=-1)
    return ops.where(ops.equal(sum(x, axis=-1), n), y, -math.inf)


class OfVectors(SimpleNamespace):
    """The functions of one distribution of vectors."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"it has {' and '.join(vars(self))}, not {name!r}: scipy.stats has that on plain numbers")


def with_density(log_density: Callable[..., Any], kind: str) -> Any:
    """A distribution: the logarithm of its density, and the density."""

    def density(*arguments: ArrayLike, **named: ArrayLike) -> Any:
        return ops.exp(log_density(*arguments, **named))

    density.__doc__ = f"e to the power of: {log_density.__doc__}"
    return OfVectors(**{f"log{kind}": log_density, kind: density})


VECTORS = {
    "multivariate_normal": with_density(normal_logpdf, "pdf"),
    "dirichlet": with_density(dirichlet_logpdf, "pdf"),
    "multinomial": with_density(multinomial_logpmf, "pmf"),
}
