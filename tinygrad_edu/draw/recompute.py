"""Parts of a graph as functions: where one begins, and what it gives for other numbers than those of the graph."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_edu.core.operation import ArrayOperation, Operation
from tinygrad_edu.draw.graph import Graph, is_node

LONGEST = 24  # operations; nobody writes a longer softmax
ENTRIES_TRIED = 12  # inputs tried for a part that ends at one node


def users_of(graph: Graph) -> list[list[int]]:
    """For each node, the nodes that use it."""
    users: list[list[int]] = [[] for _ in graph.nodes]
    for number, parents in enumerate(graph.parents):
        for parent in parents:
            users[parent].append(number)
    return users


def parts_ending_at(
    graph: Graph, end: int, is_fixed: Callable[[int], bool], longest: int = LONGEST
) -> Iterator[tuple[int, list[int]]]:
    """(entry, operations in order): every part that ends there and depends on one node and what is fixed alone.

    The walk goes back in descending order, so that a node is opened after all that use it: where one node is left to
    be opened, everything passes through it.
    """
    waiting, found = {end}, 0
    inside: list[int] = []
    while waiting and len(inside) <= longest and found < ENTRIES_TRIED:
        if len(waiting) == 1 and inside:
            found += 1
            yield next(iter(waiting)), inside[::-1]
        number = max(waiting)
        waiting.remove(number)
        if not graph.operations[number]:
            return
        inside.append(number)
        waiting.update(parent for parent in graph.parents[number] if not is_fixed(parent))


def is_plain(graph: Graph) -> Callable[[int], bool]:
    """Is a node a constant?"""
    return lambda number: not is_node(graph.nodes[number])


def recompute(graph: Graph, operations: Sequence[int], given: Mapping[int, Any]) -> Any:
    """The last of these operations' result, where some nodes have other numbers; None where one cannot be run again."""
    known = dict(given)
    for number in operations:
        node = graph.nodes[number]
        if not isinstance(getattr(node, "op", None), (Operation, ArrayOperation)):
            return None
        arguments = [known[p] if p in known else graph.data(p) for p in graph.parents[number]]
        try:
            known[number] = compute_node(node.op, arguments, getattr(node, "options", None) or {})
        except (ArithmeticError, ValueError, TypeError, IndexError, AttributeError):
            return None  # outside its domain, or it works only for the graph's own shapes
    return known[operations[-1]]


def compute_node(operation: Any, arguments: Sequence[Any], options: Mapping[str, Any]) -> Any:
    """One operation on plain numbers or arrays."""
    if isinstance(operation, ArrayOperation):
        return operation.function(*arguments, **options)
    if all(isinstance(x, (float, int)) for x in arguments):
        return operation.on_floats(*arguments)
    return operation.on_arrays(*arguments)


def is_private(graph: Graph, users: Sequence[Sequence[int]], operations: Sequence[int]) -> bool:
    """Is nothing inside a part used outside, wanted as an output, or labelled by its author?"""
    inside = set(operations)
    return all(
        set(users[number]) <= inside and number not in graph.outputs and not graph.labels[number]
        for number in operations[:-1]
    )
