"""What a console has shown of a training, as columns by name: progress bars, prints of each epoch, tables by blanks."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from tinygrad_edu.clinic.diagnosis.histories import COUNTERS, HELD_OUT, Columns, comparable, is_blank, is_loss

Cells = list[str]
SETS = r"train(?:ing)?|val(?:id(?:ation)?)?|test(?:ing)?|eval(?:uation)?|dev|learn"
AVERAGES = r"time|avg\.?|average|mean|mini-?batch|running|total|epoch"
METRICS = r"loss|acc(?:uracy)?|error|mse|mae|score|lr|rate"
ENTRY = re.compile(
    rf"(?P<name>(?<![\w./])(?:(?:{SETS}|{AVERAGES})(?:'s)?[ _/.-])*[a-z]\w*(?:[/.-][^\Wa-z]*[a-z]\w*)*"
    rf"(?:'s \w+)?(?:[ _/.-]?(?:{METRICS}))?)[\"']?(?:\s*(?:=|:|\bis\b)\s*|(?<=loss)\s+(?=[-+]?\d+\.\d))"
    r"(?P<number>[-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?|nan|[-+]?inf)\b(?!\s*/\s*\d)",
    re.IGNORECASE,
)
EPOCH = re.compile(r"(?<![\w/])(?:epoch|iteration|iter)\b\D{0,4}(\d+)", re.IGNORECASE)
BOOSTED = re.compile(r"^\s*(?:\[(\d+)\]|(\d+):)\s")  # line prefix of a round in XGBoost, LightGBM or CatBoost
# name of a data set that is not part of a path
SET = re.compile(rf"(?<![\w./\\-])(?P<set>{SETS})(?![\w/\\]|\.\w)", re.IGNORECASE)
# a heading such as "Test Error:", for the next line
HEAD = re.compile(rf"^\W*(?P<set>{SETS})\b[^:=]{{0,12}}:\s*$", re.IGNORECASE)
# lines of R's nnet
OF_R = re.compile(r"^(?:initial|final|iter\s+\d+)\s+value\s+(?P<number>[-+]?\d+\.?\d*(?:e[-+]?\d+)?)\s*$")
# colour codes, window titles, and characters that were overwritten
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b\][^\x07]*\x07|\x08")
FEWEST_LINES = 2  # lines needed for a log


def lines_of(text: str) -> list[str]:
    """The lines of a log; a bar that was drawn again and again in one line gives a line for each time."""
    return re.split(r"[\r\n]+", ESCAPES.sub("", text))


def columns_of_log(text: str) -> Columns | None:
    """The numbers that a console log names, one for each epoch; None where it names none.

    >>> columns_of_log("Epoch 1/2\\n9/9 - loss: 0.7 - val_loss: 0.8\\nEpoch 2/2\\n9/9 - loss: 0.5 - val_loss: 0.6")
    {'loss': [0.7, 0.5], 'val_loss': [0.8, 0.6]}
    """
    lines = lines_of(text)
    return table_of_log(lines) or pairs_in_lines(lines)


def pairs_in_lines(lines: Iterable[str]) -> Columns | None:
    """The columns of a log whose lines hold pairs of a name and a number."""
    epochs: dict[int | str, dict[str, float]] = {}
    here: str | None = None
    for number, (line, set_name) in enumerate(with_heads(lines)):
        heading = EPOCH.search(line) or BOOSTED.search(line)
        here = next(filter(None, heading.groups()), here) if heading else here
        if found := dict(names_and_numbers(line, set_name)):  # of several lines per epoch the last one holds the means
            epochs.setdefault(number if here is None else here, {}).update(found)
    names = dict.fromkeys(name for row in epochs.values() for name in row)
    columns = {name: [row[name] for row in epochs.values() if name in row] for name in names}
    return columns if any(len(x) >= FEWEST_LINES for x in columns.values()) else None


def with_heads(lines: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(line, the set of samples that a line like "Test Error:" above it names)."""
    head = ""
    for line in lines:
        yield line, head
        found = HEAD.match(line)
        head = found["set"] if found else ""


def names_and_numbers(line: str, head: str) -> Iterator[tuple[str, float]]:
    """(name, number) of each entry; one that does not say of which samples it is, is of those named before it."""
    if value := OF_R.match(line):
        yield "loss", float(value["number"])
    for m in ENTRY.finditer(line):
        name, sets = comparable(m["name"]), [head, *(x["set"] for x in SET.finditer(line[: m.start()]))]
        named = bool(re.match(rf"({SETS})(_|$)", name))
        held_out = HELD_OUT.match(comparable(sets[-1])) is not None
        if name not in COUNTERS:
            yield f"{comparable(sets[-1])}_{name}" if held_out and not named else name, float(m["number"])


# tables


def by_bars(line: str) -> Cells:
    return re.split(r"\s*\|\s*", line.strip().strip("|").strip())


SPLITS: tuple[Callable[[str], Cells], ...] = (  # ways to split a line into cells, the most certain first
    lambda line: by_bars(line) if "|" in line else [],
    lambda line: [cell.strip() for cell in line.split("\t")],
    lambda line: re.split(r"\s{2,}", line.strip()),
    lambda line: re.split(r"\s*\|\s*|\s+", line.strip().strip("|").strip()),
)


def table_of_log(lines: Iterable[str]) -> Columns | None:
    """A table with columns separated by blanks or bars, as printed by fastai, pandas, Matlab and Markdown."""
    filled = [line for line in lines if line.strip()]
    return next(filter(None, (table_by(split, filled) for split in SPLITS)), None)


def table_by(split: Callable[[str], Cells], lines: Iterable[str]) -> Columns | None:
    rows = [split(line) for line in lines]
    heads = (
        i for i, row in enumerate(rows) if len(row) > 1 and any(map(is_loss, row)) and not any(map(is_number, row))
    )
    start = next(heads, None)
    if start is None:
        return None
    names = make_names_unique(rows[start], rows[start - 1] if start else [])
    wide = [row for row in rows[start + 1 :] if len(row) in (len(names), len(names) + 1) and is_number(row[0])]
    widths = {len(row) for row in wide}
    if len(wide) < FEWEST_LINES or len(widths) > 1:
        return None
    first = widths.pop() - len(names)  # pandas prints a column of row numbers without a name
    columns = {name: [row[i + first] for row in wide] for i, name in enumerate(names)}
    found = {name: [float(x) for x in cells if is_number(x)] for name, cells in columns.items()}
    whole = [name for name in names if all(is_number(x) or is_blank(x) for x in columns[name])]
    return found if any(is_loss(name) and found[name] for name in whole) else None


def make_names_unique(names: Cells, above: Cells) -> Cells:
    """Unique column names; equal ones get the heading above them as a prefix, as Matlab's "Validation" above "Loss"."""
    if len(set(names)) == len(names) or len(above) != len(names):
        return names
    return [f"{first} {name}".strip() for first, name in zip(above, names, strict=True)]


def is_number(entry: str) -> bool:
    try:
        float(entry)
    except ValueError:
        return False
    return True
