"""A computation graph as plain lists, nodes named by their number: what every other file here reads."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from tinygrad_edu.core.graph import parent_nodes, topological

Node = Any
Kind = Literal["constant", "input", "parameter", "result", "output"]

# "layers.0.weight[1,2]" is in layer "layers.0"; "a", "3.14" and "weight[1,2]" are in none.
IN_LAYER = re.compile(r"(\w+(?:\.\w+)*)\.[^\W\d]\w*(?:\[[\d, ]*\])?")
WEIGHT = re.compile(r"((?:.*\.)?)(?:weight|[wW])\w*\[\d+, ?(\d+)\]")  # "layers.0.weight[1,2]" is multiplied by input x2
# For Values it is unknown what training changes, so the names that teachers use decide.
LIKE_WEIGHTS = re.compile(r"(?:w|W|weights?|theta)[_\d]*(?:\[[\d, ]*\])?")
LIKE_BIASES = re.compile(r"(?:b|bias)[_\d]*(?:\[[\d, ]*\])?")
LIKE_INPUTS = re.compile(r"[xX][_\d]*(?:\[[\d, ]*\])?|inputs?")


@dataclass(frozen=True, slots=True)
class Graph:
    """Node i is `nodes[i]`, its parents `parents[i]`, all smaller than i. A constant is a plain number or array."""

    nodes: list[Node]
    parents: list[tuple[int, ...]]
    labels: list[str]
    operations: list[str]  # "" for leaves and constants
    outputs: frozenset[int]
    inputs: set[int] = field(default_factory=set)  # constants that are inputs of a model
    trained: set[int] = field(default_factory=set)  # leaves that training changes
    numbers: list[int] = field(default_factory=list)  # for each node its number in the whole graph

    def kind(self, number: int) -> Kind:
        """The role of a node in the picture."""
        if number in self.inputs:
            return "input"
        if not is_node(self.nodes[number]):
            return "constant"
        if self.operations[number]:
            return "output" if number in self.outputs else "result"
        return "parameter" if layer_in_label(self.labels[number]) or number in self.trained else "input"

    def name(self, number: int) -> str:
        """The name of a node in the DOT text and in the story."""
        return f"n{self.numbers[number]}"

    def data(self, number: int) -> Any:
        """The number or array of a node or a constant."""
        node = self.nodes[number]
        return node.data if is_node(node) else node


class _Sink:
    """Stands below all outputs, so that one walk from it meets every node."""

    def __init__(self, parents: Sequence[Node]) -> None:
        self.parents = parents


def graph_of(outputs: Sequence[Node], names: Mapping[int, str] | None = None) -> Graph:
    """The graph that leads to `outputs`, parents before children, the same for the same graph.

    A node is listed once, however often it is used, and so is an array, and a number that is a model's input; any
    other plain number once for each use, since Python shares small numbers, and a picture should not. `names`, by id,
    go before labels.
    """
    graph = Graph([], [], [], [], frozenset(range(len(outputs))))
    numbers: dict[Any, int] = {}

    def add(node: Node, parents: tuple[int, ...]) -> int:
        graph.nodes.append(node)
        graph.parents.append(parents)
        graph.labels.append(str((names or {}).get(id(node)) or getattr(node, "label", "")))
        graph.operations.append(operation_name(node))
        graph.numbers.append(len(graph.numbers))
        return len(graph.nodes) - 1

    def constant(parent: Node, key: Any) -> int:
        if key is None or key not in numbers:
            place = add(parent, ())
            if key is None:
                return place
            numbers[key] = place
            graph.inputs.update([place] if key[0] == "input" else ())
        return numbers[key]

    wanted = set(map(id, outputs))
    for node in topological(_Sink(outputs), last_to_first)[:-1]:
        if not is_constant(node) or id(node) in wanted:
            above = [bare(parent) for parent in node.parents]
            keys = [None if is_node(parent) else key_of(parent, above, graph, numbers) for parent in above]
            places = [numbers[id(p)] if is_node(p) else constant(p, key) for p, key in zip(above, keys, strict=True)]
            numbers[id(node)] = add(node, tuple(places))
    ends = frozenset(numbers[id(node)] for node in outputs)
    whole = Graph(graph.nodes, graph.parents, graph.labels, graph.operations, ends, graph.inputs, numbers=graph.numbers)
    name_inputs(whole, {place: key for key, place in numbers.items() if place in whole.inputs})
    whole.trained.update(leaves_to_train(whole))
    return whole


def bare(parent: Node) -> Node:
    """A constant of the scalar back end as a plain number, as it is on the tensor back end."""
    return parent.data if is_constant(parent) else parent


def key_of(constant: Any, beside: Sequence[Node], graph: Graph, numbers: Mapping[Any, int]) -> Any:
    """What makes two constants the same box: an array's numbers; an input of a layer, which is one float object.

    None for any other number.
    """
    if getattr(constant, "size", 1) > 1:
        large = constant.size > 1_000_000  # too large to compare number by number
        return ("array", constant.shape, str(constant.dtype), id(constant) if large else constant.tobytes())
    for node in beside:
        place = numbers.get(id(node))
        label = "" if place is None or graph.operations[place] else graph.labels[place]
        if len(beside) == 2 and (met := WEIGHT.fullmatch(label)):
            return ("input", met[1], int(met[2]), id(constant))
    return None


def name_inputs(graph: Graph, keys: Mapping[int, Any]) -> None:
    """x0, x1, ...; of several samples X[0,1], X[1,1], ... in the order in which they come."""
    samples: dict[tuple[str, int], list[int]] = {}
    for place in sorted(graph.inputs):
        _, layer, feature, _ = keys[place]
        samples.setdefault((layer, feature), []).append(place)
    several = any(len(places) > 1 for places in samples.values())
    for (_, feature), places in samples.items():
        for sample, place in enumerate(places):
            graph.labels[place] = f"X[{sample},{feature}]" if several else f"x{feature}"


def leaves_to_train(graph: Graph) -> set[int]:
    """The leaves that training changes, where no layer's label says so.

    Tensors that require a gradient beside data that do not; Values that are called as weights are.
    """
    leaves = [i for i, name in enumerate(graph.operations) if not name and is_node(graph.nodes[i])]
    wanted = {i: getattr(graph.nodes[i], "requires_grad", None) for i in leaves}
    data = {i for i, wants in wanted.items() if wants is False}
    arrays = [i for i, node in enumerate(graph.nodes) if not is_node(node) and getattr(node, "size", 1) > 1]
    looked_up = [i for i, node in enumerate(graph.nodes) if looks_up(node)]
    found = {i for i, wants in wanted.items() if wants and (data or arrays or looked_up)}
    weights = {i for i, wants in wanted.items() if wants is None and LIKE_WEIGHTS.fullmatch(graph.labels[i])}
    if weights or found:
        found |= {i for i, wants in wanted.items() if wants is not False and LIKE_BIASES.fullmatch(graph.labels[i])}
    return {i for i in found | weights if not LIKE_INPUTS.fullmatch(graph.labels[i])}


def looks_up(node: Node) -> bool:
    """Does it take rows by whole numbers, as an embedding does?"""
    index = (getattr(node, "options", None) or {}).get("index")
    parts = index if isinstance(index, tuple) else (index,)
    return operation_name(node) == "getitem" and any(getattr(part, "size", 0) for part in parts)


def last_to_first(node: Node) -> list[Node]:
    """Parents for `topological`, which opens the last one first: a comes before b in a picture of a + b."""
    return list(parent_nodes(node))[::-1]


def is_node(candidate: object) -> bool:
    """Does it belong to the graph, or is it a plain number or array?"""
    return hasattr(candidate, "parents")


def is_constant(candidate: object) -> bool:
    """Is it a plain number that the scalar back end keeps as a leaf?"""
    return bool(getattr(candidate, "is_constant", False))


def operation_name(node: Node) -> str:
    """The name of the operation that made a node, "" for a leaf."""
    operation = getattr(node, "op", None)
    return "" if operation is None else str(getattr(operation, "name", operation))


def layer_in_label(label: str) -> str:
    """The layer that a parameter's label names, or "".

    >>> layer_in_label("layers.0.weight[1,2]"), layer_in_label("a")
    ('layers.0', '')
    """
    match = IN_LAYER.fullmatch(label)
    return match[1] if match else ""
