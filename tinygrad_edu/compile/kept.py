"""One thing of Python's that a function or model keeps, compared with how it was."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.compile.user_code import same
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import OperandError

NODES = Tensor, Value
ABSENT = object()  # equal to nothing else
FAR = 277_200  # a multiple of 100 and of all numbers up to 12: beyond `n < 3`, and where `n % 10 == 0`
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

    def put_back_nodes(self) -> None:
        """The entries as they were that hold nodes of a trace; of a list that has grown these are left out."""
        now, was = self.read(), self.was
        if not holds_node(now):
            return
        if self.entries:
            before = {key: was.get(key, ABSENT) if holds_node(x) else x for key, x in now.items()}
            self.write({key: x for key, x in before.items() if x is not ABSENT})
        elif isinstance(now, list) and same(now[: len(was)], was):
            self.write([*was, *(x for x in now[len(was) :] if not holds_node(x))])
        else:
            self.write(was)

    def count_on(self) -> bool:
        """Let whole numbers that two traces have changed go on, until the next one makes them a multiple of FAR.

        False where there are none.
        """
        now, was = self.read(), self.was
        numbers, before = (now, was) if self.entries else ({"": now}, {"": was})
        both = {key: (x, before[key]) for key, x in numbers.items() if is_counter(x) and is_counter(before.get(key))}
        far = {key: n - n % FAR + (FAR - 1) * (x - n) + (x - n) // 2 for key, (x, n) in both.items() if x != n}
        if far:
            self.write({**now, **far} if self.entries else far[""])
        return bool(far)


def is_counter(x: object) -> bool:
    return type(x) is int


def holds_node(x: Samples) -> bool:
    """Is it a node, or a dict, list or tuple with one?"""
    try:
        return any(isinstance(leaf, NODES) and hasattr(type(leaf), "eager_classes") for leaf in tree_leaves(x))
    except OperandError:  # without end
        return False
