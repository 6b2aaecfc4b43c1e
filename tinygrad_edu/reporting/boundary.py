"""What the network says over the plane of its two inputs, or along its one input."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.charts.palette import MARKS, SERIES
from tinygrad_edu.charts.pictures import Canvas, picture
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.nn.module import Module
from tinygrad_edu.reporting.record import Record
from tinygrad_edu.reporting.tables import behind, figure, scrolling, table

Array = np.ndarray[Any, Any]
SIDE, SIDE_OF_VALUES = 121, 31  # points of the grid along one side; a model of Values takes 0.1 ms for each
MOST_POINTS = 400  # samples that are drawn
MARKERS = "os^DvPX*"
SHADES = (0.08, 0.16, 0.24, 0.32)  # from the boundary outwards
SIZE = (5.0, 4.0)
AROUND = (0.85, 0.5, 0.12, 0.32)  # inches; the numbers on the left have a name beside them


@dataclass(frozen=True)
class Answer:
    """What the model makes of the samples: numbers of classes where `classes` names them, else one number each."""

    target: Array
    given: Array
    classes: tuple[float, ...] = ()
    threshold: float = 0.0

    @property
    def right(self) -> Array:
        return np.asarray(self.target == self.given)

    @property
    def words(self) -> str:
        if self.classes:
            return f"{int(self.right.sum())} of {len(self.right)} samples are on the right side."
        error = float(np.sqrt(np.mean((self.target - self.given) ** 2)))
        return f"The answers are off by {figure(error)} (root mean square over {len(self.target)} samples)."


def boundary_html(record: Record) -> str:
    """The picture and the numbers behind it; a sentence where there is none."""
    model, data = record.model, record.data
    if model is None or data is None:
        return "<p>The model and its data are not in this record: <code>tg.report(run, X, y)</code> has them.</p>"
    X, y = data if isinstance(model.parameters()[0], Tensor) else [array[choose_samples(len(array))] for array in data]
    if X.ndim != 2 or X.shape[1] > 2 or X.dtype.kind != "f":
        return f"<p>Each sample has the shape {X.shape[1:]}; this picture needs one or two numbers.</p>"
    found = answer(record, predict(model, X), y)
    if found is None:
        return f"<p>The targets have the shape {y.shape[1:]}: for this picture one number or class is needed.</p>"
    if not np.isfinite(found.given).all():
        return "<p>The answers of this model are NaN or infinite, so there is nothing to draw.</p>"
    what = f"{'Classes' if found.classes else 'Answers'} of the network over its inputs. {found.words}"
    draw = (lambda c: curve(c, model, X, found)) if X.shape[1] == 1 else (lambda c: plane(c, record, X, found))
    chart = (
        f"<figure><figcaption>{found.words}</figcaption>{picture(what, draw, SIZE, AROUND)}"
        f"{behind('samples and answers', [*names(X), 'target', 'answer'], rows(X, found))}</figure>"
    )
    return f'<div class="grid">{chart}{confusion(found)}</div>' if found.classes else chart


def confusion(found: Answer) -> str:
    """Confusion matrix: true class by predicted class."""
    head = ["class", *(f"taken for {name:g}" for name in found.classes)]
    counts = [
        (f"{name:g}", *(int(np.sum((found.target == name) & (found.given == other))) for other in found.classes))
        for name in found.classes
    ]
    return scrolling("Classes and answers", table("Confusion matrix: true class by predicted class", head, counts))


def names(X: Array) -> list[str]:
    return [f"input {i + 1}" for i in range(X.shape[1])]


def rows(X: Array, found: Answer) -> list[list[float]]:
    columns = np.column_stack([X, found.target, found.given]).astype(float)
    return [[float(x) for x in line] for line in columns[choose_samples(len(X))]]


def choose_samples(count: int) -> Array:
    """The samples that are drawn: all, or MOST_POINTS evenly chosen."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def predict(model: Module, X: Array) -> Array:
    """The outputs as plain numbers, (samples, outputs), in eval mode."""
    training = model.training
    try:
        with no_grad(), np.errstate(all="ignore"):
            output = model.eval()(X)
    finally:
        model.train(training)
    if isinstance(output, Tensor):
        return np.asarray(output.array, dtype=float).reshape(len(X), -1)
    return np.array([float(v.data) for v in np.ravel(output)]).reshape(len(X), -1)


def answer(record: Record, outputs: Array, y: Array) -> Answer | None:
    """Classes or numbers, whichever the targets are."""
    if outputs.shape[1] > 1:
        if y.ndim == 1:
            target = y
        elif y.shape == outputs.shape and np.isin(y, (0.0, 1.0)).all() and (y.sum(axis=1) == 1.0).all():
            target = y.argmax(axis=1)
        else:
            return None
        return Answer(target, outputs.argmax(axis=1), tuple(float(c) for c in range(outputs.shape[1])))
    flat = np.ravel(y)
    values = np.unique(flat)
    if flat.shape != (len(outputs),):
        return None
    if len(values) != 2:
        return Answer(flat, outputs[:, 0])
    loss = LOSSES.get(record.loss_name)
    threshold = 0.0 if loss and loss.for_classes and loss.link != "identity" else float(values.mean())
    given = np.where(np.isfinite(outputs[:, 0]), values[(outputs[:, 0] > threshold).astype(int)], np.nan)
    return Answer(flat, given, (float(values[0]), float(values[1])), threshold)


