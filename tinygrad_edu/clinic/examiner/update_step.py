"""What a training step did to the parameters, when the right gradients are known: which rule, and is it a right one?

The step is run a few times in a row, and the right gradient is computed at every point that it passes. A rule is what
the step is if it gives every change, to rounding, with numbers that the program holds (or the usual ones).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.update_rules import FRESH, RULES, Start, UpdateRule

Array = np.ndarray[Any, Any]
SINGLE = 1e-4  # the same in single precision
FITS = 1e-6  # relative, of every parameter's change at every step
MANY, ENTRIES = 5_000, 200  # numbers in all parameters above which the rules are tried on a few of each first
KEPT = 16  # arrays of one size that a program keeps, which are looked through
CLIPPED = 1e-4  # relative; clip_grad_norm divides by ‖g‖ + 1e-6
USUAL = {
    "mu": (0.9, 0.8, 0.95, 0.99, 0.5, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1),
    "beta2": (0.999, 0.99, 0.9, 0.95),
    "eps": (1e-8, 1e-7, 1e-6, 1e-5, 1e-10, 1e-12, 0.0),
}

ASSIGNED = UpdateRule(
    "update_assigned", "w = c·g", (), RULES["gradient_descent"].rule,
    "The new weight is the change itself: it is assigned, not added to the old weight.",
    "w -= lr * g (or w += lr * (-g)), not w = lr * g.",
)  # fmt: skip


@dataclass(eq=False)
class Walk:
    """The parameters before each step and after the last, and the right gradient at each: name → array, per step.

    numbers: floats that the program holds; states: (before, after) the first step, other arrays that it keeps; counts:
    whole numbers that the first step raised by one.
    """

    weights: list[dict[str, Array]]
    gradients: list[dict[str, Array]]
    lr: float | None
    numbers: Sequence[float] = ()
    states: tuple[Sequence[Array], Sequence[Array]] = ((), ())
    counts: Sequence[int] = ()
    single: bool = False  # the program computes in single precision

    @property
    def names(self) -> list[str]:
        return [*self.gradients[0]]

    def flat(self, arrays: Mapping[str, Array]) -> Array:
        return np.concatenate([np.ravel(arrays[n]) for n in self.names])

    @property
    def changes(self) -> list[Array]:
        """What each step subtracted."""
        return [self.flat(a) - self.flat(b) for a, b in itertools.pairwise(self.weights)]

    @property
    def slopes(self) -> list[Array]:
        return [self.flat(g) for g in self.gradients]

    def parts(self, flat: Array) -> Iterator[tuple[str, Array]]:
        """A flat array, parameter by parameter."""
        begin = 0
        for name in self.names:
            size = self.gradients[0][name].size
            yield name, flat[begin : begin + size]
            begin += size

    def same(self, a: Array, b: Array, tolerance: float = FITS) -> bool:
        """Equal in every parameter, as far as w - change can tell."""
        largest = float(np.linalg.norm(b))
        if not np.isfinite(largest):  # a rule that divides by 0
            return False
        w = dict(self.parts(self.flat(self.weights[0])))
        tolerance, lost = (max(tolerance, SINGLE), 1e-7) if self.single else (tolerance, 1e-15)
        for (name, x), (_, y) in zip(self.parts(a), self.parts(b), strict=True):
            rounding = lost * float(np.linalg.norm(w[name])) + 10.0 * lost * largest
            if not np.linalg.norm(x - y) <= tolerance * float(np.linalg.norm(y)) + rounding:
                return False
        return True


@dataclass(frozen=True)
class FoundRule:
    """The rule that the step follows, with its numbers."""

    rule: UpdateRule
    lr: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    extra: str = ""  # clipped, with weight decay

    def __str__(self) -> str:
        shown = {"mu": "β₁" if "adam" in self.rule.name else "μ", "beta2": "β₂", "eps": "ε"}
        numbers = [f"lr = {self.lr:.6g}"] + [
            f"{shown.get(k, k)} = {x:g}" for k, x in self.numbers.items() if k in shown
        ]
        name = self.rule.name.replace("_", " ")
        return f"{name}{self.extra} ({', '.join(numbers)})"


def find_rule(walk: Walk) -> FoundRule | None:
    """The rule that gives every change: a right one if any does."""
    found = plain(walk) or assigned(walk) or clipped(walk) or decayed(walk)
    found = found or (by_table(thinned(walk)) and by_table(walk) if walk.slopes[0].size > MANY else by_table(walk))
    if (found is None or not found.rule.right or len(walk.changes) < 2) and first_is_right(walk):
        return FoundRule(RULES["gradient_descent"], walk.lr or 0.0, {}, " in its first step")
    return found


def first_is_right(walk: Walk) -> bool:
    """Is the first step w - lr·g? The next ones may draw other masks or batches than the loss that is measured."""
    return walk.lr is not None and walk.same(walk.changes[0], walk.lr * walk.slopes[0])


def thinned(walk: Walk) -> Walk:
    """A few entries of every parameter: most rules are told apart by them."""
    rng = np.random.default_rng(0)
    sizes = {n: g.size for n, g in walk.gradients[0].items()}
    chosen = {n: np.sort(rng.permutation(size)[:ENTRIES]) for n, size in sizes.items()}

    def some(arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {n: np.ravel(arrays[n])[chosen[n]] for n in chosen}

    kept = [
        [np.ravel(x)[chosen[n]] for x in states for n in chosen if np.size(x) == sizes[n]] for states in walk.states
    ]
    weights, gradients = [some(w) for w in walk.weights], [some(g) for g in walk.gradients]
    return Walk(weights, gradients, walk.lr, walk.numbers, (kept[0], kept[1]), walk.counts, walk.single)


def plain(walk: Walk) -> FoundRule | None:
    """w - lr·g, with an lr that may fall from step to step."""
    rates = [proportion(walk, d, g) for d, g in zip(walk.changes, walk.slopes, strict=True)]
    if any(c is None or c <= 0.0 for c in rates):
        return None
    first = rates[0] or 0.0
    told = walk.lr is None or abs(first / walk.lr - 1.0) < FITS * 10
    return FoundRule(RULES["gradient_descent"], first) if told else None


def proportion(walk: Walk, d: Array, g: Array) -> float | None:
    """c with d = c·g."""
    total = float(np.vdot(g, g))
    c = float(np.vdot(g, d)) / total if total else 0.0
    return c if c and walk.same(d, c * g) else None


def clipped(walk: Walk) -> FoundRule | None:
    """The gradient cut to a norm, of all parameters or of each, or entry by entry."""
    lr, steps = walk.lr, [*zip(walk.changes, walk.slopes, strict=True)]
    if lr is None:
        return None
    found = FoundRule(RULES["gradient_descent"], lr)
    scales = [proportion(walk, d, lr * g) for d, g in steps]
    shorter = [float(np.linalg.norm(d / lr)) for (d, _), c in zip(steps, scales, strict=True) if c and c < 1 - FITS]
    if all(c is not None and 0.0 < c <= 1.0 + FITS for c in scales) and one_norm(shorter):
        return FoundRule(found.rule, lr, {}, ", with gradients clipped to a norm")
    by_name = [[(x, g) for (_, x), (_, g) in zip(walk.parts(d), walk.parts(s), strict=True)] for d, s in steps]
    if all(norm_clipped([x for step in by_name for x in [step[k]]], lr) for k in range(len(walk.names))):
        return FoundRule(found.rule, lr, {}, ", with each gradient clipped to a norm")
    limit = max(float(np.abs(d / lr).max()) for d, _ in steps)
    if all(np.allclose(d / lr, np.clip(g, -limit, limit), rtol=1e-6, atol=1e-9 * limit) for d, g in steps):
        return FoundRule(found.rule, lr, {}, ", with gradients clipped by value")
    return None


def one_norm(norms: Sequence[float]) -> bool:
    return bool(norms) and max(norms) - min(norms) <= CLIPPED * max(norms)


def norm_clipped(steps: Sequence[tuple[Array, Array]], lr: float) -> bool:
    """Is one parameter's gradient always itself, or shortened to one norm?"""
    norms = []
    for d, g in steps:
        total = float(np.vdot(g, g))
        c = float(np.vdot(g, d)) / (lr * total) if total else 1.0
        if not (0.0 < c <= 1.0 + FITS) or np.linalg.norm(d - c * lr * g) > FITS * np.linalg.norm(d) + 1e-15:
            return False
        norms += [float(np.linalg.norm(d / lr))] if c < 1.0 - FITS else []
    return not norms or one_norm(norms)


