"""Chains of 200 small operations on 8 numbers, forward + backward: what an eager array engine costs per operation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

LENGTH = 200
X, W = np.linspace(0.1, 0.9, 8), np.linspace(0.5, 1.5, 8)

Link = Callable[[Any, Any], Any]


def soft(x: Any, w: Any) -> Any:
    """mul, tanh, add, sin."""
    return ((x * w).tanh() + w).sin()


def steep(x: Any, w: Any) -> Any:
    """sub, exp, div, sigmoid."""
    return ((x - w).exp() / w).sigmoid()


def chain(link: Link, x: Any, w: Any) -> Any:
    for _ in range(LENGTH // 4):
        x = link(x, w)
    return x.sum()


def run_chain(link: Link, x: Any, w: Any) -> list[float]:
    x.grad = w.grad = None
    y = chain(link, x, w)
    y.backward()
    return [float(y.item()), *x.grad.tolist(), *w.grad.tolist()]


def ours(link: Link) -> Run:
    from tinygrad_edu import Tensor

    x, w = (Tensor(array, requires_grad=True) for array in (X, W))
    return lambda: run_chain(link, x, w)


def torch(link: Link) -> Run:
    import torch

    x, w = (torch.tensor(array, requires_grad=True) for array in (X, W))
    return lambda: run_chain(link, x, w)


def workload(name: str, link: Link) -> Workload:
    return Workload(
        name=f"eager chain, {name}",
        what=f"{LENGTH} operations ({link.__doc__.rstrip('.')}) on 8 float64, forward + backward",
        peers={OURS: lambda: ours(link), "torch": lambda: torch(link)},
        at_least={"torch": 1.0},
        rounds=51,
        rtol=1e-10,
    )


CHAINS = [workload("soft", soft), workload("steep", steep)]
