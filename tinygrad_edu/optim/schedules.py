"""Schedules: the learning rate η as a function of the step t = 0, 1, 2, ... (t = 0 is the first step).

Each function makes a small object that is called with t, can be printed, and goes to an optimizer: SGD(p, schedule).
Two of them follow the loss instead: pass them the loss of each epoch with `observe`.

>>> [round(cosine(1.0, steps=4)(t), 3) for t in range(6)]
[1.0, 0.854, 0.5, 0.146, 0.0, 0.0]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from tinygrad_edu.checks import whole
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.elsewhere import habits
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim.schedule import (
    LearningRate,
    Schedule,
    as_schedule,
    by_function,
    check_settings,
    constant,
    declare_schedule,
)

__all__ = [
    "Plateau", "Schedule", "adaptive", "as_schedule", "by_function", "constant", "cosine", "cosine_restarts",
    "exponential", "inverse_power", "inverse_time", "invscaling", "one_cycle", "piecewise", "reduce_on_plateau",
    "step", "warmup",
]  # fmt: skip

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)


def geometric(factor: float, **_: Any) -> float:
    """The tail p of a power of `factor`."""
    return 0.0 if factor == 1 else math.inf


@declare_schedule(tail=lambda lr, decay: 1.0 if decay > 0 else 0.0)
def inverse_time(t: ArrayLike, lr: float, decay: float = 1.0) -> Any:
    """η(t) = lr / (1 + decay·t). (Robbins and Monro 1951)

    lr: the rate at t = 0.
    decay: how fast the rate falls, per step; 1.

    >>> inverse_time(0.1)(9)
    0.01
    """
    return lr / (1.0 + decay * t)


@declare_schedule(tail=lambda lr, power: power)
def inverse_power(t: ArrayLike, lr: float, power: float = 1.0) -> Any:
    """η(t) = lr / (t + 1)ᵖ.

    lr: the rate at t = 0.
    power: the exponent p; 1.

    >>> inverse_power(0.1, power=0.5)(3)
    0.05
    """
    return lr * (t + 1.0) ** -power


@declare_schedule(tail=geometric)
def exponential(t: ArrayLike, lr: float, factor: float) -> Any:
    """η(t) = lr · factorᵗ, with factor in (0, 1]; PyTorch's ExponentialLR.

    lr: the rate at t = 0.
    factor: what the rate is multiplied by at each step, in (0, 1].

    >>> exponential(0.8, factor=0.5)(3)
    0.1
    """
    return lr * factor ** (1.0 * t)


@declare_schedule(tail=geometric)
def step(t: ArrayLike, lr: float, every: int, factor: float = 0.1) -> Any:
    """η(t) = lr · factor^⌊t/every⌋, with factor in (0, 1]; PyTorch's StepLR.

    lr: the rate at t = 0.
    every: the number of steps between two cuts.
    factor: what the rate is multiplied by at each cut, in (0, 1]; 0.1.

    >>> [step(1.0, every=2, factor=0.5)(t) for t in range(5)]
    [1.0, 1.0, 0.5, 0.5, 0.25]
    """
    return lr * factor ** (1.0 * (t // every))


@declare_schedule(tail=lambda final, **_: 0.0 if final > 0 else math.inf)
def cosine(t: ArrayLike, lr: float, steps: int, final: float = 0.0) -> Any:
    """η(t) = final + (lr - final)·(1 + cos(πt/steps))/2 up to t = steps, then final. (Loshchilov and Hutter 2017)

    PyTorch's CosineAnnealingLR rises again afterwards; this one stays at `final`.
    lr: the rate at t = 0.
    steps: the number of steps until `final` is reached.
    final: the rate at the end; 0.

    >>> cosine(0.1, steps=100)(50)
    0.05
    """
    done = ops.minimum(t / steps, 1.0)
    return final + (lr - final) * (0.5 + 0.5 * ops.cos(math.pi * done))


@declare_schedule(tail=lambda lr, **_: 0.0)
def cosine_restarts(t: ArrayLike, lr: float, steps: int, mult: int = 1, final: float = 0.0) -> Any:
    """η falls from lr to `final` along a cosine and restarts after `steps`, then steps·mult, steps·mult², ... steps.

    PyTorch's CosineAnnealingWarmRestarts, with steps for T_0 and mult for T_mult. (Loshchilov and Hutter 2017)
    lr: the rate at each start.
    steps: the number of steps before the first restart.
    mult: how many times as long each period is as the last one; 1.
    final: the rate at the end of each period; 0.

    >>> [round(cosine_restarts(1.0, steps=2)(t), 3) for t in range(5)]
    [1.0, 0.5, 1.0, 0.5, 1.0]
    """
    if mult == 1:
        done = (t % steps) / steps
    else:
        # Restart number n begins at step steps·(multⁿ - 1)/(mult - 1); 1e-12 keeps the logarithm from rounding below n.
        n = np.floor(np.log(t / steps * (mult - 1.0) + 1.0) / math.log(mult) + 1e-12)
        done = (t - steps * (mult**n - 1.0) / (mult - 1.0)) / (steps * mult**n)
    return final + (lr - final) * (0.5 + 0.5 * ops.cos(math.pi * done))


@declare_schedule(tail=lambda lr, **_: 0.0)
def one_cycle(
    t: ArrayLike, lr: float, steps: int, rise: float = 0.3, div_factor: float = 25.0, final_div_factor: float = 1e4
) -> Any:
    """η rises from lr/div_factor to lr in the share `rise` of the steps, then falls to lr/div_factor/final_div_factor.

    Both along cosines; after `steps` it stays there. PyTorch's OneCycleLR, with lr for max_lr and rise for pct_start.
    (Smith and Topin 2019)
    lr: the largest rate.
    steps: the number of steps of the whole cycle.
    rise: the share of the steps in which the rate rises; 0.3.
    div_factor: the largest rate over the first one; 25.
    final_div_factor: the first rate over the last one; 10,000.

    >>> [round(one_cycle(1.0, steps=6, rise=0.5)(t), 3) for t in range(6)]
    [0.04, 0.52, 1.0, 0.75, 0.25, 0.0]
    """
    first, last, top = lr / div_factor, lr / div_factor / final_div_factor, rise * steps - 1.0
    up = np.clip(t / ops.maximum(top, 1e-12), 0.0, 1.0)
    down = np.clip((t - top) / (steps - 1.0 - top), 0.0, 1.0)
    rising = lr + (first - lr) * (0.5 + 0.5 * ops.cos(math.pi * up))
    falling = last + (lr - last) * (0.5 + 0.5 * ops.cos(math.pi * down))
    return ops.where(t <= top, rising, falling)


@declare_schedule(tail=lambda schedule, steps: schedule.tail())
def warmup(t: ArrayLike, schedule: LearningRate, steps: int) -> Any:
    """η(t) = η₀·(t + 1)/(steps + 1) for t < steps, with η₀ = schedule(0); from then on schedule(t - steps).

    `schedule` may be a number: a constant after the warm-up.
    schedule: the schedule after the warm-up, or a number.
    steps: the number of steps of the warm-up.

    >>> [warmup(inverse_time(1.0), steps=3)(t) for t in range(6)]
    [0.25, 0.5, 0.75, 1.0, 0.5, 0.3333333333333333]
    """
    rising = schedule.at(0) * (t + 1.0) / (steps + 1.0)
    return ops.where(t < steps, rising, schedule.at(ops.maximum(t - steps, 0)))


def piecewise(boundaries: Sequence[int], rates: Sequence[LearningRate]) -> Schedule:
    """η(t) = rates[0] for t < boundaries[0], rates[1] for boundaries[0] ≤ t < boundaries[1], and so on.

    There is one more rate than boundaries. Each is a number or a schedule, which counts its own steps from 0.
    boundaries: the steps at which the next rate begins, in increasing order.
    rates: numbers or schedules, one more than boundaries.
    Errors: SettingError if the boundaries do not increase, or there are not as many as the rates need.

    >>> [piecewise([2, 4], [0.1, 0.01, 0.001])(t) for t in (0, 1, 2, 4, 99)]
    [0.1, 0.1, 0.01, 0.001, 0.001]
    """
    if len(rates) != len(boundaries) + 1:
        raise SettingError(
            f"piecewise: {len(boundaries)} boundaries separate {len(boundaries) + 1} rates, not {len(rates)}"
        )
    for i, t in enumerate(boundaries):
        whole("boundary", t, 1)
        if i and t <= boundaries[i - 1]:
            raise SettingError(f"piecewise: the boundaries {list(boundaries)} have to increase")
    parts = tuple(map(as_schedule, rates))
    return Schedule(
        piecewise, pieces, lambda rates, **_: rates[-1].tail(), {"boundaries": tuple(boundaries), "rates": parts}
    )


def pieces(t: ArrayLike, boundaries: Sequence[int], rates: Sequence[Schedule]) -> Any:
    """The formula of `piecewise`."""
    rate = rates[0].at(t)
    for start, part in zip(boundaries, rates[1:], strict=True):
        rate = ops.where(t >= start, part.at(ops.maximum(t - start, 0)), rate)
    return rate


@declare_schedule(tail=lambda power, **_: power)
def invscaling(t: ArrayLike, lr: float, power: float = 0.5, samples: int = 1, batch_size: int = 1) -> Any:
    """η(t) = lr / (n + 1)ᵖ, where n is the number of samples in all earlier epochs; scikit-learn's `invscaling`.

    An epoch has `samples` samples in ⌈samples/batch_size⌉ steps. Without these two numbers n = t.
    lr: the rate of the first epoch.
    power: the exponent p.
    samples: the number of samples in an epoch; 1.
    batch_size: the number of samples in a batch; 1.

    >>> [round(invscaling(1.0, samples=8, batch_size=4)(t), 6) for t in range(5)]
    [1.0, 1.0, 0.333333, 0.333333, 0.242536]
    """
    epoch = t // -(-samples // batch_size)
    return lr * (samples * epoch + 1.0) ** -power


class Plateau(Schedule):
    """A rate that falls when the loss does not: call `observe(loss)` after each epoch; t is not used.

    `rate`, the current one; `best`, the loss to improve on; `bad_epochs`, how many epochs in a row did not improve;
    `finished`, whether the rate should have fallen once more and could not.

    >>> schedule = reduce_on_plateau(0.1, patience=0)
    >>> schedule.observe(1.0); schedule.observe(2.0)
    >>> schedule.bad_epochs, round(schedule.rate, 6), schedule.best
    (0, 0.01, 1.0)
    """

    follows_loss = True

    def __init__(self, maker: Callable[..., Schedule], parameters: dict[str, Any]) -> None:
        super().__init__(maker, lambda t, **_: self.rate, lambda **_: None, check_settings(parameters))
        self.rate, self.best = float(self.parameters["lr"]), math.inf
        self.bad_epochs, self.resting, self.finished = 0, 0, False

    def tail(self) -> float | None:
        """0 if the rate has a positive lower bound; otherwise its end depends on the losses."""
        return 0.0 if self.floor > 0 else None

    @property
    def floor(self) -> float:
        """The rate no longer falls once it is at or below this."""
        return float(self.parameters["final"])

    def observe(self, loss: float) -> None:
        """Count the epochs without improvement, and lower the rate after more than `patience` of them."""
        if self.better(loss):
            self.best, self.bad_epochs = float(loss), 0
        else:
            self.bad_epochs += 1
        if self.resting:
            self.resting, self.bad_epochs = self.resting - 1, 0
        if self.bad_epochs > self.parameters["patience"]:
            self.bad_epochs, self.resting = 0, self.parameters.get("cooldown", 0)
            self.finished = self.rate <= self.floor
            self.rate = self.rate if self.finished else self.lower()

    def better(self, loss: float) -> bool:
        """Is the loss below the best one by more than the share `threshold` of it?"""
        return bool(loss < self.best * (1.0 - self.parameters["threshold"]))

    def lower(self) -> float:
        """The next rate."""
        return float(max(self.rate * self.parameters["factor"], self.floor))

    def state(self) -> Any:
        """Its memory of the losses, to go back to."""
        return [self.rate, self.best, self.bad_epochs, self.resting, self.finished]

    def load_state(self, state: Any) -> None:
        """Go back to an earlier `state()`."""
        self.rate, self.best, self.bad_epochs, self.resting, self.finished = state


class Adaptive(Plateau):
    """scikit-learn's `adaptive`: improvement is absolute, and the rate is divided by 5 until it is at most 1e-6."""

    floor = 1e-6

    def observe(self, loss: float) -> None:
        """Like Plateau, but any lower loss, however close, becomes the one to improve on."""
        super().observe(loss)
        self.best = min(self.best, float(loss))

    def better(self, loss: float) -> bool:
        """Is the loss below the best one by at least `tol`?"""
        return bool(loss <= self.best - self.parameters["tol"])

    def lower(self) -> float:
        """A fifth of the rate."""
        return self.rate / 5.0


