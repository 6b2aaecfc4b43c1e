"""Resume a run from its file: everything in it is checked, then put in place completely or not at all."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.checks import is_flag, is_number, is_whole
from tinygrad_edu.compile.closure_guard import Guard
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CheckpointError, SettingError, ShapeError, TinygradError, first_line
from tinygrad_edu.nn.module import arrays_to_keep
from tinygrad_edu.nn.parameters import fitting, refuse_dtypes, refuse_names
from tinygrad_edu.train.changed import prints
from tinygrad_edu.train.checkpoint import CURVES, STATES, Array, CheckpointFile, read_checkpoint
from tinygrad_edu.train.config import as_json, config, is_same_setting, without_flags
from tinygrad_edu.train.first_batch import FirstBatch, refuse_other_beginning, refuse_other_loss
from tinygrad_edu.train.job import Job, trained_flags
from tinygrad_edu.train.kept_by_callbacks import are_states, changes, note_of, put_back
from tinygrad_edu.train.model_form import numbers_to_set, refuse_other_form
from tinygrad_edu.train.modes_of_runs import are_names
from tinygrad_edu.train.other_code import are_texts, is_of_code, note_of_code
from tinygrad_edu.train.other_parameters import others_that_fit, put_numbers, refuse_other_apart
from tinygrad_edu.train.progress import as_curve
from tinygrad_edu.train.rate_state import state_of_rate
from tinygrad_edu.train.set_by_callbacks import schedulers_of, settings_now
from tinygrad_edu.train.settings_from_file import (
    put_settings,
    refuse_other_changes,
    refuse_other_schedulers,
    refuse_settings,
)
from tinygrad_edu.train.snapshot import Point, for_certain, generators
from tinygrad_edu.train.state_outside import refuse_impossible, state_outside
from tinygrad_edu.train.stopping import PATIENCE, TOL, WAITED

OF_CODE = ("loss", "activation", "out_activation")  # settings that may be functions of the user's own
START = ("init", "seed")  # attributes that only say how a model was initialized


def resume(job: Job, path: str | os.PathLike[str]) -> None:
    """Put the job into the state of the run in the file. If anything does not fit, nothing is changed.

    Errors: CheckpointError for the file, SettingError for settings, data and names, ShapeError and DtypeError.
    """
    found, before, kept = read_checkpoint(path), Point(job), (job.start, job.how, job.first)
    schedulers = [(x, x.state_dict()) for x in schedulers_of(job.settings.callbacks)]
    try:
        change_of(job, found).make()
    except BaseException as error:
        job.start, job.how, job.first = kept
        for scheduler, state in schedulers:
            scheduler.load_state_dict(state)
        for_certain(before.restore)
        if isinstance(error, TinygradError):
            raise type(error)(f"{path}: {error}") from None
        if isinstance(error, Exception):
            raise CheckpointError(f"{path} lacks a part of the run, or a part is wrong: {first_line(error)}") from None
        raise


def change_of(job: Job, found: CheckpointFile) -> ResumedState:
    """The contents of the file, checked against the job."""
    states = {place: state_for(job, found.state(place)) for place in STATES}
    refuse_other_data(job, found.facts["data"])
    refuse_other_settings(job, found.facts["begun"])
    refuse_other_changes(found.facts["begun"], found.facts["config"])
    refuse_other_schedulers(settings_now(job.optimizer, job.settings), found.facts["set"]["start"])
    refuse_settings(found.facts["set"], found.facts["sizes"], job, len(found.arrays["curve.losses"]))
    if rate := state_of_rate(job):
        raise SettingError(
            f"the function of the learning rate {rate}, and a file does not hold that: write it as a "
            "function of the step t only, or continue in this process with run.resume(epochs)"
        )
    code = [*job.roots.values(), *job.settings.callbacks, *(getattr(x, "function", x) for x in job.optimizer.schedules)]
    refuse_other_form(job.model, found.facts["modules"]["start"], Guard(code).names)
    if found.facts["how"].startswith("eager") and (moved := state_outside(job)):
        raise SettingError(
            f"{moved}, and a file does not hold that: keep it as a buffer "
            "(model.register_buffer(name, array)), or continue in this process with run.resume(epochs)"
        )
    refuse_nothing_to_do(job, len(found.arrays["curve.losses"]))
    refuse_other_facts(job, found, states)
    refuse_other_frozen(job, **found.facts["trained"])
    numbers = numbers_to_set(job.model, **found.facts["modules"])
    refuse_other_apart(job.model, job.optimizer, found.facts["apart"])
    others = others_that_fit(job.model, job.optimizer, found.arrays)
    return ResumedState(job, found, states, memories(job, found.arrays), numbers, others)


def refuse_other_data(job: Job, theirs: Mapping[str, Any]) -> None:
    ours, nothing = prints(job), [None, 0]
    for name in {**theirs, **ours}:
        (shape, mark), (other, other_mark) = ours.get(name, nothing), theirs.get(name, nothing)
        if shape != other:
            raise ShapeError(f"{name} had the shape {other} and now has {shape}: a run is resumed with its own data")
        if mark != other_mark:
            raise SettingError(f"{name} holds other numbers than before: a run is resumed with its own data")


def state_for(job: Job, state: Mapping[str, Array]) -> dict[str, Array]:
    """Weights that fit the model, or none."""
    own = arrays_to_keep(job.model)
    if state:
        refuse_names(own, state)
        refuse_dtypes(own, state)
    return {name: fitting(name, own[name], state[name]).astype(state[name].dtype) for name in own if state}


def refuse_other_settings(job: Job, theirs: Mapping[str, Any]) -> None:
    """Errors: SettingError unless all settings are the same, apart from the epochs and the model's initialization."""
    ours = json.loads(json.dumps(as_json(config(job))))
    pairs = [(name, theirs.get(name), x) for name, x in ours.items() if name not in ("epochs", "model")]
    if isinstance(ours["model"], dict) and isinstance(theirs["model"], dict):
        pairs += [(name, theirs["model"].get(name), x) for name, x in ours["model"].items() if name not in START]
    elif without_flags(ours["model"]) != without_flags(theirs["model"]):
        pairs.append(("model", theirs["model"], ours["model"]))
    pairs = [each for each in pairs if not (each[0] in OF_CODE and is_same_setting(*each[1:])) and each[1] != each[2]]
    other = [f"{name} was {before!r} and is {now!r} now" for name, before, now in pairs]
    if other:
        raise SettingError(f"a run is resumed with its own settings: {'; '.join(other)}")


