"""PyTorch's learning rate schedulers, for loops that say scheduler.step() after each epoch.

They set the optimizer's rates from outside, each from the rate that it finds there, as in PyTorch: so several work
together on one optimizer, and a rate set by hand is kept. In a program of your own, give the optimizer a schedule
instead, as in `SGD(params, lr=schedules.step(0.1, every=30))`: that needs no second object, and `fit` compiles it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from tinygrad_edu import checks
from tinygrad_edu.elsewhere import habits
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim.lr_scheduler_base import LRScheduler, refuse_other_length
from tinygrad_edu.optim.lr_scheduler_cycles import CyclicLR, OneCycleLR
from tinygrad_edu.optim.lr_scheduler_joined import ChainedScheduler, SequentialLR
from tinygrad_edu.optim.optimizer import Optimizer

Rate = Callable[[int], float]


class LambdaLR(LRScheduler):
    """η = η₀·f(epoch).

    lr_lambda: f, or a list with one for each group.
    """

    def __init__(self, optimizer: Optimizer, lr_lambda: Rate | Sequence[Rate], last_epoch: int = -1) -> None:
        groups = len(getattr(optimizer, "parts", ""))
        self.lr_lambdas = list(lr_lambda) if isinstance(lr_lambda, Sequence) else [lr_lambda] * groups
        for f in self.lr_lambdas:
            checks.function("lr_lambda", f, "LambdaLR")
        refuse_other_length("LambdaLR", "lr_lambda", self.lr_lambdas, optimizer)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        factors = [f(self.last_epoch) for f in self.lr_lambdas]
        return [
            base * checks.number("lr_lambda(epoch)", x, owner="LambdaLR")
            for base, x in zip(self.base_lrs, factors, strict=True)
        ]

    def state_dict(self) -> dict[str, Any]:
        """The state of every scheduler; functions are not kept."""
        return {name: x for name, x in super().state_dict().items() if name != "lr_lambdas"}


class MultiplicativeLR(LambdaLR):
    """η ← η·f(epoch): each epoch's factor on the rate of the one before.

    lr_lambda: f, or a list with one for each group.
    """

    def get_lr(self) -> list[float]:
        return self.multiplied() if self.last_epoch else [own.lr for own in self.optimizer.parts]

    def multiplied(self) -> list[float]:
        """The rates times the factors of this epoch."""
        factors = [checks.number("lr_lambda(epoch)", f(self.last_epoch), owner="MultiplicativeLR")
                   for f in self.lr_lambdas]  # fmt: skip
        return [own.lr * x for own, x in zip(self.optimizer.parts, factors, strict=True)]

    def begin_again(self) -> None:
        """Epoch 0, whose factor counts where another scheduler went before."""
        self.last_epoch = 0
        self.write(self.multiplied())


class StepLR(LRScheduler):
    """η = η₀·γ^⌊epoch/step_size⌋.

    step_size: after how many epochs the rate falls.
    gamma: γ.
    """

    def __init__(self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1) -> None:
        self.step_size = checks.whole("step_size", step_size, 1, "StepLR")
        self.gamma = checks.number("gamma", gamma, "[0, inf)", "StepLR")
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, base: float) -> float:
        return lr * self.gamma if self.last_epoch and self.last_epoch % self.step_size == 0 else lr


class MultiStepLR(LRScheduler):
    """η = η₀·γⁿ, where n of the milestones are reached.

    milestones: the epochs at which the rate falls, in increasing order.
    gamma: γ.
    """

    def __init__(
        self, optimizer: Optimizer, milestones: Sequence[int], gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        if isinstance(milestones, str) or not isinstance(milestones, Iterable):
            raise SettingError(f"MultiStepLR(milestones={milestones!r}): a list of epochs is needed, such as [30, 80]")
        self.milestones = sorted(checks.whole("milestones", each, 0, "MultiStepLR") for each in milestones)
        self.gamma = checks.number("gamma", gamma, "[0, inf)", "MultiStepLR")
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, base: float) -> float:
        return lr * self.gamma ** self.milestones.count(self.last_epoch)


class ExponentialLR(LRScheduler):
    """η = η₀·γ^epoch.

    gamma: γ.
    """

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma = checks.number("gamma", gamma, "[0, inf)", "ExponentialLR")
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, base: float) -> float:
        return lr * self.gamma if self.last_epoch else lr


class ConstantLR(LRScheduler):
    """η = η₀·factor for the first `total_iters` epochs, then η₀.

    factor: what the rate is multiplied by at first.
    total_iters: for how many epochs.
    """

    def __init__(
        self, optimizer: Optimizer, factor: float = 1.0 / 3.0, total_iters: int = 5, last_epoch: int = -1
    ) -> None:
        self.factor = checks.number("factor", factor, "[0, 1]", "ConstantLR")
        self.total_iters = checks.whole("total_iters", total_iters, 1, "ConstantLR")
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, base: float) -> float:
        if self.last_epoch == self.total_iters:
            return lr / self.factor if self.factor else base
        return lr if self.last_epoch else lr * self.factor


class LinearLR(LRScheduler):
    """η rises or falls evenly from η₀·start_factor to η₀·end_factor within `total_iters` epochs.

    start_factor: what the rate is multiplied by at first, in (0, 1].
    end_factor: and in the end, in [0, 1].
    total_iters: the number of epochs between them.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        start_factor: float = 1.0 / 3.0,
        end_factor: float = 1.0,
        total_iters: int = 5,
        last_epoch: int = -1,
    ) -> None:
        self.start_factor = checks.number("start_factor", start_factor, "(0, 1]", "LinearLR")
        self.end_factor = checks.number("end_factor", end_factor, "[0, 1]", "LinearLR")
        self.total_iters = checks.whole("total_iters", total_iters, 1, "LinearLR")
        super().__init__(optimizer, last_epoch)

    def factor(self, epoch: int) -> float:
        """The factor on the initial rate in an epoch."""
        return self.start_factor + (self.end_factor - self.start_factor) * epoch / self.total_iters

    def rate(self, lr: float, base: float) -> float:
        if self.last_epoch > self.total_iters:
            return lr
        return lr * self.factor(self.last_epoch) / (self.factor(self.last_epoch - 1) if self.last_epoch else 1.0)


