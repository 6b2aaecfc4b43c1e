"""One thing of Python's that a function or model keeps, compared with how it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.compile.user_code import same

ABSENT = object()  # equal to nothing else
OF_DICT = "[{0!r}]"  # how to write an entry of a dict


class Kept:
    """One thing that can change, how it was, and how to put it back."""

    __slots__ = ("entries", "name", "read", "thing", "was", "write")

    def __init__(
        self, name: str, thing: Any, read: Callable[[], Any], write: Callable[[Any], Any], entries: str = ""
    ) -> None:
        self.name, self.thing, self.read, self.write = name, thing, read, write
        self.entries, self.was = entries, read()  # entries: how to write one of its entries, if it has any

    def first_change(self) -> str:
        """The part of it that has changed: its name, or that of an entry."""
        try:
            now = self.read()
        except (AttributeError, KeyError, ValueError):
            return self.name
        if not self.entries:
            return "" if same(now, self.was) else self.name
        other = [key for key in (*now, *self.was) if not same(now.get(key, ABSENT), self.was.get(key, ABSENT))]
        if not other and self.entries == OF_DICT and [*now] != [*self.was]:
            return f"the order of {self.name}"  # d.move_to_end(key), d[key] = d.pop(key)
        return self.name + self.entries.format(other[0]) if other else ""
