"""What a walk through a function's Python notes for the guard to compare."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from tinygrad_edu.compile.entries import Cached, Check, Entries, Facts, Lacks, NamesRead
from tinygrad_edu.compile.unread import arrays_in

Place = tuple[str, Any]


class Notes:
    """Entries, facts and missing names that are compared, and the arrays, Tensors and Values that were met."""

    def __init__(self, names: set[str]) -> None:
        self.names = set(names)
        self.checks: list[Check] = []
        self.things: list[Place] = []  # arrays, Tensors and Values
        self.facts = Facts()
        self.arrivals: list[Any] = []  # each array and tuple, once per path that leads to it
        self.noted: defaultdict[int, set[str]] = defaultdict(set)  # id of a namespace -> the names noted in it

    def places(self) -> list[tuple[Any, Any, Any]]:
        """Where things can be put: (put, key, what is there)."""
        entries = [x for x in self.checks if isinstance(x, Entries) and x.put]
        return [(x.put, *place) for x in entries for place in zip(x.at, x.was, strict=True)]

    def hidden(self) -> set[int]:
        """The ids of arrays that cannot be replaced by a stand-in, because they are in a partial or a deque, say."""
        entries = [x for x in self.checks if isinstance(x, Entries)]
        noted = Counter(id(x) for check in entries for x in check.was)
        arrived = Counter(map(id, self.arrivals))
        fixed = [x for check in entries if not (check.put or isinstance(check.sized, tuple)) for x in check.was]
        unnoted = [x for x in self.arrivals if arrived[id(x)] > noted[id(x)]]
        return {id(array) for x in (*fixed, *unnoted) for array in arrays_in(x)}

    def note(self, entries: Entries) -> Sequence[Any]:
        """Compare them from now on; what they are now."""
        self.checks.append(entries)
        texts = [x for x in entries.was if isinstance(x, str)]
        self.names |= {text for text in texts if text.isidentifier()}  # a text may be used as a name: which = "layer2"
        return entries.was

    def note_lack(self, name: str, space: Mapping[str, Any], names: Iterable[str]) -> None:
        """Compare from now on that a namespace has none of these names."""
        if names := set(names) - space.keys():
            self.checks.append(Lacks(name, space, names))

    def of_dict(self, name: str, space: Mapping[str, Any], keys: Iterable[str], of: int = 0) -> Iterator[Place]:
        """Note entries of a namespace, missing ones too, since they may be added later. `of`: the id of its owner."""
        keys = sorted(set(keys) - self.noted[of or id(space)])
        self.noted[of or id(space)].update(keys)
        if not keys:
            return
        put = space.__setitem__ if isinstance(space, dict) else None
        found = self.note(Entries(name, NamesRead(space.get, keys), None, keys, put))
        yield from ((f"{name}.{key}" if name else key, x) for key, x in zip(keys, found, strict=True))

    def of_names(self, name: str, x: Any, keys: Sequence[str]) -> Iterator[Place]:
        """Note attributes that are read by getattr."""
        if keys:
            found = self.note(Entries(name, NamesRead(partial(getattr, x), keys), keys=keys, put=partial(setattr, x)))
            yield from ((name, each) for each in found)

    def of_parts(self, name: str, parts: Callable[[], Iterable[Any]]) -> Iterator[Place]:
        """Note the items of `parts()`, which cannot be replaced by stand-ins."""
        yield from ((name, each) for each in self.note(Entries(name, parts)))

    def of_cache(self, name: str, x: Any) -> Iterator[Place]:
        """Note that a function has kept results, which a trace may have read."""
        self.checks.append(Cached(name, x))
        return iter(())
