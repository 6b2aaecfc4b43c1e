"""What a node of a large graph of Values costs beside one of a small graph: the time per node should not grow."""

from __future__ import annotations

import time

from bench.speed.workload import Probe

SMALL, LARGE = 1_000, 1_000_000


def cost(nodes: int, times: int) -> float:
    """Seconds of the processor per node: build, backward, free; the best of some times."""
    from tinygrad_edu import Value

    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        x = total = Value(1.0)
        for _ in range(nodes // 2):
            total = total * 0.5 + x
        total.backward()
        del total
        best = min(best, (time.process_time() - start) / nodes)
    return best


def measure() -> dict[str, float]:
    return {"a node of a million": cost(LARGE, 2) / cost(SMALL, 300)}


GROWTH = Probe(
    name="growth of Value graphs",
    what=f"seconds per node, {LARGE:,} nodes over {SMALL:,}: build, backward and free, default collector",
    measure=measure,
    at_most={"a node of a million": 1.4},
    unit="times",
    rounds=3,
    threads=1,
)
