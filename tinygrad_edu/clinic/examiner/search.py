"""The search: every slip alone, then with a factor, then in pairs, until one gives the learner's numbers."""

from __future__ import annotations

import itertools
import math
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Mutant, mutants
from tinygrad_edu.clinic.examiner.explanation import Explanation, Gradients, far_fetched, is_earned
from tinygrad_edu.clinic.examiner.forward.layers import Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change, Contributions, stretch_to
from tinygrad_edu.clinic.examiner.scale_factors import Factors
from tinygrad_edu.clinic.examiner.slips import activation as slips_activation
from tinygrad_edu.clinic.examiner.slips import entries as slips_entries
from tinygrad_edu.clinic.examiner.slips import finished as slips_finished
from tinygrad_edu.clinic.examiner.slips import layer as slips_layer
from tinygrad_edu.clinic.examiner.slips import nodes as slips_nodes
from tinygrad_edu.clinic.examiner.slips import recurrent as slips_recurrent
from tinygrad_edu.clinic.examiner.slips import shared as slips_shared
from tinygrad_edu.clinic.examiner.slips import sums as slips_sums
from tinygrad_edu.clinic.examiner.slips import windows as slips_windows
from tinygrad_edu.clinic.examiner.work import GRADIENT, MUTANT, RESIDUAL, USE, Work

Array = np.ndarray[Any, Any]
TOLERANCE = 1e-6
BUDGET, AT_LEAST = 1.4, 0.4  # limits in units of `work.py`: for the whole search, and for pairs in any case
ALONE = 3.0  # work for single mistakes; 10,000 weights in three layers take 0.5
PATIENCE = 6.0  # work for single mistakes until one gives the learner's numbers; max-pooling in loops takes 3.2
AGAIN = 1.0  # work that every pass over the single mistakes gets; the second one prepares factors and pairs
GRACE = 0.1  # work to look for other explanations of the same numbers
FLOOR = 1e-12  # gradients below this share of the largest one are rounding noise
ENOUGH = 4  # explanations of one kind
MEMBERS = 12  # pairs of two groups of mistakes that give the same numbers

DECLARED = (
    slips_activation,
    slips_layer,
    slips_sums,
    slips_nodes,
    slips_finished,
    slips_recurrent,
    slips_shared,
    slips_windows,
    slips_entries,
)  # importing them fills the catalogue


def norm_of(x: Array) -> float:
    """np.linalg.norm(x) to the last bit, in half of its time: a search asks for it 10,000 times."""
    if x.dtype.kind != "f":
        return float(np.linalg.norm(x))
    numbers = x.ravel(order="K")
    return math.sqrt(numbers.dot(numbers))