def refuse_nothing_to_do(job: Job, done: int) -> None:
    if done >= job.settings.epochs:
        raise SettingError(
            f"epochs={job.settings.epochs}: this run has already done {done} epochs; give a larger number"
        )


def refuse_other_facts(job: Job, found: CheckpointFile, states: Mapping[str, Any]) -> None:
    """Refuse what Run.save cannot have written, such as curves of different lengths. Errors: CheckpointError."""
    facts, curves = found.facts, {name: found.arrays[f"curve.{name}"] for name in CURVES}
    done, best, seen = len(curves["losses"]), facts["best"], facts["seen"]
    lengths = dict.fromkeys(CURVES, done) | {"validation": done if job.held_out is not None else 0}
    problems = {
        "a curve": any(x.shape != (lengths[name],) or x.dtype.kind != "f" for name, x in curves.items()),
        "a loss": not np.isfinite(curves["losses"]).all(),
        "the state of the model": not states["model"] or not states["start"],
        "the best state": (best is None) != (not states["best"]) or not is_best(best, done),
        "seen": not is_whole(seen) or not 0 <= seen <= done,
        "stopped": not is_flag(facts["stopped"]),
        "pending": not is_flag(facts["pending"]) or not is_whole(facts["called"]) or facts["called"] < 0,
        "which parameters are trained": not is_of_trained(facts["trained"]),
        "callbacks": not is_of_callbacks(facts["callbacks"]),
        "layers in evaluation mode": not are_names(facts["evaluated"]),
        "parameters that the optimizer does not hold": not are_names(facts["apart"]),
        "written": not is_flag(facts["written"]),
        "the loss of the first batch": not is_first(facts["first"]),
        "the present loss": facts["present_loss"] is not None and not is_number(facts["present_loss"]),
        "how": not isinstance(facts["how"], str) or not facts["how"].startswith(("compiled", "eager")),
        "the stopping rule": not is_rule(facts["stopping"], job.progress.rule.tolist(), done),
        "code": not is_of_code(facts["code"]) or not are_texts(facts["numbers"]),
        "the optimizer's steps": found.arrays["steps"].dtype.kind not in "iu"
        or bool((found.arrays["steps"] < 0).any()),
    }
    wrong = [name for name, bad in problems.items() if bad]
    if wrong:
        raise CheckpointError(f"it was not written by Run.save, or was changed: {', '.join(wrong)} cannot be right")


