"""One long chain of elementwise operations and its sum: what fusing them into one loop is worth."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

SIZE = 1_000_000
SHOWN = 99_991  # a prime step through the gradient, so that the answer contains eleven of its entries


def numbers() -> Any:
    """(SIZE,) float32 between -2.9 and 3; none of those shown is near -0.24, where the derivative is 0."""
    return np.linspace(-2.9, 3.0, SIZE, dtype=np.float32)


def ours() -> Run:
    from tinygrad_edu import jit, ops

    @jit
    def f(x: Any) -> Any:
        return np.sum(np.tanh(x) * ops.sigmoid(x) + x**2)

    x = numbers()

    def run() -> list[float]:
        value, gradient = f.value_and_grad(x)
        return [float(value), *gradient[::SHOWN].tolist()]

    return run


def torch() -> Run:
    import torch

    x = torch.tensor(numbers(), requires_grad=True)

    def run() -> list[float]:
        x.grad = None
        y = (torch.tanh(x) * torch.sigmoid(x) + x**2).sum()
        y.backward()
        return [float(y.item()), *x.grad[::SHOWN].tolist()]

    return run


def jax() -> Run:
    import jax
    from jax import numpy as jnp

    f = jax.jit(jax.value_and_grad(lambda x: jnp.sum(jnp.tanh(x) * jax.nn.sigmoid(x) + x**2)))
    x = jnp.asarray(numbers())

    def run() -> list[float]:
        value, gradient = f(x)
        return [float(value), *np.asarray(gradient)[::SHOWN].tolist()]  # asarray copies nothing on a CPU

    return run


ELEMENTWISE = Workload(
    name="elementwise",
    what="tanh(x)·sigmoid(x) + x², summed, for a million float32, forward + backward",
    peers={OURS: ours, "torch": torch, "jax": jax},
    at_least={"torch": 2.0, "jax": 0.8},
    rounds=31,
    rtol=1e-4,
    threads=2,
)
