"""Learning rates that change: schedulers of PyTorch, schedules and callbacks of Keras, as schedules of this library."""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

import numpy as np

from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import schedules
from tinygrad_edu.optim.schedule import Schedule, declare_schedule

Array = np.ndarray[Any, Any]
BY_BATCH = ("OneCycleLR", "CyclicLR")  # schedulers meant to step after each batch, if the program does not show it
CLOSE = 1e-6


# PyTorch


def of_torch(scheduler: Any, epochs: int, batches: int, lr: float | None = None) -> Schedule:
    """A scheduler of torch.optim.lr_scheduler from its first step on.

    epochs and batches: of the training, which say whether it was stepped after each batch. lr: the rate at the start,
    where the scheduler does not keep it. Errors: SettingError for one whose rates cannot be told.
    """
    kind = type(scheduler).__name__
    if kind == "ReduceLROnPlateau":
        return plateau_of_torch(scheduler, lr)
    done = int(getattr(scheduler, "last_epoch", 0))
    by_batch = done > 1.5 * epochs if done else kind in BY_BATCH
    count = max(epochs * (batches if by_batch else 1), done) + 1
    rates = rates_of(scheduler, count)
    last = float(scheduler.get_last_lr()[0])
    if done and not math.isclose(float(rates[done]), last, rel_tol=CLOSE, abs_tol=1e-15):
        raise SettingError(f"{kind}: begun again it comes to the rate {rates[done]:.4g} in step {done}, not {last:.4g}")
    return of_table(kind, rates, 1 if by_batch else batches)


class Rates:
    """Rates in their order, as shares of the first that is not 0, named after what gave them."""

    def __init__(self, name: str, shares: Array) -> None:
        self.__name__, self.shares = name, shares

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Rates) and np.array_equal(self.shares, other.shares)

    def __hash__(self) -> int:
        return hash(self.shares.tobytes())


