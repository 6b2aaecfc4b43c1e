"""`python -m bench.eager [NAME ...] [--rounds N] [--above RATIO]`: ordinary eager programs beside PyTorch's.

Forward and backward, in float32 and float64, on one thread, without the variables that choose a kernel of OpenBLAS.
Both libraries take turns in one process. Processor time; the median of the rounds, of which each repeats a program for
ten milliseconds. Ratios above 1 mean that we are slower. Graphs of Values have micrograd beside them.
"""

from __future__ import annotations

import argparse
import importlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import date
from statistics import median
from time import process_time
from typing import Any

import numpy as np

from bench.speed.machine import conditions
from bench.speed.report import duration, line
from bench.speed.threads import SLOWING, limits, threads_in_force

Run = Callable[[], float]
TURN = 0.01  # seconds


def seconds(run: Run, turn: float = TURN) -> float:
    """Processor time of one run: the mean of those of a turn."""
    start, runs, spent = process_time(), 0, 0.0
    while not runs or spent < turn:
        run()
        runs, spent = runs + 1, process_time() - start
    return spent / runs


def in_turn(ours: Run, theirs: Run, rounds: int) -> tuple[float, float]:
    ours(), theirs()
    found = [(seconds(ours), seconds(theirs)) for _ in range(rounds)]
    return median(a for a, _ in found), median(b for _, b in found)


def of_program(program: Any, dtype: str) -> tuple[Run, Run]:
    """The value and the gradients of all floats among the arrays. Errors: ArithmeticError where the values differ."""
    import torch

    from tinygrad_edu import Tensor

    rng = np.random.default_rng(0)
    arrays = [x.astype(dtype) if x.dtype.kind == "f" else x for x in (draw(rng) for draw in program.arrays)]
    given = [torch.tensor(x, requires_grad=x.dtype.kind == "f") for x in arrays]

    def ours() -> float:
        inputs = [Tensor(x, requires_grad=True) if x.dtype.kind == "f" else x for x in arrays]
        y = program.ours(*inputs)
        y.backward()
        return float(y.item())

    def theirs() -> float:
        for x in given:
            x.grad = None
        y = program.torch(torch, *given)
        y.backward()
        return float(y.item())

    if not np.isclose(ours(), theirs(), rtol=2e-2 if dtype == "float32" else 1e-9):
        raise ArithmeticError(f"{program.name}: {ours()} here, {theirs()} by torch")
    return ours, theirs


def of_layer(layer: Any, dtype: str) -> tuple[Run, Run]:
    """The mean square of a layer's output, with its gradients for the input and all parameters."""
    import torch

    from tinygrad_edu import Tensor

    x = np.random.default_rng(0).normal(size=layer.shape).astype(dtype)
    model, other = layer.ours(dtype), layer.torch(torch.nn).to(getattr(torch, dtype))
    given = torch.tensor(x, requires_grad=True)

    def run(model: Any, x: Any) -> float:
        for w in (x, *model.parameters()):
            w.grad = None
        y = model(x)
        y = y[0] if isinstance(y, tuple) else y
        loss = (y * y).mean()
        loss.backward()
        return float(loss.item())

    return lambda: run(model, Tensor(x, requires_grad=True)), lambda: run(other, given)


def of_values() -> Iterator[tuple[str, Run, Run]]:
    """Graphs of single numbers, beside micrograd's."""
    from tinygrad_edu import Value

    engine = importlib.import_module("micrograd.engine")

    def neuron(kind: Any) -> float:
        w = [kind(0.1 * i - 0.5) for i in range(10)]
        y = sum((wi * xi for wi, xi in zip(w, range(10), strict=True)), kind(0.1)).relu() + w[0] ** 2
        y.backward()
        return float(y.data)

    def walk(kind: Any) -> float:
        x = total = kind(1.0)
        for _ in range(100):
            total = (total * 0.5 + x) / 1.5 - x**3 * 0.1
        total.backward()
        return float(total.data)

    for f in (neuron, walk):
        yield f"Values: {f.__name__}", lambda f=f: f(Value), lambda f=f: f(engine.Value)  # type: ignore[misc]


def rows(names: list[str]) -> Iterator[tuple[str, str, Run, Run]]:
    from bench.eager_programs import LAYERS, PROGRAMS

    def asked(name: str) -> bool:
        return not names or any(part in name for part in names)

    table = [(of_program, entry) for entry in PROGRAMS] + [(of_layer, entry) for entry in LAYERS]
    for make, entry in table:
        for dtype in ("float32", "float64") if asked(entry.name) else ():
            ours, theirs = make(entry, dtype)
            yield entry.name, dtype, ours, theirs
    try:
        for name, ours, theirs in of_values():
            if asked(name):
                yield name, "float", ours, theirs
    except ImportError:
        print("micrograd is not installed, skipped", file=sys.stderr)


def measure(names: list[str], rounds: int, above: float) -> None:
    """Print one line for each row as soon as it is measured."""
    import torch

    torch.set_num_threads(1)
    threads = ", ".join(f"{library} {count}" for library, count in threads_in_force().items())
    print(*conditions(["torch"], f"{date.today()}"), f"threads: {threads}; {rounds} rounds", "", sep="\n")
    print(line(["program", "dtype", "tinygrad_edu", "peer", "ratio"]), "|---|---|--:|--:|--:|", sep="\n")
    for name, dtype, ours, theirs in rows(names):
        a, b = in_turn(ours, theirs, rounds)
        if a / b >= above:
            print(line([name, dtype, duration(a), duration(b), f"{a / b:.2f}"]), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.eager", description="Eager programs beside PyTorch's.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="rows whose name contains one of these; default: all")
    parser.add_argument("--rounds", type=int, default=9, help="turns of each library (default: 9)")
    parser.add_argument("--above", type=float, default=0.0, help="show the rows with at least this ratio")
    parser.add_argument("--here", action="store_true", help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.here:
        measure(chosen.names, chosen.rounds, chosen.above)
        return
    plain = {key: value for key, value in os.environ.items() if key not in SLOWING}
    sys.exit(subprocess.call([sys.executable, "-m", "bench.eager", "--here", *sys.argv[1:]], env=plain | limits(1)))


if __name__ == "__main__":
    main()
