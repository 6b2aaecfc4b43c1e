"""An nn.MLP that a loop of the user's own has trained: begun anew as it was made, with what diagnose is told of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.foreign_training import Extra, read_losses
from tinygrad_edu.clinic.diagnosis.facts.look import look_at
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import NOT_HELD, Subject, names_in_short, names_missing
from tinygrad_edu.clinic.diagnosis.facts.subject import structure as structure_of
from tinygrad_edu.clinic.diagnosis.facts.subject import training as training_of
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.clinic.diagnosis.facts.twin import of_tensors
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.nn.layers import MLP
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim.named import find, optimizer_for
from tinygrad_edu.train.job import Job, job_of
from tinygrad_edu.train.own_code import for_own_code
from tinygrad_edu.train.recipe import Settings
from tinygrad_edu.train.samples import as_classes

NEEDED = ("loss", "optimizer", "epochs")
EXAMPLE = 'diagnose(model, X, y, loss="mse", optimizer=optimizer, epochs=100, batch_size=16)'
OF_OTHERS = ("class_weight", "callbacks", "scheduler")
ASSUMED = "its start and its batches; here it begins as nn.MLP was made, and each epoch takes a new order of samples"


def is_bare_model(trained: Any) -> bool:
    """Is it a network of this library without a record of its training?"""
    return isinstance(trained, Module) and not hasattr(trained, "coefs_")


def of_own_loop(model: Module, X: Samples, y: Samples, weight: Samples, how: Mapping[str, Any]) -> Subject:
    """Errors: OperandError for another Module, SettingError for what is missing, and those of fit."""
    if type(model) is not MLP:
        raise OperandError(
            f"diagnose takes the run of a {type(model).__name__}, not the model alone: it trains it again, and only an "
            "nn.MLP knows how its weights began. Make the model anew, run = tg.fit(model, X, y, loss=..., "
            "optimizer=..., epochs=...), and diagnose(run); or diagnose_curve(losses), the loss of each epoch"
        )
    refuse(X, y, how)
    job = job_by_words(model, X, y, weight, how)
    inputs, targets = for_own_code(job.model, job.loss, *job.data[:2])
    network, extra, left = of_tensors(model), Extra(), names_missing(job)
    read_losses(extra, how["history"], job.settings.epochs)
    setup = Setup(**structure_of(network, job.start), **training_of(job))
    task = replace(look_at(task_of(inputs, targets, setup)), held_out=job.held_out)
    notes = (ASSUMED, *extra.notes, *([NOT_HELD.format(names_in_short(left))] if left else []))
    return Subject(
        setup, task, network, dict(job.start), extra.losses,
        np.full(len(extra.losses), np.nan), f"{job.settings.epochs} epochs done", extra.validation, notes=notes,
        fixed=left, own_loop=True,
    )  # fmt: skip


def refuse(X: Samples, y: Samples, how: Mapping[str, Any]) -> None:
    """Errors: SettingError for what is missing, and for words of other libraries."""
    missing = [name for name in NEEDED if how[name] is None] + [k for k, x in (("X", X), ("y", y)) if x is None]
    if missing:
        raise SettingError(
            f"{', '.join(missing)} missing: of a model that a loop of your own has trained, diagnose has to be told "
            f"how it was trained, to train it again: {EXAMPLE}. What tg.fit has trained is diagnosed by its run: "
            "run = tg.fit(model, ...), diagnose(run)"
        )
    if given := [name for name in OF_OTHERS if how[name] is not None]:
        raise SettingError(
            f"{', '.join(given)}: for PyTorch and Keras only. Classes are weighed by sample_weight=, and a rate that "
            "changes is given to the optimizer, as optimizer=optim.SGD(model.parameters(), lr=optim.schedules.cosine("
            "0.1, 100))"
        )


def job_by_words(model: MLP, X: Samples, y: Samples, weight: Samples, how: Mapping[str, Any]) -> Job:
    """The training as fit would do it, with the weights that the model had when it was made."""
    rate, optimizer = how["lr"], how["optimizer"]
    if isinstance(optimizer, str):
        optimizer = find(optimizer)(model.parameters(), **({} if rate is None else {"lr": rate}))
    elif rate is not None:
        raise SettingError(f"lr={rate}: the optimizer that was given has a rate of its own: leave lr out")
    settings = Settings(
        loss=how["loss"], epochs=how["epochs"], batch_size=how["batch_size"], validation=how["validation"],
        sample_weight=weight,
    )  # fmt: skip
    job = job_of(model, X, as_classes(y), optimizer_for(optimizer, model.parameters()), settings)
    job.start = first_weights(model)
    return job


def first_weights(model: MLP) -> Mapping[str, Any]:
    """The weights that its class draws with the same arguments; activations have no part in that."""
    rate = model.dropout.p if model.dropout else 0.0
    made = MLP(
        model.sizes, bias=model.bias, init=model.init, seed=model.seed, backend=model.backend, dropout=rate,
        norm=model.norm,
    )  # fmt: skip
    return made.state_dict()
