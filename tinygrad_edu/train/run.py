"""The record of a training run."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks, whole_files
from tinygrad_edu.charts.chart import Chart, Line, Panel, panel_words
from tinygrad_edu.core.methods.spellings import Missing, tell
from tinygrad_edu.elsewhere import instead_of
from tinygrad_edu.errors import CheckpointError, SettingError
from tinygrad_edu.nn import storage
from tinygrad_edu.pen import check_arguments, check_attributes
from tinygrad_edu.train import checkpoint, stored
from tinygrad_edu.train.config import as_json, epochs_of

Array = np.ndarray[Any, Any]
CURVES = ("loss_curve", "grad_norms", "update_norms", "validation_curve")
FACTS = ("stop_reason", "how", "config")


@check_attributes
@dataclass
class Run:
    """What happened in a call of `fit`.

    `loss_curve`, the mean loss of each epoch; `grad_norms`, the length of the gradient at the last step of each;
    `update_norms`, how far the weights came in each; `validation_curve`, the loss of what was held out; `stop_reason`,
    why it ended, in one sentence; `how`, which way it ran ("compiled", "eager") and why; `config`, the settings, all
    that is needed to do it again (see train.config); `model`, a Module, trained in place.

    >>> run = Run(np.array([1.0, 0.5, 0.49]), np.ones(3), "all 3 epochs done", "eager: asked for", model=None)
    >>> run, run.converged_at(tol=0.05)
    (<Run of 3 epochs, loss 0.49: all 3 epochs done; eager: asked for>, 3)
    """

    loss_curve: Array
    grad_norms: Array
    stop_reason: str
    how: str
    model: Any
    config: Mapping[str, Any] = field(default_factory=dict)
    update_norms: Array = field(default_factory=lambda: np.empty(0))
    validation_curve: Array = field(default_factory=lambda: np.empty(0))
    again: Callable[[int], Run] | None = field(default=None, repr=False)
    job: Any = field(default=None, repr=False, compare=False)  # the job behind this run, for the clinic

    def resume(self, epochs: int) -> Run:
        """Go on to so many epochs in all: the same numbers as without a pause. One that its own rule ended stays so.

        A long run of a small network may be trained by a program for its sizes (`run.how` says so), which rounds in
        another way: numbers then agree to the last bit only with a run that was trained by the same one.
        Errors: SettingError for a number of epochs that is not above those done, or a run that cannot go on.
        """
        self.refuse_moved(f"resume({epochs})")
        if self.again is None or epochs <= self.n_epochs:
            raise SettingError(
                f"resume({epochs}): this run has already done {epochs_of(self.n_epochs)}: give a larger number"
            )
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
        """Write the run in one step, and return the path: curves and settings as JSON to a path that ends in .json.

        To any other path all that `fit(..., resume_from=path)` needs to go on as if it had not been left, as
        safetensors: weights, the optimizer's memory, curves, settings, the state of random generators.
        Errors: SettingError for a run that `fit` cannot go on with, or that has gone on since.
        """
        path = checks.path_of_numbers(path, "Run.save")
        if self.job is not None and getattr(self.job, "ranks", None) and self.job.ranks.rank:
            return path  # only rank 0 writes
        if path.suffix != ".json":
            self.refuse_moved(f"save({str(path)!r})")
            return checkpoint.write_checkpoint(self.job, path)
        record = {name: getattr(self, name).tolist() for name in CURVES}
        record |= {"stop_reason": self.stop_reason, "how": self.how, "config": as_json(self.config)}
        path.parent.mkdir(parents=True, exist_ok=True)
        whole_files.replace(path.resolve(), json.dumps(record, indent=1).encode())
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str], model: Any = None) -> Run:
        """The record that `save` has written, to look at; to go on with it is what `fit(..., resume_from=path)` is for.

        model: takes the weights of the file, if it has any; an MLP is made anew without one. A schedule or a function
        in `config` is its name. Errors: CheckpointError for a file of another form; those of load_state_dict.
        """
        path = checks.path("path", path, "load")
        found, facts = checkpoint.curves(path) if path.suffix != ".json" else from_json(path)
        state = found.pop("state", {})
        try:
            record: dict[str, Any] = stored.check_curves(found)
            facts = stored.check_facts(facts)
            made = stored.rebuild_mlp(facts["config"], state) if state and model is None else model
        except ValueError as error:
            raise CheckpointError(f"{path} is not a run written by Run.save: {error}") from None
        if state and model is not None:
            model.load_state_dict(state)
        return cls(model=made, **record, **facts)

    @check_arguments
    def plot(self) -> Chart:
        """The curves of this run as a chart: loss and validation loss, and the lengths of gradient and update.

        A notebook shows it; `.save("run.svg")` writes it, as .png, .pdf and .html too. Errors: SettingError for a run
        in which no epoch was finished.

        >>> Run(np.array([1.0, 0.5, 0.25]), np.ones(3), "all 3 epochs done", "eager: asked for", model=None).plot()
        <Loss over 3 epochs: training from 1 to 0.25, lowest 0.25>
        """
        return chart_of(self)

    def refuse_moved(self, what: str) -> None:
        """The model, the optimizer and the job are one with this record only while nothing has trained them on."""
        if self.job is None:
            raise SettingError(f"{what}: this run was not made by fit, so it cannot be resumed")
        if len(self.job.losses) != self.n_epochs or self.job.optimizer.t != self.job.steps_made:
            raise SettingError(
                f"{what}: training has gone on since this run of {epochs_of(self.n_epochs)}: use the later run"
            )

    def __repr__(self) -> str:
        last = f"{self.loss_curve[-1]:.4g}" if self.n_epochs else "none"
        return f"<Run of {epochs_of(self.n_epochs)}, loss {last}: {self.stop_reason}; {self.how}>"


def chart_of(run: Run) -> Chart:
    """The panels of `run.plot()`."""
    if not run.n_epochs:
        raise SettingError(f"plot(): no epoch was finished, so there are no curves ({run.stop_reason})")
    loss = run.config.get("loss", "")
    name = loss if isinstance(loss, str) else getattr(loss, "__name__", "")
    curves = {"training": run.loss_curve, "validation": run.validation_curve}
    lengths = {"gradient": run.grad_norms, "update": run.update_norms}
    panels = [panel(f"Loss ({name})" if name else "Loss", curves), panel("Norm of gradient and update", lengths)]
    epochs = f"{run.n_epochs:,} epoch{'' if run.n_epochs == 1 else 's'}"
    return Chart([p for p in panels if p.lines], f"Loss over {epochs}: {panel_words(panels[0]).partition(': ')[2]}")


def panel(title: str, curves: Mapping[str, Array]) -> Panel:
    """A panel with the curves that exist."""
    lines = [Line(name, curve, place, place) for place, (name, curve) in enumerate(curves.items()) if len(curve)]
    return Panel(title, lines)


def from_json(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Curves, and the rest."""
    data = storage.file_bytes(path)
    try:
        record = storage.parse_json(data)
    except ValueError as error:
        why = "a number in it has thousands of digits" if "digits" in str(error) else f"it is no JSON: {error}"
        raise CheckpointError(f"{path} is not a run written by Run.save: {why}") from None
    if not isinstance(record, dict) or (missing := [name for name in (*CURVES, *FACTS) if name not in record]):
        lacks = f"it has no {missing[0]}" if isinstance(record, dict) else "it holds no names and values"
        raise CheckpointError(f"{path} is not a run written by Run.save: {lacks}")
    return {name: record[name] for name in CURVES}, {name: record[name] for name in FACTS}


tell(Run, instead_of("train.Run"), Missing)
