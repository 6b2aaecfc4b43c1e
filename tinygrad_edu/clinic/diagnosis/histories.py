"""Curves of a training as other tools keep them: which column is the training loss, and which is of what was held out.

Read are the history of Keras (a dict, its JSON, or CSVLogger's file), metrics.csv of Lightning, the table of fastai,
pandas' to_json and to_csv in each of their forms, records of boosted trees, and what Run.save writes.
Console logs: see logs.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import InputFileError, SettingError

Array = np.ndarray[Any, Any]
Columns = dict[str, Any]  # name -> a list, or pandas' mapping from row numbers to values
BEST = (
    "loss",
    "train_loss",
    "training_loss",
    "loss_curve",
    "losses",
    "train_loss_epoch",
    "loss_epoch",
    "loss_train",
    "epoch_loss",
    "total_loss",
)
BARE = ("train", "training", "learn")  # a column with only this name: some metric on the training samples
HELD_OUT = re.compile(
    r"^(val|valid|validation|test|testing|eval|evaluation|dev|holdout)(_|$)|_(val|valid|validation|test|eval|dev)(_|$)"
)
LOSS = re.compile(
    r"(^|_)(loss|losses|nll|cost|objective|cross_?entropy|mse|mae|rmse|rmsle|mape|l1|l2|error|err|deviance)(_|$)|loss$"
)
NO_LOSS = re.compile(r"(^|_)(time|acc|accuracy|auc|f1|precision|recall|score|map\d*|lr|rate|scale|weight)(_|$)")


@dataclass(frozen=True)
class History:
    """The training loss and, where there is one, the loss of what was held out, with the names of their columns."""

    losses: Array
    validation: Array
    loss_name: str = ""
    validation_name: str = ""
    others: tuple[str, ...] = ()
    averaged: bool = False  # are the numbers of an epoch means of several rows?

    @property
    def sentence(self) -> str:
        """Names the columns that were read as the losses; "" if there was no choice."""
        if not self.loss_name:
            return ""
        text = f"Read: {self.loss_name} as the training loss"
        text += f", {self.validation_name} as the validation loss" if self.validation_name else ""
        text += f" (not looked at: {', '.join(self.others)})." if self.others else "."
        return text + (" The rows of an epoch are averaged." if self.averaged else "")


def comparable(name: str) -> str:
    """A name of a column as it is compared: "Train/Loss" and trainLoss are train_loss."""
    apart = re.sub(r"([a-z])([A-Z][a-z])", r"\1_\2", str(name).strip())
    return re.sub(r"[^a-z0-9]+", "_", apart.lower()).strip("_")


def history_of(columns: Mapping[str, Sequence[Any]], averaged: bool = False) -> History:
    """Columns by name as a History. Errors: SettingError where none, or more than one, may be the training loss."""
    made = {name: cells_with_numbers(name, values) for name, values in columns.items() if not is_bound(name)}
    refuse_backwards(made)
    losses = [name for name in made if is_loss(name) or falls_bare(name, made)]
    training = [name for name in losses if not HELD_OUT.search(comparable(name))]
    held_out = [name for name in losses if name not in training]
    if not training:
        training, held_out = first_of_two(held_out, made)
    taken = choose_name(training, made)
    if taken is None:
        raise SettingError(question(list(columns), training, held_out))
    same = [name for name in held_out if kind(name) == kind(taken)] or held_out
    validation = [name for name in same if not re.search(r"(^|_)test", comparable(name))]
    other = choose_name(validation, made) or choose_name(same, made)
    if other is None and "validation_curve" in made and made["validation_curve"].size:
        other = "validation_curve"
    used = {taken, other}
    rest = tuple(name for name in made if name not in used and comparable(name) not in COUNTERS)
    return History(made[taken], made[other] if other else np.empty(0), taken, other or "", rest, averaged)


def refuse_backwards(made: Mapping[str, Array]) -> None:
    """Errors: SettingError for a table whose last row is its first epoch: its loss would rise."""
    for name, x in made.items():
        if (
            comparable(name) in ("epoch", "epochs", "step", "steps", "iteration")
            and len(x) > 2
            and (np.diff(x) < 0).all()
        ):
            raise SettingError(f"{name} goes down from {x[0]:g} to {x[-1]:g}: sort the rows, the first epoch first")


COUNTERS = ("epoch", "epochs", "step", "steps", "iteration", "time", "index", "", "unnamed_0")


def is_loss(name: str) -> bool:
    short = comparable(name)
    return short in BEST or (bool(LOSS.search(short)) and not NO_LOSS.search(short))


def is_bound(name: str) -> bool:
    """Is it the smallest or largest value of a step, which an export of curves puts beside them?"""
    return str(name).endswith(("__MIN", "__MAX"))


def falls_bare(name: str, made: Mapping[str, Array]) -> bool:
    """Is it "train", or "test" beside it, where what "train" counts can only be a loss?"""
    bare = next((each for each in made if comparable(each) in BARE and len(made[each]) > 1), None)
    if bare is None or comparable(name) in COUNTERS or not (name == bare or not kind(name)):
        return False
    beside = next((made[each] for each in made if each != bare and HELD_OUT.search(comparable(each))), np.empty(0))
    return no_accuracy(made[bare], beside)


def no_accuracy(train: Array, held_out: Array) -> bool:
    """Does it fall, and not as a share or a percentage that is right would?

    That is so where it is out of their ranges, or where the samples held out end above: of an accuracy they end below.
    """
    most = float(np.max(train, initial=-np.inf, where=np.isfinite(train)))
    like_share, like_percentage = most <= 1.0, 10.0 < most <= 100.0
    above = held_out.size > 0 and bool(held_out[-1] > train[-1])
    return bool(train[-1] < train[0]) and (above or not (like_share or like_percentage))


def first_of_two(held_out: list[str], made: Mapping[str, Array]) -> tuple[list[str], list[str]]:
    """XGBoost calls all sets validation_0, validation_1, ...: by custom the first is the training set.

    It is taken for that where its loss ends below that of the other, as a training loss does.
    """
    numbered = [
        name for name in held_out if re.match(r"(validation|valid|eval)_\d(_|$)", comparable(name)) and len(made[name])
    ]
    pairs = len(numbered) == 2 and len({kind(name) for name in numbered}) == 1
    if pairs and made[numbered[0]][-1] <= made[numbered[1]][-1]:
        return numbered[:1], numbered[1:]
    return [], held_out


WHOSE = r"(^|_)(train|training|learn|val|valid|validation|test|eval|dev|epoch)(_\d+)?(_s)?(?=_|$)"


def kind(name: str) -> str:
    """A name without what says whose it is: train_loss_epoch and val_loss_epoch are of one kind."""
    return re.sub(WHOSE, "", comparable(name)).strip("_")


def choose_name(names: list[str], made: Mapping[str, Array]) -> str | None:
    """The one name that is meant: a usual one, or the only one; by epochs rather than by steps."""
    names = [name for name in names if made[name].size]
    for usual in BEST:
        for name in names:
            if comparable(name) == usual:
                return name
    whole = [name for name in names if not comparable(name).endswith("_step")] or names
    whole.sort(key=lambda name: not re.match(r"train|learn", comparable(name)))
    return whole[0] if len(whole) == 1 or len({kind(name) for name in whole}) == 1 else None


def question(names: list[str], training: list[str], held_out: list[str]) -> str:
    """The question to the user if it is unclear which column is the training loss."""
    if len(training) > 1:
        return f"which is the training loss: {', '.join(training)}? Name that column loss, or leave the others out"
    if held_out:
        return f"there is no training loss beside {', '.join(held_out)}: name its column loss"
    return f"no column of a loss (loss_curve, losses, loss, train_loss); it has: {', '.join(names) or 'nothing'}"


def cells_with_numbers(name: str, values: ArrayLike) -> Array:
    """The numbers of a column; cells are blank in rows that hold other measurements."""
    if isinstance(values, Mapping):  # from pandas: row number -> value
        values = list(values.values())
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return np.empty(0)
    found = [x for x in values if not is_blank(x)]
    try:
        return np.array([float(x) for x in found], dtype=float)
    except (TypeError, ValueError):
        return np.empty(0)


NOTHING = ("", "-", "--", "no log", "none", "null", "na", "n/a", "<na>")  # what a blank cell may contain


def is_blank(x: ArrayLike) -> bool:
    return x is None or (isinstance(x, str) and x.strip().lower() in NOTHING)


# JSON records


def json_columns(record: Any) -> Columns | None:
    """The columns in a record of JSON, in each form that tools give them; None where it is none of these."""
    if isinstance(record, Mapping):
        for inner in ("history", "metrics", "log_history", "logs"):
            if isinstance(record.get(inner), (Mapping, list)) and json_columns(record[inner]):
                return json_columns(record[inner])
        if is_split(record.get("columns"), record.get("data")):
            return {str(name): [row[i] for row in record["data"]] for i, name in enumerate(record["columns"])}
        rows = [x for x in record.values() if isinstance(x, Mapping)]
        if rows and all(str(key).isdigit() for key in record) and len(rows) == len(record):  # pandas' orient="index"
            return json_columns(rows)
        return {k: v for name in record for k, v in columns_in(str(name), record[name])}
    if isinstance(record, list) and record and all(isinstance(row, Mapping) for row in record):
        flat = [dict(flat_of(row)) for row in record]
        names = dict.fromkeys(name for row in flat for name in row)
        return {name: [row.get(name) for row in flat] for name in names}
    return None


def is_split(names: Any, rows: Any) -> bool:
    """Are they the two entries that pandas writes with orient="split": names, and rows with a cell for each?"""
    if not isinstance(names, list) or not isinstance(rows, list):
        return False
    return all(isinstance(row, (list, tuple)) and len(row) == len(names) for row in rows)


def columns_in(name: str, entry: Any) -> Iterator[tuple[str, Any]]:
    """The columns that an entry is or holds: XGBoost's {"train": {"rmse": [...]}} has train_rmse."""
    if isinstance(entry, Mapping) and any(isinstance(inner, (list, tuple, np.ndarray)) for inner in entry.values()):
        yield from ((k, v) for k, v in flat_of(entry, f"{name}_") if isinstance(v, (list, tuple, np.ndarray)))
    elif isinstance(entry, (list, Mapping, np.ndarray, tuple)):
        yield name, entry