class Search:
    """Gradients of backward passes with mistakes, compared with a learner's."""

    def __init__(
        self,
        net: Network,
        learner: Learner,
        tolerances: dict[str, float],
        unsummed: Iterable[str] = (),
        codes: Collection[str] = (),
    ) -> None:
        self.net, self.learner, self.tolerances = net, learner, tolerances
        self.unsummed, self.codes, self.work = frozenset(unsummed), codes, Work()
        self.names = [name for name in learner.params if name in learner.grads]
        self.cache: dict[frozenset[Change], tuple[int, tuple[dict[int, Contributions], dict[int, Array]]]] = {}
        self.at_uses: set[Change] = set()
        self.true = {name: self.gradient((), name) for name in self.names}
        self.lengths = {name: norm_of(given) for name, given in learner.grads.items()}
        largest = max([*map(norm_of, self.true.values()), *self.lengths.values()], default=0.0)
        self.floor = FLOOR * largest or 1e-300
        self.depth = {name: max((u.step for u in net.uses.get(name, ())), default=-1) for name in self.names}

    # gradients

    def gradient(self, chosen: Sequence[Mutant], name: str) -> Array:
        """A parameter's gradient in the backward pass with these mistakes."""
        scoped = [(change, change.scope or mutant.scope) for mutant in chosen for change in mutant.changes]
        total: Any = 0.0
        for use in self.net.uses.get(name, ()):
            active = frozenset(
                c for c, scope in scoped if c.kind != "final" and c.step >= use.step and self.acts(c, scope, use)
            )
            total = total + self.contribution(active, use)
        total = (
            np.zeros_like(self.learner.params[name]) if np.ndim(total) == 0 and not self.net.uses.get(name) else total
        )
        for change, _ in sorted(scoped, key=lambda x: x[0].stage):
            if change.kind == "final" and change.parameter == name and name not in self.unsummed:
                total = change.function(total)
        for mutant in chosen:
            total = mutant.scales.get(name, 1.0) * total
        self.work.charge(GRADIENT + USE * len(self.net.uses.get(name, ())), np.size(total))
        return np.asarray(total)

    def acts(self, change: Change, scope: str, use: Use) -> bool:
        """Does the change count for what this use gets?"""
        if not scope or change.owner < 0:
            return True
        mine = any(use in layer.uses for layer in self.net.layers if layer.z == change.owner)
        return mine == (scope == "own")

    def contribution(self, active: frozenset[Change], use: Use) -> Array:
        """A use's contribution. A change at its own edge needs no new backward pass, unlike changes above it."""
        above = frozenset(c for c in active if c not in self.at_uses)
        mine = [c for c in active if c.step == use.step and c.slot == use.slot and c in self.at_uses]
        done, arrived = self.run(above, use.step) if above else ({}, {})
        g = arrived.get(use.step)
        g = self.net.program.gradients[use.step] if g is None else g
        if use.parameter in self.unsummed:
            return g  # the delta at a bias before it is summed over rows
        handed = (done.get(use.step) or self.net.program.handed[use.step])[use.slot]
        for change in mine:
            handed = stretch_to(change.function(g), handed)
        return self.net.program.move_back(self.net.steps[use.step].parents[use.slot], handed)

    def run(self, active: frozenset[Change], until: int) -> tuple[dict[int, Contributions], dict[int, Array]]:
        found = self.cache.get(active)
        if found is None or found[0] > until:
            found = (until, self.net.program.run(active, until))
            self.work.charge_steps(self.net.steps, [*found[1][1]])
            self.cache[active] = found
        return found[1]

    def residual(self, name: str, gradient: Array) -> float:
        given = self.learner.grads[name]
        self.work.charge(RESIDUAL, gradient.size)
        scale = max(self.lengths[name], norm_of(gradient), self.floor)
        difference = norm_of(given - gradient) if given.shape == gradient.shape else np.inf
        return 0.0 if difference <= self.floor else difference / scale

    def fits(self, name: str, gradient: Array) -> bool:
        return self.residual(name, gradient) <= self.tolerances[name]

    def worst(self, gradients: Gradients) -> float:
        return max((self.residual(name, g) for name, g in gradients.items()), default=0.0)

    # the search

    def explanations(self) -> list[Explanation]:
        """The certain ones, simplest first; if there are none, the nearest."""
        singles: list[Explanation] = []
        with np.errstate(all="ignore"):
            certain = self.exact() + list(Factors(self, []).alone())
            if all(e.by_chance for e in certain):
                singles = self.singles()
                certain += Factors(self, singles).combine()
            if all(e.by_chance for e in certain):
                certain += self.pairs(singles)
        wrong = [n for n in self.names if not self.fits(n, self.true[n])]
        # two fitted numbers can explain almost anything
        certain = [e for e in certain if sum(m.chance for m in e.mutants) < 2 and is_earned(e, wrong)]
        if certain:
            return sorted(certain, key=lambda e: (e.rank[0], self.too_exact(e), e.rank))
        near = [e for e in singles if np.isfinite(e.residual)]
        return sorted(near, key=lambda e: e.residual)[:1]

    def too_exact(self, e: Explanation) -> bool:
        """Does it give exact zeros where the learner's numbers are rounding? Who computes nothing, gets exact zeros."""
        return any(not g.any() and self.learner.grads[name].any() for name, g in e.gradients.items())

    def certain(self, e: Explanation) -> bool:
        return all(self.fits(name, g) for name, g in e.gradients.items())

    def exact(self) -> list[Explanation]:
        """The mistakes that alone give the learner's numbers. Most differ at the first parameter already."""
        found: list[Explanation] = []
        names = sorted(self.names, key=lambda n: (self.fits(n, self.true[n]), -self.depth[n]))
        for mutant in self.mutants(PATIENCE, found):
            gradients = self.as_long_as_it_fits(mutant, names)
            if len(gradients) == len(names) and any(self.apart(gradients[n], self.true[n]) for n in names):
                ordered = {name: gradients[name] for name in self.names}
                found.append(Explanation((mutant,), self.worst(ordered), ordered))
        return found

    def as_long_as_it_fits(self, mutant: Mutant, names: Sequence[str]) -> Gradients:
        """The gradients of a mutant, up to the first that is not the learner's."""
        gradients: Gradients = {}
        for name in names:
            try:
                gradient = self.gradient((mutant,), name)
            except ValueError:  # it cannot be made with these shapes
                break
            if not self.fits(name, gradient):
                break
            gradients[name] = gradient
        return gradients

    def mutants(self, most: float, found: Sequence[Explanation] = ()) -> Iterator[Mutant]:
        """All mutants, until this much work is done; ALONE is the limit once something was `found`."""
        edges = {(use.step, use.slot) for uses in self.net.uses.values() for use in uses}
        in_any_case = self.work.done + AGAIN
        for mutant in mutants(self.net, self.learner, self.codes):
            if self.work.done > max(ALONE if found else most, in_any_case):
                return
            self.work.charge(MUTANT)
            self.at_uses.update(c for c in mutant.changes if c.kind == "edge" and (c.step, c.slot) in edges)
            yield mutant

    def singles(self) -> list[Explanation]:
        """Each mistake alone, without those that change nothing, for which there can be no evidence."""
        found: list[Explanation] = []
        for mutant in (m for m in self.mutants(ALONE) if not m.alone):
            try:
                gradients = {name: self.gradient((mutant,), name) for name in self.names}
            except ValueError:  # it cannot be made with these shapes
                continue
            if not all(np.isfinite(g).all() for g in gradients.values()):
                continue
            if any(self.apart(gradients[name], self.true[name]) for name in self.names):
                found.append(Explanation((mutant,), self.worst(gradients), gradients))
        return found

    def apart(self, a: Array, b: Array) -> bool:
        if a.shape != b.shape:
            return True
        return float(np.linalg.norm(a - b)) > 1e-10 * float(np.linalg.norm(b)) + self.floor

    def distinct(self, singles: Sequence[Explanation]) -> list[list[Explanation]]:
        """Groups of mistakes that give the same numbers, the simplest of each first."""
        rng = np.random.default_rng(0)
        probes = {name: rng.normal(size=g.shape) for name, g in self.true.items()}
        groups: dict[tuple[str, ...], list[Explanation]] = {}
        for e in sorted(singles, key=lambda e: e.rank):
            groups.setdefault(tuple(f"{float(np.vdot(probes[n], g)):.7e}" for n, g in e.gradients.items()), []).append(
                e
            )
        return list(groups.values())

    def pairs(self, singles: Sequence[Explanation]) -> Iterator[Explanation]:
        """Pairs that could be right: where only one of them has an effect, it must already be right alone.

        The simplest slips of each group first. Slips that give the same numbers alone need not do so beside another
        one, as two that are both made at one weight: so then the rest of the groups.
        """
        groups = {group[0]: group for group in self.distinct(singles)}
        limit, found = max(BUDGET, self.work.done + AT_LEAST), 0
        for members in (slice(0, 1), slice(1, MEMBERS)):
            for a, b, unknown in self.candidates(list(groups)):
                pairs = itertools.islice(itertools.product(groups[a], groups[b]), members.start, members.stop)
                if any(self.agree((x.mutants[0], y.mutants[0]), unknown) for x, y in pairs):
                    found, limit = found + 1, min(limit, self.work.done + GRACE)
                    yield from self.alike(groups[a], groups[b])
                if found >= ENOUGH or self.work.done > limit:
                    return
            if found:
                return

    def alike(self, first: Sequence[Explanation], second: Sequence[Explanation]) -> Iterator[Explanation]:
        """The pairs of two groups that give the learner's numbers, one for each pair of codes."""
        codes: set[tuple[str, str]] = set()
        for a, b in itertools.islice(itertools.product(first, second), MEMBERS):
            both = (a.mutants[0], b.mutants[0])
            if (both[0].slip.code, both[1].slip.code) not in codes:
                gradients = {name: self.gradient(both, name) for name in self.names}
                e = Explanation(both, self.worst(gradients), gradients)
                if self.certain(e):
                    codes.add((both[0].slip.code, both[1].slip.code))
                    yield e

    def candidates(self, distinct: Sequence[Explanation]) -> Iterator[tuple[Explanation, Explanation, list[str]]]:
        """(a, b, the parameters on which both have an effect), the likeliest first."""
        effect = np.array([[self.apart(e.gradients[n], self.true[n]) for n in self.names] for e in distinct])
        match = np.array([[self.fits(n, e.gradients[n]) for n in self.names] for e in distinct])
        right = np.array([self.fits(n, self.true[n]) for n in self.names])
        if not len(distinct):
            return
        possible = np.ones((len(distinct), len(distinct)), dtype=bool)
        for k in range(len(self.names)):
            e, alone = effect[:, k], effect[:, k] & match[:, k]
            quiet = ~e
            possible &= (
                np.outer(e, e) | np.outer(alone, quiet) | np.outer(quiet, alone) | (right[k] & np.outer(quiet, quiet))
            )
        seen = (effect & match & ~right).astype(int) @ (~effect).T.astype(int)
        yield from self.ordered(distinct, possible, effect, (seen + seen.T) > 0)

    def ordered(
        self, distinct: Sequence[Explanation], possible: Array, effect: Array, seen: Array
    ) -> Iterator[tuple[Explanation, Explanation, list[str]]]:
        """First the pairs of which one alone already gives a wrong gradient (`seen`), then the plainer ones."""
        first, second = np.nonzero(np.triu(possible, 1))
        ranks = np.array([far_fetched(e.mutants[0]) for e in distinct])
        for k in np.argsort(ranks[first] + ranks[second] - 100.0 * seen[first, second], kind="stable"):
            i, j = int(first[k]), int(second[k])
            shared = [n for n, x in zip(self.names, effect[i] & effect[j], strict=True) if x]
            yield distinct[i], distinct[j], sorted(shared, key=lambda n: (-self.depth[n], self.true[n].size))

    def agree(self, both: Sequence[Mutant], unknown: Sequence[str]) -> bool:
        """Does the pair give the learner's numbers where both have an effect? The one nearest the loss goes first."""
        self.cache = {k: v for k, v in self.cache.items() if len(k) <= 1} if len(self.cache) > 2000 else self.cache
        return all(self.fits(name, self.gradient(both, name)) for name in unknown)
