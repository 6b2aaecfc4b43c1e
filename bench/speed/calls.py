"""What a call costs: `jit` of functions so small that little but the call is left, 1,000 calls a run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.speed.array_gpt import answer
from bench.speed.workload import OURS, Run, Workload

CALLS = 1000


def two() -> list[Any]:
    return [np.array([1.0, 2.0])]


def network() -> list[Any]:
    """W1, b1, W2, b2 of 24-8-2, and 200 rows of X and y."""
    rng = np.random.default_rng(0)
    return [rng.normal(size=shape) for shape in [(24, 8), (8,), (8, 2), (2,), (200, 24), (200, 2)]]


def loss(module: Any) -> Callable[..., Any]:
    """The mean squared error of 24-8-2 with tanh, in NumPy or in jax.numpy."""

    def f(W1: Any, b1: Any, W2: Any, b2: Any, X: Any, y: Any) -> Any:
        return module.mean((module.tanh(X @ W1 + b1) @ W2 + b2 - y) ** 2)

    return f


def ours_value() -> Run:
    from tinygrad_edu import jit

    f, given = jit(lambda w: np.sum(w * w)), two()
    return lambda: [f(*given) for _ in range(CALLS)][-1:]


def jax_value() -> Run:
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    f, given = jax.jit(lambda w: jnp.sum(w * w)), list(map(jnp.asarray, two()))
    return lambda: [float([f(*given) for _ in range(CALLS)][-1].block_until_ready())]


def pytensor_value() -> Run:
    """Without the check of its arguments (`trust_input`), which is PyTensor's fastest call."""
    import pytensor
    from pytensor import tensor as pt

    w, given = pt.dvector(), two()
    f = pytensor.function([w], pt.sum(w * w), trust_input=True)
    return lambda: [float([f(*given) for _ in range(CALLS)][-1])]


def ours_gradients() -> Run:
    from tinygrad_edu import jit

    f, given = jit(loss(np)), network()

    def run() -> list[float]:
        for _ in range(CALLS):
            value, gradients = f.value_and_grad(*given, argnum=(0, 1, 2, 3))
        return answer(value, gradients)

    return run


def jax_gradients() -> Run:
    import jax
    from jax import numpy as jnp

    jax.config.update("jax_enable_x64", True)
    f, given = jax.jit(jax.value_and_grad(loss(jnp), (0, 1, 2, 3))), list(map(jnp.asarray, network()))

    def run() -> list[float]:
        for _ in range(CALLS):
            value, gradients = f(*given)
            value.block_until_ready()
        return answer(value, gradients)

    return run


def pytensor_gradients() -> Run:
    import pytensor
    from pytensor import tensor as pt

    symbols, given = [pt.dmatrix() if x.ndim == 2 else pt.dvector() for x in network()], network()
    value = loss(pt)(*symbols)
    f = pytensor.function(symbols, [value, *pytensor.grad(value, symbols[:4])], trust_input=True)

    def run() -> list[float]:
        for _ in range(CALLS):
            value, *gradients = f(*given)
        return answer(value, gradients)

    return run


CALL_ROWS = [
    Workload(
        name="jit call",
        what=f"sum(w·w) of two numbers, {CALLS:,} calls, float64",
        peers={OURS: ours_value, "jax": jax_value, "pytensor": pytensor_value},
        at_least={"jax": 1.0, "pytensor": 1.0},
        rounds=31,
    ),
    Workload(
        name="jit call 24-8-2",
        what=f"24-8-2 tanh, 200 rows, loss and all gradients, {CALLS:,} calls, float64",
        peers={OURS: ours_gradients, "jax": jax_gradients, "pytensor": pytensor_gradients},
        at_least={"jax": 1.0, "pytensor": 2.0},
        rounds=31,
        rtol=1e-9,
    ),
]
