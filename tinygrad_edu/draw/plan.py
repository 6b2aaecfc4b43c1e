"""What is drawn of a graph: all of it or groups, in which direction; chosen so that it can be read on a page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal

from tinygrad_edu.charts.text import clean
from tinygrad_edu.draw.collapse import By, Collapsed, collapse_graph
from tinygrad_edu.draw.dot import document, full
from tinygrad_edu.draw.drawing import Drawing
from tinygrad_edu.draw.fold import Function, fold, functions_in
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.groups import group_statements, note_of
from tinygrad_edu.draw.inputs import name_arrays
from tinygrad_edu.draw.latex import equations
from tinygrad_edu.draw.layers import layers_of
from tinygrad_edu.draw.loss import LossPart, loss_of
from tinygrad_edu.draw.story import story
from tinygrad_edu.draw.text import brief, count, list_names
from tinygrad_edu.draw.widths import PAGE, widths
from tinygrad_edu.errors import DrawError

Direction = Literal["auto", "LR", "TB", "RL", "BT"]
Collapse = Literal["auto", "layer", "operation", "none"]
MANY_LAYERS = 60  # boxes in a row; more do not fit on a page
MANY_NODES = 100  # nodes of a model with several layers; with more, it is drawn in groups
MOST_TOLD = 2000  # nodes described on the page, about 500 bytes each
FEW_NODES = 40  # nodes; up to here a graph is drawn in full, however wide


@dataclass(frozen=True, slots=True)
class DrawPlan:
    """The settings of `draw`, which explains them."""

    direction: Direction
    max_nodes: int
    title: str
    time_limit: float
    collapse: Collapse
    derivatives: bool
    fold: bool
    join: bool = True  # draw equal layers in a row as one box


@dataclass(frozen=True, slots=True)
class Scene:
    """A graph, the same with its functions folded, and its loss."""

    whole: Graph
    folded: Graph
    statements: Sequence[str]  # of the folded graph, not shortened
    loss: LossPart | None
    layers: Sequence[str]
    join: bool
    collapsed: dict[By, Collapsed] = field(default_factory=dict)

    def groups(self, by: By) -> Collapsed:
        """The graph in groups, made once."""
        if by not in self.collapsed:
            self.collapsed[by] = collapse_graph(self.folded, by, self.loss, self.join)
        return self.collapsed[by]


def draw_graph(graph: Graph, plan: DrawPlan) -> Drawing:
    """A graph in full, or in groups where it is too large to read."""
    loss = loss_of(graph)
    folded, functions = fold(graph, functions_in(graph)) if plan.fold else (graph, {})
    name_arrays(graph, folded, loss)
    statements = list(full(folded, plan.derivatives, functions, loss)) if may_be_full(folded, plan) else []
    scene = Scene(graph, folded, statements, loss, layers_of(folded), plan.join)
    by = grouping(scene, plan)
    dot = in_groups(scene, by, plan) if by else lay_out(statements, plan)
    slow = f"The layout takes more than {plan.time_limit:g} s: "
    reserve = in_groups(scene, best_grouping(scene), plan, slow) if by is None and plan.collapse == "auto" else ""
    boxes = scene.groups(by or "layer")
    places = boxes_of_nodes(scene, boxes, functions.values()) if len(graph.nodes) <= MOST_TOLD else []
    titles = boxes.titles()
    inside = {folded.name(n): (f.name, [f"n{k}" for k in f.operations]) for n, f in functions.items()}
    layers = [titles[place] for place in places]
    told = story(graph, layers, titles, inside, places, "" if statements else reason_of(graph, plan))
    views = views_of(scene, dot, by, plan, bool(functions))
    return Drawing(
        dot,
        summary(graph),
        plan.title,
        plan.time_limit,
        reserve,
        advice(graph, plan),
        views,
        told,
        tuple(equations(folded)),
    )


def views_of(scene: Scene, dot: str, by: By | None, plan: DrawPlan, folds: bool) -> dict[str, str]:
    """The views of the page by name, the first one shown first; all nodes only if they can be laid out."""
    views = {"layers" if by else "nodes": dot}
    if by and scene.statements:
        views["nodes"] = lay_out(scene.statements, plan)
    if folds and scene.statements:
        views["unfolded"] = lay_out(list(full(scene.whole, plan.derivatives, loss=scene.loss)), plan)
    if by is None and scene.layers:
        views["layers"] = in_groups(scene, "layer", plan)
    return views


def boxes_of_nodes(scene: Scene, boxes: Collapsed, functions: Iterable[Function]) -> list[int]:
    """The box of each node of the whole graph; inside a function, that of its result."""
    found = {n: boxes.places[k] for k, n in enumerate(scene.folded.numbers)}
    for function in functions:
        for n in function.operations:
            for hidden in (n, *scene.whole.parents[n]):
                found.setdefault(hidden, found[function.operations[-1]])
    return [found[n] for n in range(len(scene.whole.nodes))]


def reason_of(graph: Graph, plan: DrawPlan) -> str:
    """Why the page does not draw every node, and what to do about it."""
    nodes = count(len(graph.nodes), "node")
    told = "" if len(graph.nodes) <= MOST_TOLD else f" There are no steps above {MOST_TOLD:,} nodes."
    if plan.collapse != "auto":
        return f'A box stands for several of the {nodes}: collapse="{plan.collapse}".{told}'
    return (
        f"A box stands for several of the {nodes}: more than max_nodes={plan.max_nodes} are not drawn one by one.{told}"
    )


def may_be_full(graph: Graph, plan: DrawPlan) -> bool:
    """Is it worth writing down every node?"""
    return plan.collapse == "none" or (plan.collapse == "auto" and len(graph.nodes) <= plan.max_nodes)


def lay_out(statements: Sequence[str], plan: DrawPlan, note: str = "") -> str:
    """The DOT text, in the direction that was asked for or fits a page."""
    return document(statements, direction_for(statements, plan)[0], plan.title, note)


def direction_for(statements: Sequence[str], plan: DrawPlan) -> tuple[str, float]:
    """(direction, estimated width): from left to right where that fits a page, else the narrower one."""
    along, across = widths(statements)
    if plan.direction != "auto":
        return plan.direction, along if plan.direction in ("LR", "RL") else across
    return ("LR", along) if along <= max(PAGE, across) else ("TB", across)


def grouping(scene: Scene, plan: DrawPlan) -> By | None:
    """How to group the nodes; None for a graph to be drawn in full."""
    if plan.collapse == "layer" and not scene.layers:
        raise DrawError('no label names a layer, as "layers.0.weight" does. Try collapse="operation"')
    if plan.collapse != "auto":
        return None if plan.collapse == "none" else plan.collapse
    nodes = len(scene.folded.nodes)
    if nodes <= plan.max_nodes and (nodes <= FEW_NODES or fits_a_page(scene, plan)):
        return None
    best = best_grouping(scene)
    return best if nodes > plan.max_nodes or best == "layer" else None


def fits_a_page(scene: Scene, plan: DrawPlan) -> bool:
    """Can every node be read on a page? What has layers is better seen by them before it fills several."""
    many = len(scene.layers) > 1 and len(scene.folded.nodes) > MANY_NODES
    return not many and direction_for(scene.statements, plan)[1] <= PAGE


def best_grouping(scene: Scene) -> By:
    """By layer where there are layers, and few enough to read."""
    return "layer" if 1 <= len(scene.layers) <= MANY_LAYERS else "operation"


def in_groups(scene: Scene, by: By, plan: DrawPlan, reason: str = "") -> str:
    """The DOT text of the collapsed graph, with a note that says so."""
    groups = scene.groups(by)
    return lay_out(
        list(group_statements(scene.folded, groups, scene.loss)), plan, reason + note_of(len(scene.whole.nodes), groups)
    )


def summary(graph: Graph) -> str:
    """The picture in words: for a reader who does not see it, and for `repr`."""
    operations = sum(map(bool, graph.operations))
    inputs = [clean(label) for i, label in enumerate(graph.labels) if label and graph.kind(i) == "input"]
    outputs = [with_label(graph.labels[i], brief(graph.nodes[i].data)) for i in sorted(graph.outputs)]
    return "; ".join(
        [
            f"Computation graph of {count(len(graph.nodes), 'node')}: {count(operations, 'operation')}",
            *([f"inputs {list_names(inputs)}"] if inputs else []),
            f"output {list_names(outputs)}",
        ]
    )


def with_label(label: str, value: str) -> str:
    """A value after its label, if it has one."""
    return f"{clean(label)} = {value}" if label else value


def advice(graph: Graph, plan: DrawPlan) -> str:
    """Advice about a layout that takes too long."""
    return (
        f"The graph has {count(len(graph.nodes), 'node')}: pass a smaller max_nodes= (it is {plan.max_nodes}), "
        'collapse="layer" or collapse="operation", or a larger time_limit='
    )
