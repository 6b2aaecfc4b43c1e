"""PyTorch's learning rate schedulers, for loops that say scheduler.step() after each epoch.

They set the optimizer's rates from outside. In a program of your own, give the optimizer a schedule instead, as in
`SGD(params, lr=schedules.step(0.1, every=30))`: that needs no second object, and `fit` compiles it.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_edu import checks
from tinygrad_edu.elsewhere import habits
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim.optimizer import Optimizer

Rate = Callable[[int], float]


class LRScheduler:
    """A scheduler: `step()` after each epoch sets the rate of every group to its first rate times `factor(epoch)`.

    optimizer: whose rates it sets, starting at once.
    Errors: SettingError for settings out of range, or an optimizer whose rate is a schedule already.

    >>> from tinygrad_edu import Value, optim
    >>> optimizer = optim.SGD([Value(1.0)], lr=0.1)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(3):
    ...     scheduler.step()
    >>> optimizer.lr, scheduler.get_last_lr()
    (0.05, [0.05])
    """

    def __init__(self, optimizer: Optimizer) -> None:
        if not isinstance(optimizer, Optimizer):
            raise SettingError(f"{type(self).__name__} takes an optimizer, not {optimizer!r:.60}")
        scheduled = [own.schedule for own in optimizer.parts if own.schedule.kind != "constant"]
        if scheduled:
            raise SettingError(
                f"{type(self).__name__}: the optimizer's rate is a schedule already, {scheduled[0]!r}: make it "
                "with a number"
            )
        self.optimizer, self.last_epoch = optimizer, 0
        self.base_lrs = [own.lr for own in optimizer.parts]
        self.set_rates()

    def factor(self, epoch: int) -> float:
        """What the first rate is multiplied by in an epoch, counted from 0."""
        raise NotImplementedError(f"{type(self).__name__} has no factor(epoch)")

    def rate(self, base: float, epoch: int, group: int) -> float:
        """The rate of a group in an epoch."""
        return base * self.factor(epoch)

    def set_rates(self) -> None:
        """Write the rates of this epoch into the optimizer."""
        for i, own in enumerate(self.optimizer.parts):
            own.lr = self.rate(self.base_lrs[i], self.last_epoch, i)

    def step(self) -> None:
        """The next epoch."""
        self.last_epoch += 1
        self.set_rates()

    def get_last_lr(self) -> list[float]:
        """The rate of each group."""
        return [own.lr for own in self.optimizer.parts]

    def state_dict(self) -> dict[str, Any]:
        """What has to be kept to go on later: numbers and lists."""
        return {name: x for name, x in vars(self).items() if isinstance(x, (int, float, list)) or x is None}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a kept state."""
        vars(self).update(state)
        self.set_rates()


