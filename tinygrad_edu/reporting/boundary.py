"""What the network says over the plane of its two inputs, along its one input, or over a projection of more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from typing import Any

import numpy as np

from tinygrad_edu.charts.palette import MARKS, SERIES
from tinygrad_edu.charts.pictures import Canvas, picture
from tinygrad_edu.charts.text import clean
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.sequence import Recurrent
from tinygrad_edu.reporting.answers import Answer, answer, answers_of, choose_samples, limits_around
from tinygrad_edu.reporting.confusion import confusion
from tinygrad_edu.reporting.projection import against, components
from tinygrad_edu.reporting.record import ReportedRun, own_class
from tinygrad_edu.reporting.tables import behind

Array = np.ndarray[Any, Any]
SIDE, SIDE_OF_VALUES = 121, 31  # grid points along a side; for a model of Values each takes 0.1 ms
MOST_NAMED = 60  # classes in the legend; with this many, more of them look alike anyway
MOST_BESIDE = 5  # classes of a confusion matrix beside the picture; a larger one goes below
MARKERS = "os^DvPX*"
SHADES = (0.08, 0.16, 0.24, 0.32)  # from the boundary outward
SIZE = (5.0, 4.0)
AROUND = (0.85, 0.5, 0.12, 0.32)  # inches; the axis on the left has a name


def boundary_html(record: ReportedRun) -> str:
    """The picture and the numbers behind it; a sentence where there is none."""
    data = record.data
    if data is None or (record.model is None and record.outputs is None):
        return f"<p>{what_is_missing(record)}</p>"
    X, y = [array[choose_samples(len(array))] for array in data] if is_slow(record) else data
    found = answer(record, answers_of(record, X), y)
    if found is None:
        return f"<p>The targets have the shape {y.shape[1:]}: for this picture one number or class is needed.</p>"
    if not np.isfinite(found.given).all():
        return "<p>The answers of this model are NaN or infinite, so there is nothing to draw.</p>"
    beside = (confusion(found) if found.classes else "") + held_out(record)
    if len(found.classes) > MOST_BESIDE:
        return chart(record, X, found) + beside
    return f'<div class="grid">{chart(record, X, found)}{f"<div>{beside}</div>" if beside else ""}</div>'


def what_is_missing(record: ReportedRun) -> str:
    """Why there is no model to draw, and what to write; of a file with a model of the user's own class too."""
    name = own_class(record.run)
    if not name:
        return "The model and its data are not in this record: <code>tg.report(run, X, y)</code> has them."
    return (
        f"A file cannot build {escape(clean(name))}, which is no nn.MLP: of the run that fit returned, or of "
        "<code>tg.train.Run.load(path, model)</code>, <code>tg.report(run, X, y)</code> draws the answers."
    )


def is_slow(record: ReportedRun) -> bool:
    """A model of Values takes 0.1 ms for each sample."""
    return record.model is not None and not isinstance(record.model.parameters()[0], Tensor)


def chart(record: ReportedRun, X: Array, found: Answer) -> str:
    """The plane of two inputs, the line of one, or the projection of more."""
    # what a recurrent model answers depends on the inputs before: there is no line along its input
    few = X.ndim == 2 and X.shape[1] <= 2 and X.dtype.kind == "f" and not isinstance(record.model, Recurrent)
    if not few:
        return projection(X, found)
    what = f"{'Classes' if found.classes else 'Answers'} of the network over its inputs. {found.words}"
    draw = (lambda c: curve(c, record, X, found)) if X.shape[1] == 1 else (lambda c: plane(c, record, X, found))
    return frame_picture(
        found.words, what, draw, behind_it(names(X), X, found), rows=legend_rows(found) if X.shape[1] == 2 else 1
    )


def projection(X: Array, found: Answer) -> str:
    """Classes over the two directions in which the inputs vary most; numbers over their targets."""
    if not found.classes:
        what = f"Predictions of the network over the targets. {found.words}"
        return frame_picture(found.words, what, lambda c: against(c, found), behind_it([], X, found))
    if X.dtype.kind != "f":
        return f"<p>{found.words} The inputs are whole numbers: there is no picture for these.</p>"
    places, share = components(X)
    about = f"First two principal components of the standardized inputs, {share:.0%} of their variance."

    def draw(canvas: Canvas) -> None:
        samples(canvas, places, found)
        canvas.axes.set(xlabel="component 1", ylabel="component 2")

    numbers = behind_it(["component 1", "component 2"], places, found)
    return frame_picture(found.words, f"{about} {found.words}", draw, numbers, about, legend_rows(found))


def frame_picture(
    words: str, what: str, draw: Callable[[Canvas], None], behind_it: str, about: str = "", rows: int = 1
) -> str:
    """A picture with room for `rows` rows of its legend above it."""
    note, (left, below, right, above) = f'<p class="note">{about}</p>' if about else "", AROUND
    more = 0.2 * (rows - 1)
    # with many classes the page grows, so that the plane is not squeezed
    size = (SIZE[0], SIZE[1] + max(0.0, more - 0.8))
    drawn = picture(what, draw, size, (left, below, right, above + more))
    return f"<figure><figcaption>{words}</figcaption>{drawn}{note}{behind_it}</figure>"


