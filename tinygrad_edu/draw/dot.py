"""A graph, or its groups, as text in the DOT language of Graphviz."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from tinygrad_edu.draw.collapse import Collapsed, Group
from tinygrad_edu.draw.graph import Graph, Kind
from tinygrad_edu.draw.text import (
    brief,
    count,
    escape,
    is_large,
    number,
    option_text,
    plain,
    quote,
    rows,
    symbol,
    value_text,
)

Lines = list[tuple[str, str]]  # (name, value)

# (fill, border): tints of the palette of Okabe and Ito, which colour-blind readers tell apart; an output has
# a thicker border too, and text is black on all of them.
COLOURS: dict[Kind, tuple[str, str]] = {
    "input": ("#d6ecfa", "#0072b2"),
    "parameter": ("#fdebc8", "#b37400"),
    "constant": ("#e8e8e8", "#9a9a9a"),
    "result": ("#ffffff", "#8a8a8a"),
    "output": ("#d3f0e5", "#00795a"),
}
QUIET = "#595959"  # names of rows, notes, edge counts: contrast 7:1 on white, 5.7:1 on the darkest fill
ALARM = "#b22222"  # numbers that are not finite; in bold type too
GAP = '<TR><TD COLSPAN="2" HEIGHT="7" CELLPADDING="0"></TD></TR>'
FONT = 'fontname="Helvetica,Arial,sans-serif"'
COMMUTATIVE = {"add", "mul", "maximum", "minimum"}
MANY_OPERATIONS = 6  # in the box of a layer; the rest is summed up


def document(statements: Iterable[str], direction: str, title: str, note: str = "") -> str:
    """A whole DOT file around the statements."""
    lines = [
        'digraph "computation graph" {',
        f"  graph [rankdir={direction}, bgcolor=white, pad=0.2, nodesep=0.22, ranksep=0.35, {FONT}]",
        f"  node [{FONT}, fontsize=12, margin=0.06, height=0.3]",
        f'  edge [{FONT}, fontsize=10, fontcolor="{QUIET}", color="#6e6e6e", arrowsize=0.6]',
        "  edge [labelfontsize=9, labeldistance=1.4]",
        *heading(title, note),
        *(f"  {statement}" for statement in statements),
        "}",
    ]
    return "\n".join(lines) + "\n"


def heading(title: str, note: str) -> Iterator[str]:
    """Title and note above the picture."""
    lines = [f'<FONT POINT-SIZE="16"><B>{escape(title, 120)}</B></FONT>'] if escape(title) else []
    lines += [f'<FONT POINT-SIZE="11" COLOR="{QUIET}">{escape(note, 200)}</FONT>'] if note else []
    if lines:
        gap = '<FONT POINT-SIZE="6">&#160;</FONT>'
        yield f"  graph [labelloc=t, label=<{'<BR/>'.join([*lines, gap])}>]"


def full(graph: Graph, derivatives: bool = False) -> Iterator[str]:
    """Every node: a box for its numbers, and before it an ellipse for the operation that made it.

    derivatives: the local derivatives on the edges into an operation, where the node keeps them (Values).
    """
    for place, node in enumerate(graph.nodes):
        kind, name = graph.kind(place), f"n{place}"
        if kind == "constant":
            yield box(name, kind, "", rows(node, None) if is_large(node) else [("", value_text(node))])
        else:
            yield box(name, kind, graph.labels[place], rows(node.data, node.grad))
        if graph.operations[place]:
            yield ellipse(f"op{place}", graph.operations[place], option_text(getattr(node, "options", None)))
            partials = getattr(node, "partials", ()) if derivatives else ()
            yield from arrows(f"op{place}", graph.parents[place], graph.operations[place], partials)
            yield f"op{place} -> {name}"


def arrows(name: str, parents: tuple[int, ...], operation: str, partials: Sequence[Any] = ()) -> Iterator[str]:
    """The edges into an operation, numbered where their order matters: a - b is not b - a.

    Graphviz moves arguments up and down to avoid crossings, and its ordering=in, which keeps them in order,
    cannot satisfy a / b and b - a at once.
    """
    numbered = len(parents) > 1 and operation not in COMMUTATIVE
    for position, parent in enumerate(parents, 1):
        labels = [f'headlabel="{position}"'] if numbered else []
        labels += [f'label=" {number(plain(partials[position - 1]))} "'] if len(partials) >= position else []
        yield f"n{parent} -> {name}" + (f" [{', '.join(labels)}]" if labels else "")


def ellipse(name: str, operation: str, options: str) -> str:
    """An operation: its sign, and its options in small type."""
    sign = symbol(operation)
    shape, label = "ellipse, margin=0.02", quote(sign)
    if options:
        label = f'<{escape(sign)}<BR/><FONT POINT-SIZE="9" COLOR="{QUIET}">{escape(options)}</FONT>>'
    elif len(sign) == 1:
        shape = "circle, fixedsize=true, width=0.38, fontsize=16"
    return f'{name} [shape={shape}, style=filled, fillcolor="#ffffff", color="#3c3c3c", label={label}]'


def box(name: str, kind: Kind, title: str, *sections: Lines) -> str:
    """A rounded box: the title on top, then a name and a value on each line, and a gap between sections."""
    fill, border = COLOURS[kind]
    head = escape(title)
    cells = f'<TR><TD COLSPAN="2"><B>{head}</B></TD></TR>' if head else ""
    cells += GAP.join("".join(row(*line) for line in lines) for lines in sections if lines)
    width = 2.2 if kind == "output" else 1
    return (
        f'{name} [shape=box, style="rounded,filled", fillcolor="{fill}", color="{border}", penwidth={width}, '
        f'label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>>]'
    )


def row(name: str, value: str) -> str:
    """A name in quiet type and its value, in alarming type if it is not finite."""
    text = escape(value)
    if "nan" in value or "inf" in value:
        text = f'<FONT COLOR="{ALARM}"><B>{text}</B></FONT>'
    if not name:
        return f'<TR><TD COLSPAN="2">{text}</TD></TR>'
    quiet = f'<FONT COLOR="{QUIET}">{escape(name)}&#160;&#160;</FONT>'
    return f'<TR><TD ALIGN="LEFT">{quiet}</TD><TD ALIGN="RIGHT">{text}</TD></TR>'


def group_statements(graph: Graph, collapse: Collapsed) -> Iterator[str]:
    """Every group as a box, and one edge for all the edges from a group to another."""
    for place, group in enumerate(collapse.groups):
        yield box(f"g{place}", group.kind, symbol(group.title), *group_sections(graph, group, collapse.by))
    for (above, below), amount in collapse.edges.items():
        if above != below or collapse.by == "operation":
            yield f'g{above} -> g{below} [label=" {amount:,} "]'


def group_sections(graph: Graph, group: Group, by: str) -> Iterator[Lines]:
    """What the box of a group says: its leaves, its operations, its output."""
    yield [("values", f"{group.values:,}")] if group.values else []
    if group.parameters:
        norms = [("|data|", group.data), ("|grad|", group.grad)]
        shown = [(name, number(norm)) for name, norm in norms if norm is not None]
        yield [("parameters", f"{group.parameters:,}"), *shown]
    yield operation_lines(group, by)
    if len(group.outputs) == 1:
        end = group.outputs[0]
        yield [(graph.labels[end] or "output", brief(graph.nodes[end].data))]


def operation_lines(group: Group, by: str) -> Lines:
    """How often each operation stands in a group."""
    shown = group.operations.most_common(MANY_OPERATIONS)
    rest = group.operations.total() - sum(amount for _, amount in shown)
    lines = [("nodes" if by == "operation" else symbol(name), f"{amount:,}") for name, amount in shown]
    return [*lines, ("others", f"{rest:,}")] if rest else lines


def note_of(graph: Graph, collapse: Collapsed) -> str:
    """The sentence that tells a reader what was collapsed."""
    boxes = count(len(collapse.groups), "box")
    return f"{count(len(graph.nodes), 'node')} drawn as {boxes}, grouped by {collapse.by}"
