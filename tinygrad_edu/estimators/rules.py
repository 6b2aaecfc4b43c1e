"""scikit-learn's update rules, in the form of `optim.rules`: the velocity includes the learning rate."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import ArrayLike, Samples


def sgd(
    w: ArrayLike, g: ArrayLike, v: ArrayLike, t: int, lr: float, momentum: float, nesterov: bool
) -> tuple[Any, Any]:
    """v ← μv - η·g,  w ← w + v (Nesterov: w + μv - η·g, with the new v).

    With a constant η these are the steps of `optim.rules.sgd`; if η changes, the velocity keeps past steps.

    >>> sgd(1.0, 2.0, 0.5, 1, lr=0.25, momentum=0.5, nesterov=True)
    (0.375, -0.25)
    """
    v = momentum * v - lr * g
    return w + (momentum * v - lr * g if nesterov else v), v


def adam(
    w: ArrayLike,
    g: ArrayLike,
    m: ArrayLike,
    v: ArrayLike,
    t: int,
    lr: float,
    beta_1: float,
    beta_2: float,
    epsilon: float,
) -> tuple[Any, Any, Any]:
    """m ← β₁m + (1-β₁)g,  v ← β₂v + (1-β₂)g²,  w ← w - ηₜ·m/(√v + ε),  ηₜ = η·√(1-β₂ᵗ)/(1-β₁ᵗ).

    The form at the end of section 2 of Kingma and Ba 2015: its ε is √(1-β₂ᵗ) times as large as that of their
    algorithm 1, which `optim.rules.adam` follows.

    >>> adam(1.0, 3.0, 0.0, 0.0, 1, lr=0.5, beta_1=0.5, beta_2=0.75, epsilon=1.5)
    (0.75, 1.5, 2.25)
    """
    m = beta_1 * m + (1.0 - beta_1) * g
    v = beta_2 * v + (1.0 - beta_2) * g * g
    rate = lr * ops.sqrt(1.0 - beta_2**t) / (1.0 - beta_1**t)
    return w - rate * m / (ops.sqrt(v) + epsilon), m, v


def end_of_epoch(
    gained: Any,
    record: Any,
    failures: Any,
    lr: Any,
    samples: Samples,
    tol: Any,
    patience: Any,
    schedule: Any,
    lr_init: Any,
    power_t: Any,
) -> tuple[Any, Any, Any, Any]:
    """(record, failures, lr, event) after an epoch with this score: minus the loss, or the validation score.

    An epoch that does not exceed the record by tol is a failure; patience + 1 failures in a row cause an event: 1, the
    end; with schedule 2 ("adaptive") η/5 and another chance (3), or the end if η ≤ 1e-6 (2). Schedule 1
    ("invscaling"): η₀/(samples + 1)^power_t. Of NaN no comparison holds: it is no failure, and no record. The network
    program contains this text.
    """
    failures = failures + 1.0 if gained < record + tol else 0.0
    record = gained if gained > record else record
    lr = lr_init / (samples + 1.0) ** power_t if schedule == 1 else lr
    if failures <= patience:
        return record, failures, lr, 0.0
    if schedule != 2:
        return record, failures, lr, 1.0
    return (record, failures, lr, 2.0) if lr <= 1e-6 else (record, 0.0, lr / 5.0, 3.0)
