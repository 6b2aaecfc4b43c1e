"""What a slice reads from an axis of symbolic length.

Whether a slice reaches past the end of an axis, or ends before it starts, depends on the length. The answer becomes a
condition of the trace, so that the sizes in the program stay simple, such as `(n - 1)` for x[1:].
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import Size, at_least, axis_length, length, minus, plus, text_of
from tinygrad_edu.errors import SettingError, ShapeError, TraceError


@dataclass(frozen=True)
class Span:
    """`size` entries of an axis, from `start` on in steps of `step`."""

    start: Any
    step: int
    size: Any


def entry(index: int, n: Any) -> Span:
    """One entry. Errors: ShapeError if the axis has no such entry."""
    if not at_least(n, index + 1 if index >= 0 else -index):
        raise ShapeError(f"getitem: index {index} is outside an axis of length {length(n)}")
    return Span(index if index >= 0 else plus(n, index), 1, 1)


def span(piece: slice, n: Any) -> Span:
    """The entries that a slice reads from an axis of length n, as Python's `slice.indices` gives them."""
    step = 1 if piece.step is None else slice_number(piece.step)
    if step == 0 or isinstance(step, Size):
        raise SettingError(f"getitem: the step of {piece} has to be a number other than 0")
    low, high = (0, n) if step > 0 else (-1, plus(n, -1))
    first, last = (low, high) if step > 0 else (high, low)
    start = first if piece.start is None else clip_bound(slice_number(piece.start), n, low, high)
    stop = last if piece.stop is None else clip_bound(slice_number(piece.stop), n, low, high)
    distance = minus(stop, start) if step > 0 else minus(start, stop)
    if not at_least(distance, 1):
        return Span(0, 1, 0)
    return Span(start, step, axis_length(ceil_divide(distance, abs(step))))


def slice_number(x: Any) -> Any:
    if isinstance(x, (int, np.integer)):
        return int(x)
    if isinstance(x, Size):
        return x
    raise TraceError(f"a slice in a compiled function has whole numbers or sizes as its bounds, not {x!r:.60}")


def clip_bound(x: Any, n: Any, low: Any, high: Any) -> Any:
    """A bound of a slice, counted from the front and inside the axis."""
    if isinstance(x, int) and x < 0:
        x = plus(n, x)
        return x if at_least(x, low) else low
    return x if at_least(high, x) else high


def ceil_divide(distance: Any, step: int) -> Any:
    """⌈distance / step⌉."""
    if step == 1:
        return distance
    raised = plus(distance, step - 1)
    if isinstance(raised, int):
        return raised // step
    return Size(raised.length // step, f"({text_of(raised).replace(' * ', '*')} // {step})")
