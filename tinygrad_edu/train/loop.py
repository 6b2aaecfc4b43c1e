"""A plain training loop, the same for both back ends."""

from __future__ import annotations

import numbers
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.formulas.readings import refuse_masked
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.transforms.scan import by_position
from tinygrad_edu.errors import DtypeError, SettingError, ShapeError
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.own_code import for_own_code

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]


def step(model: Module, x: Array, y: Array, loss: Loss, optimizer: Optimizer) -> float:
    """One update from the given samples; returns the loss before it."""
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return float(value.item())


@check_arguments
def train(model: Module, X: Array, y: Array, loss: Loss, optimizer: Optimizer, batches: Iterable[Any]) -> list[float]:
    """Train, and return the loss at each step; `batches` gives each step's rows: an index, a slice or an index array.

    model: a Module, trained in place.
    X: the inputs, a row for each sample.
    y: the targets, a row for each sample.
    loss: a loss of nn.losses, or a function (output, target) → number.
    optimizer: one of the model's parameters.
    batches: the rows of each step.

    >>> from tinygrad_edu import nn, optim
    >>> from tinygrad_edu.data import or_gate
    >>> model = nn.MLP([2, 1], seed=0)
    >>> losses = train(model, *or_gate(), nn.losses.mse, optim.SGD(model.parameters(), lr=0.5), [slice(None)] * 20)
    >>> losses[-1] < losses[0]
    True
    """
    X, y = by_position(X), by_position(y)
    return [step(model, own_copy(X[rows]), own_copy(y[rows]), loss, optimizer) for rows in batches]


def own_copy(batch: Array) -> Array:
    """A batch that forward or the loss may write into: a slice of an array is a view of it."""
    return batch.copy() if isinstance(batch, np.ndarray) and batch.base is not None else batch


@check_arguments
def accuracy(model: Module, X: Array, y: Array, threshold: float | None = None) -> float:
    """Return the share of samples that a model gets right, from 0 to 1.

    With several outputs the largest one is the answer. With one output the answer is the upper level if the output is
    above `threshold`. An output that is NaN is wrong.
    model: a Module.
    X: the inputs, (samples, ...).
    y: class numbers, one-hot rows, or one column of two levels such as 0 and 1, or -1 and 1.
    threshold: midway between the levels by default; for logits use 0.
    Errors: SettingError if all targets are equal, so that the other level is unknown, and no threshold is given;
    ShapeError if there are not as many targets as outputs.

    >>> from tinygrad_edu import nn
    >>> from tinygrad_edu.data import or_gate
    >>> accuracy(nn.MLP([2, 1], out_activation="sigmoid", seed=0), *or_gate())
    0.5
    """
    output, truth = outputs(model, X), numbers_in(y)
    if output.ndim > 1 and output.shape[-1] > 1:
        right = output.argmax(-1) == classes_of(truth, output)
        return float(np.mean(right & ~np.isnan(output).any(axis=-1)))
    output, truth = output.ravel(), as_many(truth, output).astype(float)
    middle = middle_of(truth, threshold)
    limit = middle if threshold is None else threshold
    return float(np.mean(((output > limit) == (truth > middle)) & ~np.isnan(output)))


def numbers_in(y: Samples) -> Array:
    """The targets as an array. Errors: DtypeError for texts and masked entries."""
    refuse_masked(y)
    truth = np.asarray(y)
    if truth.dtype.kind == "O" and all(isinstance(x, numbers.Real) for x in truth.flat):
        truth = truth.astype(float)
    if truth.dtype.kind not in "biuf":
        raise DtypeError(f"y holds {truth.dtype}: class numbers 0, 1, 2, ... or numbers are needed")
    return truth


def classes_of(truth: Array, output: Array) -> Array:
    """The class number of each sample, of class numbers or one-hot rows. Errors: ShapeError, SettingError."""
    if truth.shape == output.shape:
        if np.isin(truth, (0, 1)).all() and (truth.sum(axis=-1) != 1).any():
            raise SettingError(
                "y has rows with several ones, or none: of several labels for a sample, take the accuracy of each "
                "column, as in np.mean((model(X).data > 0) == y, axis=0) of logits"
            )
        return np.asarray(truth.argmax(-1))
    found, count = as_many(truth, output[..., 0]), output.shape[-1]
    strange = np.unique(found[~np.isin(found, np.arange(count))])
    if strange.size:
        raise SettingError(
            f"y holds {', '.join(f'{x:g}' for x in strange[:5])}, and the model has {count} outputs: its classes are "
            f"the numbers 0 to {count - 1}. Write y - 1 for classes counted from 1; leave out samples without a class"
        )
    return found.reshape(output.shape[:-1])


def as_many(truth: Array, output: Array) -> Array:
    """The targets in a row. Errors: ShapeError unless there is one for each sample."""
    if truth.size != output.size or truth.shape[:1] != output.shape[:1]:
        raise ShapeError(f"y has shape {truth.shape}, the outputs of the model {output.shape}: give one for each")
    return truth.ravel()


def middle_of(truth: Array, threshold: float | None) -> float:
    """The number between the two levels. Errors: SettingError where there is one level, and no threshold."""
    low, high = float(truth.min()), float(truth.max())
    if threshold is None and len(levels := np.unique(truth)) > 2:
        raise SettingError(
            f"y holds {len(levels)} different numbers, {low:g} to {high:g}, and the model has one output, which tells "
            "two classes apart: for numbers take np.mean((model(X).data - y) ** 2), for more classes an output for each"
        )
    if low < high:
        return (low + high) / 2.0
    if threshold is None:
        raise SettingError(
            f"y holds {low:g} alone, which does not tell the other level: give threshold=0.5 for levels 0 and 1, "
            "threshold=0 for -1 and 1 or for logits"
        )
    return threshold


@check_arguments
def one_minus_mae(model: Module, X: Array, y: Array) -> float:
    """1 - the mean absolute error: how close outputs in [0, 1] are to targets of 0 and 1, as in the OR/XOR question.

    model: a Module.
    X: the inputs, a row for each sample.
    y: the targets, a row for each sample.
    Errors: ShapeError if there are not as many targets as outputs.

    >>> from tinygrad_edu import nn
    >>> from tinygrad_edu.data import or_gate
    >>> 0.0 < one_minus_mae(nn.MLP([2, 1], out_activation="sigmoid", seed=0), *or_gate()) < 1.0
    True
    """
    output = outputs(model, X)
    return 1.0 - float(np.mean(np.abs(output.ravel() - as_many(numbers_in(y), output))))


def outputs(model: Module, X: Array) -> Array:
    """The model's outputs in eval mode as plain numbers, on either back end."""
    with modes_kept(model), no_grad():
        output = model.eval()(*for_own_code(model, None, X))
    if not isinstance(output, np.ndarray):
        return np.asarray(output.array)
    return np.array([p.data for p in output.flat]).reshape(output.shape)
