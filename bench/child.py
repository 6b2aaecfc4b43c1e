"""One row of the table, measured in a process of its own: `python -m bench.child NAME ROUNDS FILE`.

How many threads a library uses is read from the environment when it is loaded, so each row gets a new process in
whose environment its number stands. The cache of compiled programs begins empty, so that a first call is one.
The result goes to FILE as JSON; each finished round is a line on standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.timing import Tick, Timing, measure, probed
from bench.workload import Row, Workload, is_installed
from bench.workloads import ROWS

ROOT = Path(__file__).parents[1]
# OpenMP (torch), the BLAS of NumPy and SciPy in its usual builds, Numba; NPROC is what XLA (JAX) sizes its pool by.
VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "VECLIB_MAXIMUM_THREADS",
    "NUMBA_NUM_THREADS", "NPROC",
)  # fmt: skip
ROUND = "round done"


@dataclass(frozen=True)
class Result:
    """What a process measured: timings by package or quantities by name, and the threads that it found in force.

    `failure`: why it measured nothing.
    """

    timings: Mapping[str, Timing] = field(default_factory=dict)
    quantities: Mapping[str, float] = field(default_factory=dict)
    threads: Mapping[str, int] = field(default_factory=dict)
    failure: str = ""


def in_own_process(row: Row, rounds: int, tick: Tick = lambda: None) -> Result:
    """Measure a row of ROWS with its threads in force."""
    with tempfile.TemporaryDirectory() as folder, open(Path(folder, "errors"), "w+b") as errors:
        answer = Path(folder, "result.json")
        command = [sys.executable, "-m", "bench.child", row.name, str(rounds), str(answer)]
        with subprocess.Popen(
            command, cwd=ROOT, env=environment(row.threads, folder), stdout=subprocess.PIPE, stderr=errors, text=True
        ) as process:
            count_rounds(process, tick)
        if process.returncode != 0:
            errors.seek(0)
            return Result(failure=last_words(row, errors.read().decode(errors="replace"), process.returncode))
        return parsed(json.loads(answer.read_text(encoding="utf-8")))


def count_rounds(process: subprocess.Popen[str], tick: Tick) -> None:
    """Read its output to the end. Whatever interrupts this, Ctrl-C for one, ends the process too."""
    try:
        for line in process.stdout or ():
            if line.strip() == ROUND:
                tick()
    except BaseException:
        process.kill()
        raise


def last_words(row: Row, errors: str, code: int) -> str:
    line = next((line.strip() for line in reversed(errors.splitlines()) if line.strip()), f"exit code {code}")
    return f"{line[:300]} (`python -m bench.child {row.name!r} 1 result.json` shows all of it)"


def environment(threads: int, folder: str) -> dict[str, str]:
    """Ours, with the number of threads, an empty cache, and this checkout first on the path."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    limits = dict.fromkeys(VARIABLES, str(threads))
    return {**os.environ, **limits, "TINYGRAD_EDU_CACHE": str(Path(folder, "cache")), "PYTHONPATH": path}


def parsed(found: dict[str, Any]) -> Result:
    timings = {package: Timing(**timing) for package, timing in found["timings"].items()}
    return Result(**{**found, "timings": timings})


def measured(row: Row, rounds: int, tick: Tick) -> Result:
    if isinstance(row, Workload):
        return Result(timings=measure(row, rounds, tick), threads=threads_in_force())
    return Result(quantities=probed(row, rounds, tick), threads=threads_in_force())


def threads_in_force() -> dict[str, int]:
    """How many threads each library that is loaded would use, asked of the library itself."""
    found: Counter[str] = Counter()
    if is_installed("threadpoolctl"):
        import threadpoolctl

        for pool in threadpoolctl.threadpool_info():
            found[pool["internal_api"]] = max(found[pool["internal_api"]], pool["num_threads"])
    if "torch" in sys.modules:
        found["torch"] = sys.modules["torch"].get_num_threads()
    if "numba" in sys.modules:
        found["numba"] = sys.modules["numba"].get_num_threads()
    if "jax" in sys.modules:
        found["xla"] = sum(name.startswith("tf_XLAEigen") for name in own_threads())
    return {library: number for library, number in found.items() if number}


def own_threads() -> list[str]:
    """The names of this process's threads, where the system lists them (Linux)."""
    return [path.read_text(encoding="utf-8").strip() for path in Path("/proc/self/task").glob("*/comm")]


def main(name: str, rounds: str, file: str) -> None:
    import numba  # noqa: F401  (before torch, whose LLVM is reported to clash with a Numba that comes later)

    result = measured(ROWS[name], int(rounds), lambda: print(ROUND, flush=True))
    Path(file).write_text(json.dumps(asdict(result)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
