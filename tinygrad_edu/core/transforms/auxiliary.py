"""What a function returns beside its number (`has_aux`), as plain numbers and arrays."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping, Set, ValuesView
from types import FunctionType, MethodType, ModuleType
from typing import Any

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import is_object
from tinygrad_edu.core.pytree import tree_leaves, with_leaves
from tinygrad_edu.core.transforms.derivative_numbers import remember
from tinygrad_edu.core.transforms.origins import origins_beside
from tinygrad_edu.core.transforms.plain_pull import unwrap
from tinygrad_edu.core.transforms.variables import is_node
from tinygrad_edu.errors import OperandError

MOST = 1000  # things looked at in what is not a number, array, list, tuple or dict
CLOSED = (str, bytes, int, float, complex, type, FunctionType, MethodType, ModuleType, type(None))  # hold no nodes


def plain_auxiliary(x: Node, variables: Node, name: str) -> Any:
    """x with its nodes unwrapped, which remember what they depend on beside the variables of the function `name`.

    Errors: OperandError for an object that holds some, which would stay nodes.
    """
    for leaf in tree_leaves(x):
        if not (isinstance(leaf, CLOSED) or is_node(leaf)):
            refuse_nodes_in(leaf, set(map(id, tree_leaves(variables))))
    plain, own = unwrap(x), [each for each in tree_leaves(variables) if is_node(each)]
    if not MODES.recording or not any(is_node(leaf) or is_object(leaf) for leaf in tree_leaves(x)):
        return plain
    found = [origins_beside(leaf, None, own, f"{name or 'a function'} (its has_aux)", ()) for leaf in tree_leaves(x)]
    return with_leaves(plain, list(map(remember, tree_leaves(plain), found))) if any(found) else plain


def refuse_nodes_in(x: Node, variables: set[int]) -> None:
    """Errors: OperandError if an object holds what is computed from the variables, or cannot be looked through."""
    places, seen = [("", x)], dict[int, Any]()
    while places and len(seen) < MOST:
        name, found = places.pop()
        if isinstance(found, CLOSED) or id(found) in seen:
            continue
        seen[id(found)] = found  # keeps it alive, so that its id is not used again
        iterates = isinstance(found, Iterator)
        if iterates or (is_node(found) and uses_variables(found, variables)):
            what = f"{'an iterator' if iterates else 'a ' + type(found).__name__}{f' at {name}' if name else ''}"
            raise OperandError(
                f"has_aux: the function returns a {type(x).__name__} with {what}, which would stay a node: return "
                "numbers, arrays, and lists, tuples or dicts of them"
            )
        if not is_node(found):
            places += held_by(name, found)


def uses_variables(x: Node, variables: set[int]) -> bool:
    return any(id(each) in variables for each in topological(x))


def held_by(name: str, x: object) -> Iterator[tuple[str, Any]]:
    """What an object holds: its entries and attributes."""
    if isinstance(x, Mapping):
        yield from ((f"{name}[{key!r}]", each) for key, each in x.items())
    elif isinstance(x, (list, tuple, deque, Set, ValuesView)) or getattr(getattr(x, "dtype", None), "kind", "") == "O":
        parts: Any = x
        yield from ((f"{name}[{i}]", each) for i, each in enumerate(parts))
    slots = [slot for kind in type(x).__mro__ for slot in getattr(kind, "__slots__", ()) if hasattr(x, slot)]
    attributes = {**getattr(x, "__dict__", {}), **{slot: getattr(x, slot) for slot in slots}}
    yield from ((f"{name}.{key}", each) for key, each in attributes.items())
