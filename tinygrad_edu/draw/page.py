"""A picture as a web page of its own, without any other file."""

from __future__ import annotations

import html
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tinygrad_edu.charts.document import SIZE, document
from tinygrad_edu.charts.text import clean
from tinygrad_edu.draw.dot import COLOURS

NOTHING: Mapping[str, Any] = {
    "nodes": [],
    "groups": {},
    "functions": {},
    "missing": "",
}  # for a picture without a graph
MEANINGS = {
    "input": "a leaf",
    "parameter": "a leaf of a model or an optimizer, or named like one (W1, b)",
    "constant": "a plain number or array",
    "result": "made by an operation",
    "output": "what was drawn",
}
HINT = "Choose a node to see its numbers and the chain rule at it, or step through the passes."
CONTROLS = """<div class="bar" role="group" aria-label="View">
<button type="button" id="zoom-in" aria-label="Zoom in">+</button>
<button type="button" id="zoom-out" aria-label="Zoom out">&minus;</button>
<button type="button" id="fit">Fit</button>
<button type="button" id="whole" hidden>Whole</button>
<label id="choice">Show <select id="layers"><option value="">every node</option>
<option value="*unfolded">functions unfolded</option><option value="*folded">layers</option></select></label>
</div>
<div class="bar" id="steps" role="group" aria-label="Forward and backward pass, one node at a time">
<button type="button" id="previous" aria-label="One step back">&larr;</button>
<button type="button" id="play">Play</button>
<button type="button" id="next" aria-label="One step on">&rarr;</button>
<input type="range" id="step" min="0" value="0" aria-label="Step">
<span class="hint" id="said" role="status"></span>
</div>"""


def page(svgs: Mapping[str, str], title: str, summary: str, story: Mapping[str, Any]) -> str:
    """The interactive page around a picture: one file that loads nothing and works without a network.

    svgs: as Graphviz writes them, by what they show ("nodes", "layers"); the first one is seen at the start.
    title: heading of the page; summary: says in words what the picture shows; story: see story.py.
    """
    heading, alternative = html.escape(clean(title, 120) or "Computation graph"), html.escape(summary)
    pictures = "".join(place_picture(view, svg, alternative, place) for place, (view, svg) in enumerate(svgs.items()))
    script, style = asset("graph.js"), asset("graph.css")
    legend = "".join(kinds_in_view(svgs)) if story else ""  # a network has a legend of its own
    body = f"""
<header><h1>{heading}</h1><p class="summary">{alternative}</p></header>
{CONTROLS}
<p class="hint" id="missing" hidden></p>
<main>
<div class="sheet" id="sheet">{pictures}</div>
<aside aria-label="The chosen node" aria-live="polite" id="panel"><p class="hint">{HINT}</p></aside>
</main>
<ul class="legend" aria-label="Colours"{" hidden" * (not legend)}>{legend}</ul>
<script type="application/json" id="story">{as_json({**NOTHING, **story})}</script>
<script>{script}</script>
"""
    return document(heading, style, body, script)


def place_picture(view: str, svg: str, alternative: str, place: int) -> str:
    """A picture without its size in points, so that it fills its frame; all but the first are hidden."""
    frame = f'<svg data-view="{view}" role="group" aria-label="{alternative}"{" hidden" * bool(place)}'
    return SIZE.sub(r"\1", svg[svg.index("<svg") :], count=1).replace("<svg", frame, 1).strip()


def as_json(story: Mapping[str, Any]) -> str:
    """Data inside a page: no text in it can end the script element."""
    return json.dumps(story, ensure_ascii=False).replace("<", "\\u003c").replace("&", "\\u0026")


def asset(name: str) -> str:
    return (Path(__file__).parent / "assets" / name).read_text(encoding="utf-8")


def kinds_in_view(svgs: Mapping[str, str]) -> Iterator[str]:
    """An entry of the legend for each kind of box that is drawn, with its rule; hidden where another view draws it."""
    for kind, (fill, border) in COLOURS.items():
        views = [view for view, svg in svgs.items() if f'stroke="{border}"' in svg]
        if views:
            hidden = " hidden" * (next(iter(svgs)) not in views)
            swatch = f'<span style="background:{fill};border-color:{border}"></span>'
            yield f'<li data-views="{" ".join(views)}"{hidden}>{swatch}{kind}: {MEANINGS[kind]}</li>'
    if views := [view for view, svg in svgs.items() if ">|data|" in svg]:
        hidden = " hidden" * (next(iter(svgs)) not in views)
        yield f'<li data-views="{" ".join(views)}"{hidden}>|data|, |grad|: the length √Σx² of an array</li>'
