"""The confusion matrix: how many samples of each class are taken for which."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.reporting.answers import Answer
from tinygrad_edu.reporting.tables import scrolling, text

Array = np.ndarray[Any, Any]
MOST = 30  # classes in the table


def confusion(found: Answer, caption: str = "Confusion matrix: true class by predicted class") -> str:
    """The confusion matrix as a table: darker cells have larger shares of their class; mistakes have another colour."""
    counts = matrix(found)
    head = "".join(f'<th scope="col" title="taken for {text(name)}">{text(name)}</th>' for name in found.names)
    rows = "".join(
        f'<tr><th scope="row">{text(name)}</th>{cells(line, place)}<td>{line.sum():,}</td></tr>'
        for place, (name, line) in enumerate(zip(found.names, counts, strict=True))
    )
    table = (
        f'<table class="confusion"><caption>{text(caption)}</caption><thead>'
        f'<tr><td></td><th colspan="{len(found.classes)}" scope="colgroup">predicted</th><td></td></tr>'
        f'<tr><th scope="col">class</th>{head}<th scope="col">samples</th></tr></thead><tbody>{rows}</tbody></table>'
    )
    return scrolling("Classes and answers", table) if len(found.classes) <= MOST else worst(found, counts)


def matrix(found: Answer) -> Array:
    """Samples by true class and by predicted class."""
    classes = np.array(found.classes)
    hit = np.isin(found.given, classes) & np.isin(found.target, classes)
    true, given = (np.searchsorted(classes, x[hit]) for x in (found.target, found.given))
    counts = np.zeros((len(classes), len(classes)), dtype=int)
    np.add.at(counts, (true, given), 1)
    return counts


def cells(line: Array, place: int) -> str:
    total = max(int(line.sum()), 1)
    return "".join(
        f'<td style="background:color-mix(in srgb,var(--{"good" if other == place else "bad"}) '
        f'{50.0 * number / total:.0f}%,transparent)">{number:,}</td>'
        for other, number in enumerate(line.tolist())
    )


def worst(found: Answer, counts: Array) -> str:
    """The pairs of classes that are confused most often."""
    wrong = counts - np.diag(np.diag(counts))
    order = np.argsort(-wrong, axis=None)[:10]
    pairs = [divmod(int(place), len(counts)) for place in order if wrong.flat[place]]
    items = "".join(
        f"<li>{text(found.names[a])} taken for {text(found.names[b])}: {wrong[a, b]:,}</li>" for a, b in pairs
    )
    return f"<p>{len(counts)} classes; what is mixed up most:</p><ul>{items or '<li>nothing</li>'}</ul>"
