"""What an animation shows of a network at one epoch: its answers over the inputs, its weights, its gradients."""

from __future__ import annotations

import base64
import copy
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Model
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.draw.network import chain_for
from tinygrad_edu.draw.stages import say_what_is_shown
from tinygrad_edu.errors import DrawError, TinygradError
from tinygrad_edu.reporting.answers import Answer, answer, choose_samples, limits_around, predict
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.train.histograms import evaluation_mode, layer_name, rows_to_measure
from tinygrad_edu.train.own_code import for_own_code

Array = np.ndarray[Any, Any]
SIDE, SIDE_OF_VALUES = 48, 16  # cells along a side of the plane; for a model of Values each takes 0.1 ms
POINTS = 121  # points along the axis of a single input
MOST_WEIGHTS = 20_000  # weights drawn, over all layers
CLASSES, LEVELS = 120, 32  # a byte holds up to 120 classes, or 32 levels of certainty for each of a few classes
WHOLE = 127


@dataclass(frozen=True)
class Ground:
    """Where the network is asked: `kind` "plane", "line", or "" with the reason in `why`; `inputs` (points, features).

    `found`: targets, and classes where there are some; `limits`: (low, high) of each input; `sizes`: of the targets,
    for what is neither a class.
    """

    kind: str
    inputs: Array
    limits: tuple[tuple[float, float], ...] = ()
    found: Answer | None = None
    why: str = ""
    samples: Array | None = None
    side: int = 0


def ground_of(record: ReportedRun) -> Ground:
    """The plane of two inputs or the line of one, a little wider than the samples."""
    model, data = record.model, record.data
    nothing = np.empty((0, 0))
    if data is None:
        return Ground("", nothing, why="The data of this run is not known: tg.animate(run, X, y) has it.")
    X, y = data
    if X.ndim != 2 or X.shape[1] > 2 or X.dtype.kind != "f":
        return Ground("", nothing, why=f"Each sample has the shape {X.shape[1:]}; a picture needs one number or two.")
    chosen = choose_samples(len(X))
    found = answer(record, predict(model, X[chosen]), y[chosen])
    if found is None:
        return Ground("", nothing, why=f"The targets have the shape {y.shape[1:]}: one number or class is needed.")
    low, high = limits_around(X, 0.05 if X.shape[1] == 1 else 0.08)
    limits = tuple(zip(low.tolist(), high.tolist(), strict=True))
    if X.shape[1] == 1:
        return Ground("line", np.linspace(low, high, POINTS).astype(X.dtype), limits, found, samples=X[chosen])
    side = SIDE if isinstance(model.parameters()[0], Tensor) else SIDE_OF_VALUES
    # `up` falls, because the first row is at the top
    across, up = np.linspace(low[0], high[0], side), np.linspace(high[1], low[1], side)
    grid = np.stack([g.ravel() for g in np.meshgrid(across, up)], axis=1).astype(X.dtype)
    return Ground("plane", grid, limits, found, samples=X[chosen], side=side)


def cells(ground: Ground, outputs: Array) -> str | list[float | None]:
    """The answers over the ground as text: bytes of the plane's cells, in base64, or the numbers along the line.

    A cell is 0 to 254 between one class and the other, or between the lowest and the highest target, 127 in the middle
    and 255 for NaN; of more than two classes, levels · class + how sure it is, from 0 to levels - 1.
    """
    found = ground.found
    assert found is not None
    if ground.kind == "line":
        return rounded(found.in_unit(outputs))
    with np.errstate(all="ignore"):
        if outputs.shape[1] > 1:
            levels = levels_of(outputs.shape[1])
            packed = sureness(outputs, levels) + levels * (outputs.argmax(axis=1) % CLASSES).astype(np.float64)
        else:
            middle, reach = middle_and_reach(found)
            packed = WHOLE + WHOLE * np.clip((found.scores(outputs[:, 0]) - middle) / reach, -1.0, 1.0)
    packed = np.where(np.isfinite(outputs).all(axis=1), packed.round(), 255)
    return base64.b64encode(packed.astype(np.uint8).tobytes()).decode()


