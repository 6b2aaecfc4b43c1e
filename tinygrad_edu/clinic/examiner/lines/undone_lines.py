"""Which input of a line makes its value wrong: the line is undone, by division or subtraction, and the rest compared.

A line δ = (g @ W.T) * slope(z) gives no derivative of the loss. If δ / slope is one, all of the line is right but for
the slope. If δ - x is one share of a derivative, and x none of its others, x is added where another value belongs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS
from tinygrad_edu.clinic.examiner.lines.misplaced import find_renaming
from tinygrad_edu.clinic.examiner.lines.recording import RESULT, Made
from tinygrad_edu.clinic.examiner.lines.trail import FORWARD, MADE, RIGHT, UNKNOWN, Trail

Array = np.ndarray[Any, Any]
SAME = 1e-9  # relative
MOST = 60  # inputs and values of one size that are compared
FACTOR = "is what makes a later line wrong: divided by it, what that line makes is a derivative of the loss."
ADDEND = "is a derivative of the loss, but of another value than the one to whose derivative it is added."
POINT = "is the right derivative of an activation, taken at another value than the one that belongs here."


def wrong_factors(trail: Trail, made: Made) -> list[Made]:
    """The input, made of forward values alone, by which a wrong value has to be divided to be a derivative."""
    found = []
    for key in made.inputs[:MOST] if trail.kinds.get(made.key) == UNKNOWN and not made.total else ():
        inner = trail.whole_of(key)
        if inner is None or trail.kinds.get(inner.key) != MADE or inner.value.shape != made.value.shape:
            continue
        if np.all(inner.value) and inner.value.size > 1 and is_whole(trail, made.value / inner.value):
            found.append(inner)
    if len(found) != 1:
        return []
    if is_slope_of_values(trail, found[0]):
        return at_point(found[0], made)
    first = min(makers_behind(trail, found[0]), key=lambda m: m.order)
    return [replace(first, remark=FACTOR)]


def makers_behind(trail: Trail, end: Made) -> list[Made]:
    """The value and those of its size, made of forward values alone, of which it is made: the first may be wrong."""
    found, waiting = [end], [end]
    while waiting:
        inputs = (trail.made[k] for k in waiting.pop().inputs if trail.kinds.get(k) == MADE)
        inner = [m for m in inputs if m.line and m.value.shape == end.value.shape and m not in found]
        found += inner
        waiting += inner
    return found


def is_whole(trail: Trail, x: Array) -> bool:
    """Is it a complete derivative, or a plain multiple of one?"""
    found = trail.truth.wholes.find(x)
    return found is not None and trail.is_plain(abs(found[1]))


def is_slope_of_values(trail: Trail, slope: Made) -> bool:
    """Is it a right slope of an activation at values of the forward, whichever they are?"""
    values = [m.value for m in trail.made.values() if trail.kinds[m.key] == FORWARD and m.order < slope.order]
    return any(is_slope(slope.value, x) for x in [x for x in values if x.shape == slope.value.shape][:MOST])


def at_point(slope: Made, before: Made) -> list[Made]:
    """The call that took a right slope at a wrong value: σ'(a) for σ'(z); the function that made it is not to blame."""
    named = [n for n in slope.named if n[2] != RESULT and n[3] <= before.order + 1 and n[1] != slope.line]
    return [replace(slope, file=n[0], line=n[1], variable=n[2], remark=POINT) for n in named[:1]]


def is_slope(x: Array, at: Array) -> bool:
    """Is it the derivative of an activation at these values?"""
    with np.errstate(all="ignore"):
        slopes = (form.slope_at_input(at) for form in ACTIVATIONS.values())
        return any(np.linalg.norm(s - x) <= SAME * np.linalg.norm(x) for s in slopes)


def wrong_addends(trail: Trail, made: Made) -> list[Made]:
    """The right derivative that a line adds to shares of another value's derivative, where the rest of them belongs."""
    if trail.kinds.get(made.key) != UNKNOWN or made.value.size < 2:
        return []
    alike = [x for k in made.inputs[:MOST] if (x := trail.whole_of(k)) and x.value.shape == made.value.shape]
    for x in (x for x in alike if trail.kinds.get(x.key) == RIGHT):
        rest = made.value - x.value
        for sums in (sums for whole, sums in trail.truth.paths if whole.shape == rest.shape):
            if is_among(rest, sums) and not is_among(x.value, sums):
                # dx += ... where dx itself is wrong, or dc_next = dc; in a + b it is this line that adds the wrong one
                begun = [x] if made.total and x.variable == made.variable else []
                return [replace(place, remark=ADDEND) for place in find_renaming(x, made.order) or begun]
    return []


def is_among(x: Array, sums: Sequence[Array]) -> bool:
    length = float(np.linalg.norm(x))
    return length > 0.0 and any(np.linalg.norm(x - s) <= SAME * length for s in sums)
