"""The line at which a backward pass leaves the derivatives: found by following the learner's own run.

Every value that a line made is one of these: *right* (a derivative of the loss, or a value of the forward, or made of
such values alone), *scaled* (a derivative times a plain factor such as -1 or n, which may be the learner's way of
writing it), or *unknown*. An unknown value from which a right one is made later is a detour, and pardoned. What is
left, and is made of right things only, is where it went wrong. Walking back from the wrong gradients finds those lines;
the line that explains most of the wrong gradients, and was run first, comes first.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.book import NOTHING, Truth
from tinygrad_edu.clinic.examiner.recording import RESULT, Key, Made, Recording, key_of

Array = np.ndarray[Any, Any]
MOST = 5  # places that are shown
RIGHT, FORWARD, MADE, SCALED, PART, UNKNOWN = "right", "forward", "made", "scaled", "part", "unknown"
# What counts as known, pass by pass: all of these; no scaled derivatives; nothing that is made of the forward's values
PASSES = (0, 1, 2)


@dataclass(frozen=True)
class FoundPlace:
    """A line of the learner's program; `sentence` says what it makes that is no derivative.

    >>> print(FoundPlace("net.py", 3, "d = d * 2", "This line is the first that makes something else.", "d"))
    net.py:3: d = d * 2
      This line is the first that makes something else.
    """

    file: str
    line: int
    source: str
    sentence: str
    variable: str = ""
    explains: tuple[str, ...] = ()

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.source}\n  {self.sentence}"


class Trail:
    """A recording with what each of its values is."""

    def __init__(self, recording: Recording, truth: Truth, factors: Iterable[float], wrong: Iterable[Any] = ()) -> None:
        self.made, self.truth = recording.made, truth
        self.factors = [*factors]
        self.kinds: dict[Key, str] = {}
        self.found: dict[Key, tuple[str, float]] = {}
        self.both: set[Key] = set()  # derivatives that are values of the forward too: y - t, a mean with its KL term
        for key, made in self.made.items():  # in the order of execution: inputs first
            self.kinds[key] = self.kind(made)
        self.wrong = {key_of(np.asarray(x, dtype=float)) for x in wrong}
        ends = [self.made[key] for key in self.wrong if key in self.made]
        self.updates = self.wrong | {k for made in ends for k in made.inputs if made.total}  # and what is subtracted
        self.pardoned = self.detours()

    def kind(self, made: Made) -> str:
        x = made.value
        if float(np.linalg.norm(x)) < NOTHING or not np.isfinite(x).all():
            return FORWARD
        found = self.truth.derivatives.find(x)
        if found is None and self.truth.singly and x.size > 1 and self.truth.derivatives.has_each(x):
            found = ("", 1.0)
        if found is not None:
            self.found[made.key] = found
        of_forward = self.truth.values.find(x)
        if found is not None and of_forward and self.is_one(of_forward[1]) and self.is_plain(found[1]):
            self.both.add(made.key)
        if found is not None and self.is_one(found[1]):
            return RIGHT
        if (of_forward and self.is_one(of_forward[1])) or (self.truth.singly and self.truth.values.has_each(x)):
            return FORWARD
        if found is not None and self.is_plain(found[1]):
            return SCALED
        part = self.truth.parts.find(x) if x.size > 1 else None
        if part and self.is_one(abs(part[1])):
            return PART
        if made.view:
            return self.kinds.get(made.inputs[0], UNKNOWN)
        if x.ndim == 1 and x.size not in self.truth.derivatives.shelves and self.truth.derivatives.has_each(x):
            return PART  # several derivatives, end to end
        held = x[x != 0.0]
        if x.size > 2 and 2 * np.unique(held).size <= held.size and self.truth.derivatives.has_each(x):
            return PART  # one derivative, its entries repeated: what a pooling hands back before its mask
        if not made.line:
            return FORWARD
        kinds = [self.kinds.get(k, UNKNOWN) for k in made.inputs]
        of_values = kinds and all(k in (FORWARD, MADE) for k in kinds) and self.both.isdisjoint(made.inputs)
        return MADE if of_values else UNKNOWN

    def is_plain(self, factor: float) -> bool:
        """Is it a factor by which people scale their deltas?"""
        near = max(1e-6, self.truth.same)
        return self.is_one(factor) or any(abs(factor / c - 1.0) < near for c in self.factors)

    def is_one(self, factor: float) -> bool:
        return abs(factor - 1.0) <= self.truth.same

    def whole_of(self, key: Key) -> Made | None:
        """The value itself, or the one of which it is a part or the transpose."""
        made = self.made.get(key)
        while made is not None and made.view and not made.line and made.inputs:
            made = self.made.get(made.inputs[0])
        return made

    def is_share(self, key: Key) -> bool:
        """Is it what one path gives to a derivative that has several, and no complete derivative?"""
        if self.kinds.get(key) != RIGHT:
            return False
        x = self.made[key].value
        if self.truth.singly:
            return x.size == 1 and not self.truth.wholes.has_number(float(x))
        whole = self.truth.wholes.find(x) if x.size > 1 else ("", 1.0)
        return whole is None or not self.is_one(whole[1])

    def detours(self) -> set[Key]:
        """The unknown values from which a right derivative was made later: not by taking a part, which may be right."""
        pardoned: set[Key] = set()
        right = [self.made[key] for key, kind in self.kinds.items() if kind in (RIGHT, PART)]
        waiting = [key for made in right if not made.view and made.key not in self.wrong for key in self.told(made)]
        while waiting:
            key = waiting.pop()
            if key not in pardoned and self.kinds.get(key) in (UNKNOWN, SCALED, MADE):
                pardoned.add(key)
                waiting += self.told(self.made[key])
        return pardoned

    def told(self, made: Made) -> list[Key]:
        """The inputs for which a right value speaks: one number can be the right sum of an array that is not right."""
        alone = made.value.size == 1 and not self.truth.singly
        return [k for k in made.inputs if not alone or k not in self.made or self.made[k].value.size == 1]

    def known(self, key: Key, strict: int) -> bool:
        """Is it right, or on a way of the learner's own to something right?"""
        kind = self.kinds.get(key, UNKNOWN)
        lenient = (kind == SCALED and strict < 1) or (kind == MADE and strict < 2)
        return kind in (RIGHT, FORWARD, PART) or key in self.pardoned or lenient

    def suspects(self, end: Key, strict: int) -> set[Key]:
        """The unknown values behind `end` that are made of known things only."""
        found: set[Key] = set()
        seen: set[Key] = set()
        waiting = [(end, False)]
        while waiting:
            key, adds_on = waiting.pop()
            made = self.made.get(key)
            if key in seen or made is None:
                continue
            seen.add(key)
            if self.known(key, strict) and key != end:
                continue
            open_inputs = [k for k in made.inputs if not self.known(k, strict)]
            waiting += [(k, made.total) for k in open_inputs]
            if made.line and (not adds_on and self.adds_right_things(made) if made.total else not open_inputs):
                found.add(key)
        return found

    def adds_right_things(self, made: Made) -> bool:
        """A sum that grew line by line: is all that was added right, so that it is the adding that is not?"""
        seen: set[Key] = set()
        waiting = [made.key]
        while waiting:
            total = self.made[waiting.pop()]
            seen.add(total.key)
            for key in total.inputs:
                inner = self.made.get(key)
                if inner is None or key in seen or self.known(key, PASSES[-1]):
                    continue
                if not inner.total:
                    return False
                waiting.append(key)
        return True