def levels_of(classes: int) -> int:
    """How many degrees of sureness a byte holds beside the class.

    >>> levels_of(3), levels_of(12)
    (32, 21)
    """
    return min(LEVELS, 255 // min(classes, CLASSES))


def sureness(outputs: Array, levels: int) -> Array:
    """From 0 to levels - 1, by the softmax of the two largest: two classes that are as likely give 0."""
    best, second = -np.sort(-outputs, axis=1)[:, :2].T
    return np.asarray(np.floor((levels - 1) * np.tanh((best - second) / 2.0)))


def middle_and_reach(found: Answer) -> tuple[float, float]:
    """The middle between two classes, and its distance to one of them; for regression, half of the range."""
    if found.classes:
        low, high = found.classes
        reach = 4.0 if found.logits and low == 0.0 else (high - low) / 2.0  # log-odds of 4 mean 98%
        return found.threshold, reach
    low, high = float(found.target.min()), float(found.target.max())
    return (low + high) / 2.0, (high - low) / 2.0 or 1.0


def points_of(ground: Ground) -> list[list[float | None]]:
    """The samples: [input 1, input 2 or target, class or share of the range of targets]."""
    if ground.samples is None or ground.found is None:
        return []
    found, X = ground.found, ground.samples
    if found.classes:
        colour = np.searchsorted(np.array(found.classes), found.target).astype(float)
    else:
        middle, reach = middle_and_reach(found)
        colour = (found.target - middle) / reach
    second = found.target if ground.kind == "line" else X[:, 1]
    return [rounded(point) for point in np.column_stack([X[:, 0], second, colour]).astype(float)]


def chain(model: Model, inputs: Array | None) -> dict[str, Any] | str:
    """Widths and captions of the network picture, and what of a layer it shows; a sentence where there is none."""
    try:
        found = chain_for(model, inputs, "weight")
    except DrawError:
        return f"No picture of the weights: the layers of {type(model).__name__} do not stand one behind the other."
    if sum(matrix.size for matrix in found.edges) > MOST_WEIGHTS:
        return f"The network has more than {MOST_WEIGHTS:,} weights: too many to draw."
    return {"widths": list(found.widths), "captions": list(found.captions), "shown": say_what_is_shown(model)}


class Camera:
    """Takes a frame of the model for each state of its weights."""

    def __init__(self, record: ReportedRun) -> None:
        self.model = copy.deepcopy(record.model)
        self.record = ReportedRun(record.run, record.data, record.loss, None, weights=record.weights)
        self.ground = ground_of(record)
        self.inputs = None if record.data is None else record.data[0]
        self.chain = chain(record.model, self.inputs)
        self.rows = rows_to_measure(record.model, record.data[0]) if record.data is not None else np.empty(0, dtype=int)

    def frame(self, epoch: int, state: Mapping[str, Array]) -> dict[str, Any]:
        """Epoch, cells over the inputs, weights by layer, and the length of the gradient by layer."""
        self.model.load_state_dict(state)
        made: dict[str, Any] = {"epoch": epoch, "gradients": self.gradients()}
        if self.ground.kind:
            made["cells"] = cells(self.ground, predict(self.model, self.ground.inputs))
        if not isinstance(self.chain, str):
            matrices = chain_for(self.model, self.inputs, "weight").edges
            made["weights"] = [[significant(w) for w in np.ravel(matrix)] for matrix in matrices]
        return made

    def gradients(self) -> dict[str, float | None]:
        """The size of each layer's gradient, on up to 256 samples in eval mode; {} if the loss cannot be computed."""
        if not self.record.measurable or self.record.data is None:
            return {}
        X = self.record.data[0][self.rows]
        squares: dict[str, float] = {}
        try:
            with evaluation_mode(self.model), np.errstate(all="ignore"):
                self.record.loss_at(self.model(*for_own_code(self.model, None, X)), self.rows).backward()
                for name, gradient in self.model.gradients().items():
                    layer = layer_name(name, self.model)
                    squares[layer] = squares.get(layer, 0.0) + float(np.sum(np.asarray(gradient, dtype=float) ** 2))
        except TinygradError:
            return {}
        return {layer: significant(np.sqrt(square)) for layer, square in squares.items()}


def rounded(numbers: Array) -> list[float | None]:
    """Seven digits of each number, however small they all are; None for NaN and infinity.

    >>> rounded(np.array([1.23456789e-8, np.nan]))
    [1.234568e-08, None]
    """
    return [float(f"{x:.7g}") if np.isfinite(x) else None for x in numbers.tolist()]


def significant(x: ArrayLike) -> float | None:
    """Four digits; None for NaN and infinity, which JSON has not."""
    return float(f"{x:.4g}") if np.isfinite(x) else None
