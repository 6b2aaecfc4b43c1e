"""The update rules of Adam and its relatives; rules.py says what a rule is."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike


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
    m, v = update_moments(m, v, g, beta1, beta2)
    m_hat = m / (1.0 - beta1**t)
    v_hat = v / (1.0 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def update_moments(m: ArrayLike, v: ArrayLike, g: ArrayLike, beta1: float, beta2: float) -> tuple[Any, Any]:
    """m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²."""
    return beta1 * m + (1.0 - beta1) * g, beta2 * v + (1.0 - beta2) * g * g


def apply_decay(w: ArrayLike, g: ArrayLike, lr: float, weight_decay: float, decoupled: bool) -> tuple[Any, Any]:
    """(w, g) with the weight decay λ: in g as in `adam`, or, if it is decoupled, in w as in `adamw`."""
    return (w - lr * weight_decay * w, g) if decoupled else (w, g + weight_decay * w)


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
    w, g = apply_decay(w, g, lr, weight_decay, decoupled)
    m, v = update_moments(m, v, g, beta1, beta2)
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
    decoupled: bool = False,
) -> tuple[Any, Any, Any, Any]:
    """Adam with Nesterov momentum: w ← w - η·(μₜ₊₁·m/(1 - Π μ) + (1-μₜ)·g/(1 - Π μ))/(√v̂ + ε).

    μₜ = β₁(1 - 0.96^(tψ)/2).

    The first product runs to t + 1, the second to t; the product is the third memory and starts at 1. λ as in `adam`,
    or `decoupled` as in `adamw`. (Dozat 2016; ψ, the momentum decay, as in PyTorch)

    >>> settings = {"lr": 0.1, "beta1": 0.9, "beta2": 0.99, "eps": 0.0, "weight_decay": 0.0, "momentum_decay": 0.0}
    >>> [round(x, 6) for x in nadam(1.0, 4.0, 0.0, 0.0, 1.0, 1, **settings)]
    [0.894357, 0.4, 0.16, 0.45]
    """
    w, g = apply_decay(w, g, lr, weight_decay, decoupled)
    now = beta1 * (1.0 - 0.5 * 0.96 ** (t * momentum_decay))
    later = beta1 * (1.0 - 0.5 * 0.96 ** ((t + 1.0) * momentum_decay))
    product = product * now
    m, v = update_moments(m, v, g, beta1, beta2)
    spread = (v / (1.0 - beta2**t)) ** 0.5 + eps
    step = g * (1.0 - now) / (1.0 - product) + m * later / (1.0 - product * later)
    return w - lr * step / spread, m, v, product


def radam(
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
    decoupled: bool,
) -> tuple[Any, Any, Any]:
    """Adam that begins without v: w ← w - η·m̂·r·√(1-β₂ᵗ)/(√v + ε) where ρₜ > 5, else w ← w - η·m̂.

    r = √((ρₜ-4)(ρₜ-2)ρ/((ρ-4)(ρ-2)ρₜ)),  ρ = 2/(1-β₂) - 1,  ρₜ = ρ - 2tβ₂ᵗ/(1-β₂ᵗ): how many gradients v averages.

    Liu et al. 2020, with ε as in PyTorch; λ as in `adam`, or `decoupled` as in `adamw`.

    >>> settings = {"lr": 0.5, "beta1": 0.5, "beta2": 0.99, "eps": 0.0, "weight_decay": 0.0, "decoupled": False}
    >>> [round(x, 6) for x in radam(1.0, 4.0, 0.0, 0.0, 1, **settings)]
    [-1.0, 2.0, 0.16]
    """
    w, g = apply_decay(w, g, lr, weight_decay, decoupled)
    m, v = update_moments(m, v, g, beta1, beta2)
    limit = 2.0 / (1.0 - beta2) - 1.0
    length = limit - 2.0 * t * beta2**t / (1.0 - beta2**t)
    far, now = ops.maximum(limit, 5.0), ops.maximum(length, 5.0)  # for smaller lengths r is unused, but would be NaN
    r = ((now - 4.0) * (now - 2.0) * far / ((far - 4.0) * (far - 2.0) * now)) ** 0.5
    scale = ops.where(length > 5.0, r * (1.0 - beta2**t) ** 0.5 / (v**0.5 + eps), 1.0)
    return w - m * scale * (lr / (1.0 - beta1**t)), m, v


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
