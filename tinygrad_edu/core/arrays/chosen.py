"""Entries that a condition or an index chooses, running maxima, and numbers in equal ratios: NumPy's functions of that
name, written with other operations."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.arrays.missing import linspace
from tinygrad_edu.core.arrays.positions import numbers
from tinygrad_edu.core.operation import Operation, compose
from tinygrad_edu.core.shapes import concatenate, getitem, one_axis, ravel, take
from tinygrad_edu.errors import ShapeError


@compose(method=False)
def compress(condition: ArrayLike, a: ArrayLike, axis: int | None = None) -> Any:
    """The entries along the axis (of the flattened array by default) where the condition, one truth value each, holds.

    The condition may be shorter: what lies behind its end is left out.
    """
    chosen = np.flatnonzero(numbers(condition, "compress"))
    return take(a, chosen, axis=axis)


@compose(method=False)
def extract(condition: ArrayLike, arr: ArrayLike) -> Any:
    """The entries of the flattened array where the condition of the same size is not 0."""
    chosen = np.flatnonzero(numbers(condition, "extract"))
    return take(ravel(arr), chosen)


@compose(method=False)
def logspace(start: ArrayLike, stop: ArrayLike, num: int = 50, endpoint: bool = True, base: ArrayLike = 10.0) -> Any:
    """`num` powers of the base, with exponents in equal steps from start to stop, along a new first axis."""
    return ops.pow(base, linspace(start, stop, num, endpoint))


def accumulate_pairs(operation: Operation, x: ArrayLike, axis: int = 0) -> Any:
    """operation(x[0], ..., x[k]) for each k along the axis, for one that is associative: in log₂ n steps.

    After each step an entry covers twice as many of those before it, each of them once.
    """
    axis = one_axis(x, axis)
    n, before, covered = int(np.shape(x)[axis]), (slice(None),) * axis, 1
    while covered < n:
        first = getitem(x, (*before, slice(covered)))
        rest = operation(getitem(x, (*before, slice(covered, n))), getitem(x, (*before, slice(n - covered))))
        x, covered = concatenate([first, rest], axis=axis), 2 * covered
    return x


def index_by_mode(indices: ArrayLike, n: int, mode: str) -> Any:
    """The indices of an axis of length n in its range: mode "wrap" counts on from its start, "clip" takes its ends."""
    if n == 0:
        raise ShapeError("take: there is nothing to take from an axis of length 0")
    return np.mod(indices, n) if mode == "wrap" else np.clip(indices, 0, n - 1)


def pad_by_mode(x: ArrayLike, pad_width: ArrayLike, mode: str) -> Any:
    """np.pad with more entries of x at the ends of each axis; mode: "edge", "reflect", "symmetric" or "wrap"."""
    shape = [int(n) for n in np.shape(x)]
    widths = np.broadcast_to(np.asarray(pad_width), (len(shape), 2))
    for axis, (n, width) in enumerate(zip(shape, widths.tolist(), strict=True)):
        if any(width):
            x = take(x, np.pad(np.arange(n), width, mode=mode), axis=axis)  # type: ignore[call-overload]
    return x


def size_along(x: ArrayLike, axis: int | None) -> int:
    return int(math.prod(np.shape(x)) if axis is None else np.shape(x)[one_axis(x, axis)])
