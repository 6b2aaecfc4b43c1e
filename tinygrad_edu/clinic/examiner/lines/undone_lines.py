"""Which input of a line makes its value wrong: the line is undone, by division or subtraction, and the rest compared.

A line δ = (g @ W.T) * slope(z) gives no derivative of the loss. If δ / slope is one, all of the line is right but for
the slope. If δ - x is one share of a derivative, and x none of its others, x is added where another value belongs.
"""

from __future__ import annotations

import linecache
import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS
from tinygrad_edu.clinic.examiner.lines.misplaced import find_renaming, is_copy
from tinygrad_edu.clinic.examiner.lines.recording import RESULT, Made
from tinygrad_edu.clinic.examiner.lines.trail import FORWARD, MADE, RIGHT, SCALED, UNKNOWN, Trail

Array = np.ndarray[Any, Any]
SAME = 1e-9  # relative
MANY = 600  # derivatives of one size that are tried in the place of another
MOST = 60  # inputs and values of one size that are compared
FACTOR = "is what makes a later line wrong: divided by it, what that line makes is a derivative of the loss."
LINK = "is not the local derivative, such as ∂a/∂z, that belongs here: with it, a later line makes one of the loss."
ANEW = "is not the value of the forward that belongs here: with that, a later line makes a derivative of the loss."
REPEATED = "gives one derivative to several values, of which a maximum has one alone: nothing masks the others later."
EXCHANGED = (
    "is a derivative of the loss, and another one belongs here: with it, the line that reads this would be right."
)
CALL = re.compile(r"[^=]*[^=<>!+*/-]=\s*([\w.]+)\(.*\)$")
WORD = re.compile(r"\w+")
ADDEND = "is a derivative of the loss, but of another value than the one to whose derivative it is added."
SHARE = "is added to right shares of a derivative, and is not the share that is missing there."
POINT = "is the right derivative of an activation, taken at another value than the one that belongs here."


def wrong_factors(trail: Trail, made: Made) -> list[Made]:
    """The input, made of forward values alone, by which a wrong value has to be divided to be a derivative."""
    found = []
    for key in made.inputs[:MOST] if trail.kinds.get(made.key) == UNKNOWN and not made.total else ():
        inner = trail.whole_of(key)
        if inner is None or trail.kinds.get(inner.key) != MADE or inner.value.shape != made.value.shape:
            continue
        if np.all(inner.value) and inner.value.size > 1 and is_multiple_of_derivative(trail, made.value / inner.value):
            found.append(inner)
    if len(found) != 1:
        return []
    if is_slope_of_values(trail, found[0]):
        return at_point(found[0], made)
    first = min(makers_behind(trail, found[0]), key=lambda m: m.order)
    return [replace(first, remark=FACTOR)]


def wrong_values(trail: Trail, made: Made) -> list[Made]:
    """A factor that the backward pass computes anew and wrongly: with a value of the forward, or 1/it, all is right."""
    inputs = (x for k in made.inputs[:MOST] if (x := trail.whole_of(k)) and trail.kinds.get(x.key) == MADE)
    found = [x for x in inputs if x.line and x.value.size > 1 and x.key not in trail.pardoned | trail.slopes]
    if len(found) != 1 or trail.kinds.get(made.key) != UNKNOWN or made.total or not fits_into(found[0], made):
        return []
    factor = found[0].value
    with np.errstate(all="ignore"):
        rest = made.value / factor
        values = [v.reshape(factor.shape) for v in trail.truth.values.of_size(factor.size)[:MOST]]
        right = any(
            is_multiple_of_derivative(trail, rest * v) or is_multiple_of_derivative(trail, rest / v) for v in values
        )
    return [replace(found[0], remark=ANEW)] if right else []


def fits_into(x: Made, made: Made) -> bool:
    """Is it broadcast to the other's shape, and nowhere 0?"""
    ends_alike = made.value.shape[made.value.ndim - x.value.ndim :] == x.value.shape
    return ends_alike and x.value.size < made.value.size and bool(np.all(x.value))