class LambdaLR(LRScheduler):
    """η = η₀·f(epoch).

    lr_lambda: f, or a list with one for each group.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Rate | Sequence[Rate]) -> None:
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, Sequence) else None
        self.lr_lambda = lr_lambda
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        f: Any = self.lr_lambda if self.lr_lambdas is None else self.lr_lambdas[group]
        return base * float(f(epoch))

    def state_dict(self) -> dict[str, Any]:
        """As for every scheduler; functions are not kept."""
        return {name: x for name, x in super().state_dict().items() if name != "lr_lambdas"}


class StepLR(LRScheduler):
    """η = η₀·γ^⌊epoch/step_size⌋.

    step_size: after how many epochs the rate falls.
    gamma: γ.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1) -> None:
        self.step_size = checks.whole("step_size", step_size, 1, "StepLR")
        self.gamma = checks.number("gamma", gamma, "[0, inf)", "StepLR")
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.gamma ** (epoch // self.step_size)


class MultiStepLR(LRScheduler):
    """η = η₀·γⁿ, where n of the milestones are reached.

    milestones: the epochs at which the rate falls, in increasing order.
    gamma: γ.
    """

    def __init__(self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1) -> None:
        self.milestones, self.gamma = sorted(milestones), checks.number("gamma", gamma, "[0, inf)", "MultiStepLR")
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.gamma ** bisect_right(self.milestones, epoch)


class ExponentialLR(LRScheduler):
    """η = η₀·γ^epoch.

    gamma: γ.
    """

    def __init__(self, optimizer: Optimizer, gamma: float) -> None:
        self.gamma = checks.number("gamma", gamma, "[0, inf)", "ExponentialLR")
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.gamma**epoch


class ConstantLR(LRScheduler):
    """η = η₀·factor for the first `total_iters` epochs, then η₀.

    factor: what the rate is multiplied by at first.
    total_iters: for how many epochs.
    """

    def __init__(self, optimizer: Optimizer, factor: float = 1.0 / 3.0, total_iters: int = 5) -> None:
        self.first, self.total_iters = checks.number("factor", factor, "[0, inf)", "ConstantLR"), total_iters
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        return self.first if epoch < self.total_iters else 1.0


class LinearLR(LRScheduler):
    """η rises or falls evenly from η₀·start_factor to η₀·end_factor within `total_iters` epochs.

    start_factor: what the rate is multiplied by at first.
    end_factor: and in the end.
    total_iters: the number of epochs between them.
    """

    def __init__(
        self, optimizer: Optimizer, start_factor: float = 1.0 / 3.0, end_factor: float = 1.0, total_iters: int = 5
    ) -> None:
        self.start_factor, self.end_factor = start_factor, end_factor
        self.total_iters = checks.whole("total_iters", total_iters, 1, "LinearLR")
        super().__init__(optimizer)

    def factor(self, epoch: int) -> float:
        share = min(epoch, self.total_iters) / self.total_iters
        return self.start_factor + (self.end_factor - self.start_factor) * share


class CosineAnnealingLR(LRScheduler):
    """η = η_min + (η₀ - η_min)(1 + cos(π·epoch/T_max))/2.

    T_max: the epochs until the rate is η_min; then it rises again.
    eta_min: η_min.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0) -> None:
        self.T_max = checks.whole("T_max", T_max, 1, "CosineAnnealingLR")
        self.eta_min = eta_min
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * epoch / self.T_max)) / 2.0


class CosineAnnealingWarmRestarts(LRScheduler):
    """As CosineAnnealingLR, but at the end of each period the rate jumps back, and the next one is T_mult times longer.

    T_0: the length of the first period in epochs.
    T_mult: the factor between one period and the next.
    eta_min: the lowest rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        T_0: int,
        T_mult: int = 1,
        eta_min: float = 0.0,
    ) -> None:
        self.T_0 = checks.whole("T_0", T_0, 1, "CosineAnnealingWarmRestarts")
        self.T_mult = checks.whole("T_mult", T_mult, 1, "CosineAnnealingWarmRestarts")
        self.eta_min = eta_min
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        length = self.T_0
        while epoch >= length:
            epoch, length = epoch - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * (1.0 + math.cos(math.pi * epoch / length)) / 2.0


class ReduceLROnPlateau(LRScheduler):
    """η is multiplied by `factor` when the metric has not improved for more than `patience` epochs: step(metric).

    mode: "min" or "max", the direction in which the metric improves.
    factor: what the rate is multiplied by.
    patience: how many epochs without improvement are borne.
    threshold: the share by which the best metric must be beaten.
    cooldown: epochs after a fall that are not counted.
    min_lr: the lowest rate.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        *,
        cooldown: int = 0,
        min_lr: float = 0.0,
    ) -> None:
        name = "ReduceLROnPlateau"
        self.sign = 1.0 if checks.one_of("mode", mode, ("min", "max"), name) == "min" else -1.0
        self.multiplier = checks.number("factor", factor, "[0, 1)", name)
        self.patience, self.cooldown = checks.whole("patience", patience, 0, name), cooldown
        self.threshold, self.min_lr = threshold, min_lr
        self.best, self.num_bad_epochs, self.resting = math.inf * self.sign, 0, 0
        super().__init__(optimizer)

    def rate(self, base: float, epoch: int, group: int) -> float:
        return base

    def step(self, metrics: float) -> None:  # type: ignore[override]
        """The next epoch, which had this metric, such as the validation loss."""
        metric = float(metrics)
        self.last_epoch += 1
        if self.sign * metric < self.sign * self.best * (1.0 - self.sign * self.threshold):
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.resting:
            self.resting, self.num_bad_epochs = self.resting - 1, 0
        if self.num_bad_epochs > self.patience:
            for own in self.optimizer.parts:
                lower = max(own.lr * self.multiplier, self.min_lr)
                own.lr = lower if own.lr - lower > 1e-8 else own.lr  # as in PyTorch, whose eps this is
            self.resting, self.num_bad_epochs = self.cooldown, 0


CLASSES = {name: kind for name, kind in globals().items() if isinstance(kind, type) and issubclass(kind, LRScheduler)}
__all__ = list(CLASSES)

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)
