"""Diagonals and triangles of matrices, and sums along them."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.positions import offsets
from tinygrad_edu.core.arrays.rearrange import moveaxis
from tinygrad_edu.core.broadcasting import sum
from tinygrad_edu.core.formulas.whole_numbers import is_mask, is_whole
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.shapes import pad, put, ravel, reshape
from tinygrad_edu.errors import ShapeError


def place_diagonal(g: ArrayLike, shape: Axis, offset: int, axis1: int, axis2: int) -> Any:
    """Zeros with g on the diagonal: what `diagonal` read."""
    n, along = g.shape[-1], np.arange(g.shape[-1])
    others = [length for i, length in enumerate(shape) if i not in (axis1 % len(shape), axis2 % len(shape))]
    index = (Ellipsis, along + max(-offset, 0), along + max(offset, 0))
    whole = put(g if n else reshape(g, (*others, 0)), index, (*others, shape[axis1], shape[axis2]))
    return moveaxis(whole, (-2, -1), (axis1, axis2))


def mask_diagonal(x: ArrayLike, offset: int, axis1: int, axis2: int) -> Any:
    """The diagonal for a compiler that cannot index with arrays: set all else to 0, and sum the rows."""
    x = moveaxis(x, (axis1, axis2), (-2, -1))
    x = x[..., max(-offset, 0) :, max(offset, 0) :]
    rows, columns = np.shape(x)[-2:]
    if rows != columns:
        n = min(rows, columns)
        x = x[..., :n, :n]
    n = np.shape(x)[-1]
    return sum(ops.where(ops.equal(offsets(n, n), 0.0), x, 0.0), axis=-1)


@array_op(
    vjp=lambda g, _y, x, offset, axis1, axis2: (place_diagonal(g, x.shape, offset, axis1, axis2),),
    linear=True,
    made_of=mask_diagonal,
)
def diagonal(x: ArrayLike, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The entries x[i, i + offset], along the last axis of the result.  x̄ = ȳ on the diagonal, else 0."""
    return np.diagonal(x, offset, axis1, axis2)


@compose()
def trace(x: ArrayLike, offset: int = 0, axis1: int = 0, axis2: int = 1) -> Any:
    """The sum of a diagonal."""
    return sum(diagonal(x, offset, axis1, axis2), axis=-1)


@compose()
def diag(v: ArrayLike, k: int = 0) -> Any:
    """For a row, the matrix that has it on its k-th diagonal; for a matrix, that diagonal."""
    if np.ndim(v) == 2:
        return diagonal(v, k)
    if np.ndim(v) != 1:
        raise ShapeError(f"diag takes a row or a matrix, not the shape {np.shape(v)}")
    row = pad(v, (0, abs(k)))
    n = np.shape(row)[0]
    return ops.where(ops.equal(offsets(n, n), float(k)), reshape(row, (n, 1) if k > 0 else (1, n)), zero_of(v))


def zero_of(x: ArrayLike) -> float:
    """The fill value: False for a mask, 0 for integers, else 0.0."""
    return False if is_mask(x) else 0 if is_whole(x) else 0.0


@compose()
def diagflat(v: ArrayLike, k: int = 0) -> Any:
    """The matrix with all numbers of v on its k-th diagonal."""
    return diag(ravel(v), k)


@compose()
def tril(x: ArrayLike, k: int = 0) -> Any:
    """x with 0 above its k-th diagonal."""
    return ops.where(ops.less_equal(matrix_offsets(x), float(k)), x, zero_of(x))


@compose()
def triu(x: ArrayLike, k: int = 0) -> Any:
    """x with 0 below its k-th diagonal."""
    return ops.where(ops.greater_equal(matrix_offsets(x), float(k)), x, zero_of(x))


def matrix_offsets(x: ArrayLike) -> Any:
    """Column minus row of every entry of the last two axes; a row is repeated to a matrix, as in NumPy."""
    shape = np.shape(x)
    return offsets(shape[-2] if len(shape) > 1 else shape[-1], shape[-1])
