"""What `fit_many` returns; the predictions are computed when they are first read."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class WhenAsked:
    """A field that may be given as a function without arguments, which is called when the field is first read."""

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = f"_{name}"

    def __set__(self, instance: Any, given: Any) -> None:
        vars(instance)[self.name] = given

    def __get__(self, instance: Any, owner: type) -> Any:
        if instance is None:
            raise AttributeError("a field without a default")  # `dataclass` asks for a default
        vars(instance)[self.name] = found = now(vars(instance)[self.name])
        return found


@dataclass(frozen=True)
class ManyRuns:
    """The outcomes of many runs, an entry for each learning rate and each seed.

    seeds, learning_rates: what was combined, (s,) and (r,).
    losses, n_epochs: the loss after the last epoch, and how many epochs there were, (r, s).
    loss_curves: the loss of each epoch, (r, s, epochs); NaN after a run has ended.
    predictions: the outputs of the trained models on X, (r, s, samples, outputs).

    >>> losses = np.array([[0.5, 0.001], [0.002, 0.003]])  # a row for each rate, a column for each seed
    >>> curves = losses[:, :, None]
    >>> runs = ManyRuns(np.arange(2), np.array([0.1, 0.5]), losses, curves, np.ones((2, 2)), np.zeros((2, 2, 4, 1)))
    >>> runs, runs.success_rate(0.01).tolist()
    (<4 runs, 2 seeds for each learning rate, median loss 0.0025>, [0.5, 1.0])
    """

    seeds: Array
    learning_rates: Array
    losses: Array
    loss_curves: Array
    n_epochs: Array
    predictions: Array = WhenAsked()  # type: ignore[assignment]

    def __getstate__(self) -> dict[str, Any]:
        return vars(self) | {"_predictions": self.predictions}

    def success_rate(self, goal: float) -> Array:
        """The share of seeds whose last loss is at most `goal`, for each learning rate."""
        return np.asarray(np.mean(self.losses <= goal, axis=1))

    def __repr__(self) -> str:
        rates, seeds = self.losses.shape
        losses, lost = np.nan_to_num(self.losses, nan=np.inf, posinf=np.inf), int(np.isnan(self.losses).sum())
        told = f"median loss {np.median(losses):.3g}" + f", {lost} ended in NaN" * bool(lost)
        return f"<{rates * seeds} runs, {seeds} seeds for each learning rate, {told}>"


def now(given: Array | Callable[[], Array]) -> Array:
    """An array, or what a function of no arguments returns."""
    return given() if callable(given) else given
