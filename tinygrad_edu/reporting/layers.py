"""How activations, gradients and weights of each layer are spread, epoch after epoch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from tinygrad_edu.charts.palette import MARKS
from tinygrad_edu.charts.pictures import Canvas, Point, picture
from tinygrad_edu.core.aliases import Axis
from tinygrad_edu.draw.text import count
from tinygrad_edu.reporting.tables import behind, figure, text
from tinygrad_edu.train.histograms import Histograms, LayerSnapshot
from tinygrad_edu.train.spread import LOGARITHMIC, Spread

HOW = "tg.fit(..., callbacks=[tg.train.Histograms()])"
KINDS = {"activations": "what each layer hands on", "gradients": "of its weights and biases", "weights": "and biases"}
MOST_LAYERS = 12  # layers drawn; of more, this many are chosen evenly: 12 layers make 72 charts, 2 s and 0.5 MB
# (from quantile, to quantile, opacity): all, 90% and half of the entries
BANDS = ((0, 6, 0.13), (1, 5, 0.2), (2, 4, 0.35))
SIZES = {"bands": (3.4, 2.1), "bars": (3.4, 1.7)}  # inches
AROUND = {"bands": (0.58, 0.48, 0.16, 0.14), "bars": (0.58, 0.4, 0.16, 0.08)}


@dataclass(frozen=True)
class LayerCurve:
    """One kind of numbers of one layer, epoch after epoch."""

    kind: str
    layer: str
    epochs: Sequence[int]
    spreads: Sequence[Spread]

    @property
    def limits(self) -> Point:
        """The lowest and the highest entry of all epochs, with a little room."""
        ends = [s.quantiles[i] for s in self.spreads for i in (0, -1) if np.isfinite(s.quantiles[i])]
        low, high = (min(ends), max(ends)) if ends else (0.0, 1.0)
        room = 0.04 * (high - low) or 0.05 * max(abs(low), 0.1)
        return low - room, high + room


def layers_html(histograms: Histograms | None) -> str:
    """A slider for the epoch, a choice of what to look at, and two charts for each layer."""
    if histograms is None or not histograms.snapshots:
        return (
            "<p>This run kept no histograms. One argument of <code>fit</code> keeps them for the next report: "
            f"<code>{text(HOW)}</code></p>"
        )
    snapshots = histograms.snapshots
    names = list(snapshots[-1].layers)
    chosen = names
    if len(names) > MOST_LAYERS:
        chosen = [names[int(i)] for i in np.linspace(0, len(names) - 1, MOST_LAYERS)]
    note = f"<p>{len(chosen)} of {len(names)} layers are drawn.</p>" if chosen != names else ""
    if len(snapshots) == 1:
        note += f"<p>One epoch was kept. To see more of them, one argument of fit: <code>{text(HOW)}</code></p>"
    groups = [group(kind, snapshots, chosen, first=kind == "activations") for kind in KINDS]
    return controls(snapshots) + note + "".join(groups)


def controls(snapshots: Sequence[LayerSnapshot]) -> str:
    epochs = [s.epoch for s in snapshots]
    choices = "".join(
        f'<label><input type="radio" name="kind" value="{kind}"{" checked" * (kind == "activations")}> '
        f"{kind.capitalize()}</label>"
        for kind in KINDS
    )
    frames = "|".join(f"epoch {epoch}" for epoch in epochs)
    return (
        '<div class="controls bar" hidden>'
        f'<fieldset data-switch="kind"><legend>Show</legend>{choices}</fieldset>'
        '<div class="slider"><label for="epoch">Histograms after</label>'
        f'<output for="epoch" id="epoch-shown" data-of="epoch" data-frames="{frames}">epoch {epochs[-1]}</output>'
        f'<input type="range" id="epoch" min="0" max="{len(epochs) - 1}" value="{len(epochs) - 1}" step="1" '
        f'data-slider="epoch" aria-describedby="epoch-shown" aria-valuetext="epoch {epochs[-1]}"></div></div>'
    )


def group(kind: str, snapshots: Sequence[LayerSnapshot], names: Sequence[str], first: bool) -> str:
    """The charts of all layers for one kind."""
    figures = [layer_figure(course(kind, name, snapshots)) for name in names]
    scale = ", as powers of ten" if kind in LOGARITHMIC else ""
    hidden = "" if first else " hidden"
    return (
        f'<section data-case="kind:{kind}"{hidden} aria-labelledby="kind-{kind}">'
        f'<h3 id="kind-{kind}">{kind.capitalize()} <small>{KINDS[kind]}{scale}</small></h3>'
        f'<div class="grid">{"".join(figures)}</div></section>'
    )


def course(kind: str, name: str, snapshots: Sequence[LayerSnapshot]) -> LayerCurve:
    known = [s for s in snapshots if name in s.layers]
    return LayerCurve(kind, name, [s.epoch for s in known], [getattr(s.layers[name], kind) for s in known])


def layer_figure(course: LayerCurve) -> str:
    """The spread over time, the histogram of one epoch, and the numbers."""
    last, title = course.spreads[-1], f"{course.kind} of {course.layer}"
    over = f"Spread of the {title} over the epochs: half of the last ones lie {between(last)}."
    one = f"Histogram of the {title} after the epoch that the slider names."
    return (
        f"<figure><figcaption>{text(course.layer)}</figcaption>"
        + picture(over, lambda canvas: bands(canvas, course), SIZES["bands"], AROUND["bands"], "epoch")
        + picture(one, lambda canvas: bars(canvas, course), SIZES["bars"], AROUND["bars"], "epoch")
        + reading(course)
        + layer_numbers(course, title)
        + "</figure>"
    )


def between(spread: Spread) -> str:
    """The middle half in words."""
    if not np.isfinite(spread.quantiles[3]):
        return "nowhere: no entry is finite and not 0"
    return f"between {figure(spread.quantiles[2])} and {figure(spread.quantiles[4])}"


def bands(canvas: Canvas, course: LayerCurve) -> dict[str, list[str]]:
    """Quantiles as bands around the median; a line marks the epoch of the slider."""
    axes, epochs = canvas.axes, course.epochs
    levels = np.array([spread.quantiles for spread in course.spreads])
    around = [epochs[0] - 0.5, epochs[0] + 0.5] if len(epochs) == 1 else epochs
    levels = np.repeat(levels, 2, axis=0) if len(epochs) == 1 else levels
    for low, high, opacity in BANDS:
        axes.fill_between(around, levels[:, low], levels[:, high], color=MARKS["series-1"], alpha=opacity, linewidth=0)
    axes.plot(around, levels[:, 3], color=MARKS["series-1"])
    marker = axes.plot([epochs[-1]] * 2, course.limits, color=MARKS["series-2"], linewidth=1.2)[0]
    marker.set_gid("slot-epoch")
    axes.set(xlabel="epoch", ylim=course.limits, xlim=(around[0], around[-1]))
    axes.xaxis.get_major_locator().set_params(integer=True, nbins=5)
    axes.yaxis.get_major_locator().set_params(nbins=5)
    name_axis(axes.yaxis, course.kind)
    return {"slot-epoch": [canvas.path([(epoch, y) for y in course.limits]) for epoch in epochs]}


def bars(canvas: Canvas, course: LayerCurve) -> dict[str, list[str]]:
    """The histogram of one epoch, as high as its highest bin."""
    axes = canvas.axes
    shapes = [outline(spread) for spread in course.spreads]
    shape = axes.fill(*zip(*shapes[-1], strict=True), color=MARKS["series-1"], alpha=0.6, linewidth=0)[0]
    shape.set_gid("slot-bins")
    axes.set(xlim=course.limits, ylim=(0.0, 1.05), yticks=[], ylabel="frequency")
    axes.xaxis.get_major_locator().set_params(nbins=5)
    name_axis(axes.xaxis, course.kind)
    return {"slot-bins": [canvas.path(shape) for shape in shapes]}


def outline(spread: Spread) -> list[Point]:
    """The steps of a histogram as a closed line."""
    low, high = spread.quantiles[0], spread.quantiles[-1]
    if not np.isfinite(low):
        return [(0.0, 0.0)] * 3
    room = 0.0 if high > low else 1e-6 * max(abs(low), 1.0)
    edges = np.repeat(np.linspace(low - room, high + room, len(spread.counts) + 1), 2)
    heights = np.repeat(np.array(spread.counts) / max(spread.counts), 2)
    return list(zip(edges.tolist(), [0.0, *heights.tolist(), 0.0], strict=True))


def name_axis(axis: Axis, kind: str) -> None:
    """The axis of the entries: gradients as powers of ten."""
    if kind in LOGARITHMIC:
        axis.get_major_locator().set_params(integer=True)
        axis.set_major_formatter(lambda x, _: f"1e{x:.0f}" if x == round(x) else "")


def reading(course: LayerCurve) -> str:
    """The description of the histogram, in words that follow the slider."""
    sentences = [describe(spread) for spread in course.spreads]
    return f'<p class="note" data-of="epoch" data-frames="{"|".join(map(text, sentences))}">{text(sentences[-1])}</p>'


def describe(spread: Spread) -> str:
    broken = f", {spread.broken:.1%} NaN or infinite" if spread.broken else ""
    return f"Root mean square {figure(spread.size)}, {spread.zeros:.0%} zeros{broken}."


def layer_numbers(course: LayerCurve, title: str) -> str:
    head = ["epoch", "lowest", "5%", "25%", "median", "75%", "95%", "highest", "zeros", "root mean square"]
    unit = " (log10 of the size)" if course.kind in LOGARITHMIC else ""
    rows = [
        (str(epoch), *spread.quantiles, f"{spread.zeros:.1%}", spread.size)
        for epoch, spread in zip(course.epochs, course.spreads, strict=True)
    ]
    return behind(f"{title}, {count(len(rows), 'snapshot')}{unit}", head, rows)
