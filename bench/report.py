"""The results as a Markdown table: the machine on top, ratios, lost cells marked, missing peers by name."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

from bench.timing import Timing, speedups
from bench.workload import OURS, Workload, version

Results = Mapping[str, Mapping[str, Timing]]  # workload name → package → timing


def markdown(workloads: list[Workload], results: Results, threads: int) -> str:
    peers = list(dict.fromkeys(package for w in workloads for package in w.installed()))
    return "\n".join(
        [
            "# Measurements",
            "",
            f"{processor()}, {os.cpu_count()} cores, {threads} thread{'s' * (threads > 1)} each; "
            f"{platform.system()}; Python {platform.python_version()}",
            "",
            ", ".join(f"{package} {version(package)}" for package in [*peers, *extra(peers)]),
            "",
            "Median of runs that take turns; the first call stands apart. "
            "Ratio: how many times as fast tinygrad_edu is as the peer. **LOST**: slower than the peer.",
            "",
            "| workload | peer | first call | median | ratio | required |",
            "|---|---|--:|--:|--:|--:|",
            *[line for w in workloads for line in rows(w, results[w.name])],
            "",
            *[f"- {w.name}: {w.what}" for w in workloads],
            *[f"- {w.name}: {package} is not installed, skipped" for w in workloads for package in w.missing()],
            "",
        ]
    )


def rows(workload: Workload, timings: Mapping[str, Timing]) -> Iterator[str]:
    ratios = speedups(dict(timings))
    for package, timing in timings.items():
        cells = [workload.name, package, duration(timing.first), duration(timing.median)]
        cells += ["", ""] if package == OURS else [ratio(ratios[package]), verdict(workload, package, ratios[package])]
        yield f"| {' | '.join(cells)} |"


def ratio(x: float) -> str:
    return f"{x:.2f}x" if x >= 1.0 else f"{x:.2f}x **LOST**"


def verdict(workload: Workload, package: str, speedup: float) -> str:
    """Was the ratio that is required reached?"""
    if package not in workload.at_least:
        return ""
    least = workload.at_least[package]
    return f"{least:g}x: {'met' if speedup >= least else '**MISSED**'}"


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{seconds / size:.3g} {unit}"
    return f"{seconds * 1e9:.3g} ns"


def extra(peers: list[str]) -> list[str]:
    return [] if "numpy" in peers else ["numpy"]


def processor() -> str:
    """The processor's name where the system tells it."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        lines = information.read_text(encoding="utf-8").splitlines()
        names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
        if names:
            return names[0]
    return platform.processor() or platform.machine()