def flat_of(record: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """(name, entry) of a record and of the records in it: {"train": {"loss": 1.0}} has train_loss."""
    for name, entry in record.items():
        if isinstance(entry, Mapping):
            yield from flat_of(entry, f"{prefix}{name}_")
        else:
            yield f"{prefix}{name}", entry


def refuse_decimal_commas(path: Path, rows: list[tuple[int, list[str]]]) -> None:
    """Pairs of whole numbers, 0,8 and 0,65, may be numbers with a decimal comma, unless the first ones count up."""
    pairs = [[entry.strip() for entry in row] for _, row in rows]
    if all(len(pair) == 2 and pair[1].isdigit() and pair[0].lstrip("-").isdigit() for pair in pairs):
        first = [int(pair[0]) for pair in pairs]
        if any(b - a != 1 for a, b in pairwise(first)):
            raise InputFileError(
                f"{path}: {','.join(pairs[0])} may be a number with a decimal comma, or two columns: write a point, or "
                "a header that names the columns"
            )


def refuse_more_cells(path: Path, header: list[str], rows: list[tuple[int, list[str]]]) -> None:
    """A row with more cells than the header has names, such as 10,000.0 with a separator of thousands."""
    for line, row in rows:
        if any(entry.strip() for entry in row[len(header) :]):
            raise InputFileError(
                f"{path}, line {line} has {len(row)} cells, and the header names {len(header)}: write numbers without "
                "commas, or a name for each column"
            )
