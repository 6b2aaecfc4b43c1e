"""Parameters at which two slips that give the same numbers here would give different ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.catalogue import Learner, Mutant, mutants
from tinygrad_edu.clinic.inputs import Forward
from tinygrad_edu.clinic.network import Network
from tinygrad_edu.clinic.report import BackpropReport, FoundSlip
from tinygrad_edu.clinic.search import Search
from tinygrad_edu.clinic.tracing import record

Array = np.ndarray[Any, Any]
TRIES, OTHERS = 3, 4


@dataclass(frozen=True)
class Probe:
    """`params` to run the learner's backward at; there, gradient `name` at `index` is `first` or `second`."""

    params: dict[str, Array]
    name: str
    index: tuple[int, ...]
    codes: tuple[str, str]
    first: float
    second: float

    def __str__(self) -> str:
        place = f"d{self.name}" + (f"[{', '.join(map(str, self.index))}]" if self.index else "")
        return (
            f"To tell them apart, run your backward at report.probe.params: {place} is {self.first:.6g} there by "
            f"{self.codes[0]}, and {self.second:.6g} by {self.codes[1]}."
        )


def find_probe(report: BackpropReport, forward: Forward | None, learner: Learner) -> Probe | None:
    """The first random parameters that tell the best single slip from another one; None if there are none."""
    singles = [
        e[0] for e in report.explanations if len(e) == 1 and e[0].certain and e[0].mutant and e[0].mutant.changes
    ]
    if forward is None or report.method != "traced" or len(singles) < 2:
        return None
    rng = np.random.default_rng(0)
    for _ in range(TRIES):
        params = {name: np.round(rng.normal(size=x.shape), 2) for name, x in learner.params.items()}
        for other in singles[1:OTHERS]:
            found = difference(forward, params, learner, (singles[0], other))
            if found is not None:
                return found
    return None


def difference(
    forward: Forward, params: dict[str, Array], learner: Learner, slips: Sequence[FoundSlip]
) -> Probe | None:
    """Where the two slips differ most at these parameters."""
    net = Network(record(forward, params))
    zeros = Learner(params, {name: np.zeros_like(x) for name, x in params.items()}, learner.lr)
    with np.errstate(all="ignore"):
        there = {m.key: m for m in mutants(net, zeros)}
        pair = [there.get(slip.mutant.key) for slip in slips if slip.mutant]
        if any(m is None for m in pair):
            return None
        search = Search(net, zeros, dict.fromkeys(params, 1e-6))
        return largest(search, [m for m in pair if m], params, (slips[0].code, slips[1].code))


def largest(search: Search, pair: list[Mutant], params: dict[str, Array], codes: tuple[str, str]) -> Probe | None:
    for name in search.names:
        a, b = (search.gradient((mutant,), name) for mutant in pair)
        gap = np.abs(a - b)
        if a.size and gap.max() > 1e-3 * max(float(np.abs(a).max()), float(np.abs(b).max())):
            index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
            return Probe(params, name, index, codes, float(a[index]), float(b[index]))
    return None
