"""What training keeps in Python besides what a file holds: lists, counters, generators, an optimizer's own memory.

A file holds weights, buffers, generators and plain attributes of modules, and the memory of the optimizer's rule. A run
that also depends on a closure's counter, on np.random or on what an optimizer's own `step` remembers would go on from
another state. To notice that, one step is tried twice when a run is resumed: the second time with what the first one
has left in Python. A list that only grows, and results that forward keeps, may differ if they have no effect.
"""

from __future__ import annotations

import decimal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.compile.kept import Kept
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.compile.user_code import ABSENT, is_own_class, same
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.kept import untrained
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.nn.parameters import trained
from tinygrad_edu.optim import flat
from tinygrad_edu.train.batches import step
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.snapshot import Snapshot, generators

EACH_STEP = "each step"


def state_outside(job: Job) -> str:
    """What a step changes in Python that no file holds, and that later steps may depend on; "" for nothing."""
    with trial_of(job) as (state, before):
        if state.opaque or not (state.foreign or has_own_step(job.optimizer)):
            return state.opaque if EACH_STEP in state.opaque else ""  # others write files, or keep very much
        own = [*job.model.parameters(), *(x for _, x in untrained(job.model)), *generators(job.model)]
        moving = {id(x) for x in (*own, *parts_of(job.optimizer), *job.optimizer.params)}
        first = step_from(job, before)
        changed = [kept for kept in state.kept if id(kept.thing) not in moving and kept.first_change()]
        if not changed or (all(map(only_keeps, changed)) and same(first, step_from(job, before))):
            return ""
        one = next((kept for kept in changed if not only_keeps(kept)), changed[0])
        return f"{EACH_STEP} changes {one.first_change()}"


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
    held, every = {id(p) for p in job.optimizer.params}, {id(p): p for p in job.model.parameters()}
    strange = [p for p in job.optimizer.params if id(p) not in every and isinstance(p, Tensor)]
    lacking = [p for p in trained(every.values()) if id(p) not in held]
    with trial_of(job), mode_here(job.model, training=True), np.errstate(all="ignore"):
        job.optimizer.zero_grad()
        job.batch_loss(*[array[: job.batch_size] for array in job.data]).backward()
        stale = [p for p in strange if p.grad is None]
    if stale:
        raise SettingError(
            f"the optimizer holds {len(stale)} parameters that neither model nor loss uses, such as "
            f"{stale[0].label or 'one'} of shape {stale[0].shape}, and lacks {len(lacking)} of the model's: was a "
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
        with decimal.localcontext():  # it is not part of any object
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
