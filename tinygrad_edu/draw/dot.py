"""A graph, or its groups, as text in the DOT language of Graphviz."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from tinygrad_edu.charts.text import clean, shorten
from tinygrad_edu.draw.fold import Function
from tinygrad_edu.draw.graph import Graph, Kind, is_node
from tinygrad_edu.draw.loss import LossPart
from tinygrad_edu.draw.text import (
    count,
    data_of,
    escape,
    four_digits,
    is_large,
    option_text,
    quote,
    rows,
    symbol,
    value_text,
)

Lines = list[tuple[str, str]]  # (name, value)

# (fill, border): tints of Okabe and Ito's palette, which colour-blind readers can tell apart. An output also has a
# thicker border, and text is black on all of them.
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
# letters of a label that is never cut, in small type: as long as the longest name of a mistake plus its node
WHOLE = 40
WHOLE_LINE, EXTRA = 14, 0.003  # letters of a line that needs no more room, inches for each letter beyond
LABEL = 24  # letters of a label in its box; the page shows it in full
WORDS = 60  # letters for the description of a layer: a grouped, strided convolution needs 56
TITLE_WIDTH = 60  # letters per line of the title
COMMUTATIVE = {"add", "mul", "maximum", "minimum"}


def label_text(label: str) -> str:
    """A label as its box holds it."""
    return label if len(label) <= WHOLE and label.isascii() and label.islower() else shorten(label, LABEL)


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
    parts = textwrap.wrap(clean(title, 120), TITLE_WIDTH)  # one long line would make the whole picture wide
    lines = [f'<FONT POINT-SIZE="16"><B>{escape(part)}</B></FONT>' for part in parts]
    lines += ['<FONT POINT-SIZE="4">&#160;</FONT>'] if lines and note else []
    lines += [f'<FONT POINT-SIZE="11" COLOR="{QUIET}">{escape(note, 200)}</FONT>'] if note else []
    if lines:
        gap = '<FONT POINT-SIZE="6">&#160;</FONT>'
        yield f"  graph [labelloc=t, label=<{'<BR/>'.join([*lines, gap])}>]"


def full(
    graph: Graph,
    derivatives: bool = False,
    functions: Mapping[int, Function] | None = None,
    loss: LossPart | None = None,
) -> Iterator[str]:
    """Every node: a box for its numbers, and before it an ellipse for the operation that made it.

    derivatives: the local derivatives on the edges into an operation;
    functions: the nodes that stand for several operations; loss: its nodes get a frame.
    """
    functions, told = functions or {}, has_gradients(graph)
    for place in range(len(graph.nodes)):
        name = graph.name(place)
        yield box(name, graph.kind(place), label_text(graph.labels[place]), node_rows(graph, place, told))
        if graph.operations[place]:
            yield from operation_statements(graph, place, derivatives, functions.get(place))
    if loss:
        yield from frame(graph, loss)


def has_gradients(graph: Graph) -> bool:
    """Has anybody called backward? Values have the gradient 0.0 before."""
    return any(grad is not None and not is_zero(grad) for node in graph.nodes for grad in [getattr(node, "grad", None)])


def is_zero(grad: Any) -> bool:
    grad = data_of(grad)
    return not (grad.any() if hasattr(grad, "any") else grad)


def node_rows(graph: Graph, place: int, gradients: bool) -> Lines:
    """The rows in the box of a node."""
    node = graph.nodes[place]
    if is_node(node):
        return rows(node.data, node.grad if gradients else None)
    return rows(node, None) if is_large(node) else [("", value_text(node))]


def operation_statements(graph: Graph, place: int, derivatives: bool, function: Function | None) -> Iterator[str]:
    """The ellipse of an operation, and its edges."""
    name, node = f"op{graph.numbers[place]}", graph.nodes[place]
    options = option_text(getattr(node, "options", None))
    if function:
        options = count(sum(map(bool, function.operations)), "operation")
    yield ellipse(name, graph.operations[place], options, folded=bool(function))
    partials = local_derivatives(graph, place) if derivatives and not function else []
    parents = [graph.name(parent) for parent in graph.parents[place]]
    yield from arrows(name, parents, graph.operations[place], partials)
    yield f"{name} -> {graph.name(place)}"


def frame(graph: Graph, loss: LossPart) -> Iterator[str]:
    """A box around the operations of the loss, and its name."""
    inside = [n for n, number in enumerate(graph.numbers) if number in loss.members]
    inside += [p for n in inside for p in graph.parents[n] if graph.kind(p) == "constant"]
    names = [graph.name(n) for n in inside]
    names += [f"op{graph.numbers[n]}" for n in inside if graph.operations[n]]
    if names:
        yield (
            'subgraph cluster_loss { graph [style="rounded,filled", fillcolor="#f3f6f4", '
            f'color="{COLOURS["output"][1]}", fontsize=12, labelloc=b, labeljust=l, '
            f"label=<<B>{escape(loss.name)}</B>>]; {'; '.join(dict.fromkeys(names))} }}"
        )


def local_derivatives(graph: Graph, place: int) -> list[str]:
    """∂node/∂parent for each parent: of a Value the number it keeps, of a Tensor see array_numbers.py."""
    node, parents = graph.nodes[place], graph.parents[place]
    if hasattr(node, "partials"):
        return [four_digits(data_of(partial)) for partial in node.partials]
    # here, because it needs NumPy, and Values are drawn without it
    from tinygrad_edu.draw.array_numbers import derivatives_of

    names = [clean(graph.labels[parent]) or f"argument {k}" for k, parent in enumerate(parents, 1)]
    return derivatives_of(node, names)


def arrows(name: str, parents: Sequence[str], operation: str, partials: Sequence[str] = ()) -> Iterator[str]:
    """The edges into an operation, numbered where their order matters: a - b is not b - a.

    Graphviz moves arguments up and down to avoid crossings, and its ordering=in, which keeps them in order,
    cannot satisfy a / b and b - a at once. With derivatives on the edges there are no such numbers: of a - b the two
    labels "-1" and "2" met and were read as -12.
    """
    numbered = len(parents) > 1 and operation not in COMMUTATIVE and not partials
    for position, parent in enumerate(parents, 1):
        labels = [f'headlabel="{position}"'] if numbered else []
        labels += [f'label=" {quote(text)[1:-1]} "'] if (text := "".join(partials[position - 1 : position])) else []
        yield f"{parent} -> {name}" + (f" [{', '.join(labels)}]" if labels else "")


def ellipse(name: str, operation: str, options: str, folded: bool = False) -> str:
    """An operation: its sign, and its options in small type; with a double line, a function of several operations."""
    sign = symbol(operation)
    shape, label = "ellipse, margin=0.02", quote(sign)
    if options:
        label = f'<{escape(sign)}<BR/><FONT POINT-SIZE="9" COLOR="{QUIET}">{escape(options)}</FONT>>'
    elif len(sign) == 1:
        shape = "circle, fixedsize=true, width=0.38, fontsize=16"
    shape += ", peripheries=2" * folded
    return f'{name} [shape={shape}, style=filled, fillcolor="#ffffff", color="#3c3c3c", label={label}]'


def box(name: str, kind: Kind, title: str, *sections: Lines, under: str = "") -> str:
    """A rounded box: the title on top, in quiet type what stands under it, then a name and a value on each line.

    There is a gap between sections.
    """
    fill, border = COLOURS[kind]
    head, quiet = escape(shorten(title, WORDS)), escape(shorten(under, WORDS))
    cells = f'<TR><TD COLSPAN="2"><B>{head}</B></TD></TR>' if head else ""
    if quiet:
        cells += f'<TR><TD COLSPAN="2"><FONT POINT-SIZE="10" COLOR="{QUIET}">{quiet}</FONT></TD></TR>'
    cells += GAP.join("".join(table_row(*line) for line in lines) for lines in sections if lines)
    width = 2.2 if kind == "output" else 1
    longest = max((len(name) + len(value) for lines in sections for name, value in lines), default=0)
    # the reader's letters may be wider than those of the layout, by 3% of a long line
    wider = f'margin="{0.11 + EXTRA * (longest - WHOLE_LINE):.2f},0.055", ' if longest > WHOLE_LINE else ""
    return (
        f'{name} [shape=box, style="rounded,filled", fillcolor="{fill}", color="{border}", penwidth={width}, {wider}'
        f'label=<<TABLE BORDER="0" CELLBORDER="0" CELLSPACING="0" CELLPADDING="1">{cells}</TABLE>>]'
    )


def table_row(name: str, value: str) -> str:
    """A name in quiet type and its value, in alarming type if it is not finite."""
    text = escape(value)
    if "nan" in value or "inf" in value:
        text = f'<FONT COLOR="{ALARM}"><B>{text}</B></FONT>'
    if not name:
        return f'<TR><TD COLSPAN="2">{text}</TD></TR>'
    quiet = f'<FONT COLOR="{QUIET}">{escape(name)}&#160;&#160;</FONT>'
    return f'<TR><TD ALIGN="LEFT">{quiet}</TD><TD ALIGN="RIGHT">{text}</TD></TR>'
