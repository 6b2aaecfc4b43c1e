"""A training run in one file, to go on with in another process: safetensors, and JSON in its metadata; no pickle."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.checks import whole
from tinygrad_edu.core.checksum import checksum
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CheckpointError, SettingError, ShapeError, TinygradError
from tinygrad_edu.nn import storage
from tinygrad_edu.nn.module import kept
from tinygrad_edu.nn.parameters import fitting, refuse_dtypes, refuse_names
from tinygrad_edu.train.config import config, plain
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.snapshot import generators

Array = np.ndarray[Any, Any]
FORMAT = "tinygrad_edu run, 1"
CURVES = ("losses", "norms", "changes", "validation")
RECORD = ("loss_curve", "grad_norms", "update_norms", "validation_curve")  # the same in a Run
STATES = ("model", "last", "best", "start")  # the weights: now, after the last epoch, of the best one, at the start
FACTS = ("config", "stop_reason", "how", "data", "stopping", "seen", "stopped", "best", "schedule", "generators")
START = ("init", "seed")  # of a model: where its weights began


class Checkpoint:
    """A callback that writes the run to a file every so many epochs, each time whole: fit(..., resume_from=path).

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

    def __init__(self, path: str | os.PathLike[str], every: int = 1) -> None:
        self.path, self.every = Path(path), whole("every", every, owner="Checkpoint")

    def __call__(self, job: Job) -> None:
        if len(job.losses) % self.every == 0:
            write(job, self.path)


# Writing


def write(job: Job, path: str | os.PathLike[str]) -> Path:
    """Everything that the run needs to go on; until it is wholly on the disk, the file that stood there stays."""
    if job.minimizer:
        raise SettingError(f"{path}: a run of L-BFGS cannot go on, since SciPy keeps its memory: save it as .json")
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    storage.write(path, arrays(job), {"format": FORMAT, "run": json.dumps(facts(job))})
    return path


def arrays(job: Job) -> dict[str, Array]:
    """Weights, the optimizer's memories and counts, curves."""
    states = {"model": job.model.state_dict(), "last": job.last, "best": job.best and job.best[2], "start": job.start}
    found = {f"{place}.{name}": x for place, state in states.items() for name, x in (state or {}).items()}
    for k, memory in enumerate(zip(*job.optimizer.memory, strict=True)):
        found[f"memory.{k}"] = np.concatenate([np.ravel(x) for x in memory])
    found["steps"] = np.array(job.optimizer.t)
    return found | {f"curve.{name}": np.array(getattr(job, name), dtype=float) for name in CURVES}


def facts(job: Job) -> dict[str, Any]:
    """What is not an array. NaN and infinity are written as Python's json writes them."""
    found: dict[str, Any] = plain(
        {
            "config": config(job),
            "stop_reason": job.ending or f"not ended: saved after {len(job.losses)} of {job.settings.epochs} epochs",
            "how": job.how,
            "data": prints(job),
            "stopping": job.stopping,
            "seen": job.seen,
            "stopped": job.stopped,
            "best": job.best and job.best[:2],
            "schedule": job.optimizer.schedule.state(),
            "generators": [rng.bit_generator.state for rng in generators(job.model)],
        }
    )
    return found


def prints(job: Job) -> dict[str, Any]:
    """Shape and checksum of all that it is trained and validated on."""
    names = ("X", "y", "sample_weight")
    found = dict(zip(names, job.data, strict=False))
    found |= {} if job.chances is None else {"sample_weight": job.chances}
    found |= dict(zip(("validation X", "validation y"), job.held_out or (), strict=False))
    return {name: [list(x.shape), checksum(x)] for name, x in found.items()}


# Reading


@dataclass(frozen=True)
class Found:
    """What a file holds."""

    arrays: Mapping[str, Array]
    facts: Mapping[str, Any]

    def state(self, place: str) -> dict[str, Array]:
        """The weights at one of STATES, {} where there are none."""
        return {name[len(place) + 1 :]: x for name, x in self.arrays.items() if name.startswith(f"{place}.")}


def read(path: str | os.PathLike[str]) -> Found:
    """The file, whole. Errors: CheckpointError where it is cut off, or not the record of a run."""
    found, metadata = storage.read_all(path)
    if metadata.get("format") != FORMAT:
        raise CheckpointError(
            f"{path} holds arrays, but not a run as Run.save writes it ({FORMAT!r}): model.load reads weights alone"
        )
    try:
        facts = storage.parse_json(metadata["run"])
        return Found(found, {name: facts[name] for name in FACTS})
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} lacks a part of the run, or holds another one: {error!r}") from None


