"""The distribution of the numbers in an array: quantiles, a histogram, and the shares of zeros and of NaN."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BINS = 40
LEVELS = (0.0, 0.05, 0.25, 0.5, 0.75, 0.95, 1.0)  # quantile levels
LOGARITHMIC = ("gradients",)  # shown as log10 |x|, because they span many powers of ten


@dataclass(frozen=True)
class Spread:
    """The distribution of an array's finite numbers.

    `quantiles` at LEVELS and `counts` in BINS equal bins between the first and the last of them, both of log₁₀|x| for
    the kinds in LOGARITHMIC (zeros are then left out); `zeros` and `broken`, the shares of zeros and of NaN and
    infinite entries; `size`, the root of the mean square.
    """

    quantiles: tuple[float, ...]
    counts: tuple[int, ...]
    zeros: float
    broken: float
    size: float


def spread_from(quantiles: Any, counts: Any, zeros: float, broken: float, size: float) -> Spread:
    numbers = tuple(float(q) for q in quantiles), tuple(int(c) for c in counts)
    if (len(numbers[0]), len(numbers[1])) != (len(LEVELS), BINS):
        raise ValueError(f"{len(numbers[0])} quantiles and {len(numbers[1])} counts, not {len(LEVELS)} and {BINS}")
    return Spread(*numbers, float(zeros), float(broken), float(size))


def spread_of(values: Array, logarithmic: bool = False) -> Spread:
    """The spread of an array.

    >>> spread_of(np.array([0.0, 1.0, 2.0, 3.0, 4.0])).quantiles
    (0.0, 0.2, 1.0, 2.0, 3.0, 3.8, 4.0)
    """
    finite = values[np.isfinite(values)].astype(float)
    shown = np.log10(np.abs(finite[finite != 0.0])) if logarithmic else finite
    quantiles = round_digits(np.quantile(shown, LEVELS)) if shown.size else np.full(len(LEVELS), np.nan)
    low, high = (quantiles[0], quantiles[-1]) if shown.size else (0.0, 1.0)
    room = 0.0 if high - low > 1e-9 * max(abs(low), abs(high)) else max(abs(low), float(low == 0.0)) * 1e-6
    counts, _ = np.histogram(np.clip(shown, low, high), BINS, (low - room, high + room))
    count = max(values.size, 1)
    size = root_mean_square(finite)
    broken = (values.size - finite.size) / count
    return Spread(tuple(quantiles.tolist()), tuple(counts.tolist()), float(np.sum(finite == 0.0)) / count, broken, size)


def round_digits(numbers: Array) -> Array:
    """Twelve significant digits of each number: 0.2 for 0.2000000000000001, and no 0 for what is small.

    >>> round_digits(np.array([0.2 + 1e-16, 3e-14])).tolist()
    [0.2, 3e-14]
    """
    return np.array([float(f"{x:.12g}") for x in numbers.tolist()])


def root_mean_square(numbers: Array) -> float:
    """√mean(x²), also where a square would overflow; NaN of no numbers.

    >>> root_mean_square(np.array([3e200, 3e200])), root_mean_square(np.zeros(2))
    (3e+200, 0.0)
    """
    largest = float(np.max(np.abs(numbers), initial=0.0))
    if not 0.0 < largest < np.inf:
        return largest if numbers.size else float("nan")
    return largest * float(np.sqrt(np.mean((numbers / largest) ** 2)))
