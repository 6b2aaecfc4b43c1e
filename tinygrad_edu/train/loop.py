"""A plain training loop, the same for both back ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.scan import by_position
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.pen import check_arguments

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

    X: the inputs, a row for each sample.
    y: the targets, a row for each sample.
    optimizer: one of the model's parameters.

    >>> from tinygrad_edu import nn, optim
    >>> from tinygrad_edu.data import or_gate
    >>> model = nn.MLP([2, 1], seed=0)
    >>> losses = train(model, *or_gate(), nn.losses.mse, optim.SGD(model.parameters(), lr=0.5), [slice(None)] * 20)
    >>> losses[-1] < losses[0]
    True
    """
    X, y = by_position(X), by_position(y)
    return [step(model, X[rows], y[rows], loss, optimizer) for rows in batches]


@check_arguments
def accuracy(model: Module, X: Array, y: Array, threshold: float | None = None) -> float:
    """The share of samples that a model gets right, from 0 to 1.

    With several outputs the largest one is the answer. With one output the answer is the upper level if the output is
    above `threshold`.
    X: the inputs, (samples, ...).
    y: class numbers, one-hot rows, or one column of two levels such as 0 and 1, or -1 and 1.
    threshold: midway between the levels by default; for logits use 0.

    >>> from tinygrad_edu import nn
    >>> from tinygrad_edu.data import or_gate
    >>> accuracy(nn.MLP([2, 1], out_activation="sigmoid", seed=0), *or_gate())
    0.5
    """
    output, truth = outputs(model, X), np.asarray(y)
    if output.shape[-1] > 1:
        classes = truth.argmax(-1) if truth.shape == output.shape else truth.reshape(output.shape[:-1])
        return float(np.mean(output.argmax(-1) == classes))
    middle = (truth.min() + truth.max()) / 2.0
    limit = middle if threshold is None else threshold
    return float(np.mean((output.ravel() > limit) == (truth.ravel() > middle)))


@check_arguments
def one_minus_mae(model: Module, X: Array, y: Array) -> float:
    """1 - the mean absolute error: how close outputs in [0, 1] are to targets of 0 and 1, as in the OR/XOR question.

    model: a Module.
    X: the inputs, a row for each sample.
    y: the targets, a row for each sample.

    >>> from tinygrad_edu import nn
    >>> from tinygrad_edu.data import or_gate
    >>> 0.0 < one_minus_mae(nn.MLP([2, 1], out_activation="sigmoid", seed=0), *or_gate()) < 1.0
    True
    """
    return 1.0 - float(np.mean(np.abs(outputs(model, X).ravel() - np.ravel(y))))


def outputs(model: Module, X: Array) -> Array:
    """The model's outputs in eval mode as plain numbers, on either back end."""
    with modes_kept(model), no_grad():
        output = model.eval()(X)
    if not isinstance(output, np.ndarray):
        return np.asarray(output.array)
    return np.array([p.data for p in output.flat]).reshape(output.shape)
