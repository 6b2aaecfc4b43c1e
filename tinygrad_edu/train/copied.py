"""A copy of a run has its own copy of the model; functions are not copied, and may know the first model still."""

from __future__ import annotations

import copy
from typing import Any
from weakref import ref

from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.optim.lr_scheduler_base import LRScheduler
from tinygrad_edu.train.code_of_runs import known_to


class Copied:
    """Models and optimizers that were copied, as long as somebody else holds them; a pickle has none."""

    def __init__(self, *things: Module | Optimizer) -> None:
        self.known = [ref(x) for x in things]

    def __reduce__(self) -> tuple[type[Copied], tuple[()]]:
        return Copied, ()

    def alive(self) -> list[Module | Optimizer]:
        return [x for x in (known() for known in self.known) if x is not None]


def copy_job(job: Any, memo: dict[int, Any]) -> Any:
    """A deep copy, which knows where it comes from."""
    made = memo[id(job)] = object.__new__(type(job))
    first = getattr(job, "copied", Copied())
    vars(made).update(copy.deepcopy(vars(job), memo), copied=Copied(job.model, job.optimizer, *first.alive()))
    return made


def refuse_model_of_another(job: Any) -> None:
    """Refuse a loss or a callback that goes on with the model that was copied. Errors: SettingError."""
    first = getattr(job, "copied", Copied()).alive()
    if not first:
        return
    strange = {id(part) for x in first for part in parts_of(x)} - {id(x) for x in parts_of(job.model)}
    for what, things in (("the loss", [job.loss]), ("a callback", list(job.settings.callbacks))):
        for name, x in known_to({what: things}):
            if id(getattr(x, "optimizer", x) if isinstance(x, LRScheduler) else x) in strange:
                raise SettingError(
                    f"this run is a copy, with a model and an optimizer of its own, but {what} knows those that were "
                    f"copied, as {name.removeprefix(what + '[0].')}: take them from its arguments (a callback has "
                    "job.model and job.optimizer), or resume the run itself"
                )


def parts_of(x: Module | Optimizer) -> list[Any]:
    """A model with its modules and parameters, or an optimizer with its groups and parameters."""
    return [*x.modules(), *x.parameters()] if isinstance(x, Module) else [x, *x.groups, *x.params]
