"""Optimizers: a rule, its settings, and a memory for each parameter."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from tinygrad_edu.core.conversion import preview
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.nn.module import clear
from tinygrad_edu.optim import rules


class Optimizer:
    """Changes parameters by a rule, from the gradients that backward() left in them.

    Args: `params`, Values or Tensors, such as model.parameters(); `lr`, the learning rate η ≥ 0; and the rule's own.
    A Tensor without a gradient (None) is left alone; a Value always has one, 0 where the loss does not depend on it.
    Errors: SettingError for settings out of range or a parameter listed twice, OperandError for what is no parameter.

    >>> w = Value(1.0)
    >>> optimizer = SGD([w], lr=0.1)
    >>> (w * w).backward(); optimizer.step(); w.data
    0.8
    """

    rule: Callable[..., tuple[Any, ...]]
    memories: int  # how many numbers the rule keeps for each weight

    def __init__(self, params: Iterable[Value | Tensor], lr: float, **settings: Any) -> None:
        self.params = checked(params)
        within("lr", lr)
        self.lr, self.settings = lr, settings
        self.t = [0] * len(self.params)  # the updates of each parameter: those without a gradient have had fewer
        self.memory: list[tuple[Any, ...]] = [(zero(p),) * self.memories for p in self.params]

    def step(self) -> None:
        """One update of every parameter that has a gradient."""
        for i, p in enumerate(self.params):
            if p.grad is None:
                continue
            self.t[i] += 1
            w = p.array if isinstance(p, Tensor) else p.data
            w, *memory = type(self).rule(w, p.grad, *self.memory[i], self.t[i], self.lr, **self.settings)
            self.memory[i] = tuple(memory)
            replace(p, w)

    def state(self) -> tuple[list[int], list[tuple[Any, ...]]]:
        """Step counts and memories, to go back to: rules make new arrays, so these stay as they are."""
        return list(self.t), list(self.memory)

    def load_state(self, state: tuple[list[int], list[tuple[Any, ...]]]) -> None:
        """Go back to an earlier `state()`."""
        self.t, self.memory = list(state[0]), list(state[1])

    def zero_grad(self) -> None:
        """Forget the gradients, before the next backward pass."""
        for p in self.params:
            clear(p)


class SGD(Optimizer):
    """Gradient descent with momentum μ, Nesterov's form of it, and weight decay λ. See rules.sgd.

    >>> SGD([Value(1.0)], lr=0.1, momentum=-1.0)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: momentum=-1.0 lies outside [0, 1)
    """

    rule = staticmethod(rules.sgd)
    memories = 1

    def __init__(
        self,
        params: Iterable[Value | Tensor],
        lr: float = 1e-3,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
    ) -> None:
        within("momentum", momentum, 1)
        within("weight_decay", weight_decay)
        if nesterov and momentum == 0.0:
            raise SettingError("nesterov=True looks ahead along the momentum, which is 0: set momentum, such as 0.9")
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov)


class Adam(Optimizer):
    """Adam with bias correction, defaults of the paper. See rules.adam.

    >>> w = Value(1.0)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).backward(); optimizer.step(); round(w.data, 6)
    0.9
    """

    rule = staticmethod(rules.adam)
    memories = 2

    def __init__(
        self,
        params: Iterable[Value | Tensor],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        if not (isinstance(betas, (tuple, list)) and len(betas) == 2):
            raise SettingError(f"betas={betas!r}: Adam has two, β₁ and β₂, such as (0.9, 0.999)")
        within("beta1", betas[0], 1)
        within("beta2", betas[1], 1)
        within("weight_decay", weight_decay)
        within("eps", eps)
        if eps == 0:
            raise SettingError(
                "eps=0: a weight whose gradient is 0 would be moved by 0/0. Use a small number, such as 1e-8"
            )
        super().__init__(params, lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay)


def within(name: str, x: Any, end: float = math.inf) -> None:
    if not (isinstance(x, (int, float, np.floating)) and 0 <= x < end):
        raise SettingError(f"{name}={x!r} lies outside [0, {end})")


def checked(params: Iterable[Any]) -> list[Any]:
    """Leaves of the two back ends, each once."""
    if isinstance(params, (Value, Tensor)) or not isinstance(params, Iterable):
        raise OperandError(
            f"an optimizer takes a list of parameters, such as model.parameters(), not one {type(params).__name__}"
        )
    leaves = list(params)
    strange = [p for p in leaves if not isinstance(p, (Value, Tensor)) or p.parents]
    if strange or not leaves:
        what = preview(strange[0]) if strange else "an empty list"
        raise OperandError(f"an optimizer changes leaves, Values or Tensors such as model.parameters(), not {what}")
    if len({id(p) for p in leaves}) < len(leaves):
        twice = next(p for i, p in enumerate(leaves) if any(p is q for q in leaves[:i]))
        raise SettingError(f"{twice!r} is listed twice: it would be updated twice a step. List each parameter once")
    return leaves


def zero(p: Value | Tensor) -> Any:
    return np.zeros_like(p.array) if isinstance(p, Tensor) else 0.0


def replace(p: Value | Tensor, w: Any) -> None:
    """Write the new weight, and note that this gradient has been used."""
    if isinstance(p, Tensor):
        p.assign(w)
        p.spent = p.grad
    else:
        p.data, p.spent = w, True
