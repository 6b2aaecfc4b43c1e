"""The line at which a backward pass leaves the derivatives: found by following the learner's own run.

Every value that a line made is one of these: *right* (a derivative of the loss, or a value of the forward, or made of
such values alone), *scaled* (a derivative times a plain factor such as -1 or n, which may be the learner's way of
writing it), or *unknown*. An unknown value from which a right one is made later is a detour, and pardoned. What is
left, and is made of right things only, is where it went wrong. Walking back from the wrong gradients finds those lines;
the line that explains most of the wrong gradients, and was run first, comes first.
"""

from __future__ import annotations

import itertools
import linecache
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.book import Truth
from tinygrad_edu.clinic.examiner.factor_lines import (
    Ratio,
    delta_left_out,
    first_of_backward,
    lines_of_factors,
    lonely_numbers,
    made_of_no_delta,
    too_late,
)
from tinygrad_edu.clinic.examiner.recording import RESULT, Key, Made, Recording, key_of
from tinygrad_edu.clinic.examiner.trail import FORWARD, MADE, PART, PASSES, RIGHT, SCALED, UNKNOWN, Trail
from tinygrad_edu.clinic.examiner.untouched import is_gradient, last_of, letters_and_digits

Array = np.ndarray[Any, Any]
PLAIN = re.compile(r"return [\w.\[\], ]+")
Ranked = tuple[tuple[int, ...], Made, tuple[str, ...]]  # (rank, value, names of the gradients that it goes into)
ONE_SAMPLE = "of one sample"
ONE_ALONE = "is what one sample alone gives to ∂L/∂{}: the other samples are left out."
ADDED = "what is added to "
MOST = 5  # lines that are shown


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


@dataclass(frozen=True)
class Hints:
    """What the numbers tell: gradients that are multiples of the right ones; right ends; that a delta is left out."""

    ratios: Mapping[str, Ratio]
    right: Sequence[Any] = ()
    delta_left_out: bool = False
    updates: bool = False  # the ends are new parameters instead of gradients
    at_end: bool = False  # the mistake is in the last line itself, which writes the new parameter


def find_places(
    recording: Recording,
    truth: Truth,
    ends: Mapping[str, Any],
    factors: Sequence[float] = (),
    deltas: Mapping[str, Sequence[Array]] | None = None,
    hints: Hints | None = None,
) -> list[FoundPlace]:
    """The lines behind the wrong gradients (`ends`: name → the learner's numbers), best first.

    deltas: name → the derivatives by the products in which the parameter stands, of which its gradient is made.
    hints: what the numbers of the gradients tell of the mistake.
    """
    trail = Trail(recording, truth, factors, ends.values())
    in_arrays = not truth.singly and any(np.size(value) > 1 for value in ends.values())

    # where everything else is an array, a single number (a norm, a step count) is suspected last
    def small(made: Made) -> int:
        return int(in_arrays and made.value.size == 1)

    order = places_by_hints(trail, ends, hints)
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
            order += [((strict, 0, -len(unique), x.order, 1), x, unique) for x in wrong_statistics(trail, made)]
            for earlier in [*misnamed(trail, made, wanted), *before]:
                order.append(((strict, small(made), -len(unique), made.order, 0), earlier, unique))
    return by_line(trail, order, deltas or {})[:MOST]


def by_line(trail: Trail, order: list[Ranked], deltas: Mapping[str, Sequence[Array]]) -> list[FoundPlace]:
    """One place for each line, best first, with all gradients that it explains."""
    places: dict[tuple[str, int], FoundPlace] = {}
    for _, made, names in sorted(order, key=lambda x: x[0]):
        there = places.get((made.file, made.line))
        names = tuple(dict.fromkeys((*(there.explains if there else ()), *names)))
        wanted = [d for name in names for d in deltas.get(name, ())]
        places[made.file, made.line] = (
            replace(there, explains=names) if there else place_in_words(trail, made, names, wanted)
        )
    return [*places.values()]


def places_by_hints(trail: Trail, ends: Mapping[str, Any], hints: Hints | None) -> list[Ranked]:
    """Lines that the numbers point at, which come first: where a factor came in, or where a delta was replaced."""
    if hints is None or trail.truth.singly:
        return []
    keys = {n: found[0] for n, value in ends.items() if (found := ends_of(trail, value))}
    right = [key for value in hints.right for key in ends_of(trail, value)[:1]]
    if hints.at_end:
        return [((-1, 0, k, 0, 0), trail.made[key], (n,)) for k, (n, key) in enumerate(keys.items())]
    found = one_sample_alone(trail, keys) + too_late(trail, keys)
    found += lines_of_factors(trail, keys, hints.ratios, right, updates=hints.updates)
    no_delta = hints.delta_left_out or any(made_of_no_delta(trail, k) for k in keys.values())
    left_out = None
    if no_delta and len(keys) > 1:
        everything = not hints.right and all(made_of_no_delta(trail, k) for k in keys.values())
        left_out = (first_of_backward(trail, keys.values()) if everything else None) or delta_left_out(
            trail, keys.values(), (FORWARD, MADE, PART)
        )
    found += [(left_out, tuple(keys))] if left_out is not None else []
    found += lonely_numbers(trail, keys)
    return [((-1, 0, k, 0, 0), made, names) for k, (made, names) in enumerate(found)]


