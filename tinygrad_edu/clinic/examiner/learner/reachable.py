"""What a learner's program can reach: its state, copied so that it can be put back bit for bit.

A program keeps numbers in attributes, lists, dicts, closures, default arguments and globals of its own modules. From
the callables and objects that are handed over, `spots_in` finds every spot that holds something; `MutableState` copies
what is mutable in them. Nothing is called and no property is read: only what lies there is looked at.
"""

from __future__ import annotations

import builtins
import random
import sys
import types
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.learner.patch_math import cell_contents, is_installed
from tinygrad_edu.compile.settings_read import GENERATORS
from tinygrad_edu.compile.torch_generators import TorchGenerator, put_torch_state, state_of_torch

Array = np.ndarray[Any, Any]
LIMIT = 200_000  # objects examined; a program with more keeps its data in lists, and then only arrays matter
ATOMS = (int, float, complex, str, bytes, bool, type(None), range, slice, types.BuiltinFunctionType, np.generic)
BUILTINS = vars(builtins)  # shared by all threads: neither examined nor restored


def walk(roots: Iterable[Any]) -> Iterator[Any]:
    """Every mutable thing that the roots lead to, each once, as it is met."""
    seen: dict[int, Any] = {}
    waiting = deque(roots)
    while waiting and len(seen) < LIMIT:
        x = waiting.popleft()
        if isinstance(x, ATOMS) or id(x) in seen or x is BUILTINS:
            continue
        seen[id(x)] = x  # keeps it alive, so that its id is not reused
        yield x
        waiting.extend(inside(x))


def inside(x: Any) -> Iterable[Any]:
    """The contents of a container or an object."""
    if isinstance(x, dict):
        return [value for _, value in items_of(x)]
    if isinstance(x, (list, tuple, set, frozenset, deque)):
        return [*x]
    if isinstance(x, types.MethodType):
        return [x.__self__, x.__func__]
    if isinstance(x, types.FunctionType):
        return closure_of(x)
    if plain_python(x) is not None:
        return [plain_python(x)]
    if isinstance(x, np.ndarray):
        return x.ravel().tolist() if x.dtype == object else ()
    if isinstance(x, type):
        return [] if is_packaged(x) else [*vars(x).values()]
    if isinstance(x, (staticmethod, classmethod)):
        return [x.__func__]
    if isinstance(x, property):
        return [f for f in (x.fget, x.fset) if f]
    if isinstance(x, types.ModuleType):
        return [] if is_installed(vars(x)) else [value for _, value in items_of(vars(x))]
    return [*attributes(x).values(), type(x), *partial_of(x)]


def items_of(x: dict[Any, Any]) -> list[tuple[Any, Any]]:
    """The items of a dict; of the globals of a module those of the program, not __builtins__ or __loader__."""
    world = "__builtins__" in x
    return [(key, value) for key, value in [*x.items()] if not (world and str(key).startswith("__"))]


def partial_of(x: Any) -> list[Any]:
    """The parts of a functools.partial."""
    parts = [getattr(x, name, None) for name in ("func", "args", "keywords")] if type(x).__name__ == "partial" else []
    return [p for p in parts if p is not None]


def is_packaged(x: Any) -> bool:
    """Is it Python's own, or a package's, and not the learner's? Those are not entered.

    What was typed at a prompt belongs to __main__, and is the learner's even where pytest or a kernel is the main file.
    """
    name = str(getattr(x, "__module__", "") or "")
    if name == "__main__":
        return False
    return is_installed({"__name__": name, "__file__": getattr(sys.modules.get(name), "__file__", "")})


def plain_python(x: Any) -> Any:
    """The learner's own function inside a compiled one (of Numba); None for what is none."""
    inner = vars(x).get("py_func") if hasattr(x, "__dict__") and str(type(x).__module__).startswith("numba") else None
    return inner if isinstance(inner, types.FunctionType) else None


def closure_of(f: types.FunctionType) -> list[Any]:
    """What a learner's function can reach: closures, defaults, and the globals that its code names."""
    if is_installed(f.__globals__):
        return []
    names = set(names_of_code(f.__code__))
    cells = [cell_contents(cell) for cell in f.__closure__ or ()]
    world = [f.__globals__[name] for name in names if name in f.__globals__]
    return [*cells, *(f.__defaults__ or ()), *(f.__kwdefaults__ or {}).values(), *world, *vars(f).values()]


