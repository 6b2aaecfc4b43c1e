"""copy.deepcopy and pickle of a node, which has a graph behind it.

Python's own copy goes from a node to its parents, their parents, and so on, and ends after a few hundred. Here a copy
takes the nodes in their order, parents first, so that none goes deeper than one step. A pickle cannot: its nodes are
read back from the outside in. A long graph says so by name.
"""

from __future__ import annotations

import copy
import sys
from typing import Any

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.graph import topological
from tinygrad_edu.errors import GraphError

reduce_object: Any = object.__reduce_ex__  # Python's default, on which `pickle_node` and the copies build
BEFORE = 2**62  # ticks; nodes read from a pickle get ticks before all of this process, in their old order
STEPS_OF_PICKLE = 4  # pickle uses at least this many levels of Python's recursion limit per node


def copy_node(node: Node, memo: dict[int, Any]) -> Any:
    """copy.deepcopy(node): the node and all that it was made of, each once."""
    for each in topological(node):
        if id(each) not in memo:
            make, arguments, state, *_ = reduce_object(each, 4)
            made = memo[id(each)] = make(*arguments)
            for key, value in contents_of_object(state):
                setattr(made, key, copy.deepcopy(value, memo))
    return memo[id(node)]


def copy_one(node: Node) -> Any:
    """copy.copy(node): another node with the numbers, the parents and the tick of the first one.

    A leaf has an array of its own, as NumPy's copies have: a write into one that is shared would go unnoticed where
    the other was used. What the program has set on it itself, both share.
    """
    make, arguments, state, *_ = reduce_object(node, 4)
    made, is_leaf, own = make(*arguments), not node.parents, getattr(node, "__dict__", ())
    for key, value in contents_of_object(state):
        if is_leaf and key != "options" and key not in own:
            value = None if key == "_guard" else copy.copy(value)
        setattr(made, key, value)
    return made


def contents_of_object(state: Any) -> list[tuple[str, Any]]:
    """(name, value) of all that an object holds, from what Python says of it."""
    return [pair for held in (state if isinstance(state, tuple) else (state,)) for pair in (held or {}).items()]


def pickle_node(node: Node, protocol: Any) -> Any:
    """The state of a node for pickle. Errors: GraphError if its graph is too deep for Python's recursion."""
    most = sys.getrecursionlimit() // STEPS_OF_PICKLE
    for side in (0, -1):
        x, depth = node, 0
        while depth <= most and getattr(x, "parents", None):  # constants have no parents
            x, depth = x.parents[side], depth + 1
        if depth > most:
            raise GraphError(
                f"{node!r:.60} has more than {most} operations behind it, more than pickle can go through: pickle "
                "x.detach(), the numbers alone, or model.state_dict(); copy.deepcopy(x) copies a graph of any length"
            )
    make, arguments, state, *rest = reduce_object(node, protocol)
    return (make, arguments, with_older_ticks(state), *rest)


def with_older_ticks(state: Any) -> Any:
    """The state of a Tensor with its ticks of this process's clock before the beginning of any other's."""
    if not isinstance(state, tuple) or "_made" not in state[1]:
        return state
    slots = dict(state[1])
    guard = slots.get("_guard")
    slots |= {"_made": slots["_made"] - BEFORE, "_guard": None if guard is None else guard.earlier(BEFORE)}
    return state[0], slots


def install(kind: Any) -> None:
    """Let the nodes of a class be copied and pickled so."""
    kind.__copy__, kind.__deepcopy__, kind.__reduce_ex__ = copy_one, copy_node, pickle_node