def find_places(
    recording: Recording,
    truth: Truth,
    ends: Mapping[str, Any],
    factors: Sequence[float] = (),
    deltas: Mapping[str, Sequence[Array]] | None = None,
) -> list[FoundPlace]:
    """The lines behind the wrong gradients (`ends`: name → the learner's numbers), best first.

    deltas: name → the derivatives by the products in which the parameter stands, of which its gradient is made.
    """
    trail = Trail(recording, truth, factors, ends.values())
    in_arrays = not truth.singly and any(np.size(value) > 1 for value in ends.values())

    def small(made: Made) -> int:
        """A single number (a norm, a step count) is suspected last where all is done in arrays."""
        return int(in_arrays and made.value.size == 1)

    order: list[tuple[tuple[int, ...], Made, tuple[str, ...]]] = []
    for strict in PASSES:
        reached: dict[Key, list[str]] = {}
        for name, value in ends.items():
            for key in ends_of(trail, value):
                for suspect in trail.suspects(key, strict):
                    reached.setdefault(suspect, []).append(name)
        for key, reasons in reached.items():
            made, unique = trail.made[key], tuple(dict.fromkeys(reasons))
            group = [(n,) for n in unique] if trail.kinds.get(key) == RIGHT else [unique]
            for names in group:
                last = last_named(first_share(trail, made), names[0]) if trail.kinds.get(key) == RIGHT else made
                order.append(((strict, small(made), -len(unique), made.order, 1), last, names))
            wanted = [d for name in unique for d in (deltas or {}).get(name, ())]
            before = made_wrong(trail, made) if key in trail.updates else []
            for earlier in [*misnamed(trail, made, wanted), *before]:
                order.append(((strict, small(made), -len(unique), made.order, 0), earlier, unique))
    places: dict[tuple[str, int], FoundPlace] = {}
    for _, made, names in sorted(order, key=lambda x: x[0]):
        there = places.get((made.file, made.line))
        names = tuple(dict.fromkeys((*(there.explains if there else ()), *names)))
        wanted = [d for name in names for d in (deltas or {}).get(name, ())]
        places[made.file, made.line] = (
            replace(there, explains=names) if there else place_in_words(trail, made, names, wanted)
        )
    return [*places.values()][:MOST]


