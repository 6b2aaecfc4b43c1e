"""A graph too large to read, as a few groups: one for each layer, or one for each operation."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from tinygrad_edu.draw.graph import Graph, Kind, is_node, layer_of
from tinygrad_edu.draw.text import norm, plain, size

By = Literal["layer", "operation"]
ROOTS: dict[By, str] = {"layer": "inputs", "operation": "leaves"}  # titles of the group with the key ""


@dataclass(slots=True)
class Group:
    """What a box says about the nodes in it; `data` and `grad` are norms over all its parameters."""

    title: str
    kind: Kind = "result"
    values: int = 0
    parameters: int = 0
    data: float = 0.0
    grad: float | None = None
    operations: Counter[str] = field(default_factory=Counter)
    outputs: list[int] = field(default_factory=list)

    def add(self, graph: Graph, number: int) -> None:
        """Count one more node."""
        kind = graph.kind(number)
        if graph.operations[number]:
            self.operations[graph.operations[number]] += 1
        elif kind == "parameter":
            self.add_parameter(graph.nodes[number])
        elif kind == "input":
            self.values += size(plain(graph.nodes[number]))
        if number in graph.outputs:
            self.outputs.append(number)

    def add_parameter(self, node: Any) -> None:
        """Count the numbers of a parameter, and lengthen the norms."""
        data, grad = plain(node.data), plain(node.grad)
        self.parameters += size(data)
        self.data = math.hypot(self.data, norm(data))
        if grad is not None:
            self.grad = math.hypot(self.grad or 0.0, norm(grad))


@dataclass(frozen=True, slots=True)
class Collapsed:
    """Groups, and the number of graph edges from one to another, or from one to itself."""

    by: By
    groups: list[Group]
    edges: Counter[tuple[int, int]]


def collapse_graph(graph: Graph, by: By) -> Collapsed:
    """Every node into the group that its key names; linear in nodes and edges."""
    keys = layer_keys(graph) if by == "layer" else operation_keys(graph)
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    groups = [Group(key or ROOTS[by]) for key in places]
    ends = [places[key] for key in keys]
    for number, place in enumerate(ends):
        groups[place].add(graph, number)
    for key, group in zip(places, groups, strict=True):
        group.kind = kind_of(key, group)
    edges = Counter((ends[parent], end) for end, above in zip(ends, graph.parents, strict=True) for parent in above)
    return Collapsed(by, groups, edges)


def kind_of(key: str, group: Group) -> Kind:
    """The colour of a group."""
    if not key:
        return "input"
    if group.parameters:
        return "parameter"
    return "output" if group.outputs else "result"


def layer_keys(graph: Graph) -> list[str]:
    """The layer of every node: for a result, the deepest among the parameters that it depends on.

    A layer is deeper than another when an operation meets its parameters later. What depends on no parameter
    is with the inputs, under "", and a constant with the operation that uses it.
    """
    keys = [layer_of(label) for label in graph.labels]
    depth: dict[str, int] = {"": 0}
    for number, parents in enumerate(graph.parents):
        for parent in parents:
            depth.setdefault(keys[parent], len(depth))
        if parents:
            keys[number] = max((keys[parent] for parent in parents), key=depth.__getitem__)
    return with_constants(graph, keys)


def operation_keys(graph: Graph) -> list[str]:
    """The operation of every node, "" for a leaf; a constant is with the operation that uses it."""
    return with_constants(graph, list(graph.operations))


def with_constants(graph: Graph, keys: list[str]) -> list[str]:
    """The keys, each constant's replaced by its user's."""
    for number, parents in enumerate(graph.parents):
        for parent in parents:
            if not is_node(graph.nodes[parent]):
                keys[parent] = keys[number]
    return keys


def layers_of(graph: Graph) -> list[str]:
    """The layers that labels of leaves name ("layers.0.weight" names "layers.0"), in order of appearance."""
    leaves = (label for label, name in zip(graph.labels, graph.operations, strict=True) if not name)
    return list(dict.fromkeys(filter(None, map(layer_of, leaves))))
