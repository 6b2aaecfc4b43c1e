"""What a model and a loss keep in Python from step to step, and whether it has changed.

A compiled program does what one trace of `forward` did. Counters, random generators, schedules, lists that grow,
masks, attributes that a callback sets: a trace sees them once, an eager step sees them each time. So they are noted
before the trace, compared after it, and put back, because a trace is not a step.

What is noted: attributes, containers, arrays, random generators, closures, defaults, the globals that a function
names and the attributes of the user's own classes. Code that is not the user's (this package, NumPy, the standard
library) is not searched.
"""

from __future__ import annotations

import os
import random
from collections import deque
from collections.abc import Callable, Container, Iterator
from collections.abc import Set as AbstractSet
from functools import lru_cache, partial
from queue import SimpleQueue
from types import BuiltinMethodType, CellType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.compile import torch_generators as of_torch
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.kept import OF_DICT, Kept
from tinygrad_edu.compile.kept_by_c import OF_C, keep_settings, present
from tinygrad_edu.compile.left_behind import caches_node
from tinygrad_edu.compile.outside import answers_otherwise
from tinygrad_edu.compile.unread import number_unnoted
from tinygrad_edu.compile.user_code import (
    ABSENT,
    ENVIRONMENT,
    ask_once,
    attribute_space,
    closed_over,
    contents,
    holds_attributes,
    is_atom,
    is_foreign,
    is_own_class,
    modules_of,
    opens_files,
    own,
    select,
    slots_of,
    what_moves,
    words_in,
    wrapped_in,
)
from tinygrad_edu.compile.writers import may_write
from tinygrad_edu.core.aliases import Thing
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.askers import HERE, note_function
from tinygrad_edu.core.value import Value

MOST = 20_000  # things that can be noted; a run with more is eager
RANDOM: tuple[Any, ...] = (np.random.mtrand._rand, random._inst)  # the global generators
TORCH = "the random numbers of torch"
SHARED = ("the random numbers of numpy.random", "the module random", TORCH)  # their names in messages, in this order