def decayed(walk: Walk) -> FoundRule | None:
    """w - lr·(g + λw): the same λ for every parameter that has one, none for the others (as for biases)."""
    lr = walk.lr
    if lr is None:
        return None
    rate = decay_of(walk, [d - lr * g for d, g in zip(walk.changes, walk.slopes, strict=True)])
    return rate and FoundRule(RULES["gradient_descent"], lr, {}, f", with weight decay {rate / lr:.4g}")  # type: ignore[return-value]


def decay_of(walk: Walk, rests: Sequence[Array]) -> float | None:
    """c where what is left of each change is c·w, or nothing, parameter by parameter."""
    rates: list[float] = []
    for rest, weights, change in zip(rests, walk.weights, walk.changes, strict=False):
        w, d = dict(walk.parts(walk.flat(weights))), dict(walk.parts(change))
        for name, x in walk.parts(rest):
            small = 1e-7 * np.linalg.norm(d[name]) + 1e-14 * np.linalg.norm(w[name])
            if np.linalg.norm(x) <= small:
                continue
            c = float(np.vdot(w[name], x)) / (float(np.vdot(w[name], w[name])) or 1.0)
            if not 0.0 < c < 0.5 or np.linalg.norm(x - c * w[name]) > small + 1e-5 * np.linalg.norm(x):
                return None
            rates.append(c)
    return rates[0] if rates and max(rates) - min(rates) <= 1e-4 * max(rates) else None