class PolynomialLR(LRScheduler):
    """η = η₀·(1 - epoch/total_iters)^power, and 0 from then on.

    total_iters: the number of epochs until the rate is 0.
    power: 1 for an even fall.
    """

    def __init__(self, optimizer: Optimizer, total_iters: int = 5, power: float = 1.0, last_epoch: int = -1) -> None:
        self.total_iters = checks.whole("total_iters", total_iters, 1, "PolynomialLR")
        self.power = checks.number("power", power, "[0, inf)", "PolynomialLR")
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, base: float) -> float:
        left = self.total_iters - self.last_epoch
        return lr if left < 0 or not self.last_epoch else lr * (left / (left + 1.0)) ** self.power


class CosineAnnealingLR(LRScheduler):
    """η = η_min + (η₀ - η_min)(1 + cos(π·epoch/T_max))/2.

    T_max: the epochs until the rate is η_min; then it rises again.
    eta_min: η_min.
    """

    def __init__(self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1) -> None:
        self.T_max = checks.whole("T_max", T_max, 1, "CosineAnnealingLR")
        self.eta_min = checks.number("eta_min", eta_min, "[0, inf)", "CosineAnnealingLR")
        super().__init__(optimizer, last_epoch)

    def rate(self, lr: float, base: float) -> float:
        if not self.last_epoch:
            return lr
        # the last rate was η_min, so the ratio below would be 0/0
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:
            return lr + (base - self.eta_min) * wave(1.0 + 1.0 / self.T_max)
        share = wave(self.last_epoch / self.T_max) / wave((self.last_epoch - 1) / self.T_max)
        return self.eta_min + (lr - self.eta_min) * share


