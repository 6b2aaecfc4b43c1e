"""The page: its parts in order, with everything it needs inside, so that it opens without a network."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.charts.document import document
from tinygrad_edu.draw.text import count
from tinygrad_edu.errors import DrawError
from tinygrad_edu.reporting.boundary import boundary_html
from tinygrad_edu.reporting.curves import curves_html
from tinygrad_edu.reporting.layers import layers_html
from tinygrad_edu.reporting.network import network_html
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.reporting.settings import settings_html
from tinygrad_edu.reporting.tables import figure, text
from tinygrad_edu.reporting.theme import asset, style_sheet

MOVED = (
    '<p class="note">The model has been trained on or changed since this run: its answers and its network are shown as '
    "they are now, beside the curves of the run.</p>"
)


@dataclass(frozen=True)
class Section:
    """A part of the page: its id, its heading, one sentence below that, and what it holds."""

    id: str
    heading: str
    about: str
    content: str


def page(record: ReportedRun, diagnosis: Any = None, title: str = "") -> str:
    """The whole page as text. diagnosis: anything with `_repr_html_`, put in as it is."""
    heading = text(title, 120) or "Training report"
    parts = sections(record, diagnosis)
    links = "".join(f'<li><a href="#{part.id}">{part.heading}</a></li>' for part in parts)
    script = asset("page.js")
    body = f"""
<a class="skip" href="#main">To the content</a>
<header><div class="inner">
<div><h1>{heading}</h1><p class="lead">{lead(record)}</p></div>
<button type="button" id="theme" aria-pressed="false" hidden>Dark theme</button>
</div></header>
<nav aria-label="Parts of the report"><ul class="inner">{links}</ul></nav>
<main id="main" class="inner" tabindex="-1">
{"".join(section_html(part) for part in parts)}
</main>
<footer class="inner"><p>Made by tinygrad_edu. Self-contained: it loads nothing from the network.</p></footer>
<script>{script}</script>
"""
    return document(heading, style_sheet(), body, script)


def section_html(part: Section) -> str:
    about = f'<p class="about">{part.about}</p>' if part.about else ""
    return (
        f'<section id="{part.id}" class="card" aria-labelledby="{part.id}-heading">'
        f'<h2 id="{part.id}-heading">{part.heading}</h2>{about}{part.content}</section>\n'
    )


def sections(record: ReportedRun, diagnosis: Any) -> list[Section]:
    """The parts of a report, what matters most first."""
    makers = {
        "curves": ("Curves", "One point for each epoch.", lambda: curves_html(record)),
        "answers": ("What it has learned", "", lambda: boundary_html(record)),
        "network": ("Network", "Measured on up to 256 samples, after the last epoch.", lambda: network_html(record)),
        "layers": (
            "Layers over time",
            "Bands: all, 90% and 50% of the entries; the line is the median.",
            lambda: layers_html(record.histograms),
        ),
        "settings": ("Reproduce this run", "", lambda: settings_html(record.run, record.program)),
    }  # fmt: skip
    made = [Section(name, heading, about, content(make)) for name, (heading, about, make) in makers.items()]
    if not record.histograms:
        made = [Section(s.id, s.heading, "" if s.id == "layers" else s.about, s.content) for s in made]
    first = Section("summary", "Summary", "", summary(record))
    if record.outputs is not None:  # only predictions are given: nothing is known about the layers
        curves = ["curves"] * bool(record.run.n_epochs)
        return [first, *(part for part in made if part.id in ("answers", "settings", *curves))]
    return [first, Section("diagnosis", "Diagnosis", "", diagnosis_html(diagnosis)), *made]


def content(make: Any) -> str:
    """A part, or the sentence that says what it needs; the others are made all the same."""
    try:
        return str(make())
    except DrawError as error:
        return f"<p>{text(error)}</p>"


def lead(record: ReportedRun) -> str:
    """The outcome in one sentence."""
    if not record.run.n_epochs:
        return text(record.run.stop_reason)
    first, last = figure(record.run.loss_curve[0]), figure(record.run.loss_curve[-1])
    return f"{count(record.run.n_epochs, 'epoch')}, {text(record.loss_name)} {first} → {last}. {text(sentence(record))}"


def sentence(record: ReportedRun) -> str:
    """Why it ended, with a capital letter and a full stop."""
    reason = record.run.stop_reason.strip()
    return f"{reason[:1].upper()}{reason[1:]}." if reason else ""


def summary(record: ReportedRun) -> str:
    """The few numbers to know first."""
    curve = record.run.loss_curve
    entries = [("Epochs", str(len(curve)))] if record.outputs is None else []
    if len(curve):
        best = int(np.nanargmin(curve)) if np.isfinite(curve).any() else 0
        entries += [("Last loss", figure(curve[-1])), ("Lowest loss", f"{figure(curve[best])} in epoch {best + 1}")]
    if np.isfinite(record.run.validation_curve).any():
        best = int(np.nanargmin(record.run.validation_curve))
        entries.append(("Lowest validation loss", f"{figure(record.run.validation_curve[best])} in epoch {best + 1}"))
    if record.model is not None:
        weights = sum(int(getattr(p, "size", 1)) for p in record.model.parameters())
        entries.append(("Model", f"{type(record.model).__name__}, {count(weights, 'parameter')}"))
    entries += [("Samples", f"{len(record.data[0]):,}{HELD_OUT * mixes_held_out(record)}")] if record.data else []
    shown = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in entries)
    how = f'<p class="note">How the steps ran: {text(record.run.how)}.</p>' if record.run.how else ""
    return f"<dl>{shown}</dl>{how}{MOVED * record.moved}"


HELD_OUT = ", those held out in training among them"


def mixes_held_out(record: ReportedRun) -> bool:
    """Are the samples given for a run out of a file, which held some of its own out but does not say which?"""
    count, held = record.run.config.get("samples"), record.run.config.get("validation")
    own = record.run.job is None and isinstance(held, float) and record.held_out is None
    return own and record.data is not None and len(record.data[0]) != count


def diagnosis_html(diagnosis: Any) -> str:
    """The card of the clinic, or how to get one."""
    if isinstance(diagnosis, str):
        return f"<p>There is no diagnosis: {text(diagnosis, 600)}</p>"
    if diagnosis is None:
        return (
            "<p>There is no diagnosis in this report. "
            "<code>tg.report(run, diagnosis=tg.clinic.diagnose(run))</code> puts it here.</p>"
        )
    return f'<div class="diagnosis">{diagnosis._repr_html_()}</div>'
