"""Linear algebra by LAPACK: systems, inverses, determinants, factors. Stacks of matrices work as in `numpy.linalg`.

A compiled program has no LAPACK: jit refuses these by name.
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.arrays.positions import in_dtype_of, numbers
from tinygrad_edu.core.arrays.rearrange import matrix_transpose
from tinygrad_edu.core.broadcasting import sum, unbroadcast
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.one_name import refuse_second_name
from tinygrad_edu.core.operation import array_op, compose
from tinygrad_edu.core.shapes import expand_dims, ravel, reshape
from tinygrad_edu.errors import OperandError, ShapeError

LAPACK = "a program of loops has no LAPACK; call the function without jit, which computes it eagerly"
OWN_GRADIENT: dict[str, Any] = {"instead": LAPACK}


def lapack(name: str, *arrays: ArrayLike, **options: Option) -> Any:
    """NumPy's function on arrays of numbers. Errors: ShapeError with the shape, OperandError for Values."""
    if any(np.asarray(x).dtype == object for x in arrays):
        raise OperandError(
            f"linalg.{name} works on whole arrays, not on Values: make a Tensor of their numbers, or use @ and sums"
        )
    try:
        return getattr(np.linalg, name)(*arrays, **options)
    except np.linalg.LinAlgError as error:
        shapes = " and ".join(str(np.shape(x)) for x in arrays)
        raise ShapeError(f"linalg.{name} of shape {shapes}: {error}") from None


# systems and inverses


@array_op(vjp=lambda g, y, _x: (-swap_last_axes(y) @ g @ swap_last_axes(y),), numpy="linalg.inv", **OWN_GRADIENT)
def inv(x: ArrayLike, /) -> Any:
    """x⁻¹ of square matrices.  x̄ = -x⁻ᵀ·ȳ·x⁻ᵀ."""
    return lapack("inv", x)


def square(x: ArrayLike) -> None:
    if np.ndim(x) < 2 or np.shape(x)[-2] != np.shape(x)[-1]:
        raise ShapeError(f"a square matrix, or a stack of them, is needed; the shape is {tuple(np.shape(x))}")


def swap_last_axes(x: ArrayLike) -> Any:
    return matrix_transpose(x)


@array_op(vjp=lambda g, y, a, b: solve_vjp(g, y, a, b), numpy="linalg.solve", **OWN_GRADIENT)
def solve(a: ArrayLike, b: ArrayLike, /) -> Any:
    """The y with a @ y = b; b a vector (one axis) or a matrix.  b̄ = a⁻ᵀ·ȳ, ā = -b̄·yᵀ."""
    return lapack("solve", a, b)


def solve_vjp(g: ArrayLike, y: ArrayLike, a: ArrayLike, b: ArrayLike) -> tuple[Any, Any]:
    vector = b.ndim == 1
    g, y = (expand_dims(x, -1) if vector else x for x in (g, y))
    back = solve(swap_last_axes(a), g)
    left = unbroadcast(-back @ swap_last_axes(y), a.shape)
    return left, unbroadcast(sum(back, axis=-1), b.shape) if vector else unbroadcast(back, b.shape)


@array_op(vjp=lambda g, y, x, rcond, rtol: (pinv_vjp(g, y, x),), numpy="linalg.pinv", **OWN_GRADIENT)
def pinv(x: ArrayLike, /, rcond: float | None = None, rtol: float | None = None) -> Any:
    """The pseudo-inverse, of a matrix whose rank does not change nearby.  x̄ by Golub and Pereyra (1973).

    rcond, or rtol: singular values below this share of the largest count as 0; by default NumPy's 1e-15, the same.
    """
    if rcond is not None and rtol is not None:
        refuse_second_name("pinv", ["rcond", "rtol"])
    return lapack("pinv", x, **({"rcond": rcond} if rtol is None else {"rcond": rtol}))