def names_of_code(code: types.CodeType) -> Iterator[str]:
    """The names that a function and the functions inside it use."""
    yield from code.co_names
    for x in code.co_consts:
        if isinstance(x, types.CodeType):
            yield from names_of_code(x)


def attributes(x: Any) -> dict[str, Any]:
    """The attributes that an object of the learner's own class holds, __slots__ too; of such a class, its own."""
    if isinstance(x, type):
        held = {} if is_packaged(x) else dict(vars(x))
        return {k: v for k, v in held.items() if not (k.startswith("__") or hasattr(type(v), "__get__"))}
    if is_packaged(type(x)) or isinstance(x, types.ModuleType):
        return {}
    found = dict(getattr(x, "__dict__", {}))
    for cls in type(x).__mro__:
        slots = vars(cls).get("__slots__", ())
        for name in (slots,) if isinstance(slots, str) else slots:
            member = vars(cls).get(name)
            if isinstance(member, types.MemberDescriptorType) and hasattr(x, name):
                found[name] = member.__get__(x)
    return found


def attributes_with_defaults(x: Any) -> dict[str, Any]:
    """The attributes of an object and those of its class, such as w = 0.5 in the body of the class."""
    held = attributes(x)
    for cls in () if is_packaged(type(x)) else type(x).__mro__:
        held = {**attributes(cls), **held}
    return held


@dataclass(frozen=True, eq=False)
class Spot:
    """A spot that holds something: an item, an attribute, a closure's cell, or a function's defaults."""

    owner: Any
    key: Any
    value: Any
    attribute: bool = False

    def put(self, new: Any) -> None:
        """Let the spot hold something else."""
        if isinstance(self.owner, types.CellType):
            self.owner.cell_contents = new
        elif self.attribute and isinstance(self.owner, (type, types.FunctionType)):
            setattr(self.owner, self.key, new)
        elif self.attribute:
            object.__setattr__(self.owner, self.key, new)
        else:
            self.owner[self.key] = new


def spots_in(roots: Iterable[Any]) -> Iterator[Spot]:
    """Every spot in dicts, lists, attributes, closures, defaults and named globals that the roots lead to."""
    worlds: set[tuple[int, str]] = set()
    for x in walk(roots):
        if isinstance(x, dict):
            yield from (Spot(x, key, value) for key, value in items_of(x))
        elif isinstance(x, list):
            yield from (Spot(x, key, value) for key, value in enumerate([*x]))
        elif isinstance(x, types.FunctionType):
            yield from of_function(x, worlds)
        elif isinstance(x, types.ModuleType):
            yield from of_module(x)
        else:
            yield from (Spot(x, name, value, attribute=True) for name, value in attributes(x).items())


def of_module(module: types.ModuleType) -> list[Spot]:
    """The names of a module of the learner's, which functions of others may read and set as its attributes."""
    own = () if is_installed(vars(module)) else items_of(vars(module))
    return [Spot(vars(module), name, value) for name, value in own]


def of_function(f: types.FunctionType, worlds: set[tuple[int, str]]) -> Iterator[Spot]:
    if is_installed(f.__globals__):
        return
    cells = [cell for cell in f.__closure__ or () if cell_contents(cell) is not None]  # empty cells stay empty
    yield from (Spot(cell, "", cell_contents(cell)) for cell in cells)
    if f.__defaults__:
        yield Spot(f, "__defaults__", f.__defaults__, attribute=True)
    if f.__kwdefaults__:
        yield from (Spot(f.__kwdefaults__, key, value) for key, value in [*f.__kwdefaults__.items()])
    for name in set(names_of_code(f.__code__)):
        if name in f.__globals__ and (id(f.__globals__), name) not in worlds:
            worlds.add((id(f.__globals__), name))
            yield Spot(f.__globals__, name, f.__globals__[name])


