"""PyTorch's schedulers made of others: one after the other, or all at once."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim.lr_scheduler_base import LRScheduler
from tinygrad_edu.optim.optimizer import Optimizer


class JoinedSchedulers(LRScheduler):
    """The base of both: a list of schedulers of one optimizer."""

    def join(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer) -> None:
        """Errors: SettingError for what is not a scheduler of this optimizer, or needs a metric in each step."""
        name = type(self).__name__
        for each in schedulers:
            if not isinstance(each, LRScheduler) or each.optimizer is not optimizer:
                raise SettingError(f"{name}: {each!r:.60} is not a scheduler of this optimizer, {optimizer!r:.60}")
            if type(each).__name__ == "ReduceLROnPlateau":
                raise SettingError(f"{name}: ReduceLROnPlateau needs a metric in each step: step it beside {name}")
        self.optimizer, self.schedulers, self.last_epoch = optimizer, list(schedulers), 0
        self.base_lrs = self.first_rates()

    def state_dict(self) -> dict[str, Any]:
        """The state of every scheduler, with those of its schedulers."""
        own = {name: x for name, x in super().state_dict().items() if name != "schedulers"}
        return {**own, "states": [each.state_dict() for each in self.schedulers]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a kept state."""
        for each, kept in zip(self.schedulers, state["states"], strict=True):
            each.load_state_dict(kept)
        super().load_state_dict({name: x for name, x in state.items() if name != "states"})


class SequentialLR(JoinedSchedulers):
    """One scheduler after the other: the next one begins, at its epoch 0, at each milestone.

    schedulers: of this optimizer.
    milestones: the epochs at which the second one begins, the third, ..., in increasing order.
    """

    def __init__(
        self, optimizer: Optimizer, schedulers: Sequence[LRScheduler], milestones: Sequence[int], last_epoch: int = -1
    ) -> None:
        self.accept(optimizer, last_epoch)
        if not schedulers or len(milestones) != len(schedulers) - 1:
            raise SettingError(
                f"SequentialLR: {len(schedulers)} schedulers have {max(len(schedulers) - 1, 0)} milestones between "
                f"them, not {len(milestones)}"
            )
        self.join(schedulers, optimizer)
        self.milestones = [checks.whole("milestones", each, 0, "SequentialLR") for each in milestones]
        for own, lr in zip(optimizer.parts, self.base_lrs, strict=True):
            own.lr = lr
        for each in self.schedulers:
            each.last_epoch -= 1
        self.follow(self.schedulers[0].step)

    def follow(self, step: Any) -> None:
        """One step of a scheduler, whose rates are these ones' then."""
        step()
        self._last_lr = [own.lr for own in self.optimizer.parts]

    def step(self, epoch: float | None = None) -> None:
        """The next epoch."""
        self.refuse_epoch(epoch)
        self.last_epoch += 1
        i = bisect_right(self.milestones, self.last_epoch)
        begins = i > 0 and self.milestones[i - 1] == self.last_epoch
        self.follow(self.schedulers[i].begin_again if begins else self.schedulers[i].step)


class ChainedScheduler(JoinedSchedulers):
    """All schedulers in each step, one on the rates of the other.

    schedulers: of one optimizer.
    """

    def __init__(self, schedulers: Sequence[LRScheduler], optimizer: Optimizer | None = None) -> None:
        if not schedulers or not all(isinstance(each, LRScheduler) for each in schedulers):
            raise SettingError("ChainedScheduler takes a list of schedulers of one optimizer")
        self.join(schedulers, schedulers[0].optimizer if optimizer is None else optimizer)
        self._last_lr = [own.lr for own in self.optimizer.parts]

    def step(self, epoch: float | None = None) -> None:
        """The next epoch of each."""
        self.refuse_epoch(epoch)
        self.last_epoch += 1
        for each in self.schedulers:
            each.step()
        self._last_lr = [own.lr for own in self.optimizer.parts]
