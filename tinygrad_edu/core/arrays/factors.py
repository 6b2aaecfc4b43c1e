"""Factors of matrices by LAPACK (Cholesky, eigenvectors, singular values), and the norms that follow from them.

An operation gives one array: several parts are packed into one, whose pull-back sees all of them, and operations take
them apart again.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Axis, Option
from tinygrad_edu.core.arrays.diagonals import tril
from tinygrad_edu.core.arrays.linear_systems import OWN_GRADIENT, inv, lapack, solve, square, swap_last_axes
from tinygrad_edu.core.arrays.positions import numbers
from tinygrad_edu.core.arrays.rearrange import moveaxis
from tinygrad_edu.core.broadcasting import axes_of, count_reduced, keepdims_shape, sum
from tinygrad_edu.core.formulas.whole_numbers import as_floats
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.reductions import max, min, root
from tinygrad_edu.core.shapes import concatenate, expand_dims, getitem, refuse_axes_of_number, reshape, transpose
from tinygrad_edu.errors import OperandError, ShapeError

# factorizations of symmetric matrices; as in NumPy, only the lower triangle is read


def mirror(x: ArrayLike, lower: bool = True) -> Any:
    """The symmetric matrix with that triangle."""
    square(x)
    x = x if lower else swap_last_axes(x)
    return tril(x) + swap_last_axes(tril(x, -1))


@array_op(vjp=lambda g, y, _x: (cholesky_vjp(g, y),), numpy="-", **OWN_GRADIENT)
def lower_factor(x: ArrayLike, /) -> Any:
    """The Cholesky factor of a symmetric x.  x̄ = L⁻ᵀ·Φ(Lᵀ·L̄)·L⁻¹, made symmetric; Φ: lower half, diagonal halved."""
    return lapack("cholesky", x)


def cholesky_vjp(g: ArrayLike, y: ArrayLike) -> Any:
    inner = tril(swap_last_axes(y) @ g)
    inner = inner - 0.5 * (inner * np.eye(np.shape(y)[-1]))
    left = solve(swap_last_axes(y), inner)  # L⁻ᵀ·Φ
    whole = swap_last_axes(solve(swap_last_axes(y), swap_last_axes(left)))  # L⁻ᵀ·Φ·L⁻¹
    return 0.5 * (whole + swap_last_axes(whole))


@compose(numpy="linalg.cholesky", method=False)
def cholesky(x: ArrayLike, upper: bool = False) -> Any:
    """The lower L with L·Lᵀ = x of a positive definite x, whose lower triangle is read (`upper`: Lᵀ, of the upper)."""
    factor = lower_factor(mirror(x, not upper))
    return swap_last_axes(factor) if upper else factor


@array_op(vjp=lambda g, y, _x, triangle: (eigh_vjp(g, y),), numpy="-", **OWN_GRADIENT)
def eigen_columns(x: ArrayLike, /, triangle: str = "L") -> Any:
    """For a symmetric x, the eigenvalues as the first row and below them the eigenvectors as columns."""
    values, vectors = lapack("eigh", x, UPLO=triangle)
    return np.concatenate([values[..., None, :], vectors], axis=-2)


def eigh_vjp(g: ArrayLike, y: ArrayLike) -> Any:
    """V·(diag(w̄) + (Vᵀ·V̄)∘F)·Vᵀ, Fᵢⱼ = 1/(wⱼ - wᵢ), made symmetric. For equal ones see `inverse_gaps`."""
    w, v = getitem(y, (..., 0, slice(None))), getitem(y, (..., slice(1, None), slice(None)))
    gw, gv = getitem(g, (..., 0, slice(None))), getitem(g, (..., slice(1, None), slice(None)))
    inner = (swap_last_axes(v) @ gv) * inverse_gaps(w, w, gv) + expand_dims(gw, -1) * np.eye(np.shape(w)[-1])
    whole = v @ inner @ swap_last_axes(v)
    return 0.5 * (whole + swap_last_axes(whole))


def inverse_gaps(w: ArrayLike, of_what: ArrayLike, *of_vectors: ArrayLike) -> Any:
    """1/(fⱼ - fᵢ) of what is made of w, w itself or its square, and 0 on the diagonal.

    Vectors of equal w may be turned into each other. They have no derivative, and what is made of them may have one
    that cannot be told from V̄ (0/0). So it is NaN there if an entry of V̄ (columns) is not 0, and 0 if all are.
    Equal is what differs by LAPACK's rounding alone: 4·n·ε of the largest.
    """
    size, gaps = numbers(w, "eigh"), expand_dims(of_what, -2) - expand_dims(of_what, -1)
    least = 4.0 * size.shape[-1] * np.finfo(size.dtype).eps * np.abs(size).max(axis=-1, initial=0.0)
    same = np.abs(size[..., None, :] - size[..., :, None]) <= least[..., None, None]
    used = np.any([np.any(numbers(g, "eigh") != 0.0, axis=-2) for g in of_vectors], axis=0)
    unknown = (used[..., None, :] | used[..., :, None]) & ~np.eye(used.shape[-1], dtype=bool)
    return ops.where(same, np.where(unknown, np.nan, 0.0), 1.0 / ops.where(same, 1.0, gaps))


class EigenPairs(NamedTuple):
    """Eigenvalues in ascending order, and the eigenvectors as columns."""

    eigenvalues: Any
    eigenvectors: Any


@compose(numpy="linalg.eigh", method=False)
def eigh(x: ArrayLike, UPLO: str = "L") -> EigenPairs:
    """Eigenvalues, ascending, and eigenvectors (columns) of a symmetric x, of which one triangle is read.

    Vectors of equal eigenvalues have no derivative: NaN, if they are used.
    """
    y = eigen_columns(mirror(x, UPLO == "L"), UPLO)
    return EigenPairs(getitem(y, (..., 0, slice(None))), getitem(y, (..., slice(1, None), slice(None))))


@compose(numpy="linalg.eigvalsh", method=False)
def eigvalsh(x: ArrayLike, UPLO: str = "L") -> Any:
    """Eigenvalues, ascending, of a symmetric x, of which one triangle is read.  x̄ = V·diag(ȳ)·Vᵀ."""
    return eigh(x, UPLO).eigenvalues


# singular values


@array_op(vjp=lambda g, y, x: (svd_vjp(g, y, x),), numpy="-", **OWN_GRADIENT)
def singular_rows(x: ArrayLike, /) -> Any:
    """For each singular value a row: the column of U, the value, the row of Vᵀ."""
    u, s, v = lapack("svd", x, full_matrices=False)
    return np.concatenate([np.swapaxes(u, -1, -2), s[..., None], v], axis=-1)


def svd_vjp(g: ArrayLike, y: ArrayLike, x: ArrayLike) -> Any:
    """U·((UᵀŪ - ŪᵀU)∘F·S + S·(VᵀV̄ - V̄ᵀV)∘F + diag(s̄))·Vᵀ and what of Ū and V̄ lies outside; Fᵢⱼ = 1/(sⱼ² - sᵢ²)."""
    m = np.shape(x)[-2]
    (ut, s, vt), (gut, gs, gvt) = (
        (getitem(z, (..., slice(m))), getitem(z, (..., m)), getitem(z, (..., slice(m + 1, None)))) for z in (y, g)
    )
    u, gaps = swap_last_axes(ut), inverse_gaps(s, s * s, swap_last_axes(gut), swap_last_axes(gvt))
    inner_u, inner_v = ut @ swap_last_axes(gut), vt @ swap_last_axes(gvt)
    row, column = expand_dims(s, -2), expand_dims(s, -1)
    inner = gaps * (inner_u - swap_last_axes(inner_u)) * row + column * (gaps * (inner_v - swap_last_axes(inner_v)))
    whole = u @ (inner + expand_dims(gs, -1) * np.eye(np.shape(s)[-1])) @ vt
    outside_u = (swap_last_axes(gut) - u @ inner_u) / row
    outside_v = (gvt - swap_last_axes(inner_v) @ vt) / column
    return whole + outside_u @ vt + u @ outside_v


def needs_none(x: ArrayLike) -> bool:
    """Is it a Tensor, outside of traces, of which no gradient is asked for?"""
    return MODES.tensor_trace is None and not (MODES.recording and getattr(x, "requires_grad", True))


class SingularValues(NamedTuple):
    """U, the singular values in descending order, and Vᵀ: x = U·diag(S)·Vᵀ."""

    U: Any
    S: Any
    Vh: Any


@compose(numpy="linalg.svd", method=False)
def svd(x: ArrayLike, full_matrices: bool = True, compute_uv: bool = True) -> Any:
    """U, S (descending) and Vᵀ with x = U·diag(S)·Vᵀ, or S alone. Vectors of equal values have no derivative (NaN).

    Errors: OperandError for full_matrices=True of a matrix that is not square and needs a gradient: the further columns
    have no derivative.
    """
    m, n = np.shape(x)[-2:]
    if compute_uv and full_matrices and m != n and needs_none(x):
        return SingularValues(*map(type(x), np.linalg.svd(x.array)))
    if compute_uv and full_matrices and m != n:
        raise OperandError(
            f"svd of shape {np.shape(x)} with full_matrices=True has columns that x does not determine, so that they "
            "have no derivative: pass full_matrices=False"
        )
    y = singular_rows(x)
    s = getitem(y, (..., m))
    if not compute_uv:
        return s
    return SingularValues(swap_last_axes(getitem(y, (..., slice(m)))), s, getitem(y, (..., slice(m + 1, None))))


@compose(numpy="linalg.svdvals", method=False)
def svdvals(x: ArrayLike) -> Any:
    """The singular values in descending order."""
    return svd(x, compute_uv=False)


# orthogonal columns times a triangle


@array_op(vjp=lambda g, y, x: (qr_vjp(g, y, np.shape(x)[-2]),), numpy="-", **OWN_GRADIENT)
def qr_rows(x: ArrayLike, /) -> Any:
    """Q (m, n), and below it R (n, n), of m ≥ n."""
    return np.concatenate(lapack("qr", x), axis=-2)


def qr_vjp(g: ArrayLike, y: ArrayLike, m: int) -> Any:
    """(Q̄ + Q·copyltu(R·R̄ᵀ - Q̄ᵀ·Q))·R⁻ᵀ; copyltu mirrors the lower triangle (Seeger et al., 2017, arXiv:1710.08717)."""
    (q, r), (gq, gr) = (
        (getitem(z, (..., slice(m), slice(None))), getitem(z, (..., slice(m, None), slice(None)))) for z in (y, g)
    )
    inner = r @ swap_last_axes(gr) - swap_last_axes(gq) @ q
    return swap_last_axes(solve(r, swap_last_axes(gq + q @ mirror(inner))))


class QR(NamedTuple):
    """Orthonormal columns Q and an upper triangle R: x = Q·R."""

    Q: Any
    R: Any


@compose(numpy="linalg.qr", method=False)
def qr(x: ArrayLike, mode: str = "reduced") -> Any:
    """Q and R with x = Q·R, of a matrix whose first columns are linearly independent; R alone for mode="r".

    Errors: OperandError for the further columns of mode="complete", which have no derivative, where x needs a gradient,
    and for mode="raw".
    """
    m, n = np.shape(x)[-2:]
    if mode == "complete" and m > n and needs_none(x):
        return QR(*map(type(x), np.linalg.qr(x.array, "complete")))
    if mode not in ("reduced", "r") and not (mode == "complete" and m <= n):
        raise OperandError(
            f'qr(mode={mode!r}) of shape {np.shape(x)}: only what x determines has a derivative, mode="reduced" or "r"'
        )
    y = qr_rows(x if m >= n else getitem(x, (..., slice(m))))
    q, r = getitem(y, (..., slice(m), slice(None))), getitem(y, (..., slice(m, None), slice(None)))
    if m < n:
        r = concatenate([r, swap_last_axes(q) @ getitem(x, (..., slice(m, None)))], axis=-1)
    return r if mode == "r" else QR(q, r)


# lengths


@compose(numpy="linalg.norm")
def norm(x: ArrayLike, ord: Option = None, axis: Axis = None, keepdims: bool = False) -> Any:
    """The length √(Σ x²) over the axes; its derivative counts as 0 where all x are 0, as in PyTorch.

    ord: of vectors 1 for Σ|x|, p for (Σ|x|ᵖ)¹ᐟᵖ, inf for the largest |x|, -inf for the smallest, 0 for how many are
    not 0. Of matrices (two axes) "fro" for the length, 1 and inf for the largest sum of a column and a row, 2 for the
    largest singular value, "nuc" for the sum of all, -1, -inf and -2 for the smallest.
    """
    refuse_axes_of_number(x, axis)
    x, axes = as_floats(x), axes_of(x, axis)
    if axis is not None and len(axes) not in (1, 2):
        raise ShapeError(f"norm(axis={axis!r}) is of vectors or matrices, along one axis or two")
    if ord is None or (ord == 2 and len(axes) == 1) or (ord == "fro" and len(axes) == 2):
        return root(sum(x * x, axis=axis, keepdims=keepdims))
    if len(axes) == 1:
        return vector_norm_of(x, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ShapeError(f"norm(ord={ord!r}) is for vectors or matrices, one axis or two, not {len(axes)} axes")
    y = matrix_norm_of(moveaxis(x, axes, (-2, -1)), ord)
    return reshape(y, keepdims_shape(x, axes)) if keepdims else y


def vector_norm_of(x: ArrayLike, ord: Option, axis: int, keepdims: bool) -> Any:
    size = ops.abs(x)
    if ord in (np.inf, -np.inf):
        return (max if ord > 0 else min)(size, axis=axis, keepdims=keepdims)
    if ord == 0:
        return sum(ops.square(ops.sign(x)), axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum(size, axis=axis, keepdims=keepdims)
    if not isinstance(ord, (int, float, np.number)):
        raise OperandError(f"norm(ord={ord!r}) of a vector: a number, inf or -inf")
    return sum(size ** float(ord), axis=axis, keepdims=keepdims) ** (1.0 / float(ord))


def matrix_norm_of(x: ArrayLike, ord: Option) -> Any:
    """Over the last two axes."""
    if ord == "nuc":
        return sum(svdvals(x), axis=-1)
    if ord in (2, -2):
        return getitem(svdvals(x), (..., 0 if ord == 2 else -1))
    if ord not in (1, -1, np.inf, -np.inf):
        raise OperandError(f"norm(ord={ord!r}) of a matrix: 'fro', 'nuc', 1, -1, 2, -2, inf or -inf")
    sums = sum(ops.abs(x), axis=-2 if ord in (1, -1) else -1)
    return (max if ord > 0 else min)(sums, axis=-1)


@compose(numpy="linalg.vector_norm", method=False)
def vector_norm(x: ArrayLike, axis: Axis = None, keepdims: bool = False, ord: Option = 2) -> Any:
    """The length over the axes, all of them as one vector by default; `ord` as in `norm`."""
    inner = axes_of(x, axis)
    outer = [i for i in range(np.ndim(x)) if i not in inner]
    rows = reshape(transpose(x, [*outer, *inner]), (*(np.shape(x)[i] for i in outer), count_reduced(x, inner)))
    y = norm(rows, ord, -1)
    return reshape(y, keepdims_shape(x, inner)) if keepdims else y


@compose(numpy="linalg.matrix_norm", method=False)
def matrix_norm(x: ArrayLike, keepdims: bool = False, ord: Option = "fro") -> Any:
    """The norm of the matrices in the last two axes; `ord` as in `norm`."""
    return norm(x, ord, (-2, -1), keepdims)


@compose(numpy="linalg.cond", method=False)
def cond(x: ArrayLike, p: Option = None) -> Any:
    """How many times larger a relative error of b may become in x⁻¹b: the norm of x times that of x⁻¹.

    p: as ord of `norm`; None or 2 for the largest singular value over the smallest, -2 for the inverse of that.
    """
    if p in (None, 2, -2):
        s = svdvals(x)
        largest, smallest = getitem(s, (..., 0)), getitem(s, (..., -1))
        return smallest / largest if p == -2 else largest / smallest
    return norm(x, p, axis=(-2, -1)) * norm(inv(x), p, axis=(-2, -1))