class PythonState:
    """All that is reached from some roots, as it is now.

    `foreign`: does any of the user's own code take part? `outside`: does it hold a clock, or chance? `opaque`: what
    cannot be compared, such as an iterator, which every look would advance; "" if there is nothing of the kind.
    `writers`: functions of the user's that may change what is there; `words`: the names in all of them.
    """

    def __init__(self, **roots: Thing) -> None:
        self.kept, self.seen = list[Kept](), dict[int, Any]()
        self.spaces: set[Any] = set()  # (namespace, names) already looked through
        self.caches: list[tuple[Any, bool]] = []  # functools caches; were they empty at the start?
        self.iterators: dict[str, Any] = {}  # by name; the first one ends the search
        self.foreign, self.outside, self.opaque = False, False, ""
        self.writers, self.words = list[str](), set[str]()
        HERE.forget()
        places = [*roots.items(), *zip(SHARED, RANDOM, strict=False)]
        self.keep(TORCH, of_torch, of_torch.global_torch_state, of_torch.put_global_torch_state)
        while places and not self.is_over():
            name, x = places.pop()
            if not is_atom(type(x)) and id(x) not in self.seen:
                self.seen[id(x)] = x  # keeps it alive, so that its id is not reused
                places += self.inside(name, x)
                if len(self.kept) > MOST:
                    self.opaque = f"{next(iter(roots))} keeps more than {MOST:,} things in Python"

    def is_over(self) -> bool:
        """Is nothing more to be looked for? One thing that cannot be compared is enough not to compile."""
        return bool(self.opaque)

    def first_change(self, but: Container[int] = ()) -> str:
        """The name of the first thing that has changed, "" if nothing has; things of these ids are left out."""
        return next((found for kept in self.kept if id(kept.thing) not in but and (found := kept.first_change())), "")

    def restore(self) -> None:
        """Put back whatever has changed."""
        # twice, because a list that has been replaced may seem the same until its own contents are put back
        changed = [kept.name for kept in [*self.kept, *self.kept] if kept.restore()]
        for cache, was_empty in self.caches:  # their contents may have been computed from what has just been restored
            if (changed and was_empty) or caches_node(cache):
                cache.cache_clear()

    def keep(
        self, name: str, thing: Thing, read: Callable[[], Any], write: Callable[[Any], Any], entries: str = ""
    ) -> Any:
        """Note one thing; what it holds."""
        self.kept.append(Kept(name, thing, read, write, entries))
        return self.kept[-1].was

    def inside(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        """The things that one leads to, by name; notes what can change in it."""
        self.outside, look = self.outside or answers_otherwise(x), look_of(type(x))
        if look is not None:
            yield from look(self, name, x)
        else:
            if hasattr(type(x), "__next__") or isinstance(x, SimpleQueue):
                self.opaque = self.opaque or f"{name} {what_moves(type(x))}"
                self.iterators[name] = x
            bound = isinstance(x, (BuiltinMethodType, MethodWrapperType))
            owner = getattr(x, "__self__", None) if bound else None  # rng.normal, count(1).__next__
            yield from [(name, owner)] if owner is not None else []
        if holds_attributes(x):
            yield from self.of_instance(name, x)
        yield from [(name, wrapped)] if (wrapped := wrapped_in(x)) is not None else []

    def of_tensor(self, name: str, x: Tensor) -> Iterator[tuple[str, Any]]:
        if isinstance(x, Traced):  # left behind by a trace
            return iter(())
        own = attribute_space(x)  # attributes of the user's, such as w.velocity

        def write(was: Thing) -> None:
            x.assign(was["numbers"])
            x.requires_grad = was["requires_grad"]
            own.clear()
            own.update(was["own"])

        self.keep(name, x, lambda: {"numbers": x.array.copy(), "requires_grad": x.requires_grad, "own": {**own}}, write)
        return ((f"{name}.{key}", each) for key, each in own.items())

    def of_value(self, name: str, x: Value) -> Iterator[tuple[str, Any]]:
        if not hasattr(type(x), "eager_classes"):  # else left behind by a trace
            self.keep(name, x, lambda: number_unnoted(x), lambda was: setattr(x, "data", was))
        return iter(())

    def of_array(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        def write(was: Thing) -> None:
            x[...] = was

        self.keep(name, x, x.copy, write)
        return ((f"{name}[{i}]", each) for i, each in enumerate(x.flat)) if x.dtype.kind == "O" else iter(())

    def of_mapping(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        def write(was: Thing) -> None:
            x.clear()
            x.update(was)

        found = self.keep(name, x, lambda: dict(x), write, OF_DICT)
        return ((f"{name}[{key!r:.40}]", each) for key, each in found.items())

    def of_list(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        def write(was: Thing) -> None:
            x.clear()
            x.extend(was)

        found = self.keep(name, x, lambda: list(x), write)
        return ((f"{name}[{i}]", each) for i, each in enumerate(found))

    def of_set(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        def write(was: Thing) -> None:
            x.clear()
            x.update(was)

        return ((name, each) for each in self.keep(name, x, lambda: set(x), write))

    def of_tuple(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        return ((f"{name}[{i}]", each) for i, each in enumerate(x))

    def of_cell(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        def write(was: Thing) -> None:
            if was is ABSENT:
                del x.cell_contents
            else:
                x.cell_contents = was

        return present(name, self.keep(name, x, lambda: contents(x), write))

    def of_method(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        return iter([(name, x.__self__), (name, x.__func__)])

    def of_partial(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        return iter([(name, x.func), (f"{name}.args", x.args), (f"{name}.keywords", x.keywords)])

    def of_descriptor(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        parts = [getattr(x, each, None) for each in ("__func__", "fget", "func")]
        return iter([(name, each) for each in parts if each is not None])

    def of_instance(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        """The attributes of an object, and what its class keeps."""
        attributes = attribute_space(x)

        def write(was: Thing) -> None:
            attributes.clear()
            attributes.update({key: each for key, each in was.items() if key != "__class__"})
            if type(x) is not was["__class__"]:  # nn.LazyLinear becomes an nn.Linear
                object.__setattr__(x, "__class__", was["__class__"])

        found = self.keep(name, x, lambda: {**attributes, "__class__": type(x)}, write, ".{0}")
        yield from ((f"{name}.{key}", each) for key, each in found.items() if key != "__class__")
        for kind in type(x).__mro__:
            if is_own_class(kind):
                yield kind.__name__, kind
                for slot in slots_of(kind):
                    yield from self.of_slot(f"{name}.{slot}", x, slot)

    def of_class(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        """What the user's class keeps, and the functions in it."""
        if not is_own_class(x):
            return

        def write(was: Thing) -> None:
            for key in own(x).keys() - was.keys():
                delattr(x, key)
            for key, each in was.items():
                if vars(x).get(key) is not each:
                    setattr(x, key, each)

        self.foreign = True
        yield from ((kind.__name__, kind) for kind in (*x.__mro__[1:], type(x)) if is_own_class(kind))
        for key, each in self.keep(name, x, lambda: own(x), write, ".{0}").items():
            yield f"{name}.{key}", each

    def of_slot(self, name: str, x: Thing, slot: str) -> Iterator[tuple[str, Any]]:
        def write(was: Thing) -> None:
            delattr(x, slot) if was is ABSENT else setattr(x, slot, was)

        yield from present(name, self.keep(name, x, lambda: getattr(x, slot, ABSENT), write))

    def of_function(self, name: str, x: FunctionType) -> Iterator[tuple[str, Any]]:
        """Closure, defaults, own attributes, and the globals that its code names."""
        if is_foreign(x.__globals__.get("__name__")):
            self.foreign = True
            note_function(x)
            words = words_in(x.__code__)
            self.words |= words
            self.writers += [name] if may_write(x.__code__) else []
            yield from ((free, cell) for free, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True))
            yield f"{name}.__defaults__", x.__defaults__
            yield f"{name}.__kwdefaults__", x.__kwdefaults__
            yield f"{name}.__dict__", x.__dict__
            yield from self.of_names(x.__globals__, words)
            for module in modules_of(words):
                yield from self.of_names(vars(module), words)
            keep_settings(self, words)
            if words & ENVIRONMENT:
                yield from self.of_mapping("os.environ", os.environ)
            if opens_files(x.__code__):
                self.opaque = f"{name} opens files, which a trace of it would write to as well"
        else:
            yield from closed_over(x)

    def of_cache(self, name: str, x: Thing) -> Iterator[tuple[str, Any]]:
        """A function with a cache of its results."""
        self.caches.append((x, not x.cache_info().currsize))
        return iter(())

    def of_names(self, space: dict[str, Any], names: AbstractSet[str]) -> Iterator[tuple[str, Any]]:
        """The globals of these names; of the user's own modules among them, their attributes of these names."""
        if (id(space), frozenset(names)) in self.spaces:
            return
        self.spaces.add((id(space), frozenset(names)))

        def write(was: Thing) -> None:
            for each in select(space, names).keys() - was.keys():
                del space[each]
            space.update(was)

        for each, found in self.keep("", space, lambda: select(space, names), write, "{0}").items():
            if isinstance(found, ModuleType):
                yield from self.of_names(vars(found), names) if is_foreign(found.__name__) else ()
            else:
                yield each, found


LOOKS: list[tuple[Any, Callable[..., Iterator[tuple[str, Any]]]]] = [
    (Tensor, PythonState.of_tensor),
    (Value, PythonState.of_value),
    (np.ndarray, PythonState.of_array),
    ((dict,), PythonState.of_mapping),
    ((list, deque), PythonState.of_list),
    (set, PythonState.of_set),
    ((tuple, frozenset), PythonState.of_tuple),
    (FunctionType, PythonState.of_function),
    (MethodType, PythonState.of_method),
    (CellType, PythonState.of_cell),
    (partial, PythonState.of_partial),
    ((staticmethod, classmethod, property), PythonState.of_descriptor),
    (type, PythonState.of_class),
    (type(lru_cache(len)), PythonState.of_cache),
    *OF_C,
    (ModuleType, lambda state, name, x: iter(())),
]


@ask_once
def look_of(kind: type) -> Callable[..., Iterator[tuple[str, Any]]] | None:
    """How to look into things of this class; None where nothing is known to be in them."""
    return next((look for kinds, look in LOOKS if issubclass(kind, kinds)), None)
