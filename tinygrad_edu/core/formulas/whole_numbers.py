"""Whole numbers and truth values among the numbers of a program, and where NumPy computes with them otherwise."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import TraceError


def refuse_narrow(x: ArrayLike) -> None:
    """Errors: TraceError for nodes of 8 or 16 bits, whose sums of products NumPy keeps that narrow."""
    dtype = getattr(x, "dtype", None)
    if hasattr(x, "parents") and dtype is not None and is_narrow(dtype):
        raise narrow_error("sums of products", dtype)


def is_narrow(dtype: np.dtype[Any]) -> bool:
    """Does it hold whole numbers of 8 or 16 bits, whose sums wrap round? A float holds all whole numbers of 32 bits."""
    return dtype.kind in "iu" and dtype.itemsize < 4


def narrow_error(what: str, dtype: np.dtype[Any]) -> TraceError:
    return TraceError(f"{what} of {dtype} wrap round, which is not compiled: write x.astype(np.int64) first")


def is_mask(x: ArrayLike) -> bool:
    """Is it a boolean array, or a node for one?"""
    return bool(getattr(x, "dtype", None) == np.bool_)


def is_whole(x: ArrayLike) -> bool:
    """Is it an array of integers or booleans, or a node for one?"""
    return getattr(getattr(x, "dtype", None), "kind", "f") in "biu"


def as_floats(x: ArrayLike) -> Any:
    """Whole numbers and truth values as floats, where NumPy computes with floats whatever it is given."""
    return x * 1.0 if is_whole(x) else x


def typed(x: ArrayLike, beside: ArrayLike) -> Any:
    """Where NumPy makes an array of each operand first, Python's 1000 beside int8 is int64."""
    return np.int64(x) if isinstance(x, int) and is_whole(beside) else x
