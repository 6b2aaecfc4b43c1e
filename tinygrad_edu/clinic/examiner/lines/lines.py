"""The line at which a backward pass leaves the derivatives: found by following the learner's own run.

Every value that a line made is one of these: *right* (a derivative of the loss, or a value of the forward, or made of
such values alone), *scaled* (a derivative times a plain factor such as -1 or n, which may be the learner's way of
writing it), or *unknown*. An unknown value from which a right one is made later is a detour, and pardoned. What is
left, and is made of right things only, is where it went wrong. Walking back from the wrong gradients finds those lines;
the line that explains most of the wrong gradients, and was run first, comes first.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.book import Truth
from tinygrad_edu.clinic.examiner.lines.common_causes import merge_causes, needs_no_factor
from tinygrad_edu.clinic.examiner.lines.entries import WrongEntries, better_than_result, wrong_entries
from tinygrad_edu.clinic.examiner.lines.factor_lines import (
    delta_left_out,
    first_of_backward,
    has_no_delta,
    lines_of_factors,
    lonely_numbers,
    too_late,
    wrong_jacobians,
)
from tinygrad_edu.clinic.examiner.lines.misplaced import (
    ONE_SAMPLE,
    comes_to,
    find_renaming,
    is_another,
)
from tinygrad_edu.clinic.examiner.lines.recording import HANDED, RESULT, Key, Made, Recording, key_of
from tinygrad_edu.clinic.examiner.lines.suspects import Hints, Ranked, Suspects, rank_suspects
from tinygrad_edu.clinic.examiner.lines.trail import FORWARD, MADE, PART, PASSES, RIGHT, UNKNOWN, Trail

Array = np.ndarray[Any, Any]
ONE_ALONE = "is what one sample alone gives to ∂L/∂{}: the other samples are left out."
ADDED = "what is added to "
MOST = 5  # lines that are shown


@dataclass(frozen=True)
class FoundPlace:
    """A line of the learner's program, and in `sentence` what is wrong with what it computes.

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
        return f"{from_here(self.file)}:{self.line}: {self.source}\n  {self.sentence}"


def from_here(file: str) -> str:
    """The path of a file as it is typed in the folder that one works in; the whole path of a file outside of it."""
    inside = file.removeprefix(os.path.join(os.getcwd(), ""))
    return inside or file


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
    hints = hints or Hints({})
    known = [ratio.factor for ratio in hints.ratios.values() if ratio.right.size > 1]  # one number is so by chance
    trail = Trail(recording, truth, factors, ends.values(), known)
    in_arrays = not truth.singly and any(np.size(value) > 1 for value in ends.values())
    order = places_by_hints(trail, ends, hints)
    # a gradient that is the right one but for a factor, whose line is known: what comes later only carries it on
    explained = {name for _, _, names in order for name in names if name in hints.ratios}
    parts = {} if hints.updates else entries_apart(recording, trail, ends, hints)
    order += [((0, 0, -1, x.order, 0), x, (n,)) for n, entries in parts.items() for x in entries.placed]
    earlier: set[Key] = set()
    for strict in PASSES:
        reached: dict[Key, list[str]] = {}
        for name, value in ((n, x) for n, x in ends.items() if n not in explained):
            entries = parts.get(name)
            for key in entries.followed if entries else ends_of(trail, value):
                for suspect in trail.suspects(key, strict) - (entries.innocent if entries else set()):
                    reached.setdefault(suspect, []).append(name)
        reached = {k: names for k, names in reached.items() if not needs_no_factor(trail, k, earlier)}
        earlier.update(reached)
        reached, causes = merge_causes(trail, reached)
        suspects = Suspects(trail, reached, strict, in_arrays)
        order += [(suspects.rank(made, names), made, names) for made, names in causes]
        order += rank_suspects(suspects, deltas or {}, hints)
    return by_line(trail, behind_results(recording, trail, order, ends, hints), deltas or {})[:MOST]


