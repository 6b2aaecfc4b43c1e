"""The graph of the network, each layer in the colour of its health, and the numbers that the colour stands for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from tinygrad_edu.charts.palette import MARKS, apply_theme
from tinygrad_edu.charts.pictures import element
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.draw import Drawing, graph_to_draw
from tinygrad_edu.draw.dot import ALARM, COLOURS, QUIET
from tinygrad_edu.draw.layers import layers_of
from tinygrad_edu.draw.plan import DrawPlan, draw_graph
from tinygrad_edu.draw.render import ADVICE
from tinygrad_edu.draw.text import escape
from tinygrad_edu.errors import DrawError
from tinygrad_edu.nn.sequence import without_state
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.reporting.tables import figure, scrolling, table, text
from tinygrad_edu.train.histograms import (
    LayerState,
    evaluation_mode,
    frozen_ones,
    measure_layers,
    nodes_in,
    rows_to_measure,
)
from tinygrad_edu.train.own_code import for_own_code

# Signs to look at, not verdicts; a diagnosis proves what is wrong. A layer is worth a look if it shows a symptom beyond
# what healthy runs show, as in the clinic; it is in trouble if next to nothing gets through.
STUCK_WATCH, STUCK_BAD = LIMITS["dead"], 0.8  # share of units that let nothing through
SATURATED_WATCH, SATURATED_BAD = LIMITS["saturated"], 0.8  # share of activations
FADED_WATCH, FADED_BAD = LIMITS["vanishing"], 1e-5  # gradient relative to that of the layer with the largest
WORDS = {"good": "no sign of trouble", "watch": "worth a look", "bad": "in trouble"}
# tg.draw's colours -> the page's.
OWN = {
    "#d6ecfa": "box-input", "#fdebc8": "box-result", "#d3f0e5": "box-result", "#e8e8e8": "box-constant",
    "#6e6e6e": "box-edge", "#3c3c3c": "box-edge", "#8a8a8a": "box-edge", "#ffffff": "card", QUIET: "muted",
    ALARM: "bad", **{border: "box-edge" for _, border in COLOURS.values()},
}  # fmt: skip


@dataclass(frozen=True)
class Health:
    """good, watch or bad, and why in a few words."""

    level: str
    why: str = ""

    @property
    def words(self) -> str:
        return f"{WORDS[self.level]}: {self.why}" if self.why else WORDS[self.level]


def healths(states: Mapping[str, LayerState]) -> dict[str, Health]:
    """The health of each layer, the gravest sign first."""
    largest = max((s.gradients.size for s in states.values() if np.isfinite(s.gradients.size)), default=0.0)
    return {name: health(state, largest) for name, state in states.items()}


def health(state: LayerState, largest: float) -> Health:
    broken = max(spread.broken for spread in (state.activations, state.gradients, state.weights))
    share = state.gradients.size / largest if largest > 0.0 else 0.0
    signs = [
        (broken > 0.0, "bad", f"{broken:.0%} of its numbers are NaN or infinite"),
        (state.gradients.size == 0.0, "bad", "its gradient is 0"),
        (state.stuck >= STUCK_BAD, "bad", f"{state.stuck:.0%} of its units are flat for every sample"),
        (state.saturated >= SATURATED_BAD, "bad", f"{state.saturated:.0%} of its activations are saturated"),
        (share < FADED_BAD, "bad", f"its gradient is {share:.0e} of the largest layer's"),
        (state.stuck >= STUCK_WATCH, "watch", f"{state.stuck:.0%} of its units are flat for every sample"),
        (state.saturated >= SATURATED_WATCH, "watch", f"{state.saturated:.0%} of its activations are saturated"),
        (share < FADED_WATCH, "watch", f"its gradient is {share:.1%} of the largest layer's"),
    ]
    return next((Health(level, why) for found, level, why in signs if found), Health("good"))


def network_html(record: ReportedRun) -> str:
    """The graph, its legend and the table of layers, as much of it as the record knows."""
    states = states_of(record)
    found = healths(states) if states else {}
    parts = [graph(record, found), legend() if found else "", layer_table(states, found) if states else ""]
    if not states and record.outputs is None:
        parts.append("<p>What each layer does is measured on data: <code>tg.report(run, X, y)</code>.</p>")
    return "".join(parts)


def states_of(record: ReportedRun) -> Mapping[str, LayerState]:
    """The layers' states: of the trained model on its data, else of the last snapshot, else empty."""
    if record.measurable and record.data is not None:
        return measure_layers(record.model, record.loss, record.weighted_data)
    kept = record.histograms.snapshots if record.histograms else []
    return kept[-1].layers if kept else {}


