"""The picture of a report: the forward's graph, with the node of each slip marked.

A report is not imported, since report.py imports this file: what is read of it are its network and explanations.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tinygrad_edu.draw import draw
from tinygrad_edu.errors import DrawError

if TYPE_CHECKING:
    from tinygrad_edu.draw import Drawing

MOST = 300  # steps; up to here each is drawn separately
FAULT = 'fillcolor="#ffd6d6", color="#b22222", penwidth=3'


def mark_faults(report: Any, options: dict[str, Any]) -> Drawing:
    """Label z1, a1, ... and the loss; draw the boxes of faulty nodes in red, with the mistake's code."""
    net = report.network
    if net is None or net.titled:
        raise DrawError("there is no graph to draw: the forward could not be traced as layers")
    nodes = [step.node for step in net.steps]
    before = [node.label for node in nodes]
    try:
        for layer in net.layers:
            nodes[layer.z].label = f"z{layer.number}"
            nodes[layer.end].label = f"a{layer.number}" if layer.end != layer.z else f"z{layer.number}"
        nodes[-1].label = "loss"
        faults = {i: slip.code for slip in (report.explanations or [()])[0] for i in faulty(report, slip)}
        for index, code in faults.items():
            nodes[index].label = f"{nodes[index].label}: {code}".strip(": ")
        names = [nodes[index].label for index in faults]
        shape: dict[str, Any] = {"fold": False}  # laid out in the direction that fits a page
        shape |= {"collapse": "none"} if len(nodes) <= MOST else {}  # a box around a layer would hide the mistake
        title = "Every gradient is right" if report.ok else title_of(report)
        drawing = draw(nodes[-1], **{"title": title, **shape, **options})
    finally:
        for node, label in zip(nodes, before, strict=True):
            node.label = label
    views = {view: colour_boxes(dot, names) for view, dot in drawing.views.items()}
    marked, reserve = colour_boxes(drawing.dot, names), colour_boxes(drawing.collapsed_dot, names)
    return replace(drawing, dot=marked, collapsed_dot=reserve, views=views)


def title_of(report: Any) -> str:
    """With the first line that is pointed at, where the learner's backward could be followed."""
    first = "".join(f"; line {place.line}: {place.source:.60}" for place in report.places[:1])
    return f"Where the backward pass is wrong{first}"


def faulty(report: Any, slip: Any) -> set[int]:
    """The steps of a mistake: those that it changes, the parameter whose gradient it is, or a layer's z."""
    net, mutant = report.network, slip.mutant
    assert net is not None
    if mutant is None:  # a mistake in the update has no node
        return {net.program.parameters[name] for name in slip.explains if name in net.program.parameters}
    changed = {net.program.parameters[c.parameter] if c.kind == "final" else c.step for c in mutant.changes}
    if not changed and mutant.parameter:
        changed = {net.program.parameters[mutant.parameter]}
    return changed or {layer.z for layer in mutant.layers} or {len(net.steps) - 1}


def colour_boxes(dot: str, names: list[str]) -> str:
    """The boxes with these titles in red."""
    for name in names:
        head = re.escape(f"<B>{name}")
        dot = re.sub(
            rf'fillcolor="[^"]*", color="[^"]*", penwidth=\S+(, label=<<TABLE[^\n]*{head})', FAULT + r"\1", dot
        )
    return dot
