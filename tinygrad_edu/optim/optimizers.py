"""The optimizers: each is a rule with checked settings. Defaults are the papers' unless a docstring says otherwise."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.checks import divisor, flag, number, pair
from tinygrad_edu.errors import SettingError
from tinygrad_edu.optim import rules
from tinygrad_edu.optim.optimizer import Optimizer, Parameters
from tinygrad_edu.optim.schedule import LearningRate


class SGD(Optimizer):
    """Gradient descent with momentum μ, Nesterov momentum, and weight decay λ. See rules.sgd, rules.sgd_damped.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.001.
    momentum: μ, the share of the last step that is kept, in [0, 1).
    weight_decay: λ; λw is added to the gradient.
    nesterov: Nesterov momentum: use the gradient at the look-ahead point; needs momentum > 0, and no dampening.
    dampening: τ, the share of each gradient but the first that momentum leaves out, in [0, 1].

    >>> from tinygrad_edu import Value
    >>> SGD([Value(1.0)], lr=0.1, momentum=-1.0)
    Traceback (most recent call last):
        ...
    tinygrad_edu.errors.SettingError: momentum=-1.0 lies outside [0, 1)
    """

    rule = staticmethod(rules.sgd)
    memories = 1

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-3,
        momentum: float = 0.0,
        *,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        dampening: float = 0.0,
    ) -> None:
        number("momentum", momentum, "[0, 1)")
        number("weight_decay", weight_decay, "[0, inf)")
        number("dampening", dampening, "[0, 1]")
        if flag("nesterov", nesterov) and momentum == 0.0:
            raise SettingError("nesterov=True looks ahead along the momentum, which is 0: set momentum, e.g. to 0.9")
        if nesterov and dampening:
            raise SettingError(f"nesterov=True needs the whole gradient: dampening={dampening!r} must be 0")
        more = {}
        if dampening:
            more, self.rule = {"dampening": dampening}, rules.sgd_damped  # type: ignore[assignment]
        super().__init__(params, lr, momentum=momentum, weight_decay=weight_decay, nesterov=nesterov, **more)


class Adam(Optimizer):
    """Adam with bias correction; weight decay λ is added to the gradient. See rules.adam.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.001.
    betas: (β₁, β₂), how much of the running means of g and g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.
    amsgrad: divide by the largest v so far instead of the current one.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = Adam([w], lr=0.1)
    >>> (w * w).backward(); optimizer.step(); round(w.data, 6)
    0.9
    """

    rule = staticmethod(rules.adam)
    memories = 2
    decoupled = False  # whether weight decay λ is applied apart from the gradient (AdamW)

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
    ) -> None:
        pair("betas", betas, "Adam has two, β₁ and β₂, such as (0.9, 0.999)")
        number("beta1", betas[0], "[0, 1)")
        number("beta2", betas[1], "[0, 1)")
        number("weight_decay", weight_decay, "[0, inf)")
        divisor("eps", eps)
        more: dict[str, Any] = {}
        if flag("amsgrad", amsgrad):
            more = {"decoupled": self.decoupled}
            self.rule, self.memories = rules.amsgrad, 3  # type: ignore[assignment]
        super().__init__(params, lr, beta1=betas[0], beta2=betas[1], eps=eps, weight_decay=weight_decay, **more)

    def arguments(self) -> dict[str, Any]:
        """See Optimizer.arguments."""
        rest = dict(self.settings)
        amsgrad = {"amsgrad": True} if rest.pop("decoupled", None) is not None else {}
        return {"betas": (rest.pop("beta1"), rest.pop("beta2")), **rest, **amsgrad}


class AdamW(Adam):
    """Adam with decoupled weight decay: w ← w - η·λw apart from Adam's step. See rules.adamw.

    The paper gives no λ; 0.01 is PyTorch's, and so is the factor η in front of it.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.001.
    betas: (β₁, β₂), how much of the running means of g and g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; ηλw is subtracted from each weight, in addition to Adam's step.
    amsgrad: divide by the largest v so far instead of the current one.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> AdamW([w], lr=0.1, weight_decay=0.5).step(); w.data
    0.95
    """

    rule = staticmethod(rules.adamw)
    decoupled = True

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad)


class RMSprop(Optimizer):
    """The gradient divided by the root of its running mean square, optionally with momentum. See rules.rmsprop.

    α = 0.9 as in the lecture; PyTorch's default is 0.99. The lecture gives no η: 0.01 is PyTorch's.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.01.
    alpha: how much of the running mean of g² is kept at each step, in [0, 1).
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.
    weight_decay: λ; λw is added to the gradient.
    momentum: μ, the share of the last step that is kept, in [0, 1).
    centered: divide by the standard deviation of g instead of the root of its mean square.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = RMSprop([w], lr=0.1, alpha=0.75)
    >>> (w * w).backward(); optimizer.step(); round(w.data, 6)
    0.8
    """

    rule = staticmethod(rules.rmsprop)
    memories = 3

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-2,
        alpha: float = 0.9,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
    ) -> None:
        number("alpha", alpha, "[0, 1)")
        number("weight_decay", weight_decay, "[0, inf)")
        number("momentum", momentum, "[0, 1)")
        divisor("eps", eps)
        rest = {"eps": eps, "weight_decay": weight_decay, "momentum": momentum, "centered": centered}
        super().__init__(params, lr, alpha=alpha, **rest)


class Adagrad(Optimizer):
    """The gradient divided by the root of the sum of all its squares so far. See rules.adagrad.

    The paper gives no η and ε; 0.01 and 1e-10 are PyTorch's.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the learning rate η, or a schedule of it; 0.01.
    lr_decay: the rate at step t is η/(1 + lr_decay·(t - 1)).
    weight_decay: λ; λw is added to the gradient.
    initial_accumulator_value: the sum of squares before the first step.
    eps: ε in the denominator; it keeps the division finite when the gradient is 0.

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = Adagrad([w], lr=0.5, initial_accumulator_value=12.0)
    >>> (w * w).backward(); optimizer.step(); round(w.data, 6)
    0.75
    """

    rule = staticmethod(rules.adagrad)
    memories = 1

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
    ) -> None:
        number("lr_decay", lr_decay, "[0, inf)")
        number("weight_decay", weight_decay, "[0, inf)")
        number("initial_accumulator_value", initial_accumulator_value, "[0, inf)")
        divisor("eps", eps)
        self.initial_accumulator_value = float(initial_accumulator_value)
        super().__init__(params, lr, lr_decay=lr_decay, weight_decay=weight_decay, eps=eps)

    def arguments(self) -> dict[str, Any]:
        """See Optimizer.arguments."""
        return {**self.settings, "initial_accumulator_value": self.initial_accumulator_value}

    def start(self) -> tuple[float, ...]:
        """The sum of squares starts at initial_accumulator_value."""
        return (self.initial_accumulator_value,)


class Rprop(Optimizer):
    """Each weight has its own step Δ, which grows while the gradient keeps its sign. See rules.rprop.

    `lr` is the first Δ: 0.1 as in the paper (PyTorch's default is 0.01), as are η⁻ = 0.5, η⁺ = 1.2 and Δ within
    [1e-6, 50]. Later changes of lr, such as a schedule's, have no effect. Use it with full batches.

    params: Values or Tensors, such as model.parameters(), or parameter groups as dicts.
    lr: the first Δ; 0.1.
    etas: (η⁻, η⁺), the factors of Δ when the gradient changes sign, and when it keeps it.
    step_sizes: (the smallest Δ, the largest Δ).

    >>> from tinygrad_edu import Value
    >>> w = Value(1.0)
    >>> optimizer = Rprop([w])
    >>> (w * w).backward(); optimizer.step(); w.data
    0.9
    """

    rule = staticmethod(rules.rprop)
    memories = 2
    starts_at_rate = True

    def __init__(
        self,
        params: Parameters,
        lr: LearningRate = 0.1,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50.0),
    ) -> None:
        pair("etas", etas, "Rprop has two, η⁻ and η⁺, such as (0.5, 1.2)")
        pair("step_sizes", step_sizes, "Rprop has two, Δmin and Δmax, such as (1e-6, 50)")
        number("eta_minus", etas[0], "(0, inf]")
        number("eta_plus", etas[1], "(0, inf]")
        number("largest", step_sizes[1], "(0, inf]")
        number("smallest", step_sizes[0], f"(0, {step_sizes[1]}]")
        if not etas[0] < 1 < etas[1]:
            raise SettingError(f"etas={etas!r}: steps shrink by η⁻ < 1 and grow by η⁺ > 1, such as (0.5, 1.2)")
        bounds = {"smallest": float(step_sizes[0]), "largest": float(step_sizes[1])}
        super().__init__(params, lr, eta_minus=etas[0], eta_plus=etas[1], **bounds)

    def arguments(self) -> dict[str, Any]:
        """See Optimizer.arguments."""
        low, high, smallest, largest = (self.settings[k] for k in ("eta_minus", "eta_plus", "smallest", "largest"))
        return {"etas": (low, high), "step_sizes": (smallest, largest)}

    def start_at(self, lr: float) -> tuple[float, ...]:
        """No previous gradient, and Δ = lr."""
        low, high = self.settings["smallest"], self.settings["largest"]
        if not low <= lr <= high:
            raise SettingError(f"lr={lr!r} is Rprop's first step Δ, and is outside step_sizes=({low}, {high})")
        return 0.0, lr
