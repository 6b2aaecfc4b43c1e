"""What a node of a large graph of Values costs beside one of a small graph: the time per node should not grow."""

from __future__ import annotations

import time

from bench.speed.workload import Probe

SMALL, LARGER = 1_000, {"10,000 nodes": 10_000, "100,000 nodes": 100_000, "1,000,000 nodes": 1_000_000}


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
    small = cost(SMALL, 300)
    return {name: cost(nodes, max(2, 300_000 // nodes)) / small for name, nodes in LARGER.items()}


GROWTH = Probe(
    name="growth of Value graphs",
    what=f"seconds per node over those in a graph of {SMALL:,} nodes: build, backward and free, default collector",
    measure=measure,
    at_most=dict.fromkeys(LARGER, 1.3),
    unit="times",
    rounds=3,
    threads=1,
)
