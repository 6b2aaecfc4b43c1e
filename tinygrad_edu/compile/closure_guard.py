"""What a compiled function has read in Python besides its arguments, and whether it is still the same.

A trace keeps what it saw: `scale` of a closure, `model.training`, the layers in a list, an activation. So everything
that the function can read is noted and checked before every call; if any of it has changed, the function is traced
again.

What it can read is found without running it: the globals, closures and defaults of its code, and from there only the
attributes and methods that are named in code it can reach, or by a text in it, repeated until no new name turns up. So
a class that also keeps an optimizer and a list of losses is not searched if the function names neither. Where code
computes a name (getattr(self, f"layer{i}"), vars(self), eval), all attributes of the objects that it reaches count as
named. What it asks the system for (the time, files, settings of another library) is not compared.

Arrays that the program reads again at each call are not compared; all others are compared by checksum.
"""

from __future__ import annotations

import os
import sys
from array import array
from collections import deque
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from functools import partial
from itertools import repeat
from operator import attrgetter, is_, methodcaller
from types import CellType, FunctionType, MappingProxyType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.compile.user_code import (
    ATOMS,
    ENVIRONMENT,
    closed_over,
    computes_names,
    holds_attributes,
    is_foreign,
    is_own_class,
    modules_of,
    same,
    slots_of,
    words_in,
    wrapped_in,
)
from tinygrad_edu.compile.user_code import own as attributes_of
from tinygrad_edu.core.checksum import checksum
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value

ABSENT = object()
EVERY = "*"  # among the names: all attributes count as named
WISH = attrgetter("requires_grad")
MOST = 20_000  # things that are noted; the rest are assumed not to change
OF_MODULES = {"forward", "training", "hooks"}  # read of every module by the library's own code
NOT_CALLED = {"__init__", "__new__", "__repr__", "__str__", "__del__", "__eq__", "__hash__"}  # by a trace

Place = tuple[str, Any]


class Entries:
    """Some entries of a namespace, or all items of a container. `live` gives them as they are; `sized` has a length."""

    __slots__ = ("keys", "live", "name", "sized", "was")

    def __init__(
        self, name: str, live: Callable[[], Iterable[Any]], sized: Any = None, keys: Sequence[str] = ()
    ) -> None:
        self.name, self.live, self.sized, self.keys, self.was = name, live, sized, keys, list(live())

    def holds(self) -> bool:
        """Are they the same objects, or equal numbers and texts? (0.4 µs)"""
        if self.sized is not None and len(self.sized) != len(self.was):
            return False
        return all(map(is_, self.live(), self.was)) or self.equal()

    def what(self) -> str:
        """The name of the first entry that has changed."""
        pairs = zip(self.keys, self.live(), self.was, strict=False)
        key = next((key for key, now, was in pairs if not same_atom(now, was)), "")
        return ".".join(part for part in (self.name, key) if part)

    def equal(self) -> bool:
        """The same, number by number."""
        now = list(self.live())
        if len(now) != len(self.was) or not all(map(same_atom, now, self.was)):
            return False
        self.was = now
        return True


class Content:
    """The numbers of an array or Tensor."""

    __slots__ = ("name", "thing", "was")

    def __init__(self, name: str, thing: Any) -> None:
        self.name, self.thing, self.was = name, thing, numbers(thing)

    def what(self) -> str:
        return self.name

    def holds(self) -> bool:
        return bool(numbers(self.thing) == self.was)


class Guard:
    """All that a function can read, as it is now."""

    def __init__(self, f: Callable[..., Any]) -> None:
        names: set[str] = set(OF_MODULES)
        while True:
            walk = Walk(f, names)
            if walk.names == names:
                break
            names = walk.names
        self.checks: list[Entries | Content] = walk.checks
        self.names = names

    def first_change(self) -> str:
        """The name of the first thing that has changed; "" if nothing has."""
        for check in self.checks:
            if not check.holds():
                return check.what()
        return ""

    def holds(self) -> bool:
        """Is everything the same?"""
        for check in self.checks:  # noqa: SIM110 (a generator takes twice as long)
            if not check.holds():
                return False
        return True

    def leave_out(self, read_anew: Container[int]) -> None:
        """Drop what the trace itself has changed, and the numbers of arrays that the program reads at each call."""
        self.checks = [
            check
            for check in self.checks
            if not (isinstance(check, Content) and id(check.thing) in read_anew) and check.holds()
        ]