def assigned(walk: Walk) -> FoundRule | None:
    """Is the new weight a multiple of the gradient?"""
    for c in (walk.lr, None):
        new, g = walk.flat(walk.weights[1]), walk.slopes[0]
        ratio = (
            proportion(walk, new, g) if c is None else next((s * c for s in (1, -1) if walk.same(new, s * c * g)), None)
        )
        if ratio:
            return FoundRule(ASSIGNED, abs(ratio))
    return None


def by_table(walk: Walk) -> FoundRule | None:
    """Every row with every set of numbers: right rows first."""
    for rule in sorted(RULES.values(), key=lambda r: not r.right):
        for start in starts(walk):
            for numbers in settings(walk, rule):
                found = fitted(walk, rule, numbers, start)
                if found is not None:
                    return found
    return None


def settings(walk: Walk, rule: UpdateRule) -> Iterator[dict[str, Any]]:
    """The program's own numbers and the usual ones, for each number of the rule."""
    own = [x for x in walk.numbers if 0.0 < x < 1.0]
    choices = []
    for name in rule.numbers:
        mine = [x for x in own if (x < 1e-3 if name == "eps" else x >= 0.05)]
        choices.append([*dict.fromkeys((*mine[:8], *USUAL[name]))])
    sizes = [walk.gradients[0][n].size for n in walk.names]
    place = np.repeat(np.arange(1, len(sizes) + 1), sizes)
    for chosen in itertools.product(*choices):
        yield {**dict(zip(rule.numbers, chosen, strict=True)), "place": place, "count": len(sizes)}


def fitted(walk: Walk, rule: UpdateRule, numbers: dict[str, Any], start: Start) -> FoundRule | None:
    """Does the rule with these numbers give every change, with the lr that is told or that the first step shows?"""
    slopes, changes = walk.slopes, walk.changes
    first = rule.steps(slopes[:1], numbers, start)[0]
    lr = walk.lr or proportion(walk, changes[0], first)
    if not lr or lr < 0.0 or not walk.same(changes[0], lr * first):
        return with_decay(walk, rule, numbers, start, lr) if lr and rule.right and "adam" in rule.name else None
    steps = rule.steps(slopes, numbers, start)
    if all(walk.same(d, lr * s) for d, s in zip(changes, steps, strict=True)):
        return FoundRule(rule, lr, numbers)
    return None