def wrong_repeats(trail: Trail, made: Made) -> list[Made]:
    """Where a derivative was repeated for all entries of a window, and no right one has been made of that since."""
    spoken_for = {k for m in trail.made.values() if trail.kinds[m.key] == RIGHT and not m.view for k in m.inputs}
    first: Made | None = made
    while first is not None and first.key not in spoken_for:
        wholes = (trail.whole_of(k) for k in first.inputs)
        before = next((x for x in wholes if x and x.key in trail.repeated), None)
        if before is None:
            return (
                [replace(first, remark=REPEATED)]
                if first.line and first is not made and lacks_mask(trail, first)
                else []
            )
        first = before
    return []


def lacks_mask(trail: Trail, made: Made) -> bool:
    """Is there a derivative of this size with the same numbers and noughts beside them, in any order of the samples?"""
    numbers = np.unique(made.value[made.value != 0.0])
    masked = (d for d in trail.truth.derivatives.of_size(made.value.size)[:MANY] if not np.all(d))
    found = (np.unique(d[d != 0.0]) for d in masked)
    return any(x.size == numbers.size and np.allclose(x, numbers, rtol=SAME, atol=0.0) for x in found)


def wrong_derivatives(trail: Trail, made: Made) -> list[Made]:
    """A right derivative in the place of another: with that one instead, the line would make a derivative too.

    Two lines have computed it, di = i·ds and dg = i·ds, so one of them was to be the other derivative.
    """
    found = []
    inputs = (x for k in made.inputs[:MOST] if (x := trail.whole_of(k)) and trail.kinds.get(x.key) == RIGHT)
    for x in inputs if trail.kinds.get(made.key) == UNKNOWN and not made.total else ():
        if x.value.size > 2 and x.value.shape == made.value.shape and x.key not in trail.both and has_two_makers(x):
            # 0 where a time step hands back nothing
            rest = np.divide(made.value, x.value, out=np.zeros(x.value.shape), where=x.value != 0.0).ravel()
            others = [d for d in trail.truth.wholes.of_size(rest.size)[:MANY] if not np.array_equal(d, x.value.ravel())]
            found += [x] if any(is_multiple_of_derivative(trail, rest * d) for d in others) else []
    return [replace(at_name(x, made), remark=EXCHANGED) for x in found] if len(found) == 1 else []


def has_two_makers(x: Made) -> bool:
    """Has it been computed by two lines, under two names?"""
    lines = {
        (n[0], n[1]): n[2] for n in x.named if n[2] != RESULT and not (is_copy(n[0], n[1]) or hands_on(n[0], n[1]))
    }
    return len({*lines.values()}) > 1


def hands_on(file: str, line: int) -> bool:
    """Does a line give a name to what a function or a layer of the learner's returns: d = layer.backward(d)?"""
    called = CALL.match(linecache.getline(file, line).strip())
    return called is not None and not called[1].startswith(("np.", "numpy."))


def at_name(x: Made, user: Made) -> Made:
    """A value at the line that gave it the name by which another line reads it."""
    words = {*WORD.findall(user.source.partition("=")[2])}
    named = [n for n in x.named if n[2] != RESULT and n[3] <= user.order and n[2].rpartition(".")[2] in words]
    return replace(x, file=named[-1][0], line=named[-1][1], variable=named[-1][2]) if named else x


def wrong_links(trail: Trail, made: Made) -> list[Made]:
    """Of a chain of single numbers, the link that is not a local derivative, where one in its place makes all right."""
    if not trail.truth.singly or made.value.size > 1 or made.total:
        return []
    inputs = [trail.made[k] for k in made.inputs if trail.kinds.get(k) == MADE and k not in trail.slopes]
    found = [x for x in inputs if x.key not in trail.pardoned and x.line and x.value.size == 1 and x.value.item()]
    if len(found) != 1:
        return []
    rest = float(made.value.item() / found[0].value.item())
    others = (rest * local for numbers in trail.truth.slopes.numbers for local in numbers.tolist())
    if not any(trail.truth.wholes.has_number(x) or trail.truth.wholes.has_number(-x) for x in others):
        return []
    return [replace(found[0], remark=LINK)]


def makers_behind(trail: Trail, end: Made) -> list[Made]:
    """The value and those of its size, made of forward values alone, of which it is made: the first may be wrong."""
    found, waiting = [end], [end]
    while waiting:
        inputs = (trail.made[k] for k in waiting.pop().inputs if trail.kinds.get(k) == MADE)
        inner = [m for m in inputs if m.line and m.value.shape == end.value.shape and m not in found]
        found += inner
        waiting += inner
    return found


