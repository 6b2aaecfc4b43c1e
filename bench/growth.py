"""`python -m bench.growth`: how time and memory grow with depth, width, batch, nodes and samples.

Each row is measured at a few sizes, from small to large. The slope is that of the logarithms, by least squares: 1 for
twice the time at twice the size, less where small sizes are mostly a fixed cost. Beside it stands the slope that the
work itself has. Processor time, the best of some runs, so that a busy machine changes little; memory as Python and
NumPy count it (tracemalloc).
"""

from __future__ import annotations

import gc
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from time import process_time
from typing import Any

import numpy as np

from bench.speed.machine import conditions
from bench.speed.report import duration, line, number

Work = Callable[[], object]


@dataclass(frozen=True)
class Growth:
    """`prepare` makes the work of one size; `slope` is what the work itself asks for; `times` the runs of each size."""

    what: str
    of: str
    sizes: Sequence[int]
    prepare: Callable[[int], Work]
    slope: str
    times: int = 5
    memory: bool = False

    def measured(self) -> list[float]:
        return [(peak if self.memory else seconds)(self.prepare(n), self.times) for n in self.sizes]


def seconds(work: Work, times: int) -> float:
    best = float("inf")
    for _ in range(times):
        gc.collect()
        start = process_time()
        work()
        best = min(best, process_time() - start)
    return best


def peak(work: Work, _: int) -> float:
    """Bytes at the most."""
    tracemalloc.start()
    try:
        work()
        return float(tracemalloc.get_traced_memory()[1])
    finally:
        tracemalloc.stop()


def slope(sizes: Sequence[int], found: Sequence[float]) -> float:
    """By least squares of the logarithms.

    >>> round(slope([1, 2, 4], [3.0, 6.0, 12.0]), 6)
    1.0
    """
    return float(np.polyfit(np.log(sizes), np.log(found), 1)[0])


# what is measured


def value_graph(nodes: int) -> Work:
    """Build, backward, free."""
    from tinygrad_edu import Value

    def work() -> None:
        x = total = Value(1.0)
        for _ in range(nodes // 2):
            total = total * 0.5 + x
        total.backward()

    return work


def eager_chain(operations: int) -> Work:
    from tinygrad_edu import Tensor

    x = Tensor(np.linspace(0.1, 0.9, 8), requires_grad=True)

    def work() -> None:
        y = x
        for _ in range(operations // 2):
            y = (y * 0.5).tanh()
        y.sum().backward()

    return work


def loss(X: Any, *weights: Any) -> Any:
    """Of a network of tanh layers."""
    for W in weights:
        X = np.tanh(X @ W)
    return np.sum(X)


def inputs(depth: int) -> list[Any]:
    rng = np.random.default_rng(0)
    return [rng.normal(size=(100, 16)), *[rng.normal(size=(16, 16)) / 4.0 for _ in range(depth)]]


def compile_cold(depth: int) -> Work:
    """The first gradient of a tanh network 16 wide, with an empty cache."""
    from tinygrad_edu import jit
    from tinygrad_edu.compile.backend.cache import VARIABLE

    def work() -> None:
        with tempfile.TemporaryDirectory() as folder:
            os.environ[VARIABLE] = folder
            jit(loss).value_and_grad(*inputs(depth), argnum=tuple(range(1, depth + 1)))

    return work


def compile_blocks(layers: int) -> Work:
    """A first epoch of equal transformer layers, with an empty cache."""
    from tinygrad_edu import fit, nn
    from tinygrad_edu.compile.backend.cache import VARIABLE

    letters = np.random.default_rng(0).integers(0, 10, (2, 16, 8))

    def work() -> None:
        blocks = [nn.TransformerEncoderLayer(16, 2, 64, dropout=0.1) for _ in range(layers)]
        model = nn.Sequential(nn.Embedding(10, 16), *blocks, nn.Linear(16, 10))
        with tempfile.TemporaryDirectory() as folder:
            os.environ[VARIABLE] = folder
            fit(model, *letters, loss="cross_entropy", optimizer="adam", epochs=1, compiled=True, progress=False)

    return work


def call(depth: int) -> Work:
    """100 gradients of the same."""
    from tinygrad_edu import jit

    f, given, wanted = jit(loss), inputs(depth), tuple(range(1, depth + 1))
    f.value_and_grad(*given, argnum=wanted)
    return lambda: [f.value_and_grad(*given, argnum=wanted) for _ in range(100)]


def epoch(samples: int = 2048, width: int = 64, batch: int = 64, hidden: int = 1) -> Work:
    """`fit` for two epochs, compiled, Adam; the program is there."""
    from tinygrad_edu import fit, nn, optim

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(samples, 64)), rng.normal(size=(samples, 1))

    def work() -> None:
        model = nn.MLP([64, *[width] * hidden, 1], activation="relu", seed=0)
        fit(model, X, y, loss="mse", optimizer=optim.Adam(model.parameters()), epochs=2, batch_size=batch,
            compiled=True, progress=False)  # fmt: skip

    work()
    return work


GROWTH = [
    Growth("`Value`: build, backward, free", "nodes", (2_000, 16_000, 128_000, 1_024_000), value_graph, "1", 3),
    Growth("the same, memory", "nodes", (2_000, 16_000, 128_000), value_graph, "1", memory=True),
    Growth("`Tensor`: a chain, forward + backward", "operations", (100, 400, 1_600, 6_400), eager_chain, "1"),
    Growth("`jit`: first gradient, cold", "layers", (2, 4, 8, 16), compile_cold, "1, after a start", 1),
    Growth("`fit`: first epoch, cold", "transformer layers", (2, 6, 18), compile_blocks, "0, after a start", 1),
    Growth("`jit`: a gradient", "layers", (2, 4, 8, 16), call, "1"),
    Growth("`fit`: 2 epochs", "samples", (2_048, 8_192, 32_768), lambda n: epoch(samples=n), "1"),
    Growth("the same, memory", "samples", (2_048, 8_192, 32_768), lambda n: epoch(samples=n), "1", memory=True),
    Growth("`fit`: 2 epochs, one hidden layer", "width", (64, 256, 1_024), lambda n: epoch(width=n), "1"),
    Growth("the same, two hidden layers", "width", (64, 256, 1_024), lambda n: epoch(width=n, hidden=2), "1 to 2"),
    Growth("`fit`: 2 epochs", "rows of a batch", (16, 64, 256), lambda n: epoch(batch=n), "0 or below"),
    Growth("`fit`: 2 epochs", "hidden layers", (1, 2, 4, 8), lambda n: epoch(hidden=n), "1"),
]  # fmt: skip


def row(growth: Growth) -> str:
    found = growth.measured()
    shown = [f"{number(x / 1e6)} MB" if growth.memory else duration(x) for x in found]
    sizes = " to ".join(f"{n:,}" for n in (growth.sizes[0], growth.sizes[-1]))
    return line([growth.what, growth.of, sizes, ", ".join(shown), f"{slope(growth.sizes, found):.2f}", growth.slope])


def main() -> None:
    lines = ["# Growth", "", *conditions([], f"{date.today()}"), ""]
    lines += ["| what | of | sizes | measured | slope | it should be |", "|---|---|---|---|--:|---|"]
    for growth in GROWTH:
        lines.append(row(growth))
        print(lines[-1], flush=True)
    out = Path("out")
    out.mkdir(exist_ok=True)
    (out / "growth.md").write_text("\n".join([*lines, ""]), encoding="utf-8")
    print("wrote out/growth.md")


if __name__ == "__main__":
    main()