class Walk:
    """One pass over all that can be reached by these names; `names` may hold more of them afterwards."""

    def __init__(self, f: Callable[..., Any], names: set[str]) -> None:
        self.names, self.known = set(names), names
        self.checks: list[Entries | Content] = []
        self.tensors: list[Tensor] = []
        seen: dict[int, Any] = {}
        places: list[Place] = [(getattr(f, "__name__", "the function"), f)]
        while places and len(seen) < MOST:
            name, x = places.pop()
            if (not isinstance(x, ATOMS) or is_own_class(type(x))) and id(x) not in seen:
                seen[id(x)] = x
                places += self.inside(name, x)
        if self.tensors:
            self.entries("requires_grad of a Tensor", partial(map, WISH, self.tensors))

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

    def entries(
        self, name: str, live: Callable[[], Iterable[Any]], sized: Any = None, keys: Sequence[str] = ()
    ) -> Sequence[Any]:
        """Note them; what they are now."""
        self.checks.append(Entries(name, live, sized, keys))
        found: Sequence[Any] = self.checks[-1].was
        self.names |= {each for each in found if isinstance(each, str) and each.isidentifier()}  # which = "layer2"
        return found

    def of_dict(self, name: str, space: Mapping[str, Any], keys: Sequence[str]) -> Iterator[Place]:
        """These entries of a namespace; one that is missing may be added later."""
        found = self.entries(name, partial(map, space.get, keys, repeat(ABSENT)), None, keys)
        yield from ((f"{name}.{key}" if name else key, x) for key, x in zip(keys, found, strict=True))

    def of_function(self, name: str, x: FunctionType) -> Iterator[Place]:
        if not is_foreign(x.__globals__.get("__name__")):
            yield from closed_over(x)
            return
        names = words_in(x.__code__)
        self.names |= names | ({EVERY} if computes_names(x.__code__) else set())
        yield from ((each.__name__, each) for each in modules_of(names))
        if names & ENVIRONMENT:
            self.entries("os.environ", lambda: [*os.environ.keys(), *os.environ.values()])
        for free, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
            yield from self.of_cell(free, cell)
        defaults = self.entries(f"the defaults of {name}", lambda: (x.__defaults__, x.__kwdefaults__))
        yield from ((name, each) for each in defaults)
        yield from self.of_dict("", x.__globals__, sorted(names & x.__globals__.keys()))

    def of_cell(self, name: str, x: CellType) -> Iterator[Place]:
        try:
            yield from ((name, each) for each in self.entries(name, lambda: (x.cell_contents,)))
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
        yield from ((name, each) for each in self.entries(name, lambda: [getattr(x, s, ABSENT) for s in slots]))

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
        found = self.entries(name, x.__iter__, x)
        yield from ((f"{name}[{i}]", each) for i, each in enumerate(found))

    def of_getter(self, name: str, x: Any) -> Iterator[Place]:
        """operator.attrgetter("a.b") and methodcaller("a") look up the names that they hold."""
        self.names |= {each for text in x.__reduce__()[1] if isinstance(text, str) for each in text.split(".")}
        return iter(())

    def of_bytes(self, name: str, x: Any) -> Iterator[Place]:
        self.entries(name, lambda: (bytes(x),))
        return iter(())

    def of_variable(self, name: str, x: ContextVar[Any]) -> Iterator[Place]:
        yield from ((name, each) for each in self.entries(name, lambda: (x.get(ABSENT),)))

    def of_mapping(self, name: str, x: Mapping[Any, Any]) -> Iterator[Place]:
        if x is sys.modules:  # thousands of entries, of which those count that are named
            yield from self.of_dict(name, x, sorted(key for key in x if self.known.issuperset(key.split("."))))
            return
        self.entries(name, x.__iter__, x)
        yield from ((f"{name}[...]", each) for each in self.entries(name, x.values, x))

    def of_array(self, name: str, x: Any) -> Iterator[Place]:
        if x.dtype.kind == "O":
            yield from ((name, each) for each in self.entries(name, lambda: x.flat, x.flat))
        else:
            self.checks.append(Content(name, x))

    def of_value(self, name: str, x: Value) -> Iterator[Place]:
        if not x.parents:
            self.checks.append(Content(name, x))
        return iter(())

    def of_tensor(self, name: str, x: Tensor) -> Iterator[Place]:
        self.checks.append(Content(name, x))
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


def same_atom(a: Any, b: Any) -> bool:
    return a is b or (isinstance(a, ATOMS) and same(a, b))


def numbers(x: Any) -> Any:
    """Shape, dtype and checksum of an array; the number of a Value."""
    if isinstance(x, Value):
        return x.data
    held = x.array if isinstance(x, Tensor) else x
    return held.shape, held.dtype, checksum(held)
