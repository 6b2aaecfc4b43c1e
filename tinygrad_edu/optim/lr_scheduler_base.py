"""The base of PyTorch's learning rate schedulers: it counts epochs and writes rates into the optimizer."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim.optimizer import Optimizer
from tinygrad_edu.pen import check_arguments


class LRScheduler:
    """A scheduler: `step()` after each epoch changes the rate of every group. `get_lr()` says to what.

    optimizer: whose rates it sets, starting at once.
    last_epoch: -1, PyTorch's word for a new start; `load_state_dict` goes on from a later epoch.
    `base_lrs` are the rates before the first scheduler of this optimizer, `last_epoch` counts from 0.
    Errors: SettingError for settings out of range, or an optimizer whose rate is a schedule already.

    >>> from tinygrad_edu import Value, optim
    >>> optimizer = optim.SGD([Value(1.0)], lr=0.1)
    >>> scheduler = optim.lr_scheduler.StepLR(optimizer, step_size=2, gamma=0.5)
    >>> for epoch in range(3):
    ...     scheduler.step()
    >>> optimizer.lr, scheduler.get_last_lr()
    (0.05, [0.05])
    """

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = check_arguments(cls.__init__)  # type: ignore[method-assign]

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        self.accept(optimizer, last_epoch)
        self.base_lrs = self.first_rates()
        self.set_rates()

    def first_rates(self) -> list[float]:
        """The rates before the first scheduler of this optimizer, which keeps them."""
        for own in self.optimizer.parts:
            own.initial_lr = own.lr if own.initial_lr is None else own.initial_lr
        return [float(own.initial_lr or 0.0) for own in self.optimizer.parts]

    def accept(self, optimizer: Optimizer, last_epoch: int) -> None:
        """Take the optimizer. Errors: SettingError for what is none, has a schedule, or is to go on later."""
        name = type(self).__name__
        if not isinstance(optimizer, Optimizer):
            raise SettingError(f"{name} takes an optimizer, not {optimizer!r:.60}")
        if last_epoch != -1 or checks.is_flag(last_epoch):
            raise SettingError(
                f"{name}(last_epoch={last_epoch!r}): leave it out, and go on with scheduler.load_state_dict(state)"
            )
        self.optimizer, self.last_epoch = optimizer, 0
        self.refuse_schedules()

    def refuse_schedules(self) -> None:
        """Errors: SettingError for an optimizer whose rate is a schedule."""
        scheduled = [own.schedule for own in self.optimizer.parts if own.schedule.kind != "constant"]
        if scheduled:
            raise SettingError(
                f"{type(self).__name__}: the optimizer's rate is a schedule already, {scheduled[0]!r}: make it "
                "with a number"
            )

    def rate(self, lr: float, base: float) -> float:
        """The rate of a group in the epoch `last_epoch`, from its current rate and its first one."""
        raise NotImplementedError(f"{type(self).__name__} has no get_lr()")

    def get_lr(self) -> list[float]:
        """The rate of each group in the epoch `last_epoch`; a class of your own defines it."""
        return [self.rate(own.lr, base) for own, base in zip(self.optimizer.parts, self.base_lrs, strict=True)]

    def set_rates(self) -> None:
        """Write the rates of this epoch into the optimizer."""
        self.refuse_schedules()
        self.write(self.get_lr())

    def write(self, rates: Sequence[float]) -> None:
        """Write the rates into the groups of the optimizer."""
        for own, rate in zip(self.optimizer.parts, rates, strict=True):
            own.lr = rate
        self._last_lr = [own.lr for own in self.optimizer.parts]

    def step(self, epoch: float | None = None) -> None:
        """The next epoch. Errors: SettingError for a number of an epoch, which the scheduler counts itself."""
        self.refuse_epoch(epoch)
        self.last_epoch += 1
        self.set_rates()

    def refuse_epoch(self, epoch: float | None) -> None:
        if epoch is not None:
            raise SettingError(f"{type(self).__name__}.step({epoch!r}): it counts the epochs itself: write step()")

    def begin_again(self) -> None:
        """Epoch 0 of this scheduler, from the first rates, as SequentialLR asks for."""
        self.last_epoch = 0
        for own, base in zip(self.optimizer.parts, self.base_lrs, strict=True):
            own.lr = base
        self.set_rates()

    def get_last_lr(self) -> list[float]:
        """The rate of each group, as this scheduler has last set it."""
        return self._last_lr

    def state_dict(self) -> dict[str, Any]:
        """The state needed to continue later: numbers and lists, with the optimizer's rates."""
        kept = {name: x for name, x in vars(self).items() if isinstance(x, (int, float, list)) or x is None}
        return {**kept, "rates": [own.lr for own in self.optimizer.parts]}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from a kept state, with the rates that the optimizer had then."""
        vars(self).update({name: x for name, x in state.items() if name != "rates"})
        if "rates" in state:
            refuse_other_length(type(self).__name__, "rates", state["rates"], self.optimizer)
            last = self._last_lr
            self.write(state["rates"])
            self._last_lr = last


def refuse_other_length(name: str, argument: str, given: Sequence[Any], optimizer: Any) -> None:
    """Errors: SettingError for a list that does not have one entry for each group."""
    groups = len(getattr(optimizer, "parts", given))
    if len(given) != groups:
        raise SettingError(f"{name}: {argument} has {len(given)} entries, and the optimizer {groups} groups")
