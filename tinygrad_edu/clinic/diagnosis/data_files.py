"""Tables of samples out of CSV files, the target in the last column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.files import as_number, cell, lines_with_cells, read_text
from tinygrad_edu.errors import InputFileError

Array = np.ndarray[Any, Any]
Row = tuple[int, list[str]]  # the number of its line, and its cells


@dataclass(frozen=True)
class Table:
    """The samples of a file. header: was there one? numbered: was the first column the numbers of the rows?"""

    rows: Sequence[Row]
    header: bool
    numbered: bool


def read_table(path: Path) -> Table:
    """The rows of a CSV with samples. Errors: InputFileError for a file without any, or with rows of other lengths."""
    found = read_text(path)
    rows = lines_with_cells(path, found) if found.strip() else []
    header = bool(rows) and is_header(rows[0][1], [row for _, row in rows[1:]])
    names, rows = (rows[0][1], rows[1:]) if header else ([], rows)
    if not rows:
        raise InputFileError(f"{path} has no samples: a row for each is needed, its target in the last column")
    width = len(rows[0][1])
    for line, row in rows:
        if len(row) != width or width < 2:
            raise InputFileError(
                f"{path}, line {line}: {max(width, 2)} columns are needed, the last one for the target, and it has "
                f"{len(row)}"
            )
    numbered = is_numbered(names, [row for _, row in rows])
    return Table([(line, row[numbered:]) for line, row in rows], header, numbered)


def is_header(first: Sequence[str], others: Sequence[Sequence[str]]) -> bool:
    """Words among the features, or above targets that are numbers; or 0, 1, 2, ..., which pandas calls its columns.

    >>> is_header(["x", "y"], []), is_header(["0", "1", "y"], [["5", "6", "7"]]), is_header(["5", "6", "a"], [])
    (True, True, False)
    >>> is_header(["0", "1", "2"], [["0.5", "1.5", "0"]]), is_header(["0", "1", "1"], [["1", "1", "0"]])
    (True, False)
    """
    if any(as_number(entry) is None for entry in first[:-1]):
        return True
    if as_number(first[-1]) is None:
        return bool(others) and all(as_number(row[-1]) is not None for row in others if row)
    counted = len(first) > 2 and [entry.strip() for entry in first] == [str(i) for i in range(len(first))]
    return counted and bool(others) and (len(first) > 3 or not all(x.strip().isdigit() for row in others for x in row))


def is_numbered(names: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
    """Is the first column the index that `DataFrame.to_csv` writes, 0, 1, 2, ... below a blank name?

    >>> is_numbered(["", "x", "y"], [["0", "1.5", "2"], ["1", "2.5", "3"]]), is_numbered(["x", "y"], [["0", "1.5"]])
    (True, False)
    """
    index = bool(names) and names[0].strip() in ("", "Unnamed: 0") and len(names) > 2
    return index and [row[0].strip() for row in rows] == [str(i) for i in range(len(rows))]


def read_data(path: Path, classes: Any = None) -> tuple[Array, Array]:
    """(X, y) of a CSV whose last column is the target, with or without a header; classes: those that y is one of."""
    return arrays_of(path, read_table(path), classes)


def arrays_of(path: Path, table: Table, classes: Any = None) -> tuple[Array, Array]:
    """(X, y) of its rows. Errors: InputFileError for what is not a number."""
    width = len(table.rows[0][1])
    X = np.array([[cell(path, line, row, i) for i in range(width - 1)] for line, row in table.rows])
    if classes is None or np.asarray(classes).dtype.kind in "iufb":
        y = np.array([cell(path, line, row, -1) for line, row in table.rows])
        return X, y if classes is None else y.astype(np.asarray(classes).dtype)
    return X, np.array([row[-1].strip() for _, row in table.rows])
