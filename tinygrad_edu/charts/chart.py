"""A chart of curves: what `run.plot()` and `tg.compare` give. Notebooks show it, `save` writes it."""

from __future__ import annotations

import base64
import html
import io
import os
import re
import unicodedata
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.charts.axes import drawable, plain_numbers, thin_points
from tinygrad_edu.charts.document import document, shrink_to_frame
from tinygrad_edu.charts.palette import DARK, LIGHT, MARKS, SERIES, variables
from tinygrad_edu.charts.pictures import ADVICE, HEIGHT, WIDTH, Canvas, picture, style
from tinygrad_edu.charts.text import clean, shorten
from tinygrad_edu.errors import DrawError
from tinygrad_edu.pen import check_attributes
from tinygrad_edu.whole_files import replace

Array = np.ndarray[Any, Any]
SUFFIXES = (".svg", ".png", ".pdf", ".html")
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))  # distinguishable without colour
WIDEST = 3.3  # inches for a name in the legend
# inches: height of a legend row, margin around the legend, width of a letter
LEGEND_ROW, LEGEND_FRAME, LETTER = 0.195, 0.1, 0.085
# Matplotlib's only rule is for "*", which in a notebook means the whole page. The picture inherits it anyway.
RULE = re.compile(r"<style[^>]*>.*?</style>", re.DOTALL)
LINES = "stroke-linejoin: round; stroke-linecap: butt; "
AROUND = (0.66, 0.5, 0.14, 0.34)  # inches left, below, right and above of each panel


@dataclass(frozen=True)
class Line:
    """One curve, an entry for each epoch. colour: its number among the series. faint: one of many behind another."""

    name: str
    curve: Array
    colour: int = 0
    dash: int = 0
    faint: bool = False


@dataclass(frozen=True)
class Band:
    """The area between two curves."""

    low: Array
    high: Array
    colour: int = 0


@dataclass(frozen=True)
class Panel:
    """Curves on one pair of axes."""

    title: str
    lines: Sequence[Line]
    bands: Sequence[Band] = ()

    @property
    def scale(self) -> str:
        """Logarithmic, unless that would leave something out."""
        with np.errstate(invalid="ignore"):
            return "log" if all(np.all((x.curve > 0.0) | np.isnan(x.curve)) for x in self.lines) else "linear"

    @property
    def heading(self) -> str:
        """The title, which says that the axis is logarithmic: numbers such as 0.3, 0.45, 0.6 do not show it."""
        return f"{self.title}, log axis" if self.scale == "log" else self.title


