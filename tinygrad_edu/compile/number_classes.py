"""The classes of single results: Python's numbers, NumPy's, and arrays without axes, as the function itself gives."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.passes.exact_range import refuse_rounded
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.positions import in_dtype_of
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import DtypeError

PYTHONS = (bool, int)


def class_of(y: ArrayLike) -> Any:
    """Tensor; the class of a single number; the dtype of an array without axes; None for any other array or thing.

    None also for float64, which is Python's float in the results of a compiled function.
    """
    if isinstance(y, Tensor):
        return Tensor
    if isinstance(y, np.ndarray):
        return None if y.ndim or y.dtype.kind not in "fiub" else y.dtype
    if isinstance(y, np.generic):
        return None if isinstance(y, np.float64) else type(y)
    return type(y) if type(y) in PYTHONS else None


def kinds_of(given: Sequence[Any]) -> tuple[Any, ...]:
    """The classes of single numbers; of arrays without axes their dtypes, which decide about those of results."""
    kinds = tuple(map(type, given))
    return tuple([getattr(x, "dtype", type(x)) for x in given]) if np.ndarray in kinds else kinds


def in_class(y: ArrayLike, kind: Any) -> Any:
    """A single number as one of that class, or as an array without axes of that dtype; None: as it is.

    Only where this changes no number: whole numbers do not become others, nor floats whole.
    """
    if kind is None:
        return y
    had, wanted = np.asarray(y).dtype, np.dtype(kind)
    if np.ndim(y) or not (had == wanted or had.kind == wanted.kind == "f"):
        return y
    return np.asarray(y, kind) if isinstance(kind, np.dtype) else kind(y)


def float_in_class(y: float, kind: Any) -> Any:
    """A float that stands for a number of that class. Errors: DtypeError for a whole number out of its bounds."""
    if kind is None or kind is Tensor:
        return y
    dtype = np.dtype(kind)
    if dtype.kind not in "biu":
        return in_class(y, kind)
    if not y.is_integer():
        return y
    refuse_rounded(y)
    if dtype.kind in "iu" and kind is not int and not np.iinfo(dtype).min <= y <= np.iinfo(dtype).max:
        raise DtypeError(
            f"the function computes {y:.0f}, which is out of the bounds of {dtype}: NumPy wraps it round, and a "
            "compiled function does not. Write x.astype(np.int64) first, or call the function without jit"
        )
    return in_class(dtype.type(y), kind)


def gradient_like(g: ArrayLike, x: ArrayLike) -> Any:
    """A gradient as without jit: by an array, with axes or without, an array of its dtype; by a number, a float."""
    if type(g) is float and type(x) is np.ndarray and not x.ndim:
        return np.asarray(g, x.dtype if x.dtype.kind == "f" else None)
    return in_dtype_of(g, x)