def behind_results(
    recording: Recording, trail: Trail, order: list[Ranked], ends: Mapping[str, Any], hints: Hints
) -> list[Ranked]:
    """The order without the lines that only return a gradient, where the lines that wrote its numbers are known."""
    found: list[Ranked] = []
    for rank, made, names in order:
        known = [n for n in names if made.variable == RESULT and n in hints.gradients]
        behind = [
            (x, n)
            for n in known
            for x in better_than_result(recording, trail, made.key, n, ends[n], hints.gradients[n])
        ]
        found += [(rank, x, (n,)) for x, n in behind] or [(rank, made, names)]
    return found


def entries_apart(recording: Recording, trail: Trail, ends: Mapping[str, Any], hints: Hints) -> dict[str, WrongEntries]:
    """The gradients that were written entry by entry and of which some entries are right."""
    known = {n: x for n, x in ends.items() if n in hints.gradients}
    found = {n: wrong_entries(recording, trail, x, hints.gradients[n]) for n, x in known.items()}
    return {n: entries for n, entries in found.items() if entries is not None}


def by_line(trail: Trail, order: list[Ranked], deltas: Mapping[str, Sequence[Array]]) -> list[FoundPlace]:
    """One place for each line, best first, with all gradients that it explains."""
    places: dict[tuple[str, int], FoundPlace] = {}
    for rank, made, names in sorted(order, key=lambda x: x[0]):
        there = places.get((made.file, made.line))
        names = tuple(dict.fromkeys((*(there.explains if there else ()), *names)))
        wanted = [d for name in names for d in deltas.get(name, ())]
        places[made.file, made.line] = (
            replace(there, explains=names) if there else place_in_words(trail, made, names, wanted, rank[0] < 0)
        )
    return [*places.values()]


def places_by_hints(trail: Trail, ends: Mapping[str, Any], hints: Hints | None) -> list[Ranked]:
    """Lines that the numbers point at, which come first: where a factor came in, or where a delta was replaced."""
    if hints is None:
        return []
    whole = {n: found for n, value in ends.items() if (found := ends_of(trail, value))}
    keys = {n: found[0] for n, found in whole.items()}
    right = [key for value in hints.right for key in ends_of(trail, value)]
    ratios = {n: r for n, r in hints.ratios.items() if not trail.truth.singly or r.right.size > 1}
    by_factor = lines_of_factors(trail, whole, ratios, right, updates=hints.updates) if not hints.at_end else []
    if trail.truth.singly:
        return [((-1, 0, k, 0, 0), made, names) for k, (made, names) in enumerate(by_factor)]
    if hints.at_end:
        return [((-1, 0, k, 0, 0), trail.made[key], (n,)) for k, (n, key) in enumerate(keys.items())]
    found = one_sample_alone(trail, keys) + too_late(trail, keys) + wrong_jacobians(trail, keys)
    found += by_factor
    no_delta = hints.delta_left_out or any(has_no_delta(trail, k) for k in keys.values())
    left_out = None
    if no_delta and len(keys) > 1:
        everything = not hints.right and all(has_no_delta(trail, k) for k in keys.values())
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
                place = (find_renaming(share, last.order) or [share])[-1]
                found.append((replace(place, remark=ONE_ALONE.format(name)), (name,)))
    return found


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
    if array.size and np.all(array == array.ravel()[0]):  # one number of shape (1, 1), broadcast
        single += [key_of(np.full((1,) * n, float(array.ravel()[0]))) for n in range(1, array.ndim + 1)]
    rows = [key_of(np.ascontiguousarray(row)) for row in array] if array.ndim > 1 else []
    return [key for key in (*rows, *single) if key in trail.made and trail.made[key].line]


