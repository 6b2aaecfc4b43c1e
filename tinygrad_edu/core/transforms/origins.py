"""What a derivative at plain numbers depends on beside its arguments, as `lost_gradients.py` needs it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.lost_gradients import Origins, origins_of
from tinygrad_edu.core.operation import is_object
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.transforms.derivative_numbers import remember
from tinygrad_edu.core.transforms.plain_pull import WalkedGraph, graph_of


def origins_beside(
    y: Node, graph: WalkedGraph | None, own: Sequence[Any], name: str, primals: Sequence[Any]
) -> Origins:
    """What a derivative of y will have lost: what y depends on beside the nodes `own` that stand for the primals."""
    if graph is not None and len(graph.leaves) == len(own) == 1 and graph.leaves[0] is own[0]:
        return {}
    known = set(map(id, own))
    leaves = graph.leaves if graph is not None else [x for part in tree_leaves(y) for x in leaves_of(part)]
    beside = [x for x in leaves if id(x) not in known]
    return origins_of(name, beside, tree_leaves(primals)) if beside else {}


def leaves_of(y: Node) -> list[Any]:
    """What a part of a result depends on."""
    if is_object(y):
        return [x for v in y.flat for x in leaves_of(v)]
    graph = graph_of(y)
    return [] if graph is None else graph.leaves


def remember_each(tree: ArrayLike, origins: Origins) -> Any:
    """Numbers and arrays, nested or not, that remember where they come from."""
    return tree_map(lambda x: remember(x, origins), tree) if origins else tree


def remember_call(f: Callable[..., Any], results: ArrayLike, beside: Sequence[Any], arguments: ArrayLike) -> Any:
    """The results of a compiled call of f, which depend on the leaves `beside` too."""
    return remember_each(results, origins_of(getattr(f, "__name__", ""), beside, tree_leaves(tuple(arguments))))
