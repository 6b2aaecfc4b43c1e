"""Pictures of computation graphs: `draw`, and the `Drawing` that it returns.

Read graph.py first (the graph as plain lists), then plan.py (what is drawn of it), layers.py and recognize.py (what
nodes amount to), dot.py, render.py and drawing.py. network.py draws a circle for each unit (stand.py says where,
units.py and health.py in which state), page.py and story.py the interactive page, latex.py a formula.
"""

from __future__ import annotations

import sys
import textwrap
from types import ModuleType
from typing import Any, Literal, get_args

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.draw.drawing import Drawing
from tinygrad_edu.draw.graph import Graph, graph_of, is_node
from tinygrad_edu.draw.model import is_model, nodes_in, sample_run
from tinygrad_edu.draw.network import Colour, draw_network
from tinygrad_edu.draw.owners import owners_of
from tinygrad_edu.draw.plan import Collapse, Direction, DrawPlan, draw_graph
from tinygrad_edu.errors import DrawError, SettingError, unknown_name
from tinygrad_edu.pen import check_arguments

__all__ = ["Drawing", "draw"]

Style = Literal["graph", "network"]


@check_arguments
def draw(
    target: Any,
    *,
    inputs: Samples = None,
    direction: Direction = "auto",
    max_nodes: int = 300,
    title: str = "",
    time_limit: float = 20.0,
    collapse: Collapse = "auto",
    style: Style = "graph",
    color: Colour = "weight",
    derivatives: bool = False,
    fold: bool = True,
) -> Drawing:
    """Draw the computation graph that leads to a node, to several, or to a model's output.

    target: a Value or Tensor, a list or array of them, or a model, which is run on `inputs` (zeros by default).
    inputs: samples to run a model on, a row each; by default zeros.
    direction: from left to right "LR", from top to bottom "TB", the reverse "RL", "BT"; "auto": what fits a page.
    max_nodes: a larger graph is collapsed: a box for each layer that labels name, else for each operation.
    title: written above the picture.
    time_limit: seconds for the layout; a graph that takes longer is collapsed.
    collapse: "auto" as above, also where every node would be wider than a page, or a model of several layers has more
    than 100 nodes; "layer" or "operation" always, "none" never.
    style: "graph"; or "network" for a model of linear layers: a circle for each unit, an edge for each weight.
    color: what the network shows: "weight", "gradient", or "health" of its units on `inputs` (saturated,
    dead, vanishing).
    derivatives: write the local derivative ∂result/∂argument on each edge. For Tensors: the elementwise ones (one
    number where all are equal, |norm| where there are many), for a product of matrices the other factor, transposed.
    fold: draw a function that was written out, such as 1/(1 + e^-x), as one node, which the page (.html) unfolds.
    Errors: DrawError for a target without a graph; SettingError, NameNotFoundError for wrong settings.

    >>> from tinygrad_edu import Value
    >>> a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    >>> print(*[line for line in draw(a * b).dot.splitlines() if "->" in line], sep="\\n")
      n0 -> op2
      n1 -> op2
      op2 -> n2
    """
    check_settings(direction, max_nodes, time_limit, collapse, style, color)
    plan = DrawPlan(direction, max_nodes, title, time_limit, collapse, derivatives, fold)
    return (picture_of_model if is_model(target) else picture_of)(target, inputs, style, color, plan)


def picture_of_model(model: Model, inputs: Samples, style: Style, color: Colour, plan: DrawPlan) -> Drawing:
    """The picture of a model, which is as it was afterwards."""
    from tinygrad_edu.train.state_kept import state_kept  # loads NumPy, which a graph of Values is drawn without

    with state_kept(model=model):
        return picture_of(model, inputs, style, color, plan)


def picture_of(target: Model, inputs: Samples, style: Style, color: Colour, plan: DrawPlan) -> Drawing:
    """The picture in one of two styles."""
    if style == "network":
        return Drawing(*draw_network(model_to_draw(target), inputs, color, plan.title), plan.title, plan.time_limit)
    return draw_graph(graph_to_draw(target, inputs), plan)


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
        raise SettingError(f"max_nodes={max_nodes}: the size of the largest graph to draw in full, at least 1 node")
    if not time_limit > 0:
        raise SettingError(f"time_limit={time_limit}: the layout needs a number of seconds above 0")


def model_to_draw(target: Any) -> Any:
    """The model for a network. Errors: DrawError for anything else."""
    if not is_model(target):
        raise DrawError(f'style="network" draws a model, not {type(target).__name__} {target!r:.60}')
    return target


def instead(target: Any) -> str:
    """What shows a training run: its curves, and its model's graph."""
    is_run = hasattr(target, "loss_curve")
    return ". Of a run, run.plot() shows the curves and draw(run.model) the model" if is_run else ""


def graph_to_draw(target: Any, inputs: Samples = None) -> Graph:
    """The graph behind whatever `draw` was given."""
    if is_model(target):
        graph = graph_of(*sample_run(target, inputs))
    else:
        listed = isinstance(target, list | tuple) or getattr(getattr(target, "dtype", None), "kind", "") == "O"
        nodes = nodes_in(target) if listed and not is_node(target) else [target]
        strange = [node for node in nodes if not is_node(node)] if nodes else [target]
        if strange:
            what = f"{type(strange[0]).__name__} {textwrap.shorten(repr(strange[0]), 60, placeholder=' ...')}"
            takes = "a Value, a Tensor, a list of them, or a model"
            raise DrawError(f"cannot draw {what}: draw takes {takes}{instead(strange[0])}")
        graph = graph_of(nodes)
    graph.trained.update(owners_of(graph))
    return graph


class _CallableModule(ModuleType):
    """Importing this package puts the module where `tinygrad_edu.draw(node)` expects the function.

    So the module can be called as well, in whichever order the two are imported.
    """

    __call__ = staticmethod(draw)


sys.modules[__name__].__class__ = _CallableModule
