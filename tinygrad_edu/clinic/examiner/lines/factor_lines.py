"""The line that brings a factor in: where a wrong gradient is a plain multiple of the right one.

A factor alone marks no line: people write -∂L/∂z and add it, or n·∂L/∂z and divide later. What is compared is what each
line makes of what it is given. A line that turns δ into 2·∂L/∂W has brought in the 2, and `W -= lr * dW` after it has
not. A factor that was to be taken out and was not (a forgotten / n) is looked for where the gradient itself is made.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import RESULT, Key, Made, key_of

Array = np.ndarray[Any, Any]
SAME = 1e-5  # relative
TOO_LATE = "is the right gradient, but it comes too late: no line reads it after this one."
LONELY = "is one single number for all entries of the gradient: an array belongs here."
FIRST = "is the first value of the backward pass, and it is no derivative of the loss."
JACOBIAN = "is not ∂s_i/∂z_j of a softmax, which is s_i·(1 - s_i) on the diagonal and -s_i·s_j beside it."
NO_DELTA = "is made in the forward pass: the gradient that comes from above does not go into it."


@dataclass(frozen=True)
class Ratio:
    """A wrong parameter: the gradient that was given, the right one, and c with given = c·right."""

    given: Array
    right: Array
    factor: float


def ratios_of(given: Mapping[str, Array], right: Mapping[str, Array], wrong: Mapping[str, Any]) -> dict[str, Ratio]:
    """The wrong gradients that are a multiple of the right ones.

    >>> {n: r.factor for n, r in ratios_of({"w": np.full(2, 6.0)}, {"w": np.full(2, 3.0)}, {"w": 1.0}).items()}
    {'w': 2.0}
    """
    found = {}
    for name in (n for n in wrong if n in right):  # missing gradients cannot be compared
        a, b = np.asarray(given.get(name, 0.0), dtype=float), np.asarray(right[name], dtype=float)
        c = multiple_of(a, b)
        if c is not None and abs(c - 1.0) > SAME:
            found[name] = Ratio(a, b, c)
    return found


def multiple_of(a: Array, b: Array) -> float | None:
    """c with a = c·b, where b may be transposed; None if there is none."""
    if a.size != b.size or not np.isfinite(a).all():
        return None
    for turned in (b, b.T):
        x, y = a.ravel(), turned.ravel()
        c = float(np.vdot(y, x)) / (float(np.vdot(y, y)) or np.inf)
        if c and np.linalg.norm(x - c * y) <= SAME * np.linalg.norm(x):
            return c
    return None


class LineFactors:
    """A trail, and what factor each of its lines brings in."""

    def __init__(self, trail: Any) -> None:
        self.trail, self.made = trail, trail.made

    def of(self, key: Key) -> float | None:
        """The value as a multiple of a derivative."""
        found = self.trail.found.get(key) if key in self.made else None
        # with one sample, h is a multiple of ∂L/∂W = h ⊗ δ by chance
        if found is None or self.trail.kinds[key] == "forward":
            return None
        return found[1] if self.made[key].value.size > 1 else None

    def factor_before(self, made: Made) -> float | None:
        """The factor of the derivatives that a line reads: 1 where it reads none, nothing where they differ."""
        factors = [c for k in made.inputs if k in self.made and (c := self.of(k)) is not None]
        if not factors:
            return 1.0
        return factors[0] if all(abs(c / factors[0] - 1.0) < SAME for c in factors) else None

    def factor_change(self, made: Made) -> float | None:
        after, before = self.of(made.key), self.factor_before(made)
        return after / before if after is not None and before else None

    def behind(self, end: Key) -> Iterator[Made]:
        """The value and all values that it is made of."""
        seen, waiting = {end}, [end]
        while waiting:
            made = self.made.get(waiting.pop())
            if made is not None:
                yield made
                fresh = [k for k in made.inputs if k not in seen]
                seen.update(fresh)
                waiting += fresh

    def update_of(self, end: Key, ratio: Ratio) -> tuple[float | None, list[Made]]:
        """(the factor that the line of the update brings in, the values made on it)."""
        made = self.made[end]
        same_line = [made, *(self.made[k] for k in made.inputs if k in self.made and made.total)]
        line = [m for m in same_line if m.line == made.line and m.file == made.file]
        held = [self.made[k].value for m in line for k in m.inputs if k in self.made and self.made[k] not in line]
        factors = [c for x in held if (c := multiple_of(x, ratio.right)) is not None]
        if ratio.right.size == 1:
            factors = [c for c in factors if abs(c / ratio.factor - 1.0) < SAME]
        if factors:
            return ratio.factor / factors[0], line
        signs = {
            c
            for m in line
            if not m.total and (c := self.factor_before(m)) is not None and any(self.of(k) for k in m.inputs)
        }
        # the gradient is computed on the update's own line
        plain = abs(abs(ratio.factor) - 1.0) < SAME and len(signs) == 1
        return (ratio.factor * float(np.sign(signs.pop())) if plain else None), line


def lines_of_factors(
    trail: Any, ends: Mapping[str, Key], ratios: Mapping[str, Ratio], right: list[Key], *, updates: bool
) -> list[tuple[Made, tuple[str, ...]]]:
    """The values at which the factor of each wrong gradient came in, with the names that it goes into; best first.

    ends: name → the value that is wrong, a gradient or (updates) a new parameter; right: values that are right, behind
    which nothing is to blame.
    """
    factors = LineFactors(trail)
    innocent = {made.key for key in right for made in factors.behind(key)}
    names: dict[Key, list[str]] = {}
    exact: dict[Key, bool] = {}
    for name, ratio in ratios.items():
        for made, is_exact in candidates(factors, ends[name], ratio, innocent, updates) if name in ends else ():
            names.setdefault(made.key, []).append(name)
            exact[made.key] = is_exact
    differ = {n: ratio.factor for n, ratio in ratios.items() if n in ends}
    for key in [k for k in names if not exact[k] and not one_factor([differ[n] for n in names[k]])]:
        del names[key]  # gradients that lack different factors cannot have lost the same one
    ranked = sorted(names, key=lambda k: (-len(names[k]), not exact[k], trail.made[k].order))
    done: set[str] = set()
    found = []
    for key in ranked:
        if not done.issuperset(names[key]):
            done.update(names[key])
            found.append((trail.made[key], tuple(names[key])))
    return found


def one_factor(factors: Sequence[float]) -> bool:
    return max(factors) - min(factors) <= SAME * max(map(abs, factors))


def candidates(
    factors: LineFactors, end: Key, ratio: Ratio, innocent: set[Key], updates: bool
) -> list[tuple[Made, bool]]:
    """The values behind one wrong parameter that may have brought its factor in; (value, exactly that factor)."""
    if ratio.right.size == 1 and not factors.trail.is_plain(ratio.factor):
        return []  # any number is a multiple of any other
    at_update, line = factors.update_of(end, ratio) if updates else (None, [])
    on_line = {made.key for made in line}
    found: list[tuple[Made, bool]] = []
    for made in factors.behind(end):
        c = factors.factor_change(made) if made.line and made.inputs and made.key not in on_line | innocent else None
        if c is not None and abs(c - 1.0) > SAME and factors.trail.is_plain(c / ratio.factor):
            found.append((made, abs(c / ratio.factor - 1.0) < SAME))
    update = factors.made[end]
    if at_update is not None and abs(at_update - 1.0) > SAME and factors.trail.is_plain(at_update / ratio.factor):
        begins = [made for made, _ in found if not any(factors.of(k) for k in made.inputs if k in factors.made)]
        if begins and len(found) > len(begins):  # -∂L/∂z, added at the end: a legitimate way to write it
            return [x for x in found if x[0] not in begins]
        return [*found, (update, True)]
    if not found and (at_update is not None or not updates):  # a factor that should have been removed was not
        own = [m for m in factors.behind(end) if m.line and m.key not in on_line and not m.view
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
    """The first line that writes a wrong number into the Jacobian of a softmax, of which others are right."""
    for m in trail.made.values():
        for right in trail.truth.jacobians if m.line and m.value.ndim == 2 else ():
            if m.value.shape != right.shape:
                continue
            off = ~np.isclose(m.value, right, rtol=1e-9, atol=0.0)
            if 0 < off.sum() < off.size and np.all(m.value[off]):  # entries that are still 0 are not computed yet
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
