"""`python -m bench.scaling`: what data parallel training costs, measured on two processes, and modelled beyond.

Model of a step on p machines with m bytes of gradient: T(p) = C/p + 2(p-1)·L + 2(p-1)/p·m/B, a ring all-reduce of
latency L and bandwidth B (Patarasuk and Yuan 2009); C: the measured gradient of the whole batch in one process.
Efficiency: T(1) / (p·T(p)). L and B of this machine are fitted to the measured all-reduces; the error is printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

import numpy as np

from bench.chart import ADVICE, INK, available
from bench.machine import conditions

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)  # parameters, float64
NETWORKS = {"10 Gbit/s, 50 µs": (50e-6, 1.25e9), "100 Gbit/s, 5 µs": (5e-6, 12.5e9)}  # latency s, bytes/s
MACHINES = [2**k for k in range(11)]
LAYERS, BATCH, SAMPLES, EPOCHS, ROUNDS = (256, 256, 10), 512, 2048, 3, 7
CHILD = "child"


def main() -> None:
    if sys.argv[1:] == [CHILD]:
        child()
        return
    one, two = started(1), started(2)
    latency, bandwidth = fitted(two["all_reduce"])
    text = report(one, two, latency, bandwidth)
    out = Path("out")
    out.mkdir(exist_ok=True)
    (out / "scaling.md").write_text(text, encoding="utf-8")
    print(text)
    print("wrote out/scaling.svg" if draw(one["step"], out / "scaling.svg") else ADVICE)


def started(processes: int) -> Any:
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [mpiexec, "-n", str(processes), sys.executable, "-m", "bench.scaling", CHILD]
    single = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}  # a thread for each process: else 2 share what 1 had
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=600, env=single)
    return json.loads(done.stdout.splitlines()[-1])


def child() -> None:
    from mpi4py import MPI

    comm = MPI.COMM_WORLD
    found = {"all_reduce": all_reduces(comm), "step": step_seconds(comm), "parameters": parameters()}
    if comm.rank == 0:
        print(json.dumps(found))


def all_reduces(comm: Any) -> dict[int, float]:
    """Medians by number of parameters; the sizes take turns."""
    from tinygrad_edu.train.ranks import Ranks

    ranks, times = Ranks(comm), {n: [] for n in SIZES}
    buffers = {n: np.zeros(n) for n in SIZES}
    for _ in range(ROUNDS):
        for n, buffer in buffers.items():
            repeats = max(1, 100_000 // n)
            comm.Barrier()
            start = perf_counter()
            for _ in range(repeats):
                ranks.sum(buffer)
            times[n].append((perf_counter() - start) / repeats)
    return {n: median(seconds) for n, seconds in times.items()}


def network() -> Any:
    from tinygrad_edu import nn

    return nn.MLP(LAYERS, activation="relu", seed=0)


def parameters() -> int:
    return sum(p.size for p in network().parameters())


def step_seconds(comm: Any) -> float:
    """A step of compiled training on these ranks, the first run, which compiles, left out."""
    from tinygrad_edu import fit, optim

    rng, times = np.random.default_rng(0), []
    X, y = rng.normal(size=(SAMPLES, LAYERS[0])), rng.integers(LAYERS[-1], size=SAMPLES)
    for _ in range(1 + ROUNDS // 2):
        model = network()
        optimizer = optim.SGD(model.parameters(), lr=0.01)
        start = perf_counter()
        fit(model, X, y, loss="cross_entropy", optimizer=optimizer, epochs=EPOCHS, batch_size=BATCH, compiled=True,
            comm=comm, progress=False)  # fmt: skip
        times.append((perf_counter() - start) / (EPOCHS * SAMPLES // BATCH))
    return median(times[1:])


# The model


def ring(p: int, size: float, latency: float, bandwidth: float) -> float:
    """Seconds of an all-reduce of so many bytes."""
    return 2.0 * (p - 1) * latency + 2.0 * (p - 1) / p * size / bandwidth


def fitted(seconds: Mapping[str, float]) -> tuple[float, float]:
    """Latency and bandwidth of two processes, least squares of the relative errors: T = 2L + m/B."""
    m, t = np.array([8.0 * int(n) for n in seconds]), np.array(list(seconds.values()))
    twice_latency, inverse = np.linalg.lstsq(np.stack([2.0 / t, m / t], axis=1), np.ones_like(t), rcond=None)[0]
    return max(float(twice_latency), 0.0), 1.0 / float(inverse)


def efficiency(p: int, compute: float, size: float, latency: float, bandwidth: float) -> float:
    return compute / (p * (compute / p + ring(p, size, latency, bandwidth)))


# The report


def report(one: Any, two: Any, latency: float, bandwidth: float) -> str:
    size = 8.0 * one["parameters"]
    predicted = one["step"] / 2 + ring(2, size, latency, bandwidth)
    lines = [
        "# Data parallel training: measured and modelled", "", *conditions(["mpi4py", "mpich"], f"{date.today()}"), "",
        "| parameters (float64) | all-reduce of 2 processes | model | error |", "|---|---|---|---|",
        *[reduce_row(int(n), t, ring(2, 8.0 * int(n), latency, bandwidth)) for n, t in two["all_reduce"].items()], "",
        f"Fitted: latency {latency * 1e6:.1f} µs, {bandwidth / 1e9:.2f} GB/s.", "",
        f"MLP {'-'.join(map(str, LAYERS))}, {one['parameters']:,} parameters, batch {BATCH}: a step takes "
        f"{one['step'] * 1e3:.2f} ms in 1 process, {two['step'] * 1e3:.2f} ms in 2; the model says "
        f"{predicted * 1e3:.2f} ms (error {predicted / two['step'] - 1:+.0%}): it leaves out that the processes share "
        "cores and memory, and that every rank makes the whole update.", "",
        f"| machines | {' | '.join(NETWORKS)} |", "|---|" + "---|" * len(NETWORKS),
        *[efficiency_row(p, one["step"], size) for p in MACHINES], "",
        f"Efficiency by the model, for this batch of {BATCH} rows divided over the machines.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def reduce_row(n: int, seconds: float, model: float) -> str:
    return f"| {n:,} | {seconds * 1e6:,.1f} µs | {model * 1e6:,.1f} µs | {model / seconds - 1:+.0%} |"


def efficiency_row(p: int, compute: float, size: float) -> str:
    found: Sequence[float] = [efficiency(p, compute, size, *network) for network in NETWORKS.values()]
    return f"| {p:,} | {' | '.join(f'{x:.1%}' for x in found)} |"


def draw(compute: float, path: Path) -> bool:
    if not available():
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes = figure.subplots()
    for name, given in NETWORKS.items():
        axes.semilogx(MACHINES, [efficiency(p, compute, 8.0 * parameters(), *given) for p in MACHINES], label=name)
    axes.set(xlabel="machines", ylabel="efficiency by the model", ylim=(0.0, 1.05))
    axes.grid(color=INK, alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, transparent=True)
    return True


if __name__ == "__main__":
    main()