def curves(path: str | os.PathLike[str]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What a Run is made of: its curves and the state of its model, and the rest."""
    found = read(path)
    try:
        record = {name: found.arrays[f"curve.{own}"] for name, own in zip(RECORD, CURVES, strict=True)}
        return {**record, "state": found.state("model")}, {k: found.facts[k] for k in ("stop_reason", "how", "config")}
    except KeyError as error:
        raise CheckpointError(f"{path} lacks a part of the run: {error}") from None


def resume(job: Job, path: str | os.PathLike[str]) -> None:
    """Put the job where the run in the file was left. If anything does not fit, nothing is changed.

    Errors: CheckpointError for the file, SettingError for settings, data and names, ShapeError and DtypeError.
    """
    found = read(path)
    try:
        states = {place: checked_state(job, found.state(place)) for place in STATES}
        refuse_other_data(job, found.facts["data"])
        refuse_other_settings(job, found.facts["config"])
        refuse_nothing_to_do(job, len(found.arrays["curve.losses"]))
        change = Change(job, found, states, memories(job, found.arrays))
    except TinygradError as error:
        raise type(error)(f"{path}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise CheckpointError(f"{path} lacks a part of the run, or holds another one: {error!r}") from None
    change.make()


def refuse_other_data(job: Job, theirs: Mapping[str, Any]) -> None:
    ours, nothing = prints(job), [None, 0]
    for name in {**theirs, **ours}:
        (shape, mark), (other, other_mark) = ours.get(name, nothing), theirs.get(name, nothing)
        if shape != other:
            raise ShapeError(f"{name} had the shape {other}, and has {shape} now: a run goes on with its own data")
        if mark != other_mark:
            raise SettingError(f"{name} holds other numbers than before: a run goes on with its own data")


def checked_state(job: Job, state: Mapping[str, Array]) -> dict[str, Array]:
    """Weights that fit the model, or none."""
    own = kept(job.model)
    if state:
        refuse_names(own, state)
        refuse_dtypes(own, state)
    return {name: fitting(name, own[name], state[name]).astype(state[name].dtype) for name in own if state}


def refuse_other_settings(job: Job, theirs: Mapping[str, Any]) -> None:
    """All that the run was told has to be the same, but for the number of epochs and where the weights began."""
    ours = json.loads(json.dumps(plain(config(job))))
    pairs = [(name, theirs.get(name), x) for name, x in ours.items() if name not in ("epochs", "model")]
    if isinstance(ours["model"], dict) and isinstance(theirs["model"], dict):
        pairs += [(name, theirs["model"].get(name), x) for name, x in ours["model"].items() if name not in START]
    else:
        pairs.append(("model", theirs["model"], ours["model"]))
    other = [f"{name} was {before!r} and is {now!r} now" for name, before, now in pairs if before != now]
    if other:
        raise SettingError(f"a run goes on with its own settings: {'; '.join(other)}")


def refuse_nothing_to_do(job: Job, done: int) -> None:
    if done >= job.settings.epochs:
        raise SettingError(f"epochs={job.settings.epochs}: this run has done {done} epochs, more of them are needed")


def memories(job: Job, arrays: Mapping[str, Array]) -> list[tuple[Any, ...]]:
    """The optimizer's memories, those of each parameter together."""
    params, count = job.optimizer.params, job.optimizer.memories
    sizes = [getattr(p, "size", 1) for p in params]
    rows = [arrays[f"memory.{k}"] for k in range(count)]
    if {row.shape for row in rows} != {(sum(sizes),)} or arrays["steps"].shape != (len(params),):
        raise ShapeError(f"the optimizer's memory does not fit {len(params)} parameters of {sum(sizes)} numbers")
    pieces = [np.split(row, np.cumsum(sizes)[:-1]) for row in rows]
    return [tuple([piece(p, row) for row in of_one]) for p, *of_one in zip(params, *pieces, strict=True)]


def piece(p: Any, row: Array) -> Any:
    return row.reshape(p.shape).astype(p.dtype) if isinstance(p, Tensor) else float(row[0])


@dataclass(frozen=True)
class Change:
    """All that is put in place when a run goes on, checked before."""

    job: Job
    found: Found
    states: Mapping[str, dict[str, Array]]
    memory: list[tuple[Any, ...]]

    def __post_init__(self) -> None:
        self.generator_states()

    def generator_states(self) -> list[tuple[np.random.Generator, Any]]:
        """The random generators of layers, with the states that they are to have."""
        own, states = generators(self.job.model), self.found.facts["generators"]
        names = [rng.bit_generator.state["bit_generator"] for rng in own]
        if names != [state["bit_generator"] for state in states]:
            raise SettingError(f"the model has random generators {names}, other ones than the run")
        return list(zip(own, states, strict=True))

    def make(self) -> None:
        job, facts, arrays = self.job, self.found.facts, self.found.arrays
        job.model.load_state_dict(self.states["model"])
        job.start, job.last = self.states["start"], self.states["last"] or None
        job.best = (*facts["best"], self.states["best"]) if facts["best"] else None
        job.optimizer.load_state((arrays["steps"].tolist(), self.memory, facts["schedule"]))
        job.stopping[:] = facts["stopping"]
        for name in CURVES:
            del getattr(job, name)[:]
            getattr(job, name).extend(arrays[f"curve.{name}"].tolist())
        job.seen, job.stopped, job.how = facts["seen"], facts["stopped"], facts["how"]
        for rng, state in self.generator_states():
            rng.bit_generator.state = state
