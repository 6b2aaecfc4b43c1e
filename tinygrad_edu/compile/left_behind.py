"""What a trace leaves behind in things that a function keeps: nodes, and sizes, which mean something in it alone."""

from __future__ import annotations

import gc
import operator
from collections import deque
from collections.abc import Iterator
from itertools import chain
from typing import Any

from tinygrad_edu.compile.ir.dims import Size, SizeOfAll
from tinygrad_edu.compile.user_code import attributes_of, is_own_class
from tinygrad_edu.core.aliases import Thing
from tinygrad_edu.core.pytree import rebuild, tree_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import OperandError

NODES, SIZES = (Tensor, Value), (Size, SizeOfAll)


def things_in(root: Thing) -> Iterator[Any]:
    """A thing, and what is in it: entries of containers, keys too, and attributes of objects of the user's classes."""
    places, seen = [root], dict[int, Any]()
    while places:
        x = places.pop()
        if id(x) in seen:
            continue
        seen[id(x)] = x
        yield x
        if isinstance(x, dict):
            places += [*x.keys(), *x.values()]
        elif isinstance(x, (list, tuple, set, frozenset, deque)):
            places += x
        elif type(x) not in SIZES and is_own_class(type(x)):
            places += attributes_of(x).values()


def is_traced_node(x: object) -> bool:
    return isinstance(x, NODES) and hasattr(type(x), "eager_classes")


def holds_node(x: Thing) -> bool:
    """Is it a node, or a dict, list or tuple with one?"""
    try:
        return any(map(is_traced_node, tree_leaves(x)))
    except OperandError:  # without end
        return False


def hides_node(x: Thing) -> bool:
    """Is there a node deeper inside, in an object of the user's or in a set?"""
    return any(map(is_traced_node, things_in(x))) and not holds_node(x)


def caches_node(cache: Any) -> bool:
    """Has a function with functools.lru_cache kept a node, which means nothing after its trace?"""
    held = gc.get_referents(cache)  # its results, or dicts with them
    return any(map(is_traced_node, chain(held, *[x.values() for x in held if type(x) is dict])))


def with_plain_sizes(root: Thing) -> Any:
    """The same with the lengths of this trace in place of sizes; mutable things inside are changed themselves."""
    things = list(things_in(root))
    if any(type(x) in SIZES for x in things):
        for x in things:
            replace_entries(x)
        return plain_size(root)
    return root


def plain_size(x: Thing) -> Any:
    """The length of a size; a tuple with those of the sizes in it."""
    if isinstance(x, (tuple, frozenset)):
        entries = [plain_size(y) for y in x]
        same = all(map(operator.is_, entries, x))
        return x if same else frozenset(entries) if isinstance(x, frozenset) else rebuild(x, entries)
    return x.length if type(x) in SIZES else x


def replace_entries(x: Thing) -> None:
    """Put plain numbers into a container or object itself."""
    if isinstance(x, (list, deque)):
        for i, y in enumerate(x):
            x[i] = plain_size(y)
    elif isinstance(x, dict):
        entries = [(plain_size(key), plain_size(y)) for key, y in x.items()]
        x.clear()
        dict.update(x, entries)  # a Counter's own would add
    elif isinstance(x, set):
        entries = [plain_size(y) for y in x]
        x.clear()
        x.update(entries)
    elif type(x) not in SIZES and is_own_class(type(x)):
        for name, y in attributes_of(x).items():
            if plain_size(y) is not y:
                object.__setattr__(x, name, plain_size(y))
