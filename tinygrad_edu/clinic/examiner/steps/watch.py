"""A step followed update by update: what the parameters are after each of several updates in one call.

Where one update ends and the next begins is not written anywhere. Four readings are offered: a new one begins where an
entry changes that has changed already; or where the program did something else, for long or at all; or where the line
that began it writes again. (In the XOR data the first sample is (0, 0): its update leaves the first weights as they
are, and the first reading would miss its end.)

>>> one = np.ones(1, dtype=bool)
>>> events = [Changed(k, "w", np.array([1.0 - 0.25 * k]), one) for k in (1, 2, 3)]
>>> [x["w"].item() for x in Watched({"w": np.ones(1)}, events).by_touch().points]
[1.0, 0.75, 0.5, 0.25]
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.patch_math import is_installed

Array = np.ndarray[Any, Any]
MOST = 6  # updates that are recorded
EVENTS = 4_000  # changes that are kept
MEMORY = 200_000_000  # bytes kept, approximately
WORK = 4.0  # work until watching stops: about seconds, but counted in operations so that a slow machine sees as much
LOOK, NUMBER = 4e-6, 3e-9  # work per parameter, and per number in it that is compared
SHORT = 3  # lines between two changes that do not count as a pause


class EnoughError(BaseException):
    """The step is left: no `except Exception` of the learner's may stop it."""


@dataclass(frozen=True)
class Changed:
    """A parameter has new numbers, `when` counted in lines; `mask`: which of them were written."""

    when: int
    name: str
    new: Array
    mask: Array
    line: tuple[Any, int] = (None, 0)  # the line that wrote it


@dataclass(frozen=True)
class Updates:
    """The parameters before the first update and after each; `complete`: did the step come to its end?"""

    points: list[dict[str, Array]]
    complete: bool = True
    total: int = 0  # updates of the whole step, if it was watched to its end

    def __len__(self) -> int:
        return len(self.points) - 1


@dataclass
class Watched:
    """All changes of a step, in order."""

    start: dict[str, Array]
    events: list[Changed] = field(default_factory=list)
    complete: bool = True

    def by_touch(self) -> Updates:
        """An update ends where something that it has written is written again."""
        first: list[int] = []
        touched: dict[str, Array] = {}
        for k, event in enumerate(self.events):
            if event.name in touched and bool((touched[event.name] & event.mask).any()):
                first.append(k)
                touched = {}
            touched[event.name] = touched.get(event.name, False) | event.mask
        return self.cut(first)

    def by_pause(self, share: float = 0.5) -> Updates:
        """An update ends where many lines are run before the next change: more than this share of the most."""
        pauses = [b.when - a.when for a, b in zip(self.events, self.events[1:], strict=False)]
        long = max(max(pauses, default=0) * share, SHORT)
        return self.cut([k for k, pause in enumerate(pauses, 1) if pause > long])

    def by_block(self) -> Updates:
        """An update is what neighbouring lines change: all at the end of a sample, be it a short or a long one."""
        return self.by_pause(share=0.0)

    def by_lines(self) -> Updates:
        """An update ends where the line that began it writes again, after others have: one row, then a row beside it.

        Rows of two tables need not touch for several samples, and what touches first may be in the midst of one.
        """
        lines = [event.line for event in self.events]
        return self.cut([k for k, at in enumerate(lines) if k and at == lines[0] != lines[k - 1]])

    def cut(self, first: Sequence[int]) -> Updates:
        """The points between updates that begin with these changes; one that was left half done is not counted."""
        points, now = [self.start], dict(self.start)
        for k, event in enumerate(self.events):
            if k in set(first):
                points.append(dict(now))
            now[event.name] = event.new
        if self.events and self.complete:
            points.append(dict(now))
        total = len(points) - 1 if self.complete else 0
        return Updates(points[: MOST + 1], self.complete and len(points) <= MOST + 1, total)


class Watcher:
    """The trace function: it compares the parameters after every line of the learner's."""

    def __init__(self, read: Callable[[], Mapping[str, Any]]) -> None:
        self.read, self.held = read, dict(read())
        self.now = {n: np.array(x, dtype=float) for n, x in self.held.items()}
        self.watched = Watched(dict(self.now))
        self.own: dict[Any, bool] = {}
        self.work, self.lines = 0.0, 0
        self.last: tuple[Any, int] = (None, 0)  # the line that has just run

    def enter(self, frame: Any, event: str, argument: Any) -> Any:
        code = frame.f_code
        if code not in self.own:
            self.own[code] = not is_installed(frame.f_globals)
        return self.step if self.own[code] else None

    def step(self, frame: Any, event: str, argument: Any) -> Any:
        if event in ("line", "return"):
            self.lines += 1
            self.look()
            self.last = (frame.f_code, frame.f_lineno)
        return self.step

    def look(self) -> None:
        try:
            held = dict(self.read())
        except (LookupError, AttributeError):  # the program has discarded a parameter
            raise EnoughError from None
        for name, x in held.items():
            new = np.array(x, dtype=float)
            self.work += LOOK + NUMBER * new.size
            if new.shape != self.now[name].shape:
                raise EnoughError
            anew = isinstance(x, np.ndarray) and x is not self.held[name]
            mask = np.ones(new.shape, dtype=bool) if anew else new != self.now[name]
            if mask.any():
                self.watched.events.append(Changed(self.lines, name, new, mask, self.last))
                self.now[name] = new
        self.held = held
        kept = sum(event.new.nbytes for event in self.watched.events[-1:]) * len(self.watched.events)
        if self.work > WORK or len(self.watched.events) > EVENTS or kept > MEMORY:
            raise EnoughError


def watch_updates(step: Callable[[], Any], read: Callable[[], Mapping[str, Any]]) -> Watched:
    """Call the step, and write down how the parameters that `read` gives change."""
    watcher, before = Watcher(read), sys.gettrace()
    sys.settrace(watcher.enter)
    try:
        step()
        watcher.look()
    except EnoughError:
        watcher.watched.complete = False
    finally:
        sys.settrace(before)
    return watcher.watched


def readings(watched: Watched) -> Iterable[Updates]:
    """The ways to read a step as several updates, each once."""
    touch = watched.by_touch()
    if len(touch) < 2:  # a pause alone may be the backward pass between two parameters of the same update
        return []
    found = [touch]
    for other in (watched.by_pause(), watched.by_lines(), watched.by_block()):
        if len(other) > 1 and not any(same_points(other, x) for x in found):
            found.append(other)
    return found


def same_points(a: Updates, b: Updates) -> bool:
    return len(a) == len(b) and all(
        np.array_equal(x[n], y[n]) for x, y in zip(a.points, b.points, strict=True) for n in x
    )
