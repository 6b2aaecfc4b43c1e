"""What `tinygrad-edu diagnose` reads: loss curves from JSON or CSV, and pickles where they are trusted.

Errors: InputFileError for a file that is not there, or does not hold what it should; it says in which line.
"""

from __future__ import annotations

import csv
import importlib
import json
import math
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.histories import (
    BARE,
    HELD_OUT,
    NO_LOSS,
    Columns,
    History,
    comparable,
    history_of,
    is_blank,
    is_loss,
    json_columns,
    refuse_decimal_commas,
    refuse_more_cells,
)  # fmt: skip
from tinygrad_edu.clinic.diagnosis.logs import ENTRY, columns_of_log
from tinygrad_edu.clinic.diagnosis.rows_of_epochs import WHOSE, by_subset, one_row_for_each_epoch
from tinygrad_edu.errors import CheckpointError, InputFileError, SettingError
from tinygrad_edu.nn import storage

Array = np.ndarray[Any, Any]
CURVES = ("loss_curve", "losses", "loss")  # names of a loss curve in JSON; the first is the one Run.save writes
PICKLES = (".pkl", ".pickle", ".joblib")


def is_pickle(path: Path) -> bool:
    """By its name, or by the byte with which pickles of protocol 2 and later begin."""
    return path.suffix.lower() in PICKLES or content(path)[:1] == b"\x80"


def content(path: Path) -> bytes:
    try:
        return storage.file_bytes(path)
    except CheckpointError as problem:
        raise InputFileError(str(problem)) from None
    except (OSError, ValueError) as problem:  # ValueError: a NUL character in the name
        raise InputFileError(f"{path}: {getattr(problem, 'strerror', None) or problem}") from None


def read_text(path: Path) -> str:
    try:
        return content(path).decode("utf-8-sig")  # utf-8-sig, because spreadsheets write a byte order mark
    except UnicodeDecodeError:
        wide = content(path)[:2] in (b"\xff\xfe", b"\xfe\xff")
        what = ", it is in UTF-16" if wide else ""
        raise InputFileError(f'{path} is not UTF-8 text{what}: save it as UTF-8 (in Excel: "CSV UTF-8")') from None


def read_curve(path: Path) -> Array:
    """The training loss of each epoch: see read_history."""
    return read_history(path).losses


def read_history(path: Path) -> History:
    """The curves of a training: JSON, CSV, or a log, in the forms of clinic.diagnosis.histories.

    NaN and null stand for a loss that was not finite. A CSV without a header has the losses in its last column.
    """
    found = read_text(path)
    if not found.strip():
        raise InputFileError(f"{path} is empty: the loss of each epoch is needed")
    try:
        as_json = path.suffix.lower() == ".json" or found.lstrip()[0] in "[{"
        return from_json(path, found) if as_json else from_text(path, found)
    except SettingError as problem:
        raise InputFileError(f"{path}: {problem}") from None


def from_json(path: Path, found: str) -> History:
    try:
        record = storage.parse_json(found)
    except ValueError as problem:
        printed = parse_printed(found)
        columns = json_columns(printed)
        if columns and isinstance(printed, list):
            return history_of(*columns_of_epochs(columns))
        columns = columns or (None if path.suffix.lower() == ".json" else columns_of_log(found))
        if columns is not None:
            return history_of(columns)
        if isinstance(problem, json.JSONDecodeError):
            raise InputFileError(f"{path}, line {problem.lineno}: not valid JSON: {problem.msg}") from None
        raise InputFileError(f"{path}: not valid JSON: {problem}") from None
    return of_record(path, curve_of_file(path, record))


def parse_printed(found: str) -> Any:
    """A record for each line, or dicts as Python prints them; None where it is neither."""
    plainer = re.sub(r"(?:np|numpy)\.float\d+\(([^()]*)\)", r"\1", found)
    for old, new in (
        ("'", '"'),
        ("None", "null"),
        ("True", "true"),
        ("False", "false"),
        ("nan", "NaN"),
        ("inf", "Infinity"),
    ):
        plainer = re.sub(rf"\b{old}\b" if old.isalpha() else old, new, plainer)
    for each in (found, plainer):
        rows = [line for line in each.splitlines() if line.lstrip().startswith("{")]
        for record in (each, f"[{','.join(rows)}]"):
            try:
                return storage.parse_json(record)
            except ValueError:
                continue
    return None


def curve_of_file(path: Path, record: Any) -> Any:
    """TensorBoard's [time, step, value] of one curve, whose name is that of the file."""
    rows = record if isinstance(record, list) else []
    if rows and all(isinstance(row, list) and len(row) == 3 for row in rows):
        return {path.stem: [row[2] for row in rows]}
    return record


