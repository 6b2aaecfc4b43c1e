"""What a run of the learner's own code made: every value, the line that made it, and the values of which it is made.

A value is known by its numbers: the first line that made it counts. `recorder` follows the run.
"""

from __future__ import annotations

import linecache
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.lookup import MISSING
from tinygrad_edu.clinic.examiner.learner.reachable import attributes

Array = np.ndarray[Any, Any]
Key = tuple[Any, ...]
NOTE, NUMBER = 4e-6, 8e-9  # work per recorded value, and per number in it
RESULT = "the result"  # stands for the name of a returned value
HANDED = "what is handed to "  # comes before a function's name, for an argument that has no name of its own
NAMES = 40  # names kept per value
INSIDE = 400  # values examined per container
COMPARED = 50_000  # numbers among which those of a value are looked for


@dataclass(eq=False)
class Made:
    """A value, the line that made it, and the values of which it is made. `total`: of x += ..., the sum so far."""

    key: Key
    value: Array
    order: int
    file: str = ""
    line: int = 0
    variable: str = ""
    inputs: tuple[Key, ...] = ()
    total: bool = False
    view: bool = False  # it is only a part or a transpose of its one input
    remark: str = ""  # what is wrong with it, if more is known than its numbers show
    # (file, line, variable, order) of each assignment to a name
    named: list[tuple[str, int, str, int]] = field(default_factory=list)

    @property
    def source(self) -> str:
        return linecache.getline(self.file, self.line).strip()


@dataclass(frozen=True)
class Written:
    """What a line has written into one place of an array or a list: dw[1] = ..., dw[1] += ..."""

    part: Key | None  # the value, or what is added to the one before
    file: str
    line: int
    variable: str


@dataclass
class Holder:
    """An array or a list into which lines have written place by place, and what they wrote into each, in order."""

    holds: Any
    entries: dict[tuple[int, ...], list[Written]] = field(default_factory=dict)


@dataclass
class Recording:
    """All values in order of creation; `result` of the call; `complete`: was it recorded to the end?

    numbers: constants that the functions of the run use, those of functions that clip first; clips: is there one?
    handed: what the call was given, as it is afterwards.
    """

    made: dict[Key, Made] = field(default_factory=dict)
    result: Any = None
    handed: tuple[Any, ...] = ()
    complete: bool = True
    error: BaseException | None = None
    work: float = 0.0
    numbers: list[float] = field(default_factory=list)
    clips: bool = False
    holders: dict[Key, Holder] = field(default_factory=dict)

    def note_entry(self, holder: Any, index: Any, written: Written) -> None:
        """Enter what was written into one place, or one row, of an array or a list."""
        places = index if isinstance(index, tuple) else (index,)
        if isinstance(holder, (list, np.ndarray)) and all(isinstance(x, (int, np.integer)) for x in places):
            sizes = holder.shape if isinstance(holder, np.ndarray) else (len(holder),)
            place = tuple(int(x) % n for x, n in zip(places, sizes, strict=False))
            self.holders.setdefault(identity(holder), Holder(holder)).entries.setdefault(place, []).append(written)

    def note(self, value: Any, *, again: bool = False, **where: Any) -> Key | None:
        """The key of a value; what is new is entered with where it comes from."""
        array = as_numbers(value)
        if array is None:
            return None
        self.work += NOTE + NUMBER * array.size
        key = key_of(array)
        if key not in self.made:
            self.made[key] = Made(key, array.copy(), len(self.made), **where)
        made = self.made[key]
        if where and made.view and not made.line:  # a part of an array that was read before it was assigned to a name
            made.file, made.line, made.variable = where["file"], where["line"], where.get("variable", "")
            made.inputs = made.inputs or where["inputs"]
        if where and len(made.named) < NAMES:
            made.named.append((where["file"], where["line"], where.get("variable", ""), len(self.made)))
        return key


def identity(holder: Any) -> Key:
    """What tells one list or array from another; two views of the same numbers are one."""
    if not isinstance(holder, np.ndarray):
        return (id(holder),)
    return (holder.__array_interface__["data"][0], holder.shape, holder.strides)


def as_numbers(x: Any) -> Array | None:
    """A float, or an array of floats; a mask is one of zeros and ones."""
    if isinstance(x, np.ndarray):
        if x.dtype.kind == "b" and x.size > 1:
            return np.asarray(x, dtype=float)
        return np.asarray(x) if x.dtype.kind == "f" and x.size else None
    if isinstance(x, (float, np.floating)):
        return np.asarray(float(x))
    return None


def is_selection(made: Made, of: Mapping[Key, Made]) -> bool:
    """Are all of its numbers among those that its line reads?"""
    read = [of[k].value.ravel() for k in made.inputs if k in of]
    if sum(x.size for x in read) > COMPARED:
        return made.source.startswith("for ")
    return bool(read) and bool(np.isin(made.value.ravel(), np.concatenate(read)).all())


def key_of(array: Array) -> Key:
    return (array.shape, hash(array.tobytes()))


def values_in(x: Any, deep: int = 3) -> Iterator[Any]:
    """The numbers in a value: itself, or those in lists, dicts and the learner's objects."""
    if as_numbers(x) is not None:
        yield x
    elif isinstance(x, dict) and deep:
        for inner in [*x.values()][:INSIDE]:
            yield from values_in(inner, deep - 1)
    elif isinstance(x, (list, tuple, deque)) and deep:
        if x and len(x) <= INSIDE and all(isinstance(y, float) for y in x):
            yield np.array(x)
        for inner in [*x][:INSIDE]:
            yield from values_in(inner, deep - 1)
    elif deep and not isinstance(x, (str, bytes, type)) and x is not MISSING:
        for inner in attributes(x).values():
            yield from values_in(inner, min(deep - 1, 2))


def arrays_handed(given: Any) -> list[Array]:
    """The arrays of an argument: itself, or those in a list, tuple or dict; masks and single numbers are left out."""
    if isinstance(given, np.ndarray):
        return [given] if given.dtype.kind == "f" and given.size > 1 else []
    arrays = map(as_numbers, values_in(given) if isinstance(given, (list, tuple, dict)) else ())
    return [x for x in arrays if x is not None and x.size > 1]


def item_of_returned(returned: Any, key: Any) -> Any:
    try:
        return returned[key]
    except (KeyError, IndexError, TypeError):
        return returned
