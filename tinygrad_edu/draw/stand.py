"""Where the circles of a network stand: columns side by side, those of a deep network in rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

MOST_UNITS = 12  # circles drawn per layer; the rest is given as a number
COLUMN, ROW = 1.9, 0.52  # inches between layers and between units
LINE = 0.185  # inches between lines of a caption
STEPS = 8  # layers per row: nine columns fill a page


@dataclass(frozen=True)
class Column:
    """A layer in a row of the picture: the name of its circles, and inches from the left and from the top row."""

    layer: int
    name: str
    x: float
    y: float


def columns(captions: Sequence[str], widths: Sequence[int]) -> list[Column]:
    """All columns; the last one of a row is repeated at the start of the next, so that every edge is within a row."""
    high, found = row_height(captions, widths), []
    for layer in range(len(widths)):
        row, place = divmod(layer - 1, STEPS) if layer else (0, -1)
        found.append(Column(layer, f"u{layer}", COLUMN * (place + 1), -high * row))
        if layer and layer % STEPS == 0 and layer < len(widths) - 1:
            found.append(Column(layer, f"v{layer}", 0.0, -high * (row + 1)))
    return found


def row_height(captions: Sequence[str], widths: Sequence[int]) -> float:
    """Inches from one row to the next."""
    return 0.36 - 2.0 * lowest(widths) + depth_of_captions(captions) + 0.35


def depth_of_captions(captions: Sequence[str]) -> float:
    """Inches below the lowest circle that the captions take."""
    return 0.28 + LINE * (max(text.count(", ") for text in captions) + 1)


def circle_places(width: int) -> list[tuple[int, float]]:
    """(unit, its height in inches) of the circles of a layer: all, or the first ones.

    >>> circle_places(2)
    [(0, 0.26), (1, -0.26)]
    """
    shown = width if width <= MOST_UNITS else MOST_UNITS - 1
    rows = min(width, MOST_UNITS)
    return [(unit, ROW * ((rows - 1) / 2 - unit)) for unit in range(shown)]


def lowest(widths: Sequence[int]) -> float:
    """The height of the lowest circle of a row."""
    return -ROW * (min(max(widths), MOST_UNITS) - 1) / 2


def in_runs(texts: Sequence[str]) -> Iterator[str]:
    """Equal neighbours as one.

    >>> list(in_runs(["a", "b", "b", "b"]))
    ['a', 'b ×3']
    """
    start = 0
    for place in range(1, len(texts) + 1):
        if place == len(texts) or texts[place] != texts[start]:
            yield texts[start] + (f" ×{place - start}" if place - start > 1 else "")
            start = place
