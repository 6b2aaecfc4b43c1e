"""The record of a training run."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.module import Module

Array = np.ndarray[Any, Any]


@dataclass
class Run:
    """What happened in a call of `fit`.

    `loss_curve`, the mean loss of each epoch; `grad_norms`, the length of the gradient at the last step of each;
    `update_norms`, how far the weights came in each; `validation_curve`, the loss of what was held out; `stop_reason`,
    why it ended, in one sentence; `how`, which way it ran ("compiled", "eager") and why; `config`, the settings;
    `model`, trained in place.
    """

    loss_curve: Array
    grad_norms: Array
    stop_reason: str
    how: str
    model: Module
    config: Mapping[str, Any] = field(default_factory=dict)
    update_norms: Array = field(default_factory=lambda: np.empty(0))
    validation_curve: Array = field(default_factory=lambda: np.empty(0))
    again: Callable[[int], Run] | None = field(default=None, repr=False)

    def resume(self, epochs: int) -> Run:
        """Go on to so many epochs in all, as if the run had not ended before: the same numbers as without a pause.

        Errors: SettingError for a number of epochs that is not above those done, or a run that cannot go on.
        """
        if self.again is None or epochs <= self.n_epochs:
            raise SettingError(f"resume({epochs}): this run has done {self.n_epochs} epochs, more of them are needed")
        return self.again(epochs)

    @property
    def n_epochs(self) -> int:
        """How many whole epochs were trained."""
        return len(self.loss_curve)

    @property
    def compiled(self) -> bool:
        """Did it run as compiled code?"""
        return self.how.startswith("compiled")

    def converged_at(self, tol: float) -> int | None:
        """The first epoch (counted from 1) whose loss differs from the one before by at most tol of it, or None."""
        before, after = self.loss_curve[:-1], self.loss_curve[1:]
        hits = np.flatnonzero(np.abs(after - before) <= tol * np.abs(before))
        return int(hits[0]) + 2 if hits.size else None

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the curves and settings as JSON, in one step; returns the path."""
        path = Path(path)
        record = {
            "loss_curve": self.loss_curve.tolist(),
            "grad_norms": self.grad_norms.tolist(),
            "update_norms": self.update_norms.tolist(),
            "validation_curve": self.validation_curve.tolist(),
            "stop_reason": self.stop_reason,
            "how": self.how,
            "config": {name: repr(value) for name, value in self.config.items()},
        }
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, draft = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with os.fdopen(handle, "w", encoding="utf-8") as file:
            json.dump(record, file, indent=1)
        os.replace(draft, path)
        return path

    def __repr__(self) -> str:
        last = f"{self.loss_curve[-1]:.4g}" if self.n_epochs else "none"
        return f"<Run of {self.n_epochs} epochs, loss {last}, {self.how}: {self.stop_reason}>"
