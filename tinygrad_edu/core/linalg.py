"""Products of vectors, matrices and stacks of matrices."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.broadcasting import sum, sum_products, unbroadcast
from tinygrad_edu.core.formulas.whole_numbers import typed
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.shapes import expand_dims, ravel, reshape, swapaxes, transpose

Array = np.ndarray[Any, Any]


@array_op(
    vjp=(lambda g, _y, a, b: share_of_left(g, a, b), lambda g, _y, a, b: share_of_right(g, a, b)),
    careful=lambda g, _y, a, b: shares_with_care(g, a, b),
)
def matmul(a: ArrayLike, b: ArrayLike, /) -> Any:
    """a @ b for vectors, matrices and stacks of matrices.  Ā = Ȳ @ Bᵀ, B̄ = Aᵀ @ Ȳ."""
    floats = a.__class__ is np.ndarray is b.__class__ and a.dtype is b.dtype and a.dtype.kind == "f"
    if floats and a.ndim > 2 and b.ndim == 2 and a.size and b.size and a.shape[-1] == b.shape[0]:
        return rows_by_matrix(a, b)
    return np.matmul(a, b)


def rows_by_matrix(a: ArrayLike, b: ArrayLike) -> Any:
    """A stack of matrices times one matrix is one product of all rows; NumPy would make one for each matrix."""
    out = np.empty((*a.shape[:-1], b.shape[1]), a.dtype)
    rows = math.prod(a.shape[:-1])  # not -1: NumPy cannot infer it if b has no columns
    np.matmul(a.reshape(rows, a.shape[-1]), b, out=out.reshape(rows, b.shape[1]))
    return out


def share_of_left(g: ArrayLike, a: ArrayLike, b: ArrayLike) -> Any:
    """Ā. A vector counts as a matrix of one row (left) or one column (right)."""
    if a.ndim == 2 and b.ndim == 2:  # the usual case: (n, k) @ (k, m)
        return g @ b.T
    if b.ndim == 2 and a.ndim > 2:
        return matmul(g, b.T)
    columns = b if b.ndim > 1 else reshape(b, (b.shape[0], 1))
    rows = a.shape if a.ndim > 1 else (1, a.shape[0])
    return reshape(unbroadcast(as_matrices(g, a, b) @ swapaxes(columns, -1, -2), rows), a.shape)


def share_of_right(g: ArrayLike, a: ArrayLike, b: ArrayLike) -> Any:
    """B̄."""
    if a.ndim == 2 and b.ndim == 2:
        return a.T @ g
    if b.ndim == 2 and a.ndim > 2 and a.size:  # all rows of the stack in one product
        rows = math.prod(a.shape[:-1])
        return reshape(a, (rows, a.shape[-1])).T @ reshape(g, (rows, g.shape[-1]))
    rows = a if a.ndim > 1 else reshape(a, (1, a.shape[0]))
    columns = b.shape if b.ndim > 1 else (b.shape[0], 1)
    return reshape(unbroadcast(swapaxes(rows, -1, -2) @ as_matrices(g, a, b), columns), b.shape)


def shares_with_care(g: ArrayLike, a: ArrayLike, b: ArrayLike) -> tuple[Any, Any]:
    """Ā and B̄, where an entry of Ȳ that is 0 adds 0, also beside an infinite one."""
    rows = a if a.ndim > 1 else reshape(a, (1, a.shape[0]))
    columns = b if b.ndim > 1 else reshape(b, (b.shape[0], 1))
    g = as_matrices(g, a, b)
    left = matmul_with_care(g, swapaxes(columns, -1, -2))
    right = swapaxes(matmul_with_care(swapaxes(g, -1, -2), rows), -1, -2)
    return (
        reshape(unbroadcast(left, np.shape(rows)), a.shape),
        reshape(unbroadcast(right, np.shape(columns)), b.shape),
    )


def matmul_with_care(g: ArrayLike, x: ArrayLike) -> Any:
    """g @ x, where an entry of g that is 0 adds 0."""
    return (product_with_care if g.__class__ is x.__class__ is np.ndarray else one_by_one_with_care)(g, x)


def one_by_one_with_care(g: ArrayLike, x: ArrayLike) -> Any:
    """g @ x as (n, m, k) products, added up: loops of a compiled program, and what can be differentiated again."""
    g, x = expand_dims(g, -1), expand_dims(x, -3)  # (..., n, m, 1) and (..., 1, m, k)
    left_out = ops.equal(g, 0.0) * ops.not_equal(x * 0.0, 0.0)
    return sum(g * ops.where(left_out, 0.0, x), axis=-2)


def product_with_care(g: Array, x: Array) -> Array:
    """`sum_with_care` for arrays, in memory of (n, k): BLAS adds the finite products, then ∞, -∞ and NaN are counted.

    At 2000 x 512 @ 512 x 784 the (n, m, k) products took 50 s and 13 GB.
    """
    above, below, rest = split_by_finiteness(x, x > 0.0), split_by_finiteness(x, x < 0.0), x == 0.0
    more, less = split_by_finiteness(g, g > 0.0), split_by_finiteness(g, g < 0.0)

    def count(*pairs: tuple[Array, Array]) -> Any:
        return np.any([p.astype(g.dtype) @ q.astype(g.dtype) > 0.0 for p, q in pairs], axis=0)

    up = count((more.infinite, above.all), (less.infinite, below.all), (more.finite, above.infinite),
               (less.finite, below.infinite))  # fmt: skip
    down = count((more.infinite, below.all), (less.infinite, above.all), (more.finite, below.infinite),
                 (less.finite, above.infinite))  # fmt: skip
    unknown = count((np.isnan(g), np.ones_like(x)), (g != 0.0, np.isnan(x)), (np.isinf(g), rest)) | (up & down)
    found = np.where(np.isfinite(g), g, 0.0) @ np.where(np.isfinite(x), x, 0.0)
    return np.select([unknown, up, down], [np.nan, np.inf, -np.inf], found).astype(g.dtype)


class SignParts(NamedTuple):
    """Where the entries of one sign are, and which of them are infinite."""

    all: Array
    finite: Array
    infinite: Array


def split_by_finiteness(x: Array, of_sign: Array) -> SignParts:
    return SignParts(of_sign, of_sign & np.isfinite(x), of_sign & np.isinf(x))


def as_matrices(g: ArrayLike, a: ArrayLike, b: ArrayLike) -> Any:
    """Ȳ with the axes that a vector lacks."""
    g = expand_dims(g, -1) if b.ndim == 1 else g
    return expand_dims(g, -2) if a.ndim == 1 else g


@compose()
def dot(a: ArrayLike, b: ArrayLike) -> Any:
    """a · b: Σ aᵢ·bᵢ over the last axis of a and the last but one of b; a number times an array."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return typed(a, beside=b) * typed(b, beside=a)
    return matmul(a, b) if np.ndim(b) < 3 else inner(a, swapaxes(b, -1, -2))


@compose()
def outer(a: ArrayLike, b: ArrayLike) -> Any:
    """The matrix of all products aᵢ·bⱼ."""
    return expand_dims(ravel(a), 1) * expand_dims(ravel(b), 0)


@compose()
def inner(a: ArrayLike, b: ArrayLike) -> Any:
    """Σ aᵢ·bᵢ over the last axis of both."""
    if np.ndim(a) == 0 or np.ndim(b) == 0:
        return typed(a, beside=b) * typed(b, beside=a)
    *others, length = np.shape(b)
    columns = transpose(reshape(b, (math.prod(others), length)))
    return reshape(matmul(a, columns), (*np.shape(a)[:-1], *others))


@compose()
def vdot(a: ArrayLike, b: ArrayLike) -> Any:
    """Σ of all aᵢ·bᵢ."""
    return sum_products(ravel(a) * ravel(b))