def place_in_words(
    trail: Trail, made: Made, names: tuple[str, ...], wanted: Sequence[Array], sure: bool = False
) -> FoundPlace:
    """A line with what is wrong with it, in words; sure: it is known to be the one that brought its factor in."""
    label, factor = trail.found.get(made.key, ("", 1.0))
    what, has, wants = subject_of(made), delta_named(trail, made), labels_of(trail, wanted)
    label = label or "a derivative of the loss"
    if made.remark:
        text = f"{what} {made.remark}"
    elif is_update(made, label, names):
        target = made.variable.removeprefix(ADDED)
        text = f"This line changes `{target}` by {factor:.4g} times {label}: the lines after it read the new weights."
    elif not trail.is_one(factor) and (label.startswith("the ") or comes_to(trail.made, made, wanted)):
        text = f"{what} is {factor:.4g} times {label}: a factor is missing, or there is one too many."
    elif not trail.is_one(factor) and is_another(made.value, wanted):
        text = f"{what} is {factor:.4g} times {label}, and not a multiple of the one that is needed here."
    elif not (sure or trail.is_one(factor)) and trail.is_plain(factor):
        text = (
            f"{what} is {factor:.4g} times {label}, which is not what belongs here, whatever is done with the factor."
        )
    elif not trail.is_one(factor):
        text = f"{what} is {factor:.4g} times {label}: a factor is missing, or there is one too many."
    elif label.endswith(ONE_SAMPLE):
        text = f"{what} is {label} alone: what the other samples give is missing."
    elif trail.is_share(made.key):
        text = f"{what} is only a part of {label}: the parts that come on other paths are missing."
    elif trail.kinds.get(made.key) == RIGHT:
        text = f"{what} is {label}, but not the derivative that is needed here."
    elif has and wants and has not in wants and made.key not in trail.updates and not is_of_size(made, wanted):
        text = f"{what} is made with {has}, where {' or '.join(wants)} belongs."
    elif other := another_delta(trail, made, wanted):
        text = f"{what} is made with {other} and not {' or '.join(wants) or 'the derivative that is needed here'}."
    elif unchecked := names_unchecked(trail, made):
        text = f"{what} is not a derivative of the loss. It is made with {unchecked}, which could not be checked."
    else:
        text = f"Everything that this line reads is right, and {lower(what)} is not a derivative of the loss."
    text = f"{text} It goes into the gradient of {', '.join(names)}."
    return FoundPlace(made.file, made.line, made.source, text, made.variable, names)


def is_update(made: Made, label: str, names: tuple[str, ...]) -> bool:
    """Does the line add a multiple of a parameter's gradient to it, before other gradients are made with it?"""
    name, target = label.removeprefix("∂L/∂"), made.variable.removeprefix(ADDED)
    parts = re.findall(r"\w+", target)
    return target != made.variable and name != label and name not in names and parts[-1:] == [name]


def is_of_size(made: Made, wanted: Sequence[Array]) -> bool:
    """Is it as large as a derivative that is needed, so that it may have to be that derivative?"""
    return any(d.size == made.value.size for d in wanted)


def another_delta(trail: Trail, made: Made, wanted: Sequence[Array]) -> str:
    """The derivative that the line of a gradient reads in place of one of its size: `d1`, which is ∂L/∂a1."""
    reads = [] if is_of_size(made, wanted) else [trail.whole_of(key) for key in made.inputs]
    for read in [x for x in reads if x and x.value.size > 1 and trail.kinds.get(x.key) == RIGHT]:
        name, label = read.named[-1][2] if read.named else read.variable, trail.found.get(read.key, ("", 1.0))[0]
        if name.isidentifier() and label and is_another(read.value, wanted):
            return f"`{name}`, which is {label}"
    return ""


def names_unchecked(trail: Trail, made: Made) -> str:
    """The variables that a line reads of which it is not known whether they are right."""
    read = [x for k in made.inputs if (x := trail.whole_of(k)) and trail.kinds.get(x.key) in (UNKNOWN, MADE)]
    names = dict.fromkeys(x.named[-1][2] for x in read if x.named and x.value.size > 1 and not x.total)
    return " and ".join(f"`{name}`" for name in names if name.isidentifier())


def subject_of(made: Made) -> str:
    """A value by the name that its line gives it, as the subject of a sentence."""
    added = made.variable.removeprefix(ADDED)
    if added != made.variable:
        return f"What is added to `{added}`"
    if made.variable.startswith(HANDED):
        return f"What this line hands to `{made.variable.removeprefix(HANDED)}`"
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