@check_attributes
@dataclass(frozen=True, repr=False)
class Chart:
    """Panels of curves side by side: a notebook shows them, `save` writes them.

    summary: the chart in words, for those who do not see it; below: HTML that its page shows under the curves.

    >>> import numpy as np
    >>> Chart([Panel("Loss", [Line("training", np.array([1.0, 0.5, 0.25]))])], summary="Loss from 1 to 0.25")
    <Loss from 1 to 0.25>
    """

    panels: Sequence[Panel]
    summary: str
    title: str = ""
    below: str = ""
    _pictures: dict[str, bytes] = field(default_factory=dict, init=False, compare=False)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it to a file; the suffix says how: .svg, .png, .pdf, or .html, which follows a reader's dark theme.

        path: missing folders are made; the file is replaced in one step. Errors: DrawError for another suffix, or
        without Matplotlib.
        """
        path = checks.path("path", path, "save")
        suffix = path.suffix.lower()
        if suffix not in SUFFIXES:
            raise DrawError(f"cannot save a chart as {path.name!r}. Use one of {', '.join(SUFFIXES)}")
        content = self.html().encode() if suffix == ".html" else self.picture(suffix[1:])
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path.resolve(), content)
        return path

    def picture(self, form: str) -> bytes:
        """The chart as svg, png or pdf, drawn once and kept. Errors: DrawError without Matplotlib."""
        if form not in self._pictures:
            self._pictures[form] = self.render(form)
        return self._pictures[form]

    def render(self, form: str) -> bytes:
        try:
            import matplotlib as mpl
            from matplotlib.figure import Figure  # without pyplot, which would change a notebook's back end
        except ImportError:
            raise DrawError(ADVICE) from None
        with mpl.rc_context({**style(LIGHT), "savefig.facecolor": LIGHT["card"]}), warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)  # about glyphs missing from DejaVu
            figure, target = self.draw(Figure), io.BytesIO()
            about = dict.fromkeys(("Date", "Creator", "Format", "Type")) if form == "svg" else None
            figure.savefig(target, format=form, metadata=about)
        return target.getvalue()

    def draw(self, make_figure: Any) -> Any:
        """Matplotlib's figure with all panels, whose axes line up."""
        high = max(HEIGHT + legend_height(panel) for panel in self.panels)
        width, height = WIDTH * len(self.panels), high + 0.3 * bool(self.title)
        figure = make_figure(figsize=(width, height), dpi=144)
        if self.title:
            figure.suptitle(label(self.title, 80), x=AROUND[0] / width, ha="left", weight="bold", size=11)
        left, below, right, above = AROUND
        area = ((WIDTH - left - right) / width, (HEIGHT - below - above) / height)
        for place, panel in enumerate(self.panels):
            corner = ((place * WIDTH + left) / width, (high - HEIGHT + below) / height)
            draw_panel(Canvas(figure, figure.add_axes((*corner, *area)), LIGHT), panel)
        return figure

    def html(self) -> str:
        """A page of its own that loads nothing, in the reader's theme."""
        name, _, told = self.summary.partition(": ")
        heading, words = html.escape(clean(self.title or name, 120)), html.escape(clean(told or name, 600))
        style = f""":root {{ color-scheme: light dark; {variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {variables(DARK)} }} }}
{style_sheet()}"""
        body = f"<h1>{heading}</h1><p>{words}</p>\n<main>{''.join(self.figures())}</main>{self.below}"
        return document(heading, style, body)

    def figures(self) -> Iterator[str]:
        """A figure of HTML for each panel, in the colours of the page's theme."""
        for panel in self.panels:
            size = (WIDTH, HEIGHT + legend_height(panel))
            left, below, right, _ = AROUND
            around = (left, below + legend_height(panel), right, 0.1)
            svg = picture(panel_words(panel), partial(draw_panel, panel=panel), size, around)
            yield f"<figure><figcaption>{html.escape(clean(panel.heading))}</figcaption>{svg}</figure>"

    def _repr_mimebundle_(self, **_: object) -> dict[str, str]:
        """SVG as wide as the cell at most, and PNG for notebooks that are not trusted; words without Matplotlib."""
        bundle = {"text/plain": repr(self)}
        try:
            svg = self.picture("svg").decode()
        except DrawError:
            return bundle
        name = f'<svg role="img" aria-label="{html.escape(clean(self.summary, 600))}"'
        named = svg[svg.index("<svg") :].replace("<svg", name, 1)
        bundle["image/svg+xml"] = shrink_to_frame(RULE.sub("", named, count=1), LINES)
        bundle["image/png"] = base64.b64encode(self.picture("png")).decode()
        return bundle

    def __repr__(self) -> str:
        return f"<{clean(self.summary, 300)}>"


def style_sheet() -> str:
    return files(__package__).joinpath("chart.css").read_text(encoding="utf-8")


