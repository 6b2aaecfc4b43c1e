"""Each peer of a row in a process of its own: `python -m bench.speed.peer ROW PACKAGE` works when a line asks.

What other libraries leave behind in a process (threads that wait by spinning, memory, settings such as JAX's
float64) is not what a user of one of them has. They still take turns, so that a slow moment of the machine meets all.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from typing import Any

from bench.speed.threads import threads_in_force
from bench.speed.timing import Clock, timed
from bench.speed.workload import OURS, Answer, Workload
from bench.speed.workloads import WORKLOADS

WORK, THREADS = "work", "threads"  # requests: "work 0.02" asks for a turn of at least 20 ms
ANSWER = "answer: "  # marks the line with the answer, because a library may print anything


class Peer:
    """The process of one peer: it prepares its inputs, then works when it is asked, until its input ends."""

    def __init__(self, row: str, package: str) -> None:
        self.name = f"{row}: {package}"
        command = [sys.executable, "-m", "bench.speed.peer", row, package]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def ask(self, for_what: str) -> Any:
        """Errors: RuntimeError where the process has ended."""
        if self.process.stdin and self.process.stdout and self.process.poll() is None:
            self.process.stdin.write(for_what + "\n")
            self.process.stdin.flush()
            for line in self.process.stdout:
                if line.startswith(ANSWER):
                    return json.loads(line.removeprefix(ANSWER))
        raise RuntimeError(f"the process of {self.name} ended with exit code {self.process.wait()}")

    def work(self, turn: float = 0.0) -> tuple[float, Answer]:
        seconds, answer = self.ask(f"{WORK} {turn}")
        return float(seconds), answer

    def close(self) -> None:
        self.process.kill()
        self.process.communicate()


@contextmanager
def peers_of(workload: Workload) -> Iterator[Mapping[str, Peer]]:
    """A process for each installed peer, all of which end with the block."""
    with ExitStack() as stack:
        yield {package: stack.enter_context(closing(Peer(workload.name, package))) for package in workload.installed()}


def clocks(peers: Mapping[str, Peer]) -> dict[str, Clock]:
    return {package: each.work for package, each in peers.items()}


def threads_of(peers: Mapping[str, Peer]) -> dict[str, int]:
    """What the libraries say in each process; the largest number where several have loaded one."""
    found: Counter[str] = Counter()
    for each in peers.values():
        for library, number in each.ask(THREADS).items():
            found[library] = max(found[library], number)
    return dict(found)


def main(row: str, package: str) -> None:
    if package == OURS:
        import numba  # noqa: F401  (loads the compiler now: the first call then times the program alone)

    (workload,) = [w for w in WORKLOADS if w.name == row]
    run = workload.peers[package]()
    for line in sys.stdin:
        what, *turn = line.split()
        answer: Any = threads_in_force() if what == THREADS else listed(*timed(run, *map(float, turn)))
        print(f"\n{ANSWER}{json.dumps(answer)}", flush=True)


def listed(seconds: float, answer: Answer) -> list[Any]:
    return [seconds, [float(x) for x in answer]]


if __name__ == "__main__":
    main(*sys.argv[1:])
