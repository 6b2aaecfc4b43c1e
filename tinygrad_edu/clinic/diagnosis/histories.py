"""Curves of a training as other tools keep them: which column is the training loss, and which is of what was held out.

Read are the history of Keras (a dict, its JSON, or CSVLogger's file), metrics.csv of Lightning, the table of fastai,
pandas' to_json and to_csv in each of their forms, what Run.save writes, and a console log pasted as text.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import SettingError

Array = np.ndarray[Any, Any]
Columns = dict[str, Any]  # by name: lists, or pandas' mappings from the number of a row
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
    "train",
)
HELD_OUT = re.compile(
    r"^(val|valid|validation|test|testing|eval|evaluation|dev|holdout)(_|$)|_(val|valid|validation|test|eval)(_|$)"
)
LOSS = re.compile(
    r"(^|_)(loss|losses|nll|cost|objective|cross_?entropy|crossentropy|mse|mae|rmse|error|err|deviance)(_|$)|loss$"
)
ENTRY = re.compile(
    r"(?P<name>\b[a-z]\w*(?:[ _/.-]?(?:loss|acc(?:uracy)?|error|mse|mae|score|lr|rate))?)\s*(?:=|:|\bis\b)\s*"
    r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|[-+]?inf)\b(?!\s*/\s*\d)",
    re.IGNORECASE,
)
EPOCH = re.compile(r"\b(?:epoch|iteration|iter)\b\D{0,4}(\d+)", re.IGNORECASE)
FEWEST_LINES = 2  # of a log


@dataclass(frozen=True)
class History:
    """The training loss and, where there is one, the loss of what was held out, with the names of their columns."""

    losses: Array
    validation: Array
    loss_name: str = ""
    validation_name: str = ""
    others: tuple[str, ...] = ()

    @property
    def sentence(self) -> str:
        """Which column was taken as what; "" where there was nothing to choose."""
        if not self.loss_name:
            return ""
        text = f"Read: {self.loss_name} as the training loss"
        text += f", {self.validation_name} as the validation loss" if self.validation_name else ""
        return text + (f" (not looked at: {', '.join(self.others)})." if self.others else ".")


def plain(name: str) -> str:
    """A name of a column as it is compared: "Train/Loss" is train_loss."""
    return re.sub(r"[^a-z0-9]+", "_", str(name).strip().lower()).strip("_")


def history_of(columns: Mapping[str, Sequence[Any]]) -> History:
    """Columns by name as a History. Errors: SettingError where none, or more than one, may be the training loss."""
    made = {name: numbers(name, values) for name, values in columns.items()}
    losses = [name for name in made if is_loss(name)]
    training = [name for name in losses if not HELD_OUT.search(plain(name))]
    held_out = [name for name in losses if name not in training]
    taken = choose_name(training, made)
    if taken is None:
        raise SettingError(question(list(columns), training, held_out))
    other = choose_name([name for name in held_out if kind(name) == kind(taken)] or held_out, made)
    if other is None and "validation_curve" in made and made["validation_curve"].size:
        other = "validation_curve"
    used = {taken, other}
    rest = tuple(name for name in made if name not in used and plain(name) not in COUNTERS)
    return History(made[taken], made[other] if other else np.empty(0), taken, other or "", rest)


COUNTERS = ("epoch", "epochs", "step", "steps", "iteration", "time", "index", "", "unnamed_0")


def is_loss(name: str) -> bool:
    short = plain(name)
    return bool(LOSS.search(short)) or short in BEST


def kind(name: str) -> str:
    """A name without what says whose it is: train_loss_epoch and val_loss_epoch are of one kind."""
    return re.sub(r"(^|_)(train|training|val|valid|validation|test|eval|epoch)(?=_|$)", "", plain(name)).strip("_")


def choose_name(names: list[str], made: Mapping[str, Array]) -> str | None:
    """The one name that is meant: a usual one, or the only one; by epochs rather than by steps."""
    names = [name for name in names if made[name].size]
    for usual in BEST:
        for name in names:
            if plain(name) == usual:
                return name
    whole = [name for name in names if not plain(name).endswith("_step")] or names
    return whole[0] if len(whole) == 1 or len({kind(name) for name in whole}) == 1 else None


def question(names: list[str], training: list[str], held_out: list[str]) -> str:
    """What is asked back where the training loss cannot be told."""
    if len(training) > 1:
        return f"which is the training loss: {', '.join(training)}? Name that column loss, or leave the others out"
    if held_out:
        return f"there is no training loss beside {', '.join(held_out)}: name its column loss"
    return f"no column of a loss (loss_curve, losses, loss, train_loss); it has: {', '.join(names) or 'nothing'}"


def numbers(name: str, values: ArrayLike) -> Array:
    """A column without its blank cells, which other measurements stand beside."""
    if isinstance(values, Mapping):  # pandas: by the number of the row
        values = list(values.values())
    if isinstance(values, (str, bytes)) or not isinstance(values, Iterable):
        return np.empty(0)
    found = [x for x in values if not is_blank(x)]
    try:
        return np.array([float(x) for x in found], dtype=float)
    except (TypeError, ValueError):
        return np.empty(0)


def is_blank(x: ArrayLike) -> bool:
    return x is None or (isinstance(x, str) and not x.strip())


# Records of JSON


def columns_of(record: Any) -> Columns | None:
    """The columns in a record of JSON, in each form that tools give them; None where it is none of these."""
    if isinstance(record, Mapping):
        for inner in ("history", "metrics", "log_history", "logs"):
            if isinstance(record.get(inner), (Mapping, list)) and columns_of(record[inner]):
                return columns_of(record[inner])
        if {"columns", "data"} <= set(record) and isinstance(record["data"], list):  # pandas, orient="split"
            return {str(name): [row[i] for row in record["data"]] for i, name in enumerate(record["columns"])}
        rows = [x for x in record.values() if isinstance(x, Mapping)]
        if rows and all(str(key).isdigit() for key in record) and len(rows) == len(record):  # orient="index"
            return columns_of(rows)
        return {str(k): v for k, v in record.items() if isinstance(v, (list, Mapping, np.ndarray, tuple))}
    if isinstance(record, list) and record and all(isinstance(row, Mapping) for row in record):
        names = dict.fromkeys(str(name) for row in record for name in row)
        return {name: [row.get(name) for row in record] for name in names}
    return None


# Logs


def columns_of_log(text: str) -> Columns | None:
    """The numbers that a console log names, one for each epoch; None where it names none.

    >>> columns_of_log("Epoch 1/2\\n9/9 - loss: 0.7 - val_loss: 0.8\\nEpoch 2/2\\n9/9 - loss: 0.5 - val_loss: 0.6")
    {'loss': [0.7, 0.5], 'val_loss': [0.8, 0.6]}
    """
    if (rows := table_of_log(text)) is not None:
        return rows
    epochs: dict[Any, dict[str, float]] = {}
    here: Any = None
    for number, line in enumerate(re.split(r"[\r\n]+", text)):
        heading = EPOCH.search(line)
        here = heading[1] if heading else here
        found = {plain(m["name"]): float(m["number"]) for m in ENTRY.finditer(line) if plain(m["name"]) not in COUNTERS}
        if found:  # of several lines of an epoch the last one holds its means
            epochs.setdefault(here if here is not None else number, {}).update(found)
    names = dict.fromkeys(name for row in epochs.values() for name in row)
    columns = {name: [row[name] for row in epochs.values() if name in row] for name in names}
    return columns if any(is_loss(name) and len(x) >= FEWEST_LINES for name, x in columns.items()) else None


def table_of_log(text: str) -> Columns | None:
    """A table whose columns stand apart by blanks, as fastai prints it."""
    lines = [re.split(r"\s*\|\s*|\s+", line.strip().strip("|").strip()) for line in text.splitlines() if line.strip()]
    heads = [
        i
        for i, row in enumerate(lines)
        if len(row) > 1 and sum(is_loss(name) for name in row) and not any(map(is_number, row))
    ]
    if not heads:
        return None
    names = lines[heads[0]]
    rows = [row for row in lines[heads[0] + 1 :] if len(row) == len(names) and is_number(row[0])]
    if len(rows) < FEWEST_LINES:
        return None
    return {name: [float(row[i]) for row in rows if is_number(row[i])] for i, name in enumerate(names)}


def is_number(entry: str) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return True
