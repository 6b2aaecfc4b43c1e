"""Pictures of computation graphs: `draw`, and the `Drawing` that it returns."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Literal, get_args

from tinygrad_edu.charts.text import clean
from tinygrad_edu.draw.collapse import By, collapse_graph, layers_of
from tinygrad_edu.draw.dot import document, full, group_statements, note_of
from tinygrad_edu.draw.drawing import Drawing
from tinygrad_edu.draw.graph import Graph, graph_of, is_node
from tinygrad_edu.draw.model import is_model, sample_run
from tinygrad_edu.draw.network import Colour, draw_network
from tinygrad_edu.draw.story import story
from tinygrad_edu.draw.text import brief, count, list_names
from tinygrad_edu.errors import DrawError, SettingError, unknown_name

__all__ = ["Drawing", "draw"]

Direction = Literal["LR", "TB", "RL", "BT"]
Collapse = Literal["auto", "layer", "operation", "none"]
Style = Literal["graph", "network"]
MANY_LAYERS = 60  # more boxes in a row than a page shows


def draw(
    target: Any,
    *,
    inputs: Any = None,
    direction: Direction = "LR",
    max_nodes: int = 300,
    title: str = "",
    time_limit: float = 20.0,
    collapse: Collapse = "auto",
    style: Style = "graph",
    color: Colour = "weight",
    derivatives: bool = False,
) -> Drawing:
    """Draw the computation graph that leads to a node, to several, or to a model's output.

    target: a Value or Tensor, a list of them, or a model, which is run on `inputs` (zeros by default).
    direction: from left to right "LR", from top to bottom "TB", or the reverse "RL", "BT".
    max_nodes: a larger graph is collapsed: a box for each layer that labels name, else for each operation.
    title: written above the picture.
    time_limit: seconds for the layout; a graph that takes longer is collapsed.
    collapse: "auto" as above, "layer" or "operation" always, "none" never.
    style: "graph"; or "network" for a model of linear layers: a circle for each unit, an edge for each weight.
    color: what the network shows: "weight", "gradient", or "health" of its units on `inputs` (saturated, dead).
    derivatives: write the local derivative ∂result/∂argument on each edge of a graph of Values.
    Errors: DrawError for a target without a graph; SettingError, NameNotFoundError for wrong settings.

    >>> from tinygrad_edu import Value
    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> print(*[line for line in draw(a * b).dot.splitlines() if "->" in line], sep="\\n")
      n0 -> op2
      n1 -> op2
      op2 -> n2
    """
    check_settings(direction, max_nodes, time_limit, collapse, style, color)
    if style == "network":
        return Drawing(*draw_network(model_to_draw(target), inputs, color, title), title, time_limit)
    return draw_graph(graph_to_draw(target, inputs), direction, max_nodes, title, time_limit, collapse, derivatives)


def draw_graph(
    graph: Graph,
    direction: str,
    max_nodes: int,
    title: str,
    time_limit: float,
    collapse: Collapse,
    derivatives: bool,
) -> Drawing:
    """A graph in full, or in groups where it is too large to read."""
    by = grouping(graph, max_nodes, collapse)
    dot = in_groups(graph, by, direction, title) if by else document(full(graph, derivatives), direction, title)
    reserve = slow_form(graph, direction, title, time_limit) if by is None and collapse == "auto" else ""
    folded = foldable(graph, by, direction, title)
    told = story(graph, full=by is None)
    return Drawing(dot, summary(graph), title, time_limit, reserve, advice(graph, max_nodes), folded, told)


def slow_form(graph: Graph, direction: str, title: str, time_limit: float) -> str:
    """What is drawn where the layout of the whole graph takes too long."""
    return in_groups(graph, best_grouping(graph), direction, title, f"The layout takes more than {time_limit:g} s: ")


def foldable(graph: Graph, by: By | None, direction: str, title: str) -> str:
    """The same graph with a box for each layer, for the page in which layers fold; "" where there are none."""
    return in_groups(graph, "layer", direction, title) if by is None and layers_of(graph) else ""


def check_settings(direction: str, max_nodes: int, time_limit: float, collapse: str, style: str, color: str) -> None:
    """Refuse settings that mean nothing."""
    words = {
        "direction": (direction, Direction), "collapse": (collapse, Collapse), "style": (style, Style),
        "color": (color, Colour),
    }  # fmt: skip
    for name, (given, allowed) in words.items():
        if given not in get_args(allowed):
            raise unknown_name(name, given, get_args(allowed))
    if not max_nodes >= 1:
        raise SettingError(f"max_nodes={max_nodes}: the largest graph to draw in full has 1 node or more")
    if not time_limit > 0:
        raise SettingError(f"time_limit={time_limit}: the layout needs a number of seconds above 0")


def model_to_draw(target: Any) -> Any:
    """The model for a network. Errors: DrawError for anything else."""
    if not is_model(target):
        raise DrawError(f'style="network" draws a model, not {type(target).__name__} {target!r:.60}')
    return target


def graph_to_draw(target: Any, inputs: Any = None) -> Graph:
    """The graph behind whatever `draw` was given."""
    if is_model(target):
        return graph_of(*sample_run(target, inputs))
    nodes = list(target) if isinstance(target, list | tuple) else [target]
    strange = [node for node in nodes if not is_node(node)] if nodes else [target]
    if strange:
        what = f"{type(strange[0]).__name__} {strange[0]!r:.60}"
        raise DrawError(f"cannot draw {what}: draw takes a Value, a Tensor, a list of them, or a model")
    return graph_of(nodes)


def grouping(graph: Graph, max_nodes: int, collapse: Collapse) -> By | None:
    """How to group the nodes; None for a graph to be drawn in full."""
    if collapse == "none" or (collapse == "auto" and len(graph.nodes) <= max_nodes):
        return None
    if collapse == "layer" and not layers_of(graph):
        raise DrawError('no label names a layer, as "layers.0.weight" does. Try collapse="operation"')
    return best_grouping(graph) if collapse == "auto" else collapse


def best_grouping(graph: Graph) -> By:
    """By layer where labels name layers, and few enough to read."""
    return "layer" if 1 <= len(layers_of(graph)) <= MANY_LAYERS else "operation"


def in_groups(graph: Graph, by: By, direction: str, title: str, reason: str = "") -> str:
    """The DOT text of the collapsed graph, with a note that says so."""
    groups = collapse_graph(graph, by)
    return document(group_statements(graph, groups), direction, title, reason + note_of(graph, groups))


def summary(graph: Graph) -> str:
    """The picture in words: for a reader who does not see it, and for `repr`."""
    operations = sum(map(bool, graph.operations))
    inputs = [clean(label) for i, label in enumerate(graph.labels) if label and graph.kind(i) == "input"]
    outputs = [named(graph.labels[i], brief(graph.nodes[i].data)) for i in sorted(graph.outputs)]
    return "; ".join(
        [
            f"Computation graph of {count(len(graph.nodes), 'node')}: {count(operations, 'operation')}",
            *([f"inputs {list_names(inputs)}"] if inputs else []),
            f"output {list_names(outputs)}",
        ]
    )


def named(label: str, value: str) -> str:
    """A value after its label, if it has one."""
    return f"{clean(label)} = {value}" if label else value


def advice(graph: Graph, max_nodes: int) -> str:
    """What to do about a layout that takes too long."""
    return (
        f"The graph has {count(len(graph.nodes), 'node')}: pass a smaller max_nodes= (it is {max_nodes}), "
        'collapse="layer" or collapse="operation", or a larger time_limit='
    )


class _CallableModule(ModuleType):
    """Importing this package puts the module where `tinygrad_edu.draw(node)` expects the function.

    So the module can be called as well, in whichever order the two are imported.
    """

    __call__ = staticmethod(draw)


sys.modules[__name__].__class__ = _CallableModule