@dataclass
class MutableState:
    """A copy of all that is mutable: contents of arrays, containers and attributes, generators of random numbers."""

    arrays: list[tuple[Array, Array]] = field(default_factory=list)
    containers: list[tuple[Any, Any]] = field(default_factory=list)
    objects: list[tuple[Any, dict[str, Any]]] = field(default_factory=list)
    generators: list[tuple[Any, Any]] = field(default_factory=list)
    spots: list[Spot] = field(default_factory=list)  # closure cells, globals, modules' names and defaults: rebound
    random: tuple[Any, Any] = ()  # type: ignore[assignment]

    @classmethod
    def of(cls, roots: Iterable[Any]) -> MutableState:
        roots = [*roots]
        state = cls(random=(np.random.get_state(), random.getstate()))
        for x in walk(roots):
            state.add(x)
        functions = [f for f in walk(roots) if isinstance(f, types.FunctionType)]
        worlds: set[tuple[int, str]] = set()
        state.spots = [place for f in functions for place in of_function(f, worlds)]
        modules = [x for x in walk(roots) if isinstance(x, types.ModuleType)]
        state.spots += [place for module in modules for place in of_module(module)]
        return state

    def add(self, x: Any) -> None:
        if isinstance(x, np.ndarray):
            if x.flags.writeable:
                self.arrays.append((x, x.copy()))
        elif isinstance(x, (dict, list, set, deque)):
            self.containers.append((x, x.copy()))
        elif isinstance(x, GENERATORS):
            if not isinstance(x, random.SystemRandom):  # which has no state
                self.generators.append((x, state_of(x)))
        elif not isinstance(x, (tuple, frozenset, types.FunctionType, types.MethodType, types.ModuleType)):
            self.objects.append((x, attributes(x)))

    def restore(self) -> None:
        """Put everything back: first what holds what, then the numbers."""
        for container, before in self.containers:
            refill(container, before)
        for x, before in self.objects:
            reset(x, before)
        for place in self.spots:
            place.put(place.value)
        for array, before in self.arrays:
            array[...] = before
        self.rewind()

    def has_drawn(self) -> bool:
        """Have random numbers been drawn since the last restore?"""
        world = ((np.random.get_state(), random.getstate()), self.random)
        pairs = [(state_of(generator), before) for generator, before in self.generators]
        return any(repr(now) != repr(before) for now, before in (world, *pairs))

    def with_draws_of_now(self) -> MutableState:
        """The same, but the random generators go on from where they are now."""
        world = (np.random.get_state(), random.getstate())
        return replace(self, generators=[(x, state_of(x)) for x, _ in self.generators], random=world)

    def rewind(self) -> None:
        """Random generators as they were: the next draws are the same again."""
        for generator, before in self.generators:
            rewind(generator, before)
        if self.random:
            np.random.set_state(self.random[0])
            random.setstate(self.random[1])


def refill(container: Any, before: Any) -> None:
    """Put the same items in the same order back; a container that has not changed stays untouched."""
    if identities_inside(container) == identities_inside(before):
        return
    if isinstance(container, list):
        container[:] = before
    elif isinstance(container, dict) and "__builtins__" in container:  # globals, which must never be empty
        for name in container.keys() - before.keys():
            del container[name]
        container.update(before)
    else:
        container.clear()
        container.extend(before) if isinstance(container, deque) else container.update(before)


def identities_inside(container: Any) -> list[int]:
    """The identities of a container's items."""
    items = [x for item in container.items() for x in item] if isinstance(container, dict) else container
    return [*map(id, items)]


def reset(x: Any, before: dict[str, Any]) -> None:
    """The attributes as they were; those that have come since are taken away."""
    now, kind = attributes(x), type if isinstance(x, type) else object
    for name in now.keys() - before.keys():
        kind.__delattr__(x, name)
    for name, value in before.items():
        if name not in now or now[name] is not value:
            kind.__setattr__(x, name, value)


def state_of(generator: Any) -> Any:
    if isinstance(generator, random.Random):
        return generator.getstate()
    if isinstance(generator, TorchGenerator):
        return state_of_torch(generator).tobytes()
    return generator.get_state() if isinstance(generator, np.random.RandomState) else bits_of(generator).state


def rewind(generator: Any, before: Any) -> None:
    if isinstance(generator, random.Random):
        generator.setstate(before)
    elif isinstance(generator, np.random.RandomState):
        generator.set_state(before)
    elif isinstance(generator, TorchGenerator):
        put_torch_state(generator, np.frombuffer(before, np.uint8))
    else:
        bits_of(generator).state = before


def bits_of(generator: Any) -> Any:
    """The bit generator behind a Generator, or the one that is given."""
    return getattr(generator, "bit_generator", generator)


@contextmanager
def preserve(*roots: Any) -> Iterator[MutableState]:
    """Whatever happens inside, errors too, the learner's objects are as before afterwards.

    >>> weights = {"w": np.zeros(2)}
    >>> with preserve(weights):
    ...     weights["w"] += 1.0
    >>> weights["w"]
    array([0., 0.])
    """
    state = MutableState.of(roots)
    try:
        yield state
    finally:
        state.restore()
