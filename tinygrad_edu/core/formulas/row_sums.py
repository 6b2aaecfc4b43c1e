"""Sums of the rows that have one number: the gradient of the rows of a table, which may be read any number of times."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike

LARGE = 4096  # entries; from here on SciPy's loop saves 6 µs or more per call (importing it takes 0.1 s)
SMALL = 65_536  # entries of a table whose flat positions are cached


def sum_rows(rows: ArrayLike, x: ArrayLike, count: int, width: int) -> Any:
    """Σ x[i] over the i with rows[i] = r, for r = 0..count - 1: (count, width). Added one by one, in the order of i.

    rows: numbers from -count to count - 1, np.intp, in one axis; x: as many numbers as those rows have, in any shape.
    np.add.at(out, rows, x) does the same: for 32 rows of 27 numbers in 7.4 µs, number by number in 2.2; for 256 rows
    of 32 in 60 µs, SciPy's loop in 4.
    """
    out = np.zeros((count, width), x.dtype)
    add = scipys_loop() if x.size >= LARGE and width > 1 else None
    if add is None:
        np.add.at(out.reshape(-1), places_of(rows, count, width).reshape(-1), x.reshape(-1))
    else:
        n = rows.size
        add(count, n, width, np.arange(n + 1), rows % count, np.ones(n, x.dtype), x.ravel(), out.reshape(-1))
    return out


def places_of(rows: ArrayLike, count: int, width: int) -> Any:
    """The flat positions of each row's numbers in the table of `count` rows."""
    if width == 1:
        return rows
    if count * width <= SMALL:
        return all_places(count, width).take(rows, 0)
    return (rows % count).reshape(-1, 1) * width + np.arange(width)


@functools.lru_cache(16)
def all_places(count: int, width: int) -> Any:
    return np.arange(count * width).reshape(count, width)


@functools.cache
def scipys_loop() -> Callable[..., None] | None:
    """The product of a sparse matrix and rows, y += A·x column by column: A has one 1 in each, at the row's number.

    SciPy calls it by this name without saying so in its manual; None where it is missing or does something else.
    """
    try:
        from scipy.sparse._sparsetools import csc_matvecs

        out = np.zeros(6)
        csc_matvecs(3, 3, 2, np.arange(4), np.array([2, 0, 2]), np.ones(3), np.arange(6.0), out)
    except (ImportError, TypeError, ValueError):
        return None
    return csc_matvecs if out.tolist() == [2.0, 3.0, 0.0, 0.0, 4.0, 6.0] else None
