"""What a vmapped function keeps in Python of its samples, as `self.mean = x.mean()` does.

In a loop over the samples each of them finds what those before it have kept, and a function that runs once for all of
them finds nothing. Such a run has done in Python what that of the first sample would have done. So what it has kept
becomes that of the first sample, and the loop goes on with the second.

Where code only sets an attribute, or sets it before it reads it, no sample depends on another: the results stand, and
the last sample's is kept.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from dis import get_instructions
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ProxyTypes

import numpy as np

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.shapes import getitem
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.whose_code import is_foreign
from tinygrad_edu.core.transforms.batched import Batched
from tinygrad_edu.errors import TraceError

MOST = 20_000  # things looked at
CLOSED = (str, bytes, int, float, complex, np.ndarray, np.generic, Tensor, ModuleType, type(None))  # hold no samples


def settle_kept_samples(f: Callable[..., Any], run: list[Any], size: Any, partly: bool, nested: bool) -> bool:
    """Give what f has kept of its samples their numbers. True where other samples may depend on those of the first one.

    run: what the samples of this run refer to; partly: has it ended before the end of f? nested: do the numbers stay
    nodes? Errors: TraceError where f cannot go on from there.
    """
    if sys.getrefcount(run[0]) <= 2:  # that of the list, and the argument here
        return False
    search = SampleSearch(f, run[0])
    depends = bool(search.found) and not search.are_only_set()
    for kept in search.found:
        kept.put_sample(0 if depends or partly else int(size) - 1, nested)
    if depends and (partly or MODES.tensor_trace is not None):
        what = "looks at numbers" if partly else "is part of a trace"
        raise TraceError(
            f"vmap: {getattr(f, '__name__', 'the function')} keeps {search.found[0].name} of a sample in Python, which "
            f"other samples may read, and {what}: call it in a loop over the samples, or return what it keeps. "
            f"{search.found[0].name} holds that of the first sample now"
        )
    return depends


@dataclass(frozen=True)
class KeptSample:
    """Where a sample is kept; `attribute`: the name of the attribute, if it is one."""

    name: str
    content: Any
    put: Callable[[Any], None]
    attribute: str = ""

    def put_sample(self, i: int, nested: bool) -> None:
        self.put(tree_map(lambda x: sample_at(x, i, nested) if type(x) is Batched else x, self.content))


class SampleSearch:
    """All that a function can reach: the samples that it keeps there, and the code that may read them."""

    def __init__(self, f: Callable[..., Any], run: Any) -> None:
        self.run, self.found, self.codes = run, list[KeptSample](), list[CodeType]()
        self.seen, self.places = dict[int, Any](), [("", f)]
        while self.places and len(self.seen) < MOST:
            name, x = self.places.pop()
            if not isinstance(x, CLOSED) and id(x) not in self.seen:
                self.seen[id(x)] = x
                for part in parts_of_thing(name, x):
                    self.note(*part)

    def note(self, name: str, x: Any, put: Callable[[Any], None] | None, attribute: str = "") -> None:
        """A part of something: a sample, or a thing to look into."""
        if isinstance(x, CodeType):
            self.codes += [x, *inner_codes(x)]
        elif put is not None and any(self.is_sample(leaf) for leaf in tree_leaves(x if type(x) is tuple else [x])):
            self.found.append(KeptSample(name, x, put, attribute))
        else:
            self.places.append((name, x))

    def is_sample(self, x: object) -> bool:
        return type(x) is Batched and any(each is self.run for each in x.run)

    def are_only_set(self) -> bool:
        """Are all of them attributes that no code reads before it sets them?"""
        names = {kept.attribute for kept in self.found}
        return "" not in names and not any(may_read(code, name) for code in self.codes for name in names)


def parts_of_thing(name: str, x: Any) -> Iterator[tuple[Any, ...]]:
    """What a thing holds: (name, part, how to replace it, its name as an attribute)."""
    if isinstance(x, FunctionType):
        yield from parts_of_function(x)
    elif isinstance(x, MethodType):
        yield from ((name, part, None) for part in (x.__self__, x.__func__))
    elif isinstance(x, partial):
        yield from ((name, part, None) for part in (x.func, x.args, x.keywords))
    elif isinstance(x, dict):
        yield from ((f"{name}[{key!r:.40}]", part, partial(x.__setitem__, key)) for key, part in list(x.items()))
    elif isinstance(x, (list, tuple, set, frozenset)):
        put = getattr(x, "__setitem__", None)
        yield from ((f"{name}[{i}]", part, put and partial(put, i)) for i, part in enumerate(list(x)))
    elif not is_foreign(type(x).__module__) and "__wrapped__" in getattr(x, "__dict__", ()):  # a compiled function
        yield name, x.__wrapped__, None
    elif not isinstance(x, type) and type(x) not in ProxyTypes:  # what a proxy stands for may be gone
        yield from parts_of_object(name, x)


def parts_of_function(f: FunctionType) -> Iterator[tuple[Any, ...]]:
    """The closure of a function of the user's, and the globals that its code names."""
    for free, cell in zip(f.__code__.co_freevars, f.__closure__ or (), strict=True):
        if cell != CellType():
            yield free, cell.cell_contents, partial(setattr, cell, "cell_contents")
    if is_foreign(f.__globals__.get("__name__")):
        yield "", f.__code__, None
        names = {key for code in (f.__code__, *inner_codes(f.__code__)) for key in code.co_names}
        for key in names & f.__globals__.keys():
            yield key, f.__globals__[key], partial(f.__globals__.__setitem__, key)
        yield from (("", part, None) for part in (f.__defaults__, f.__kwdefaults__))


def parts_of_object(name: str, x: Any) -> Iterator[tuple[Any, ...]]:
    """Its attributes, those of its class, and the methods there."""
    own = {slot: x for kind in type(x).__mro__ for slot in getattr(kind, "__slots__", ()) if hasattr(x, slot)}
    space = getattr(x, "__dict__", None)  # of an object of cffi it is a method
    for key in [*(space if isinstance(space, dict) else ()), *own]:
        yield f"{name}.{key}", getattr(x, key), partial(setattr, x, key), key
    for kind in type(x).__mro__:
        for key, part in list(vars(kind).items()) if is_foreign(kind.__module__) else ():
            yield f"{kind.__name__}.{key}", getattr(part, "__func__", part), partial(setattr, kind, key), key


def inner_codes(code: CodeType) -> list[CodeType]:
    """The functions and comprehensions inside a function's code."""
    inner = [each for each in code.co_consts if isinstance(each, CodeType)]
    return [*inner, *(each for one in inner for each in inner_codes(one))]


def may_read(code: CodeType, name: str) -> bool:
    """May it read an attribute of that name before it has set it, with certainty?"""
    if name in code.co_consts or "__dict__" in code.co_names:  # getattr(self, "mean"), vars(self)
        return True
    surely = True
    for each in get_instructions(code):
        if each.opname == "STORE_ATTR" and each.argval == name and surely:
            return False
        if "JUMP" in each.opname or each.opname in ("FOR_ITER", "SEND"):
            surely = False
        if each.opname != "STORE_ATTR" and each.argval == name:
            return True
    return False


def sample_at(x: Batched, i: int, nested: bool) -> Node:
    """One of the samples that it stands for, as the loop would hand it on."""
    found = x.inner if x.common else getitem(x.inner, i) if isinstance(x.inner, Tensor) else x.inner[i]
    plain = isinstance(found, Tensor) and not nested and not found.requires_grad
    if not plain or hasattr(x.eager_classes()[0], "parents"):
        return found
    return found.array.copy() if found.ndim else found.array[()]