def with_decay(walk: Walk, rule: UpdateRule, numbers: dict[str, Any], start: Start, lr: float) -> FoundRule | None:
    """AdamW: the rule, and lr·λ·w beside it."""
    steps = rule.steps(walk.slopes, numbers, start)
    rests = [d - lr * s for d, s in zip(walk.changes, steps, strict=True)]
    rate = decay_of(walk, rests)
    return FoundRule(rule, lr, numbers, f", with weight decay {rate / lr:.4g}") if rate else None


def starts(walk: Walk) -> list[Start]:
    """Where the averages stand before the first step: at 0, or in arrays that the program keeps."""
    found: list[Start] = [FRESH]
    first, second = moments(walk, 1), moments(walk, 2)
    for m in (first, None) if first is not None else (None,):
        for v in (second, None) if second is not None else (None,):
            if m is not None or v is not None:
                zero = np.zeros(walk.slopes[0].size)
                found += [(zero if m is None else m, zero if v is None else v, t) for t in (*walk.counts, 0)]
    return found


def moments(walk: Walk, power: int) -> Array | None:
    """Arrays, one for each parameter, that the first step has turned into a·(itself) + b·gᵖ; in units of gᵖ."""
    slopes = {n: walk.gradients[0][n].ravel() ** power for n in walk.names}
    largest = max(walk.names, key=lambda n: slopes[n].size)
    for a, b in mixtures(walk, slopes[largest]):
        found = [kept_as(walk, slopes[n], a, b) for n in walk.names]
        if all(x is not None for x in found):
            unit = 1.0 if abs(a + b - 1.0) < 1e-6 or abs(b - 1.0) < 1e-6 else b
            return np.asarray(np.concatenate([x for x in found if x is not None]) / unit)
    return None


def mixtures(walk: Walk, g: Array) -> Iterator[tuple[float, float]]:
    """(a, b) with after = a·before + b·g, of the arrays of g's size."""
    for before, after in itertools.product(*(sized(s, g.size) for s in walk.states)):
        basis = np.stack([before, g], axis=1)
        if np.linalg.norm(before) > 0.0 and g.size > 2:
            (a, b), *_ = np.linalg.lstsq(basis, after, rcond=None)
            if 0.0 < a <= 1.0 and b and np.linalg.norm(basis @ (a, b) - after) <= 1e-9 * np.linalg.norm(after):
                yield float(a), float(b)


def kept_as(walk: Walk, g: Array, a: float, b: float) -> Array | None:
    """The array before the step, of which there is a·before + b·g after it."""
    for before, after in itertools.product(*(sized(s, g.size) for s in walk.states)):
        if np.linalg.norm(a * before + b * g - after) <= 1e-8 * np.linalg.norm(after):
            return np.asarray(before)
    return None


def sized(arrays: Iterable[Array], size: int) -> list[Array]:
    return [np.ravel(x) for x in arrays if np.size(x) == size][:KEPT]


def moments_of(walk: Walk) -> Iterator[tuple[str, Array]]:
    """What a right optimizer makes of the first gradient, so that it can be found in a run: m, v̂, √v̂ ..."""
    own = [x for x in walk.numbers if 0.05 <= x < 1.0]
    betas = [*dict.fromkeys((*own[:6], 0.9, 0.999, 0.99))]
    (m0, v0, t0) = starts(walk)[-1]
    for name, g in walk.gradients[0].items():
        m_of = dict(walk.parts(m0)) if isinstance(m0, np.ndarray) else {}
        v_of = dict(walk.parts(v0)) if isinstance(v0, np.ndarray) else {}
        m, v = (np.reshape(x.get(name, np.zeros(g.size)), g.shape) for x in (m_of, v_of))
        yield name, g * g
        for b in betas:
            yield from ((name, x) for x in averages(g, m, v, b, t0 + 1))


def averages(g: Array, m: Array, v: Array, b: float, t: int) -> Iterator[Array]:
    first, second = b * m + (1.0 - b) * g, np.abs(b * v + (1.0 - b) * g * g)
    yield from (b * m, b * v, (1.0 - b) * g, (1.0 - b) * g * g, first, second, np.sqrt(second))
    yield from (b * m + g, g + b * (b * m + g), v + g * g, np.sqrt(np.abs(v + g * g)))
    yield from (first / (1.0 - b**t), second / (1.0 - b**t), np.sqrt(second / (1.0 - b**t)))
    yield np.sqrt(second / (1.0 - b**t)) + 1e-8
