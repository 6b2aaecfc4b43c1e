"""`tg.playground`: one page in which a network is built, trained and looked at, without Python."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np

from tinygrad_edu.clinic.diagnosis import data_files, files
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop import javascript
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.reporting.live_page import Page, asset, write_page
from tinygrad_edu.reporting.playground.datasets import Dataset, make_data, own_data
from tinygrad_edu.reporting.playground.kernels import WIDEST, all_kernels

WHOLE = ("steps", "every", "samples", "batch_size")  # settings that are integers
USUAL = ("tanh", "relu", "sigmoid", "leaky_relu", "elu", "gelu", "silu", "softplus", "identity", "softmax")
LEAD = (
    "Choose data, build a network, and press Play. It is trained in this page, by the loops that tinygrad_edu "
    "compiles, and the program below gives the same numbers in Python."
)


@check_arguments
def playground(
    X: Samples = None,
    y: Samples = None,
    *,
    path: str | os.PathLike[str] | None = None,
    title: str = "Playground",
) -> Page:
    """Make a page in which you build a small network, train it and watch it, in the spirit of TensorFlow Playground.

    Layers, units, activations, losses, optimizers, learning rates and their schedules, batches and seeds are chosen in
    the page, which trains by functions that the compiler makes of the library's own table, written in JavaScript. It
    exports the Python that gives the same losses. One file; nothing is loaded, and nothing leaves it.

    X: inputs of your own, (samples, features), up to 5,000 samples and 16 features, beside the page's own data sets.
    y: their targets: a number for each sample, or 2 to 8 classes; given together with X.
    path: where to write the page now; `.save(path)` of the result writes it later.
    title: the heading of the page.
    Errors: ShapeError, DtypeError, SettingError for data that the page cannot show.

    >>> from tinygrad_edu.data import moons
    >>> playground(*moons(50))
    <Playground with 12 data sets: .save("page.html") writes it>
    """
    if (X is None) != (y is None):
        raise SettingError(f"playground({'X' if y is None else 'y'}) only: give both X and y, or neither")
    own = [] if X is None else [own_data(X, y)]
    return write_playground(own, path, title)


def write_playground(own: list[Dataset], path: str | os.PathLike[str] | None, title: str) -> Page:
    """The page with these data sets before those that are made."""
    text, known = all_kernels()
    datasets = [*own, *make_data()]
    facts = {**known, "mlp": list(known["activations"]), "whole": WHOLE}
    shown = [each.facts() for each in datasets]
    data = {"known": facts, "usual": USUAL, "widest": WIDEST, "datasets": shown}
    own_scripts = ["trainer.js", "plots.js", "pictures.js", "python.js", "checks.js", "csv.js", "playground.js"]
    scripts = [text, javascript.asset("random.js"), *own_scripts]
    page = Page(
        write_page(title or "Playground", LEAD, asset("playground.html"), scripts, data),
        f"Playground with {len(datasets)} data sets",
    )
    if path is not None:
        page.save(path)
    return page


def from_csv(file: Path) -> Dataset:
    """A CSV file whose last column is the target: numbers, or names of classes. Errors: InputFileError."""
    table = data_files.read_table(file)
    X, y = data_files.arrays_of(file, table, np.array(["text"]))
    targets = [files.as_number(entry) for entry in y]
    known = y if any(target is None for target in targets) else np.array(targets, dtype=float)
    first = files.read_text(file).lstrip().partition("\n")[0]
    delimiter = max(",;\t", key=first.count)
    kind = "" if known.dtype.kind == "U" else ".astype(float)"
    program = (
        "import csv", "",
        f'with open({json.dumps(file.name)}, newline="", encoding="utf-8-sig") as file:',
        f'    rows = [row for row in csv.reader(file, delimiter={json.dumps(delimiter)}) if "".join(row).strip()]'
        + "[1:]" * table.header,
        f"X = np.array([row[{'1' * table.numbered}:-1] for row in rows], dtype=float)",
        f"y = np.array([row[-1].strip() for row in rows]){kind}",
    )  # fmt: skip
    return own_data(X, known, program, file.name)
