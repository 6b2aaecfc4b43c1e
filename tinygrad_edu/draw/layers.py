"""The layers of a graph: to which each node belongs, and what a person would call it, "Linear 4→16, tanh"."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.core import ops as ops  # fills the table
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw.graph import Graph, is_node, layer_in_label, looks_up
from tinygrad_edu.draw.owners import Owner, owners_of
from tinygrad_edu.draw.roles import PRODUCTS, RESHAPING

INDICES = re.compile(r".*weight\w*\[(\d+), ?(\d+)\]")
AFTER = {"softmax", "log_softmax", "unfold", "max", "mean", "layer norm", "batch norm", "RMS norm"}
NAMES = {"log_softmax": "log softmax", "unfold": "pooling"}
PLAIN = {"square", "sqrt", "neg", "pos", "reciprocal", "exp", "log", "abs"}  # operations of formulas, not activations


@dataclass(frozen=True, slots=True)
class Layers:
    """`keys`: the layer of every node, "" for inputs; `words`: what each is called; `owners`: the modules by layer."""

    keys: list[str]
    words: Mapping[str, str]
    owners: Mapping[str, Owner] = field(default_factory=dict)


def find_layers(graph: Graph, apart: Mapping[int, str]) -> Layers:
    """The layers of a graph; `apart`: the keys of nodes that are in none, such as the loss."""
    owned = owners_of(graph)
    leaves, uses = leaf_keys(graph, owned), uses_of(graph)
    keys = layer_keys(graph, leaves)
    keys = with_constants(graph, [apart.get(n, key) for n, key in enumerate(keys)])
    owners = {keys[n]: each for n, each in owned.items()}
    words = {}
    inside: dict[str, list[int]] = {}
    for n, key in enumerate(keys):
        inside.setdefault(key, []).append(n)
    for key in inside.keys() - {"", *apart.values()}:
        words[key] = layer_words(graph, key, inside[key], uses, owners.get(key))
    return Layers(keys, words, owners)


def layers_of(graph: Graph) -> list[str]:
    """The layers in order of appearance."""
    return list(dict.fromkeys(filter(None, layer_keys(graph, leaf_keys(graph, owners_of(graph))))))


def leaf_keys(graph: Graph, owned: Mapping[int, Owner]) -> dict[int, str]:
    """The layer of each parameter: of the module that holds it, as its label says, or of the weight that it follows."""
    keys = {}
    for n, label in enumerate(graph.labels):
        if graph.operations[n] or not is_node(graph.nodes[n]):
            continue
        if n in owned:
            keys[n] = owned[n].place or type(owned[n].module).__name__
        elif layer_in_label(label):
            keys[n] = layer_in_label(label)
    return keys | infer_keys(graph, keys)


def infer_keys(graph: Graph, known: Mapping[int, str]) -> dict[int, str]:
    """A layer for each weight matrix that belongs to no module: the Tensors of a hand-written network."""
    found: dict[int, str] = {}
    for n in uses_of(graph):
        if n not in known and graph.kind(n) == "parameter" and getattr(graph.data(n), "ndim", 0) > 1:
            found[n] = graph.labels[n] or f"layer {len(found) + 1}"
    return found


def uses_of(graph: Graph) -> dict[int, tuple[int, int]]:
    """By parameter: (the product or look-up that it enters first, the node in which it enters it)."""
    origin: dict[int, int] = {}
    found: dict[int, tuple[int, int]] = {}
    for n, parents in enumerate(graph.parents):
        if not parents:
            if graph.kind(n) == "parameter":
                origin[n] = n
            continue
        entering = [parent for parent in parents if parent in origin]
        if graph.operations[n] in PRODUCTS or looks_up(graph.nodes[n]):
            for parent in entering:
                found.setdefault(origin[parent], (n, parent))
        elif len(parents) == len(entering) == 1 and graph.operations[n] in RESHAPING:
            origin[n] = origin[entering[0]]
    return found


def layer_keys(graph: Graph, leaves: Mapping[int, str]) -> list[str]:
    """The layer of every node: for a result, the deepest among the parameters that it depends on.

    A layer is deeper than another when an operation meets its parameters later. What depends on no parameter
    is with the inputs, under "", a constant with the operation that uses it, and so is a bias that nobody owns.
    """
    keys = [leaves.get(n, "") for n in range(len(graph.nodes))]
    depth: dict[str, int] = {"": 0}
    for number, parents in enumerate(graph.parents):
        for parent in parents:
            depth.setdefault(keys[parent], len(depth))
        if parents:
            keys[number] = max((keys[parent] for parent in parents), key=depth.__getitem__)
            for parent in parents:
                if graph.kind(parent) == "parameter" and not keys[parent]:
                    keys[parent] = keys[number]
    return with_constants(graph, with_norms(graph, keys))


def with_norms(graph: Graph, keys: list[str]) -> list[str]:
    """The keys, where what sets mean and variance belongs to the layer that scales its result."""
    for number, parents in enumerate(graph.parents):
        scaled = any(graph.kind(parent) == "parameter" for parent in parents)
        for parent in parents if scaled else ():
            if graph.operations[parent].endswith(" norm"):
                keys[parent] = keys[number]
    return keys


def with_constants(graph: Graph, keys: list[str]) -> list[str]:
    """The keys, each constant's replaced by its first user's."""
    met = set()
    for number, parents in enumerate(graph.parents):
        for parent in parents:
            if graph.kind(parent) == "constant" and parent not in met:
                met.add(parent)
                keys[parent] = keys[number]
    return keys


def layer_words(
    graph: Graph, key: str, members: Sequence[int], uses: Mapping[int, tuple[int, int]], owner: Owner | None
) -> str:
    """A layer in words, with the activation behind it."""
    words = owner.module.describe() if owner else ""
    if words and next(owner.module.children(), None) is not None:  # type: ignore[union-attr]
        return words  # its activations are named inside
    words = words or guess(graph, members, uses) or (type(owner.module).__name__ if owner else "")
    own = {n for n in members if graph.kind(n) == "parameter"}
    last = max((n for n in members if not own.isdisjoint(graph.parents[n])), default=-1)
    return ", ".join(dict.fromkeys(filter(None, [words, *after(graph, [n for n in members if n > last])])))


def after(graph: Graph, results: Sequence[int]) -> list[str]:
    """The activations and the like among results, in order."""
    found = []
    for n in results:
        name = graph.operations[n]
        row = TABLE.get(name)
        unary = row is not None and row.activation and len(row.parameters) - len(row.defaults) == 1
        if (unary and name not in PLAIN) or name in AFTER:
            found.append("max pooling" if name == "max" and "pooling" in found else NAMES.get(name, name))
    return [name for name in found if not (name == "pooling" and "max pooling" in found)]


def guess(graph: Graph, members: Sequence[int], uses: Mapping[int, tuple[int, int]]) -> str:
    """A description of a layer from the shapes of its weights, if no module gives one."""
    found = [said for n in members if n in uses and (said := guess_by_use(graph, *uses[n]))]
    if found:
        return found[0] if len(set(found)) == 1 else ""  # several uses are gates, and the layer's own name says more
    pairs = [INDICES.fullmatch(graph.labels[n]) for n in members]
    indices = [(int(pair[1]), int(pair[2])) for pair in pairs if pair]
    return f"Linear {max(i for _, i in indices) + 1}→{max(j for j, _ in indices) + 1}" if indices else ""


def guess_by_use(graph: Graph, use: int, entering: int) -> str:
    """A description of the layer, guessed from the use of one weight."""
    shape: Any = getattr(graph.data(entering), "shape", ())
    operation = graph.operations[use]
    if operation == "getitem":
        return f"Embedding {shape[0]}→{shape[1]}" if len(shape) == 2 else ""
    if operation == "matmul" and len(shape) == 2:
        rows, columns = shape if graph.parents[use][-1] == entering else shape[::-1]
        return f"Linear {rows}→{columns}"
    if operation == "conv" and len(shape) > 2:
        return f"Conv{len(shape) - 2}d {shape[1]}→{shape[0]}, {'×'.join(map(str, shape[2:]))}"
    return ""
