"""What a model makes of samples: the class or the number that it answers, beside the target."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.nn.losses import Loss
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.sequence import without_state
from tinygrad_edu.reporting.record import ReportedRun
from tinygrad_edu.reporting.tables import figure
from tinygrad_edu.train.own_code import for_own_code

Array = np.ndarray[Any, Any]
MOST_POINTS = 400  # samples drawn
# how a loss of two classes codes them, for data with samples of one class only
LEVELS = {**dict.fromkeys(("bce", "bce_with_logits", "delta_rule"), (0.0, 1.0)), "hinge": (-1.0, 1.0)}


@dataclass(frozen=True)
class Answer:
    """The model's answers to the samples: class indices if `classes` names them, else one number each.

    link: from an output to the unit of the targets, such as "sigmoid" where the loss takes logits. threshold: between
    the scores of two classes. own_loss: is the loss a function of the user's, of which no link is known? unit: of
    numbers, where it is not that of the user's.
    """

    target: Array
    given: Array
    classes: tuple[float, ...] = ()
    threshold: float = 0.0
    labels: tuple[str, ...] = ()  # names of the classes, if they are more than numbers
    link: str = "identity"
    logits: bool = False
    own_loss: bool = False
    unit: str = ""

    @property
    def names(self) -> tuple[str, ...]:
        return self.labels if len(self.labels) == len(self.classes) else tuple(f"{name:.15g}" for name in self.classes)

    @property
    def right(self) -> Array:
        return np.asarray(self.target == self.given)

    @property
    def words(self) -> str:
        if self.classes:
            judged = np.isin(self.target, self.classes)  # others, such as an ignored index, are not classes
            above = f" (a number above {figure(self.threshold)} counts as class {self.names[-1]})"
            side = above if self.own_loss else ""
            return f"{int(self.right[judged].sum())} of {int(judged.sum())} samples are on the right side{side}."
        error = float(np.sqrt(np.mean((self.target - self.given) ** 2)))
        amount = f"{len(self.target)} sample{'s' * (len(self.target) != 1)}"
        return f"The answers are off by {figure(error)} (root mean square over {amount}{self.unit})."

    def in_unit(self, outputs: Array) -> Array:
        """Outputs (samples, outputs) in the unit of the targets (samples,): of several, the class of the largest."""
        if outputs.shape[1] > 1:
            return np.asarray(outputs.argmax(axis=1))
        return np.asarray(find_activation(self.link)(outputs[:, 0]))

    def scores(self, outputs: Array) -> Array:
        """What the threshold divides, or the numbers that are answered."""
        return outputs if self.logits else np.asarray(find_activation(self.link)(outputs))


def answers_of(record: ReportedRun, X: Array) -> Array:
    """The outputs for samples, (samples, outputs), of a network or of any other estimator."""
    if record.outputs is not None:
        with np.errstate(all="ignore"):
            return np.asarray(record.outputs(X), dtype=float).reshape(len(X), -1)
    assert record.model is not None
    return predict(record.model, X)


def choose_samples(count: int) -> Array:
    """The samples that are drawn: all, or MOST_POINTS evenly chosen."""
    return np.unique(np.linspace(0, count - 1, min(count, MOST_POINTS)).astype(int))


def limits_around(X: Array, share: float) -> tuple[Array, Array]:
    """(lowest, highest) of each input, a share of its spread wider; of one that never changes far enough to be read.

    >>> limits_around(np.array([[3.0, 0.0], [3.0, 10.0]]), 0.1)
    (array([ 2., -1.]), array([ 4., 11.]))
    """
    low, high = X.min(axis=0), X.max(axis=0)
    size = np.maximum(np.abs(low), np.abs(high))
    same = high - low <= 1e-6 * size  # rounding noise: all numbers on the axis would look the same
    room = np.where(same, np.maximum(1.0, 0.1 * size), share * (high - low))
    return low - room, high + room


def predict(model: Module, X: Array) -> Array:
    """The outputs as plain numbers, (samples, outputs), in eval mode."""
    with modes_kept(model), no_grad(), np.errstate(all="ignore"):
        output = without_state(model, model.eval()(*for_own_code(model, None, X)))
    if isinstance(output, Tensor):
        return np.asarray(output.array, dtype=float).reshape(len(X), -1)
    return np.array([float(v.data) for v in np.ravel(output)]).reshape(len(X), -1)


def answer(record: ReportedRun, outputs: Array, y: Array) -> Answer | None:
    """Classes or numbers, whichever the targets are."""
    if outputs.shape[1] > 1 or (record.outputs is not None and record.classes and y.ndim == 1):
        if y.ndim == 1:
            target = y
        elif (
            not record.numbers
            and y.shape == outputs.shape
            and np.isin(y, (0.0, 1.0)).all()
            and (y.sum(axis=1) == 1.0).all()
        ):
            target = y.argmax(axis=1)
        else:
            return None
        classes = tuple(float(c) for c in range(outputs.shape[1]))
        given = np.where(np.isnan(outputs).any(axis=1), np.nan, outputs.argmax(axis=1))
        return Answer(target, given, classes, labels=record.classes)
    flat = np.ravel(y)
    if flat.shape != (len(outputs),):
        return None
    loss = record.loss if isinstance(record.loss, Loss) else None
    link, levels = loss.link if loss else "identity", levels_of(record, flat)
    if levels is None:
        numbers = Answer(flat, outputs[:, 0], link=link, unit=record.unit)
        return replace(numbers, given=numbers.in_unit(outputs))
    logits = bool(loss and loss.for_classes and link != "identity")
    threshold = 0.0 if logits else float(np.mean(levels))
    found = Answer(
        flat, flat, (float(levels[0]), float(levels[1])), threshold, record.classes, link, logits, own_loss=loss is None
    )
    scores = found.scores(outputs[:, 0])
    return replace(found, given=np.where(np.isfinite(scores), levels[(scores > threshold).astype(int)], np.nan))


def levels_of(record: ReportedRun, y: Array) -> Array | None:
    """The two levels of the targets; None where they are numbers.

    Those of the training decide: few samples that are held out can have one level, or by chance two different numbers.
    """
    if record.numbers:
        return None
    data = record.run.job.data if record.run.job is not None else record.data
    trained = y if data is None else np.ravel(data[1])
    levels: Array = np.unique(np.concatenate([trained, y]))
    coded = LEVELS.get(getattr(record.loss, "name", ""))
    if len(levels) == 1 and coded is not None and np.isin(levels, coded).all():
        levels = np.array(coded)
    return levels if len(levels) == 2 else None
