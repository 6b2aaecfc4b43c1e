"""A Run that was read from a file, given what it lacks to be trained again: its data, its start, its optimizer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from tinygrad_edu.errors import TinygradError
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.named import optimizer_classes
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.optim.schedule_text import schedule_of
from tinygrad_edu.train.job import Job, job_of
from tinygrad_edu.train.recipe import Recipe, Settings
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.samples import as_classes
from tinygrad_edu.train.stored import rebuild_mlp


def why_not(run: Run, X: Any, y: Any) -> str:
    """What is missing to train the run again, in a sentence; "" if nothing."""
    config = run.config
    if "shuffle" not in config:
        return "it is not a run of fit, whose settings say how to train again"
    if X is None or y is None:
        return "a file holds no samples: give X and y, those that it was trained on"
    if not isinstance(config["model"], dict) or not isinstance(run.model, MLP | None):
        return "only an nn.MLP can be made as it began by what a file says of it"
    if run.model is None:
        return "the file holds curves alone: to a path that does not end in .json, Run.save writes the weights too"
    if config["sample_weight"]:
        return "the samples were weighted, and their weights are not in the file"
    return unreadable(config)


def unreadable(config: Mapping[str, Any]) -> str:
    """The first setting that is a user's own function, of which a file holds only the name."""
    rate = config["lr"]
    readable = {
        "loss": config["loss"] in LOSSES,
        "optimizer": config["optimizer"] in optimizer_classes(),
        "lr": rate is None or isinstance(rate, (int, float, Schedule)) or schedule_of(rate) is not None,
    }
    missing = [f"{name}={config[name]}" for name, found in readable.items() if not found]
    try:
        MLP(**config["model"])
    except TinygradError as problem:
        missing.append(str(problem))
    return f"a file has only its name: {missing[0]}" if missing else ""


def with_job(run: Run, X: Any, y: Any) -> Run:
    """The run with its job, as `fit` keeps it, rebuilt from the settings. Errors: those of fit for X and y."""
    config = run.config
    model = rebuild_mlp(config, MLP(**config["model"]).state_dict())
    share = config["validation"]
    whole_set = isinstance(share, (int, float)) and len(X) - round(share * len(X)) == config["samples"]
    recipe = Recipe.of_record(config)
    settings = Settings(**recipe.plan, validation=share if whole_set else None)
    job: Job = job_of(model, X, as_classes(y), recipe.make_optimizer(model.parameters()), settings)
    return replace(run, job=job)


def other_data(run: Run) -> list[str]:
    """How the samples differ from those of the training, where their number shows it."""
    ours, theirs = run.job.samples, run.config["samples"]
    return (
        [] if ours == theirs else [f"the run on its own data: it was trained on {theirs} samples, and here are {ours}"]
    )
