"""Was an array written to between forward and backward? A gradient from other numbers would be wrong without a word.

Each Tensor that was computed knows its tick of one clock (`made`). A Tensor whose array was handed out (`x.data`) or
replaced has a `WriteGuard` that knows the tick of the last write; the others have none and cost nothing. Backward
compares the two where the derivative reads the array, and raises SavedArrayChangedError.
"""

from __future__ import annotations

import sys
import weakref
from collections.abc import Callable, Sequence
from itertools import count
from typing import Any

import numpy as np

from tinygrad_edu.core.operation import ArrayOperation, Operation
from tinygrad_edu.core.writes.checksum import checksum
from tinygrad_edu.errors import SavedArrayChangedError

Array = np.ndarray[Any, Any]
ArrayRef = Callable[[], Array | None]  # a weak reference
Node = Any  # a Tensor; an alias, because tensor.py imports this file
CLOCK = count(1)
SMALL = 65_536  # bytes up to which the fingerprint is the array's contents; above, a checksum


class WriteGuard:
    """When a Tensor's array was last written to, as far as can be known.

    Our own writes (`x.data = ...`, `x[0] = ...`) report themselves. Of an array that somebody outside holds, only
    a fingerprint can tell; it is taken when the array is handed out, whenever an operation uses it, and in backward,
    until nobody holds it any more: after `w.data -= step` that is at the next use.
    """

    __slots__ = ("known", "viewed", "written")

    def __init__(self, known: int | bytes | None = None, viewed: tuple[ArrayRef, ...] = ()) -> None:
        self.written = 0  # tick of the last write
        self.known = known  # fingerprint of an array that somebody outside holds
        self.viewed = viewed  # for a constant copied from a view: weak references to the arrays it was a view of

    def __getstate__(self) -> Any:
        """The state for copies and pickles, which are views of nothing."""
        return None, {"known": self.known, "written": self.written, "viewed": ()}

    def earlier(self, ticks: int) -> WriteGuard:
        """A copy with its ticks moved back by `ticks`, for an array that is not a view."""
        guard = WriteGuard(self.known)
        guard.written = self.written - ticks
        return guard

    def hand_out(self, array: Array) -> None:
        """Note that somebody outside holds the array from now on."""
        if self.known is None:
            self.known = fingerprint(array)

    def report(self) -> None:
        """Note that the array was written to just now."""
        self.written = next(CLOCK)

    def note_own_write(self, array: Array, made: int) -> None:
        """Note that the engine itself wrote to the array at the tick `made`."""
        self.written, self.known = made, None if self.known is None else fingerprint(array)

    def views_another(self) -> bool:
        """Was it taken from an array that still lives? Then a write to it would be expected there too."""
        return any(array() is not None for array in self.viewed)

    def replace(self) -> None:
        """Note that a new array has just taken its place, which nobody outside holds yet."""
        self.known, self.written = None, next(CLOCK)

    def look(self, array: Array) -> int:
        """The tick of the last write: just now, where the fingerprint has changed."""
        if self.known is not None:
            now = fingerprint(array)
            if now != self.known:
                self.known, self.written = now, next(CLOCK)
            # nobody else holds the array or a view of it any more
            if sys.getrefcount(array) <= HELD and array.base is None:
                self.known = None
        return self.written


def fingerprint(array: Array) -> int | bytes:
    """Changes when the array does: up to 64 kB the bytes themselves, ten times faster than a checksum."""
    return array.tobytes() if array.nbytes <= SMALL else checksum(array)


class _Holder:
    """Holds an array in the way a Tensor does."""

    def __init__(self) -> None:
        self.array = np.empty(1)


def count_references(array: Array) -> int:
    """The reference count of an array that one object holds, measured as in `look`: 3 in CPython 3.11."""
    return sys.getrefcount(array)


HOLDER = _Holder()
HELD = count_references(HOLDER.array)


def guard_of(x: Node) -> WriteGuard:
    """The guard of a Tensor, which gets one at the first need."""
    if x._guard is None:
        x._guard = WriteGuard()
    return x._guard  # type: ignore[no-any-return]


def was_written(uses: Sequence[tuple[Node, int]]) -> bool:
    """Was any array written to after its use? Whether that matters, `refuse_changed` says.

    `uses`: Tensors with a guard, and the ticks at which an operation has used them.
    """
    written: dict[Node, int] = {}  # per weight: one may be used a hundred times, and its array is checked once
    for x, made in uses:
        if x not in written:
            written[x] = x._guard.look(x.array)
        if written[x] > made:
            return True
    return False


def refuse_changed(x: Node) -> None:
    """An array whose value the derivative reads must still be what it was in the forward pass."""
    operation, kind = x.op, x.__class__
    later = [p for p in x.parents if p.__class__ is kind and p._made > x._made]
    if later:
        raise SavedArrayChangedError(
            f"{later[0]!r} was written to, as in y[0] = 1.0, after {operation.name} had used it: the gradient of that "
            "use would flow into the new numbers. Write first, or write to a copy, as in z = +y"
        )
    saves = operation.saves if isinstance(operation, Operation) else None
    if saves is None and is_linear(operation):
        return
    for i, node in enumerate((x, *x.parents)):
        if node.__class__ is kind and (saves is None or saves[i]) and has_changed_since(node, x._made):
            raise SavedArrayChangedError(
                f"{node!r} was written to after {operation.name} had used it, and the derivative "
                f"of {operation.name} needs the old numbers. Change data after backward(), or compute with a copy"
            )


def is_linear(operation: Any) -> bool:
    return isinstance(operation, ArrayOperation) and operation.linear


def has_changed_since(node: Node, made: int) -> bool:
    """Was the array written to after that tick? Of a view (W.T), also through the array that it looks at."""
    while node is not None:
        if node._guard is not None and node._guard.look(node.array) > made:
            return True
        bases = [p for p in node.parents if hasattr(p, "array") and np.may_share_memory(p.array, node.array)]
        # the node's base was written later, possibly with numbers computed from this view
        if any(base._made > node._made for base in bases):
            return True
        node = bases[0] if bases else None
    return False


def protect_view(view: Node, *parents: Any) -> Node:
    """A write through a view would reach its base unseen: it is read-only, or a copy where no graph holds the base."""
    if view.parents:
        view.array.flags.writeable = False
    else:
        of = [p._guard.viewed for p in parents if p.__class__ is view.__class__ and p._guard is not None]
        alive = [array for viewed in of for array in viewed if array() is not None]
        own = [weakref.ref(view.array.base)] if isinstance(view.array.base, np.ndarray) else []
        view._guard = WriteGuard(viewed=(*alive, *own))
        view.array = view.array.copy(order="K")
    return view
