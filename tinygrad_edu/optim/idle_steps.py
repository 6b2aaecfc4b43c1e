"""Steps that cannot train: without a gradient from the beginning on, or twice with the gradient of an earlier one.

Only where something was computed in between: who draws a schedule calls step() again and again, and means it. Of Values
a loss tells it that stands in the program beside the call of step(), and has had no backward().
"""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tinygrad_edu.core.added_numbers import LEFT, OF_AN_OPTIMIZER
from tinygrad_edu.core.graph import PASSES
from tinygrad_edu.core.methods.plain_arrays import BY_HAND
from tinygrad_edu.core.stretched_values import LEFT as LEFT_OF_PAIRS
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.user_line import users_frame, warn_user
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.write_guard import CLOCK
from tinygrad_edu.nn.parameters import Unused, depends_on
from tinygrad_edu.optim.other_models import find_unused, has_gradient

LOOKED_AT = 2  # the step without a gradient at which another model is looked for
TRIES = 3  # steps that are compared with the one before, where no backward() was between them


class IdleStepWarning(UserWarning):
    """An optimizer makes step after step, and there is no gradient that it could use.

    >>> import warnings
    >>> from tinygrad_edu import Tensor, optim
    >>> w = Tensor(1.0, requires_grad=True, label="w")
    >>> optimizer = optim.SGD([w], lr=0.1)
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     for _ in range(2):
    ...         loss = w * w
    ...         optimizer.step()
    >>> print(caught[0].message)
    SGD.step() has changed nothing, twice: no parameter has a gradient. Call backward() of the loss before it
    """


class Steps:
    """What an optimizer's last steps have found. It warns once."""

    def __init__(self) -> None:
        self.idle, self.passes, self.told, self.by_hand = 0, -1, False, BY_HAND[0]
        self.compared, self.tick, self.unfed = 0, next(CLOCK), 0
        self.gradients: list[Any] = []
        LEFT[0] = LEFT_OF_PAIRS[0] = OF_AN_OPTIMIZER

    def look_for_gradients(self, optimizer: Any) -> None:
        """After one of the first steps: had it anything to do? Frozen parameters alone are meant."""
        if any(map(has_gradient, optimizer.params)) or not any(map(wants_gradient, optimizer.params)):
            self.idle = self.unfed = 0
            return
        lost, passed = any(map(is_lost, optimizer.params)), PASSES[0] != self.passes
        if not lost:
            self.look_for_other_models(optimizer)
        if isinstance(optimizer.params[0], Value):
            if not (lost or has_loss_of_values(optimizer)):
                return
        elif not self.has_computed():
            return
        self.idle += 1
        if self.idle < 2 or self.told or (passed and not lost):  # a backward pass of other parameters
            return
        self.told = True
        why = (
            "zero_grad() stands between backward() and step(), and clears the gradients before they are used. The "
            "order is zero_grad(), backward(), step()"
            if lost
            else "no parameter has a gradient. Call backward() of the loss before it"
        )
        warn_user(f"{type(optimizer).__name__}.step() has changed nothing, twice: {why}", IdleStepWarning)

    def look_for_other_models(self, optimizer: Any) -> None:
        """After a step without any gradient, the second in a row: does another model have some, which nobody uses?"""
        if any(map(has_gradient, optimizer.params)):
            self.unfed = 0
            return
        self.unfed += 1
        here = users_frame(sys._getframe(1)).f_locals
        name = find_unused(optimizer, here) if self.unfed == LOOKED_AT and not self.told else ""
        if name:
            self.told, kind = True, type(optimizer).__name__
            warn_user(
                f"{kind}.step() has changed nothing, twice: backward() gives gradients to {name}, whose parameters no "
                f"optimizer holds. This {kind} was made for others, perhaps for an earlier {name}: make it again after "
                f"{name}, with its parameters",
                IdleStepWarning,
            )

    def has_computed(self) -> bool:
        """Was there an operation on Tensors since the last look?"""
        before, self.tick = self.tick, next(CLOCK)
        return self.tick > before + 1

    def look_for_new(self, optimizer: Any) -> None:
        """Before a step without a backward pass since the last one: does it use the same gradients once more?"""
        if self.told or self.compared > TRIES or self.by_hand != BY_HAND[0] or not self.has_computed():
            return
        self.compared += 1
        found: list[Any] = [p.gradient for p in optimizer.params if isinstance(p, Tensor) and is_used(p)]
        pairs = zip(found, self.gradients, strict=False)
        same = found and len(found) == len(self.gradients) and all(np.array_equal(a, b) for a, b in pairs)
        self.gradients = [g.copy() for g in found]
        if same:
            self.told = True
            warn_user(
                f"{type(optimizer).__name__}.step() uses the gradients of an earlier step for the third time: no "
                "backward() was called in between. Compute the loss, and its backward(), anew before each step. If "
                "several steps along one gradient are meant, as in a line search, p.grad = p.grad says so",
                IdleStepWarning,
            )


def has_loss_of_values(optimizer: Any) -> bool:
    """Has the program that calls step() a Value at hand that depends on the parameters, and no backward() of any?"""
    own, here = set(map(id, optimizer.params)), users_frame(sys._getframe(1)).f_locals
    found = [x for x in list(here.values()) if isinstance(x, Value) and x.parents and depends_on([x], own)]
    return bool(found) and not any(getattr(x, "_spent", False) for x in found)


def wants_gradient(p: Any) -> bool:
    return getattr(p, "requires_grad", True)


def is_lost(p: Any) -> bool:
    """Was its last gradient cleared before an optimizer had used it?"""
    return p._spent is Unused


def is_used(p: Any) -> bool:
    """Has an optimizer used its gradient?"""
    return p.gradient is not None and (p._spent is p.gradient or p._spent is p.gradient.base)