def refuse_other_schedule(job: Job, state: object) -> None:
    """Errors: CheckpointError where it is no state of the optimizer's schedule, which a callback may have set."""
    if not has_same_form(state, job.optimizer.state()[2]):
        raise CheckpointError("it was not written by Run.save, or was changed: the schedule cannot be right")


def refuse_other_frozen(job: Job, start: list[bool], now: list[bool]) -> None:
    """Errors: SettingError where other parameters are frozen than at the start of the run, or when it was saved."""
    own = trained_flags(job.optimizer)
    if own not in (start, now) and len(own) == len(start):  # another number of parameters is refused with their memory
        i = next(i for i, flag in enumerate(own) if flag != start[i])
        name = getattr(job.optimizer.params[i], "label", "") or "a parameter"
        raise SettingError(
            f"a run is resumed with its own settings: requires_grad of {name} (number {i} of the optimizer) was "
            f"{start[i]} and is {own[i]} now"
        )


def is_of_trained(given: Any) -> bool:
    """Two lists of flags, one for each parameter of the optimizer."""
    known = isinstance(given, dict) and given.keys() == {"start", "now"}
    flags = known and all(isinstance(x, list) and all(map(is_flag, x)) for x in given.values())
    return flags and len(given["start"]) == len(given["now"])


def is_of_callbacks(given: Any) -> bool:
    """What callbacks kept at the start and now, and the names of what they lost."""
    known = isinstance(given, dict) and given.keys() == {"start", "now", "lost"}
    texts = known and isinstance(given["lost"], list) and all(isinstance(name, str) for name in given["lost"])
    return texts and are_states(given["start"]) and are_states(given["now"])


def is_first(first: Any) -> bool:
    """None, or what makes a FirstBatch."""
    if first is None:
        return True
    known = isinstance(first, dict) and first.keys() == {"loss", "gradient", "update", "in_turn", "states"}
    numbers = ("loss", "gradient", "update")
    return (
        known
        and all(is_number(first[name]) for name in numbers)
        and is_flag(first["in_turn"])
        and isinstance(first["states"], list)
    )


def is_best(best: Any, done: int) -> bool:
    """None, or the loss and the number of the best epoch so far."""
    if best is None:
        return True
    return (
        isinstance(best, list) and len(best) == 2 and is_number(best[0]) and is_whole(best[1]) and 0 < best[1] <= done
    )


def is_rule(given: Any, own: list[float], done: int) -> bool:
    """Are these the numbers of the same stopping rule, after `done` epochs?"""
    same = has_same_form(given, own) and given[TOL] == own[TOL] and given[PATIENCE] == own[PATIENCE]
    return same and 0 <= given[WAITED] <= done


def has_same_form(given: Any, own: Any) -> bool:
    """Is it of the same form: numbers where the other has numbers, lists of the same length, and so on?"""
    if isinstance(own, (list, tuple)):
        return isinstance(given, list) and len(given) == len(own) and all(map(has_same_form, given, own))
    if is_flag(own):
        return is_flag(given)
    if is_whole(own):
        return is_whole(given) and given >= 0
    return is_number(given) if is_number(own) else type(given) is type(own)


