"""Which points of a curve are drawn, and the numbers beside an axis."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
BUCKETS = 250  # of a longer curve the lowest and the highest point of each of so many pieces are drawn
FARTHEST = 1e100  # from 1, of a number that is drawn


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
    axis.set_major_formatter(lambda x, _: f"{x:g}")
    axis.set_minor_formatter(NullFormatter())


def thin_points(curve: Array) -> Array:
    """The numbers of the points to draw: of a long curve the extremes of each piece, so that no peak is lost.

    >>> thin_points(np.arange(3.0)).tolist()
    [0, 1, 2]
    """
    if len(curve) <= 2 * BUCKETS:
        return np.arange(len(curve))
    pieces = np.array_split(np.arange(len(curve)), BUCKETS)
    ends = [piece[extreme(curve[piece])] for piece in pieces for extreme in (np.argmin, np.argmax)]
    return np.unique([0, *ends, len(curve) - 1])
