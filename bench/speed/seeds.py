"""Does XOR converge from a thousand seeds? `fit_many` against JAX's vmap of a scan.

Both start from the same weights, which JAX is given and `fit_many` draws; the answer that they must agree on is the
loss of the first seeds on their way down: at the end it is 1e-26, which is rounding alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

SIZES = (2, 4, 1)
SEED_COUNT, EPOCHS = 1000, 2000
HALFWAY = 300  # an epoch at which the losses are between 1e-3 and 1e-6
COMPARED = 10  # seeds whose losses are compared
LR = 0.1  # 0.5 diverges for some seeds, where rounding decides the result
THREADS = 2


def model(seed: int) -> Any:
    from tinygrad_edu import nn

    return nn.MLP(SIZES, activation="tanh", seed=seed)


def ours() -> Run:
    from tinygrad_edu import fit_many, nn, optim
    from tinygrad_edu.data import xor_gate

    X, y = xor_gate()

    def run() -> list[float]:
        runs = fit_many(
            nn.MLP(SIZES, activation="tanh"), X, y, loss="mse", optimizer=lambda p: optim.SGD(p, lr=LR), epochs=EPOCHS,
            shuffle=False, seeds=range(SEED_COUNT), threads=THREADS,
        )  # fmt: skip
        return [float(loss) for loss in runs.loss_curves[0, :COMPARED, HALFWAY]]

    return run


def jax() -> Run:
    import jax
    from jax import numpy as jnp

    from tinygrad_edu.data import xor_gate

    jax.config.update("jax_enable_x64", True)
    X, y = map(jnp.asarray, xor_gate())
    begun = [[np.array(p.data) for p in model(seed).parameters()] for seed in range(SEED_COUNT)]
    stacked = [jnp.asarray(np.stack(each)) for each in zip(*begun, strict=True)]

    def loss(parameters: Any) -> Any:
        W1, b1, W2, b2 = parameters
        return jnp.mean((jnp.tanh(X @ W1.T + b1) @ W2.T + b2 - y) ** 2)

    def step(parameters: Any, _: Any) -> Any:
        value, gradients = jax.value_and_grad(loss)(parameters)
        return [p - LR * g for p, g in zip(parameters, gradients, strict=True)], value

    train = jax.jit(jax.vmap(lambda parameters: jax.lax.scan(step, parameters, None, length=EPOCHS)[1]))
    return lambda: [float(loss) for loss in np.asarray(train(stacked))[:COMPARED, HALFWAY]]


SEEDS = Workload(
    name="1,000 seeds of XOR",
    what=f"MLP {'-'.join(map(str, SIZES))} tanh from {SEED_COUNT:,} seeds, {EPOCHS:,} full-batch epochs of SGD each, "
    "float64; JAX: vmap over the seeds of a scan over the epochs, in one jit",
    peers={OURS: ours, "jax": jax},
    at_least={"jax": 1.0},
    rounds=3,
    rtol=1e-6,
    threads=THREADS,
)