def pinv_vjp(g: ArrayLike, y: ArrayLike, x: ArrayLike) -> Any:
    yt, gt = swap_last_axes(y), swap_last_axes(g)
    outside = gt - x @ (y @ gt)  # the part of ȳᵀ outside the column space of x
    beside = gt - (gt @ y) @ x  # the part outside its row space
    return -yt @ g @ yt + outside @ y @ yt + yt @ y @ beside


@compose(numpy="linalg.tensorinv", method=False)
def tensorinv(x: ArrayLike, ind: int = 2) -> Any:
    """The inverse of x as a map from its last axes to its first `ind` ones."""
    shape = np.shape(x)
    n = math.prod(shape[:ind])
    return reshape(inv(reshape(x, (n, math.prod(shape[ind:])))), (*shape[ind:], *shape[:ind]))


@compose(numpy="linalg.tensorsolve", method=False)
def tensorsolve(a: ArrayLike, b: ArrayLike) -> Any:
    """The y with tensordot(a, y, y.ndim) = b."""
    shape = np.shape(a)[np.ndim(b) :]
    return reshape(solve(reshape(a, (math.prod(np.shape(b)), math.prod(shape))), ravel(b)), shape)


# determinants


@array_op(vjp=lambda g, y, x: (det_vjp(g, y, x),), numpy="linalg.det", **OWN_GRADIENT)
def det(x: ArrayLike, /) -> Any:
    """The determinant of square matrices.  x̄ = ȳ·y·x⁻ᵀ, of a singular x ȳ times its cofactors."""
    return np.asarray(lapack("det", x))


def det_vjp(g: ArrayLike, y: ArrayLike, x: ArrayLike) -> Any:
    scale = reshape(g * y, (*np.shape(y), 1, 1))
    if np.all(numbers(y, "det") != 0.0):
        return scale * swap_last_axes(inv(x))
    return reshape(g, (*np.shape(y), 1, 1)) * cofactors(numbers(x, "det"))


def cofactors(x: ArrayLike) -> Any:
    """det(U)·det(V)·U·(Π of the other singular values)·Vᵀ, where the inverse does not exist. No second derivative."""
    u, s, v = np.linalg.svd(x)
    others = np.stack([np.prod(np.delete(s, i, axis=-1), axis=-1) for i in range(s.shape[-1])], axis=-1)
    sign = np.linalg.det(u) * np.linalg.det(v)
    return sign[..., None, None] * ((u * others[..., None, :]) @ v)


@array_op(vjp=lambda g, _y, x: (reshape(g, (*np.shape(g), 1, 1)) * swap_last_axes(inv(x)),), numpy="-", **OWN_GRADIENT)
def log_abs_det(x: ArrayLike, /) -> Any:
    """log |det x|, without overflow.  x̄ = ȳ·x⁻ᵀ."""
    return np.asarray(lapack("slogdet", x)[1])


class SignAndLog(NamedTuple):
    """The determinant: sign·e^logabsdet."""

    sign: Any
    logabsdet: Any


@compose(numpy="linalg.slogdet", method=False)
def slogdet(x: ArrayLike) -> SignAndLog:
    """(sign, log |det x|) without overflow; the sign, -1, 0 or 1, has derivative 0."""
    log = log_abs_det(x)  # first, because it explains why slogdet cannot be compiled
    return SignAndLog(np.sign(lapack("slogdet", numbers(x, "slogdet"))[0]), log)


# powers


@compose(numpy="linalg.matrix_power", method=False)
def matrix_power(x: ArrayLike, n: int) -> Any:
    """x @ x @ ... n times, by squaring; of a negative n the inverse's power."""
    square(x)
    if n < 0:
        return matrix_power(inv(x), -n)
    if n == 0:
        return x * 0.0 + in_dtype_of(np.eye(np.shape(x)[-1]), x)
    half = matrix_power(x, n // 2) if n > 1 else None
    return x if half is None else matmul(matmul(half, half), x) if n % 2 else matmul(half, half)
