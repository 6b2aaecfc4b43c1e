"""Gradients that are written entry by entry, dw[1] += ..., of which some entries are right and others are not.

A right entry speaks for its line and for all that the line has read. The wrong ones alone are followed back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.gradients import spellings
from tinygrad_edu.clinic.examiner.lines.recording import Holder, Key, Made, Recording, Written
from tinygrad_edu.clinic.examiner.lines.trail import Trail

Array = np.ndarray[Any, Any]
SAME = 1e-6  # relative
OTHER_NUMBER = "is made of right values, but not of those that belong to this gradient."
NOTHING_HERE = "is written, but nothing is added to its neighbour {}, which stays 0."
ELSEWHERE = "is made of right values, but not of those that belong to this entry of the gradient."


@dataclass
class WrongEntries:
    """Of one gradient: values behind wrong entries, those behind right ones, and lines whose values are all right."""

    followed: list[Key] = field(default_factory=list)
    innocent: set[Key] = field(default_factory=set)
    placed: list[Made] = field(default_factory=list)


def wrong_entries(recording: Recording, trail: Trail, given: Any, right: Any) -> WrongEntries | None:
    """What was written into the wrong entries of a gradient; None where it is all wrong, or not written so."""
    numbers, wanted = np.asarray(given, dtype=float), np.asarray(right, dtype=float)
    if numbers.shape != wanted.shape or not numbers.ndim:
        return None
    wrong = np.abs(numbers - wanted) > SAME * np.maximum(np.abs(wanted), SAME * float(np.abs(wanted).max()))
    history = {place: x for holder in recording.holders.values() for place, x in entries_of(holder, numbers)}
    at = {place: bool(np.any(wrong[place])) for place in history}
    whole = all(any(place[: len(x)] == x for x in history) for place in zip(*np.nonzero(wrong), strict=True))
    if not whole or all(at.values()) or not any(at.values()):
        return None
    found = WrongEntries()
    for place, written in history.items():
        found.innocent.update(values_behind(trail, written) if not at[place] else ())
    beside = [x[-1] for place, x in history.items() if numbers[place].any()][-1:]
    for place, written in history.items():
        if at[place] and beside and not numbers[place].any():
            found.placed.append(placed_at(trail, beside[0], NOTHING_HERE.format(list(place))))
        elif at[place]:
            follow(found, trail, written)
    return found


def entries_of(holder: Holder, gradient: Array) -> Iterator[tuple[tuple[int, ...], list[Written]]]:
    """(place in the gradient, what was written there), where a list or array is the gradient, or one of its rows."""
    try:
        held = np.asarray(holder.holds, dtype=float)
    except (TypeError, ValueError):
        return
    rows = [(), *((k,) for k in range(len(gradient)))] if gradient.ndim > 1 else [()]
    for row in rows:
        if held.shape == gradient[row].shape and is_multiple(held, gradient[row]):
            yield from ((row + place, x) for place, x in holder.entries.items())
            return


def is_multiple(held: Array, gradient: Array) -> bool:
    """Is it the gradient, or what is divided by n when it is returned?"""
    if np.array_equal(held, gradient):
        return True
    length = float(np.vdot(gradient, gradient))
    c = float(np.vdot(held, gradient)) / length if length and np.isfinite(held).all() else 0.0
    return bool(c) and held.size > 1 and np.allclose(held, c * gradient, rtol=1e-12, atol=0.0)


def lines_of_entries(recording: Recording, given: Any, right: Any) -> list[Written]:
    """The last line that wrote into each wrong entry."""
    numbers, wanted = np.asarray(given, dtype=float), np.asarray(right, dtype=float)
    if numbers.shape != wanted.shape or not numbers.ndim:
        return []
    wrong = np.abs(numbers - wanted) > SAME * np.maximum(np.abs(wanted), SAME * float(np.abs(wanted).max()))
    history = {place: x for holder in recording.holders.values() for place, x in entries_of(holder, numbers)}
    return [x[-1] for place, x in history.items() if np.any(wrong[place])]


def better_than_result(recording: Recording, trail: Trail, end: Key, name: str, given: Any, right: Any) -> list[Made]:
    """In place of the line that returns a gradient, those that wrote its wrong entries, or its number by its name."""
    last = trail.made[end]
    if np.size(given) > 1:
        return [placed_at(trail, x, ELSEWHERE) for x in lines_of_entries(recording, given, right)]
    number = float(np.sum(given))
    same = [m for m in trail.made.values() if m.value.size == 1 and number and trail.is_plain(m.value.item() / number)]
    read = [made for key in last.inputs if (made := trail.made.get(key))]
    named = [(made, place) for made in (*same, *read) for place in made.named if name in spellings(place[2])]
    places = [(made, place) for made, place in named if place[:2] != (last.file, last.line)]
    return [
        replace(made, file=file, line=line, variable=variable, named=[], remark=OTHER_NUMBER)
        for made, (file, line, variable, _) in places[-1:]
    ]


def values_behind(trail: Trail, written: list[Written]) -> Iterator[Key]:
    """The values that were written, and all that they are made of."""
    waiting = [x.part for x in written if x.part is not None]
    seen = {*waiting}
    while waiting:
        made = trail.made.get(waiting.pop())
        if made is not None:
            yield made.key
            fresh = [k for k in made.inputs if k not in seen]
            seen.update(fresh)
            waiting += fresh


def follow(found: WrongEntries, trail: Trail, written: list[Written]) -> None:
    """What is to be followed back from one wrong entry; its line, where all behind it has made right ones too."""
    known = [x for x in written if x.part in trail.made and x.part not in found.innocent]
    parts = [x.part for x in known if x.part and not is_of_another_line(trail.made[x.part], x)]
    last = written[-1]
    if parts:  # of some samples the number may be right by chance, as d * 1.0 ** 2 is d
        found.followed += [key for key in parts if not trail.known(key, 0)] or parts
    elif last.part in trail.made:
        found.placed.append(placed_at(trail, last, ELSEWHERE))


def is_of_another_line(made: Made, written: Written) -> bool:
    """Was the same number added somewhere else first, as d * 1.0 ** 2 is d? Then its line says nothing of this one."""
    return made.variable.startswith("what is added to") and (made.file, made.line) != (written.file, written.line)


def placed_at(trail: Trail, written: Written, remark: str) -> Made:
    """What a line has written into an entry, with what is wrong with it."""
    value = trail.made.get(written.part) if written.part else None
    made = value or next(iter(trail.made.values()))
    return replace(made, file=written.file, line=written.line, variable=written.variable, named=[], remark=remark)
