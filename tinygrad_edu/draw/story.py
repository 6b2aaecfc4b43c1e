"""What the interactive page tells of each node: its numbers, its formula, and the chain rule at it, in numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_edu.charts.text import clean
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.draw.array_numbers import rule_of, share_text, shares_of
from tinygrad_edu.draw.graph import Graph, is_node
from tinygrad_edu.draw.text import brief, data_of, four_digits, is_large, norm_of, option_text, size, symbol

Node = Any
LONGEST = 300  # letters of a label or a line in the panel
INFIX = {"add", "sub", "mul", "div", "pow", "matmul"}


def story(
    graph: Graph,
    layers: Sequence[str],
    groups: Sequence[str],
    functions: Mapping[str, tuple[str, Sequence[str]]],
    boxes: Sequence[int] = (),
    missing: str = "",
) -> dict[str, Any]:
    """The graph as data for the page.

    "nodes": in the order of the forward pass, named as in the picture (n0, n1, ...), unless there are too many for a
    page, when `layers`, the layer of each, is empty; "groups": the layer behind each box of the folded picture (g0, g1,
    ...); "functions": by the node that stands for a folded function, its name and the nodes inside it; "missing": why
    not every node is drawn. `boxes`: the box of each node in the folded picture.
    """
    nodes = [tell_node(graph, place, clean(layer)) for place, layer in enumerate(layers)]
    for node, box in zip(nodes, boxes, strict=False):
        node["box"] = f"g{box}"
    told = {name: {"name": clean(said), "inside": list(inside)} for name, (said, inside) in functions.items()}
    titles = {f"g{place}": clean(layer) for place, layer in enumerate(groups)}
    return {"nodes": nodes, "groups": titles, "functions": told, "missing": missing}


def tell_node(graph: Graph, place: int, layer: str) -> dict[str, Any]:
    """One node: the content of its panel, and the text of each step about it."""
    node = graph.nodes[place]
    facts = {"id": f"n{place}", "kind": graph.kind(place), "layer": layer, "name": node_name(graph, place)}
    facts |= whole_label(graph, place) | tell_place(node)
    if not is_node(node):
        return {**facts, "value": spell(node), "parents": []}
    gradient = data_of(getattr(node, "grad", None))
    return {
        **facts,
        "value": spell(node.data),
        "gradient": "" if gradient is None else spell(gradient),
        "shape": list(getattr(node.data, "shape", ())),
        **(tell_result(graph, place) if graph.operations[place] else {"parents": []}),
    }


def tell_result(graph: Graph, place: int) -> dict[str, Any]:
    """For a result: the operation, its formula, the line of the forward pass, and the gradient for each parent."""
    node, operation = graph.nodes[place], graph.operations[place]
    options = option_text(getattr(node, "options", None))
    names = [node_name(graph, parent) for parent in graph.parents[place]]
    values = [brief_number(graph.nodes[parent]) for parent in graph.parents[place]]
    mine, shares = node_name(graph, place), shares_of(node)
    return {
        "parents": [f"n{parent}" for parent in graph.parents[place]],
        "operation": symbol(operation),
        "formula": formula(node),
        "forward": f"{mine} = {call_as_text(operation, names, options)}"
        + (f" = {call_as_text(operation, values, options)}" if all(values) else "")
        + f" = {spell(node.data)}",
        "backward": [back for k in range(len(names)) if (back := hand_back(graph, place, names, k, shares))],
    }


def hand_back(
    graph: Graph, place: int, names: list[str], slot: int, shares: Mapping[int, Any]
) -> dict[str, str] | None:
    """The chain rule for one parent: ∂L/∂parent += ∂L/∂node · ∂node/∂parent, in numbers once `backward` has run."""
    parent, node = graph.parents[place][slot], graph.nodes[place]
    if graph.kind(parent) == "constant":
        return None
    told = {"parent": f"n{parent}", "rule": rule_of(node, slot, node_name(graph, place), names), "numbers": ""}
    partials = getattr(node, "partials", ())
    if slot in shares:
        told["numbers"] = share_text(shares[slot], node, slot)
    elif len(partials) > slot and size(data_of(node.grad)) == 1:
        g, d = float(data_of(node.grad)), float(data_of(partials[slot]))
        told["numbers"] = f"{four_digits(g)} · {four_digits(d)} = {four_digits(g * d)}"
    return told


def whole_label(graph: Graph, place: int) -> dict[str, str]:
    """A label that boxes and formulas shorten, in full."""
    whole = clean(graph.labels[place], LONGEST)
    return {"label": whole} if whole != clean(graph.labels[place]) else {}


def tell_place(node: Node) -> dict[str, str]:
    """The line of the program that made the node, and its part of it, where `record_lines` was on."""
    place = getattr(node, "place", None)
    if place is None:
        return {}
    return {"place": clean(str(place)), "source": clean(place.source, LONGEST), "part": clean(place.part, LONGEST)}


def node_name(graph: Graph, place: int) -> str:
    """A node's label, as in the picture; else the number of a constant, or v3 for the fourth node."""
    label, node = clean(graph.labels[place]), graph.nodes[place]
    if label or is_node(node):
        return label or f"v{place}"
    return brief(node) if size(node) == 1 else f"c{place}"


def spell(data: ArrayLike) -> str:
    """A number, or a small array in full; a large one as its shape and norm.

    >>> spell(-0.5)
    '-0.5'
    """
    data = data_of(data)
    return f"{tuple(data.shape)}, norm {four_digits(norm_of(data))}" if is_large(data) else brief(data)


def brief_number(node: Node) -> str:
    """A single number as text; "" for an array."""
    data = data_of(getattr(node, "data", node)) if is_node(node) else node
    return brief(data) if size(data) == 1 else ""


def call_as_text(operation: str, arguments: list[str], options: str) -> str:
    """An operation as one writes it: a · b, a @ b, tanh(x), sum(x, axis=0)."""
    if operation in INFIX and len(arguments) == 2:
        return f" {symbol(operation)} ".join(f"({text})" if text[:1] == "-" else text for text in arguments)
    return f"{operation}({', '.join([*arguments, *filter(None, [options])])})"


def formula(node: Node) -> str:
    """The first line of the operation's docstring: its formula and derivative."""
    text = getattr(getattr(node, "op", None), "__doc__", "") or ""
    return " ".join(text.strip().splitlines()[0].split()) if text.strip() else ""
