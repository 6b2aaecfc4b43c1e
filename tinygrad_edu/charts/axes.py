"""Which points of a curve are drawn, and the numbers beside an axis."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BUCKETS = 250  # a longer curve is cut into this many pieces, each drawn by its lowest and highest point
ZEROS = re.compile(r"\.?0+(?=e)")  # those of 1.500000e+04 and 1.000000e+04
LONGEST = 7  # letters of a number that fit beside an axis
FARTHEST = 1e100  # numbers farther from 1 than this factor are not drawn


def drawable(curve: Array) -> Array:
    """Gaps for what no axis can hold: Matplotlib takes differences and powers of its ends."""
    size = np.abs(curve)
    return np.where((size < FARTHEST) & ((size > 1.0 / FARTHEST) | (size == 0.0)), curve, np.nan)


def plain_numbers(axis: Any) -> None:
    """Powers of ten where the axis spans much, 0.1, 0.2, 0.5 where it spans less, even steps where it spans little."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullFormatter

    low, high = axis.get_view_interval()
    of_powers = LogLocator(subs=(1.0, 2.0, 5.0) if high < 200.0 * low else (1.0,))
    axis.set_major_locator(of_powers if high > 5.0 * low else MaxNLocator(4))
    axis.set_major_formatter(formatter_of(tick_texts))
    axis.set_minor_formatter(NullFormatter())


def formatter_of(texts: Callable[[Sequence[float]], tuple[list[str], str]]) -> Any:
    """Matplotlib's formatter whose labels are made for all ticks of an axis at once."""
    from matplotlib.ticker import Formatter

    class Together(Formatter):
        def format_ticks(self, values: Any) -> list[str]:
            found, self.base = texts(list(values))
            return found

        def __call__(self, x: float, pos: int | None = None) -> str:
            return f"{x:g}"

        def get_offset(self) -> str:
            return str(getattr(self, "base", ""))

    return Together()


def tick_texts(ticks: Sequence[float]) -> tuple[list[str], str]:
    """A short text for each tick, no two of them alike, and what is to be added to each ("" for nothing).

    >>> tick_texts([0.1, 0.2, 0.5])
    (['0.1', '0.2', '0.5'], '')
    >>> tick_texts([100.0, 1e4, 1e6])
    (['100', '1e4', '1e6'], '')
    >>> tick_texts([1.48e17, 1.480001e17, 1.480002e17])
    (['0', '1e11', '2e11'], '+ 1.48e17')
    """
    step = min((b - a for a, b in pairwise(ticks) if b > a), default=0.0)
    found = distinct(ticks, step)
    if max(map(len, found), default=0) <= LONGEST:
        return found, ""
    for digits in range(3, 16):
        base = round_down(min(ticks), digits)
        beyond = distinct([x - base if abs(x - base) > 1e-6 * step else 0.0 for x in ticks], step)
        if max(map(len, beyond)) <= LONGEST:
            break
    return beyond, f"+ {narrow(f'{base:.15g}')}"


def round_down(x: float, digits: int) -> float:
    """x rounded down to this many significant digits."""
    base = float(f"{x:.{digits}g}")
    return base if base <= x else base - 10.0 ** (math.floor(math.log10(abs(x))) + 1 - digits)


def distinct(ticks: Sequence[float], step: float) -> list[str]:
    """With as few digits as tell all apart and lie within a hundredth of the step of what they say."""
    for digits in range(1, 16):
        found = [f"{x:.{digits}g}" for x in ticks]
        near = all(abs(float(text) - x) <= 0.01 * step + 1e-12 * abs(x) for text, x in zip(found, ticks, strict=True))
        if near and len(set(found)) == len(set(ticks)):
            return alike([f"{float(text):g}" if digits < 6 else text for text in found])
    return alike(found)


def alike(texts: Sequence[str]) -> list[str]:
    """Long numbers as powers of ten where one of them is: 100, 1e4, 1e6 and not 100, 10000, 1e6."""
    if any("e" in text for text in texts):
        texts = [f"{float(x):e}" if len(x) > 4 and "e" not in x else x for x in texts]
    return [narrow(ZEROS.sub("", text)) for text in texts]


def narrow(text: str) -> str:
    """1.5e11 for 1.5e+11: beside an axis there is room for seven letters."""
    return text.replace("e+0", "e").replace("e+", "e").replace("e-0", "e-")


def thin_points(curve: Array) -> Array:
    """The numbers of the points to draw: of a long curve the extremes of each piece, so that no peak is lost.

    >>> thin_points(np.arange(3.0)).tolist()
    [0, 1, 2]
    """
    if len(curve) <= 2 * BUCKETS:
        return np.arange(len(curve))
    pieces = np.array_split(np.arange(len(curve)), BUCKETS)
    shown = np.where(np.isfinite(curve), curve, np.nan)  # beside NaN and infinity the extremes of what can be drawn
    low, high = np.where(np.isnan(shown), np.inf, shown), np.where(np.isnan(shown), -np.inf, shown)
    ends = [piece[place] for piece in pieces for place in (np.argmin(low[piece]), np.argmax(high[piece]))]
    return np.unique([0, *ends, len(curve) - 1])
