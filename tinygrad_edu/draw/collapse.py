"""A graph too large to read, as a few groups: one for each layer and one for the loss, or one for each operation."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from tinygrad_edu.draw.blocks import MergedBlocks, blocks_of
from tinygrad_edu.draw.graph import Graph, Kind
from tinygrad_edu.draw.layers import Layers, find_layers, with_constants
from tinygrad_edu.draw.loss import LossPart
from tinygrad_edu.draw.text import data_of, norm_of, size

By = Literal["layer", "operation"]
ROOTS: dict[By, str] = {"layer": "inputs", "operation": "leaves"}  # titles of the group with key ""
LOSS = "\0loss"  # the key of the loss: no label has this character


@dataclass(slots=True)
class Box:
    """The facts shown in a box about its nodes; `data` and `grad` are norms over all its parameters."""

    title: str
    kind: Kind = "result"
    words: str = ""
    repeats: int = 1
    values: int = 0
    names: list[str] = field(default_factory=list)
    parameters: int = 0
    data: float = 0.0
    grad: float | None = None
    steps: int = 0
    shape: tuple[int, ...] | None = None
    operations: Counter[str] = field(default_factory=Counter)
    outputs: list[int] = field(default_factory=list)

    def add(self, graph: Graph, number: int) -> None:
        """Count one more node."""
        kind = graph.kind(number)
        if graph.operations[number]:
            self.operations[graph.operations[number]] += 1
            self.shape = getattr(graph.data(number), "shape", None)
        elif kind == "parameter":
            self.add_parameter(graph.nodes[number])
        elif kind == "input":
            self.values += size(data_of(graph.data(number)))
            self.names += [graph.labels[number]] if graph.labels[number] else []
            self.shape = getattr(graph.data(number), "shape", None) if len(self.names) < 2 else None
        if number in graph.outputs:
            self.outputs.append(number)

    def add_parameter(self, node: Any) -> None:
        """Count the numbers of a parameter, and lengthen the norms."""
        data, grad = data_of(node.data), data_of(node.grad)
        self.parameters += size(data)
        self.data = math.hypot(self.data, norm_of(data))
        if grad is not None:
            self.grad = math.hypot(self.grad or 0.0, norm_of(grad))


@dataclass(frozen=True, slots=True)
class Collapsed:
    """Groups, the number of graph edges from one to another, or from one to itself, the key of each group, and the
    group of each node."""

    by: By
    groups: list[Box]
    edges: Counter[tuple[int, int]]
    keys: list[str]
    places: list[int]

    def titles(self) -> list[str]:
        """The title of the layer behind each box, "" for the inputs."""
        return [group.title if key else "" for key, group in zip(self.keys, self.groups, strict=True)]


def collapse_graph(graph: Graph, by: By, loss: LossPart | None = None, join: bool = True) -> Collapsed:
    """Every node into the group that its key names; linear in nodes and edges. join: equal layers into one."""
    apart = in_loss(graph, loss) if by == "layer" else {}
    layers = find_layers(graph, apart) if by == "layer" else Layers(operation_keys(graph), {})
    keys, names = layers.keys, {LOSS: loss.name if loss else ""}
    blocks = blocks_of(graph, layers, keys) if by == "layer" and join else MergedBlocks({}, {}, {})
    keys = [blocks.merged.get(key, key) for key in keys]
    places = {key: place for place, key in enumerate(dict.fromkeys(keys))}
    groups = [Box(names.get(key) or blocks.titles.get(key) or key or ROOTS[by]) for key in places]
    ends = [places[key] for key in keys]
    for number, place in enumerate(ends):
        groups[place].add(graph, number)
    for key, group in zip(places, groups, strict=True):
        group.kind, group.repeats = color_kind(key, group), blocks.repeats.get(key, 1)
        group.words = blocks.words.get(key) or layers.words.get(key, "")
        group.steps = steps_of(graph, layers, key, keys)
    edges = Counter((ends[parent], end) for end, above in zip(ends, graph.parents, strict=True) for parent in above)
    return Collapsed(by, groups, edges, list(places), ends)


def in_loss(graph: Graph, loss: LossPart | None) -> dict[int, str]:
    """The key of the nodes of the loss, and of its targets."""
    inside = loss.members | loss.targets if loss else frozenset[int]()
    return {n: LOSS for n, number in enumerate(graph.numbers) if number in inside}


def steps_of(graph: Graph, layers: Layers, key: str, keys: list[str]) -> int:
    """How often a recurrent layer of arrays takes the same weight; 0 for other layers."""
    module = layers.owners[key].module if key in layers.owners else None
    if not hasattr(module, "step") or not hasattr(module, "horizon"):
        return 0
    mine = {n for n, each in enumerate(keys) if each == key and graph.kind(n) == "parameter"}
    if not all(hasattr(graph.data(n), "shape") for n in mine):
        return 0
    uses = Counter(parent for above in graph.parents for parent in above if parent in mine)
    return max(uses.values(), default=0)


def color_kind(key: str, group: Box) -> Kind:
    """The colour of a group."""
    if not key:
        return "input"
    if group.parameters and key != LOSS:
        return "parameter"
    return "output" if group.outputs else "result"


def operation_keys(graph: Graph) -> list[str]:
    """The operation of every node, "" for a leaf; a constant is with the operation that uses it."""
    return with_constants(graph, list(graph.operations))
