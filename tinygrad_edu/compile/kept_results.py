"""What a function keeps in Python of what it computes: `self.attention = softmax(x)`, `seen["loss"] = loss`.

A program does not repeat what a trace does in Python. So the nodes that a trace leaves there are further results of its
program, and each call puts the new numbers where the function itself would have put them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from types import CellType
from typing import Any

from tinygrad_edu.compile.kept import OF_DICT, Kept
from tinygrad_edu.compile.left_behind import holds_node, is_traced_node, with_plain_sizes
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.compile.unread import readings
from tinygrad_edu.compile.user_code import ABSENT, attribute_space, same
from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.pytree import tree_leaves, with_leaves
from tinygrad_edu.core.writes.other_names import refuse_old
from tinygrad_edu.errors import TraceError

OF_OBJECT = ".{0}"  # how to write an attribute of an object


@dataclass
class Keep:
    """Something kept under a name; `tree`: what a trace has left there; how to put something else there, or nothing."""

    name: str
    tree: Any
    put: Callable[[Any], None]
    remove: Callable[[], None]

    def nodes(self) -> list[Any]:
        return list(filter(is_traced_node, tree_leaves(self.tree)))

    def put_numbers(self, numbers: Iterable[Any]) -> None:
        """Put the next of these numbers in the place of the nodes."""
        rest = iter(numbers)
        found = with_leaves(self.tree, [next(rest) if is_traced_node(x) else x for x in tree_leaves(self.tree)])
        self.put(with_plain_sizes(found))


class WithoutSizes:
    """A program of plain numbers, which may keep some and has no sizes."""

    kept: Sequence[Keep]

    def keeps(self) -> set[str]:
        """The names under which it keeps results in Python."""
        return {keep.name for keep in self.kept}

    def kept_places(self) -> Sequence[Keep]:
        """The places themselves."""
        return self.kept

    def conditions(self) -> None:
        """What its trace has learned about sizes."""

    def fixes(self) -> set[Any]:
        """The sizes that it serves alone."""
        return set()

    def fix_sizes(self, sizes: Sequence[Any]) -> None:
        """Serve these alone."""


class Keeping:
    """What the traces of a function leave in Python, beginning from a state of it."""

    def __init__(self, state: PythonState) -> None:
        self.state = state
        self.begin: PythonState | None = state
        self.fresh = True  # is the state as it was before the present trace?
        self.seen: dict[int, Any] = {}  # nodes of earlier traces

    def new(self) -> list[Keep]:
        """What holds nodes of this trace, the latest one."""
        found = sorted(self.places(), key=lambda place: place.name)
        self.seen |= {id(x): x for place in found for x in place.nodes()}
        return found

    def places(self) -> list[Keep]:
        with readings(()):  # the compiler's own look is none of the function's
            places = [Keep(*part) for kept in self.state.kept if kept.first_change() for part in changed_entries(kept)]
        return [place for place in places if any(id(x) not in self.seen for x in place.nodes())]


class _Traces(threading.local):
    keeping: Keeping | None = None


HERE = _Traces()


@contextmanager
def keeping(state: PythonState) -> Iterator[None]:
    """A block of traces of a function whose state this is."""
    before, HERE.keeping = HERE.keeping, Keeping(state)
    try:
        yield
    finally:
        HERE.keeping = before


@contextmanager
def beginning_from(state: PythonState | None) -> Iterator[None]:
    """A block of one further trace, which begins from this state; None where stand-ins in it have to stay."""
    keeping = HERE.keeping
    assert keeping is not None
    before = keeping.begin
    keeping.begin, keeping.fresh = state, True
    try:
        yield
    finally:
        keeping.begin = before


def undo_attempt() -> None:
    """Put back what an attempt at the present trace has changed, before the next: only one of them is the first call.

    Without this, the second attempt for a float32 argument that meets float64 would find a flag that the first has set.
    """
    if HERE.keeping is not None:
        if HERE.keeping.begin is not None and not HERE.keeping.fresh:
            HERE.keeping.begin.restore()
        HERE.keeping.fresh = False


def kept_by_trace() -> list[Keep]:
    """What the trace that has just run in this thread has left in Python."""
    return [] if HERE.keeping is None else HERE.keeping.new()


def beside_kept(results: Node) -> Any:
    """The results. Errors: TraceError if the function has written to what it keeps, after that, by another name."""
    if MODES.written and HERE.keeping is not None:
        refuse_old([x for place in HERE.keeping.places() for x in place.nodes()], TraceError)
    return results


def put_each(kept: Sequence[Keep], numbers: Sequence[Any]) -> None:
    """Put the numbers of a call, in the order of the nodes, where its program keeps them."""
    rest = iter(numbers)
    for keep in kept:
        keep.put_numbers(rest)


def changed_entries(kept: Kept) -> Iterator[tuple[str, Any, Callable[[Any], None], Callable[[], None]]]:
    """The entries of a thing that have changed, and the thing itself where it has none.

    Of each (name, content, how to set it, how to remove it).
    """
    now, was = kept.read(), kept.was
    if kept.entries:
        for key, x in now.items():
            if not same(x, was.get(key, ABSENT)) and holds_node(x):
                name = kept.name + kept.entries.format(key)
                yield name, x, partial(entry_setter(kept), key), partial(remove_entry, kept, key)
    elif holds_node(now) and not isinstance(now, list):
        yield kept.name, now, kept.write, partial(kept.write, ABSENT if is_optional(kept) else None)


def is_optional(kept: Kept) -> bool:
    """Can there be nothing in its place?"""
    return isinstance(kept.thing, CellType) or hasattr(type(kept.thing), "__slots__")


def remove_entry(kept: Kept, key: Any) -> None:
    """Remove one entry of it, or attribute."""
    if kept.entries == OF_OBJECT and isinstance(kept.thing, type):
        delattr(kept.thing, key)
    elif kept.entries == OF_OBJECT:
        attribute_space(kept.thing).pop(key)
    else:
        kept.thing.pop(key)


def entry_setter(kept: Kept) -> Callable[[Any, Any], None]:
    """How to set one entry of it, or attribute."""
    if kept.entries == OF_OBJECT:  # as PythonState has read it, whatever its class does when it is set
        return partial(setattr, kept.thing) if isinstance(kept.thing, type) else attribute_space(kept.thing).__setitem__
    assert kept.entries == OF_DICT or type(kept.thing) is dict  # the globals of a module
    return kept.thing.__setitem__  # type: ignore[no-any-return]
