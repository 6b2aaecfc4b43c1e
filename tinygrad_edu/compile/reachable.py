"""Everything that a function can read in Python besides its arguments: one walk, by the names in its code."""

from __future__ import annotations

import builtins
import io
import os
import sys
import weakref
from _thread import LockType
from abc import ABCMeta, get_cache_token
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, ItemsView, Iterator, KeysView, Mapping, ValuesView
from contextlib import suppress
from contextvars import ContextVar
from enum import Enum
from functools import lru_cache, partial
from itertools import chain
from operator import attrgetter, itemgetter, methodcaller
from threading import Event
from types import BuiltinMethodType, CellType, FunctionType, MappingProxyType, MethodType, MethodWrapperType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.compile.entries import Entries, NamesRead
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.notes import Notes, Place
from tinygrad_edu.compile.settings_read import GENERATORS, flags_read, states_read
from tinygrad_edu.compile.user_code import (
    ABSENT,
    ATOMS,
    ENVIRONMENT,
    PROBES,
    attribute_space,
    closed_over,
    computes_names,
    contents,
    globals_in,
    holds_attributes,
    is_foreign,
    is_made,
    is_own_class,
    modules_of,
    reads_globals,
    slots_of,
    words_in,
    wrapped_in,
)
from tinygrad_edu.compile.user_code import own as attributes_of
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value

# Objects of these modules are compared attribute by attribute, but never restored: python_state.py.
COMPARED = {"_weakrefset", "configparser", "functools", "typing", "weakref"}
EVERY = "*"  # as a name: all attributes
MOST = 20_000  # things that can be noted; the rest are assumed not to change
OF_MODULES = {"forward", "training", "hooks"}  # attributes that the library itself reads in every module
OF_TORCH = {"_buffers", "_modules", "_parameters"}  # where a PyTorch module looks up its parameters and submodules
OF_FUNCTIONS = ("__code__", "__defaults__", "__kwdefaults__")
DESCRIPTIONS = {"__name__", "__qualname__", "__doc__", "__module__", "__annotations__"}
MAKERS = {"__init__", "__new__"}  # called when a trace makes an object
WRITERS = {"__repr__", "__str__", "__format__"}  # called when it turns an object into text
ASKED = {"isinstance", "issubclass"}
TEXTS = {"str", "repr", "format", "print", "ascii"}  # functions that call WRITERS
METHODS = (FunctionType, staticmethod, classmethod, property)


