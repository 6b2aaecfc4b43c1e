"""Loss, validation loss, gradient and update norms over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.charts.axes import drawable, plain_numbers, thin_points
from tinygrad_edu.charts.palette import MARKS, SERIES
from tinygrad_edu.charts.pictures import Canvas, picture
from tinygrad_edu.draw.text import count
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.reporting.tables import behind, figure, text

Array = np.ndarray[Any, Any]
Curves = Mapping[str, Array]
DASHES = ("-", (0, (5, 2)))  # distinguishable without colour


def curves_html(record: ReportedRun) -> str:
    """Two charts, each linear and logarithmic, and the numbers behind them."""
    run = record.run
    if record.outputs is not None and not run.n_epochs:
        return "<p>This estimator keeps no record of its training, so there are no curves.</p>"
    if not run.n_epochs:
        return "<p>No epoch was finished, so there are no curves.</p>"
    loss = present({"training": run.loss_curve, "validation": run.validation_curve})
    norms = present({"gradient": run.grad_norms, "update": run.update_norms})
    charts = [chart(f"Loss ({record.loss_name})", loss)]
    charts += [chart("Norm of gradient and update", norms)] if norms else []
    if record.scores.size:
        charts.append(chart("Score of the samples held out", {"score": record.scores}, ["linear"]))
    return CONTROLS + f'<div class="grid">{"".join(charts)}</div>'


CONTROLS = (
    '<fieldset class="controls" data-switch="scale" hidden><legend>Scale of both charts</legend>'
    '<label><input type="radio" name="scale" value="linear"> Linear</label>'
    '<label><input type="radio" name="scale" value="log" checked> Logarithmic</label></fieldset>'
)


def present(curves: Curves) -> Curves:
    return {name: curve for name, curve in curves.items() if curve.size}


def chart(title: str, curves: Curves, scales: Sequence[str] = ()) -> str:
    """One chart on both scales; the linear one alone where a logarithm would leave something out."""
    said = sentence(title, curves)
    asked = bool(scales)
    scales = scales or (["log", "linear"] if all(np.all(curve > 0.0) for curve in curves.values()) else ["linear"])
    pictures = []
    for scale in scales:
        name = f"{said} {'Logarithmic' if scale == 'log' else 'Linear'} scale."
        hidden = "" if scale == scales[0] else " hidden"
        switched = f' data-case="scale:{scale}"{hidden}' if len(scales) > 1 else ""
        pictures.append(f"<div{switched}>{picture(name, partial(draw_curves, curves=curves, scale=scale))}</div>")
    alone = "" if len(scales) > 1 or asked else '<p class="note">Linear only: it is not above 0 everywhere.</p>'
    rows = [(str(epoch + 1), *numbers) for epoch, numbers in enumerate(zip(*pad_curves(curves), strict=True))]
    numbers = behind(title, ["epoch", *curves], rows)
    return f"<figure><figcaption>{text(title)}</figcaption>{''.join(pictures)}{alone}{numbers}</figure>"


def pad_curves(curves: Curves) -> list[list[float | None]]:
    """All curves as long as the longest."""
    longest = max(map(len, curves.values()))
    return [[*curve.tolist(), *[None] * (longest - len(curve))] for curve in curves.values()]


def draw_curves(canvas: Canvas, curves: Curves, scale: str) -> None:
    axes = canvas.axes
    for (name, curve), colour, dash in zip(curves.items(), SERIES, DASHES, strict=False):
        places = thin_points(curve)
        axes.plot(places + 1, drawable(curve[places]), label=name, color=MARKS[colour], linestyle=dash, **dots(curve))
    axes.set(xlabel="epoch", yscale=scale)
    if scale == "log":
        plain_numbers(axes.yaxis)
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(curves) > 1:
        axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.0)


def dots(curve: Array) -> dict[str, Any]:
    """A curve of one point is a dot."""
    return {"marker": "o"} if curve.size == 1 else {}


def sentence(title: str, curves: Curves) -> str:
    """A chart in words."""
    parts = [
        f"{name} from {figure(curve[0])} to {figure(curve[-1])}, lowest {figure(np.nanmin(curve))} "
        f"in epoch {int(np.nanargmin(curve)) + 1}"
        for name, curve in curves.items()
        if np.isfinite(curve).any()
    ]
    epochs = max(map(len, curves.values()))
    return f"{title} over {count(epochs, 'epoch')}: {'; '.join(parts)}."