def memories(job: Job, arrays: Mapping[str, Array]) -> list[tuple[Any, ...]]:
    """The optimizer's memories, those of each parameter together."""
    params, count = job.optimizer.params, job.optimizer.memories
    sizes = [getattr(p, "size", 1) for p in params]
    rows = [arrays[f"memory.{k}"] for k in range(count)]
    fits = all(row.shape == (sum(sizes),) and row.dtype.kind == "f" for row in rows)
    if not fits or arrays["steps"].shape != (len(params),):
        raise ShapeError(f"the optimizer's memory does not fit {len(params)} parameters of {sum(sizes)} numbers")
    pieces = [np.split(row, np.cumsum(sizes)[:-1]) for row in rows]
    return [tuple([piece(p, row) for row in of_one]) for p, *of_one in zip(params, *pieces, strict=True)]


def piece(p: Any, row: Array) -> Any:
    return row.reshape(p.shape).astype(p.dtype) if isinstance(p, Tensor) else float(row[0])


@dataclass(frozen=True)
class ResumedState:
    """All that is put in place when a run goes on, checked before."""

    job: Job
    found: CheckpointFile
    states: Mapping[str, dict[str, Array]]
    memory: list[tuple[Any, ...]]
    numbers: list[tuple[dict[str, Any], str, Any]]
    others: list[tuple[Any, Array]]

    def __post_init__(self) -> None:
        first = self.found.facts["first"]
        for rng, state in [*self.generator_states(), *(self.pairs_with(first["states"]) if first else ())]:
            type(rng.bit_generator)().state = state  # on a throwaway generator: raises now if the state is invalid

    def generator_states(self) -> list[tuple[np.random.Generator, Any]]:
        """The random generators of layers, with the states that they are to have."""
        return self.pairs_with(self.found.facts["generators"])

    def pairs_with(self, states: list[Any]) -> list[tuple[np.random.Generator, Any]]:
        own = generators(self.job.model)
        names = [rng.bit_generator.state["bit_generator"] for rng in own]
        if names != [state["bit_generator"] for state in states]:
            raise SettingError(f"the model has random generators {names}, other ones than the run")
        return list(zip(own, states, strict=True))

    def make(self) -> None:
        job, facts, arrays = self.job, self.found.facts, self.found.arrays
        job.model.load_state_dict(self.states["start"])
        job.first = FirstBatch(**facts["first"]) if facts["first"] else None
        refuse_other_beginning(job, job.first)
        job.model.load_state_dict(self.states["model"])
        for p, array in self.others:
            put_numbers(p, array)
        put_settings(job, facts["set"], facts["sizes"])
        refuse_other_schedule(job, facts["schedule"])
        progress = job.progress
        job.start, progress.last = self.states["start"], self.states["last"] or None
        progress.best = (*facts["best"], self.states["best"]) if facts["best"] else None
        job.optimizer.load_state((arrays["steps"].tolist(), self.memory, facts["schedule"]))
        progress.rule[:] = facts["stopping"]
        for name, own in CURVES.items():
            getattr(progress, own)[:] = as_curve(arrays[f"curve.{name}"].tolist())
        progress.seen, progress.stopped, job.how = facts["seen"], facts["stopped"], facts["how"]
        progress.pending, progress.called, job.written = facts["pending"], facts["called"], facts["written"]
        for rng, state in self.generator_states():
            rng.bit_generator.state = state
        for attributes, name, value in self.numbers:
            attributes[name] = value
        if self.numbers:
            refuse_impossible(job)
        refuse_other_loss(job, facts["present_loss"])
        job.optimizer.rates(job.optimizer.steps, 1)  # raises now if the schedule's numbers give no learning rate
        kept = facts["callbacks"]
        job.note = note_of(kept["lost"]) + note_of_code(job, facts["code"], facts["numbers"])
        job.kept, job.trained = kept["start"], facts["trained"]["start"]
        job.begun.settings, job.begun.numbers = facts["set"]["start"], facts["numbers"]
        job.evaluated = facts["evaluated"]
        for p, flag in zip(job.optimizer.params, facts["trained"]["now"], strict=True):
            if getattr(p, "requires_grad", flag) != flag:
                p.requires_grad = flag
        for attributes, name, value in [*changes(job.settings.callbacks, kept["start"], kept["now"])]:
            put_back(attributes, name, value)
