"""Names for the arrays that a model and its loss are given, where their author gave none."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.loss import LossPart
from tinygrad_edu.draw.recompute import users_of
from tinygrad_edu.draw.roles import PRODUCTS
from tinygrad_edu.draw.text import size


def name_arrays(graph: Graph, folded: Graph, loss: LossPart | None) -> None:
    """X for an array that a model is given, "targets" for one that its loss is given, "X, part 2" for a part of one.

    An array of zeros beside others is the state with which a recurrent layer begins: it stays a constant.
    """
    found = dict(unnamed(graph, loss))
    named = any(label and graph.kind(n) == "input" for n, label in enumerate(graph.labels))
    if named or any(graph.data(n).any() for n, name in found.items() if name == "X"):
        found = {n: name for n, name in found.items() if name != "X" or graph.data(n).any()}
    wholes: dict[str, list[int]] = {}  # name -> the arrays of which the nodes are parts
    parts: dict[int, int] = {}
    places = {number: place for place, number in enumerate(folded.numbers)}
    bases = [whole_of(graph, n) for n in found]
    for (n, name), whole in zip(found.items(), bases, strict=True):
        known = wholes.setdefault(name, [])
        known += [] if whole in known else [whole]
        parts[whole] = parts.get(whole, 0) + 1
        label = name if known.index(whole) == 0 else f"{name}{known.index(whole) + 1}"
        label += f", part {parts[whole]}" if bases.count(whole) > 1 else ""
        for each, place in ((graph, n), (folded, places.get(n))):
            if place is not None:
                each.labels[place] = label
                each.inputs.add(place)


def unnamed(graph: Graph, loss: LossPart | None) -> Iterator[tuple[int, str]]:
    """(array without a label, what it is)."""
    users = users_of(graph)
    for n in range(len(graph.nodes)):
        if graph.operations[n] or graph.labels[n] or graph.kind(n) == "parameter" or size(graph.data(n)) == 1:
            continue
        if loss and n in loss.targets:
            yield n, "targets"
        elif is_data(graph, n) or any(graph.operations[user] in PRODUCTS for user in users[n]):
            yield n, "X"


def is_data(graph: Graph, number: int) -> bool:
    """Is it a Tensor that is not trained?"""
    return graph.kind(number) == "input" and not getattr(graph.nodes[number], "requires_grad", False)


def whole_of(graph: Graph, number: int) -> int:
    """The array of which an array is a part: itself, or the one whose memory it looks at."""
    data = graph.data(number)
    while hasattr(getattr(data, "base", None), "shape"):
        data = data.base
    return id(data)
