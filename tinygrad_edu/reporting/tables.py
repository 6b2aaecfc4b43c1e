"""User's text and numbers as HTML: escaped, and in tables that a screen reader can walk."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from tinygrad_edu.charts.text import clean

ROWS = 60  # rows of the table behind a chart; a longer record is thinned out


def text(value: object, limit: int = 300) -> str:
    """Anything as text that is safe in an element and in an attribute.

    >>> text('<script>"&')
    '&lt;script&gt;&quot;&amp;'
    """
    return html.escape(clean(str(value), limit))


def figure(value: float | None) -> str:
    """Four digits of a number, or a dash for none.

    >>> figure(0.000123456), figure(None), figure(float("nan")), figure(20)
    ('0.0001235', '-', 'NaN', '20')
    """
    if value is None:
        return "-"
    x = float(value)
    return f"{x:.4g}" if math.isfinite(x) else str(x).replace("nan", "NaN")


def table(caption: str, head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    """A table; the first cell of each row names it."""
    titles = "".join(f'<th scope="col">{text(title)}</th>' for title in head)
    body = "\n".join(row(cells) for cells in rows)
    return f"<table><caption>{text(caption)}</caption>\n<thead><tr>{titles}</tr></thead>\n<tbody>{body}</tbody></table>"


def row(cells: Sequence[Any]) -> str:
    first, *rest = (text(figure(cell)) if isinstance(cell, float) else text(cell) for cell in cells)
    return f'<tr><th scope="row">{first}</th>' + "".join(f"<td>{cell}</td>" for cell in rest) + "</tr>"


def scrolling(name: str, content: str) -> str:
    """Something that may be wider than a telephone: it scrolls by itself, by keyboard too."""
    return f'<div class="scroll" tabindex="0" role="group" aria-label="{text(name)}">{content}</div>'


def behind(caption: str, head: Sequence[str], rows: Sequence[Sequence[Any]], total: int = 0) -> str:
    """The numbers of a chart, folded away; of many rows at most ROWS, evenly chosen, with the last one.

    total: how many there are where `rows` are a choice already.
    """
    step = -(-len(rows) // ROWS)
    shown = [*rows[:-1:step], rows[-1]] if rows and step > 1 else rows
    whole = max(total, len(rows))
    note = f" ({len(shown)} of {whole:,} rows)" if len(shown) < whole else ""
    numbers = scrolling(caption, table(caption + note, head, shown))
    return f"<details><summary>Numbers: {text(caption)}</summary>{numbers}</details>"