def legend_columns(found: Answer) -> int:
    """The number of legend entries side by side: a letter is about 6 points wide, and the axes are 290."""
    longest = max((len(f"class {name}") for name in found.names), default=7)
    return max(1, min(4, 290 // (6 * max(longest, len("wrong side")) + 24)))


def legend_rows(found: Answer) -> int:
    """Rows of the legend: one entry for each class that it names, and one for what is wrong."""
    return -(-(min(len(found.names), MOST_NAMED) + 1) // legend_columns(found))


def behind_it(head: Sequence[str], X: Array, found: Answer) -> str:
    columns = X.reshape(len(X), -1)[:, : len(head)]
    return behind("samples and answers", [*head, "target", "answer"], rows(columns, found), len(X))


def held_out(record: ReportedRun) -> str:
    """The same picture for the validation samples, if there are any."""
    if record.held_out is None:
        return ""
    X, y = (array[choose_samples(len(array))] if is_slow(record) else array for array in record.held_out)
    found = answer(record, answers_of(record, X), y)
    if found is None or not np.isfinite(found.given).all():
        return ""
    words = f"Held out of the training: {found.words}"
    table = confusion(found, "Confusion matrix of the samples held out") if found.classes else ""
    return f"<p>{words}</p>{table}"


def names(X: Array) -> list[str]:
    return [f"input {i + 1}" for i in range(X.shape[1])]


def rows(X: Array, found: Answer) -> list[list[float | str]]:
    """The numbers of some samples; of classes their names, which numbers of four digits may not tell apart."""
    called = dict(zip(found.classes, found.names, strict=True))
    some = choose_samples(len(X))
    columns = [[float(x) for x in line] for line in X[some]]
    ends = [
        [called.get(float(x), float(x)) for x in pair]
        for pair in zip(found.target[some], found.given[some], strict=True)
    ]
    return [[*line, *end] for line, end in zip(columns, ends, strict=True)]


def curve(canvas: Canvas, record: ReportedRun, X: Array, found: Answer) -> None:
    """The answer along the one input, and the samples."""
    x = np.linspace(*limits_around(X, 0.05), 300).astype(X.dtype)
    some = choose_samples(len(X))
    canvas.axes.plot(X[some, 0], found.target[some], "o", color=MARKS["series-2"], markersize=4, label="samples")
    canvas.axes.plot(x[:, 0], found.in_unit(answers_of(record, x)), color=MARKS["series-1"], label="network")
    canvas.axes.set(xlabel="input", ylabel="answer")
    canvas.axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0), ncols=2, borderaxespad=0.0)


def plane(canvas: Canvas, record: ReportedRun, X: Array, found: Answer) -> None:
    """The plane of two inputs: regions of classes and the lines between them, or heights."""
    low, high = limits_around(X, 0.08)
    side = SIDE_OF_VALUES if is_slow(record) else SIDE
    across, up = np.linspace(low[0], high[0], side), np.linspace(low[1], high[1], side)
    grid = np.stack([g.ravel() for g in np.meshgrid(across, up)], axis=1).astype(X.dtype)
    scores = np.ma.masked_invalid(found.scores(answers_of(record, grid)).T.reshape(-1, side, side))
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
    furthest = float(np.quantile(np.abs(scores), 0.9)) or 1.0  # a quantile, because scores far out may be much larger
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
    second, first = np.sort(np.ma.filled(scores, -np.inf), axis=0)[-2:]
    for place, score in enumerate(scores):
        margin = score - np.where(score == first, second, first)  # margin over the best of the other classes
        if not margin.max() > 0.0:
            continue  # with many classes, most are predicted nowhere
        shade = (*unit(MARKS[SERIES[place % len(SERIES)]]), 0.22)
        canvas.axes.contourf(*grid, margin, levels=[0.0, float(margin.max()) + 1.0], colors=[shade])
        canvas.axes.contour(*grid, margin, levels=[0.0], colors=MARKS["ink"], linewidths=1.2)


def samples(canvas: Canvas, X: Array, found: Answer) -> None:
    """The samples, those of each class with a colour and a shape of its own, and a ring around the wrong ones."""
    some = choose_samples(len(X))
    points, target = X[some], found.target[some]
    for place, name in enumerate(found.classes):
        those = points[target == name].T
        colour, marker = MARKS[SERIES[place % len(SERIES)]], MARKERS[place % len(MARKERS)]
        label = f"class {clean(found.names[place], 24)}" if place < MOST_NAMED else "_nolegend_"
        canvas.axes.plot(*those, marker, color=colour, markersize=5, linestyle="none", label=label)
    if not found.classes:
        canvas.axes.plot(*points.T, "o", color=MARKS["series-2"], markersize=4, label="samples")
    elif not found.right[some].all():
        wrong = points[~found.right[some]].T
        ring: Any = {"markersize": 9, "markeredgewidth": 1.6, "markerfacecolor": "none"}  # its class stays to be seen
        canvas.axes.plot(*wrong, "o", color=MARKS["ink"], linestyle="none", label="wrong side", **ring)
    above: Any = {"loc": "lower right", "bbox_to_anchor": (1.0, 1.0), "borderaxespad": 0.0, "handletextpad": 0.2}
    canvas.axes.legend(ncols=legend_columns(found), columnspacing=1.0, **above)
