"""The scorecard as numbers and as Markdown: precision, recall, false alarms, proved fixes, time, and the rival."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from bench.clinic.problems_kinds import Problem

Pairs = Sequence[tuple[Problem, Any]]  # (problem, its result)


@dataclass(frozen=True)
class Numbers:
    """What the scorecard comes to. Shares are NaN where there is nothing to share."""

    faulty: int
    healthy: int
    top1: float
    top3: float
    false_alarms: float
    fixed: float
    rival_top1: float
    rival_fixed: float
    median_seconds: float
    worst_seconds: float


def share(hits: Iterable[bool]) -> float:
    """
    >>> share([True, False])
    0.5
    """
    found = list(hits)
    return float(np.mean(found)) if found else float("nan")


def numbers(pairs: Pairs) -> Numbers:
    faulty = [(p, r) for p, r in pairs if p.faulty]
    against = [(p, r) for p, r in faulty if r.rival_trials]  # faulty problems for which the rival was tried
    healthy = [r for p, r in pairs if not p.faulty]
    seconds = [r.seconds for _, r in pairs] or [float("nan")]
    return Numbers(
        len(faulty), len(healthy),
        share(r.named[0] in p.right for p, r in faulty),
        share(bool(set(r.named[:3]) & set(p.right)) for p, r in faulty),
        share(r.named != ("healthy",) for r in healthy),
        share(bool(r.fixed) for p, r in faulty if p.repairable),
        share(r.rival in p.right for p, r in against),
        share(r.rival_fixed for _, r in against),
        float(np.median(seconds)), float(np.max(seconds)),
    )  # fmt: skip


def credited(problem: Problem, result: Any) -> str:
    """What was named first; another word for the same fault counts as its own code."""
    named = str(result.named[0])
    return problem.code if named in problem.right else named


def markdown(problems: Sequence[Problem], results: Mapping[str, Any]) -> str:
    pairs = [(p, results[p.name]) for p in problems]
    halves = sorted({p.half for p in problems})
    parts = ["# Scorecard of the diagnosis", summary(pairs, halves)]
    parts += ["## By code", by_code(pairs), "## What was named", confusion(pairs)]
    wrong = [bullet(p, r) for p, r in pairs if r.named[0] not in p.right]
    parts += ["## Named wrongly", "\n".join(wrong) or "None."]
    unfixed = [f"- {p.name}: {', '.join(r.named)}" for p, r in pairs if r.fixed is False]
    parts += ["## Without a fix that holds", "\n".join(unfixed) or "None."]
    return "\n\n".join(parts) + "\n"


def summary(pairs: Pairs, halves: Sequence[str]) -> str:
    """The numbers of each half, and of both where there are two."""
    columns = [(half, [(p, r) for p, r in pairs if p.half == half]) for half in halves]
    columns += [("both", list(pairs))] * (len(columns) > 1)
    found = [numbers(some) for _, some in columns]
    rows = [
        ("faulty problems", [str(n.faulty) for n in found]),
        ("healthy problems", [str(n.healthy) for n in found]),
        ("first cause right", [percent(n.top1) for n in found]),
        ("right among the first three", [percent(n.top3) for n in found]),
        ("false alarms on healthy runs", [percent(n.false_alarms) for n in found]),
        ("fix that holds on fresh seeds", [percent(n.fixed) for n in found]),
        ("random changes: first cause right", [percent(n.rival_top1) for n in found]),
        ("random changes: fix that holds", [percent(n.rival_fixed) for n in found]),
        ("margin over random changes, cause", [points(n.top1 - n.rival_top1) for n in found]),
        ("margin over random changes, fix", [points(n.fixed - n.rival_fixed) for n in found]),
        ("median time", [f"{n.median_seconds:.1f} s" for n in found]),
        ("longest time", [f"{n.worst_seconds:.1f} s" for n in found]),
    ]
    lines = [["", *(name for name, _ in columns)], ["---", *["--:"] * len(columns)], *([a, *b] for a, b in rows)]
    return table(lines)


def percent(x: float) -> str:
    return "-" if np.isnan(x) else f"{x:.1%}".replace("%", " %")


def points(x: float) -> str:
    return "-" if np.isnan(x) else f"{100.0 * x:+.0f} points"


def table(lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def by_code(pairs: Pairs) -> str:
    """Precision, of those so named, how many are; recall, of those that are, how many are so named."""
    named = Counter(credited(p, r) for p, r in pairs)
    right = Counter(p.code for p, r in pairs if r.named[0] in p.right)
    third = Counter(p.code for p, r in pairs if set(r.named[:3]) & set(p.right))
    fixes = Counter(p.code for p, r in pairs if r.fixed)
    count = Counter(p.code for p, _ in pairs)
    lines = [["code", "problems", "precision", "recall", "in the first three", "fix holds"], ["---", *["--:"] * 5]]
    for code in sorted(set(count) | set(named)):
        repairable = sum(p.repairable for p, _ in pairs if p.code == code)
        lines.append([
            code, str(count[code]), of(right[code], named[code]), of(right[code], count[code]),
            of(third[code], count[code]), of(fixes[code], repairable),
        ])  # fmt: skip
    return table(lines)


def of(hits: int, count: int) -> str:
    return f"{hits} of {count}" if count else "-"


def confusion(pairs: Pairs) -> str:
    """Rows: what it is; columns, by number: what was named first."""
    codes = sorted({p.code for p, _ in pairs} | {credited(p, r) for p, r in pairs})
    cells = Counter((p.code, credited(p, r)) for p, r in pairs)
    head = ["", *(str(i) for i in range(1, len(codes) + 1))]
    rows = [
        [f"{i} {code}", *(str(cells[code, other] or "") for other in codes)]
        for i, code in enumerate(codes, 1)
        if any(p.code == code for p, _ in pairs)
    ]
    return table([head, ["---", *["--:"] * len(codes)], *rows])


def bullet(problem: Problem, result: Any) -> str:
    return f"- {problem.name} ({problem.half}): named {', '.join(result.named)}. {result.summary}"
