"""One row of the table, measured in a process of its own: `python -m bench.speed.child NAME ROUNDS FILE`.

How many threads a library uses is read from the environment when it is loaded, so each row gets a new process in
whose environment its number stands, and from there one for each peer (peer.py). The cache of compiled programs begins
empty, so that a first call is one.
The result goes to FILE as JSON; each finished round is a line on standard output.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench.speed.peer import clocks, peers_of, threads_of
from bench.speed.threads import SLOWING, limits, threads_in_force
from bench.speed.timing import Tick, Timing, measure, probed
from bench.speed.workload import Row, Workload
from bench.speed.workloads import ROWS

ROOT = Path(__file__).parents[2]
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
        command = [sys.executable, "-m", "bench.speed.child", row.name, str(rounds), str(answer)]
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
    return f"{line[:300]} (`python -m bench.speed.child {row.name!r} 1 result.json` shows all of it)"


def environment(threads: int, folder: str) -> dict[str, str]:
    """Ours, with the number of threads, an empty cache, this checkout first on the path, and native products."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
    own = {name: text for name, text in os.environ.items() if name not in SLOWING}
    return {**own, **limits(threads), "TINYGRAD_EDU_CACHE": str(Path(folder, "cache")), "PYTHONPATH": path}


def parsed(found: dict[str, Any]) -> Result:
    timings = {package: Timing(**timing) for package, timing in found["timings"].items()}
    return Result(**{**found, "timings": timings})


def measured(row: Row, rounds: int, tick: Tick) -> Result:
    if not isinstance(row, Workload):
        return Result(quantities=probed(row, rounds, tick), threads=threads_in_force())
    with peers_of(row) as peers:
        return Result(timings=measure(row, rounds, tick, clocks(peers)), threads=threads_of(peers))


def main(name: str, rounds: str, file: str) -> None:
    result = measured(ROWS[name], int(rounds), lambda: print(ROUND, flush=True))
    Path(file).write_text(json.dumps(asdict(result)), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
