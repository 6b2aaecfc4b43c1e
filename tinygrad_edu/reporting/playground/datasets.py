"""The data of the playground: made by `tg.data`, or the user's own; each with the Python that gives the same arrays."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu import data
from tinygrad_edu.charts.text import clean
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.data.arguments import even_array
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError
from tinygrad_edu.reporting.playground.kernels import WIDEST

Array = np.ndarray[Any, Any]
MOST_SAMPLES, MOST_CLASSES = 5000, 8  # limits for a quick page, and for colours that can be told apart
FEW = 20  # integer targets with at most this many values, each seen more than once, are taken for classes
# (title on the page, function of tg.data, its settings)
MADE: tuple[tuple[str, str, Mapping[str, Any]], ...] = (
    ("Circles", "circles", {"samples": 300, "noise": 0.1}),
    ("Exclusive or", "quadrants", {"samples": 300}),
    ("Moons", "moons", {"samples": 300, "noise": 0.15}),
    ("Two spirals", "spirals", {"samples": 300, "arms": 2, "turns": 1.0}),
    ("Two clouds", "blobs", {"samples": 200, "centers": 2, "spread": 2.0, "seed": 3}),
    ("Three spirals", "spirals", {"samples": 300, "arms": 3}),
    ("Four clouds", "blobs", {"samples": 300, "centers": 4, "spread": 1.5, "seed": 4}),
    ("Iris: 4 features, 3 species", "iris", {}),
    ("Plane (numbers)", "plane", {"samples": 200}),
    ("Hills and hollows (numbers)", "bumps", {"samples": 300}),
    ("Sine (one feature, numbers)", "sine", {"samples": 100}),
)
WIDE = ("blobs", "iris")  # features far outside 0 to 1: standardized from the start


@dataclass(frozen=True)
class Dataset:
    """Samples, and what there is to learn: numbers, or classes by their number and their names.

    program: the lines of Python that give X and y; scaled: is it standardized at the start?
    """

    title: str
    X: Array
    y: Array
    classes: tuple[str, ...]
    program: tuple[str, ...]
    scaled: bool

    def facts(self) -> dict[str, Any]:
        """The data for the page: X as it is and standardized, targets in one column."""
        scaled, _ = data.standardize(self.X)
        return {
            "title": self.title, "features": self.X.shape[1], "X": self.X.ravel().tolist(),
            "scaled": scaled.ravel().tolist(), "y": self.y.ravel().tolist(), "classes": list(self.classes),
            "program": list(self.program), "startScaled": self.scaled,
        }  # fmt: skip


def make_data() -> Iterator[Dataset]:
    """The data sets of `tg.data`."""
    for title, name, settings in MADE:
        X, y = getattr(data, name)(**settings)
        arguments = ", ".join(f"{key}={value!r}" for key, value in settings.items())
        yield dataset(title, X, y, (f"X, y = tg.data.{name}({arguments})",), scaled=name in WIDE)


def own_data(X: Samples, y: Samples, program: tuple[str, ...] = (), title: str = "Your data") -> Dataset:
    """The user's arrays. Errors: ShapeError, DtypeError, SettingError for what the page cannot show."""
    inputs, targets = even_array("X", X), even_array("y", y)
    if inputs.ndim == 1:
        inputs = inputs[:, None]
    if inputs.ndim != 2 or inputs.dtype.kind not in "fiub":
        what = f"shape {inputs.shape}" if inputs.ndim != 2 else f"{inputs.dtype}"
        raise (ShapeError if inputs.ndim != 2 else DtypeError)(f"X has {what}: numbers (samples, features) are needed")
    if targets.size != len(inputs) or targets.ndim > 2:
        raise ShapeError(f"y has shape {targets.shape}: one target for each of the {len(inputs)} samples is needed")
    limits = {"samples": (len(inputs), MOST_SAMPLES), "features": (inputs.shape[1], WIDEST)}
    for name, (count, most) in limits.items():
        if not 1 <= count <= most:
            raise SettingError(
                f"the playground takes 1 to {most:,} {name}, and X has {count:,}: give it a part of them"
            )
    if not np.isfinite(inputs.astype(float)).all() or (targets.dtype.kind == "f" and not np.isfinite(targets).all()):
        raise SettingError("X or y holds NaN or infinity: remove or replace these samples")
    lines = program or ("X, y = ...  # the arrays that tg.playground was given",)
    return dataset(clean(title, 60), inputs.astype(float), targets, lines, scaled=True)


def dataset(title: str, X: Array, y: Array, program: tuple[str, ...], scaled: bool) -> Dataset:
    """With its targets as class numbers or as numbers."""
    flat = np.ravel(y)
    names, numbers = classes_in(flat)
    if not is_classes(flat, names):
        if flat.dtype.kind not in "fiub":
            raise DtypeError(f"y holds {flat.dtype} of {len(names)} kinds: numbers, or 2 to {MOST_CLASSES} classes")
        return Dataset(title, X, flat.astype(float), (), program, scaled)
    if not 2 <= len(names) <= MOST_CLASSES:
        raise SettingError(f"y has {len(names)} classes: the playground shows 2 to {MOST_CLASSES}")
    told = tuple(clean(f"{x:.15g}" if isinstance(x, float) else str(x), 30) for x in names.tolist())
    return Dataset(title, X, numbers.astype(float), told, program, scaled)


def classes_in(flat: Array) -> tuple[Array, Array]:
    """(the different targets in order, the place among them of each). Errors: DtypeError for mixed types."""
    try:
        return np.unique(flat, return_inverse=True)
    except TypeError:
        kinds = " and ".join(sorted({type(x).__name__ for x in flat.tolist()}))
        raise DtypeError(f"y mixes {kinds}: numbers, or 2 to {MOST_CLASSES} classes of one type are needed") from None


def is_classes(flat: Array, names: Array) -> bool:
    """Texts and booleans; whole numbers of few values, each seen more than once."""
    if flat.dtype.kind not in "fiu":
        return True
    few = 2 <= len(names) <= min(FEW, len(flat) // 2)
    return bool(few and np.all(names == np.round(names)))
