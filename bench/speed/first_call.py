"""How long a network of a new structure takes to begin training: compiled now, and read from the disk.

Each call is timed in a Python of its own, after the imports: `python -m bench.speed.first_call` prints the seconds.
"""

from __future__ import annotations

import compileall
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from math import inf
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from bench.speed.workload import Probe

NUMBA = "of these, Numba's own start: a function that adds 1"
CLASSES = "cold, class numbers"
LONGER = "from the disk, less Numba's own start"
BLOCKS = "12 transformer layers, cold, of the processor"
TIMES = "LSTM over 64 times, cold, of the processor"
GPT = "a GPT's gradient under `jit`, cold, of the processor"


def first_call() -> float:
    return first_epoch(1, "mse", lambda X: X[:, :1])


def class_numbers() -> float:
    return first_epoch(3, "cross_entropy", lambda X: (X[:, 0] > 0) + 0)


def first_epoch(outputs: int, loss: str, targets: Callable[[Any], Any]) -> float:
    """Seconds of a first epoch of MLP 4-8-8-`outputs` with Adam, Numba imported."""
    import numba  # noqa: F401
    import numpy as np

    from tinygrad_edu import fit, nn, optim

    X = np.random.default_rng(0).normal(size=(64, 4))
    model = nn.MLP([4, 8, 8, outputs], seed=0)
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    start = perf_counter()
    fit(model, X, targets(X), loss=loss, optimizer=optimizer, epochs=1, batch_size=32, compiled=True)
    return perf_counter() - start


def gpt() -> float:
    """Seconds of the processor of the first gradient of the GPT on arrays (array_gpt.py), imports done."""
    from bench.speed import array_gpt

    run, start = array_gpt.jit(), process_time()
    run()
    return process_time() - start


def transformer_layers() -> float:
    """Seconds of the processor of a first epoch of 12 equal transformer layers with dropout."""
    from tinygrad_edu import nn

    layers = [nn.TransformerEncoderLayer(16, 2, 64, dropout=0.1) for _ in range(12)]
    return first_epoch_of(nn.Sequential(nn.Embedding(10, 16), *layers, nn.Linear(16, 10)), (16, 8), "cross_entropy")


def lstm() -> float:
    """Seconds of the processor of a first epoch of an LSTM over 64 times."""
    from tinygrad_edu import nn

    return first_epoch_of(nn.Sequential(nn.LSTM(3, 8), nn.last_output, nn.Linear(8, 1)), (16, 64, 3), "mse")


def first_epoch_of(model: Any, shape: tuple[int, ...], loss: str) -> float:
    """`shape`: of the inputs, letters where the loss is of classes."""
    import numba  # noqa: F401
    import numpy as np

    from tinygrad_edu import fit

    rng = np.random.default_rng(0)
    letters = rng.integers(0, 10, (2, *shape))
    X, y = letters if loss == "cross_entropy" else (rng.normal(size=shape), rng.normal(size=(shape[0], 1)))
    start = process_time()
    fit(model, X, y, loss=loss, optimizer="adam", epochs=1, compiled=True)
    return process_time() - start


def numba_alone() -> float:
    """Seconds of the first call of a function that adds 1 to a number, compiled by Numba and nothing else."""
    from numba import njit

    @njit
    def successor(x: float) -> float:
        return x + 1.0

    start = perf_counter()
    successor(1.0)
    return perf_counter() - start


def cold_and_from_disk() -> Mapping[str, float]:
    """Processes one after the other, over a cache folder that begins empty.

    Python's own bytecode is there, as in a package that pip has installed, however Python was told to treat it here.
    """
    compileall.compile_dir(Path(__file__).parents[2] / "tinygrad_edu", quiet=2)
    with tempfile.TemporaryDirectory() as folder:
        found = {
            "cold": in_a_new_process(folder, "first_call"),
            "from the disk": in_a_new_process(folder, "first_call"),
            NUMBA: in_a_new_process(folder, "numba_alone"),
            CLASSES: in_a_new_process(folder, "class_numbers"),
            GPT: in_a_new_process(folder, "gpt"),
            BLOCKS: in_a_new_process(folder, "transformer_layers"),
            TIMES: in_a_new_process(folder, "lstm"),
        }
    return {**found, LONGER: found["from the disk"] - found[NUMBA]}


def in_a_new_process(cache: str, what: str) -> float:
    root = Path(__file__).parents[2]
    environment = os.environ | {"TINYGRAD_EDU_CACHE": cache}
    command = [sys.executable, "-m", "bench.speed.first_call", what]
    done = subprocess.run(command, cwd=root, env=environment, stdout=subprocess.PIPE, check=True)
    return float(done.stdout)


FIRST_CALL = Probe(
    name="first call",
    what="`fit` of a new structure (two hidden layers, Adam), compiled: the first call with an empty cache, then in a "
    "new process from the disk, Numba imported",
    measure=cold_and_from_disk,
    at_most={"cold": 0.8, CLASSES: 0.8, "from the disk": 0.3, NUMBA: inf, LONGER: 0.0}
    | {GPT: 2.5, BLOCKS: 4.0, TIMES: 3.0},
    unit="s",
    rounds=3,
)

if __name__ == "__main__":
    works = {work.__name__: work for work in (first_call, class_numbers, gpt, transformer_layers, lstm, numba_alone)}
    print(works[sys.argv[1]]())