def curve(canvas: Canvas, model: Module, X: Array, found: Answer) -> None:
    """The answer along the one input, and the samples."""
    room = 0.05 * float(np.ptp(X)) or 1.0
    x = np.linspace(X.min() - room, X.max() + room, 300)[:, None].astype(X.dtype)
    some = choose_samples(len(X))
    canvas.axes.plot(X[some, 0], found.target[some], "o", color=MARKS["series-2"], markersize=4, label="samples")
    canvas.axes.plot(x[:, 0], predict(model, x)[:, 0], color=MARKS["series-1"], label="network")
    canvas.axes.set(xlabel="input", ylabel="answer")
    canvas.axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.0)


def plane(canvas: Canvas, record: Record, X: Array, found: Answer) -> None:
    """The plane of two inputs: regions of classes and the lines between them, or heights."""
    assert record.model is not None
    room = 0.08 * np.ptp(X, axis=0) + 1e-9
    low, high = X.min(axis=0) - room, X.max(axis=0) + room
    side = SIDE if isinstance(record.model.parameters()[0], Tensor) else SIDE_OF_VALUES
    across, up = np.linspace(low[0], high[0], side), np.linspace(low[1], high[1], side)
    grid = np.stack([g.ravel() for g in np.meshgrid(across, up)], axis=1).astype(X.dtype)
    scores = np.ma.masked_invalid(predict(record.model, grid).T.reshape(-1, side, side))
    if not found.classes:
        heights(canvas, (across, up), scores[0])
    elif len(scores) == 1:
        sides(canvas, (across, up), scores[0] - found.threshold)
    else:
        regions(canvas, (across, up), scores)
    samples(canvas, X, found)
    canvas.axes.set(xlabel="input 1", ylabel="input 2", xlim=(low[0], high[0]), ylim=(low[1], high[1]))
    canvas.axes.grid(False)


def heights(canvas: Canvas, grid: tuple[Array, Array], scores: Array) -> None:
    lines = canvas.axes.contour(*grid, scores, levels=9, colors=MARKS["series-1"], linewidths=1.2)
    canvas.axes.clabel(lines, colors=MARKS["ink"], fontsize=9)


def sides(canvas: Canvas, grid: tuple[Array, Array], scores: Array) -> None:
    """Darker the further from the boundary on either side."""
    furthest = float(np.quantile(np.abs(scores), 0.9)) or 1.0  # far out it may be much more
    levels = np.linspace(0.0, furthest, len(SHADES))
    for sign, colour in ((-1.0, SERIES[0]), (1.0, SERIES[1])):
        shades = [(*unit(MARKS[colour]), opacity) for opacity in SHADES]
        canvas.axes.contourf(*grid, sign * scores, levels=levels, colors=shades, extend="max")
    canvas.axes.contour(*grid, scores, levels=[0.0], colors=MARKS["ink"], linewidths=1.8)


def unit(colour: str) -> list[float]:
    """A colour as three numbers from 0 to 1."""
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def regions(canvas: Canvas, grid: tuple[Array, Array], scores: Array) -> None:
    """The region of each class: where its score is above all others."""
    for place, score in enumerate(scores):
        margin = score - np.max(np.delete(scores, place, axis=0), axis=0)
        shade = (*unit(MARKS[SERIES[place % len(SERIES)]]), 0.22)
        canvas.axes.contourf(*grid, margin, levels=[0.0, max(float(margin.max()), 0.0) + 1.0], colors=[shade])
        canvas.axes.contour(*grid, margin, levels=[0.0], colors=MARKS["ink"], linewidths=1.2)


def samples(canvas: Canvas, X: Array, found: Answer) -> None:
    """The samples, those of each class with a colour and a shape of its own, and a cross on the wrong ones."""
    some = choose_samples(len(X))
    points, target = X[some], found.target[some]
    for place, name in enumerate(found.classes):
        those = points[target == name].T
        colour, marker = MARKS[SERIES[place % len(SERIES)]], MARKERS[place % len(MARKERS)]
        canvas.axes.plot(*those, marker, color=colour, markersize=5, linestyle="none", label=f"class {name:g}")
    if not found.classes:
        canvas.axes.plot(*points.T, "o", color=MARKS["series-2"], markersize=4, label="samples")
    elif not found.right[some].all():
        wrong = points[~found.right[some]].T
        canvas.axes.plot(*wrong, "x", color=MARKS["ink"], markersize=9, markeredgewidth=1.8, label="wrong side")
    canvas.axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=4, borderaxespad=0.0, handletextpad=0.2)
