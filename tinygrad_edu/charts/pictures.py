"""Matplotlib's and Graphviz's SVG as parts of a page: in the colours of its theme, with a name, loading nothing."""

from __future__ import annotations

import hashlib
import html
import io
import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.charts.palette import MARKS, apply_theme
from tinygrad_edu.charts.text import clean
from tinygrad_edu.errors import DrawError

ADVICE = 'No charts without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.'
WIDTH, HEIGHT = 4.6, 2.9  # inches: 10-point text stays readable when a phone scales the picture down
Margins = tuple[float, float, float, float]
AROUND: Margins = (0.62, 0.5, 0.12, 0.32)  # inches left, below, right and above, for numbers, axis names and the legend
Point = tuple[float, float]


def style(colours: Mapping[str, str]) -> Any:
    """Matplotlib's settings for a chart in these colours."""
    return {
        "svg.fonttype": "none", "svg.hashsalt": "tinygrad_edu",  # text stays text; equal pictures have equal bytes
        "font.family": "DejaVu Sans", "font.size": 10, "axes.formatter.limits": (-3, 4), "path.simplify": True,
        "figure.facecolor": "none", "axes.facecolor": "none", "savefig.facecolor": "none",
        "text.color": colours["ink"], "axes.labelcolor": colours["muted"], "axes.edgecolor": colours["control"],
        "xtick.color": colours["control"], "ytick.color": colours["control"],
        "xtick.labelcolor": colours["muted"], "ytick.labelcolor": colours["muted"],
        "axes.grid": True, "grid.color": colours["grid"], "grid.linewidth": 0.8, "axes.axisbelow": True,
        "axes.spines.top": False, "axes.spines.right": False, "axes.linewidth": 0.8,
        "legend.frameon": False, "legend.fontsize": 10, "lines.linewidth": 1.8,
        "text.parse_math": False,  # names from the data are plain text, not formulas
    }  # fmt: skip


@dataclass(frozen=True)
class Canvas:
    """Matplotlib's figure and axes while a picture is drawn, and the colours by the names of the theme."""

    figure: Any
    axes: Any
    colours: Mapping[str, str] = field(default_factory=lambda: MARKS)

    def path(self, points: Sequence[Point]) -> str:
        """Points of the axes, whose limits are set, as a path: SVG counts points (1/72 inch) down from the top."""
        height = self.figure.get_figheight() * 72
        return "M" + "L".join(f"{x:.1f} {height - y:.1f}" for x, y in self.axes.transData.transform(points))


def picture(
    name: str,
    draw: Callable[[Canvas], Any],
    size: tuple[float, float] = (WIDTH, HEIGHT),
    around: Margins = AROUND,
    of: str = "",
) -> str:
    """An SVG element with that name, drawn by `draw(canvas)`; paths with the gid of a key of what it gives are frames.

    `draw` may return {gid: paths}: the slider of the group `of` then shows one of the paths after another.
    Errors: DrawError without Matplotlib.
    """
    try:
        import matplotlib as mpl
        from matplotlib.figure import Figure  # without pyplot, which would change a notebook's back end
    except ImportError:
        raise DrawError(ADVICE) from None
    target = io.StringIO()
    with mpl.rc_context(style(MARKS)), warnings.catch_warnings():
        # about glyphs missing from DejaVu; the browser has fonts of its own
        warnings.simplefilter("ignore", UserWarning)
        figure = Figure(figsize=size, dpi=72)
        frames = draw(Canvas(figure, figure.add_axes(axes_place(size, around))))
        figure.savefig(target, format="svg", metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")))
    svg = element(target.getvalue(), name)
    for slot, paths in (frames or {}).items():
        svg = with_frames(svg, slot, paths, of)
    return f'<div class="chart">{apply_theme(svg)}</div>'


def axes_place(size: tuple[float, float], around: Margins) -> tuple[float, float, float, float]:
    """Where the axes are, in parts of the figure: the same everywhere, so that charts below each other line up.

    A layout that fits itself draws each picture three times: with it a page takes 2.5 times as long.
    """
    (width, height), (left, below, right, above) = size, around
    return left / width, below / height, 1.0 - (left + right) / width, 1.0 - (below + above) / height


def with_frames(svg: str, slot: str, paths: Sequence[str], of: str) -> str:
    """The path of the group with this id, given all its shapes."""
    frames = f'data-of="{html.escape(of)}" data-frames="{"|".join(paths)}"'
    found = re.compile(rf'(<g id="[\w-]*{slot}">\s*<path )(d="[^"]*")')
    return found.sub(lambda match: f"{match[1]}{frames} {match[2]}", svg, count=1)


def element(svg: str, name: str) -> str:
    """The svg element of a file, as a named picture of a page: ids of its own, and no address of another place."""
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"<metadata>.*?</metadata>|<!--.*?-->|<title>.*?</title>", "", svg, flags=re.DOTALL)
    head, body = svg.split(">", 1)
    box, width = re.search(r'viewBox="[^"]*"', head), re.search(r'width="([\d.]+)pt"', head)
    size = f'{box[0]} style="--width: {float(width[1]):.0f}pt"' if box and width else ""
    svg = f'<svg role="img" aria-label="{html.escape(clean(name, 600))}" {size}>{body}'
    svg = re.sub(r' (?:xlink:title|xmlns(?::\w+)?|class)="[^"]*"', "", svg).replace("xlink:href=", "href=")
    return own_ids(svg, "p" + hashlib.sha256(svg.encode()).hexdigest()[:8])


def own_ids(svg: str, prefix: str) -> str:
    """The ids that are referred to, or that name a slot for frames, with a prefix; the others are dropped."""
    used = set(re.findall(r'url\(#([^)]+)\)|href="#([^"]+)"', svg))
    names = {name for pair in used for name in pair if name}

    def rename(match: re.Match[str]) -> str:
        keep = match[1] in names or match[1].startswith("slot")
        return f' id="{prefix}-{match[1]}"' if keep else ""

    svg = re.sub(r' id="([^"]*)"', rename, svg)
    return re.sub(r'(url\(#|href="#)', rf"\g<1>{prefix}-", svg)
