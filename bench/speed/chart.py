"""The ratios as a picture: a bar for each row and peer, from 1x."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from bench.speed.report import Cell, Results, cells, number
from bench.speed.workload import Row, Workload

ADVICE = 'No chart without Matplotlib: `pip install "tinygrad_edu[viz]"` brings it.'
# The ground is transparent, so every colour must stand out from white and from black: contrast 3.6 to 5.3 with each.
LETTER = 0.065  # inches
INK, FASTER, SLOWER = "#777c84", "#2a8bc9", "#d9661f"


def available() -> bool:
    return importlib.util.find_spec("matplotlib") is not None


def own_name(cell: Cell) -> str:
    """The row and the peer in the words of the report."""
    return f"{cell.workload.name} vs. {cell.package}"


def write(rows: Sequence[Row], results: Results, path: Path, name_of: Callable[[Cell], str] = own_name) -> bool:
    """Draw the chart into a file; False where there is nothing to draw, or nothing to draw with.

    name_of: the name of a bar, in the words of the table that the chart stands beside.
    """
    shown = cells([row for row in rows if isinstance(row, Workload) and row.name in results], results)
    if not (shown and available()):
        return False
    import matplotlib

    # text stays text; fixed ids and no date, so that equal numbers give equal files
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "bench", "font.family": "sans-serif"}):
        figure(shown, name_of).savefig(
            path, transparent=True, dpi=144, metadata={"Date": None} if path.suffix == ".svg" else {}
        )
    return True


def figure(shown: Sequence[Cell], name_of: Callable[[Cell], str] = own_name) -> Any:
    from matplotlib.figure import Figure

    names = list(map(name_of, shown))
    made = Figure(figsize=(6.5 + LETTER * max(map(len, names)), 1.3 + 0.34 * len(shown)), layout="constrained")
    axes = made.subplots()
    axes.patch.set_visible(False)
    for y, cell in enumerate(shown):
        bar(axes, y, cell)
    axes.axvline(1.0, color=INK, linewidth=1.2)
    axes.set_yticks(range(len(shown)), names)
    axes.invert_yaxis()
    axes.set_xscale("log")
    axes.set_xlim(*limits(shown))
    axes.xaxis.set_major_formatter(lambda x, _: f"{x:g}x")
    axes.set_title("How many times as fast as the peer (log scale)", color=INK, fontsize=11)
    plain(axes)
    legend(axes)
    return made


def bar(axes: Any, y: int, cell: Cell) -> None:
    """From 1x to the ratio, leftwards where the peer is faster; the number beyond the bar."""
    axes.barh(y, cell.ratio - 1.0, left=1.0, height=0.62, color=SLOWER if cell.lost else FASTER)
    axes.annotate(
        f"{number(cell.ratio)}x",
        (max(1.0, cell.ratio), y),
        xytext=(5, 0),
        textcoords="offset points",
        va="center",
        color=INK,
        fontsize=9,
    )


def limits(shown: Sequence[Cell]) -> tuple[float, float]:
    """From below the smallest bar, 1x included, to beyond the largest, with room for its number."""
    ends = [1.0, *(cell.ratio for cell in shown)]
    return min(ends) / 1.4, max(ends) * 2.5


def plain(axes: Any) -> None:
    """Ink that shows on any ground, and no frame."""
    axes.tick_params(colors=INK, which="both", labelsize=9)
    axes.tick_params(axis="y", length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side == "bottom")
        spine.set_color(INK)
    axes.grid(axis="x", color=INK, alpha=0.25)
    axes.set_axisbelow(True)


def legend(axes: Any) -> None:
    from matplotlib.patches import Patch

    entries = [Patch(color=FASTER, label="tinygrad_edu is faster"), Patch(color=SLOWER, label="the peer is faster")]
    axes.figure.legend(handles=entries, loc="outside lower center", ncols=2, frameon=False, labelcolor=INK, fontsize=9)
