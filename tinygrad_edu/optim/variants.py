"""Further optimizers, most of them relatives of Adam. Defaults are PyTorch's; Lion's are the paper's."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.checks import divisor, flag, number, pair
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

    def arguments(self) -> dict[str, Any]:
        """See Optimizer.arguments."""
        rest = dict(self.settings)
        decoupled = {"decoupled_weight_decay": rest.pop("decoupled")} if "decoupled" in rest else {}
        return {"betas": (rest.pop("beta1"), rest.pop("beta2")), **rest, **decoupled}


class NAdam(WithBetas):
    """Adam with Nesterov momentum, which grows at first: ψ = momentum_decay. See rules.nadam.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.002.
    betas: (β₁, β₂), how much of the running means of g and g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.
    momentum_decay: ψ, which sets how fast the momentum grows at first.
    decoupled_weight_decay: whether λ is applied apart from the gradient, as in AdamW.

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
        decoupled_weight_decay: bool = False,
    ) -> None:
        divisor("eps", eps)
        number("momentum_decay", momentum_decay, "[0, inf)")
        apart = flag("decoupled_weight_decay", decoupled_weight_decay)
        more = {"momentum_decay": momentum_decay, **({"decoupled": True} if apart else {})}
        super().__init__(params, lr, betas, eps=eps, weight_decay=weight_decay, **more)

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


class RAdam(WithBetas):
    """Adam that starts with plain momentum, until √v is an average of enough gradients. See rules.radam.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.001.
    betas: (β₁, β₂), how much of the running means of g and g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.
    decoupled_weight_decay: whether λ is applied apart from the gradient, as in AdamW.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = RAdam([w], lr=0.1)
    >>> (w * w).backward(); optimizer.step(); w.data
    0.8
    """

    rule = staticmethod(rules.radam)
    memories = 2

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        decoupled_weight_decay: bool = False,
    ) -> None:
        divisor("eps", eps)
        decoupled = flag("decoupled_weight_decay", decoupled_weight_decay)
        super().__init__(params, lr, betas, eps=eps, weight_decay=weight_decay, decoupled=decoupled)


class ASGD(Optimizer):
    """Gradient descent that keeps the average of its weights, `optimizer.memory[i][0]` of parameter i. See rules.asgd.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η₀, or a schedule of it; 0.01.
    lambd: how fast the rate falls, and how much of each weight is taken off.
    alpha: the power of t by which the rate falls.
    t0: the step after which weights are averaged; up to there the average is the weight itself.
    weight_decay: λ; λw is added to the gradient.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = ASGD([w], lr=0.25, lambd=0.0)
    >>> (w * w).backward(); optimizer.step(); w.data, optimizer.memory[0][0]
    (0.5, 0.5)
    """

    rule = staticmethod(rules.asgd)
    memories = 2
    starts_at_rate = True

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0.0,
    ) -> None:
        number("lambd", lambd, "[0, inf)")
        number("alpha", alpha, "[0, inf)")
        number("t0", t0, "[0, inf)")
        number("weight_decay", weight_decay, "[0, inf)")
        super().__init__(params, lr, lambd=lambd, alpha=alpha, t0=t0, weight_decay=weight_decay)

    def start_at(self, lr: float) -> tuple[float, ...]:
        """No average, and the first rate."""
        return 0.0, lr


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