def draw_panel(canvas: Canvas, panel: Panel) -> None:
    """Bands first, then lines, and a legend below the axes where there is more than one name."""
    axes, colours = canvas.axes, canvas.colours
    for band in panel.bands:
        x = np.arange(1, len(band.low) + 1)
        axes.fill_between(
            x, drawable(band.low), drawable(band.high), color=colours[series(band.colour)], alpha=0.18, lw=0
        )
    for line in panel.lines:
        draw_line(axes, line, colours[series(line.colour)])
    axes.set(xlabel="epoch", yscale=panel.scale)
    if colours is not MARKS:  # on a page the title is text outside the picture
        axes.set_title(label(panel.heading), loc="left", size=10, color=colours["muted"], y=1.0)
    if panel.scale == "log":
        plain_numbers(axes.yaxis)
    axes.yaxis.get_offset_text().set(x=1.0, horizontalalignment="right")  # the title is on the left
    axes.xaxis.get_major_locator().set_params(integer=True)
    if len(curve_names(panel)) > 1:
        axes.legend(
            loc="upper left", bbox_to_anchor=(0.0, -0.42 / (HEIGHT - AROUND[1] - AROUND[3])), ncols=columns(panel),
            borderaxespad=0.0, columnspacing=1.2, handlelength=2.2, labelspacing=0.35,
        )  # fmt: skip


def draw_line(axes: Any, line: Line, colour: str) -> None:
    places = thin_points(line.curve)
    look = {"linewidth": 0.7, "alpha": 0.35} if line.faint else {"label": label(line.name)}
    dot = {"marker": "o"} if line.curve.size == 1 else {}
    dash = DASHES[line.dash % len(DASHES)]
    axes.plot(places + 1, drawable(line.curve[places]), color=colour, linestyle=dash, **look, **dot)


def series(number: int) -> str:
    return SERIES[number % len(SERIES)]


def label(text: str, limit: int = 40) -> str:
    """A user's text for Matplotlib, no wider than a chart; there _ at the start would hide a name.

    Its formulas are switched off (`text.parse_math`), so $ and \\ stand for themselves.

    >>> label("_cost in $")
    '\\u2009_cost in $'
    """
    plain = shorten(text, limit)
    while limit > 4 and text_width(plain) > WIDEST:  # capitals are wider than average letters
        limit = int(limit * min(0.95, WIDEST / text_width(plain)))
        plain = shorten(text, limit)
    return f"\u2009{plain}" if plain.startswith("_") else plain


def text_width(text: str) -> float:
    """Inches of a text of 10 points, by Matplotlib's own font."""
    try:
        from matplotlib.font_manager import FontProperties
        from matplotlib.textpath import text_to_path
    except ImportError:
        return LETTER * len(text)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # about glyphs missing from DejaVu
        font = FontProperties(family="DejaVu Sans", size=10)
        points = text_to_path.get_text_width_height_descent(text, font, ismath=False)[0]
    return (float(points) + 4.0 * sum(unicodedata.east_asian_width(letter) in "WF" for letter in text)) / 72


def curve_names(panel: Panel) -> list[str]:
    return [line.name for line in panel.lines if not line.faint]


def columns(panel: Panel) -> int:
    """The number of legend columns that fit side by side."""
    longest = max(text_width(label(name)) for name in curve_names(panel))
    return max(1, min(4, int((WIDTH - AROUND[0]) / (0.55 + longest))))


def legend_height(panel: Panel) -> float:
    """Inches of the legend below the axes."""
    names = curve_names(panel)
    return LEGEND_ROW * -(-len(names) // columns(panel)) + LEGEND_FRAME if len(names) > 1 else 0.0


def panel_words(panel: Panel) -> str:
    """A panel in words, of many lines the first eight."""
    told = [tell(line) for line in panel.lines if not line.faint]
    return f"{panel.title}: {'; '.join(told[:8])}{f'; and {len(told) - 8} more' if len(told) > 8 else ''}"


def tell(line: Line) -> str:
    """A curve in words; its ends as they are, also where they are not finite."""
    curve = line.curve[np.isfinite(line.curve)]
    if not curve.size:
        return f"{line.name} has no finite number"
    first, last = (f"{x:.4g}".replace("nan", "NaN") for x in (line.curve[0], line.curve[-1]))
    return f"{line.name} from {first} to {last}, lowest {curve.min():.4g}"
