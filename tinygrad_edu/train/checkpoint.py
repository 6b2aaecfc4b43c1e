"""A training run in one file, to resume in another process: safetensors, with JSON in its metadata; no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.checks import whole
from tinygrad_edu.errors import CheckpointError, SettingError
from tinygrad_edu.nn import storage
from tinygrad_edu.nn.module import all_numbers
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.changed import changed_by_callbacks, prints
from tinygrad_edu.train.config import as_json, config
from tinygrad_edu.train.first_batch import present_loss
from tinygrad_edu.train.job import Job, trained_flags
from tinygrad_edu.train.kept_by_callbacks import names_lost, states_of
from tinygrad_edu.train.model_form import form_of
from tinygrad_edu.train.modes_of_runs import names_evaluated
from tinygrad_edu.train.other_code import code_of
from tinygrad_edu.train.other_parameters import arrays_of_others, names_apart
from tinygrad_edu.train.set_by_callbacks import settings_now
from tinygrad_edu.train.snapshot import generators

Array = np.ndarray[Any, Any]
FORMAT, EARLIER = "tinygrad_edu run, 7", tuple(f"tinygrad_edu run, {i}" for i in range(1, 7))
CURVES = {  # name in the file -> attribute of Progress
    "losses": "losses",
    "norms": "grad_norms",
    "changes": "update_norms",
    "validation": "validation",
}
# the same curves as attributes of a Run, in the same order
RECORD = ("loss_curve", "grad_norms", "update_norms", "validation_curve")
STATES = ("model", "last", "best", "start")  # weights: now, after the last epoch, of the best epoch, at the start
FACTS = (
    "config", "stop_reason", "how", "data", "stopping", "seen", "stopped", "pending", "called", "callbacks", "best",
    "schedule", "generators", "modules", "first", "present_loss", "trained", "written",
    "begun", "set", "sizes", "code", "numbers", "evaluated", "apart",
)  # fmt: skip


class Checkpoint:
    """A callback that saves the whole run every `every` epochs; resume it with fit(..., resume_from=path).

    path: the file to write, such as run.safetensors.
    every: the number of epochs between two writes; 1.

    >>> import tempfile
    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> def run(epochs, **options):
    ...     model = nn.MLP([2, 3, 1], seed=0)
    ...     optimizer = optim.Adam(model.parameters())
    ...     return fit(model, *xor_gate(), loss="mse", optimizer=optimizer, epochs=epochs, **options)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = folder + "/run.safetensors"
    ...     paused = run(4, callbacks=[Checkpoint(file)])
    ...     bool((run(9, resume_from=file).loss_curve == run(9).loss_curve).all())
    True
    """

    @check_arguments
    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        self.path, self.every = checks.path_of_numbers(path, "Checkpoint"), whole("every", every, owner="Checkpoint")

    def __call__(self, job: Job) -> None:
        if len(job.losses) % self.every == 0:
            write_checkpoint(job, self.path)


# writing


def write_checkpoint(job: Job, path: str | os.PathLike[str]) -> Path:
    """Save everything the run needs to continue; an existing file stays until the new one is completely on the disk."""
    if job.minimizer:
        raise SettingError(
            f"{path}: a run of L-BFGS cannot be resumed, because SciPy keeps its memory: save it as .json"
        )
    path = checks.path("path", path, "save")
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write_arrays(path, arrays(job), {"format": FORMAT, "run": json.dumps(facts(job))})
    return path


def arrays(job: Job) -> dict[str, Array]:
    """Weights, the optimizer's memories and counts, curves."""
    progress = job.progress
    best = progress.best and progress.best[2]
    states = {"model": all_numbers(job.model), "last": progress.last, "best": best, "start": job.start}
    found = {f"{place}.{name}": x for place, state in states.items() for name, x in (state or {}).items()}
    for k, memory in enumerate(zip(*job.optimizer.memory, strict=True)):
        found[f"memory.{k}"] = np.concatenate([np.ravel(x) for x in memory])
    found["steps"] = np.array(job.optimizer.t)
    curves = {f"curve.{name}": np.array(getattr(progress, own), dtype=float) for name, own in CURVES.items()}
    return found | curves | arrays_of_others(job.model, job.optimizer)


def facts(job: Job) -> dict[str, Any]:
    """Everything except the arrays. NaN and infinity are written as Python's json writes them."""
    found: dict[str, Any] = as_json(
        {
            "config": config(job),
            "stop_reason": job.ending or f"not finished: saved after {len(job.losses)} of {job.settings.epochs} epochs",
            "how": job.how,
            "begun": config_at_start(job),
            "set": {"start": job.begun.settings, "now": settings_now(job.optimizer, job.settings)},
            "sizes": job.sizes,
            "apart": names_apart(job.model, job.optimizer),
            "evaluated": list(job.evaluated if job.ending else names_evaluated(job.model)),
            "code": code_of(job),
            "numbers": job.begun.numbers,
            "data": prints(job),
            "stopping": job.progress.rule,
            "seen": job.progress.seen,
            "stopped": job.progress.stopped,
            "pending": job.progress.pending,
            "called": job.progress.called,
            "callbacks": {"start": job.kept, "now": states_of(job.settings.callbacks), "lost": names_lost(job)},
            "best": job.progress.best and job.progress.best[:2],
            "schedule": job.optimizer.state()[2],
            "modules": {"start": job.form, "now": form_of(job.model)},
            "first": job.first and vars(job.first),
            "present_loss": present_loss(job),
            "trained": {"start": job.trained, "now": trained_flags(job.optimizer)},
            "written": bool(changed_by_callbacks(job)),
            "generators": [rng.bit_generator.state for rng in generators(job.model)],
        }
    )
    return found


def config_at_start(job: Job) -> dict[str, Any]:
    """The settings before callbacks changed any, such as the share that a layer of dropout drops."""
    found, at_start = {**config(job), **job.begun.config}, job.form.get("dropout", {})
    if isinstance(found["model"], dict) and "p" in at_start:
        found["model"] = {**found["model"], "dropout": at_start["p"]}
    return found


# reading


@dataclass(frozen=True)
class CheckpointFile:
    """The contents of a file."""

    arrays: Mapping[str, Array]
    facts: Mapping[str, Any]

    def state(self, place: str) -> dict[str, Array]:
        """The weights at one of STATES, {} if there are none."""
        return {name[len(place) + 1 :]: x for name, x in self.arrays.items() if name.startswith(f"{place}.")}


def read_checkpoint(path: str | os.PathLike[str]) -> CheckpointFile:
    """The complete file. Errors: CheckpointError if it is cut off, or not the record of a run."""
    found, metadata = storage.read_all(path)
    if metadata.get("format") in EARLIER:
        raise CheckpointError(
            f"{path} was written by an earlier version of this library, whose files say less of the model and its "
            "training: train again, or read it with that version"
        )
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds arrays, but not a run in the form that Run.save writes ({FORMAT!r}): for weights alone use "
            "model.load"
        )
    try:
        facts = storage.parse_json(metadata["run"])
        return CheckpointFile(found, {name: facts[name] for name in FACTS})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} lacks a part of the run, or a part is wrong: {error!r}") from None


def curves(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The parts of a Run: its curves and the state of its model, and the rest."""
    found = read_checkpoint(path)
    try:
        record = {name: found.arrays[f"curve.{own}"] for name, own in zip(RECORD, CURVES, strict=True)}
        return {**record, "state": found.state("model")}, {k: found.facts[k] for k in ("stop_reason", "how", "config")}
    except KeyError as error:
        raise CheckpointError(f"{path} lacks a part of the run: {error}") from None
