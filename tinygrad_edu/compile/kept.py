"""One thing of Python's that a function or model keeps, compared with how it was."""

from __future__ import annotations

import operator
from collections.abc import Callable, Container
from typing import Any

from tinygrad_edu.compile.left_behind import SIZES, holds_node, things_in, with_plain_sizes
from tinygrad_edu.compile.user_code import ABSENT, is_atom, same

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

    def restore(self) -> bool:
        """Put back what was there, the very same things; was it something else?"""
        changed = bool(self.first_change())
        if changed or not self.is_identical():
            self.write(self.was)
        return changed

    def is_identical(self) -> bool:
        """Are the entries of a namespace, dict or list the same objects? Of other things a copy was read."""
        if self.entries:
            now = self.read()
            return now.keys() == self.was.keys() and all(now[key] is x for key, x in self.was.items())
        return not isinstance(self.thing, list) or all(map(operator.is_, self.thing, self.was))

    def has_replaced(self) -> bool:
        """Has an equal thing been put in the place of one that can be written to, such as a new list?"""
        now, was = self.read(), self.was
        if self.entries:
            pairs = [(now.get(key, x), x) for key, x in was.items()]
        elif isinstance(self.thing, list):
            pairs = list(zip(now, was, strict=False))
        else:
            pairs = [(now, was)] if now is self.read() else []  # of arrays and the like each look is a copy
        return any(a is not b and not is_atom(type(b)) for a, b in pairs)

    def change_besides(self, kept: Container[str]) -> str:
        """`first_change`, but for results under these names, which each call of a program sets (kept_results.py)."""
        now, was = self.read(), self.was
        if not self.entries:
            return "" if self.name in kept else self.first_change()
        other = [key for key in (*now, *was) if not same(now.get(key, ABSENT), was.get(key, ABSENT))]
        named = (self.name + self.entries.format(key) for key in other)
        return next((name for name in named if name not in kept), "")

    def put_back_nodes(self) -> None:
        """The entries as they were that hold nodes of a trace; a new key of a dict keeps its place among the others."""
        now, was = self.read(), self.was
        if not holds_node(now):
            return
        if self.entries:
            new = None if self.entries == OF_DICT else ABSENT
            before = {key: was.get(key, new) if holds_node(x) else x for key, x in now.items()}
            self.write({key: x for key, x in before.items() if x is not ABSENT})
        else:
            self.write(was)

    def settle_sizes(self) -> list[Any]:
        """Put the lengths of this trace where it has left sizes, so that a later trace does not compute with them.

        Returns the sizes.
        """
        now = self.read()
        sizes = [x for x in things_in(now) if type(x) in SIZES]
        if sizes:
            self.write(with_plain_sizes(now))
        return sizes
