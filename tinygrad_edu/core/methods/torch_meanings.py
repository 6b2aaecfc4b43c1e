"""PyTorch's methods whose function in NumPy has the same name and another meaning: x.norm(1), x.equal(y).

NumPy's arrays have no such methods, so a program that calls one means PyTorch's. NumPy's meaning is that of the
function: np.linalg.norm(x, 1), np.equal(x, y). Those of one entry each, x.where(c, y), are in torch_arguments.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node, Option
from tinygrad_edu.core.arrays.positions import numbers
from tinygrad_edu.core.methods.pairs import Pair, entries, order
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED
from tinygrad_edu.core.shapes import one_axis
from tinygrad_edu.core.writes.other_names import own_memory
from tinygrad_edu.errors import OperandError, SettingError, ShapeError

OF_MATRICES = ("fro", "nuc")  # norms that PyTorch takes of a matrix; a number is the norm of all entries as a row


def equal(x: Node, other: ArrayLike) -> bool:
    """Has the other the same shape, and are all numbers equal? Entry by entry it is x == other, or x.eq(other)."""
    mine, theirs = (numbers(each, "x.equal") if hasattr(each, "data") else each for each in (x, other))
    return bool(np.array_equal(mine, theirs))


def norm_of_entries(
    x: Node,
    p: Any = "fro",
    dim: Axis = None,
    keepdim: bool = False,
    *,
    ord: Option = None,
    axis: Axis = None,
    keepdims: bool = False,
) -> Any:
    """(Σ|x|ᵖ)^(1/p) of all entries, or along axes: x.norm(1), x.norm(p=2, dim=1).

    p: a number, inf or -inf; "fro" (default) for 2; "nuc" for the sum of the singular values of a matrix.
    With ord= it is NumPy's, np.linalg.norm(x, ord), which takes other numbers for a matrix.
    Errors: OperandError for both at once.
    """
    axis, keep = dim if axis is None else axis, keepdim or keepdims
    if ord is not None:
        if not (isinstance(p, str) and p == "fro"):
            raise OperandError(
                "x.norm: p and ord are one option under two names, PyTorch's and NumPy's: give one of them"
            )
        return COMPOSED["norm"](x, ord, axis=axis, keepdims=keep)
    if isinstance(p, str) and p not in OF_MATRICES:
        raise OperandError(f'x.norm(p={p!r}): a number, inf, -inf, "fro" or "nuc"')
    if p == "nuc":
        return COMPOSED["norm"](x, p, axis=axis, keepdims=keep)
    return COMPOSED["vector_norm"](x, axis=axis, keepdims=keep, ord=2 if p is None or p == "fro" else float(p))


def nanmedian(x: Node, axis: Axis = None, keepdims: bool = False, dim: int | None = None, keepdim: bool = False) -> Any:
    """NumPy's median without NaN; with dim= PyTorch's pair, of two numbers in the middle the lower one."""
    if dim is None:
        return COMPOSED["nanmedian"](x, axis=axis, keepdims=keepdims or keepdim)
    there = np.sum(~np.isnan(numbers(x, "x.nanmedian(dim=)")), axis=dim, keepdims=True)
    places = np.maximum(there - 1, 0) // 2  # NaN counts as the largest, so it stands behind the numbers
    found: Pair = entries(
        x, np.take_along_axis(order(x, dim, False, "x.nanmedian(dim=)"), places, axis=dim), dim, keepdim
    )
    return found


def argsort(x: Node, axis: int = -1, descending: bool = False, stable: bool = False, dim: int | None = None) -> Any:
    """The positions of the entries in sorted order along an axis; equal numbers keep their order.

    Errors: OperandError for a second argument that is no truth value.
    """
    if not isinstance(descending, (bool, np.bool_)):
        raise OperandError(
            f"x.argsort(axis, descending): True or False, not {descending!r}. Equal numbers always keep their order, "
            "whatever NumPy's kind= would choose"
        )
    return order(x, axis if dim is None else dim, bool(descending), "x.argsort")


def unfold(x: Node, dimension: int, size: int, step: int) -> Any:
    """The windows of `size` entries along an axis, each `step` after the last; their entries are a new last axis.

    Errors: SettingError for a size or step below 1, ShapeError for a window longer than the axis.
    """
    if size < 1 or step < 1:
        raise SettingError(f"x.unfold(size={size}, step={step}): both are at least 1")
    axis = one_axis(x, dimension)
    n = x.shape[axis]
    if size > n:
        raise ShapeError(f"x.unfold({dimension}, {size}, {step}): axis {dimension} has {n} entries")
    places = np.arange(0, n - size + 1, step)[:, None] + np.arange(size)
    return COMPOSED["moveaxis"](COMPOSED["take"](x, places, axis=axis), axis + 1, -1)


def flip(x: Node, *axes: Any, axis: Axis = None, dims: Axis = None) -> Any:
    """The entries in reverse order along axes, all of them by default: x.flip(0, 1), x.flip((0, 1)), x.flip(axis=1)."""
    given = axes[0] if len(axes) == 1 else axes or (axis if dims is None else dims)
    return COMPOSED["flip"](x, axis=given)


def reshape_by(x: Node, shape: Any, order: str = "C") -> Any:
    """The numbers in another shape, read and written along rows ("C") or along columns ("F").

    Errors: OperandError for another order: "A" and "K" go by the places in memory, which no formula knows.
    """
    if order == "C":
        return ARRAY_TABLE["reshape"](x, shape)
    if order != "F":
        raise OperandError(f'order={order!r}: "C" goes along the rows, "F" along the columns; others go by the memory')
    turned = ARRAY_TABLE["reshape"](
        ARRAY_TABLE["transpose"](x), shape[::-1] if isinstance(shape, (tuple, list)) else shape
    )
    return ARRAY_TABLE["transpose"](turned)


def in_one_row(x: Node, order: str = "C") -> Any:
    """All numbers in one row, along the rows, or with order="F" along the columns."""
    return COMPOSED["ravel"](x) if order == "C" else reshape_by(x, (-1,), order)


def flatten(x: Node, start_dim: int | str = 0, end_dim: int = -1, order: str = "C") -> Any:
    """PyTorch's: the axes from start_dim to end_dim as one. NumPy's, x.flatten("F"): all, in that order."""
    if isinstance(start_dim, str) or order != "C":
        return own_memory(in_one_row(x, start_dim if isinstance(start_dim, str) else order))
    first, last = start_dim % max(x.ndim, 1), end_dim % max(x.ndim, 1)
    return own_memory(ARRAY_TABLE["reshape"](x, (*x.shape[:first], -1, *x.shape[last + 1 :])))


def copy_of(x: Node, order: str = "C") -> Any:
    """The same numbers as a node of its own. `order` is that in memory, which no result depends on."""
    return x.clone()


METHODS: dict[str, Callable[..., Any]] = {
    "equal": equal,
    "norm": norm_of_entries,
    "nanmedian": nanmedian,
    "argsort": argsort,
    "unfold": unfold,
    "flip": flip,
    "ravel": in_one_row,
    "flatten": flatten,
    "copy": copy_of,
}
