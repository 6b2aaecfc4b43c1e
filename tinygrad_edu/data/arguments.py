"""Checks that the functions of this package make before they start."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.core.formulas.readings import refuse_masked
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError

Array = np.ndarray[Any, Any]


def generator_of(seed: Any) -> np.random.Generator:
    """The random generator of a seed; a generator as it is, a new one for None. Errors: SettingError.

    >>> generator_of(-1)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: seed=-1: a whole number of at least 0 is needed
    """
    if seed is None or isinstance(seed, np.random.Generator):
        return np.random.default_rng(seed)
    return np.random.default_rng(checks.seed("seed", seed))


def finite(name: str, array: ArrayLike) -> Array:
    """An array of finite numbers, or an error with the place of the first that is not."""
    found = numbers(name, array)
    bad = ~np.isfinite(found)
    if bad.any():
        place = tuple(int(i[0]) for i in np.nonzero(bad))
        raise SettingError(
            f"{name} holds {checks.entries_that_are(int(bad.sum()))} NaN or infinite, the first at index {place}"
        )
    return found


def numbers(name: str, array: ArrayLike) -> Array:
    """An array of numbers; also of objects that are all numbers, as data frames have them. Errors: DtypeError."""
    found = even_array(name, array)
    if found.dtype.kind == "O" and all(isinstance(x, Real) for x in found.flat):
        found = found.astype(float)
    if found.dtype.kind not in "fiub":
        raise DtypeError(f"{name} holds {found.dtype}: it has to hold numbers")
    return found


def even_array(name: str, array: ArrayLike) -> Array:
    """What NumPy makes of it. Errors: DtypeError for masked entries; ShapeError for rows of different lengths."""
    refuse_masked(array)
    try:
        return np.asarray(array)
    except ValueError as error:
        raise ShapeError(f"{name} makes no array: its rows have different lengths ({error})") from None


def rows(name: str, array: ArrayLike) -> Array:
    """An array with one entry, or one row, for each sample, and at least one sample."""
    found = even_array(name, array)
    if found.ndim == 0 or len(found) == 0:
        given = "" if found.dtype.kind != "O" else f" ({type(array).__name__}; give a list or an array)"
        raise ShapeError(
            f"{name} has shape {found.shape}{given}: it needs one row for each sample, and at least one sample"
        )
    return found


def pairs(X: Samples, y: Samples) -> tuple[Array, Array]:
    """X and y, checked to have one row each for the same samples."""
    inputs, targets = rows("X", X), rows("y", y)
    if len(inputs) != len(targets):
        raise ShapeError(f"X has {len(inputs)} rows and y has {len(targets)}: each sample needs one target")
    return inputs, targets
