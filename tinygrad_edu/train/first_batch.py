"""The loss of a run's first batch, which tells whether it is resumed with the same forward, loss, hooks and numbers.

No other fact of a file does where the user's own code takes part. An eager run takes it from its first step, a compiled
one from the comparison before its first epoch, so that a save need not call forward. Only where something that forward
reads in Python has changed since then does a save ask for the present loss, too.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import (
    BuiltinFunctionType,
    ClassMethodDescriptorType,
    MethodDescriptorType,
    MethodWrapperType,
    ModuleType,
    WrapperDescriptorType,
)
from typing import Any

import numpy as np

from tinygrad_edu.compile.python_state import look_of
from tinygrad_edu.compile.user_code import holds_attributes, is_foreign
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.optim import flat
from tinygrad_edu.optim.clip import length
from tinygrad_edu.train.batches import step
from tinygrad_edu.train.changed import changed_by_callbacks
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.model_form import form_of
from tinygrad_edu.train.snapshot import Snapshot, generators
from tinygrad_edu.train.state_outside import trial_of

LARGE = 2**25  # bytes of arrays that forward reads; 160 MB took 1 s of copying at each save
NO_STATE = (
    BuiltinFunctionType, ClassMethodDescriptorType, MethodDescriptorType, MethodWrapperType, WrapperDescriptorType,
)  # fmt: skip
WHOLE = ("numpy", "scipy", "sklearn", "tinygrad_edu")  # libraries whose objects have no state but what is looked at


CLOSE = {
    "loss": 1e-6,
    "gradient": 1e-4,
    "update": 1e-3,
}  # a rule may go by the sign of a gradient, which may be rounding


@dataclass(frozen=True)
class FirstBatch:
    """The loss before a run's first step, the lengths of its gradient and its update, and what the step began with.

    `in_turn`: is the batch the first rows of the data? `states`: those of the model's generators.
    """

    loss: float
    gradient: float
    update: float
    in_turn: bool
    states: Sequence[Mapping[str, Any]]

    @property
    def numbers(self) -> dict[str, float]:
        """What a resumed run is to have too."""
        return {name: getattr(self, name) for name in CLOSE}

    def rows(self, job: Job) -> Any:
        """The places of its samples."""
        size = job.sizes[0][1]
        order = np.empty(0) if self.in_turn else job.orders(np.random.default_rng(job.settings.seed), 1, size)[0]
        return order[:size] if order.size else np.arange(size)


def note_first(job: Job, loss: float, gradient: Any, before: Snapshot, in_turn: bool = False) -> None:
    """Keep what a run's first step has shown; `before`: the state before it."""
    states = [state for _, state in before.generators]
    job.first = FirstBatch(loss, length(gradient), before.distance(), in_turn, states)


def present_loss(job: Job) -> float | None:
    """The loss of the first rows as they are, if the run's own beginning does not tell enough; else None."""
    if job.first is not None and form_of(job.model) == job.form and not changed_by_callbacks(job):
        return None
    if not job.tells_loss:
        return None
    return loss_of(job, np.arange(job.batch_size))


def loss_of(job: Job, rows: Any) -> float | None:
    """The loss of a batch, where the user's own code takes part. None where forward cannot be asked, or raises."""
    with trial_of(job) as (state, _), mode_here(job.model, training=True), np.errstate(all="ignore"):
        if not can_be_tried(job, state):
            return None
        job.tells_loss = sum(getattr(kept.was, "nbytes", 0) for kept in state.kept) < LARGE  # else saves take long
        try:
            return float(job.batch_loss(*[array[rows] for array in job.data]).item())
        except Exception:  # a model that was changed after its run is saved all the same
            return None


def first_step(job: Job, first: FirstBatch) -> FirstBatch | None:
    """The run's first step once more, where the user's own code takes part and it can be tried."""
    with trial_of(job) as (state, before), mode_here(job.model, training=True), np.errstate(all="ignore"):
        if not can_be_tried(job, state):
            return None
        for rng, given in zip(generators(job.model), first.states, strict=True):
            rng.bit_generator.state = given
        loss, params = step(job, first.rows(job)), job.optimizer.params
        return replace(first, loss=loss, gradient=length(flat.gradients(params)), update=before.distance())


def can_be_tried(job: Job, state: Any) -> bool:
    """Is there code of the user's own, and can a call of it be undone?"""
    return state.foreign and not state.opaque and not job.ranks and all(map(is_put_back, state.seen.values()))


def is_put_back(x: Any) -> bool:
    """Can it change only where PythonState looks? A cursor of a data base or a tensor of torch is not looked at."""
    kind = type(x)
    root = str(kind.__module__).partition(".")[0]
    if isinstance(x, (ModuleType, np.random.SeedSequence)):
        return isinstance(x, ModuleType) and not is_foreign(x.__name__)
    if look_of(kind) is not None or holds_attributes(x) or root in WHOLE or isinstance(x, NO_STATE):
        return True
    return root in sys.stdlib_module_names and is_value(x)


def is_value(x: Any) -> bool:
    """Does it never change, as a path or a date? Python's own objects that have a hash by their value do not."""
    try:
        return getattr(type(x), "__hash__", None) is not object.__hash__ and isinstance(hash(x), int)
    except (TypeError, ValueError):
        return False


def refuse_other_beginning(job: Job, first: FirstBatch | None) -> None:
    """Errors: SettingError where the run would begin otherwise. The model has its first weights."""
    now = first_step(job, first) if first is not None else None
    if first is not None and now is not None:
        for name, before in first.numbers.items():
            refuse_other(name, now.numbers[name], before, job, "began")


def refuse_other_loss(job: Job, before: float | None) -> None:
    """Errors: SettingError where the loss of the first rows is another one than when the run was saved."""
    if before is not None:
        refuse_other("loss", loss_of(job, np.arange(job.batch_size)), before, job, "was saved")


def refuse_other(name: str, now: float | None, before: float, job: Job, when: str) -> None:
    single = str(job.data[0].dtype) == "float32"
    close = {"rtol": max(CLOSE[name], 1e-3 * single), "atol": 1e-6 if single else 1e-9}
    if now is None or not np.isclose(now, before, equal_nan=True, **close):
        what = "forward, the loss, a hook or a number that they read"
        what = what if name == "loss" else f"the optimizer's step, {what}"
        size = name if name == "loss" else f"{name} of length"
        raise SettingError(
            f"the first batch has the {size} {now}, and had {before:.6g} when this run {when}: {what} is another one "
            "than then"
        )