@declare_schedule(tail=lambda lr, shares, each: None)
def by_table(t: Any, lr: float, shares: Rates, each: int) -> Any:
    """η(t) = lr·shares[t // each], and the last one from then on."""
    place = np.minimum(np.asarray(t, dtype=np.int64) // each, len(shares.shares) - 1)
    return lr * shares.shares[place]


def of_table(name: str, rates: Array, each: int) -> Schedule:
    """A schedule that takes the rates in order, each for `each` steps, and keeps the last one."""
    first = next((float(rate) for rate in rates if rate > 0.0), 1.0)
    return by_table(first, Rates(name, np.asarray(rates, dtype=float) / first), each)


def plateau_of_torch(scheduler: Any, lr: float | None) -> Schedule:
    if scheduler.mode != "min" or scheduler.threshold_mode != "rel":
        raise SettingError("ReduceLROnPlateau: only mode='min', threshold_mode='rel' has a counterpart")
    group = scheduler.optimizer.param_groups[0]
    first = lr if lr is not None else group.get("initial_lr", None if scheduler.last_epoch > 0 else group["lr"])
    if first is None:
        raise SettingError("ReduceLROnPlateau does not keep the rate it started with: give lr=")
    final = float(np.ravel(getattr(scheduler, "min_lrs", 0.0))[0])
    return schedules.reduce_on_plateau(
        float(first), float(scheduler.factor), int(scheduler.patience), float(scheduler.threshold),
        int(scheduler.cooldown), final,
    )  # fmt: skip


def rates_of(scheduler: Any, count: int) -> Array:
    """The rates of its first group, from the first on, (count,)."""
    kind, parts = type(scheduler).__name__, list(getattr(scheduler, "_schedulers", ()))
    if kind == "SequentialLR":
        starts = [0, *scheduler._milestones]
        rows = [rates_of(part, count) for part in parts]
        which = np.searchsorted(starts, np.arange(count), side="right") - 1
        return np.array([rows[i][t - starts[i]] for t, i in enumerate(which)])
    if kind == "ChainedScheduler":
        first = first_rate(parts[0])
        return np.asarray(first * np.prod([rates_of(part, count) / first for part in parts], axis=0))
    return step_copy(scheduler, count)


def first_rate(scheduler: Any) -> float:
    group = scheduler.optimizer.param_groups[0]
    return float(group.get("initial_lr", group["lr"]))


def step_copy(scheduler: Any, count: int) -> Array:
    """A copy of it, with an optimizer of its own, from its first step on. Errors: SettingError."""
    import warnings

    torch = import_module("torch")
    optimizer, twin = scheduler.optimizer, copy.copy(scheduler)
    groups = [
        {**group, "params": [torch.zeros(1, requires_grad=True)], "lr": group.get("initial_lr", group["lr"])}
        for group in optimizer.param_groups
    ]
    twin.optimizer, twin.last_epoch, twin._step_count = type(optimizer)(groups), -1, 0
    if hasattr(twin, "T_0"):
        twin.T_cur, twin.T_i = -1, twin.T_0
    found = []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about an optimizer that was never stepped
            for t in range(count):
                twin._is_initial = t == 0  # set during the first step only, as by its constructor
                twin.step()
                found.append(float(twin.optimizer.param_groups[0]["lr"]))
    except Exception as problem:  # the user's scheduler may raise anything, and OneCycleLR raises at its end
        if not found:
            raise SettingError(f"{type(scheduler).__name__}: its rates cannot be found out ({problem})") from None
    return np.array(found + found[-1:] * (count - len(found)))


# Keras


def of_keras(schedule: Any) -> Schedule:
    """A keras.optimizers.schedules object, or the config of one. Errors: SettingError for one without a counterpart."""
    if isinstance(schedule, Mapping):
        kind, config = str(schedule["class_name"]), schedule["config"]
    else:
        kind, config = type(schedule).__name__, schedule.get_config()
    if kind not in KERAS:
        raise SettingError(f"{kind} has no counterpart: {', '.join(KERAS)} have")
    return KERAS[kind](config)


def exponential(c: Mapping[str, Any]) -> Schedule:
    lr, steps, factor = float(c["initial_learning_rate"]), int(c["decay_steps"]), float(c["decay_rate"])
    if c.get("staircase"):
        return schedules.step(lr, steps, factor)
    return schedules.exponential(lr, factor ** (1.0 / steps))


def inverse_time(c: Mapping[str, Any]) -> Schedule:
    lr, steps, decay = float(c["initial_learning_rate"]), float(c["decay_steps"]), float(c["decay_rate"])
    if c.get("staircase"):
        raise SettingError("InverseTimeDecay(staircase=True) has no counterpart")
    return schedules.inverse_time(lr, decay / steps)


def cosine(c: Mapping[str, Any]) -> Schedule:
    if c.get("warmup_target") is not None or c.get("warmup_steps"):
        raise SettingError("CosineDecay(warmup_target=...) has no counterpart")
    lr = float(c["initial_learning_rate"])
    return schedules.cosine(lr, int(c["decay_steps"]), float(c.get("alpha", 0.0)) * lr)


def polynomial(c: Mapping[str, Any]) -> Schedule:
    lr, end, power = float(c["initial_learning_rate"]), float(c["end_learning_rate"]), float(c.get("power", 1.0))
    t = np.arange(int(c["decay_steps"]) + 1)
    if c.get("cycle"):
        raise SettingError("PolynomialDecay(cycle=True) has no counterpart")
    return of_table("PolynomialDecay", end + (lr - end) * (1.0 - t / t[-1]) ** power, 1)


KERAS: dict[str, Callable[[Mapping[str, Any]], Schedule]] = {
    "ExponentialDecay": exponential,
    "InverseTimeDecay": inverse_time,
    "CosineDecay": cosine,
    "PolynomialDecay": polynomial,
    "PiecewiseConstantDecay": lambda c: schedules.piecewise(
        [int(b) + 1 for b in c["boundaries"]], [float(x) for x in c["values"]]
    ),
}


def by_epoch(function: Callable[..., float], lr: float, epochs: int, batches: int) -> Schedule:
    """The schedule of Keras' callback LearningRateScheduler, given as function(epoch, lr) or function(epoch)."""
    rates, rate = [], lr
    for epoch in range(epochs):
        try:
            rate = float(function(epoch, rate))
        except TypeError:
            rate = float(function(epoch))
        rates.append(rate)
    return of_table("LearningRateScheduler", np.array(rates or [lr]), batches)
