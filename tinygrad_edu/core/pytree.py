"""Arguments that hold several numbers or arrays: dicts, lists and tuples of them, walked leaf by leaf."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import OperandError

SHALLOW, DEEPEST = 50, 100_000  # nestings that are surely walked, and so many that there may be no end


def tree_leaves(tree: ArrayLike) -> Iterator[Any]:
    """The leaves of nested dicts, lists and tuples, in their order.

    >>> list(tree_leaves({"W": 1.0, "b": [2.0, 3.0]}))
    [1.0, 2.0, 3.0]
    """
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from tree_leaves(branch)
    else:
        yield tree


def refuse_deep(tree: ArrayLike) -> None:
    """Errors: OperandError for a tree whose nesting, walked by functions that call themselves, overflows the stack.

    Called after a RecursionError, which may also be one of the user's function.
    """
    level, depth = {id(tree): tree}, 0
    while level and depth < DEEPEST:
        inside = [each for x in level.values() for each in (x.values() if isinstance(x, dict) else x)]
        level = {id(x): x for x in inside if isinstance(x, (dict, list, tuple))}
        depth += 1
    if depth > SHALLOW:
        known = f"{depth - 1} deep" if depth < DEEPEST else "in itself, or without end"
        raise OperandError(
            f"an argument is a list, tuple or dict nested {known}: some {sys.getrecursionlimit() // 4} are walked "
            "(sys.setrecursionlimit). Put the numbers side by side, in one list or array"
        )


def given_leaves(tree: ArrayLike) -> list[Any]:
    """The leaves without None, which means "not given" in an argument, as in JAX."""
    return [x for x in tree_leaves(tree) if x is not None]


def tree_map(function: Callable[..., Any], tree: ArrayLike, *others: ArrayLike) -> Any:
    """The same nesting with function(leaf, its counterparts in the other trees) at every leaf.

    >>> tree_map(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}
    """
    if isinstance(tree, dict):
        return {key: tree_map(function, branch, *[other[key] for other in others]) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return rebuild(type(tree), [tree_map(function, *branches) for branches in zip(tree, *others, strict=True)])
    return function(tree, *others)


def leaf_pairs(tree: ArrayLike, other: ArrayLike) -> Iterator[tuple[Any, Any]]:
    """The leaves of two trees of the same nesting in pairs; those of dicts by key, whatever their order.

    Errors: OperandError where the nestings differ.

    >>> list(leaf_pairs({"W": 1.0, "b": 2.0}, {"b": 20.0, "W": 10.0}))
    [(1.0, 10.0), (2.0, 20.0)]
    """
    if isinstance(tree, dict) and isinstance(other, dict) and tree.keys() == other.keys():
        pairs = [(branch, other[key]) for key, branch in tree.items()]
    elif isinstance(tree, (list, tuple)) and isinstance(other, (list, tuple)) and len(tree) == len(other):
        pairs = list(zip(tree, other, strict=True))
    elif isinstance(tree, (dict, list, tuple)) or isinstance(other, (dict, list, tuple)):
        raise OperandError(f"{outline(other)} is nested otherwise than {outline(tree)}, whose counterpart it has to be")
    else:
        yield tree, other
        return
    for branch, counterpart in pairs:
        yield from leaf_pairs(branch, counterpart)


def outline(tree: ArrayLike) -> str:
    """What a tree is, in a few words.

    >>> outline({"W": 1.0}), outline([1.0, 2.0]), outline(3.0)
    ("a dict of ['W']", 'a list of 2', 'one float')
    """
    if isinstance(tree, dict):
        return f"a dict of {list(tree)}"
    return (
        f"a {type(tree).__name__} of {len(tree)}" if isinstance(tree, (list, tuple)) else f"one {type(tree).__name__}"
    )


def own_nesting(tree: ArrayLike) -> Any:
    """The same leaves in dicts and lists of their own, which a function that writes to its arguments may change."""
    return tree_map(lambda leaf: leaf, tree)


def leaf_names(tree: ArrayLike, name: str) -> Iterator[str]:
    """What a program calls each leaf of the tree of that name.

    >>> list(leaf_names({"W": 1.0, "b": [2.0, 3.0]}, "p"))
    ["p['W']", "p['b'][0]", "p['b'][1]"]
    """
    branches = tree.items() if isinstance(tree, dict) else enumerate(tree) if isinstance(tree, (list, tuple)) else None
    if branches is None:
        yield name
    else:
        for key, branch in branches:
            yield from leaf_names(branch, f"{name}[{key!r}]")


def rebuild(kind: type[Any], branches: Iterable[Any]) -> Any:
    """A list or tuple of that class; a named tuple takes its fields one by one."""
    return kind(*branches) if hasattr(kind, "_fields") else kind(branches)


def with_leaves(tree: ArrayLike, leaves: Iterable[Any]) -> Any:
    """The same nesting with other leaves, taken in their order.

    >>> with_leaves({"W": [1, 2], "b": 3}, "xyz")
    {'W': ['x', 'y'], 'b': 'z'}
    """
    rest = iter(leaves)
    return tree_map(lambda _: next(rest), tree)


def flatten(tree: ArrayLike, found: list[Any]) -> Any:
    """Adds the leaves of a tree to `found` and returns its nesting, which can be compared and hashed; see `unflatten`.

    >>> found = []
    >>> nesting = flatten({"W": [1.0, 2.0], "b": 3.0}, found)
    >>> found, unflatten(nesting, iter([10.0, 20.0, 30.0]))
    ([1.0, 2.0, 3.0], {'W': [10.0, 20.0], 'b': 30.0})
    """
    if isinstance(tree, dict):
        return dict, tuple(tree), tuple([flatten(branch, found) for branch in tree.values()])
    if not isinstance(tree, (list, tuple)):
        found.append(tree)
        return None
    if any(issubclass(kind, (dict, list, tuple)) for kind in set(map(type, tree))):
        return type(tree), tuple([flatten(branch, found) for branch in tree])
    found += tree  # only leaves: a fast path for long lists
    return type(tree), len(tree)


def unflatten(nesting: ArrayLike, found: Iterator[Any]) -> Any:
    """A tree of that nesting with the next leaves."""
    if nesting is None:
        return next(found)
    if nesting[0] is dict:
        return {key: unflatten(branch, found) for key, branch in zip(*nesting[1:], strict=True)}
    kind, branches = nesting
    each = islice(found, branches) if isinstance(branches, int) else [unflatten(x, found) for x in branches]
    return rebuild(kind, each)