class StateWalk(Notes):
    """One pass over all that can be reached by these names; `names` may hold more of them afterwards."""

    def __init__(self, f: Callable[..., Any] | list[Any], names: set[str]) -> None:
        super().__init__(names)
        self.known = names
        self.seen: dict[Any, Any] = {}
        places: list[Place] = [(getattr(f, "__name__", "" if isinstance(f, list) else "the function"), f)]
        while places and len(self.seen) < MOST:
            name, x = places.pop()
            if isinstance(x, (np.ndarray, tuple)):
                self.arrivals.append(x)
            if (not isinstance(x, ATOMS) or is_own_class(type(x))) and id(x) not in self.seen:
                self.seen[id(x)] = x
                with suppress(Exception):  # some objects raise at any access
                    places.extend(self.inside(name, x))
        if self.facts.things:
            self.note(Entries("", self.facts, keys=self.facts.names))

    def inside(self, name: str, x: Any) -> Iterator[Place]:
        """The places that one thing leads to."""
        if type(x) in weakref.ProxyTypes:  # a weak proxy behaves like its target
            yield from self.of_names(name, x, [key for key in self.known if hasattr(x, key)])
            return
        for kinds, look in LOOKS:
            if isinstance(x, kinds):
                yield from look(self, name, x)
                break
        else:
            yield from self.of_buffer(name, x)
        if holds_attributes(x) or type(x).__module__ in COMPARED:
            yield from self.of_instance(name, x)
        elif not isinstance(x, (type, FunctionType, MethodType, ModuleType)):
            yield from self.of_stranger(name, x)
        if (wrapped := wrapped_in(x)) is not None:
            yield name, wrapped

    # Functions

    def of_function(self, name: str, x: FunctionType) -> Iterator[Place]:
        if not is_foreign(x.__globals__.get("__name__")):
            yield from closed_over(x)
            return
        names, space = words_in(x.__code__), x.__globals__
        self.names |= names | ({EVERY} if computes_names(x.__code__) else set())
        yield from self.of_dict("", sys.modules, [each.__name__ for each in modules_of(names)])
        if names & ENVIRONMENT:
            self.note(Entries("os.environ", lambda: [*os.environ.keys(), *os.environ.values()]))
        for free, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
            yield from self.of_cell(free, cell)
        held = NamesRead(partial(getattr, x), OF_FUNCTIONS)
        defaults = self.note(Entries(f"the defaults of {name}", held, put=partial(setattr, x)))
        yield from ((name, each) for each in defaults[1:])
        yield from self.of_dict(name, vars(x), self.known & vars(x).keys())
        self.note_additions(name, vars(x))
        yield from self.describe(name, x)
        if reads_globals(x.__code__):
            self.note(Entries("globals()", space.__iter__, space))
            yield from self.of_dict("", space, space.keys())
        yield from self.of_dict("", space, names & space.keys())
        self.note_lack("", space, globals_in(x.__code__) & (vars(builtins).keys() | (names & PROBES and names)))

    def describe(self, name: str, x: Any) -> Iterator[Place]:
        """The descriptions of a function or class, such as __name__, if the code asks for them."""
        return self.of_names(name, x, sorted(self.known & DESCRIPTIONS))

    def of_cell(self, name: str, x: CellType) -> Iterator[Place]:
        held = NamesRead(partial(getattr, x), ("cell_contents",))
        empty = contents(x) is ABSENT
        found = self.note(Entries(name, (lambda: (contents(x),)) if empty else held, put=partial(setattr, x)))
        yield from ((name, each) for each in found)

    def of_partial(self, name: str, x: partial[Any]) -> Iterator[Place]:
        yield from self.of_parts(name, lambda: (x.func, x.args, x.keywords))
        yield from self.of_dict(name, vars(x), self.known & vars(x).keys())

    def of_getter(self, name: str, x: Any) -> Iterator[Place]:
        """operator.attrgetter("a.b") and methodcaller("a") look up the names that they hold."""
        parts = list(x.__reduce__())
        self.names |= {each for text in contents_of(parts) if isinstance(text, str) for each in text.split(".")}
        yield from ((name, each) for each in contents_of(parts))

    # Objects

    def of_instance(self, name: str, x: Any) -> Iterator[Place]:
        """The attributes and methods of these names; all attributes if the object belongs to a library."""
        attributes, own = attribute_space(x), is_own_class(type(x))
        every = not own or EVERY in self.known
        keys = set(attributes) if every else {k for k in self.known if k in attributes or hasattr(type(x), k)}
        if own and every:  # an attribute set on the object later may hide one of the class
            keys.update(*(attributes_of(kind) for kind in type(x).__mro__ if is_own_class(kind)))
        keys |= OF_MODULES if getattr(type(x), "keeps_state", False) else set()
        keys |= {"_value_"} if isinstance(x, Enum) else set()
        yield from self.of_dict(name, attributes, keys)
        self.note_additions(name, attributes)
        if not isinstance(x, (Tensor, Value)):  # their class changes while another thread traces
            self.facts.add(name, x, "__class__")
        if attributes:
            self.facts.add(name, x, "__dict__")
        if own:
            makes = not self.known.isdisjoint(("__class__", "type"))
            yield from self.of_class(type(x).__name__, type(x), makes)
            for kind in type(x).__mro__:
                slots = [slot for slot in slots_of(kind) if every or slot in self.known] if is_own_class(kind) else []
                yield from self.of_names(name, x, slots)

    def note_additions(self, name: str, space: Mapping[str, Any]) -> None:
        """Note names that may be added later, if the code asks whether a name exists, or for all names."""
        if EVERY in self.known:
            self.note(Entries(name, space.__iter__, space))
        elif not self.known.isdisjoint(PROBES):
            self.note_lack(name, space, self.known)

    def of_stranger(self, name: str, x: Any) -> Iterator[Place]:
        """For an object of another library: the attributes that the code names, such as scaler.mean_."""
        attributes = attribute_space(x)
        yield from self.of_dict(name, attributes, (self.known | OF_TORCH) & attributes.keys())

    def of_class(self, name: str, x: type, makes: bool = True) -> Iterator[Place]:
        """What can be read through a class: its own names, those of its bases and of its metaclass.

        A class may hide a name of its base later, so each of them is noted for each class before it. `makes`: may the
        trace make an object of it?
        """
        if (id(x), makes) in self.seen:
            return
        self.seen[id(x), makes] = x
        kinds = [kind for each in (x, type(x)) for kind in each.__mro__ if is_own_class(kind)]
        named = {key for kind in kinds for key in self.names_of_class(kind, makes)}
        if kinds and "__subclasses__" in self.known:
            yield from self.of_parts(name, partial(type.__subclasses__, x))
        if kinds and isinstance(x, ABCMeta) and self.known & ASKED:
            self.note(Entries(f"what counts as {name}", lambda: (get_cache_token(),)))
        for kind in kinds:
            self.facts.add(kind.__name__, kind, "__mro__")
            yield from self.describe(kind.__name__, kind)
            yield from self.of_dict(kind.__name__, vars(kind), named, id(kind))
            self.note_additions(kind.__name__, vars(kind))
            self.names |= PROBES if not {"__getattr__", "__getattribute__"}.isdisjoint(vars(kind)) else set()

    def names_of_class(self, kind: type, makes: bool) -> set[str]:
        """The names of a class that a trace can ask for."""
        space, skipped = vars(kind), {"__del__", *(() if makes else MAKERS)}
        skipped |= {key for key, x in space.items() if is_made(x)} - self.known - WRITERS - MAKERS
        skipped |= set() if self.known & TEXTS else WRITERS
        special = {key for key in space if key.startswith("__") and isinstance(space[key], METHODS)}
        named = attributes_of(kind).keys() if EVERY in self.known else self.known & space.keys()
        return set(named) | (special - skipped)

    def of_module(self, name: str, x: ModuleType) -> Iterator[Place]:
        space = vars(x)
        named = self.known & space.keys()
        if not is_foreign(x.__name__):  # only the plain settings of a library's module, such as sys.argv
            yield from self.of_dict(name, space, [k for k in named if isinstance(space[k], (*ATOMS, list, dict))])
            return
        yield from self.of_dict(name, space, named | ({"__getattr__"} & space.keys()))
        if "__getattr__" in space or not self.known.isdisjoint(PROBES):
            self.note_lack(name, space, self.known)
        yield from self.of_class(type(x).__name__, type(x), False)

    def of_generator(self, name: str, x: Any) -> Iterator[Place]:
        """Its state, if the code asks for it; what it draws is noticed otherwise."""
        for check in states_read(self.known, name, x):
            self.note(check)
        return iter(())

    # Containers

    def of_items(self, name: str, x: Any) -> Iterator[Place]:
        put = x.__setitem__ if isinstance(x, list) else None
        found = self.note(Entries(name, x.__iter__, x, (), put, range(len(x))))
        yield from ((f"{name}[{i}]", each) for i, each in enumerate(found))

    def of_mapping(self, name: str, x: Mapping[Any, Any]) -> Iterator[Place]:
        if x is sys.modules:  # has thousands of entries: only those named in the code matter
            yield from self.of_dict(name, x, [key for key in x if self.known.issuperset(key.split("."))])
            return
        put = x.__setitem__ if isinstance(x, dict) else None
        keys = self.note(Entries(name, x.__iter__, x))
        found = self.note(Entries(name, x.values, x, (), put, keys))
        yield from ((f"{name}[...]", each) for each in chain(keys, found))
        if isinstance(x, defaultdict):
            yield from self.of_parts(name, lambda: (x.default_factory,))

    def of_bytes(self, name: str, x: Any) -> Iterator[Place]:
        self.note(Entries(name, lambda: (bytes(x),)))
        return iter(())

    def of_buffer(self, name: str, x: Any) -> Iterator[Place]:
        """The memory of an object of C, such as a number or an array of ctypes; the numbers of a foreign array."""
        if hasattr(type(x), "__array__") and not isinstance(x, Tensor):
            self.note(Entries(name, partial(numbers_of, x)))
            return
        try:
            with memoryview(x) as view:
                whole = view.nbytes > 0
        except (TypeError, BufferError):
            return
        yield from self.of_bytes(name, x) if whole else ()

    def of_variable(self, name: str, x: ContextVar[Any]) -> Iterator[Place]:
        return self.of_parts(name, lambda: (x.get(ABSENT),))

    # Numbers

    def of_array(self, name: str, x: Any) -> Iterator[Place]:
        if x.dtype.kind == "O":
            yield from ((name, each) for each in self.note(Entries(name, lambda: x.flat, x.flat)))
        else:
            self.things.append((name, x))
        for check in flags_read(self.known, name, x):
            self.note(check)
        # the mask of a masked array, for example
        yield from self.of_dict(name, attributes := attribute_space(x), attributes)

    def of_value(self, name: str, x: Value) -> Iterator[Place]:
        if not x.parents:
            self.things.append((name, x))
        return iter(())

    def of_tensor(self, name: str, x: Tensor) -> Iterator[Place]:
        if isinstance(x, Traced):  # left behind by a trace, and has no numbers
            return iter(())
        self.things.append((name, x))
        self.facts.add(name, x, "requires_grad")
        self.note_additions(name, vars(x))
        return iter(())


