"""What training keeps in Python besides what a file holds: lists, counters, generators, an optimizer's own memory.

A file holds weights, buffers, generators and plain attributes of modules, and the memory of the optimizer's rule. A run
that also depends on a closure's counter, on np.random or on what an optimizer's own `step` remembers would go on from
another state. To notice that, one step is tried twice when a run is resumed: the second time with what the first one
has left in Python. A list that only grows, and results that forward keeps, may differ if they have no effect.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
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

from tinygrad_edu.compile.python_state import ABSENT, Kept, PythonState, look_of
from tinygrad_edu.compile.user_code import holds_attributes, is_foreign, is_own_class, same
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.optim import flat
from tinygrad_edu.train.batches import step
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.snapshot import Snapshot, generators

EACH_STEP = "each step"
LARGE = 2**25  # bytes of arrays that forward reads; 160 MB took 1 s of copying at each save
NO_STATE = (
    BuiltinFunctionType, ClassMethodDescriptorType, MethodDescriptorType, MethodWrapperType, WrapperDescriptorType,
)  # fmt: skip
WHOLE = ("numpy", "scipy", "sklearn", "tinygrad_edu")  # libraries whose objects have no state but what is looked at


def state_outside(job: Job) -> str:
    """What a step changes in Python that no file holds, and that later steps may depend on; "" for nothing."""
    with trial_of(job) as (state, before):
        if state.opaque or not (state.foreign or has_own_step(job.optimizer)):
            return state.opaque if EACH_STEP in state.opaque else ""  # others write files, or keep very much
        own = [*job.model.parameters(), *(x for _, x in job.model.named_buffers()), *generators(job.model)]
        moving = {id(x) for x in (*own, *parts_of(job.optimizer), *job.optimizer.params)}
        first = step_from(job, before)
        changed = [kept for kept in state.kept if id(kept.thing) not in moving and kept.first_change()]
        if not changed or (all(map(only_keeps, changed)) and same(first, step_from(job, before))):
            return ""
        one = next((kept for kept in changed if not only_keeps(kept)), changed[0])
        return f"{EACH_STEP} changes {one.first_change()}"


def first_loss(job: Job) -> float | None:
    """The loss of the first batch, where the user's own code takes part: a resumed run is to have the same.

    It tells another loss function, forward, hook or global number, which no other fact of a file does. None where
    forward cannot be asked once more without a trace of it, raises, or reads so much that each save would take long.
    """
    if not job.tells_loss:
        return None
    with trial_of(job) as (state, _), mode_here(job.model, training=True), np.errstate(all="ignore"):
        if not state.foreign or state.opaque or job.ranks or not all(map(is_put_back, state.seen.values())):
            return None
        job.tells_loss = sum(getattr(kept.was, "nbytes", 0) for kept in state.kept) < LARGE
        try:
            return float(job.batch_loss(*[array[: job.batch_size] for array in job.data]).item())
        except Exception:  # a model that was changed after its run is saved all the same
            return None


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


def refuse_other_loss(job: Job, before: float | None) -> None:
    """Errors: SettingError where the loss of the first batch is another one than when the run was saved."""
    now = first_loss(job) if before is not None else None
    close = {"rtol": 1e-3, "atol": 1e-4} if str(job.data[0].dtype) == "float32" else {"rtol": 1e-6, "atol": 1e-9}
    if before is not None and (now is None or not np.isclose(now, before, equal_nan=True, **close)):
        raise SettingError(
            f"the first batch has the loss {now}, and had {before:.6g} when this run was saved: forward, the loss, a "
            "hook or a number that they read is another one than then"
        )


def refuse_impossible(job: Job) -> None:
    """Try a step. Errors: those of the model, where its attributes do not go together."""
    with trial_of(job) as (_, before):
        step_from(job, before)


def refuse_stale(job: Job) -> None:
    """Refuse an optimizer that was made before a layer was replaced: it would train the old weights, not the new ones.

    Parameters of others are meant where the loss uses them; old ones get no gradient.
    """
    if not job.mixed or job.ranks:
        return
    held, own = {id(p) for p in job.optimizer.params}, {id(p) for p in job.model.parameters()}
    strange = [p for p in job.optimizer.params if id(p) not in own and isinstance(p, Tensor)]
    with trial_of(job), mode_here(job.model, training=True), np.errstate(all="ignore"):
        job.optimizer.zero_grad()
        job.batch_loss(*[array[: job.batch_size] for array in job.data]).backward()
        stale = [p for p in strange if p.grad is None]
    if stale:
        raise SettingError(
            f"the optimizer holds {len(stale)} parameters that neither model nor loss uses, such as "
            f"{stale[0].label or 'one'} of shape {stale[0].shape}, and lacks {len(own - held)} of the model's: was a "
            f"layer replaced after it was made? Make it again: optim.{type(job.minimizer or job.optimizer).__name__}"
            "(model.parameters())"
        )


@contextmanager
def trial_of(job: Job) -> Iterator[tuple[PythonState, Snapshot]]:
    """What is done to model, optimizer and the state in Python is undone at the end."""
    optimizer = {"optimizer": vars(job.optimizer)} if has_own_step(job.optimizer) else {}
    state, before = PythonState(**job.roots | optimizer), Snapshot(job.model, job.optimizer)
    both = {id(p): p for p in (*job.optimizer.params, *job.model.parameters())}
    grads = [(p, p.grad, p._spent) for p in both.values()]
    try:
        yield state, before
    finally:
        before.restore()
        state.restore()
        for p, grad, spent in grads:
            p.grad, p._spent = grad, spent


def has_own_step(optimizer: Any) -> bool:
    """Does it have a step or a zero_grad that the user wrote?"""
    return is_own_class(type(optimizer)) or bool({"step", "zero_grad"} & vars(optimizer).keys())


def parts_of(optimizer: Any) -> list[Any]:
    """The objects of an optimizer that a step changes, and a file holds."""
    return [x for own in (optimizer, *optimizer.groups) for x in (own.t, own.memory, own.schedule)]


def step_from(job: Job, before: Snapshot) -> list[Any]:
    """Loss, and weights after a step by the first batch; what a file holds is as before then."""
    with mode_here(job.model, training=True), np.errstate(all="ignore"):
        loss = step(job, np.arange(job.batch_size))
    after = flat.weights(job.optimizer.params)
    before.restore()
    return [loss, after]


def only_keeps(kept: Kept) -> bool:
    """Is it a list that has grown, or a place that holds another Tensor or container than before?"""
    now, was = kept.read(), kept.was
    if isinstance(was, (list, tuple)):
        return len(now) > len(was) and all(map(same, now, was))
    if isinstance(was, set):
        return bool(now > was)
    if not isinstance(was, dict):
        return is_result(now)
    changed = [key for key in {**now, **was} if not same(now.get(key, ABSENT), was.get(key, ABSENT))]
    return all(is_result(now.get(key, ABSENT)) for key in changed)


def is_result(x: Any) -> bool:
    """Is it a Tensor, a Value, an array of Values, or a container?"""
    return isinstance(x, (Tensor, Value, list, tuple, dict)) or getattr(x, "dtype", None) == np.dtype(object)
