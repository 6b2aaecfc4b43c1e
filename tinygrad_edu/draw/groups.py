"""The boxes of a collapsed graph, as DOT statements."""

from __future__ import annotations

from collections.abc import Iterator

from tinygrad_edu.charts.text import shorten
from tinygrad_edu.draw.collapse import LOSS, Box, Collapsed
from tinygrad_edu.draw.dot import LABEL, Lines, box, has_gradients
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.loss import LossPart
from tinygrad_edu.draw.text import brief, count, four_digits, list_names, size, symbol

MANY_OPERATIONS = 6  # operations listed in the box of a group; the rest is summarized


def group_statements(graph: Graph, collapse: Collapsed, loss: LossPart | None = None) -> Iterator[str]:
    """Every group as a box, and one edge for all the edges from a group to another."""
    told = has_gradients(graph)
    arrays = any(hasattr(graph.data(n), "shape") for n in graph.outputs)
    for place, (key, group) in enumerate(zip(collapse.keys, collapse.groups, strict=True)):
        sections = list(
            loss_sections(graph, group, loss) if key == LOSS else group_sections(graph, group, collapse.by, told)
        )
        yield box(f"g{place}", group.kind, title_of(group), *sections, under=place_of(group))
    for (above, below), amount in collapse.edges.items():
        if above != below or collapse.by == "operation":
            shown = not arrays or collapse.by == "operation"  # for arrays the box shows the shape already
            yield f"g{above} -> g{below}" + (f' [label=" {amount:,} "]' if shown else "")


def title_of(group: Box) -> str:
    """The title of a group: "Linear 4→16, tanh ×12"."""
    times = f" ×{group.repeats}" if group.repeats > 1 else ""
    return (group.words or symbol(group.title)) + times


def place_of(group: Box) -> str:
    """The layer's place in the model, unless it is called the same."""
    return group.title if group.words and not group.words.startswith(group.title) else ""


def group_sections(graph: Graph, group: Box, by: str, gradients: bool) -> Iterator[Lines]:
    """The sections in the box of a group: its leaves, its operations, its output."""
    yield input_lines(group)
    if group.parameters:
        norms = [("|data|", group.data), ("|grad|", group.grad if gradients else None)]
        shown = [(name, four_digits(norm)) for name, norm in norms if norm is not None]
        yield [("parameters", f"{group.parameters:,}"), *shown]
    yield [("steps", f"{group.steps}")] if group.steps > 1 else []
    yield operation_lines(group, by) if by == "operation" or not group.words else []
    if len(group.outputs) == 1:
        end = group.outputs[0]
        yield [(shorten(graph.labels[end], LABEL) or "output", brief(graph.nodes[end].data))]
    elif group.words and group.shape:
        yield [("out", str(group.shape))]


def input_lines(group: Box) -> Lines:
    """The inputs in a group: one with its shape, several with their names."""
    if not group.values:
        return []
    if len(group.names) == 1 and group.shape:
        return [(shorten(group.names[0], LABEL), str(group.shape))]
    wholes = list(dict.fromkeys(shorten(name.partition(", part ")[0], LABEL) for name in group.names))
    names = [("", list_names(wholes, 6))] if wholes else []
    return [*names, ("values", f"{group.values:,}")]


def loss_sections(graph: Graph, group: Box, loss: LossPart | None) -> Iterator[Lines]:
    """The sections in the box of the loss."""
    numbers = {whole: n for n, whole in enumerate(graph.numbers)}
    targets = [numbers[n] for n in sorted(loss.targets if loss else ()) if n in numbers]
    targets = [n for n in targets if graph.kind(n) == "input" or size(graph.data(n)) > 1]
    if len(targets) == 1 and size(graph.data(targets[0])) > 1:
        yield [("targets", str(graph.data(targets[0]).shape))]
    elif targets:
        yield [("targets", f"{sum(size(graph.data(n)) for n in targets):,}")]
    for end in group.outputs[:1]:
        yield [(shorten(graph.labels[end], LABEL) or "loss", brief(graph.nodes[end].data))]


def operation_lines(group: Box, by: str) -> Lines:
    """How often each operation occurs in a group."""
    shown = group.operations.most_common(MANY_OPERATIONS)
    rest = group.operations.total() - sum(amount for _, amount in shown)
    lines = [("nodes" if by == "operation" else symbol(name), f"{amount:,}") for name, amount in shown]
    return [*lines, ("others", f"{rest:,}")] if rest else lines


def note_of(nodes: int, collapse: Collapsed) -> str:
    """The sentence that tells a reader what was collapsed."""
    return f"{count(nodes, 'node')} drawn as {count(len(collapse.groups), 'box')}, grouped by {collapse.by}"
