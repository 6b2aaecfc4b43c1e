"""A subclass of Optimizer that has `__init__` and `step` alone, as an optimizer of one's own is written in PyTorch."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from tinygrad_edu.errors import OperandError, SettingError


def counted(step: Callable[..., Any]) -> Callable[..., Any]:
    """The step of a subclass, counted where it does not call that of its base; used gradients are marked as such."""

    @functools.wraps(step)
    def take(self: Any, *arguments: Any, **options: Any) -> Any:
        params, before = self.params, self.t.copy()  # first the parameters: those that were frozen join them here
        result = step(self, *arguments, **options)
        for i, p in enumerate(params):
            gradient = p.gradient if hasattr(p, "gradient") else p.grad
            if self.t[i] == before[i] and gradient is not None:
                self.t[i] += 1
                p._spent = gradient if hasattr(p, "gradient") else True
        return result

    return take


def with_defaults(lr: Any, settings: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """(lr, settings), also from the dict that PyTorch's constructor takes: super().__init__(params, {"lr": 0.1})."""
    given = settings.pop("defaults", lr if isinstance(lr, dict) else {})
    settings = {**given, **settings}
    return settings.pop("lr", 0.001 if isinstance(lr, dict) or lr is None else lr), settings


def refuse_lack(optimizer: Any, base: type) -> None:
    """Errors: OperandError for a class without a rule and a step, SettingError for what such a step does not follow."""
    name = type(optimizer).__name__
    if type(optimizer).step is base.step:  # type: ignore[attr-defined]
        raise OperandError(
            f"{name} needs step(self, closure=None), which changes p.data of each p in self.params by p.grad; or "
            "rule = staticmethod(f), where f(w, g, *memories, t, lr, **settings) returns (new w, *new memories), and "
            "memories, how many numbers it remembers for each weight: fit can compile the second"
        )
    if optimizer.maximize:
        raise SettingError(f"{name}(maximize=True): {name} has a step of its own, which decides where it goes")


def no_parameters(optimizer: Any, options: dict[str, Any]) -> OperandError:
    """The error for Keras' way, Adam(lr=0.1) without the parameters."""
    name, given = type(optimizer).__name__, "".join(f", {key}={x!r:.20}" for key, x in options.items())
    return OperandError(
        f"{name} needs the parameters first: {name}(model.parameters(){given}); in fit also "
        f"optimizer=lambda params: {name}(params{given})"
    )
