"""How often is the examiner of hand-written backprop right? `python -m bench.examiner [--singles N] [--doubles N]`

Every slip wherever it applies, and pairs of slips, in the networks of bench.clinic.slipped. A verdict is right if it is
certain (it gives the learner's numbers to 1e-6 in every gradient) with no more slips than were made; "listed" says how
often the very code is among those that the report names, since other slips can give identical numbers.
"""

from __future__ import annotations

import argparse
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from bench.clinic import slipped, slipped_elman
from bench.clinic.slipped import LR, Injected

Case = tuple[Any, tuple[Injected, ...]]


@dataclass
class Score:
    """Counts of one kind of case."""

    cases: int = 0
    right: int = 0
    named: int = 0
    first: int = 0
    seconds: float = 0.0
    slowest: float = 0.0
    times: list[float] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    by_code: Counter[str] = field(default_factory=Counter)
    right_by_code: Counter[str] = field(default_factory=Counter)

    def row(self, kind: str) -> str:
        share = [f"{x / max(self.cases, 1):.1%}" for x in (self.right, self.named, self.first)]
        return f"| {kind} | {self.cases} | {' | '.join(share)} | {1e3 * np.median(self.times or [0.0]):.0f} ms | {1e3 * self.seconds / max(self.cases, 1):.0f} ms | {self.slowest:.2f} s |"  # noqa: E501


def networks() -> list[Any]:
    return [*slipped.learners(), slipped_elman.Elman(), slipped_elman.Elman(3, 2, 1, 1, seed=1)]


def all_singles() -> list[Case]:
    return [
        (net, (slip,))
        for net in networks()
        for slip in (slipped_elman if isinstance(net, slipped_elman.Elman) else slipped).possible(net)
    ]


def doubles(count: int, seed: int = 1) -> list[Case]:
    """Pairs of different slips in one network."""
    rng, nets, found = np.random.default_rng(seed), networks(), []
    while len(found) < count:
        net = nets[rng.integers(len(nets))]
        slips = list((slipped_elman if isinstance(net, slipped_elman.Elman) else slipped).possible(net))
        codes = sorted(
            {s.code for s in slips}
        )  # draw a code first, or mistakes with many forms would crowd out the others
        a, b = (str(c) for c in rng.choice(codes, 2, replace=False))
        pair = tuple(
            [s for s in slips if s.code == code][rng.integers(sum(s.code == code for s in slips))] for code in (a, b)
        )
        if matters(net, pair):
            found.append((net, pair))
    return found


def same(a: dict[str, Any], b: dict[str, Any]) -> bool:
    """Equal as far as the examiner's own tolerance tells."""
    return all(a[n].shape == b[n].shape and np.linalg.norm(a[n] - b[n]) <= 1e-6 * np.linalg.norm(b[n]) for n in b)


def matters(net: Any, slips: tuple[Injected, ...]) -> bool:
    """Do the slips change the numbers, each of them beside the others, and leave them finite?"""
    with np.errstate(all="ignore"):
        wrong = net.backward(slips)
        rest = [net.backward(tuple(s for s in slips if s is not slip)) for slip in slips] + [net.backward()]
    return all(np.isfinite(x).all() for x in wrong.values()) and not any(same(wrong, x) for x in rest)


def judge(score: Score, net: Any, slips: tuple[Injected, ...]) -> Any:
    """One case."""
    from tinygrad_edu.clinic import check_backprop

    begin = time.process_time()  # CPU time: the run takes minutes, and other processes may interrupt it
    report = check_backprop(net.forward, net.params, net.backward(slips), lr=LR)
    took = time.process_time() - begin
    codes = {s.code for s in slips}
    score.times.append(took)
    score.cases, score.seconds, score.slowest = score.cases + 1, score.seconds + took, max(score.slowest, took)
    right = report.certain and len(report.explanations[0]) <= len(slips)
    score.right += right
    score.named += any(codes <= {s.code for s in e} for e in report.explanations if report.certain)
    score.first += bool(report.certain and codes == {s.code for s in report.explanations[0]})
    score.by_code.update(codes)
    score.right_by_code.update(codes if right else [])
    if not right:
        score.missed.append(f"{describe(net)}: {slips}")
    return report


def describe(net: Any) -> str:
    if isinstance(net, slipped_elman.Elman):
        return f"Elman, {net.samples} samples"
    return f"{net.widths} {net.activations} {net.loss}, {net.samples} samples, bias {net.bias}, penalty {net.penalty}"


def false_alarms(count: int = 500) -> tuple[int, int]:
    """(right gradients judged, slips named for them)."""
    from dataclasses import replace

    from tinygrad_edu.clinic import check_backprop

    judged = alarms = 0
    for seed in range(count):
        base = slipped.learners()[seed % len(slipped.learners())]
        net = replace(base, seed=1000 + seed)
        report = check_backprop(net.forward, net.params, net.backward(), lr=LR)
        judged, alarms = judged + 1, alarms + bool(report.slips or not report.ok)
    return judged, alarms


def sampled(cases: list[Case], count: int, seed: int = 0) -> list[Case]:
    cases = [case for case in cases if matters(*case)]
    order = np.random.default_rng(seed).permutation(len(cases))
    return [cases[i] for i in (order[:count] if count else order)]


def table(singles: Score, pairs: Score, healthy: tuple[int, int]) -> str:
    lines = [
        "| slips | cases | right | that code listed | that code first | median CPU time | mean | slowest |",
        "|---|---|---|---|---|---|---|---|",
        singles.row("one"),
        pairs.row("two"),
        f"| none | {healthy[0]} | {healthy[1]} false alarms | | | | | |",
        "",
        "| code | right of those with it, one slip |",
        "|---|---|",
    ]
    return "\n".join(
        [*lines, *(f"| {c} | {singles.right_by_code[c]} of {n} |" for c, n in sorted(singles.by_code.items()))]
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.examiner")
    parser.add_argument("--singles", type=int, default=0, help="how many, drawn at random (0: every one)")
    parser.add_argument("--doubles", type=int, default=300, help="how many pairs, drawn at random")
    parser.add_argument("--healthy", type=int, default=500, help="networks with right gradients")
    parser.add_argument("--missed", action="store_true", help="list the cases that were not explained")
    chosen = parser.parse_args()
    scores = Score(), Score()
    for case in sampled(all_singles(), chosen.singles):
        judge(scores[0], *case)
    for case in doubles(chosen.doubles):
        judge(scores[1], *case)
    print(table(*scores, false_alarms(chosen.healthy)))
    if chosen.missed:
        print(*scores[0].missed, "", *scores[1].missed, sep="\n")


if __name__ == "__main__":
    main()
