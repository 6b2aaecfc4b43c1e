"""Arguments that hold several numbers or arrays: dicts, lists and tuples of them, walked leaf by leaf."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any


def leaves(tree: Any) -> Iterator[Any]:
    """The leaves of nested dicts, lists and tuples, in their order.

    >>> list(leaves({"W": 1.0, "b": [2.0, 3.0]}))
    [1.0, 2.0, 3.0]
    """
    if isinstance(tree, dict):
        tree = list(tree.values())
    if isinstance(tree, (list, tuple)):
        for branch in tree:
            yield from leaves(branch)
    else:
        yield tree


def mapped(function: Callable[..., Any], tree: Any, *others: Any) -> Any:
    """The same nesting with function(leaf, its counterparts in the other trees) at every leaf.

    >>> mapped(lambda a, b: a + b, {"x": 1, "y": (2, 3)}, {"x": 10, "y": (20, 30)})
    {'x': 11, 'y': (22, 33)}
    """
    if isinstance(tree, dict):
        return {key: mapped(function, branch, *[other[key] for other in others]) for key, branch in tree.items()}
    if isinstance(tree, (list, tuple)):
        return type(tree)([mapped(function, *branches) for branches in zip(tree, *others, strict=True)])
    return function(tree, *others)
