"""`python -m bench.scaling`: what data parallel training costs, measured on two processes, and modelled beyond.

Model of a step on p machines with m bytes of gradient: T(p) = U + C/p + 2(p-1)·L + 2(p-1)/p·m/B, the last a ring
all-reduce of latency L and bandwidth B (Patarasuk and Yuan 2009). C is what the rows of a batch cost, which p machines
share, and U what every machine does (the update, looking after the run): one process is measured with the batch and
with half of it. Efficiency: T(1) / (p·T(p)). L and B of this machine are fitted to the measured all-reduces; the errors
of the model at all measured points are printed. One process, two, and each size of the all-reduce take turns.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from datetime import date
from pathlib import Path
from statistics import median
from time import perf_counter, sleep
from typing import Any

import numpy as np

from bench.speed.chart import ADVICE, INK, available
from bench.speed.machine import conditions
from bench.speed.threads import SLOWING, limits

SIZES = (1_000, 10_000, 100_000, 1_000_000, 10_000_000)  # number of float64 parameters
NETWORKS = {"10 Gbit/s, 50 µs": (50e-6, 1.25e9), "100 Gbit/s, 5 µs": (5e-6, 12.5e9)}  # (latency in s, bytes per s)
WAYS = {"divided": True, "a batch each": False}
MACHINES = [2**k for k in range(11)]
LAYERS, BATCH, STEPS, EPOCHS, ROUNDS = (784, 512, 10), 1024, 4, 4, 7
CHILD = "child"


def main() -> None:
    if sys.argv[1:] == [CHILD]:
        child()
        return
    found = on_two_ranks()
    latency, bandwidth = fitted(found["all_reduce"])
    text = report(found, latency, bandwidth)
    out = Path("out")
    out.mkdir(exist_ok=True)
    (out / "scaling.md").write_text(text, encoding="utf-8")
    print(text)
    print("wrote out/scaling.svg" if draw(found, out / "scaling.svg") else ADVICE)


def on_two_ranks() -> Any:
    """What `child` has measured."""
    mpiexec = Path(sys.executable).with_name("mpiexec")
    command = [mpiexec, "-n", "2", sys.executable, "-m", "bench.scaling", CHILD]
    own = {name: text for name, text in os.environ.items() if name not in SLOWING}
    single = {**own, **limits(1)}  # one thread per process, or two would share what one had
    done = subprocess.run(command, check=True, capture_output=True, text=True, timeout=900, env=single)
    return json.loads(done.stdout.splitlines()[-1])


def child() -> None:
    from mpi4py import MPI

    comm, alone = MPI.COMM_WORLD, MPI.COMM_SELF
    times: dict[Any, list[float]] = {name: [] for name in ("one", "half", "two", *SIZES)}
    for _ in range(1 + ROUNDS):
        for name, batch in (("one", BATCH), ("half", BATCH // 2)):
            if comm.Get_rank() == 0:
                times[name].append(step_seconds(alone, batch))
            asleep(comm)
        times["two"].append(step_seconds(comm, BATCH))
        for n in SIZES:
            times[n].append(all_reduce_seconds(comm, n))
    # The first round compiles. The minimum of the others, because other work on the machine only adds time.
    found = {name: min(seconds[1:]) for name, seconds in times.items() if seconds}
    if comm.Get_rank() == 0:
        steps = {name: found[name] for name in ("one", "half", "two")}
        print(json.dumps({**steps, "all_reduce": {n: found[n] for n in SIZES}, "parameters": parameters()}))


def asleep(comm: Any) -> None:
    """Wait for the other rank without taking a processor from it, as a barrier of MPI would."""
    request = comm.Ibarrier()
    while not request.Test():
        sleep(0.002)


def all_reduce_seconds(comm: Any, n: int) -> float:
    from tinygrad_edu.train.mpi.ranks import Ranks

    ranks, buffer, repeats = Ranks(comm), np.zeros(n), max(3, 300_000 // n)
    asleep(comm)
    comm.Barrier()  # both ranks start at the same moment; `asleep` alone is not exact enough
    start = perf_counter()
    for _ in range(repeats):
        ranks.sum(buffer)
    return (perf_counter() - start) / repeats


def network() -> Any:
    from tinygrad_edu import nn

    return nn.MLP(LAYERS, activation="relu", seed=0)


def parameters() -> int:
    return sum(p.size for p in network().parameters())


def step_seconds(comm: Any, batch: int) -> float:
    """A step of compiled training on these ranks: the median epoch after the first; 0 on all but rank 0."""
    from tinygrad_edu import fit, optim

    rng, model, ends = np.random.default_rng(0), network(), []
    X, y = rng.normal(size=(STEPS * batch, LAYERS[0])), rng.integers(LAYERS[-1], size=STEPS * batch)
    fit(model, X, y, loss="cross_entropy", optimizer=optim.SGD(model.parameters(), lr=0.01), epochs=EPOCHS,
        batch_size=batch, compiled=True, comm=comm, progress=False,
        callbacks=[lambda job: ends.append(perf_counter())])  # fmt: skip
    return median(np.diff(ends)) / STEPS if ends else 0.0


# the model


def ring(p: int, size: float, latency: float, bandwidth: float) -> float:
    """Seconds of an all-reduce of so many bytes."""
    return 2.0 * (p - 1) * latency + 2.0 * (p - 1) / p * size / bandwidth


def fitted(seconds: Mapping[str, float]) -> tuple[float, float]:
    """Latency and bandwidth of two processes, least squares of the relative errors: T = 2L + m/B."""
    m, t = np.array([8.0 * int(n) for n in seconds]), np.array(list(seconds.values()))
    twice_latency, inverse = np.linalg.lstsq(np.stack([2.0 / t, m / t], axis=1), np.ones_like(t), rcond=None)[0]
    return max(float(twice_latency), 0.0), 1.0 / float(inverse)


def shared_and_own(found: Mapping[str, float]) -> tuple[float, float]:
    """C and U, from the steps of one process with the batch and with half of it.

    >>> shared_and_own({"one": 5.0, "half": 3.0})
    (4.0, 1.0)
    """
    shared = min(2.0 * (found["one"] - found["half"]), found["one"])
    return shared, found["one"] - shared


def efficiency(
    p: int, shared: float, own: float, size: float, network: tuple[float, float], divided: bool = True
) -> float:
    """Of one batch divided over p machines, or of p such batches, one for each machine."""
    step = own + shared / (p if divided else 1) + ring(p, size, *network)
    return (shared + own) / (step * (p if divided else 1))


# the report


def report(found: Any, latency: float, bandwidth: float) -> str:
    size, (shared, own) = 8.0 * found["parameters"], shared_and_own(found)
    predicted = found["half"] + ring(2, size, latency, bandwidth)
    lines = [
        "# Data parallel training: measured and modelled", "", *conditions(["mpi4py", "mpich"], f"{date.today()}"), "",
        "| parameters (float64) | all-reduce of 2 processes | model | error |", "|---|---|---|---|",
        *[reduce_row(int(n), t, ring(2, 8.0 * int(n), latency, bandwidth)) for n, t in found["all_reduce"].items()], "",
        f"Fitted: latency {latency * 1e6:.1f} µs, {bandwidth / 1e9:.2f} GB/s.", "",
        f"MLP {'-'.join(map(str, LAYERS))}, {found['parameters']:,} parameters, batch {BATCH}: a step takes "
        f"{found['one'] * 1e3:.2f} ms in 1 process ({shared * 1e3:.2f} ms for the rows, {own * 1e3:.2f} ms for what "
        f"every process does), {found['two'] * 1e3:.2f} ms in 2; the model says {predicted * 1e3:.2f} ms (error "
        f"{predicted / found['two'] - 1:+.0%}): it leaves out that two processes here share cache and memory.", "",
        f"| machines | {' | '.join(f'{how}: {name}' for how in WAYS for name in NETWORKS)} |",
        "|---|" + "---|" * len(WAYS) * len(NETWORKS),
        *[efficiency_row(p, shared, own, size) for p in MACHINES], "",
        f"Efficiency by the model: one batch of {BATCH} rows divided over the machines, or one for each machine.", "",
    ]  # fmt: skip
    return "\n".join(lines)


def reduce_row(n: int, seconds: float, model: float) -> str:
    return f"| {n:,} | {seconds * 1e6:,.1f} µs | {model * 1e6:,.1f} µs | {model / seconds - 1:+.0%} |"


def efficiency_row(p: int, shared: float, own: float, size: float) -> str:
    found = [efficiency(p, shared, own, size, n, divided) for divided in WAYS.values() for n in NETWORKS.values()]
    return f"| {p:,} | {' | '.join(f'{x:.1%}' for x in found)} |"


def draw(found: Any, path: Path) -> bool:
    if not available():
        return False
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 4.0), layout="constrained")
    axes, size = figure.subplots(), 8.0 * found["parameters"]
    for (name, given), color in zip(NETWORKS.items(), ("C0", "C1"), strict=True):
        for (how, divided), style in zip(WAYS.items(), ("-", "--"), strict=True):
            y = [efficiency(p, *shared_and_own(found), size, given, divided) for p in MACHINES]
            axes.semilogx(MACHINES, y, style, color=color, label=f"{name}, {how}")
    axes.set(xlabel="machines", ylabel="efficiency by the model", ylim=(0.0, 1.05))
    axes.grid(color=INK, alpha=0.25)
    axes.legend(frameon=False)
    figure.savefig(path, transparent=True)
    return True


if __name__ == "__main__":
    main()