def one_sample_alone(trail: Trail, ends: Mapping[str, Key]) -> list[tuple[Made, tuple[str, ...]]]:
    """Where the share of one sample takes the place of the sum over all of them, and is subtracted."""
    found: list[tuple[Made, tuple[str, ...]]] = []
    for name, end in ends.items():
        last = trail.made[end]
        at_end = [x for k in last.inputs if (x := trail.made.get(k)) and (x.file, x.line) == (last.file, last.line)]
        for key in (k for made in (last, *at_end) for k in made.inputs):
            label, factor = trail.found.get(key, ("", 0.0))
            share = trail.made.get(key)
            if share is None or (share.file, share.line) == (last.file, last.line):
                continue
            if label == f"∂L/∂{name} {ONE_SAMPLE}" and trail.is_plain(abs(factor)):
                place = (renamed(share, last.order) or [share])[-1]
                found.append((replace(place, remark=ONE_ALONE.format(name)), (name,)))
    return found


def made_wrong(trail: Trail, update: Made) -> list[Made]:
    """For a new parameter w - lr·d: where d was computed, if d is the derivative along one path only."""
    waiting, found = [update], []
    while waiting:
        made = waiting.pop()
        inputs = [trail.made[k] for k in made.inputs if k in trail.made]
        if made.total:  # w -= ...: look at what is subtracted, on the same line
            waiting += [x for x in inputs if x.line == made.line and not x.total and x.key not in trail.wrong]
        found += [first_share(trail, x) for x in inputs if x.line and trail.is_share(x.key)]
    return found if len(found) == 1 else []


def wrong_statistics(trail: Trail, made: Made) -> list[Made]:
    """The one input of a wrong value that is no derivative itself, though a right value was made of it.

    ∂L/∂σ² goes into ∂L/∂μ times a sum that is 0: a right ∂L/∂μ does not speak for it.
    """
    inputs = [trail.made[k] for k in made.inputs if k in trail.made and trail.kinds[k] == UNKNOWN]
    if len(inputs) != 1 or trail.kinds.get(made.key) != UNKNOWN or made.total:
        return []
    (inner,) = inputs
    made_rightly = all(trail.kinds.get(k) in (RIGHT, FORWARD, PART) for k in inner.inputs)
    smaller = 1 < inner.value.size < made.value.size
    return [inner] if inner.key in trail.pardoned and inner.line and smaller and made_rightly else []


def first_share(trail: Trail, made: Made) -> Made:
    """Where one path's share of a derivative was made, which has been handed on since as if it were the whole."""
    while trail.is_share(made.key):
        shares = [x for k in made.inputs if (x := trail.whole_of(k)) and x.line and trail.is_share(x.key)]
        if len(shares) != 1 or shares[0].key in trail.both or shares[0].order >= made.order:
            break
        made = shares[0]
    return handed_on(trail, made) or made


def handed_on(trail: Trail, made: Made) -> Made | None:
    """The last naming of a share, where its line has made others too: a function called once for each path is right."""
    label = trail.found.get(made.key, ("", 0.0))[0]
    same = [m for m in trail.made.values() if (m.file, m.line) == (made.file, made.line) and m.key != made.key]
    named = [n for n in made.named if n[2] != RESULT and (n[0], n[1]) != (made.file, made.line)]
    if (
        not label
        or not named
        or not any(trail.is_share(m.key) and trail.found.get(m.key, ("", 0.0))[0] == label for m in same)
    ):
        return None
    return replace(made, file=named[-1][0], line=named[-1][1], variable=named[-1][2], named=[])


def misnamed(trail: Trail, made: Made, wanted: Sequence[Array]) -> list[Made]:
    """Inputs that are right derivatives and the wrong ones here: one path's share for the whole, ∂L/∂a for ∂L/∂z.

    A share is wrong where it was made. A whole derivative under another name is wrong where it was given that name.
    """
    found = []
    # no other share is added to it on this line
    alone = sum(trail.kinds.get(k) in (RIGHT, SCALED) for k in made.inputs) == 1
    for key in made.inputs if trail.kinds.get(made.key) in (UNKNOWN, MADE) and not made.total else ():
        inner = trail.whole_of(key)
        if inner is None or not inner.line or inner.key in trail.both:
            continue
        if trail.kinds.get(inner.key) == RIGHT and trail.is_share(inner.key):
            of_sample = trail.found.get(inner.key, ("", 1.0))[0].endswith(ONE_SAMPLE)
            found += ((renamed(inner, made.order) if of_sample else []) or [inner]) if alone else []
        elif trail.kinds.get(inner.key) in (RIGHT, SCALED) and inner.value.size != made.value.size:
            found += (
                (renamed(inner, made.order) or last_return(inner, made.order))
                if is_another(inner.value, wanted)
                else []
            )
    return found