def graph(record: ReportedRun, found: Mapping[str, Health]) -> str:
    """The picture, or a sentence that says why there is none."""
    if record.outputs is not None:
        return "<p>This estimator is not a network of layers.</p>"
    if record.model is None:
        return "<p>The model is not in this record, so its graph is not drawn.</p>"
    try:
        drawing = picture_of(record)
        dot = in_marks(colour_boxes(drawing.dot, signs_of_boxes(drawing, found)))
        svg = Drawing(dot, drawing.summary, time_limit=drawing.time_limit).picture("svg")
    except DrawError as error:
        return f"<p>{text(error)}</p>"
    if svg is None:
        return f"<p>{text(ADVICE)}</p>"
    signs = "; ".join(f"{name} {sign.words}" for name, sign in found.items())
    picture = element(svg.decode(), f"{drawing.summary}. {signs}")
    return scrolling("Graph of the network", f'<div class="graph">{apply_theme(picture)}</div>')


def picture_of(record: ReportedRun) -> Drawing:
    """The graph of the answer to a few samples, with the gradients of the loss, one box for each layer."""
    model = record.model
    assert model is not None
    if not record.measurable or record.data is None:
        return of_layers(model)
    rows = rows_to_measure(model, record.data[0])
    with frozen_ones(model), evaluation_mode(model), np.errstate(all="ignore"):
        output = without_state(model, model(*for_own_code(model, None, record.data[0][rows])))
        record.loss_at(output, rows).backward()
        return of_layers(nodes_in(output))


def of_layers(target: ArrayLike) -> Drawing:
    """A box for each layer, equal ones too: each has its own health."""
    graph = graph_to_draw(target)
    return draw_graph(
        graph, DrawPlan("auto", 300, "", 20.0, "layer" if layers_of(graph) else "auto", False, True, join=False)
    )


def signs_of_boxes(drawing: Drawing, found: Mapping[str, Health]) -> dict[str, Health]:
    """By the layer that a box shows: the gravest sign of what is in it, such as the gates of a GRU."""
    boxes = [name for name in drawing.story.get("groups", {}).values() if name]
    signs: dict[str, Health] = {}
    for name, sign in found.items():
        inside = [box for box in boxes if name == box or name.startswith(f"{box}.")] or boxes[:1] * (len(boxes) == 1)
        for box in inside:
            signs[box] = max(signs.get(box, sign), sign, key=lambda s: list(WORDS).index(s.level))
    return signs


def colour_boxes(dot: str, found: Mapping[str, Health]) -> str:
    """The boxes of these layers in the colours of their health, and its name in a line of its own."""
    for name, sign in found.items():
        head = rf"label=<<TABLE[^\n]*[>]{re.escape(escape(name))}(?: [^<]*)?<"
        pattern = rf'(fillcolor=")[^"]*(", color=")[^"]*(", penwidth=)\S+(, {head}.*)(</TABLE>>)'
        words = f'<TR><TD COLSPAN="2"><FONT COLOR="{MARKS[sign.level]}"><B>{WORDS[sign.level]}</B></FONT></TD></TR>'
        colours = rf"\g<1>{MARKS['box-' + sign.level]}\g<2>{MARKS[sign.level]}\g<3>1.6\g<4>{words}\g<5>"
        dot = re.sub(pattern, colours, dot)
    return dot


def in_marks(dot: str) -> str:
    """The other colours of a drawing as marks of the theme."""
    dot = dot.replace("bgcolor=white", "bgcolor=transparent")
    for colour, name in OWN.items():
        dot = dot.replace(colour, MARKS[name])
    return dot


def legend() -> str:
    entries = "".join(f'<li><span class="swatch {level}"></span>{words}</li>' for level, words in WORDS.items())
    return f'<ul class="legend">{entries}</ul>'


def share_of(share: float) -> str:
    return "-" if np.isnan(share) else f"{share:.0%}"


def layer_table(states: Mapping[str, LayerState], found: Mapping[str, Health]) -> str:
    """One row for each layer."""
    head = ["layer", "health", "flat units", "saturated", "gradient", "weights", "activations"]
    rows = [
        (
            name, found[name].words, share_of(s.stuck), share_of(s.saturated),
            figure(s.gradients.size), figure(s.weights.size), figure(s.activations.size),
        )
        for name, s in states.items()
    ]  # fmt: skip
    caption = "Layers from the input on; sizes are root mean squares"
    return scrolling("Table of layers", table(caption, head, rows))