def contents_of(x: Any) -> Iterator[Any]:
    """Everything inside it, and inside the tuples and partials in it."""
    for each in x if isinstance(x, (list, tuple)) else [x.args, x.keywords] if isinstance(x, partial) else ():
        yield each
        yield from contents_of(each)


def numbers_of(x: Any) -> tuple[Any, ...]:
    """The numbers of an array of another library, such as a Series or a tensor of PyTorch, as far as it gives them."""
    try:
        held = np.asarray(x.detach() if hasattr(x, "detach") else x)
        return str(held.shape), str(held.dtype), *(held.flat if held.dtype.kind == "O" else [held.tobytes()])
    except Exception:
        return ()


def lead_to(*names: str) -> Callable[..., Iterator[Place]]:
    """A look that goes on to these attributes, which are fixed."""
    return lambda walk, name, x: iter([(name, getattr(x, key, None)) for key in names])


LOOKS: list[tuple[Any, Callable[..., Iterator[Place]]]] = [
    (Tensor, StateWalk.of_tensor),
    (np.ndarray, StateWalk.of_array),
    ((dict, MappingProxyType, type(os.environ)), StateWalk.of_mapping),
    ((KeysView, ValuesView, ItemsView), lead_to("mapping", "_mapping")),
    ((attrgetter, methodcaller, itemgetter), StateWalk.of_getter),
    ((array, bytearray, memoryview), StateWalk.of_bytes),
    (
        (io.StringIO, io.BytesIO),
        lambda walk, name, x: walk.of_parts(name, lambda: (x.getvalue(), x.tell()) if not x.closed else ()),
    ),
    (LockType, lambda walk, name, x: walk.of_parts(name, lambda: (x.locked(),))),
    (Event, lambda walk, name, x: walk.of_parts(name, lambda: (x.is_set(),))),
    (ContextVar, StateWalk.of_variable),
    (GENERATORS, StateWalk.of_generator),
    (Value, StateWalk.of_value),
    ((list, tuple, deque, set, frozenset), StateWalk.of_items),
    (FunctionType, StateWalk.of_function),
    (MethodType, lead_to("__self__", "__func__")),
    ((BuiltinMethodType, MethodWrapperType), lead_to("__self__")),
    (CellType, StateWalk.of_cell),
    (partial, StateWalk.of_partial),
    ((staticmethod, classmethod), lead_to("__func__")),
    (property, lead_to("fget", "fset")),
    (weakref.ref, lambda walk, name, x: walk.of_parts(name, lambda: (x(),))),
    (type(lru_cache(len)), StateWalk.of_cache),
    (type, StateWalk.of_class),
    (ModuleType, StateWalk.of_module),
]
