"""Update rules: plain functions of a parameter, its gradient and the rule's memory, with the papers' letters.

A rule is arithmetic and operations of the table alone, so that it runs on floats (Values), on arrays (Tensors), and can
be compiled: rule(w, g, memory..., t, settings...) → (new w, new memory...), where t = 1, 2, 3, ... counts the steps.
It chooses between values by ops.where; `if` is for settings such as `nesterov`, which belong to the program itself.
What is computed from settings alone, such as 1-α, stands last in a product: the compiler, which reads a formula from
its end, then has it at hand before the one loop over the weights begins.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core import ops

__all__ = ["adagrad", "adam", "adamw", "rmsprop", "rprop", "sgd"]


def sgd(
    w: Any, g: Any, v: Any, t: int, lr: float, momentum: float, weight_decay: float, nesterov: bool
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
    w: Any, g: Any, m: Any, v: Any, t: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float
) -> tuple[Any, Any, Any]:
    """m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,  w ← w - η·m̂/(√v̂ + ε), m̂ = m/(1-β₁ᵗ), v̂ = v/(1-β₂ᵗ).

    Kingma and Ba 2015, algorithm 1; g includes λw.

    >>> w, m, v = adam(1.0, 4.0, 0.0, 0.0, 1, lr=0.1, beta1=0.9, beta2=0.99, eps=1e-8, weight_decay=0.0)
    >>> round(w, 6), round(m, 6), round(v, 6)
    (0.9, 0.4, 0.16)
    """
    return adam_step(w, g + weight_decay * w, m, v, t, lr, beta1, beta2, eps)


def adamw(
    w: Any, g: Any, m: Any, v: Any, t: int, lr: float, beta1: float, beta2: float, eps: float, weight_decay: float
) -> tuple[Any, Any, Any]:
    """w ← w - η·λw, then Adam's step with the bare gradient: the decay is decoupled from m and v.

    Loshchilov and Hutter 2019, algorithm 2, with its λ written as η·λ, so that the decay follows the learning rate.

    >>> adamw(1.0, 0.0, 0.0, 0.0, 1, lr=0.1, beta1=0.9, beta2=0.999, eps=1e-8, weight_decay=0.5)
    (0.95, 0.0, 0.0)
    """
    return adam_step(w - lr * weight_decay * w, g, m, v, t, lr, beta1, beta2, eps)


def adam_step(
    w: Any, g: Any, m: Any, v: Any, t: int, lr: float, beta1: float, beta2: float, eps: float
) -> tuple[Any, Any, Any]:
    """What Adam and AdamW share: see `adam`."""
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    m_hat = m / (1.0 - beta1**t)
    v_hat = v / (1.0 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v


def rmsprop(
    w: Any,
    g: Any,
    v: Any,
    m: Any,
    b: Any,
    t: int,
    lr: float,
    alpha: float,
    eps: float,
    weight_decay: float,
    momentum: float,
    centered: bool,
) -> tuple[Any, Any, Any, Any]:
    """v ← αv + (1-α)g²,  b ← μb + g/(√v + ε),  w ← w - η·b, where g includes λw.

    Tieleman and Hinton 2012, lecture 6e. Centred (Graves 2013): √(v - m²) for √v, with m ← m + (1-α)(g - m); the
    difference is a variance, so that rounding below 0 counts as 0.

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
    w: Any, g: Any, s: Any, t: int, lr: float, lr_decay: float, weight_decay: float, eps: float
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
    w: Any,
    g: Any,
    before: Any,
    step: Any,
    t: int,
    lr: float,
    eta_minus: float,
    eta_plus: float,
    smallest: float,
    largest: float,
) -> tuple[Any, Any, Any]:
    """Δ ← Δ·η⁺ where g keeps its sign, Δ·η⁻ where it turns, within [Δmin, Δmax];  w ← w - Δ·sign g.

    Riedmiller and Braun 1993, in the form iRprop⁻ of Igel and Hüsken 2000: where g turns, it counts as 0 in this step
    and the next. `lr` is Δ at the start alone, and not read here.

    >>> rprop(1.0, 3.0, 2.0, 0.5, 2, lr=0.5, eta_minus=0.5, eta_plus=1.2, smallest=1e-6, largest=50.0)
    (0.4, 3.0, 0.6)
    """
    turn = g * before
    step = ops.where(turn > 0.0, eta_plus * step, ops.where(turn < 0.0, eta_minus * step, step))
    step = ops.minimum(ops.maximum(step, smallest), largest)
    g = ops.where(turn < 0.0, 0.0, g)
    return w - step * ops.sign(g), g, step