def reduce_on_plateau(
    lr: float,
    factor: float = 0.1,
    patience: int = 10,
    threshold: float = 1e-4,
    cooldown: int = 0,
    final: float = 0.0,
) -> Schedule:
    """η ← max(η·factor, final) after more than `patience` epochs in a row without improvement; ReduceLROnPlateau.

    An epoch improves if its loss is below the best one by more than the share `threshold` of it. After each cut,
    `cooldown` epochs are not counted. Pass it the loss of each epoch with `observe(loss)`.
    lr: the initial learning rate.
    factor: what the rate is multiplied by; 0.1.
    patience: the number of epochs in a row without improvement that are allowed; 10.
    threshold: the relative fall of the loss that counts as an improvement; 1e-4.
    cooldown: the number of epochs that are not counted after a cut; 0.
    final: the smallest rate; 0.

    >>> schedule = reduce_on_plateau(0.1, factor=0.5, patience=1)
    >>> for loss in (1.0, 0.9, 0.9, 0.9): schedule.observe(loss)
    >>> schedule(4)
    0.05
    """
    given = {"lr": lr, "factor": factor, "patience": patience, "threshold": threshold, "cooldown": cooldown}
    return Plateau(reduce_on_plateau, {**given, "final": final})


def adaptive(lr: float, tol: float = 1e-4, patience: int = 10) -> Schedule:
    """η ← η/5 after more than `patience` epochs without a loss at least `tol` below the best; scikit-learn's.

    Once η is at most 1e-6 it stays, and `.finished` becomes True when scikit-learn would stop. `patience` is its
    n_iter_no_change.
    lr: the initial learning rate.
    tol: how far below the best loss an epoch has to get; 1e-4.
    patience: the number of epochs in a row that may fail to; 10.

    >>> schedule = adaptive(0.1, patience=0)
    >>> schedule.observe(1.0); schedule.observe(1.0); schedule(2)
    0.02
    """
    return Adaptive(adaptive, {"lr": lr, "tol": tol, "patience": patience})