def is_multiple_of_derivative(trail: Trail, x: Array) -> bool:
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
    """The addend that makes a sum of shares of a derivative wrong, where the rest of them belongs."""
    if trail.kinds.get(made.key) != UNKNOWN or made.value.size < 2:
        return []
    inputs = [x for k in made.inputs[:MOST] if (x := trail.whole_of(k))]
    alike = [x for x in inputs if x.value.shape == made.value.shape]
    for x in (x for x in alike if trail.kinds.get(x.key) == RIGHT and is_left_over(trail, made, x)):
        if lacking := lacks_factor(trail, made, x):
            return lacking
        # dx += ... where dx itself is wrong, or dc_next = dc; in a + b it is this line that adds the wrong one
        begun = [x] if made.total and x.variable == made.variable else []
        return [replace(place, remark=ADDEND) for place in find_renaming(x, made.order) or begun]
    own = [x for x in inputs if x.line and (x.file, x.line) != (made.file, made.line)]
    return times_too_much(trail, made, own) or wrong_shares(trail, made, [x for x in own if x in alike])


def is_left_over(trail: Trail, made: Made, x: Made) -> bool:
    """Is the sum without x made of right shares of one derivative, to which x is none?"""
    rest = made.value - x.value
    sums = (sums for whole, sums in trail.truth.paths if whole.shape == rest.shape)
    return any(is_among(rest, some) and not is_among(x.value, some) for some in sums)


def lacks_factor(trail: Trail, made: Made, x: Made) -> list[Made]:
    """The addend of which a multiple would make the sum right: in ∂L/∂(z/2), which it is, the 1/2 is missing."""
    for whole in (whole for whole, _ in trail.truth.paths if whole.shape == made.value.shape):
        share = whole - made.value + x.value
        c = float(np.vdot(share, x.value)) / (float(np.vdot(share, share)) or 1.0)
        if x.line and (x.file, x.line) != (made.file, made.line) and c and is_among(x.value / c, [share]):
            return [replace(x, remark=f"is {c:.4g} times the share of a derivative that is added later.")]
    return []


def wrong_shares(trail: Trail, made: Made, alike: Sequence[Made]) -> list[Made]:
    """The one addend that is no derivative, beside right shares; of that, if it is a sum itself, the wrong addend."""
    others = [x for x in alike if trail.kinds.get(x.key) in (UNKNOWN, MADE, SCALED) and is_left_over(trail, made, x)]
    return (wrong_addends(trail, others[0]) or [replace(others[0], remark=SHARE)]) if len(others) == 1 else []


def times_too_much(trail: Trail, made: Made, inputs: Sequence[Made]) -> list[Made]:
    """The multiple of a derivative without whose factor a sum would be right, at the line where the factor came in.

    What the sum has too much is (c - 1) times that share; a factor that all of it has may be the learner's way.
    """
    for x in (x for x in inputs if trail.kinds.get(x.key) == SCALED and not trail.is_one(trail.found[x.key][1])):
        factor = trail.found[x.key][1]
        for whole, sums in trail.truth.paths:
            if whole.shape == made.value.shape and is_among((made.value - whole) / (factor - 1.0), sums):
                first = beginning_of(trail, x, factor)
                return [replace(first, remark=f"is {factor:.4g} times the share of a derivative that is added later.")]
    return []


def beginning_of(trail: Trail, x: Made, factor: float) -> Made:
    """The first of the values that carry one factor from line to line."""
    seen = {x.key}
    while True:
        inputs = (m for k in x.inputs if k not in seen and (m := trail.whole_of(k)) and m.line)
        scaled = [m for m in inputs if trail.kinds.get(m.key) == SCALED]
        before = [m for m in scaled if abs(trail.found[m.key][1] / factor - 1.0) < SAME and m.key not in seen]
        if not before:
            return x
        x = before[0]
        seen.add(x.key)


def is_among(x: Array, sums: Sequence[Array]) -> bool:
    length = float(np.linalg.norm(x))
    return length > 0.0 and any(np.linalg.norm(x - s) <= SAME * length for s in sums)
