"""Parameters at which two explanations that give the same numbers here would give different ones."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Mutant, mutants
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.report import BackpropReport, FoundSlip
from tinygrad_edu.clinic.examiner.search import Search

Array = np.ndarray[Any, Any]
NetworkAt = Callable[[dict[str, Array]], Network]  # traces the learner's forward at other parameters
Explained = tuple[FoundSlip, ...]
TRIES, OTHERS = 3, 4
APART = 1e-3  # relative; a difference that is visible in printed numbers


@dataclass(frozen=True)
class Probe:
    """A point at which two explanations of wrong gradients give different numbers.

    params: the parameters to run the learner's backward pass at.
    name: the gradient in which the two differ.
    index: the place in that gradient.
    between: the two explanations, in words.
    first: the number that the first explanation gives there.
    second: the number that the second explanation gives there.

    >>> print(Probe({"w": 2.0}, "w", (), ("a missing factor 2", "a wrong sign"), 4.0, -8.0))
    To tell them apart, run your backward at report.probe.params: dw is 4 there with a missing factor 2, and ...
    """

    params: dict[str, Any]
    name: str
    index: tuple[int, ...]
    between: tuple[str, str]
    first: float
    second: float

    def __str__(self) -> str:
        place = f"d{self.name}" + (f"[{', '.join(map(str, self.index))}]" if self.index else "")
        return (
            f"To tell them apart, run your backward at report.probe.params: {place} is {self.first:.6g} there with "
            f"{self.between[0]}, and {self.second:.6g} with {self.between[1]}."
        )


def add_probe(report: BackpropReport, learner: Learner, network_at: NetworkAt) -> None:
    """Fill in `probe`, from the first random parameters that tell the best explanation from another one; or `alike`."""
    if not report.certain or len(report.explanations) < 2:
        return
    rng, compared = np.random.default_rng(0), False
    for _ in range(TRIES):
        params = {name: np.round(rng.normal(size=x.shape), 2) for name, x in learner.params.items()}
        net, there = network_or_none(network_at, params), Learner(params, {}, learner.lr)
        best, *others = (learner_gradients(net, there, e) if net else {} for e in report.explanations[:OTHERS])
        compared |= bool(best) and any(others)
        pairs = ((report.explanations[0], e) for e in report.explanations[1:OTHERS])
        tried = (largest(best, g, params, pair) for g, pair in zip(others, pairs, strict=True))
        report.probe = next((found for found in tried if found), None)
        if report.probe:
            return
    report.alike = compared


def network_or_none(network_at: NetworkAt, params: dict[str, Array]) -> Network | None:
    """The network at other parameters; the learner's forward need not work there, whatever it raises."""
    try:
        with np.errstate(all="ignore"):
            return network_at(params)
    except Exception:
        return None


def learner_gradients(net: Network, learner: Learner, explanation: Explained) -> dict[str, Array]:
    """What the learner's backward gives at these parameters if the explanation holds; {} where that cannot be said.

    A slip may use the learner's own gradients (weights updated too early), so they are computed again with those that
    come out, once for each layer.
    """
    found = Search(net, Learner(learner.params, zero_gradients(learner.params), learner.lr), {}).true
    with np.errstate(all="ignore"):
        for _ in range(1 + len({layer.number for layer in net.layers})):
            search = Search(net, Learner(learner.params, found, learner.lr), {})
            chosen = again(search, explanation)
            if chosen is None:
                return {}
            found = {name: search.gradient(chosen, name) for name in search.names}
    # gradients that were not summed over the rows, and so have another shape
    rows = {s.name for s in explanation if s.mutant and not (s.mutant.changes or s.mutant.scales)}
    return {n: g for n, g in found.items() if n not in rows} if all(map(all_finite, found.values())) else {}


def all_finite(g: Array) -> bool:
    return bool(np.isfinite(g).all())


def zero_gradients(params: Mapping[str, Array]) -> dict[str, Array]:
    return {name: np.zeros_like(x) for name, x in params.items()}


def again(search: Search, explanation: Explained) -> list[Mutant] | None:
    """The mutants of an explanation in another trace; None where a number in one was fitted, or it is not there."""
    known = [slip.mutant for slip in explanation if slip.mutant and (slip.mutant.changes or slip.mutant.scales)]
    if any(m.changes and m.chance for m in known):
        return None
    codes = {m.slip.code for m in known if m.changes}
    there = {m.key: m for m in mutants(search.net, search.learner, codes)} if codes else {}
    found = [there.get(m.key) if m.changes else m for m in known]
    return None if None in found else [m for m in found if m]


def largest(
    first: dict[str, Array], second: dict[str, Array], params: dict[str, Array], explanations: Sequence[Explained]
) -> Probe | None:
    """The entry at which two explanations differ most, in the first gradient in which they do."""
    for name in first:
        a, b = first[name], second.get(name, first[name])
        gap = np.abs(a - b) if a.shape == b.shape else np.zeros(a.shape)
        if a.size and gap.max() > APART * max(float(np.abs(a).max()), float(np.abs(b).max())):
            index = tuple(int(i) for i in np.unravel_index(int(gap.argmax()), gap.shape))
            one, other = map(words_of_explanation, explanations)
            return Probe(params, name, index, (one, other), float(a[index]), float(b[index]))
    return None


def words_of_explanation(explanation: Explained) -> str:
    """The mistakes of an explanation, one or two, in words."""
    return " with ".join(map(str, explanation))