def made_wrong(trail: Trail, update: Made) -> list[Made]:
    """Of a new parameter w - lr·d: where d was made, if it is one path's share of the derivative."""
    waiting, found = [update], []
    while waiting:
        made = waiting.pop()
        inputs = [trail.made[k] for k in made.inputs if k in trail.made]
        if made.total:  # w -= ...: what is subtracted, which is made on the same line
            waiting += [x for x in inputs if x.line == made.line and not x.total and x.key not in trail.wrong]
        found += [first_share(trail, x) for x in inputs if x.line and trail.is_share(x.key)]
    return found if len(found) == 1 else []


def first_share(trail: Trail, made: Made) -> Made:
    """Where one path's share of a derivative was made, which has been handed on since as if it were the whole."""
    while trail.is_share(made.key):
        shares = [x for k in made.inputs if (x := trail.whole_of(k)) and x.line and trail.is_share(x.key)]
        if len(shares) != 1 or shares[0].key in trail.both or shares[0].order >= made.order:
            break
        made = shares[0]
    return made


def misnamed(trail: Trail, made: Made, wanted: Sequence[Array]) -> list[Made]:
    """Inputs that are right derivatives and the wrong ones here: one path's share for the whole, ∂L/∂a for ∂L/∂z.

    A share is wrong where it was made. A whole derivative under another name is wrong where it was given that name.
    """
    found = []
    alone = sum(trail.kinds.get(k) in (RIGHT, SCALED) for k in made.inputs) == 1  # no other share is added to it here
    for key in made.inputs if trail.kinds.get(made.key) in (UNKNOWN, MADE) and not made.total else ():
        inner = trail.whole_of(key)
        if inner is None or not inner.line or inner.key in trail.both:
            continue
        if trail.kinds.get(inner.key) == RIGHT and trail.is_share(inner.key):
            found += [inner] if alone else []
        elif trail.kinds.get(inner.key) in (RIGHT, SCALED) and inner.value.size != made.value.size:
            found += renamed(inner, made.order) if is_another(inner.value, wanted) else []
    return found


