"""Sums and differences of sizes, and what a slice reads of an axis whose length has a name.

Where a slice would reach over the end of an axis, or end before it starts, depends on the length: the answer becomes a
condition of the trace, and so the sizes in the program stay simple, such as `(n - 1)` for x[1:].
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import ACTIVE, Size, length, text_of
from tinygrad_edu.errors import SettingError, ShapeError, TraceError


def plus(a: Any, b: Any, sign: int = 1) -> Any:
    """a + b of sizes and numbers; a - b for the sign -1."""
    (mine, own), (others, other) = linear(a), linear(b)
    names = [*mine, *(name for name in others if name not in mine)]
    terms = {name: k for name in names if (k := mine.get(name, 0) + sign * others.get(name, 0))}
    return summed(terms, own + sign * other, length(a) + sign * length(b))


def minus(a: Any, b: Any) -> Any:
    return plus(a, b, -1)


def linear(n: Any) -> tuple[Mapping[str, int], int]:
    return n.linear if isinstance(n, Size) else ({}, int(n))


def summed(terms: Mapping[str, int], number: int, total: int) -> Any:
    """The sum as a number, a size, a product, or a text in brackets."""
    if not terms:
        return number
    ((name, k), *more) = terms.items()
    if not more and not number and k > 0:
        return Size(total, name if k == 1 else f"{name} * {k}")
    items = [(k, f"{abs(k)}*" * (abs(k) != 1) + name.replace(" * ", "*")) for name, k in terms.items()]
    items += [(number, str(abs(number)))] if number else []
    signed = [f"{'-' if k < 0 else '+'} {item}" for k, item in sorted(items, key=lambda item: item[0] < 0)]
    return Size(total, f"({' '.join(signed).removeprefix('+ ')})", (terms, number))


def at_least(a: Any, b: Any) -> bool:
    """Is a ≥ b? Unless it always is, or never, a condition of the trace."""
    difference = minus(a, b)
    terms, number = linear(difference)
    if number >= 0 and all(k > 0 for k in terms.values()):
        return True
    if number < 0 and all(k < 0 for k in terms.values()):
        return False
    reached = length(difference) >= 0
    if ACTIVE.traces:
        ACTIVE.traces[-1].conditions.signs.add((text_of(difference), reached))
    return reached


def axis_length(n: Any) -> Any:
    """A sum as the length of an axis: whether it is 1 belongs to the structure of the program."""
    if isinstance(n, Size) and n.text.startswith("("):
        one = n.length == 1
        if ACTIVE.traces:
            ACTIVE.traces[-1].conditions.note(n.text, "1", one, False)
        return 1 if one else n
    return n


@dataclass(frozen=True)
class Span:
    """`size` entries of an axis, from `start` on in steps of `step`."""

    start: Any
    step: int
    size: Any


def entry(index: int, n: Any) -> Span:
    """One entry. Errors: ShapeError where the axis has no such entry."""
    if not at_least(n, index + 1 if index >= 0 else -index):
        raise ShapeError(f"getitem: index {index} is outside of an axis that is {length(n)} long")
    return Span(index if index >= 0 else plus(n, index), 1, 1)


def span(piece: slice, n: Any) -> Span:
    """What a slice reads of an axis of length n, as Python's `slice.indices`."""
    step = 1 if piece.step is None else bound(piece.step)
    if step == 0 or isinstance(step, Size):
        raise SettingError(f"getitem: the step of {piece} has to be a number other than 0")
    low, high = (0, n) if step > 0 else (-1, plus(n, -1))
    first, last = (low, high) if step > 0 else (high, low)
    start = first if piece.start is None else clipped(bound(piece.start), n, low, high)
    stop = last if piece.stop is None else clipped(bound(piece.stop), n, low, high)
    distance = minus(stop, start) if step > 0 else minus(start, stop)
    if not at_least(distance, 1):
        return Span(0, 1, 0)
    return Span(start, step, axis_length(divided(distance, abs(step))))


def bound(x: Any) -> Any:
    if isinstance(x, (int, np.integer)):
        return int(x)
    if isinstance(x, Size):
        return x
    raise TraceError(f"a slice in a compiled function has whole numbers or sizes as its bounds, not {x!r:.60}")


def clipped(x: Any, n: Any, low: Any, high: Any) -> Any:
    """A bound of a slice, counted from the front and inside of the axis."""
    if isinstance(x, int) and x < 0:
        x = plus(n, x)
        return x if at_least(x, low) else low
    return x if at_least(high, x) else high


def divided(distance: Any, step: int) -> Any:
    """⌈distance / step⌉."""
    if step == 1:
        return distance
    raised = plus(distance, step - 1)
    if isinstance(raised, int):
        return raised // step
    return Size(raised.length // step, f"({text_of(raised).replace(' * ', '*')} // {step})")
