"""What a report is made from: a Run, and what is known of its data, its loss and its layers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.errors import NameNotFoundError, OperandError, SettingError
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.module import Module
from tinygrad_edu.train import Histograms, Run
from tinygrad_edu.train.own_code import for_own_code
from tinygrad_edu.train.samples import as_classes, output_shape, samples_and_targets

Array = np.ndarray[Any, Any]


def refuse_model(function: str, x: object) -> None:
    """Errors: OperandError for a network in place of its run.

    >>> from tinygrad_edu import nn
    >>> refuse_model("report", nn.MLP([2, 1]))
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.OperandError: report takes the run, not the model alone: report(tg.fit(model, X, y, ...))
    """
    if isinstance(x, Module):
        raise OperandError(f"{function} takes the run, not the model alone: {function}(tg.fit(model, X, y, ...))")


@dataclass(frozen=True)
class ReportedRun:
    """A run; `data` (X, y), `loss` as a function, and `histograms` are None where they are not known.

    held_out: samples that were not trained on. classes: their names, where they are not their numbers. outputs: what
    answers in place of a network. scores: of held-out samples after each epoch. program: Python that makes it.
    numbers: are the targets known to be numbers, or several labels, and not one class each? unit: of the targets, in
    words, where they are scaled.
    weights: of the samples in the loss. moved: has the model other weights than those with which the run ended?
    """

    run: Run
    data: tuple[Array, Array] | None
    loss: Any
    histograms: Histograms | None
    held_out: tuple[Array, Array] | None = None
    classes: tuple[str, ...] = ()
    outputs: Callable[[Array], Array] | None = None
    scores: Array = field(default_factory=lambda: np.empty(0))
    program: str = ""
    numbers: bool = False
    unit: str = ""
    weights: Array | None = None
    moved: bool = False

    @property
    def weighted_data(self) -> tuple[Array, ...]:
        """X, y, and the weights of the samples where there are some: what the loss is computed of."""
        return (*(self.data or ()), *([] if self.weights is None else [self.weights]))

    def loss_at(self, output: ArrayLike, rows: Array) -> Any:
        """The loss of the model's output for these samples."""
        _, y, *weights = (array[rows] for array in self.weighted_data)
        return self.loss(output, y, **({"sample_weight": weights[0]} if weights else {}))

    @property
    def model(self) -> Any:
        return self.run.model

    @property
    def loss_name(self) -> str:
        """The loss that it was trained with, for reading."""
        loss = self.run.config.get("loss", "loss")
        return str(getattr(loss, "name", None) or getattr(loss, "__name__", None) or loss)

    @property
    def measurable(self) -> bool:
        """Can the model be run on its data?"""
        return self.model is not None and self.data is not None and self.loss is not None


def own_class(run: Run) -> str:
    """The class of a model that a file names and cannot build: any but an MLP; "" where the model is there."""
    named = run.config.get("model")
    return named.partition(":")[0].strip()[:60] if run.model is None and isinstance(named, str) else ""


def record_of(run: Run, X: Samples = None, y: Samples = None, histograms: Histograms | None = None) -> ReportedRun:
    """The record of a run. X and y: those it was trained on, where they are not given.

    Errors: SettingError for one of them alone; ShapeError and DtypeError for what does not fit the model.
    """
    if (X is None) != (y is None):
        raise SettingError(f"report({'X' if y is None else 'y'}) only: give both X and y, or neither")
    job = run.job
    loss = job.loss if job is not None else loss_of(run)
    data = tuple(job.data[:2]) if job is not None else None
    if X is not None and run.model is not None:
        data = samples_and_targets(run.model, loss, X, as_classes(y))
        if not len(data[0]):
            raise SettingError("X has no samples: there is nothing to measure on")
        output_shape(run.model, data[0])  # raises if the samples do not fit the model
    data = data and for_own_code(run.model, loss, *data)
    watching = [callback for callback in job.settings.callbacks if isinstance(callback, Histograms)] if job else []
    held_out = job.held_out if job is not None else None
    weights = job.data[2] if job is not None and X is None and len(job.data) > 2 else None
    kept = histograms or (watching[-1] if watching else None)
    return ReportedRun(run, data, loss, kept, held_out, weights=weights)


def loss_of(run: Run) -> Any:
    """The loss of a run out of a file: None where it is a function of the user's, of which the file has the name."""
    try:
        return losses.find(run.config["loss"])
    except (KeyError, NameNotFoundError):
        return None
