"""Which NumPy function is which operation, beyond the name in its row, and what to use instead of the others."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import numpy.fft  # now, because NumPy imports it lazily: Ctrl-C in the middle would leave it broken for good

from tinygrad_edu.core import array_operations as array_operations  # fills the tables below
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.chosen import accumulate_pairs
from tinygrad_edu.core.operation import ARRAY_TABLE, COMPOSED, TABLE
from tinygrad_edu.core.shapes import one_axis
from tinygrad_edu.errors import OperandError

# NumPy's second names of one function.
SECOND_NAMES = {
    "amax": "max", "amin": "min", "fabs": "abs", "degrees": "rad2deg", "radians": "deg2rad", "fix": "trunc",
    "around": "round", "conjugate": "pos", "copy": "pos", "permute_dims": "transpose", "concat": "concatenate",
    "float_power": "pow", "real_if_close": "real",
    "linalg.matmul": "matmul", "linalg.outer": "outer", "linalg.tensordot": "tensordot", "linalg.cross": "cross",
    "linalg.vecdot": "vecdot", "linalg.matrix_transpose": "matrix_transpose", "cumulative_sum": "cumsum",
    "cumulative_prod": "cumprod", "i0": "i0",
}  # fmt: skip

# Computed on the plain numbers: no derivative, and the result is an index, a shape or a boolean.
WITHOUT_DERIVATIVE = (
    *("shape", "ndim", "size", "zeros_like", "ones_like", "empty_like", "full_like", "result_type", "can_cast"),
    *("argmax", "argmin", "argsort", "argpartition", "argwhere", "lexsort", "searchsorted", "digitize", "nanargmax"),
    *("nanargmin", "count_nonzero", "nonzero", "flatnonzero", "isin", "array_equiv"),
    *("isnan", "isinf", "isfinite", "isposinf", "isneginf", "isclose", "allclose", "array_equal"),
    *("iscomplexobj", "isrealobj", "isreal", "iscomplex", "any", "all", "logical_and", "logical_or", "logical_xor"),
    *("logical_not", "signbit", "may_share_memory", "shares_memory"),
)

# What to write instead of a function that has no derivative here.
INSTEAD = {
    "piecewise": "np.select(conditions, choices) or np.where(condition, a, b)",
    "choose": "np.select(conditions, choices) or an index",
    "put": "np.where(condition, new, x), which makes a new array",
    "place": "np.where(mask, new, x), which makes a new array",
    "putmask": "np.where(mask, new, x), which makes a new array",
    "copyto": "np.where(mask, new, x), which makes a new array",
    "put_along_axis": "np.where(condition, new, x), which makes a new array",
    "fill_diagonal": "np.where(np.eye(n, dtype=bool), new, x), which makes a new array",
    "resize": "np.tile and np.reshape",
    "unwrap": "the angles themselves, or np.sin and np.cos of them",
    "linalg.lstsq": "np.linalg.solve(a.T @ a, a.T @ b) or np.linalg.pinv(a) @ b",
    "linalg.eig": "np.linalg.eigh of a symmetric matrix (the others have complex eigenvalues)",
    "linalg.eigvals": "np.linalg.eigvalsh of a symmetric matrix (the others have complex eigenvalues)",
    "linalg.matrix_rank": "np.linalg.matrix_rank(x.detach().data): a whole number has no derivative",
    "imag": "0.0 * x: all numbers here are real",
    "unique": "np.unique(x.detach().data) for the values",
    "histogram": "np.histogram(x.detach().data): counts have no derivative",
    "bincount": "a sum of products with a matrix of 0 and 1: (labels[:, None] == np.arange(n)).T @ weights",
    "polyfit": "np.linalg.solve(V.T @ V, V.T @ y), with V = np.vander(x, degree + 1)",
}
WHOLE_MODULES = {
    "fft": "products with np.cos and np.sin: of n numbers np.cos(a) @ x and -np.sin(a) @ x are the real and the "
    "imaginary part, with a = 2 * np.pi * np.outer(np.arange(n), np.arange(n)) / n. Complex numbers are not supported"
}


def one_of_axes(x: ArrayLike, axis: int | None) -> int:
    """The axis that a ufunc accumulates along; None is that of a row. Errors: ShapeError, OperandError."""
    if axis is None and np.ndim(x) != 1:
        raise OperandError(f"accumulate goes along one axis, and the array has {np.ndim(x)}: give its number as axis=")
    if isinstance(axis, (bool, float, tuple, list)):
        raise OperandError(f"accumulate: axis={axis!r}: an axis is a whole number such as 0 or -1")
    return one_axis(x, axis or 0)


# Methods of ufuncs as operations on the arrays that they reduce, accumulate or combine.
METHODS: dict[str, Mapping[str, Callable[..., Any]]] = {
    "reduce": {
        "add": lambda x, axis=0, keepdims=False: ARRAY_TABLE["sum"](x, axis=axis, keepdims=keepdims),
        "multiply": lambda x, axis=0, keepdims=False: ARRAY_TABLE["prod"](x, axis=axis, keepdims=keepdims),
        "maximum": lambda x, axis=0, keepdims=False: ARRAY_TABLE["max"](x, axis=axis, keepdims=keepdims),
        "minimum": lambda x, axis=0, keepdims=False: ARRAY_TABLE["min"](x, axis=axis, keepdims=keepdims),
        "logaddexp": lambda x, axis=0, keepdims=False: ARRAY_TABLE["logsumexp"](x, axis=axis, keepdims=keepdims),
    },
    "accumulate": {
        "add": lambda x, axis=0: ARRAY_TABLE["cumsum"](x, axis=one_of_axes(x, axis)),
        "multiply": lambda x, axis=0: ARRAY_TABLE["cumprod"](x, axis=one_of_axes(x, axis)),
        "maximum": lambda x, axis=0: accumulate_pairs(TABLE["maximum"], x, one_of_axes(x, axis)),
        "minimum": lambda x, axis=0: accumulate_pairs(TABLE["minimum"], x, one_of_axes(x, axis)),
    },
}


def find(path: str) -> Any:
    """NumPy's object of that dotted name, or None."""
    place: Any = np
    for name in path.split("."):
        place = getattr(place, name, None)
    return place


@functools.cache
def differentiable() -> dict[Any, Any]:
    """NumPy's function → ours, from the three tables."""
    entries: dict[str, Any] = {**COMPOSED, **ARRAY_TABLE, **TABLE}
    known = {find(entry.numpy_name): entry for entry in entries.values() if find(entry.numpy_name) is not None}
    others = {find(numpys): entries[ours] for numpys, ours in SECOND_NAMES.items() if find(numpys) is not None}
    return others | known | of_matrices()


def of_matrices() -> dict[Any, Any]:
    """np.linalg's trace and diagonal use the last two axes."""
    last = {"axis1": -2, "axis2": -1}
    return {
        find("linalg.trace"): lambda x, offset=0: COMPOSED["trace"](x, offset, **last),
        find("linalg.diagonal"): lambda x, offset=0: ARRAY_TABLE["diagonal"](x, offset, **last),
    }


@functools.cache
def without_derivative() -> frozenset[Any]:
    return frozenset(find(name) for name in WITHOUT_DERIVATIVE)


def outer(ufunc: Any, inputs: ArrayLike) -> Any:
    """np.add.outer(a, b): the operation of every entry of a with every entry of b."""
    a, b = inputs
    wide = ARRAY_TABLE["reshape"](a, (*np.shape(a), *(1,) * np.ndim(b)))
    return differentiable()[ufunc](wide, b)
