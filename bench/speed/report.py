"""The results as Markdown: the machine on top, ratios, losing cells in a list of their own, what is missing by name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import inf

from bench.speed.child import Result
from bench.speed.machine import conditions
from bench.speed.timing import Timing, speedups
from bench.speed.workload import OURS, Probe, Row, Workload

Results = Mapping[str, Result]  # by name of the row
NOTE = (
    "Each peer of each row ran in a process of its own, with the same number of threads and an empty cache of "
    "compiled programs. First call: of that process. Median and quartiles: of the later runs, which take turns of "
    "20 ms or more. Ratio: how many times as fast tinygrad_edu is as the peer."
)


@dataclass(frozen=True)
class Cell:
    """A row against one peer."""

    workload: Workload
    package: str
    ratio: float

    @property
    def required(self) -> float | None:
        return self.workload.at_least.get(self.package)

    @property
    def missed(self) -> bool:
        return self.required is not None and self.ratio < self.required

    @property
    def lost(self) -> bool:
        return self.ratio < 1.0

    def verdict(self) -> str:
        return "" if self.required is None else f"{self.required:g}x: {'**MISSED**' if self.missed else 'met'}"

    def __str__(self) -> str:
        return f"{number(self.ratio)}x{' **LOST**' * self.lost}"


def markdown(rows: Sequence[Row], results: Results, day: str, chart: str = "") -> str:
    done = [row for row in rows if row.name in results and not results[row.name].failure]
    workloads = [row for row in done if isinstance(row, Workload)]
    probes = [row for row in done if isinstance(row, Probe)]
    packages = dict.fromkeys([OURS, *(package for w in workloads for package in results[w.name].timings)])
    parts = [
        ["# Measurements", *conditions(packages, day), NOTE],
        [f"![How many times as fast as each peer]({chart})"] * bool(chart),
        [time_table(workloads, results)] * bool(workloads),
        [limit_table(probes, results)] * bool(probes),
        ["## Losing cells", bullets(losing(workloads, probes, results)) or "None."],
        ["## What was measured", bullets(descriptions(rows, results))],
    ]
    return "\n\n".join(paragraph for part in parts for paragraph in part) + "\n"


def cells(workloads: Iterable[Workload], results: Results) -> list[Cell]:
    """Every row against every peer that was there."""
    return [Cell(w, package, ratio) for w in workloads for package, ratio in speedups(results[w.name].timings).items()]


def time_table(workloads: Sequence[Workload], results: Results) -> str:
    found = {(cell.workload.name, cell.package): cell for cell in cells(workloads, results)}
    lines = [
        "| workload | threads | peer | first call | median | quartiles | ratio | required |",
        "|---|--:|---|--:|--:|--:|--:|--:|",
    ]
    for w in workloads:
        for package, timing in results[w.name].timings.items():
            cell = found.get((w.name, package))
            ratio = [str(cell), cell.verdict()] if cell else ["", ""]
            lines.append(line([w.name, str(w.threads), package, *times(timing), *ratio]))
    return "\n".join(lines)


def times(timing: Timing) -> list[str]:
    low, high = timing.quartiles
    return [duration(timing.first), duration(timing.median), f"{duration(low)} to {duration(high)}"]


def limit_table(probes: Sequence[Probe], results: Results) -> str:
    lines = ["| limit | threads | quantity | measured | at most |", "|---|--:|---|--:|--:|"]
    for probe in probes:
        for quantity, found in results[probe.name].quantities.items():
            limit = probe.at_most[quantity]
            verdict = f"{limit:g} {probe.unit}: {'met' if found <= limit else '**MISSED**'}" if limit < inf else ""
            lines.append(line([probe.name, str(probe.threads), quantity, f"{number(found)} {probe.unit}", verdict]))
    return "\n".join(lines)


def losing(workloads: Iterable[Workload], probes: Iterable[Probe], results: Results) -> Iterator[str]:
    """What is slower than a peer, or not what is required."""
    for cell in cells(workloads, results):
        if cell.lost or cell.missed:
            required = f", required {cell.required:g}x{' (missed)' * cell.missed}" if cell.required else ""
            yield f"{cell.workload.name} against {cell.package}: {number(cell.ratio)}x{required}"
    for probe in probes:
        for quantity, found in results[probe.name].quantities.items():
            if found > probe.at_most[quantity]:
                limit = f"at most {probe.at_most[quantity]:g} {probe.unit} (missed)"
                yield f"{probe.name}, {quantity}: {number(found)} {probe.unit}, {limit}"


def descriptions(rows: Sequence[Row], results: Results) -> Iterator[str]:
    """What each row does and the threads that its process found in force; then what was missing or failed."""
    for row in rows:
        yield f"{row.name}: {row.what}{in_force(row, results.get(row.name, Result()))}"
    for row in rows:
        failure = results.get(row.name, Result()).failure
        yield from (f"{row.name}: {reason}" for reason in row.missing())
        yield from [f"{row.name}: **could not be measured**: {failure}"] * bool(failure)


def in_force(row: Row, result: Result) -> str:
    """What the libraries themselves say; another number than the row's is marked."""
    found = [
        f"{library} {count}{f' **instead of {row.threads}**' * (count != row.threads)}"
        for library, count in result.threads.items()
    ]
    return f" (threads in force: {', '.join(found)})" * bool(found)


def bullets(lines: Iterable[str]) -> str:
    return "\n".join(f"- {text}" for text in lines)


def line(texts: Sequence[str]) -> str:
    return f"| {' | '.join(texts)} |"


def number(x: float) -> str:
    """Three digits, whole from 100 on.

    >>> [number(x) for x in (0.853, 4.0, 1234.5)]
    ['0.853', '4.00', '1,234']
    """
    return f"{x:,.0f}" if x >= 100.0 else f"{x:#.3g}"


def duration(seconds: float) -> str:
    for unit, size in (("s", 1.0), ("ms", 1e-3), ("µs", 1e-6)):
        if seconds >= size:
            return f"{number(seconds / size)} {unit}"
    return f"{number(seconds * 1e9)} ns"
