"""What a compiled function depends on in Python, noted at its trace and compared before each call."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import repeat
from operator import is_
from typing import Any

import numpy as np

from tinygrad_edu.compile.files_read import FileRead
from tinygrad_edu.compile.unread import FORM, GRADIENT, NUMBERS, Put, original
from tinygrad_edu.compile.user_code import ABSENT, ATOMS, same
from tinygrad_edu.core.aliases import Thing
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.checksum import checksum

NOTHING: tuple[Any, ...] = (ABSENT, None)  # values of an attribute that a trace may fill with what it caches
FEW = 3  # up to this many names are looked up one by one (0.06 µs each); `Entries.holds` takes 0.25 µs for any number


class NamesRead:
    """Some names of a namespace: called, what is there now, and ABSENT where there is nothing yet."""

    __slots__ = ("get", "keys")

    def __init__(self, get: Callable[..., Any], keys: Sequence[Any]) -> None:
        self.get, self.keys = get, keys

    def __call__(self) -> Iterable[Any]:
        return map(self.get, self.keys, repeat(ABSENT))

    def lookups(self) -> Iterable[tuple[Callable[..., Any], Any]]:
        return ((self.get, key) for key in self.keys)

    def at(self, kept: Sequence[int]) -> NamesRead:
        """The entries at these indices."""
        return NamesRead(self.get, [self.keys[i] for i in kept])


class Facts:
    """One attribute each of many things, such as the class of an object: called, what they are now."""

    __slots__ = ("keys", "names", "things")

    def __init__(self) -> None:
        self.things: list[Any] = []
        self.keys: list[str] = []
        self.names: list[str] = []

    def add(self, name: str, thing: Thing, key: str) -> None:
        self.things.append(thing)
        self.keys.append(key)
        self.names.append(f"{name}.{key}")

    def __call__(self) -> Iterable[Any]:
        return map(getattr, self.things, self.keys, repeat(ABSENT))

    def lookups(self) -> Iterable[tuple[Callable[..., Any], Any]]:
        return ((partial(getattr, thing), key) for thing, key in zip(self.things, self.keys, strict=True))

    def at(self, kept: Sequence[int]) -> Facts:
        """The entries at these indices."""
        found = Facts()
        found.things, found.keys = [self.things[i] for i in kept], [self.keys[i] for i in kept]
        return found


class Lacks:
    """A namespace that lacks some names that the code reads; checks that they are still missing. (0.1 µs)"""

    __slots__ = ("name", "names", "present", "space")

    def __init__(self, name: str, space: Mapping[str, Any], names: set[str]) -> None:
        self.name, self.space, self.present, self.names = name, space, space.keys(), names

    def holds(self) -> bool:
        return self.present.isdisjoint(self.names)

    def what(self) -> str:
        return ".".join(part for part in (self.name, min(self.names & self.present, default="")) if part)

    def settle(self, first: int | None = None) -> list[Check]:
        """The checks after a trace, which may itself have added one of the names."""
        come = [name for name in sorted(self.names & self.present) if is_plain(self.space[name])]
        self.names = self.names - self.present
        return [self, *([Entries(self.name, NamesRead(self.space.get, come), None, come)] if come else [])]


class Entries:
    """Some entries of a namespace, or all items of a container. `live` gives them as they are; `sized` has a length.

    `put(at, x)` replaces the one that is at this key or index, if that is possible.
    """

    __slots__ = ("at", "keys", "live", "lookups", "loose", "name", "put", "sized", "was")

    def __init__(
        self,
        name: str,
        live: Callable[[], Iterable[Any]],
        sized: Any = None,
        keys: Sequence[str] = (),
        put: Put | None = None,
        at: Sequence[Any] = (),
    ) -> None:
        self.name, self.live, self.sized, self.keys, self.was = name, live, sized, keys, list(map(original, live()))
        # its number of entries may change later
        self.loose = sized is None and not isinstance(live, (NamesRead, Facts))
        self.put, self.at = put, at or (live.keys if isinstance(live, NamesRead) else keys)
        # (get, key, value at the trace), only if the names are few
        self.lookups: list[tuple[Callable[..., Any], str, Any]] = []
        if isinstance(live, (NamesRead, Facts)) and len(self.was) <= FEW:
            self.lookups = [(*place, x) for place, x in zip(live.lookups(), self.was, strict=True)]

    def holds(self) -> bool:
        """Are they the same objects, or equal numbers and texts? (0.4 µs)"""
        if self.sized is not None and len(self.sized) != len(self.was):
            return False
        if self.loose and len(list(self.live())) != len(self.was):
            return False
        return all(map(is_, self.live(), self.was)) or self.equal()

    def what(self) -> str:
        """The name of the first entry that has changed."""
        pairs = zip(self.keys, self.live(), self.was, strict=False)
        key = next((key for key, now, was in pairs if not same_atom(now, was)), "")
        return ".".join(part for part in (self.name, key) if part)

    def items(self) -> tuple[int, int] | None:
        """(id, how many items are compared) of a list."""
        if isinstance(self.sized, list):
            return id(self.sized), len(self.was)
        get = self.live.get if isinstance(self.live, NamesRead) else None
        return (id(get.args[0]), len(self.was)) if isinstance(get, partial) and get.func is item_of else None

    def equal(self) -> bool:
        """Are the entries equal, number by number?"""
        now = list(map(original, self.live()))  # unwrapped, because another thread may be tracing
        if len(now) != len(self.was) or not all(map(same_atom, now, self.was)):
            return False
        self.was = now
        return True

    def settle(self, first: int | None = None) -> list[Check]:
        """What is compared after a trace: what the trace has changed is not, the other entries are.

        Numbers that it has put where there was nothing are: from then on the function finds them there. `first`: of
        a list that has changed, how many items may be compared. Default: all.
        """
        if self.holds():
            return [self]
        if isinstance(self.live, (NamesRead, Facts)):
            pairs = list(enumerate(zip(self.live(), self.was, strict=True)))
            kept = [
                i
                for i, (now, was) in pairs
                if is_unchanged(now, was) or (any(was is each for each in NOTHING) and is_plain(now))
            ]
            return [Entries(self.name, self.live.at(kept), None, [self.keys[i] for i in kept] if self.keys else ())]
        if isinstance(self.sized, dict):
            return [Entries(self.name, NamesRead(self.sized.get, [k for k, x in self.sized.items() if is_plain(x)]))]
        if isinstance(self.sized, list):
            old = zip(self.live(), self.was[:first], strict=False)
            kept = [i for i, (now, was) in enumerate(old) if is_unchanged(now, was)]
            return [Entries(self.name, NamesRead(partial(item_of, self.sized), kept))]
        return []


class Content:
    """The numbers of an array, Tensor or Value; or its form, or its gradient."""

    __slots__ = ("aspect", "name", "thing", "was")

    def __init__(self, name: str, thing: Thing, aspect: str = NUMBERS) -> None:
        self.name, self.thing, self.aspect = name, thing, aspect
        self.was = ASPECTS[aspect](thing)

    def what(self) -> str:
        return f"{self.name}.grad" if self.aspect == GRADIENT else self.name

    def holds(self) -> bool:
        return bool(ASPECTS[self.aspect](self.thing) == self.was)

    def settle(self, first: int | None = None) -> list[Check]:
        return [self] if self.holds() else []


class Cached:
    """The results that a function with a cache has kept: a trace has what they were, until they are cleared."""

    __slots__ = ("cache", "count", "name")

    def __init__(self, name: str, cache: Any) -> None:
        self.name, self.cache, self.count = name, cache, cache.cache_info().currsize

    def what(self) -> str:
        return f"the cache of {self.name}"

    def holds(self) -> bool:
        """(0.1 µs)"""
        return bool(self.cache.cache_info().currsize >= self.count)

    def settle(self, first: int | None = None) -> list[Check]:
        """A trace fills it."""
        self.count = self.cache.cache_info().currsize
        return [self]


Check = Entries | Lacks | Content | FileRead | Cached


def is_plain(x: Thing) -> bool:
    """Is it made of plain numbers and texts?"""
    if isinstance(x, (list, tuple, set, frozenset)):
        return all(map(is_plain, x))
    return isinstance(x, (*ATOMS, np.ndarray))


def item_of(items: Sequence[Any], i: int, default: Thing) -> Any:
    """The item of a list, which may have become shorter."""
    return items[i] if i < len(items) else default


def is_unchanged(now: Thing, was: Thing) -> bool:
    """Is it the same thing, or does it hold the same plain numbers?"""
    return now is was or (all(map(is_plain, tree_leaves(now))) and same(now, was))


def same_atom(a: Thing, b: Thing) -> bool:
    return a is b or (isinstance(a, ATOMS) and same(a, b))


def fingerprint_of(x: Thing) -> Any:
    """Shape, dtype and checksum of an array; the number of a Value, as a text, which tells -0.0 and knows NaN again."""
    if isinstance(x, Value):
        return repr(x.data)
    held = x.array if isinstance(x, Tensor) else x
    return held.shape, held.dtype, checksum(held)


def form(x: Thing) -> Any:
    """Shape and dtype, of which a trace may have made plain numbers."""
    held = x.array if isinstance(x, Tensor) else x
    return held.shape, held.dtype


def gradient_numbers(x: Thing) -> Any:
    """The numbers of the gradient."""
    return fingerprint_of(x.grad) if isinstance(x.grad, np.ndarray) else repr(x.grad)


ASPECTS: dict[str, Callable[[Any], Any]] = {NUMBERS: fingerprint_of, FORM: form, GRADIENT: gradient_numbers}
