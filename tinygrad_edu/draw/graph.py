"""A computation graph as plain lists, nodes named by their number: what every other file here reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from tinygrad_edu.core.graph import parent_nodes, topological

Node = Any
Kind = Literal["constant", "input", "parameter", "result", "output"]

# "layers.0.weight[1,2]" is in layer "layers.0"; "a", "3.14" and "weight[1,2]" are in none.
IN_LAYER = re.compile(r"(\w+(?:\.\w+)*)\.[^\W\d]\w*(?:\[[\d, ]*\])?")


@dataclass(frozen=True, slots=True)
class Graph:
    """Node i is `nodes[i]`, its parents `parents[i]`, all smaller than i."""

    nodes: list[Node]
    parents: list[tuple[int, ...]]
    labels: list[str]
    operations: list[str]  # "" for a leaf and a constant
    outputs: frozenset[int]

    def kind(self, number: int) -> Kind:
        """What a node is to the reader of the picture."""
        if not is_node(self.nodes[number]):
            return "constant"
        if self.operations[number]:
            return "output" if number in self.outputs else "result"
        return "parameter" if layer_of(self.labels[number]) else "input"


class _Sink:
    """Stands below all outputs, so that one walk from it meets every node."""

    def __init__(self, parents: Sequence[Node]) -> None:
        self.parents = parents


def graph_of(outputs: Sequence[Node], names: Mapping[int, str] | None = None) -> Graph:
    """The graph that leads to `outputs`, parents before children, the same for the same graph.

    A node is listed once, however often it is used; a constant (a plain number or array) once for each use,
    since Python shares small numbers, and a picture should not. `names`, by id, go before labels.
    """
    graph = Graph([], [], [], [], frozenset(range(len(outputs))))
    numbers: dict[int, int] = {}

    def add(node: Node, parents: tuple[int, ...]) -> int:
        graph.nodes.append(node)
        graph.parents.append(parents)
        graph.labels.append(str((names or {}).get(id(node)) or getattr(node, "label", "")))
        graph.operations.append(operation_name(node))
        return len(graph.nodes) - 1

    for node in topological(_Sink(outputs), last_to_first)[:-1]:
        above = tuple(numbers[id(parent)] if is_node(parent) else add(parent, ()) for parent in node.parents)
        numbers[id(node)] = add(node, above)
    ends = frozenset(numbers[id(node)] for node in outputs)
    return Graph(graph.nodes, graph.parents, graph.labels, graph.operations, ends)


def last_to_first(node: Node) -> list[Node]:
    """Parents for `topological`, which opens the last one first: a comes before b in a picture of a + b."""
    return list(parent_nodes(node))[::-1]


def is_node(candidate: object) -> bool:
    """Has it a place in the graph, or is it a plain number or array?"""
    return hasattr(candidate, "parents")


def operation_name(node: Node) -> str:
    """The name of the operation that made a node, "" for a leaf."""
    operation = getattr(node, "op", None)
    return "" if operation is None else str(getattr(operation, "name", operation))


def layer_of(label: str) -> str:
    """The layer that a parameter's label names, or "".

    >>> layer_of("layers.0.weight[1,2]"), layer_of("a")
    ('layers.0', '')
    """
    match = IN_LAYER.fullmatch(label)
    return match[1] if match else ""
