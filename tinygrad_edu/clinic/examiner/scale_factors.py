"""Signs and constant factors: read off the ratio of the learner's gradients to those of a backward pass.

A factor commutes with the whole backward pass, so it need not be tried: gradients that differ by a factor c in every
parameter of a group (all of them, one layer's, all below a layer, one) differ by a slip at that place.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE, Mutant, parameter_layer
from tinygrad_edu.clinic.examiner.explanation import Explanation, GradientComparison
from tinygrad_edu.clinic.examiner.forward.layers import Layer
from tinygrad_edu.clinic.examiner.forward.network import Network

Array = np.ndarray[Any, Any]
LARGEST = 300.0  # log of the largest power of a factor that is tried; a float ends at 709
FREE = 2  # entries that a factor without a name must explain; one could be chance


@dataclass(frozen=True)
class FactorGroup:
    """Parameters that share a factor if the mistake is at one place."""

    names: frozenset[str]
    where: str
    line: str
    layers: tuple[Layer, ...]


def power(c: float, n: int) -> float:
    """c to the n; 0, which fits nothing, where that overflows: a large c, and as many layers as in a transformer."""
    return c**n if abs(c) < 1.0 or n * math.log(abs(c)) < LARGEST else 0.0


class Factors:
    """The explanations that contain a factor or a sign."""

    def __init__(self, search: GradientComparison, singles: Sequence[Explanation]) -> None:
        self.search, self.singles = search, singles
        self.groups = groups(search.net, search.names)
        self.known = common_factors(search.net, search.learner.lr)
        top = max((layer.number for layer in search.net.layers), default=0)
        self.level = {name: top - layer.number for layer in search.net.layers for name in layer.names}
        self.deepest = max(self.level.values(), default=0)

    def alone(self) -> Iterator[Explanation]:
        """One factor, and nothing else."""
        yield from self.one((), self.search.true)

    def compound(self, before: tuple[Mutant, ...], base: Mapping[str, Array]) -> Iterator[Explanation]:
        """c in the delta of every layer: c at the output, c² in the layer below, and so on; or from the second on."""
        names = [n for n in self.search.names if n in self.level]
        for first, text in ((1, "every layer"), (0, "every layer, on the way down")):
            for n in [n for n in names if self.level[n] + first == 1 and self.deepest + first > 1][:1]:
                c = self.ratio(n, base)
                powers = {m: power(c or 0.0, self.level[m] + first) for m in names}
                if c and abs(c - 1.0) > 1e-6 and all(self.search.fits(m, powers[m] * base[m]) for m in names):
                    layers = tuple(self.search.net.layers)
                    group = FactorGroup(frozenset(names), text, "δ = c·the right delta, again in each layer", layers)
                    yield self.explanation(before, self.mutant(group, c, powers), base)

    def combine(self) -> Iterator[Explanation]:
        """A factor with one other mistake, or two factors."""
        found = 0
        for e in self.singles:
            if found < 4:
                for explanation in self.one(e.mutants, e.gradients):
                    found += 1
                    yield explanation
        if not found:
            yield from self.two()

    def one(self, before: tuple[Mutant, ...], base: Mapping[str, Array]) -> Iterator[Explanation]:
        wrong = [n for n in self.search.names if not self.search.fits(n, base[n])]
        if not wrong or any(base[n].shape != self.search.learner.grads[n].shape for n in wrong):
            return
        yield from self.compound(before, base)
        factor = self.ratio(wrong[0], base)
        if factor is None or any(not self.search.fits(n, factor * base[n]) for n in wrong):
            return
        for group in self.fitting(wrong, factor, base):
            yield self.explanation(before, self.mutant(group, factor), base)

    def fitting(self, wrong: Sequence[str], factor: float, base: Mapping[str, Array]) -> Iterator[FactorGroup]:
        """The groups that hold all wrong gradients, and of the right ones only those that a factor leaves right."""
        for group in self.groups:
            others = group.names - set(wrong)
            if set(wrong) <= group.names and all(self.search.fits(n, factor * base[n]) for n in others):
                numbers = sum(int(np.count_nonzero(base[n])) for n in wrong)
                if numbers >= FREE or factor_name(factor, self.known):
                    yield group

    def ratio(self, name: str, base: Mapping[str, Array]) -> float | None:
        h = base[name]
        total = float(np.vdot(h, h))
        factor = float(np.vdot(h, self.search.learner.grads[name])) / total if total else 0.0
        return factor or None

    def two(self) -> Iterator[Explanation]:
        """Two factors at two places: the ratios of all gradients take the values c₁, c₂ and c₁c₂."""
        base = self.search.true
        for group in self.groups:
            for factor in {f"{c:.9g}": c for c in (self.ratio(n, base) for n in group.names) if c}.values():
                if abs(factor - 1.0) > 1e-6:
                    scaled = {n: factor * g if n in group.names else g for n, g in base.items()}
                    numbers = sum(int(np.count_nonzero(base[n])) for n in group.names)
                    if numbers >= FREE or factor_name(factor, self.known):
                        first = self.mutant(group, factor)
                        yield from list(self.one((first,), scaled))[:1]

    def explanation(self, before: tuple[Mutant, ...], mutant: Mutant, base: Mapping[str, Array]) -> Explanation:
        gradients = {n: mutant.scales.get(n, 1.0) * g for n, g in base.items()}
        return Explanation((*before, mutant), self.search.worst(gradients), gradients)

    def mutant(self, group: FactorGroup, factor: float, scales: Mapping[str, float] | None = None) -> Mutant:
        flipped = abs(factor + 1.0) < 1e-5
        entry = CATALOGUE["sign_flipped" if flipped else "constant_factor"]
        text = "-1" if flipped else factor_name(factor, self.known) or f"{factor:.6g}"
        parameter = next(iter(group.names)) if len(group.names) == 1 else ""
        line = group.line.replace("c·", "-1 · " if flipped else f"{text} · ")
        chance = not flipped and not factor_name(factor, self.known)
        return Mutant(
            entry,
            line,
            list(group.layers),
            (),
            "",
            parameter,
            group.where,
            self.order(group),
            text,
            chance,
            scales or dict.fromkeys(group.names, factor),
            group.line.replace("c·", ""),
        )

    def order(self, group: FactorGroup) -> int:
        """The loss first, then what is smaller."""
        return self.groups.index(group) if group in self.groups else len(self.groups)


def groups(net: Network, names: Sequence[str]) -> list[FactorGroup]:
    """Places where a factor can enter: at the loss, in a delta, in what is passed down, in one gradient."""
    given, layers = set(names), {layer.number: layer for layer in net.layers}
    found = [
        FactorGroup(
            frozenset(names),
            "the derivative of the loss",
            "∂L/∂{a} = c·the right derivative of the loss",
            tuple(net.outputs),
        )
    ]
    for name in names:
        layer = parameter_layer(net, name)
        where = layer.where if layer else "its gradient"
        line = "∂L/∂{W} = c·the right gradient" if layer else f"∂L/∂{name} = c·the right gradient"
        found.append(FactorGroup(frozenset([name]), where, line, (layer,) if layer else ()))
    for number, layer in sorted(layers.items(), reverse=True):
        mine = frozenset(n for x in net.layers if x.number == number for n in x.names) & given
        lower = frozenset(n for x in net.layers if x.number <= number for n in x.names) & given
        found.append(FactorGroup(lower, f"{layer.where} and all below it", "{d} = c·the right delta", (layer,)))
        found.append(FactorGroup(mine, layer.where, "{d} = c·the right delta, in this layer's own gradients", (layer,)))
    for kind, chosen in {"every weight": "weights", "every bias": "biases"}.items():
        uses = frozenset(u.parameter for x in net.layers for u in getattr(x, chosen)) & given
        what = "{b}" if chosen == "biases" else "{W}"
        found.append(FactorGroup(uses, kind, f"∂L/∂{what} = c·the right gradient", tuple(net.layers)))
    unique = {g.names: g for g in reversed(found) if g.names}
    return [g for g in found if unique.get(g.names) is g]


def common_factors(net: Network, lr: float | None) -> dict[str, float]:
    """Factors that have a reason."""
    copies = max((layer.time + 1 for layer in net.layers if layer.unit == "sample"), default=1)
    n, m = (
        float(net.samples * max(copies, 1)),
        float(max((net.steps[x.end].y.size // net.samples for x in net.outputs), default=1)),
    )
    found = {
        "1": 1.0,
        "2": 2.0,
        "1/2": 0.5,
        "0": 0.0,
        "4": 4.0,
        "1/4": 0.25,
        "3": 3.0,
        "1/3": 1 / 3,
    }
    if n > 1.0:
        found |= {
            f"{n:g} (n, the number of samples)": n,
            f"1/{n:g} (one over the number n of samples)": 1 / n,
            f"{n / 2:g} (n/2, with n = {n:g} samples)": n / 2,
            f"2/{n:g} (2/n, with n = {n:g} samples)": 2 / n,
        }
    if m > 1.0:
        found |= {
            f"{m:g} (m, the number of outputs)": m,
            f"1/{m:g} (one over the number m of outputs)": 1 / m,
            f"{m / 2:g} (m/2, with m = {m:g} outputs)": m / 2,
        }
    if n > 1.0 and m > 1.0:
        found |= {
            f"{n * m:g} (n·m: {n:g} samples times {m:g} outputs)": n * m,
            f"1/{n * m:g} (one over n·m: {n:g} samples times {m:g} outputs)": 1 / (n * m),
            f"{n * m / 2:g} (n·m/2, with {n:g} samples and {m:g} outputs)": n * m / 2,
        }
    found |= {text: c for text, c in {"10": 10.0, "1/10": 0.1}.items() if not factor_name(c, found)}
    return found | (
        {f"{lr:g} (the learning rate)": lr, f"{1 / lr:g} (one over the learning rate)": 1 / lr} if lr else {}
    )


def factor_name(factor: float, known: Mapping[str, float]) -> str:
    """The name of a factor, with a minus in front where it has the other sign; "" for one without a name.

    >>> factor_name(-2.0, {"2": 2.0})
    '-2'
    """
    for text, value in known.items():
        if value and abs(abs(factor) / value - 1.0) < 1e-5:
            return text if factor > 0.0 else f"-{text}"
    return ""
