"""Other forms of the same inputs: scaled, by their logarithm, without their extremes, as bits, padding first."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.data import standardize

Array = np.ndarray[Any, Any]
Encoding = Callable[[Array], Array]
MOST_BITS = 16
WIDE = 5.0  # robust deviations at which an entry is clipped


@dataclass(frozen=True)
class FittedEncoding:
    """An encoding that was made for some X: centre and spread of each feature before, and a scaling after it."""

    function: Callable[[Array, Array, Array], Array]
    centre: Array
    spread: Array
    scaling: Any = None

    def __call__(self, X: Array) -> Array:
        made = self.function(X, self.centre, self.spread)
        return made if self.scaling is None else np.asarray(self.scaling(made))


def encoding(name: str | None, X: Array) -> Encoding:
    """The encoding of that name, fitted to the inputs."""
    function = partial(bits, width=width(X)) if name == "bits" else FORMS[str(name)]
    made = FittedEncoding(function, *robust(X, name))
    return (
        made if name in UNSCALED else FittedEncoding(made.function, made.centre, made.spread, standardize(made(X))[1])
    )


def robust(X: Array, name: str | None) -> tuple[Array, Array]:
    """Median and robust deviation of each feature; for bits, its smallest value and the step between values."""
    if name == "bits":
        return X.min(axis=0), steps(X)
    centre = np.median(X, axis=0)
    return centre, np.maximum(1.4826 * np.median(np.abs(X - centre), axis=0), 1e-12)


def logarithm(X: Array, centre: Array, spread: Array) -> Array:
    """sign(x)·log(1 + |x|/s), s a hundredth of the robust deviation: values near 0 and far from it stay apart."""
    size = spread / 100.0
    return np.asarray(np.sign(X) * np.log1p(np.abs(X) / size))


def clip_outliers(X: Array, centre: Array, spread: Array) -> Array:
    return np.asarray(np.clip(X, centre - WIDE * spread, centre + WIDE * spread))


def width(X: Array) -> int:
    """How many bits the largest feature needs."""
    most = int(np.rint((X - X.min(axis=0)) / steps(X)).max())
    return max(1, min(MOST_BITS, most.bit_length()))


def bits(X: Array, least: Array, step: Array, width: int = MOST_BITS) -> Array:
    """The binary digits of each feature, counted from its smallest value in its own steps."""
    counts = np.rint((X - least) / step).astype(np.int64)
    found = (counts[:, :, None] >> np.arange(width)) & 1
    return np.asarray(found.reshape(len(X), -1), dtype=float)


def padding_first(X: Array, centre: Array, spread: Array) -> Array:
    """Sequences with their padding of zeros moved from the end to the start."""
    found = np.zeros_like(X)
    for i, (row, length) in enumerate(zip(X, lengths(X), strict=True)):
        found[i, X.shape[1] - length :] = row[:length]
    return found


def lengths(X: Array) -> Array:
    """How many steps of each sequence come before its padding of zeros."""
    empty = (X.reshape(*X.shape[:2], -1) == 0.0).all(axis=2)
    held: Array = (X.shape[1] - np.argmin(empty[:, ::-1], axis=1)) * ~empty.all(axis=1)
    return held


def steps(X: Array) -> Array:
    """The smallest difference between two values of each feature.

    >>> steps(np.array([[0.01], [0.05], [0.03]]))
    array([0.02])
    """
    found = []
    for column in X.T:
        gaps = np.diff(np.unique(column))
        found.append(float(gaps.min()) if gaps.size else 1.0)
    return np.array(found)


def is_multiple_of_steps(X: Array) -> bool:
    """Are all features whole multiples of a step, few enough to be written in 16 bits?"""
    if X.ndim != 2:
        return False
    counts = (X - X.min(axis=0)) / steps(X)
    return bool(np.abs(counts - np.rint(counts)).max() < 1e-6 and 4 <= counts.max() < 2**MOST_BITS)


FORMS: dict[str, Callable[[Array, Array, Array], Array]] = {
    "logarithms": logarithm,
    "without extremes": clip_outliers,
    "bits": bits,
    "padding first": padding_first,
}
UNSCALED = ("bits", "padding first")
