"""Update rules: plain functions of a parameter, its gradient and the rule's memory, in the papers' letters.

A rule uses only arithmetic and operations of the table, so that it runs on floats (Values) and on arrays (Tensors), and
can be compiled: rule(w, g, memory..., t, settings...) → (new w, new memory...), where t = 1, 2, 3, ... counts steps.
It selects values with ops.where; `if` is for settings such as `nesterov`, which are fixed when a program is compiled.
Factors computed from settings alone, such as 1-α, come last in a product: the compiler reads a formula from its end,
and so computes them before the single loop over the weights.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike

__all__ = ["adadelta", "adagrad", "adam", "adamax", "adamw", "amsgrad", "lion", "nadam", "rmsprop", "rprop", "sgd"]


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


def adam(
    w: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> tuple[Any, Any, Any]:
    """m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,  w ← w - η·m̂/(√v̂ + ε), m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).

    Kingma and Ba 2015, algorithm 1; g includes λw.

    >>> w, m, v = adam(1.0, 4.0, 0.0, 0.0, 1, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.0)
    >>> round(w, 6), round(m, 6), round(v, 6)
    (0.9, 0.4, 0.16)
    """
    return adam_step(w, g + weight_decay * w, m, v, t, lr, beta1, beta2, eps)


def adamw(
    w: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> tuple[Any, Any, Any]:
    """w ← w - η·λw, then Adam's step with the plain gradient: the decay is decoupled from m and v.

    Loshchilov and Hutter 2019, algorithm 2, with its λ written as η·λ, so that the decay follows the learning rate.

    >>> adamw(1.0, 0.0, 0.0, 0.0, 1, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.5)
    (0.95, 0.0, 0.0)
    """
    return adam_step(w - lr * weight_decay * w, g, m, v, t, lr, beta1, beta2, eps)


def adam_step(
    w: ArrayLike, g: ArrayLike, m: ArrayLike, v: ArrayLike, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> tuple[Any, Any, Any]:
    """The part that Adam and AdamW share: see `adam`."""
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    m_hat = m / (1.0 - beta1**t)
    v_hat = v / (1.0 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def amsgrad(
    w: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    largest: ArrayLike,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    decoupled: bool,
) -> tuple[Any, Any, Any, Any]:
    """Adam with the largest v so far instead of v, so that steps do not grow again when gradients are rare.

    Reddi, Kale and Kumar 2018, with Adam's bias correction as in PyTorch; λ as in `adam`, or `decoupled` as in `adamw`.

    >>> settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 1e-8, "weight_decay": 0.0, "decoupled": False}
    >>> [round(x, 6) for x in amsgrad(1.0, 4.0, 0.0, 0.0, 0.64, 1, **settings)]
    [0.95, 0.4, 0.16, 0.64]
    """
    w, g = (w - lr * weight_decay * w, g) if decoupled else (w, g + weight_decay * w)
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    largest = ops.maximum(largest, v)
    m_hat = m / (1.0 - beta1**t)
    v_hat = largest / (1.0 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v, largest


def nadam(
    w: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    product: ArrayLike,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
    momentum_decay: float,
) -> tuple[Any, Any, Any, Any]:
    """Adam with Nesterov momentum: w ← w - η·(μₜ₊₁·m/(1 - Π μ) + (1-μₜ)·g/(1 - Π μ))/(√v̂ + ε).

    μₜ = β₁(1 - 0.96^(tψ)/2).

    The first product runs to t + 1, the second to t; the product is the third memory and starts at 1. g includes λw.
    (Dozat 2016; ψ, the momentum decay, as in PyTorch)

    >>> settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.0, "weight_decay": 0.0, "momentum_decay": 0.0}
    >>> [round(x, 6) for x in nadam(1.0, 4.0, 0.0, 0.0, 1.0, 1, **settings)]
    [0.894357, 0.4, 0.16, 0.45]
    """
    g = g + weight_decay * w
    now = beta1 * (1.0 - 0.5 * 0.96 ** (t * momentum_decay))
    later = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * momentum_decay))
    product = product * now
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    spread = (v / (1.0 - beta2**t)) ** 0.5 + eps
    step = g * (1.0 - now) / (1.0 - product) + m * later / (1.0 - product * later)
    return w - lr * step / spread, m, v, product


def adamax(
    w: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    u: ArrayLike,
    t: int,
    lr: float,
    beta1: float,
    beta2: float,
    eps: float,
    weight_decay: float,
) -> tuple[Any, Any, Any]:
    """m ← β₁m + (1-β₁)g,  u ← max(β₂u, |g| + ε),  w ← w - η·m/((1-β₁ᵗ)·u), where g includes λw.

    Kingma and Ba 2015, algorithm 2: Adam with a running maximum of |g| instead of the mean square.

    >>> adamax(1.0, 4.0, 0.0, 0.0, 1, lr=0.5, beta1=0.5, beta2=0.99, eps=0.0, weight_decay=0.0)
    (0.5, 2.0, 4.0)
    """
    g = g + weight_decay * w
    m = beta1 * m + (1.0 - beta1) * g
    u = ops.maximum(beta2 * u, ops.abs(g) + eps)
    return w - m / u * (lr / (1.0 - beta1**t)), m, u


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