def of_record(path: Path, record: Any) -> History:
    columns, averaged = json_columns(record), False
    if columns and isinstance(record, list):  # of records
        columns, averaged = columns_of_epochs(columns)
    if columns is None or (isinstance(record, dict) and not columns and any(name in record for name in CURVES)):
        losses = record if columns is None else next(record[n] for n in CURVES if n in record)
        return History(list_of_numbers(path, losses), NONE)
    for name in columns:
        if comparable(name) in CURVES and isinstance(record, dict) and isinstance(record.get(name), list):
            columns[name] = list_of_numbers(path, columns[name]).tolist()
    return history_of(columns, averaged)


def columns_of_epochs(columns: Columns) -> tuple[Columns, bool]:
    """The columns of records with one for each epoch, and whether several records of an epoch were averaged."""
    rows = [(i, list(row)) for i, row in enumerate(zip(*columns.values(), strict=True))]
    found = one_row_for_each_epoch([*columns], rows)
    apart = by_subset([*columns], found)
    whole = {name: [row[i] for _, row in found] for i, name in enumerate(columns)}
    return apart or whole, len(found) < len(rows)


NONE = np.empty(0)


def list_of_numbers(path: Path, record: Any) -> Array:
    """A list of numbers, null for one that was not finite."""
    if not isinstance(record, list) or not record:
        raise InputFileError(f"{path}: a list of the loss of each epoch is needed, not {quote_value(record)}")
    for i, x in enumerate(record):
        if x is not None and (isinstance(x, bool) or not isinstance(x, (int, float))):
            raise InputFileError(f"{path}: entry {i} is {quote_value(x)}, a number is needed")
    return np.array([np.nan if x is None else as_float(x) for x in record], dtype=float)


def as_float(x: float) -> float:
    """A whole number too large for a float is infinite, as JSON's 1e999 is."""
    try:
        return float(x)
    except OverflowError:
        return math.inf if x > 0 else -math.inf


def quote_value(x: Any) -> str:
    try:
        short = json.dumps(x, ensure_ascii=False)
    except (RecursionError, ValueError):
        short = f"a {type(x).__name__}"
    return short if len(short) <= 40 else f"{short[:40]}..."


def from_text(path: Path, found: str) -> History:
    """CSV, or what a console has shown."""
    if (metric := of_mlflow(path, found)) is not None:
        return metric
    first = found.lstrip().partition("\n")[0]
    separated = any(mark in first for mark in ",;\t") or as_number(first.strip()) is not None
    columns = None if separated and not ENTRY.search(first) else columns_of_log(found)
    return from_csv(path, found) if columns is None else history_of(columns)


# header of a curve exported from TensorBoard, whose file is named after the curve
TENSORBOARD = ("wall_time", "step", "value")


def from_csv(path: Path, found: str) -> History:
    rows = lines_with_cells(path, found)
    if not rows:
        raise InputFileError(f"{path} has no numbers: the loss of each epoch is needed")
    header = rows[0][1]
    if any(as_number(entry) is not None for entry in header):
        return without_header(path, rows)
    rows = [rows[0], *(row for row in rows[1:] if row[1] != header)]  # a resumed log repeats the header
    if not rows[1:]:
        refuse_no_numbers(path)
    refuse_more_cells(path, header, rows[1:])
    if len(header) == 1 and not says_otherwise(header[0]):
        return History(np.array([cell(path, line, row, 0) for line, row in rows[1:]]), NONE)
    names = [name.strip() for name in header]
    if long := long_form(names, rows[1:]):
        return history_of(long)
    numbers = one_row_for_each_epoch(names, rows[1:])
    averaged = len(numbers) < len(rows) - 1
    if apart := by_subset(names, numbers):
        return history_of(apart, averaged)
    if twice := [name for name in dict.fromkeys(names) if is_loss(name) and names.count(name) > 1]:
        raise SettingError(f"{', '.join(twice)}: several columns have this name. Which is the training loss?")
    if tuple(map(comparable, names)) == TENSORBOARD:
        names[2] = path.stem
    columns = {name: column(path, numbers, i, is_loss(name)) for i, name in enumerate(names)}
    return history_of(columns, averaged)


def without_header(path: Path, rows: list[tuple[int, list[str]]]) -> History:
    """The losses stand in the last column, or all in the only line."""
    refuse_words(path, rows[0])
    refuse_decimal_commas(path, rows)
    if len(alone := [x for x in rows[0][1] if not is_blank(x)] if len(rows) == 1 else []) == 2:
        raise InputFileError(f"{path} has two numbers: an epoch and its loss, or two losses? Write one loss a line")
    places = [(line, row, i) for line, row in rows for i in (range(len(alone)) or [-1])]
    return History(np.array([cell(path, *place) for place in places]), NONE)


METRIC = ("metric", "variable", "name", "tag", "key")


