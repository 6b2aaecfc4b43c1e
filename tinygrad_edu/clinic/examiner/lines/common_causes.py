"""Several wrong lines that read the same value: where no right line reads it, it is that value that is wrong.

A δ whose slope is forgotten is ∂L/∂a and right by itself. All that is made of it is wrong: dW, db and the δ below.
It is one mistake, and those three lines are right.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from tinygrad_edu.clinic.examiner.lines.misplaced import find_renaming, last_return
from tinygrad_edu.clinic.examiner.lines.recording import Key, Made
from tinygrad_edu.clinic.examiner.lines.trail import PART, RIGHT, SCALED, Trail
from tinygrad_edu.clinic.examiner.lines.undone_lines import wrong_addends

Place = tuple[str, int]
Reached = dict[Key, list[str]]


def place_of(made: Made) -> Place:
    return made.file, made.line


def merge_causes(
    trail: Trail, reached: Mapping[Key, Sequence[str]]
) -> tuple[Reached, list[tuple[Made, tuple[str, ...]]]]:
    """The suspects (each with its gradients) without those that a common cause explains; and the common causes."""
    readers = readers_of(trail)
    causes: list[tuple[Made, tuple[str, ...]]] = []
    explained: set[Key] = set()
    lines = lines_of_derivatives(trail, reached)
    for held in lines.values():
        wrong = {(*place_of(m := trail.made[k]), m.variable) for keys in held.values() for k in keys}
        if len(wrong) > 1 and not any(has_right_reader(trail, trail.made[key], readers.get(key, ())) for key in held):
            for key, keys in held.items():
                first = min(trail.made[k].order for k in keys)
                names = tuple(dict.fromkeys(n for k in keys for n in reached[k]))
                causes.append((last_written(trail.made[key], first), names))
                explained.update(keys)
    return without_readers(trail, {key: [*names] for key, names in reached.items() if key not in explained}), causes


def without_readers(trail: Trail, reached: Reached) -> Reached:
    """The suspects without those that read another one: whether their own line is right cannot be said."""
    found: Reached = {}
    for key, names in reached.items():
        before = [k for k in read_by(trail, trail.made[key]) if k in reached and k != key]
        for held in before or [key]:
            found.setdefault(held, []).extend(names)
    return found


def read_by(trail: Trail, made: Made) -> list[Key]:
    """The values that a line reads, those of which it reads a part, and those that an increment on it reads."""
    found: list[Key] = []
    for key in made.inputs:
        whole = trail.whole_of(key)
        read = trail.made.get(key)
        found += [key, *([whole.key] if whole else [])]
        if made.total and read and not read.total and place_of(read) == place_of(made):
            found += read_by(trail, read)
    return [k for k in found if k in trail.made and place_of(trail.made[k]) != place_of(made)]


def last_written(made: Made, before: int) -> Made:
    """A value at the last line that made it before others read it: another name, a layer's `return g`, a mask of ones.

    A line that only hands it on is none of these.
    """
    again = [*find_renaming(made, before), *last_return(made, before)]
    masked = [n for n in made.named if n[2] == made.variable and n[1] != made.line and n[3] <= before]
    again += [replace(made, file=n[0], line=n[1]) for n in masked[-1:]]
    return again[0] if again else made


def lines_of_derivatives(trail: Trail, reached: Iterable[Key]) -> dict[Place, dict[Key, list[Key]]]:
    """Line → the derivatives that it made → the suspects that read one of those, and no other derivative."""
    found: dict[Place, dict[Key, list[Key]]] = {}
    for key in reached:
        read = derivatives_read(trail, trail.made[key])
        places = {place_of(m) for m in read}
        # a share lacks what is added elsewhere, and of a sum with a wrong addend more is known
        shares = any(trail.is_share(k) for k in (key, *(m.key for m in read)))
        if len(places) == 1 and not shares and not wrong_addends(trail, trail.made[key]):
            for made in read:
                found.setdefault(place_of(made), {}).setdefault(made.key, []).append(key)
    return found


def derivatives_read(trail: Trail, made: Made) -> list[Made]:
    """The derivatives that a line is given, without those of which it adds up a sum."""
    read = [x for k in made.inputs if (x := trail.whole_of(k)) and x.line and not x.total]
    added = [x for x in read if made.total and place_of(x) == place_of(made)]
    found = [x for x in read if x not in added and trail.kinds.get(x.key) in (RIGHT, SCALED)]
    return found + [x for part in added for x in derivatives_read(trail, part)]


def readers_of(trail: Trail) -> dict[Key, list[Made]]:
    found: dict[Key, list[Made]] = {}
    for made in trail.made.values():
        for key in made.inputs if made.line else ():
            whole = trail.whole_of(key)
            found.setdefault(whole.key if whole else key, []).append(made)
    return found


def has_right_reader(trail: Trail, value: Made, readers: Iterable[Made]) -> bool:
    """Has something right been made of a value, other than a gradient that is wrong as a whole?"""
    others = (m for m in readers if not (m.view or is_copy(m, value)))
    right = (trail.kinds[m.key] in (RIGHT, SCALED, PART) and m.key not in trail.wrong for m in others)
    return any(right) or any(m.key in trail.pardoned for m in readers)


def is_copy(made: Made, value: Made) -> bool:
    return made.value.size == value.value.size and np.allclose(made.value.ravel(), value.value.ravel(), rtol=1e-12)


def needs_no_factor(trail: Trail, suspect: Key, earlier: Iterable[Key]) -> bool:
    """Is it a multiple of a derivative, and the only one in a line that is a suspect already?

    Without the factor that line would be as wrong: what it makes is not a multiple of a derivative either.
    """
    if trail.kinds.get(suspect) != SCALED:
        return False
    reads = (derivatives_read(trail, trail.made[key]) for key in earlier)
    return any([m.key for m in read] == [suspect] for read in reads)
