"""Does memory stay flat? Resident size before and after many steps, as the system counts it."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from bench.speed.workload import Probe

STATM = Path("/proc/self/statm")  # Linux: (total size, resident size, ...), in pages
STEPS = 100_000
PARTS = 10  # the size is read after each part; the first two are warm-up


def resident_kb() -> float:
    return int(STATM.read_text(encoding="utf-8").split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1000


def growth(part: Callable[[], Any]) -> float:
    """kB by which the largest size in PARTS parts exceeds the size after the warm-up, two parts more."""
    for _ in range(2):
        part()
    before = resident_kb()
    return max(0.0, *(size - before for size in sizes(part)))


def sizes(part: Callable[[], Any]) -> Iterator[float]:
    for _ in range(PARTS):
        part()
        yield resident_kb()


def training(steps: int) -> Callable[[], Any]:
    """`steps` compiled steps: epochs of 100 batches, because a run keeps the loss of each epoch."""
    from tinygrad_edu import fit, nn, optim

    X = np.random.default_rng(0).normal(size=(1000, 2))
    model = nn.MLP([2, 8, 1], seed=0)
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    return lambda: fit(
        model, X, np.sign(X[:, :1] * X[:, 1:]), loss="mse", optimizer=optimizer, epochs=steps // 100, batch_size=10,
        compiled=True,
    )  # fmt: skip


def calls(count: int) -> Callable[[], Any]:
    """`count` values and gradients of a compiled function of arrays."""
    from tinygrad_edu import jit

    f = jit(lambda w, x: np.mean(np.tanh(x @ w) ** 2))
    w, x = np.ones((4, 3)), np.linspace(-1.0, 1.0, 32).reshape(8, 4)

    def part() -> None:
        for _ in range(count):
            f.value_and_grad(w, x)

    return part


def growths(steps: int = STEPS) -> Mapping[str, float]:
    return {"training steps": growth(training(steps // PARTS)), "calls": growth(calls(steps // PARTS))}


MEMORY = Probe(
    name="memory",
    what=f"growth of the resident size over {STEPS:,} compiled training steps in {PARTS} fits, and over {STEPS:,} "
    "calls of `value_and_grad`, after a warm-up",
    measure=growths,
    at_most={"training steps": 1000.0, "calls": 1000.0},
    unit="kB",
    needs=str(STATM),
)
