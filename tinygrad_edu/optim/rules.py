"""Update rules: plain functions of a parameter, its gradient and the rule's memory, in the papers' letters.

A rule uses only arithmetic and operations of the table, so that it runs on floats (Values) and on arrays (Tensors), and
can be compiled: rule(w, g, memory..., t, settings...) → (new w, new memory...), where t = 1, 2, 3, ... counts steps.
It selects values with ops.where; `if` is for settings such as `nesterov`, which are fixed when a program is compiled.
Adam and its relatives are in rules_of_adam.py.
Factors computed from settings alone, such as 1-α, come last in a product: the compiler reads a formula from its end,
and so computes them before the single loop over the weights.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.optim.rules_of_adam import adam, adamax, adamw, amsgrad, nadam, radam

__all__ = [
    "adadelta", "adagrad", "adam", "adamax", "adamw", "amsgrad", "ascend", "asgd", "lion", "nadam", "radam", "rmsprop",
    "rprop", "sgd", "sgd_damped",
]  # fmt: skip


def ascend(rule: Any, w: ArrayLike, g: ArrayLike, *rest: Any, **settings: Any) -> tuple[Any, ...]:
    """The step of a rule with -g for g, which makes the objective larger.

    >>> ascend(sgd, 1.0, 0.5, 0.0, 1, lr=0.1, momentum=0.0, weight_decay=0.0, nesterov=False)
    (1.05, -0.5)
    """
    return rule(w, -g, *rest, **settings)  # type: ignore[no-any-return]


def sgd(
    w: ArrayLike, g: ArrayLike, v: ArrayLike, t: int, lr: float, momentum: float, weight_decay: float, nesterov: bool
) -> tuple[Any, Any]:
    """v ← μv + g,  w ← w - η·v  (Nesterov: w - η·(g + μv)), where g includes λw. (Polyak 1964; Sutskever et al. 2013)

    >>> sgd(1.0, 0.5, 0.0, 1, lr=0.1, momentum=0.0, weight_decay=0.0, nesterov=False)
    (0.95, 0.5)
    """
    g = g + weight_decay * w
    v = momentum * v + g
    step = g + momentum * v if nesterov else v
    return w - lr * step, v


def sgd_damped(
    w: ArrayLike,
    g: ArrayLike,
    v: ArrayLike,
    t: int,
    lr: float,
    momentum: float,
    weight_decay: float,
    nesterov: bool,
    dampening: float,
) -> tuple[Any, Any]:
    """v ← μv + (1-τ)g,  w ← w - η·v, where g includes λw; as in PyTorch the first v is g, and each is where μ = 0.

    >>> settings = {"lr": 0.1, "momentum": 0.5, "weight_decay": 0.0, "nesterov": False, "dampening": 0.75}
    >>> sgd_damped(1.0, 4.0, 2.0, 2, **settings), sgd_damped(1.0, 4.0, 0.0, 1, **settings)
    ((0.8, 2.0), (0.6, 4.0))
    """
    share = ops.where(t > 1.0, ops.where(momentum > 0.0, 1.0 - dampening, 1.0), 1.0)
    v = momentum * v + (g + weight_decay * w) * share
    return w - lr * v, v


def asgd(
    w: ArrayLike,
    g: ArrayLike,
    average: ArrayLike,
    rate: ArrayLike,
    t: int,
    lr: float,
    lambd: float,
    alpha: float,
    t0: float,
    weight_decay: float,
) -> tuple[Any, Any, Any]:
    """w ← (1 - λᵗη)w - η·g,  a ← a + (w - a)·μ,  η ← η₀/(1 + λᵗ·η₀·t)^α,  μ = 1/max(1, t - 1 - t₀); g includes λw.

    Polyak and Juditsky 1992, as in PyTorch: a is the average of the weights after step t₀, and each step uses the η of
    the step before. `lambd` is λᵗ.

    >>> asgd(1.0, 2.0, 0.0, 0.25, 1, lr=0.25, lambd=0.0, alpha=0.75, t0=10.0, weight_decay=0.0)
    (0.5, 0.5, 0.25)
    """
    g = g + weight_decay * w
    w = w * (1.0 - lambd * rate) - rate * g
    average = average + (w - average) / ops.maximum(t - 1.0 - t0, 1.0)
    later = lr / (1.0 + lambd * lr * t) ** alpha
    return w, average, rate + (later - rate)  # `later` is a number, but a memory must have the shape of the weights


def lion(
    w: ArrayLike, g: ArrayLike, m: ArrayLike, t: int, lr: float, beta1: float, beta2: float, weight_decay: float
) -> tuple[Any, Any]:
    """w ← w - η·(sign(β₁m + (1-β₁)g) + λw),  m ← β₂m + (1-β₂)g: every weight moves by η. (Chen et al. 2023)

    >>> lion(1.0, -4.0, 0.5, 1, lr=0.25, beta1=0.75, beta2=0.5, weight_decay=0.0)
    (1.25, -1.75)
    """
    direction = ops.sign(beta1 * m + (1.0 - beta1) * g)
    w = w - lr * weight_decay * w
    return w - lr * direction, beta2 * m + (1.0 - beta2) * g


def adadelta(
    w: ArrayLike,
    g: ArrayLike,
    s: ArrayLike,
    d: ArrayLike,
    t: int,
    lr: float,
    rho: float,
    eps: float,
    weight_decay: float,
) -> tuple[Any, Any, Any]:
    """s ← ρs + (1-ρ)g²,  Δ = g·√(d + ε)/√(s + ε),  d ← ρd + (1-ρ)Δ²,  w ← w - η·Δ, where g includes λw. (Zeiler 2012)

    >>> adadelta(1.0, 2.0, 0.0, 0.75, 1, lr=1.0, rho=0.5, eps=0.25, weight_decay=0.0)[1:]
    (2.0, 1.2638888888888888)
    """
    g = g + weight_decay * w
    s = rho * s + g * g * (1.0 - rho)
    step = g * ops.sqrt(d + eps) / ops.sqrt(s + eps)
    return w - lr * step, s, rho * d + step * step * (1.0 - rho)


def rmsprop(
    w: ArrayLike,
    g: ArrayLike,
    v: ArrayLike,
    m: ArrayLike,
    b: ArrayLike,
    t: int,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> tuple[Any, Any, Any, Any]:
    """v ← αv + (1-α)g²,  b ← μb + g/(√v + ε),  w ← w - η·b, where g includes λw.

    Tieleman and Hinton 2012, lecture 6e. Centred (Graves 2013): √(v - m²) for √v, with m ← m + (1-α)(g - m); v - m² is
    a variance, so if rounding makes it negative it counts as 0.

    >>> rmsprop(1.0, 2.0, 0.0, 0.0, 0.0, 1, 0.1, alpha=0.75, eps=0.0, weight_decay=0.0, momentum=0.0, centered=False)
    (0.8, 1.0, 0.0, 2.0)
    """
    g = g + weight_decay * w
    v = alpha * v + g * g * (1.0 - alpha)
    if centered:
        m = m + (g - m) * (1.0 - alpha)
    spread = ops.maximum(v - m * m, 0.0) if centered else v
    b = momentum * b + g / (ops.sqrt(spread) + eps)
    return w - lr * b, v, m, b


def adagrad(
    w: ArrayLike, g: ArrayLike, s: ArrayLike, t: int, lr: float, lr_decay: float, weight_decay: float, eps: float
) -> tuple[Any, Any]:
    """s ← s + g²,  w ← w - ηₜ·g/(√s + ε),  ηₜ = η/(1 + (t-1)·decay), where g includes λw. (Duchi et al. 2011)

    >>> adagrad(1.0, 3.0, 16.0, 1, lr=0.5, lr_decay=0.0, weight_decay=0.0, eps=1.0)
    (0.75, 25.0)
    """
    g = g + weight_decay * w
    s = s + g * g
    rate = lr / (1.0 + (t - 1.0) * lr_decay)
    return w - g / (ops.sqrt(s) + eps) * rate, s


def rprop(
    w: ArrayLike,
    g: ArrayLike,
    before: ArrayLike,
    step: ArrayLike,
    t: int,
    lr: float,
    eta_minus: float,
    eta_plus: float,
    smallest: float,
    largest: float,
) -> tuple[Any, Any, Any]:
    """Δ ← Δ·η⁺ if g keeps its sign, Δ·η⁻ if it changes sign, within [Δmin, Δmax];  w ← w - Δ·sign g.

    Riedmiller and Braun 1993, in the form iRprop⁻ of Igel and Hüsken 2000: when g changes sign, it counts as 0 in this
    step and the next. `lr` is only the first Δ, and is not read here.

    >>> rprop(1.0, 3.0, 2.0, 0.5, 2, lr=0.5, eta_minus=0.5, eta_plus=1.2, smallest=1e-6, largest=50.0)
    (0.4, 3.0, 0.6)
    """
    turn = g * before
    step = ops.where(turn > 0.0, eta_plus * step, ops.where(turn < 0.0, eta_minus * step, step))
    step = ops.minimum(ops.maximum(step, smallest), largest)
    g = ops.where(turn < 0.0, 0.0, g)
    return w - step * ops.sign(g), g, step