def long_form(names: list[str], rows: list[tuple[int, list[str]]]) -> Columns:
    """Columns by name of a table with a row for each number, as R and pandas.melt write it; none where it is no such.

    >>> long_form(["epoch", "value", "metric", "data"], [(2, ["1", "0.5", "loss", "training"])])
    {'training_loss': ['0.5']}
    """
    short = [comparable(name) for name in names]
    metric = next((short.index(name) for name in METRIC if name in short), None)
    whose = next((short.index(name) for name in WHOSE if name in short), None)
    found: Columns = {}
    if metric is None or "value" not in short:
        return found
    for _, row in rows:
        if len(row) == len(names):
            name = row[metric] if whose is None else f"{row[whose]}_{row[metric]}"
            found.setdefault(name, []).append(row[short.index("value")])
    return found


def of_mlflow(path: Path, found: str) -> History | None:
    """A file of one metric in MLflow's folders: time in milliseconds, value, step; its name is the metric's."""
    rows = [line.split() for line in found.splitlines() if line.strip()]
    if not all(len(row) == 3 and row[0].isdigit() and len(row[0]) == 13 and row[2].isdigit() for row in rows):
        return None
    return history_of({path.name: [row[1] for row in rows]})


def refuse_words(path: Path, row: tuple[int, list[str]]) -> None:
    """A line of a log whose numbers have commas, "loss 1,234.5", is not a row of numbers: 234.5 is not the loss."""
    line, cells = row
    words = [entry for entry in cells if as_number(entry) is None and re.search(r"loss|epoch", entry, re.IGNORECASE)]
    if words:
        raise InputFileError(
            f"{path}, line {line}: {words[0].strip()!r:.60} stands among numbers, so commas cannot separate the "
            "columns: "
            "write numbers without thousands separators, or columns with a header"
        )


def says_otherwise(header: str) -> bool:
    """Is the only column said to be another measure, or of samples held out, or not said what it counts?"""
    short = comparable(header)
    return bool(NO_LOSS.search(short) or HELD_OUT.search(short)) or short in BARE


def column(path: Path, rows: list[tuple[int, list[str]]], place: int, needed: bool) -> list[float]:
    """The numbers of a column without its blank cells; a word in it is an error where the column is a loss."""
    filled = [(line, row) for line, row in rows if place >= len(row) or not is_blank(row[place])]
    if not needed and any(place >= len(row) or as_number(row[place]) is None for _, row in filled):
        return []
    return [cell(path, line, row, place) for line, row in filled]


def lines_with_cells(path: Path, found: str) -> list[tuple[int, list[str]]]:
    """(number of the line, its cells) of each line that is not empty."""
    first = found.lstrip().partition("\n")[0]
    if not set(",;\t") & set(first) and all(as_number(entry) is not None for entry in first.split()):
        return [(i, line.split()) for i, line in enumerate(found.splitlines(), start=1) if line.strip()]  # np.savetxt
    delimiter = max(",;\t", key=first.count)
    reader = csv.reader(found.splitlines(), delimiter=delimiter)
    points = delimiter == ";"  # with ";" as delimiter, "," is the decimal point
    try:
        rows = [(reader.line_num, row) for row in reader if any(x.strip() for x in row)]
        return [(line, [with_point(x) for x in row]) for line, row in rows] if points else rows
    except csv.Error as problem:
        raise InputFileError(f"{path}, line {reader.line_num}: not valid CSV: {problem}") from None


def with_point(entry: str) -> str:
    """A number as it is written in half of Europe, 0,5, as 0.5."""
    return entry.replace(",", ".") if re.fullmatch(r"\s*[-+]?\d*,\d+(e[-+]?\d+)?\s*", entry, re.IGNORECASE) else entry


def refuse_no_numbers(path: Path) -> Any:
    raise InputFileError(f"{path} has a header and no numbers")


def as_number(entry: str) -> float | None:
    """The number that a cell holds; None for another text, such as the label 2_1, which Python reads as 21."""
    try:
        if "_" in entry:
            return None
        return float(entry)
    except ValueError:
        return None


def cell(path: Path, line: int, row: list[str], column: int) -> float:
    """One number of a table."""
    if not -len(row) <= column < len(row):
        raise InputFileError(f"{path}, line {line}: it has {len(row)} columns, and number {column + 1} is needed")
    found = as_number(row[column])
    if found is None:
        raise InputFileError(f"{path}, line {line}: {row[column][:40]!r} is not a number")
    return found


def read_estimator(path: Path, trusted: bool) -> Any:
    """A pickled estimator. A pickle runs code when it is loaded: without `trusted` it is not opened."""
    if not trusted:
        raise InputFileError(
            f"{path} is a pickle, and a pickle can run code when it is loaded: give --trust-pickle only if you made it "
            "yourself, or trust whoever did"
        )
    try:
        if path.suffix.lower() == ".joblib":
            return importlib.import_module("joblib").load(path)  # comes with scikit-learn
        return pickle.loads(content(path))
    except InputFileError:
        raise
    except Exception as problem:  # unpickling may raise anything, depending on the file
        raise InputFileError(f"{path} cannot be unpickled: {type(problem).__name__}: {problem}") from problem
