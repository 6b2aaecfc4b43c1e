"""A function that was written out in operations, as one node: the page unfolds it again."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tinygrad_edu.core import ops as ops  # fills the table
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.recognize import name_of_part
from tinygrad_edu.draw.recompute import is_plain, is_private, parts_ending_at, users_of

MOST_NODES = 3000  # nodes of a graph in which patterns are searched; a larger one is drawn in groups


@dataclass(frozen=True, slots=True)
class Function:
    """A part of a graph with a name: its operations, in order, and the node that goes in."""

    name: str
    entry: int
    operations: tuple[int, ...]


def functions_in(graph: Graph) -> list[Function]:
    """The functions in a graph, the last one first; none lies in another.

    Of several parts that end at one node the longest that has a name is taken.
    """
    if len(graph.nodes) > MOST_NODES:
        return []
    users, taken, found = users_of(graph), set[int](), []
    for end in range(len(graph.nodes) - 1, -1, -1):
        function = None if end in taken or not graph.operations[end] else function_ending_at(graph, end, users)
        if function is not None:
            taken.update(function.operations)
            found.append(function)
    return found


def function_ending_at(graph: Graph, end: int, users: list[list[int]]) -> Function | None:
    """The longest function of two operations or more that ends at a node and has a name; None if there is none."""
    best = None
    for entry, operations in parts_ending_at(graph, end, is_plain(graph)):
        inside = [n for n in operations if graph.operations[n]]
        if len(inside) > 1 and is_private(graph, users, operations):
            name = name_of_part(graph, entry, operations)
            best = Function(name, entry, tuple(operations)) if name else best
    return best


def fold(graph: Graph, functions: list[Function]) -> tuple[Graph, Mapping[int, Function]]:
    """(the graph with one node for each function, the functions by their node in it).

    Nothing is folded where less than two operations would be left: the picture is of the function itself.
    """
    hidden = {n for f in functions for n in f.operations[:-1]}
    left = sum(map(bool, graph.operations)) - len(hidden)
    if not functions or left < 2:
        return graph, {}
    ends = {f.operations[-1]: f for f in functions}
    parents = {n: (ends[n].entry,) if n in ends else graph.parents[n] for n in range(len(graph.nodes))}
    used = {p for n in parents if n not in hidden for p in parents[n]} | graph.outputs
    kept = [n for n in range(len(graph.nodes)) if n in used and n not in hidden]
    place = {n: k for k, n in enumerate(kept)}
    folded = Graph(
        [graph.nodes[n] for n in kept],
        [tuple(place[p] for p in parents[n]) for n in kept],
        [graph.labels[n] for n in kept],
        [ends[n].name if n in ends else graph.operations[n] for n in kept],
        frozenset(place[n] for n in graph.outputs),
        {place[n] for n in graph.inputs if n in place},
        {place[n] for n in graph.trained if n in place},
        [graph.numbers[n] for n in kept],
    )
    return folded, {place[n]: f for n, f in ends.items()}


def in_words(name: str) -> str:
    """A function's name as shown in a picture."""
    return name if name in TABLE else name.replace("_", " ")
