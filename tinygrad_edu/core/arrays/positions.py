"""Numbers made from positions: 0, 1, 2, ..., triangles and diagonals as conditions; and the numbers of a node."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.formulas.readings import refuse_complex
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.shapes import reshape
from tinygrad_edu.errors import TraceError

Array = np.ndarray[Any, Any]


def positions(n: Axis) -> Any:
    """0, 1, ..., n - 1. In a trace, where n is the name of a size, the index of a loop."""
    trace = MODES.tensor_trace
    return np.arange(n) if trace is None or isinstance(n, int) else trace.positions(n)


def offsets(rows: ArrayLike, columns: ArrayLike) -> Any:
    """Column minus row for every entry of a matrix: 0 on the diagonal, 1 and more above it.

    >>> offsets(2, 3).tolist()
    [[0, 1, 2], [-1, 0, 1]]
    """
    return reshape(positions(columns), (1, columns)) - reshape(positions(rows), (rows, 1))


def in_dtype_of(array: ArrayLike, x: ArrayLike) -> Any:
    """A plain array in the float dtype of x, so that float32 stays float32; Tensors and numbers as they are."""
    trace = MODES.tensor_trace
    if trace is not None and isinstance(array, trace) and isinstance(x, trace):
        return trace.noted(array, x)
    if hasattr(array, "parents") or not isinstance(array, np.ndarray) or array.dtype.kind == "O":
        return array
    refuse_complex(array)
    dtype = getattr(x, "dtype", None)
    return array.astype(dtype) if dtype is not None and dtype.kind == "f" else array


def numbers(x: ArrayLike, operation: str) -> Array:
    """The plain numbers of an array, a Tensor or Values, on which an operation's choice depends; a trace has none."""
    trace = MODES.tensor_trace
    if trace is not None and isinstance(x, trace) and not hasattr(trace, "of_samples"):
        raise TraceError(
            f"{operation} cannot be compiled: which entries it takes depends on their numbers. For the largest and "
            "smallest use max and min; otherwise call the function without jit"
        )
    held = np.asarray(getattr(x, "array", x))
    return np.vectorize(lambda v: getattr(v, "data", v), otypes=[float])(held) if held.dtype == object else held


def index_of(x: ArrayLike) -> Any:
    """The whole numbers of an index, which have no values yet while a program is traced."""
    return x if MODES.tensor_trace is not None else getattr(x, "array", x)
