"""The line that brings a factor in: where a wrong gradient is a plain multiple of the right one.

A factor alone marks no line: people write -∂L/∂z and add it, or n·∂L/∂z and divide later. What is compared is what each
line makes of what it is given. A line that turns δ into 2·∂L/∂W has brought in the 2, and `W -= lr * dW` after it has
not. A factor that was to be taken out and was not (a forgotten / n) is looked for where the gradient itself is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.carried_factors import SAME, LineFactors, Ratio, is_minus_one, multiple_of
from tinygrad_edu.clinic.examiner.lines.recording import RESULT, Key, Made, key_of

Array = np.ndarray[Any, Any]
TOO_LATE = "is the right gradient, but it comes too late: no line reads it after this one."
LONELY = "is one single number for all entries of the gradient: an array belongs here."
FIRST = "is the first value of the backward pass, and it is not a derivative of the loss."
JACOBIAN = "is not ∂s_i/∂z_j of a softmax, which is s_i·(1 - s_i) on the diagonal and -s_i·s_j beside it."
SIGN = "is {} times {}: it is the sign that is wrong."
NO_DELTA = "is made in the forward pass: the gradient that comes from above does not go into it."


def lines_of_factors(
    trail: Any, ends: Mapping[str, Sequence[Key]], ratios: Mapping[str, Ratio], right: list[Key], *, updates: bool
) -> list[tuple[Made, tuple[str, ...]]]:
    """The values at which the factor of each wrong gradient came in, with the names that it goes into; best first.

    ends: name → what is wrong, a gradient (or its numbers) or (updates) a new parameter; right: values that are right,
    behind which nothing is to blame.
    """
    factors = LineFactors(trail)
    innocent = {made.key for made in factors.behind(*right)} - {
        k for end in right for k in factors.undone(end, update=updates)
    }
    names: dict[tuple[str, int, str], dict[str, None]] = {}  # line and variable → the gradients that it goes into
    first: dict[tuple[str, int, str], tuple[Made, bool]] = {}
    for name, ratio in ratios.items():
        for made, is_exact in candidates(factors, ends[name], ratio, innocent, updates) if name in ends else ():
            place = (made.file, made.line, made.variable)
            names.setdefault(place, {})[name] = None
            before = first.get(place, (made, True))
            first[place] = (min(before[0], made, key=lambda m: m.order), before[1] and is_exact)
    differ = {n: ratio.factor for n, ratio in ratios.items() if n in ends}
    for place in [p for p in names if not first[p][1] and not one_factor([differ[n] for n in names[p]])]:
        del names[place]  # gradients that lack different factors cannot have lost the same one
    ranked = sorted(names, key=lambda p: (-len(names[p]), not first[p][1], first[p][0].order))
    done: set[str] = set()
    found = []
    for place in ranked:
        if not done.issuperset(names[place]):
            done.update(names[place])
            found.append((with_sign(trail, first[place][0], [differ[n] for n in names[place]]), tuple(names[place])))
    return found


def with_sign(trail: Any, made: Made, ratios: Sequence[float]) -> Made:
    """What is said where the sign alone is wrong, and the value has a factor that a later line takes out again."""
    label, factor = trail.found.get(made.key, ("", -1.0))
    if made.remark or not label or not all(is_minus_one(c) for c in ratios) or is_minus_one(factor):
        return made
    return replace(made, remark=SIGN.format(f"{factor:.4g}", label))


def one_factor(factors: Sequence[float]) -> bool:
    return max(factors) - min(factors) <= SAME * max(map(abs, factors))


def candidates(
    factors: LineFactors, ends: Sequence[Key], ratio: Ratio, innocent: set[Key], updates: bool
) -> list[tuple[Made, bool]]:
    """The values behind one wrong parameter that may have brought its factor in; (value, is it known to have)."""
    if ratio.right.size == 1 and not factors.trail.is_plain(ratio.factor):
        return []  # any number is a multiple of any other
    end = ends[0]
    at_update, line = factors.update_of(end, ratio) if updates else (None, [])
    on_line = {made.key for made in line}
    blameless = on_line | innocent
    changes = [made for made in factors.changes(ends, ratio.factor) if made.key not in blameless]
    sources = changes or factors.sources(ends, ratio.factor, on_line, innocent)
    found = [(made, True) for made in sources if made.key not in blameless]
    update = factors.made[end]
    if at_update is not None and abs(at_update - 1.0) > SAME and factors.trail.is_plain(at_update / ratio.factor):
        begins = [made for made, _ in found if not factors.factors_before(made)]
        if begins and len(found) > len(begins):  # -∂L/∂z, added at the end: a legitimate way to write it
            return [x for x in found if x[0] not in begins]
        return [*found, (update, True)]
    if not found and (at_update is not None or not updates):  # a factor that should have been removed was not
        own = [m for m in factors.behind(*ends) if m.line and m.key not in on_line and not m.view
               and (c := multiple_of(m.value, ratio.right)) is not None
               and (ratio.right.size > 1 or abs(c / ratio.factor - 1.0) < SAME)]  # fmt: skip
        first = min(own, key=lambda m: m.order, default=update)
        # the gradient is right, so the update is wrong
        is_right = updates and factors.trail.kinds[first.key] == "right"
        found = [(update if is_right else first, False)] if own else []
    return found


def delta_left_out(trail: Any, ends: Iterable[Key], of_values: Sequence[str]) -> Made | None:
    """The values that stand in the place of a delta, where wrong gradients are made of values of the forward alone.

    That is the last such value of which two of them are made, under the last name that it was given; or a value of the
    forward that the backward pass hands on (`return self.mask`).
    of_values: the kinds that count as values of the forward; only the later ones of them can stand for a delta.
    """
    factors = LineFactors(trail)
    backward = (m.order for m in trail.made.values() if m.line and trail.kinds[m.key] == "right")
    begin = min(backward, default=len(trail.made))
    values = (m for m in trail.made.values() if trail.kinds[m.key] == of_values[0] and m.order < begin)
    forward = {(m.file, m.line) for m in values}
    counts: dict[Key, int] = {}
    for end in ends:
        for m in factors.behind(end):
            kinds = {trail.kinds.get(k) for k in (*m.inputs, m.key)}
            if m.key != end and (m.inputs if m.line else m.named) and kinds.issubset(of_values):
                counts[m.key] = counts.get(m.key, 0) + 1
    shared = [trail.made[key] for key, n in counts.items() if n > 1]  # shared by a weight and its bias
    made = [
        m
        for m in shared
        if m.line and not m.view and trail.kinds[m.key] in of_values[1:] and (m.file, m.line) not in forward
    ]
    if made:
        last: Made = max(made, key=lambda m: m.order)
        return replace(at_naming(last, [n for n in last.named if n[2] != RESULT]), remark=NO_DELTA)
    handed = [
        (m, n) for m in shared for n in m.named if n[3] > begin and n[2] == RESULT and (n[0], n[1]) not in forward
    ]
    if not handed:
        return None
    return replace(at_naming(*min(((m, [n]) for m, n in handed), key=lambda x: x[1][0][3])), remark=NO_DELTA)


def first_of_backward(trail: Any, ends: Iterable[Key]) -> Made | None:
    """The first value behind all gradients that is not one of the forward pass, where all gradients are wrong.

    With a wrong derivative of the loss nothing after it is a derivative of the loss, right as its own line may be.
    """
    factors = LineFactors(trail)
    behind = [{m.key for m in factors.behind(end)} for end in ends]
    shared = [trail.made[key] for key in set.intersection(*behind)] if behind else []
    if any(trail.kinds[key] == "part" for key in set.union(set(), *behind)):
        return None  # it joins several derivatives in one array
    forward = {(m.file, m.line) for m in trail.made.values() if m.line and trail.kinds[m.key] == "forward"}
    made = [
        m
        for m in shared
        if m.line
        and m.inputs
        and (m.file, m.line) not in forward
        and m.value.size > 1
        and trail.kinds[m.key] not in ("right", "scaled")  # the right derivative of one term of the loss
    ]
    return replace(min(made, key=lambda m: m.order), remark=FIRST) if made else None


def has_no_delta(trail: Any, end: Key) -> bool:
    """Does no derivative of the loss go into a wrong value?"""
    return all(trail.kinds[m.key] not in ("right", "scaled") for m in LineFactors(trail).behind(end))


def at_naming(made: Made, named: Sequence[tuple[str, int, str, int]]) -> Made:
    """A value at the line that gave it the last of these names."""
    return replace(made, file=named[-1][0], line=named[-1][1], variable=named[-1][2]) if named else made


def lonely_numbers(trail: Any, ends: Mapping[str, Key]) -> list[tuple[Made, tuple[str, ...]]]:
    """The lines that add a single number to all entries of a wrong gradient or weight, where an array belongs.

    It is the line that made the number, where that is a derivative by a name (d = p - 1 for d = (p - 1)·x).
    """
    factors, found = LineFactors(trail), dict[str, Made]()
    for name, end in ends.items():
        for m in factors.behind(end):
            inputs = [trail.made[k] for k in m.inputs if k in trail.made]
            even = m.value.size > 1 and np.ptp(m.value) < 1e-9 * np.abs(m.value).max()
            if not (even and inputs and m.line and all(x.value.size == 1 for x in inputs)):
                continue
            if m.variable.startswith("what is added"):
                made = [x for x in inputs if x.line and trail.kinds[x.key] != "forward"]
                found[name] = (made or [m])[-1]
                break
    return [(replace(m, remark=LONELY), (name,)) for name, m in found.items()]


def wrong_jacobians(trail: Any, ends: Mapping[str, Key]) -> list[tuple[Made, tuple[str, ...]]]:
    """The first line that writes a wrong number into the Jacobian of a softmax, of which others are right.

    A value of the forward pass is none, such as the exponentials of a softmax. Noughts that agree do not count: a
    softmax over one entry (the first row under a causal mask) has a Jacobian of noughts.
    """
    for m in trail.made.values():
        is_matrix = m.line and m.value.ndim == 2 and trail.kinds[m.key] != "forward"
        for right in trail.truth.jacobians if is_matrix else ():
            if m.value.shape != right.shape:
                continue
            off = ~np.isclose(m.value, right, rtol=1e-9, atol=0.0)
            # entries that are still 0 are not computed yet
            if off.any() and np.any(right[~off]) and np.all(m.value[off]):
                entry = trail.made.get(key_of(np.asarray(m.value[off][0])), m)
                return [(replace(entry if entry.line else m, remark=JACOBIAN), tuple(ends))]
    return []


def too_late(trail: Any, ends: Mapping[str, Key]) -> list[tuple[Made, tuple[str, ...]]]:
    """Right gradients of wrong parameters that a line makes after the update, so that nothing reads them."""
    read = {k for m in trail.made.values() for k in m.inputs}
    wanted = {f"∂L/∂{name}": name for name in ends}
    found: list[tuple[Made, tuple[str, ...]]] = []
    for m in trail.made.values():
        label, factor = trail.found.get(m.key, ("", 0.0))
        whole = m.line and m.key not in read and m.value.size > 1 and trail.truth.wholes.find(m.value)
        if whole and label in wanted and trail.is_one(factor):
            name = wanted[label]
            late = m.order > trail.made[ends[name]].order
            found += [(replace(m, remark=TOO_LATE), (name,))] if late else []
    return found
