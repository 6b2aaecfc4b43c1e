"""Gradients that are written entry by entry, dw[1] += ..., of which some entries are right and others are not.

A right entry speaks for its line and for all that the line has read. The wrong ones alone are followed back.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import Holder, Key, Made, Recording, Written
from tinygrad_edu.clinic.examiner.lines.trail import Trail

Array = np.ndarray[Any, Any]
SAME = 1e-6  # relative
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
    for place, written in history.items():
        if at[place]:
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
        if held.shape == gradient[row].shape and np.array_equal(held, gradient[row]):
            yield from ((row + place, x) for place, x in holder.entries.items())
            return


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
    parts = [x.part for x in written if x.part in trail.made and x.part not in found.innocent]
    last = written[-1]
    if parts:
        found.followed += parts
    elif last.part in trail.made:
        made = replace(trail.made[last.part], file=last.file, line=last.line, variable=last.variable, named=[])
        found.placed.append(replace(made, remark=ELSEWHERE))
