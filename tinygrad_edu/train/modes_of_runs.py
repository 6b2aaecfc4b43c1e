"""Layers that a callback has left in evaluation mode, in which later epochs train; a resumed run does so, too."""

from __future__ import annotations

from collections.abc import Sequence

from tinygrad_edu.nn.module import Module


def names_evaluated(model: Module) -> list[str]:
    """The names of the modules inside that are in evaluation mode; "" is the model itself."""
    return [name for name, module in model.named_modules() if not module.training]


def begin_modes(model: Module, evaluated: Sequence[str]) -> None:
    """Training mode, but for the layers that were in evaluation mode when an earlier part of the run ended."""
    model.train()
    modules = dict(model.named_modules()) if evaluated else {}
    for name in evaluated:
        if name in modules:
            modules[name].training = False


def are_names(given: object) -> bool:
    return isinstance(given, list) and all(isinstance(name, str) for name in given)


def note_of_evaluated(names: Sequence[str]) -> str:
    """For `run.how`."""
    if not names:
        return ""
    what = "the model" if "" in names else f"the layer {names[0]}"
    return (
        f"; a callback left {what} in evaluation mode, in which later epochs train: if that is not meant, call "
        "model.train() at its end"
    )