class CosineAnnealingWarmRestarts(LRScheduler):
    """As CosineAnnealingLR, but at the end of each period the rate jumps back, and the next one is T_mult times longer.

    T_0: the length of the first period in epochs.
    T_mult: the factor between one period and the next.
    eta_min: the lowest rate.
    """

    def __init__(
        self, optimizer: Optimizer, T_0: int, T_mult: int = 1, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_0 = checks.whole("T_0", T_0, 1, "CosineAnnealingWarmRestarts")
        self.T_mult = checks.whole("T_mult", T_mult, 1, "CosineAnnealingWarmRestarts")
        self.eta_min = checks.number("eta_min", eta_min, "[0, inf)", "CosineAnnealingWarmRestarts")
        self.place = 0.0
        super().__init__(optimizer, last_epoch)

    def step(self, epoch: float | None = None) -> None:
        """The next epoch, or the one given, which may be a fraction: epoch + batch/batches."""
        at = self.place + 1.0 if epoch is None else epoch
        self.place = checks.number("epoch", at, "[0, inf)", "CosineAnnealingWarmRestarts.step")
        self.last_epoch = math.floor(self.place)
        self.set_rates()

    def begin_again(self) -> None:
        """Epoch 0 of the first period."""
        self.step(0.0)

    def rate(self, lr: float, base: float) -> float:
        epoch, length = self.place if self.T_mult > 1 else self.place % self.T_0, self.T_0
        while epoch >= length:
            epoch, length = epoch - length, length * self.T_mult
        return self.eta_min + (base - self.eta_min) * wave(epoch / length)


class ReduceLROnPlateau(LRScheduler):
    """η is multiplied by `factor` when the metric has not improved for more than `patience` epochs: step(metric).

    mode: "min" or "max", the direction in which the metric improves.
    factor: what the rate is multiplied by.
    patience: how many epochs without improvement are borne.
    threshold: by how much the best metric must be beaten.
    threshold_mode: "rel", by that share of the best metric, or "abs", by that number.
    cooldown: epochs after a fall that are not counted.
    min_lr: the lowest rate, or a list with one for each group.
    eps: a fall by less is left out.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        mode: str = "min",
        factor: float = 0.1,
        patience: int = 10,
        threshold: float = 1e-4,
        threshold_mode: str = "rel",
        cooldown: int = 0,
        min_lr: float | Sequence[float] = 0.0,
        eps: float = 1e-8,
    ) -> None:
        name = "ReduceLROnPlateau"
        self.sign = 1.0 if checks.one_of("mode", mode, ("min", "max"), name) == "min" else -1.0
        self.relative = checks.one_of("threshold_mode", threshold_mode, ("rel", "abs"), name) == "rel"
        self.factor = checks.number("factor", factor, "[0, 1)", name)
        self.patience = checks.whole("patience", patience, 0, name)
        self.cooldown = checks.whole("cooldown", cooldown, 0, name)
        self.threshold = checks.number("threshold", threshold, owner=name)
        self.eps = checks.number("eps", eps, "[0, inf)", name)
        self.best, self.num_bad_epochs, self.resting = math.inf * self.sign, 0, 0
        super().__init__(optimizer)
        many = list(min_lr) if isinstance(min_lr, (list, tuple)) else [min_lr] * len(self.base_lrs)
        self.min_lrs = [checks.number("min_lr", x, "[0, inf)", name) for x in many]
        refuse_other_length(name, "min_lr", many, optimizer)

    def first_rates(self) -> list[float]:
        """The current rates; this scheduler does not go back to earlier ones."""
        return [own.lr for own in self.optimizer.parts]

    def rate(self, lr: float, base: float) -> float:
        return lr

    def bar(self) -> float:
        """The value that the next metric has to beat."""
        if self.relative:
            return self.best * (1.0 - self.sign * self.threshold)
        return self.best - self.sign * self.threshold

    def step(self, metrics: float, epoch: None = None) -> None:  # type: ignore[override]
        """The next epoch, which had this metric, such as the validation loss."""
        metric = float(metrics)
        super().step(epoch)
        if self.sign * metric < self.sign * self.bar():
            self.best, self.num_bad_epochs = metric, 0
        else:
            self.num_bad_epochs += 1
        if self.resting:
            self.resting, self.num_bad_epochs = self.resting - 1, 0
        if self.num_bad_epochs > self.patience:
            now = self._last_lr
            lower = [max(lr * self.factor, least) for lr, least in zip(now, self.min_lrs, strict=True)]
            self.write([new if lr - new > self.eps else lr for lr, new in zip(now, lower, strict=True)])
            self.resting, self.num_bad_epochs = self.cooldown, 0


def wave(x: float) -> float:
    """From 1 at 0 along a cosine to 0 at 1, and back."""
    return (1.0 + math.cos(math.pi * x)) / 2.0


CLASSES = {
    "LRScheduler": LRScheduler,
    **{name: kind for name, kind in globals().items() if isinstance(kind, type) and issubclass(kind, LRScheduler)},
    **{kind.__name__: kind for kind in (OneCycleLR, CyclicLR, SequentialLR, ChainedScheduler)},
}
__all__ = list(CLASSES)

if not TYPE_CHECKING:
    __getattr__, __dir__ = habits(__name__, __all__)
