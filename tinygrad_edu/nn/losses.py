"""Losses on both back ends: of Tensors, or of arrays and lists of Values. What all take: see core.losses.

>>> from tinygrad_edu.core.value import Value
>>> y = Value(0.5)
>>> huber([y], [3.0], delta=2.0, reduction="sum").backward()
>>> y.grad
-2.0
"""

from collections.abc import Callable
from typing import Any

from tinygrad_edu.core.losses import (
    Loss,
    bce,
    bce_with_logits,
    cross_entropy,
    delta_rule,
    hinge,
    huber,
    mae,
    mse,
    poisson,
)
from tinygrad_edu.errors import unknown_name

LOSSES = {
    loss.name: loss for loss in (mse, mae, huber, bce, bce_with_logits, delta_rule, cross_entropy, hinge, poisson)
}


def find(name: str | Callable[..., Any]) -> Callable[..., Any]:
    """A loss by name, or the function itself. Errors: NameNotFoundError.

    >>> find("mse").name
    'mse'
    """
    if callable(name):
        return name
    if not isinstance(name, str) or name not in LOSSES:
        raise unknown_name("loss", name, LOSSES)
    return LOSSES[name]


__all__ = [
    "LOSSES", "Loss", "bce", "bce_with_logits", "cross_entropy", "delta_rule", "hinge", "huber", "mae", "mse",
    "poisson",
]  # fmt: skip
