"""A plain training loop, the same for both back ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]


def step(model: Module, x: Array, y: Array, loss: Loss, optimizer: Optimizer) -> float:
    """One update from the samples given: the loss before it."""
    optimizer.zero_grad()
    value = loss(model(x), y)
    value.backward()
    optimizer.step()
    return float(value.item())


def train(model: Module, X: Array, y: Array, loss: Loss, optimizer: Optimizer, batches: Iterable[Any]) -> list[float]:
    """The loss at each step; `batches` gives the rows of each step: an index, a slice or an array of indices.

    >>> from tinygrad_edu import nn, optim
    >>> from tinygrad_edu.data import or_gate
    >>> model = nn.MLP([2, 1], seed=0)
    >>> losses = train(model, *or_gate(), nn.losses.mse, optim.SGD(model.parameters(), lr=0.5), [slice(None)] * 20)
    >>> losses[-1] < losses[0]
    True
    """
    return [step(model, X[rows], y[rows], loss, optimizer) for rows in batches]


def accuracy(model: Module, X: Array, y: Array) -> float:
    """1 - the mean absolute error, the measure of the OR/XOR question.

    >>> from tinygrad_edu import nn
    >>> from tinygrad_edu.data import or_gate
    >>> 0.0 < accuracy(nn.MLP([2, 1], out_activation="sigmoid", seed=0), *or_gate()) < 1.0
    True
    """
    with no_grad():
        output = model(X)
    predicted = [p.data for p in output.flat] if isinstance(output, np.ndarray) else output.array.ravel()
    return 1.0 - float(np.mean(np.abs(np.array(predicted) - np.ravel(y))))