def renamed(made: Made, before: int) -> list[Made]:
    """The line that last gave a value another name, if one did, before the value with this number was made.

    To receive it from a function under another name is no renaming.
    """
    named = [n for last, n in itertools.pairwise(made.named) if last[2] != RESULT]
    alias = [n for n in named if n[3] <= before and n[2] not in (RESULT, made.variable)]
    return [replace(made, file=n[0], line=n[1], variable=n[2]) for n in alias[-1:]]


def is_another(x: Array, wanted: Sequence[Array]) -> bool:
    """Is a derivative of the size of those that are wanted no multiple of any of them?"""
    alike = [d.ravel() for d in wanted if d.size == x.size > 1]
    return bool(alike) and all(abs(cosine(d, x.ravel())) < 1.0 - 1e-9 for d in alike)


def cosine(a: Array, b: Array) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / length if length else 0.0


def last_named(made: Made, name: str) -> Made:
    """A right derivative that is handed out as another: the line that gave it the other's name."""
    for file, line, variable, _ in reversed(made.named):
        if name.rpartition(".")[2] in variable:
            return replace(made, file=file, line=line, variable=variable)
    return made


def ends_of(trail: Trail, value: Any) -> list[Key]:
    """The recorded values that are a gradient, whole or number by number."""
    array = np.asarray(value, dtype=float)
    whole = key_of(array)
    if whole in trail.made and trail.made[whole].line:
        return [whole]
    same = [m.key for m in trail.made.values() if m.line and m.value.size == array.size
            and np.allclose(m.value.ravel(), array.ravel(), rtol=1e-12, atol=0.0)]  # fmt: skip
    if same:
        return same[-1:]
    single = [key_of(np.asarray(float(x))) for x in array.ravel()[:200]]
    rows = [key_of(np.ascontiguousarray(row)) for row in array] if array.ndim > 1 else []
    return [key for key in (*rows, *single) if key in trail.made and trail.made[key].line]


def place_in_words(trail: Trail, made: Made, names: tuple[str, ...], wanted: Sequence[Array]) -> FoundPlace:
    """What is wrong with a line, in words."""
    label, factor = trail.found.get(made.key, ("", 1.0))
    what = f"`{made.variable}`" if made.variable.isidentifier() or "." in made.variable else made.variable
    has, wants = delta_named(trail, made), labels_of(trail, wanted)
    if not trail.is_one(factor) and is_another(made.value, wanted):
        which = f"{factor:.4g} times {label or 'a derivative of the loss'}"
        text = f"{what} is {which}, and not a multiple of the one needed here."
    elif not trail.is_one(factor):
        text = f"{what} is {factor:.4g} times {label or 'the derivative'}: a factor too many or too few."
    elif trail.is_share(made.key):
        text = f"{what} is one path's share of {label or 'a derivative'}: the shares of other paths are missing."
    elif trail.kinds.get(made.key) == RIGHT:
        text = f"{what} is a derivative of the loss ({label}), but not the one needed here." if label else (
            f"{what} is a derivative of the loss, but not the one needed here.")  # fmt: skip
    elif has and wants and has not in wants:
        text = f"{what} is made with {has} here, where {' or '.join(wants)} belongs."
    else:
        text = f"{what} is made of right values but is not a derivative of the loss: the first one that is not."
    text = f"{text} It goes into the gradient of {', '.join(names)}."
    return FoundPlace(made.file, made.line, made.source, text, made.variable, names)


def delta_named(trail: Trail, made: Made) -> str:
    """The derivative that a line reads, if it reads one that has a name: ∂L/∂a1."""
    labels = [trail.found[k][0] for k in made.inputs if trail.kinds.get(k) == RIGHT and k in trail.found]
    return next((label for label in labels if label), "")


def labels_of(trail: Trail, wanted: Sequence[Array]) -> list[str]:
    found = [trail.truth.wholes.find(d) for d in wanted if d.size > 1]
    return [*dict.fromkeys(x[0] for x in found if x and x[0])]
