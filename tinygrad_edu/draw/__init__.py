"""Pictures of computation graphs: `draw`, and the `Drawing` that it returns."""

from __future__ import annotations

import sys
from types import ModuleType
from typing import Any, Literal, get_args

from tinygrad_edu.draw.collapse import By, collapsed, layers_of
from tinygrad_edu.draw.dot import document, full, grouped, note_of
from tinygrad_edu.draw.drawing import Drawing
from tinygrad_edu.draw.graph import Graph, graph_of, is_node
from tinygrad_edu.draw.model import is_model, sample_run
from tinygrad_edu.draw.story import story
from tinygrad_edu.draw.text import brief, cleaned, count, listed
from tinygrad_edu.errors import DrawError, SettingError, unknown_name

__all__ = ["Drawing", "draw"]

Direction = Literal["LR", "TB", "RL", "BT"]
Collapse = Literal["auto", "layer", "operation", "none"]
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
) -> Drawing:
    """Draw the computation graph that leads to a node, to several, or to a model's output.

    target: a Value or Tensor, a list of them, or a model, which is run on `inputs` (zeros by default).
    direction: from left to right "LR", from top to bottom "TB", or the reverse "RL", "BT".
    max_nodes: a larger graph is collapsed: a box for each layer that labels name, else for each operation.
    title: written above the picture.
    time_limit: seconds for the layout; a graph that takes longer is collapsed.
    collapse: "auto" as above, "layer" or "operation" always, "none" never.
    Errors: DrawError for a target without a graph; SettingError, NameNotFoundError for wrong settings.

    >>> from tinygrad_edu import Value
    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> print(*[line for line in draw((a * b).tanh()).dot.splitlines() if "->" in line], sep="\\n")
      n0 -> op2
      n1 -> op2
      op2 -> n2
      n2 -> op3
      op3 -> n3
    """
    check_settings(direction, max_nodes, time_limit, collapse)
    graph = graph_to_draw(target, inputs)
    by = grouping(graph, max_nodes, collapse)
    dot = in_groups(graph, by, direction, title) if by else document(full(graph), direction, title)
    reserve = ""
    if by is None and collapse == "auto":
        reason = f"The layout takes more than {time_limit:g} s: "
        reserve = in_groups(graph, best_grouping(graph), direction, title, reason)
    folded = in_groups(graph, "layer", direction, title) if by is None and layers_of(graph) else ""
    told = story(graph, full=by is None)
    return Drawing(dot, summary(graph), title, time_limit, reserve, advice(graph, max_nodes), folded, told)


def check_settings(direction: str, max_nodes: int, time_limit: float, collapse: str) -> None:
    """Refuse settings that mean nothing."""
    if direction not in get_args(Direction):
        raise unknown_name("direction", direction, get_args(Direction))
    if collapse not in get_args(Collapse):
        raise unknown_name("collapse", collapse, get_args(Collapse))
    if not max_nodes >= 1:
        raise SettingError(f"max_nodes={max_nodes}: the largest graph to draw in full has 1 node or more")
    if not time_limit > 0:
        raise SettingError(f"time_limit={time_limit}: the layout needs a number of seconds above 0")


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
    groups = collapsed(graph, by)
    return document(grouped(graph, groups), direction, title, reason + note_of(graph, groups))


def summary(graph: Graph) -> str:
    """The picture in words: for a reader who does not see it, and for `repr`."""
    operations = sum(map(bool, graph.operations))
    inputs = [cleaned(label) for i, label in enumerate(graph.labels) if label and graph.kind(i) == "input"]
    outputs = [named(graph.labels[i], brief(graph.nodes[i].data)) for i in sorted(graph.outputs)]
    return "; ".join(
        [
            f"Computation graph of {count(len(graph.nodes), 'node')}: {count(operations, 'operation')}",
            *([f"inputs {listed(inputs)}"] if inputs else []),
            f"output {listed(outputs)}",
        ]
    )


def named(label: str, value: str) -> str:
    """A value after its label, if it has one."""
    return f"{cleaned(label)} = {value}" if label else value


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
