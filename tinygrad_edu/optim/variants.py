"""Further optimizers, most of them relatives of Adam. Defaults are PyTorch's; Lion's are the paper's."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.checks import divisor, number, pair
from tinygrad_edu.optim import rules
from tinygrad_edu.optim.optimizer import Optimizer, Parameters
from tinygrad_edu.optim.schedule import LearningRate


class WithBetas(Optimizer):
    """The base of optimizers with two running means, kept with β₁ and β₂."""

    def __init__(self, params: Parameters, lr: LearningRate, betas: tuple[float, float], **rest: float) -> None:
        pair("betas", betas, f"{type(self).__name__} has two, β₁ and β₂, such as (0.9, 0.999)")
        number("beta1", betas[0], "[0, 1)")
        number("beta2", betas[1], "[0, 1)")
        number("weight_decay", rest["weight_decay"], "[0, inf)")
        super().__init__(params, lr, beta1=betas[0], beta2=betas[1], **rest)

    @property
    def options(self) -> dict[str, Any]:
        """See Optimizer.options."""
        rest = dict(self.settings)
        return {"betas": (rest.pop("beta1"), rest.pop("beta2")), **rest}


class NAdam(WithBetas):
    """Adam with Nesterov momentum, which grows at first: ψ = momentum_decay. See rules.nadam.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.002.
    betas: (β₁, β₂), how much of the running means of g and g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.
    momentum_decay: ψ, which sets how fast the momentum grows at first.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = NAdam([w], lr=0.1)
    >>> (w * w).backward(); optimizer.step(); round(w.data, 4)
    0.8944
    """

    rule = staticmethod(rules.nadam)
    memories = 3

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum_decay: float = 4e-3,
    ) -> None:
        divisor("eps", eps)
        number("momentum_decay", momentum_decay, "[0, inf)")
        super().__init__(params, lr, betas, eps=eps, weight_decay=weight_decay, momentum_decay=momentum_decay)

    def start(self) -> tuple[float, ...]:
        """The product of momenta starts at 1."""
        return 0.0, 0.0, 1.0


class Adamax(WithBetas):
    """Adam with a decaying maximum of |g| instead of the mean square. See rules.adamax.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.002.
    betas: (β₁, β₂), how much of the running means of g and g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = Adamax([w], lr=0.1)
    >>> (w * w).backward(); optimizer.step(); round(w.data, 6)
    0.9
    """

    rule = staticmethod(rules.adamax)
    memories = 2

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        divisor("eps", eps)
        super().__init__(params, lr, betas, eps=eps, weight_decay=weight_decay)


class Lion(WithBetas):
    """The sign of a mix of momentum and gradient: every weight moves by η; weight decay is decoupled. See rules.lion.

    Use an η 3 to 10 times smaller than AdamW's, and a larger λ.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.0001.
    betas: (β₁, β₂), the shares of momentum in the step, and in the running mean.
    weight_decay: λ; ηλw is subtracted from each weight, in addition to the step of ±η.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = Lion([w], lr=0.25)
    >>> (w * w).backward(); optimizer.step(); w.data
    0.75
    """

    rule = staticmethod(rules.lion)
    memories = 1

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-4,
        betas: tuple[float, float] = (0.9, 0.99),
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__(params, lr, betas, weight_decay=weight_decay)


class Adadelta(Optimizer):
    """Steps in the weights' units: RMS of past steps divided by RMS of past gradients, times g. See rules.adadelta.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: a factor of the step; 1.
    rho: ρ, how much both running means keep at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = Adadelta([w])
    >>> (w * w).backward(); optimizer.step(); round(w.data, 6)
    0.996838
    """

    rule = staticmethod(rules.adadelta)
    memories = 2

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
    ) -> None:
        number("rho", rho, "[0, 1)")
        number("weight_decay", weight_decay, "[0, inf)")
        divisor("eps", eps)
        super().__init__(params, lr, rho=rho, eps=eps, weight_decay=weight_decay)