def renamed(made: Made, before: int) -> list[Made]:
    """The line that last gave a value another name, if one did, before the value with this number was made.

    To receive it from a function under another name is no renaming.
    """
    named = [n for last, n in itertools.pairwise(made.named) if last[2] != RESULT]
    alias = [n for n in named if n[3] <= before and n[2] not in (RESULT, made.variable)]
    return [replace(made, file=n[0], line=n[1], variable=n[2]) for n in alias[-1:]]


def last_return(made: Made, before: int) -> list[Made]:
    """The last `return` of more than a name that handed a value on unchanged: a layer that left its derivative out."""
    own = [n for n in made.named if n[2] == RESULT and n[3] <= before and n[1] != made.line]
    more = [n for n in own if not PLAIN.fullmatch(linecache.getline(n[0], n[1]).strip())]
    return [replace(made, file=n[0], line=n[1], variable=n[2]) for n in more[-1:]]


def is_another(x: Array, wanted: Sequence[Array]) -> bool:
    """Is a derivative of the size of those that are wanted no multiple of any of them?"""
    alike = [d.ravel() for d in wanted if d.size == x.size > 1]
    return bool(alike) and all(abs(cosine(d, x.ravel())) < 1.0 - 1e-9 for d in alike)


def cosine(a: Array, b: Array) -> float:
    length = float(np.linalg.norm(a) * np.linalg.norm(b))
    return float(np.vdot(a, b)) / length if length else 0.0


def last_named(made: Made, name: str) -> Made:
    """A right derivative that is handed out as another: the line that gave it the other's name, such as dW1 of W1.

    The first line that did: to hand dW1 on under that name is right. Else the last whose name has the other's in it.
    """
    own = letters_and_digits(last_of(name))
    first = [n for n in made.named if n[2] != RESULT and is_gradient(n[2], own)][:1]
    for file, line, variable, _ in first or reversed(made.named):
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
    """A line with what is wrong with it, in words."""
    label, factor = trail.found.get(made.key, ("", 1.0))
    what, has, wants = subject_of(made), delta_named(trail, made), labels_of(trail, wanted)
    label = label or "a derivative of the loss"
    if made.remark:
        text = f"{what} {made.remark}"
    elif not trail.is_one(factor) and is_another(made.value, wanted):
        text = f"{what} is {factor:.4g} times {label}, and not a multiple of the one that is needed here."
    elif not trail.is_one(factor):
        text = f"{what} is {factor:.4g} times {label}: a factor is missing, or there is one too many."
    elif label.endswith(ONE_SAMPLE):
        text = f"{what} is {label} alone: what the other samples give is missing."
    elif trail.is_share(made.key):
        text = f"{what} is only a part of {label}: the parts that come on other paths are missing."
    elif trail.kinds.get(made.key) == RIGHT:
        text = f"{what} is {label}, but not the derivative that is needed here."
    elif has and wants and has not in wants:
        text = f"{what} is made with {has}, where {' or '.join(wants)} belongs."
    else:
        text = f"Everything that this line reads is right, and {lower(what)} is not a derivative of the loss."
    text = f"{text} It goes into the gradient of {', '.join(names)}."
    return FoundPlace(made.file, made.line, made.source, text, made.variable, names)


def subject_of(made: Made) -> str:
    """A value by the name that its line gives it, as the subject of a sentence."""
    added = made.variable.removeprefix(ADDED)
    if added != made.variable:
        return f"What is added to `{added}`"
    return "What this line returns" if made.variable == RESULT else f"`{made.variable}`"


def lower(text: str) -> str:
    return text[:1].lower() + text[1:]


def delta_named(trail: Trail, made: Made) -> str:
    """The derivative that a line reads, if it reads one that has a name: ∂L/∂a1."""
    labels = [trail.found[k][0] for k in made.inputs if trail.kinds.get(k) == RIGHT and k in trail.found]
    return next((label for label in labels if label), "")


def labels_of(trail: Trail, wanted: Sequence[Array]) -> list[str]:
    found = [trail.truth.wholes.find(d) for d in wanted if d.size > 1]
    return [*dict.fromkeys(x[0] for x in found if x and x[0])]
