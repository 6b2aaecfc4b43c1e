"""PyTorch's schedulers that are stepped after each batch: up and down, with the momentum in the opposite direction."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim.lr_scheduler_base import LRScheduler, refuse_other_length
from tinygrad_edu.optim.optimizer import Optimizer

Rates = float | Sequence[float]


def fall_as_cosine(share: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return (1.0 + math.cos(math.pi * share)) / 2.0


def fall_as_line(share: float) -> float:
    """From 1 at 0 to 0 at 1."""
    return 1.0 - share


def halve_each_cycle(cycle: float) -> float:
    """1 in the first cycle, 0.5 in the second one."""
    return float(0.5 ** (cycle - 1.0))


ANNEAL: dict[str, Callable[[float], float]] = {"cos": fall_as_cosine, "linear": fall_as_line}  # by name, for pickle


class MomentumScheduler(LRScheduler):
    """The base of those that change the momentum too: of SGD and RMSprop their momentum, of Adam and its kin β₁."""

    base_momenta: list[float]
    max_momenta: list[float]
    cycle_momentum: bool

    def begin(self, base: Rates, largest: Rates, cycle: bool) -> None:
        """Check what the momentum moves between. Errors: SettingError for an optimizer without one."""
        name = type(self).__name__
        self.base_momenta = self.each("base_momentum", base, "[0, 1)")
        self.max_momenta = self.each("max_momentum", largest, "[0, 1)")
        self.cycle_momentum = checks.flag("cycle_momentum", cycle, name)
        if cycle and not {"momentum", "betas"} & self.optimizer.options.keys():
            raise SettingError(
                f"{name}: {type(self.optimizer).__name__} has no momentum to change: write cycle_momentum=False"
            )

    def each(self, name: str, given: Rates, interval: str) -> list[float]:
        """One number for each group. Errors: SettingError."""
        owner = type(self).__name__
        many = list(given) if isinstance(given, (list, tuple)) else [given] * len(self.optimizer.parts)
        refuse_other_length(owner, name, many, self.optimizer)
        return [checks.number(name, x, interval, owner) for x in many]

    def set_momenta(self, momenta: Sequence[float]) -> None:
        """The groups' momentum in this step."""
        for group, mu in zip(self.optimizer.param_groups, momenta, strict=True):
            if self.cycle_momentum and "betas" in group:
                group["betas"] = (mu, *group["betas"][1:])
            elif self.cycle_momentum:
                group["momentum"] = mu

    def state_dict(self) -> dict[str, Any]:
        """The state of every scheduler, with the optimizer's momenta."""
        groups = self.optimizer.param_groups if self.cycle_momentum else []
        return {**super().state_dict(), "momenta": [g["betas"][0] if "betas" in g else g["momentum"] for g in groups]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a kept state, with the rates and the momenta that the optimizer had then."""
        super().load_state_dict({name: x for name, x in state.items() if name != "momenta"})
        if self.cycle_momentum and "momenta" in state:
            refuse_other_length(type(self).__name__, "momenta", state["momenta"], self.optimizer)
            self.set_momenta(state["momenta"])


class OneCycleLR(MomentumScheduler):
    """η rises from max_lr/div_factor to max_lr within the share pct_start of all steps, then falls far below: one step
    a batch. The momentum falls and rises.

    max_lr: the highest rate, or a list with one for each group.
    total_steps: the number of steps, or give epochs and steps_per_epoch.
    pct_start: the share of the steps in which the rate rises.
    anneal_strategy: "cos" or "linear".
    cycle_momentum: whether the momentum moves from max_momentum to base_momentum and back.
    base_momentum, max_momentum: its least and its largest.
    div_factor: max_lr over the first rate.
    final_div_factor: the first rate over the last one.
    three_phase: fall to the first rate as fast as the rate rose, and to the last one in the steps that are left.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: Rates,
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: Rates = 0.85,
        max_momentum: Rates = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        self.accept(optimizer, last_epoch)
        if total_steps is None:
            total_steps = checks.whole("epochs", epochs, 1, "OneCycleLR") * checks.whole(
                "steps_per_epoch", steps_per_epoch, 1, "OneCycleLR"
            )
        self.total_steps = checks.whole("total_steps", total_steps, 1, "OneCycleLR")
        self.anneal = ANNEAL[checks.one_of("anneal_strategy", anneal_strategy, ANNEAL, "OneCycleLR")]
        self.begin(base_momentum, max_momentum, cycle_momentum)
        self.max_lrs = self.each("max_lr", max_lr, "[0, inf)")
        self.div_factor = checks.number("div_factor", div_factor, "(0, inf)", "OneCycleLR")
        self.final_div_factor = checks.number("final_div_factor", final_div_factor, "(0, inf)", "OneCycleLR")
        rise = checks.number("pct_start", pct_start, "[0, 1]", "OneCycleLR") * self.total_steps
        last = self.total_steps - 1.0
        falls = [2.0 * rise - 2.0] if checks.flag("three_phase", three_phase, "OneCycleLR") else []
        self.ends = [rise - 1.0, *falls, last]
        for own, lr in zip(optimizer.parts, self.max_lrs, strict=True):
            own.initial_lr = lr / self.div_factor
        super().__init__(optimizer, last_epoch)

    def between(self, marks: Sequence[float]) -> float:
        """The number of this step, on its way from each mark to the next one at the end of each phase."""
        t, start = float(self.last_epoch), 0.0
        for i, end in enumerate(self.ends):
            if t <= end or i == len(self.ends) - 1:
                share = self.anneal((t - start) / (end - start)) if end > start else 0.0  # a phase may have no steps
                return marks[i + 1] + (marks[i] - marks[i + 1]) * share
            start = end
        raise AssertionError("there is a last phase")

    def get_lr(self) -> list[float]:
        """The rates, and with them the momenta."""
        if self.last_epoch > self.total_steps:
            raise SettingError(
                f"OneCycleLR: step {self.last_epoch} of total_steps={self.total_steps}: give the number of all batches"
            )
        middle = [1.0] * (len(self.ends) - 2)  # three phases: stay at `high` in between
        pairs = zip(self.base_momenta, self.max_momenta, strict=True)
        self.set_momenta([self.between([high, low, *(high for _ in middle), high]) for low, high in pairs])
        firsts = [lr / self.div_factor for lr in self.max_lrs]
        return [
            self.between([first, top, *(first for _ in middle), first / self.final_div_factor])
            for first, top in zip(firsts, self.max_lrs, strict=True)
        ]


class CyclicLR(MomentumScheduler):
    """η goes evenly from base_lr to max_lr within step_size_up steps and back within step_size_down, again and again.

    base_lr, max_lr: the lowest and the highest rate, or lists with one for each group.
    step_size_up, step_size_down: steps of the way up, and of the way down, which is as long unless it is given.
    mode: "triangular"; "triangular2", with half the height in each cycle; "exp_range", with γ^step of it.
    gamma: γ of "exp_range".
    scale_fn: a function for the share of the height, in place of the mode's.
    scale_mode: what scale_fn is given: the number of the "cycle", from 1, or of "iterations".
    cycle_momentum: whether the momentum moves from max_momentum to base_momentum and back.
    base_momentum, max_momentum: its least and its largest.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        base_lr: Rates,
        max_lr: Rates,
        step_size_up: int = 2000,
        step_size_down: int | None = None,
        mode: str = "triangular",
        gamma: float = 1.0,
        scale_fn: Callable[[Any], float] | None = None,
        scale_mode: str = "cycle",
        cycle_momentum: bool = True,
        base_momentum: Rates = 0.8,
        max_momentum: Rates = 0.9,
        last_epoch: int = -1,
    ) -> None:
        self.accept(optimizer, last_epoch)
        up = checks.whole("step_size_up", step_size_up, 1, "CyclicLR")
        down = up if step_size_down is None else checks.whole("step_size_down", step_size_down, 1, "CyclicLR")
        self.length, self.rise = up + down, up / (up + down)
        self.highs = self.each("max_lr", max_lr, "[0, inf)")
        gamma = checks.number("gamma", gamma, "[0, inf)", "CyclicLR")
        scales: dict[str, tuple[Callable[[Any], float], str]] = {
            "triangular": (partial(pow, 1.0), "cycle"),
            "triangular2": (halve_each_cycle, "cycle"),
            "exp_range": (partial(pow, gamma), "iterations"),
        }
        self.scale, self.of = scales[checks.one_of("mode", mode, scales, "CyclicLR")]
        if scale_fn is not None:
            checks.function("scale_fn", scale_fn, "CyclicLR")
            self.scale, self.of = scale_fn, checks.one_of("scale_mode", scale_mode, ("cycle", "iterations"), "CyclicLR")
        self.begin(base_momentum, max_momentum, cycle_momentum)
        lows = self.each("base_lr", base_lr, "[0, inf)")
        for own, lr in zip(optimizer.parts, lows, strict=True):
            own.lr = lr
        super().__init__(optimizer, last_epoch)
        self.base_lrs = lows  # even if an earlier scheduler has stored other initial rates

    def get_lr(self) -> list[float]:
        """The rates, and with them the momenta."""
        cycle = math.floor(1.0 + self.last_epoch / self.length)
        x = 1.0 + self.last_epoch / self.length - cycle
        height = x / self.rise if x <= self.rise else (x - 1.0) / (self.rise - 1.0)
        height *= self.scale(cycle if self.of == "cycle" else self.last_epoch)
        momenta = zip(self.base_momenta, self.max_momenta, strict=True)
        self.set_momenta([high - (high - low) * height for low, high in momenta])
        return [low + (high - low) * height for low, high in zip(self.base_lrs, self.highs, strict=True)]
