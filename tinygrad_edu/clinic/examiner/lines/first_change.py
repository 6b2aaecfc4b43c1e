"""The first line of the learner's backward that changes something, found by one more run."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from tinygrad_edu.clinic.examiner.learner.patch_math import is_installed

MOST = 20_000  # lines after which it is asked


class FirstChange:
    """A trace function that asks after each line whether something has changed, until it has."""

    def __init__(self, changed: Callable[[], bool]) -> None:
        self.changed = changed
        self.place: tuple[str, int] | None = None
        self.begun: dict[int, int] = {}  # frame → the line that is under way
        self.left = MOST

    def enter(self, frame: Any, event: str, argument: Any) -> Any:
        return None if is_installed(frame.f_globals) else self.step

    def step(self, frame: Any, event: str, argument: Any) -> Any:
        if self.place is None and event in ("line", "return") and self.left > 0:
            self.left -= 1
            line = self.begun.pop(id(frame), None)
            if line and self.changed():
                self.place = (frame.f_code.co_filename, line)
            if event == "line":
                self.begun[id(frame)] = frame.f_lineno
        return self.step


def first_change(function: Callable[..., Any], handed: Any, changed: Callable[[], bool]) -> tuple[str, int] | None:
    """(file, line) after which `changed` is true for the first time; None where it never is.

    >>> first_change(lambda p: p["w"], {"w": 1.0}, lambda: False) is None
    True
    """
    watch, before = FirstChange(changed), sys.gettrace()
    sys.settrace(watch.enter)
    try:
        function(handed)
    finally:
        sys.settrace(before)
    return watch.place
