"""What a compiled function has read in Python besides its arguments, and whether it is still the same.

A trace keeps what it saw: `scale` of a closure, `model.training`, the layers in a list, an activation. So everything
that the function can read is noted and checked before every call; if any of it has changed, the function is traced
again.

What it can read is found without running it: the globals, closures and defaults of its code, and from there only the
attributes and methods that are named in code it can reach, or by a text in it, repeated until no new name turns up. So
a class that also keeps an optimizer and a list of losses is not searched if the function names neither. Where code
computes a name (getattr(self, f"layer{i}"), vars(self), eval), all attributes of the objects that it reaches count as
named. What it asks the system for (the time, files, settings of another library) is not compared.

Of Values, Tensors and arrays only the numbers that Python has read in the trace are compared (see unread.py), by
checksum: the program reads all others again at each call.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections import Counter, deque
from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from operator import attrgetter, methodcaller
from types import CellType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.compile.entries import ABSENT, Content, Entries, Names
from tinygrad_edu.compile.unread import NUMBERS, Readings, arrays_in
from tinygrad_edu.compile.user_code import (
    ATOMS,
    ENVIRONMENT,
    closed_over,
    computes_names,
    holds_attributes,
    is_foreign,
    is_own_class,
    modules_of,
    slots_of,
    words_in,
    wrapped_in,
)
from tinygrad_edu.compile.user_code import own as attributes_of
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value

EVERY = "*"  # among the names: all attributes count as named
WISH = attrgetter("requires_grad")
MOST = 20_000  # things that are noted; the rest are assumed not to change
OF_MODULES = {"forward", "training", "hooks"}  # read of every module by the library's own code
NOT_CALLED = {"__init__", "__new__", "__repr__", "__str__", "__del__", "__eq__", "__hash__"}  # by a trace

DEFAULTS = ("__defaults__", "__kwdefaults__")

Place = tuple[str, Any]


class Guard:
    """All that a function can read, as it is now: the entries, and the numbers of arrays, Tensors and Values."""

    def __init__(self, f: Callable[..., Any]) -> None:
        names: set[str] = set(OF_MODULES)
        while True:
            walk = Walk(f, names)
            if walk.names == names:
                break
            names = walk.names
        self.entries, self.things, self.names = walk.checks, walk.things, names
        self.places = [(x.put, *place) for x in walk.checks if x.put for place in zip(x.at, x.was, strict=True)]
        self.hidden = walk.hidden()
        self.contents: dict[Any, Content] = {}  # by the id of a thing, and what of it is compared
        self.sort_checks(self.entries)

    def sort_checks(self, checks: Sequence[Entries | Content]) -> None:
        """All of them; and for `holds` the single names, (get, name, what it gave), and the others."""
        self.checks = checks
        lookups = [(check, check.lookups if isinstance(check, Entries) else []) for check in checks]
        self.names_alone = [each for _, found in lookups for each in found]
        self.others = [check for check, found in lookups if not found]

    def first_change(self) -> str:
        """The name of the first thing that has changed; "" if nothing has."""
        for check in self.checks:
            if not check.holds():
                return check.what()
        return ""

    def holds(self) -> bool:
        """Is everything the same?"""
        for get, name, was in self.names_alone:
            if get(name, ABSENT) is not was:  # 0.06 µs where `Entries.holds` takes 0.25
                return not self.first_change()
        for check in self.others:  # noqa: SIM110 (a generator takes twice as long)
            if not check.holds():
                return False
        return True

    def compare(self, read: Readings, unread: Container[int]) -> None:
        """From now on compare what a trace has read, and all numbers of what is not known to be unread.

        What the trace itself has changed is not compared.
        """
        self.entries = [check for check in self.entries if check.holds()]
        for name, thing in self.things:
            known = read.get(id(thing), set())
            for aspect in known if id(thing) in unread else known | {NUMBERS}:
                if (id(thing), aspect) not in self.contents:
                    self.contents[id(thing), aspect] = Content(name, thing, aspect)
        self.sort_checks([*self.entries, *(content for content in self.contents.values() if content.holds())])


class Walk:
    """One pass over all that can be reached by these names; `names` may hold more of them afterwards."""

    def __init__(self, f: Callable[..., Any], names: set[str]) -> None:
        self.names, self.known = set(names), names
        self.checks: list[Entries] = []
        self.things: list[Place] = []  # arrays, Tensors and Values
        self.tensors: list[Tensor] = []
        self.arrivals: list[Any] = []  # each array and tuple, as often as it is come upon
        seen: dict[int, Any] = {}
        places: list[Place] = [(getattr(f, "__name__", "the function"), f)]
        while places and len(seen) < MOST:
            name, x = places.pop()
            if isinstance(x, (np.ndarray, tuple)):
                self.arrivals.append(x)
            if (not isinstance(x, ATOMS) or is_own_class(type(x))) and id(x) not in seen:
                seen[id(x)] = x
                places += self.inside(name, x)
        if self.tensors:
            self.note(Entries("requires_grad of a Tensor", partial(map, WISH, self.tensors)))

    def inside(self, name: str, x: Any) -> Iterator[Place]:
        """What one thing leads to."""
        for kinds, look in LOOKS:
            if isinstance(x, kinds):
                yield from look(self, name, x)
                break
        if holds_attributes(x):
            yield from self.of_instance(name, x)
        if (wrapped := wrapped_in(x)) is not None:
            yield name, wrapped

    def hidden(self) -> set[int]:
        """The ids of arrays that are found where nothing can stand in for them, such as in a partial or a deque."""
        noted = Counter(id(x) for check in self.checks for x in check.was)
        arrived = Counter(map(id, self.arrivals))
        fixed = [x for check in self.checks if not (check.put or isinstance(check.sized, tuple)) for x in check.was]
        unnoted = [x for x in self.arrivals if arrived[id(x)] > noted[id(x)]]
        return {id(array) for x in (*fixed, *unnoted) for array in arrays_in(x)}

    def note(self, entries: Entries) -> Sequence[Any]:
        """Compare them from now on; what they are now."""
        self.checks.append(entries)
        texts = [x for x in entries.was if isinstance(x, str)]
        self.names |= {text for text in texts if text.isidentifier()}  # which = "layer2"
        return entries.was

    def of_dict(self, name: str, space: Mapping[str, Any], keys: Sequence[str]) -> Iterator[Place]:
        """These entries of a namespace; one that is missing may be added later."""
        if not keys:
            return
        put = space.__setitem__ if isinstance(space, dict) else None
        found = self.note(Entries(name, Names(space.get, keys), None, keys, put))
        yield from ((f"{name}.{key}" if name else key, x) for key, x in zip(keys, found, strict=True))

    def of_function(self, name: str, x: FunctionType) -> Iterator[Place]:
        if not is_foreign(x.__globals__.get("__name__")):
            yield from closed_over(x)
            return
        names = words_in(x.__code__)
        self.names |= names | ({EVERY} if computes_names(x.__code__) else set())
        yield from ((each.__name__, each) for each in modules_of(names))
        if names & ENVIRONMENT:
            self.note(Entries("os.environ", lambda: [*os.environ.keys(), *os.environ.values()]))
        for free, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
            yield from self.of_cell(free, cell)
        held = Names(partial(getattr, x), DEFAULTS)
        defaults = self.note(Entries(f"the defaults of {name}", held, put=partial(setattr, x)))
        yield from ((name, each) for each in defaults)
        yield from self.of_dict("", x.__globals__, sorted(names & x.__globals__.keys()))

    def of_cell(self, name: str, x: CellType) -> Iterator[Place]:
        try:
            found = self.note(Entries(name, Names(partial(getattr, x), ("cell_contents",)), put=partial(setattr, x)))
            yield from ((name, each) for each in found)
        except ValueError:  # it has no contents yet
            return

    def of_instance(self, name: str, x: Any) -> Iterator[Place]:
        """The attributes and methods of these names; all attributes if the object belongs to a library."""
        attributes, own = getattr(x, "__dict__", {}), is_own_class(type(x))
        every = not own or EVERY in self.known
        keys = set(attributes) if every else {k for k in self.known if k in attributes or hasattr(type(x), k)}
        if own and every:  # an attribute of the class may be hidden by one of the object later
            keys.update(*(attributes_of(kind) for kind in type(x).__mro__ if is_own_class(kind)))
        keys |= OF_MODULES if getattr(type(x), "keeps_state", False) else set()
        yield from self.of_dict(name, attributes, sorted(keys))
        for kind in type(x).__mro__ if own else ():
            if is_own_class(kind):
                yield kind.__name__, kind
                slots = [slot for slot in slots_of(kind) if every or slot in self.known]
                yield from self.of_slots(name, x, slots) if slots else ()

    def of_slots(self, name: str, x: Any, slots: Sequence[str]) -> Iterator[Place]:
        found = self.note(Entries(name, Names(partial(getattr, x), slots), put=partial(setattr, x)))
        yield from ((name, each) for each in found)

    def of_class(self, name: str, x: type) -> Iterator[Place]:
        if is_own_class(x):
            space = vars(x)
            special = {key for key in space if key.startswith("__") and isinstance(space[key], FunctionType)}
            named = attributes_of(x).keys() if EVERY in self.known else self.known & space.keys()
            yield from self.of_dict(name, space, sorted(named | (special - NOT_CALLED)))

    def of_module(self, name: str, x: ModuleType) -> Iterator[Place]:
        named = sorted(self.known & vars(x).keys())
        if not is_foreign(x.__name__):  # of a library's module its settings, such as sys.argv
            named = [key for key in named if isinstance(vars(x)[key], (*ATOMS, list, dict))]
        yield from self.of_dict(name, vars(x), named)

    def of_items(self, name: str, x: Any) -> Iterator[Place]:
        put = x.__setitem__ if isinstance(x, list) else None
        found = self.note(Entries(name, x.__iter__, x, (), put, range(len(x))))
        yield from ((f"{name}[{i}]", each) for i, each in enumerate(found))

    def of_getter(self, name: str, x: Any) -> Iterator[Place]:
        """operator.attrgetter("a.b") and methodcaller("a") look up the names that they hold."""
        self.names |= {each for text in x.__reduce__()[1] if isinstance(text, str) for each in text.split(".")}
        return iter(())

    def of_bytes(self, name: str, x: Any) -> Iterator[Place]:
        self.note(Entries(name, lambda: (bytes(x),)))
        return iter(())

    def of_variable(self, name: str, x: ContextVar[Any]) -> Iterator[Place]:
        yield from ((name, each) for each in self.note(Entries(name, lambda: (x.get(ABSENT),))))

    def of_mapping(self, name: str, x: Mapping[Any, Any]) -> Iterator[Place]:
        if x is sys.modules:  # thousands of entries, of which those count that are named
            yield from self.of_dict(name, x, sorted(key for key in x if self.known.issuperset(key.split("."))))
            return
        put = x.__setitem__ if isinstance(x, dict) else None
        found = self.note(Entries(name, x.values, x, (), put, self.note(Entries(name, x.__iter__, x))))
        yield from ((f"{name}[...]", each) for each in found)

    def of_array(self, name: str, x: Any) -> Iterator[Place]:
        if x.dtype.kind == "O":
            yield from ((name, each) for each in self.note(Entries(name, lambda: x.flat, x.flat)))
        else:
            self.things.append((name, x))

    def of_value(self, name: str, x: Value) -> Iterator[Place]:
        if not x.parents:
            self.things.append((name, x))
        return iter(())

    def of_tensor(self, name: str, x: Tensor) -> Iterator[Place]:
        self.things.append((name, x))
        self.tensors.append(x)
        return iter(())


LOOKS: list[tuple[Any, Callable[..., Iterator[Place]]]] = [
    (Tensor, Walk.of_tensor),
    (np.ndarray, Walk.of_array),
    ((dict, MappingProxyType, type(os.environ)), Walk.of_mapping),
    ((attrgetter, methodcaller), Walk.of_getter),
    ((array, bytearray, memoryview), Walk.of_bytes),
    (ContextVar, Walk.of_variable),
    (Value, Walk.of_value),
    ((list, tuple, deque, set, frozenset), Walk.of_items),
    (FunctionType, Walk.of_function),
    (MethodType, lambda walk, name, x: iter([(name, x.__self__), (name, x.__func__)])),
    (CellType, Walk.of_cell),
    (partial, lambda walk, name, x: iter([(name, x.func), (name, x.args), (name, x.keywords)])),
    ((staticmethod, classmethod), lambda walk, name, x: iter([(name, x.__func__)])),
    (property, lambda walk, name, x: iter([(name, x.fget)])),
    (type, Walk.of_class),
    (ModuleType, Walk.of_module),
]
