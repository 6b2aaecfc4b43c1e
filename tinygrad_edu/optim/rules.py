"""Update rules: plain functions of a parameter, its gradient and the rule's memory, with the papers' letters.

A rule is arithmetic alone, so that it runs on floats (Values), on arrays (Tensors), and can be compiled:
rule(w, g, memory..., t, settings...) → (new w, new memory...), where t = 1, 2, 3, ... counts the steps.
"""

from __future__ import annotations

from typing import Any


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
    """
    g = g + weight_decay * w
    m = beta1 * m + (1.0 - beta1) * g
    v = beta2 * v + (1.0 - beta2) * g * g
    m_hat = m / (1.0 - beta1**t)
    v_hat = v / (1.0 - beta2**t)
    return w - lr * m_hat / (v_hat**0.5 + eps), m, v
