"""Does XOR converge from a thousand seeds? `fit_many` against a loop over seeds in torch.

Both start from the same weights; the answer that they must agree on is the loss of the first seeds on their way down:
at the end it is 1e-26, which is rounding alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.speed.workload import OURS, Run, Workload

SIZES = (2, 4, 1)
SEED_COUNT, EPOCHS = 1000, 2000
HALFWAY = 300  # losses of 1e-3 to 1e-6
COMPARED = 10  # seeds that torch trains; its time is multiplied by SEED_COUNT / COMPARED
LR = 0.1  # 0.5 diverges from some seeds, where rounding alone decides the answer
THREADS = 2


def model(seed: int) -> Any:
    from tinygrad_edu import nn

    return nn.MLP(SIZES, activation="tanh", seed=seed)


def ours() -> Run:
    from tinygrad_edu import fit_many, optim
    from tinygrad_edu.data import xor_gate

    X, y = xor_gate()

    def run() -> list[float]:
        runs = fit_many(
            model, X, y, loss="mse", optimizer=lambda p: optim.SGD(p, lr=LR), epochs=EPOCHS, shuffle=False,
            seeds=range(SEED_COUNT), threads=THREADS,
        )  # fmt: skip
        return [float(loss) for loss in runs.loss_curves[0, :COMPARED, HALFWAY]]

    return run


def torch() -> Run:
    import torch

    from tinygrad_edu.data import xor_gate

    X, y = (torch.tensor(array) for array in xor_gate())
    begun = [[np.array(p.data) for p in model(seed).parameters()] for seed in range(COMPARED)]

    def trained(weights: list[Any]) -> float:
        W1, b1, W2, b2 = parameters = [torch.tensor(w, requires_grad=True) for w in weights]
        optimizer, halfway = torch.optim.SGD(parameters, lr=LR), np.nan
        for epoch in range(EPOCHS):
            optimizer.zero_grad()
            hidden = torch.tanh(torch.nn.functional.linear(X, W1, b1))
            loss = torch.nn.functional.mse_loss(torch.nn.functional.linear(hidden, W2, b2), y)
            loss.backward()
            optimizer.step()
            halfway = float(loss.item()) if epoch == HALFWAY else halfway
        return halfway

    return lambda: [trained(weights) for weights in begun]


SEEDS = Workload(
    name="1,000 seeds of XOR",
    what=f"MLP {'-'.join(map(str, SIZES))} tanh from {SEED_COUNT:,} seeds, {EPOCHS:,} full-batch epochs of SGD each, "
    f"float64; torch trains {COMPARED} of them, its time is multiplied by {SEED_COUNT // COMPARED}",
    peers={OURS: ours, "torch": torch},
    at_least={"torch": 300.0},
    rounds=3,
    rtol=1e-6,
    threads=THREADS,
    repeats={"torch": SEED_COUNT / COMPARED},
)
