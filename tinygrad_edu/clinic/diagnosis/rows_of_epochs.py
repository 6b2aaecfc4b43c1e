"""Tables with several rows for each epoch: one for each batch, or one for training and one for what was held out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.clinic.diagnosis.histories import comparable, is_blank

Row = tuple[int, list[Any]]  # the number of its line, its cells
EPOCH = ("epoch", "epochs")
WHOSE = ("data", "set", "split", "phase", "stage", "subset")


def place_of(names: Sequence[str], known: Sequence[str]) -> int | None:
    """The place of the first column with one of these names."""
    short = [comparable(name) for name in names]
    return next((short.index(name) for name in known if name in short), None)


def one_row_for_each_epoch(names: Sequence[str], rows: Sequence[Row]) -> list[Row]:
    """The rows of an epoch as one, with the means of their numbers; rows of training and validation stay apart.

    Rows are left as they are where no column counts epochs, or all rows are of one.

    >>> one_row_for_each_epoch(["epoch", "loss"], [(2, ["0", "3"]), (3, ["0", "1"]), (4, ["1", ""]), (5, ["1", "1"])])
    [(2, ['0', '2.0']), (4, ['1', '1'])]
    """
    epoch, whose = place_of(names, EPOCH), place_of(names, WHOSE)
    if epoch is None or any(len(row) != len(names) for _, row in rows):
        return list(rows)
    counted = [number(row[epoch]) for _, row in rows]
    if None in counted or counted != sorted(counted, key=lambda x: x or 0.0) or counted[0] == counted[-1]:
        return list(rows)
    groups: dict[Any, list[Row]] = {}
    for at, (line, row) in zip(counted, rows, strict=True):
        groups.setdefault((at, None if whose is None else row[whose]), []).append((line, row))
    return [(found[0][0], mean_row([row for _, row in found])) for found in groups.values()]


def mean_row(rows: Sequence[Sequence[Any]]) -> list[Any]:
    """Each column's mean, without blank cells; the last cell of a column that holds anything but numbers."""
    return list(rows[0]) if len(rows) == 1 else [mean_cell(cells) for cells in zip(*rows, strict=True)]


def mean_cell(cells: Sequence[Any]) -> Any:
    filled = [x for x in cells if not is_blank(x)]
    numbers = [number(x) for x in filled]
    if len(filled) < 2 or None in numbers or len(set(filled)) == 1:
        return filled[-1] if filled else cells[-1]
    mean = sum(x for x in numbers if x is not None) / len(numbers)
    return str(mean) if isinstance(filled[0], str) else mean


def number(x: Any) -> float | None:
    """The number in a cell; None for anything else."""
    try:
        return None if isinstance(x, bool) or "_" in str(x) else float(x)
    except (OverflowError, TypeError, ValueError):
        return None


def by_subset(names: Sequence[str], rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Columns of a table whose rows are of training or validation, as its column "phase" says; {} for another table.

    >>> by_subset(["epoch", "phase", "loss"], [(2, ["0", "train", "3"]), (3, ["0", "val", "4"])])
    {'train_loss': ['3'], 'val_loss': ['4']}
    """
    epoch, whose = place_of(names, EPOCH), place_of(names, WHOSE)
    found: dict[str, list[Any]] = {}
    if (
        epoch is None
        or whose is None
        or any(len(row) != len(names) or number(row[whose]) is not None for _, row in rows)
    ):
        return found
    for _, row in rows:
        for i, x in enumerate(row):
            if i not in (epoch, whose):
                found.setdefault(f"{row[whose]}_{names[i]}", []).append(x)
    return found
