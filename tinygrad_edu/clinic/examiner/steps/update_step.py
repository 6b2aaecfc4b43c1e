"""What a training step did to the parameters, when the right gradients are known: which rule, and is it a right one?

The step is run a few times in a row, and the right gradient is computed at every point that it passes. A rule is what
the step is if it gives every change, to rounding, with numbers that the program holds (or the usual ones).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.report import FoundSlip
from tinygrad_edu.clinic.examiner.steps.clipping import cut_walks
from tinygrad_edu.clinic.examiner.steps.falling_rates import falls_with_momentum
from tinygrad_edu.clinic.examiner.steps.moments import keeps_average, starts
from tinygrad_edu.clinic.examiner.steps.rate_schedule import FALLING, is_schedule
from tinygrad_edu.clinic.examiner.steps.rule_screen import Screen
from tinygrad_edu.clinic.examiner.steps.step_walk import FITS, Walk
from tinygrad_edu.clinic.examiner.steps.update_mistakes import ASSIGNED, CLIPPED_THE_WRONG_WAY, GROWING, RULES
from tinygrad_edu.clinic.examiner.steps.update_rules import Start, UpdateRule

Array = np.ndarray[Any, Any]
MANY, ENTRIES = 5_000, 200  # with more parameters than MANY, rules are first tried on ENTRIES entries of each
FIRST_STEP = " in its first step"
DECAY = ", with weight decay"
RIGHT_STEP = "w - lr·g, with g right"
CLIPPED = 1e-4  # relative; PyTorch's clip_grad_norm_ divides by ‖g‖ + 1e-6
USUAL = {
    "mu": (0.9, 0.8, 0.95, 0.99, 0.5, 0.7, 0.6, 0.4, 0.3, 0.2, 0.1),
    "dampening": (0.1, 0.2, 0.5, 0.9),
    "beta2": (0.999, 0.99, 0.9, 0.95),
    "eps": (1e-8, 1e-7, 1e-6, 1e-5, 1e-10, 1e-12, 0.0),
}
OFTEN_CLIPPED = (  # rules that are tried after clipping, since each limit costs a search
    *("momentum", "averaged_momentum", "nesterov", "adagrad", "adagrad_eps_inside", "rmsprop", "rmsprop_eps_inside"),
    *("adam", "adam_eps_elsewhere", "adam_eps_inside", "gradient_descent"),
)


def update_slip(rule: UpdateRule, names: Sequence[str]) -> FoundSlip:
    """A wrong rule as a found mistake."""
    which = ", ".join(names)
    return FoundSlip(
        rule.name, "update", which, tuple(names), 0.0, True, rule.sentence, rule.fix, rule.formula, right_of(rule), ""
    )


def right_of(rule: UpdateRule) -> str:
    """The right rule of which a wrong one is a form, by its name: adam of adam_without_root.

    >>> right_of(RULES["rmsprop_without_root"])
    's = ρs + (1 - ρ)g²; w - lr·g/(√s + ε)'
    """
    own = RULES.get(rule.name.partition("_")[0])
    return own.formula if own is not None and own.right else RIGHT_STEP


@dataclass(frozen=True)
class FoundRule:
    """The rule that the step follows, with its numbers."""

    rule: UpdateRule
    lr: float
    numbers: Mapping[str, float] = field(default_factory=dict)
    extra: str = ""  # what follows the name, such as ", with weight decay"

    def __str__(self) -> str:
        shown = {
            "mu": "β₁" if "β₁m" in self.rule.formula or "adam" in self.rule.name else "μ",
            "beta2": "β₂",
            "eps": "ε",
            "dampening": "τ",
        }
        numbers = [f"lr = {self.lr:.6g}"] + [
            f"{shown.get(k, k)} = {x:g}" for k, x in self.numbers.items() if k in shown
        ]
        name = self.rule.name.replace("_", " ")
        return f"{name}{self.extra} ({', '.join(numbers)})"


def right_rule(walk: Walk) -> FoundRule | None:
    """The right rule that gives every change."""
    found = simple_rule(walk)
    return (
        found if found is not None and found.rule.right else search_table(walk, [r for r in RULES.values() if r.right])
    )


def find_rule(walk: Walk, limits: Sequence[float] = ()) -> FoundRule | None:
    """The rule that gives every change: a right one if any does; limits: to which gradients may be clipped before."""
    found = simple_rule(walk) or search_table(walk, sorted(RULES.values(), key=lambda r: not r.right))
    found = found or in_mid_schedule(walk) or with_falling_rate(walk) or after_clipping(walk, limits)
    if (found is None or len(walk.changes) < 2) and first_is_right(walk):
        return FoundRule(RULES["gradient_descent"], walk.lr or 0.0, {}, FIRST_STEP)
    return found


def after_clipping(walk: Walk, limits: Sequence[float]) -> FoundRule | None:
    """A right rule that is given clipped gradients."""
    for words, clipped in cut_walks(walk, limits):
        found = search_table(clipped, [RULES[name] for name in OFTEN_CLIPPED])
        if found is not None:
            return replace(found, extra=f"{words}{found.extra}")
    return None


def with_falling_rate(walk: Walk) -> FoundRule | None:
    """Gradient descent or momentum with a rate that falls slowly, inside the velocity or from layer to layer."""
    for mu in (0.0, *choices_of(walk, RULES["momentum"])[0]):
        if rate := falls_with_momentum(walk, mu):
            name, numbers = ("momentum", {"mu": mu}) if mu else ("gradient_descent", {})
            return FoundRule(RULES[name], rate, numbers, FALLING)
    return None


def in_mid_schedule(walk: Walk) -> FoundRule | None:
    """A right rule with a learning rate that has fallen below the given one and keeps falling."""
    if walk.lr is None or len(walk.changes) < 3:
        return None
    found = search_table(replace(walk, lr=None), [r for r in RULES.values() if r.right])
    return found if found is not None and found.extra == FALLING and found.lr < walk.lr else None


def simple_rule(walk: Walk) -> FoundRule | None:
    """Gradient descent, clipped or with decay, and the assigned update: what a look at the change tells."""
    return (
        plain_descent(walk)
        or find_assignment(walk)
        or find_clipping(walk)
        or find_inverted_clip(walk)
        or find_decay(walk)
    )


def first_is_right(walk: Walk) -> bool:
    """Is the first step w - lr·g? The next ones may draw other masks or batches than the loss that is measured."""
    return walk.lr is not None and walk.same(walk.changes[0], walk.lr * walk.slopes[0])


def thin_out(walk: Walk) -> Walk:
    """The walk with a few entries of each parameter, which are enough to rule out most rules."""
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


def plain_descent(walk: Walk) -> FoundRule | None:
    """w - lr·g, with an lr that may fall from step to step."""
    rates = [proportion(walk, d, g) for d, g in zip(walk.changes, walk.slopes, strict=True)]
    if any(c is None or c <= 0.0 for c in rates):
        return None
    first = rates[0] or 0.0
    told = walk.lr is None or abs(first / walk.lr - 1.0) < FITS * 10
    falling = is_schedule(rates) and first <= (walk.lr or first)
    return FoundRule(RULES["gradient_descent"], first, {}, FALLING * falling) if told or falling else None


def proportion(walk: Walk, d: Array, g: Array) -> float | None:
    """c with d = c·g."""
    total = float(np.vdot(g, g))
    c = float(np.vdot(g, d)) / total if total else 0.0
    return c if c and walk.same(d, c * g) else None


def find_clipping(walk: Walk) -> FoundRule | None:
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
    by_value = [numbers_at_limit(d / lr, g) for step in by_name for d, g in step]
    limits = [x for found in by_value if found for x in found]
    if None not in by_value and len(limits) > 1 and max(limits) - min(limits) <= 1e-6 * max(limits):
        return FoundRule(found.rule, lr, {}, ", with gradients clipped by value")
    return None


def find_inverted_clip(walk: Walk) -> FoundRule | None:
    """Steps longer than lr·g, the longer the longer g is: d = lr·g·‖g‖/limit, with norms that differ."""
    lr, steps = walk.lr, [*zip(walk.changes, walk.slopes, strict=True)]
    scales = [proportion(walk, d, lr * g) if lr else None for d, g in steps]
    norms = [float(np.linalg.norm(g)) for _, g in steps]
    if len(steps) < 2 or any(c is None or c < 1.0 + FITS for c in scales) or one_norm(norms):
        return None
    limits = [norm / (c or 1.0) for norm, c in zip(norms, scales, strict=True)]
    return FoundRule(CLIPPED_THE_WRONG_WAY, lr or 1.0) if one_norm(limits) else None


def numbers_at_limit(d: Array, g: Array) -> list[float] | None:
    """The numbers of |g| that were cut down to a limit, if d is g but for those; none is cut in d = g itself."""
    limit = float(np.abs(d).max())
    if not np.allclose(d, np.clip(g, -limit, limit), rtol=1e-6, atol=1e-9 * limit) or (not limit and np.any(g)):
        return None
    return [limit] * int(np.sum(np.abs(g) > limit * (1.0 + 1e-6)))


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


def find_decay(walk: Walk) -> FoundRule | None:
    """w - lr·(g + λw): the same λ for every parameter that has one, none for the others (as for biases)."""
    lr = walk.lr
    if lr is None:
        return None
    rests = [d - lr * g for d, g in zip(walk.changes, walk.slopes, strict=True)]
    return fit_rule_with_decay(walk, RULES["gradient_descent"], rests, lr, {})


def fit_rule_with_decay(
    walk: Walk, rule: UpdateRule, rests: Sequence[Array], lr: float, numbers: Mapping[str, float]
) -> FoundRule | None:
    """The rule with a decay of the weights, where that is what is left of each change, or with its sign turned."""
    rate = decay_of(walk, rests)
    if rate:
        return FoundRule(rule, lr, numbers, f"{DECAY} {rate / lr:.4g}")
    return FoundRule(GROWING, lr) if decay_of(walk, [-x for x in rests]) else None


def decay_of(walk: Walk, rests: Sequence[Array]) -> float | None:
    """c where what is left of each change is c·w, or nothing, parameter by parameter; all matrices alike."""
    rates: list[float] = []
    left: set[str] = set()
    for rest, weights, change in zip(rests, walk.weights, walk.changes, strict=False):
        w, d = dict(walk.parts(walk.flat(weights))), dict(walk.parts(change))
        for name, x in walk.parts(rest):
            small = 1e-7 * np.linalg.norm(d[name]) + 1e-14 * np.linalg.norm(w[name])
            if np.linalg.norm(x) <= small:
                left.add(name)
                continue
            c = float(np.vdot(w[name], x)) / (float(np.vdot(w[name], w[name])) or 1.0)
            if not 0.0 < c < 0.5 or np.linalg.norm(x - c * w[name]) > small + 1e-5 * np.linalg.norm(x):
                return None
            rates.append(c)
    matrices = {n for n, w in walk.weights[0].items() if sum(k > 1 for k in w.shape) > 1}
    return (
        rates[0]
        if rates and max(rates) - min(rates) <= 1e-4 * max(rates) and (matrices <= left or not matrices & left)
        else None
    )


def find_assignment(walk: Walk) -> FoundRule | None:
    """Is the new weight a multiple of the gradient? What the step leaves as it is says nothing."""
    moved = np.concatenate([np.full(d.size, np.any(d)) for _, d in walk.parts(walk.changes[0])])
    for c in (walk.lr, None):
        new, g = walk.flat(walk.weights[1]) * moved, walk.slopes[0] * moved
        if not np.any(walk.flat(walk.weights[0]) * moved):  # from 0, w + c·g equals c·g
            return None
        ratio = (
            proportion(walk, new, g) if c is None else next((s * c for s in (1, -1) if walk.same(new, s * c * g)), None)
        )
        if ratio:
            return FoundRule(ASSIGNED, abs(ratio))
    return None


def search_table(walk: Walk, rules: Sequence[UpdateRule]) -> FoundRule | None:
    """The first of the rules that fits; of many numbers, a few are tried first."""
    few = walk.slopes[0].size <= MANY or by_table(thin_out(walk), rules) is not None
    return by_table(walk, rules) if few else None


def by_table(walk: Walk, rules: Sequence[UpdateRule]) -> FoundRule | None:
    """Every rule with every set of numbers, in their order."""
    screen, begun = Screen(walk), starts(walk)
    for rule in rules:
        if rule.signs and not tells_signs(walk, rule):
            continue
        choices = choices_of(walk, rule)
        for start in begun:
            likely = screen.pass_on(rule, rule.numbers, choices, start)
            for chosen in itertools.compress(itertools.product(*choices), likely):
                numbers = dict(zip(rule.numbers, chosen, strict=True))
                found = fit_rule(walk, rule, {**numbers, "place": screen.place, "count": len(walk.names)}, start)
                if found is not None:
                    return found
    return None


def tells_signs(walk: Walk, rule: UpdateRule) -> bool:
    """Can a sign-based rule be told from the sign of the gradient alone: by several steps, for Lion by its average?"""
    if len(walk.changes) < 2:
        return False
    return "mu" not in rule.numbers or keeps_average(walk)


def choices_of(walk: Walk, rule: UpdateRule) -> list[list[float]]:
    """The program's own numbers and the usual ones, for each number of the rule."""
    own = [x for x in walk.numbers if 0.0 < x < 1.0]
    choices = []
    for name in rule.numbers:
        mine = [x for x in own if (x < 1e-3 if name == "eps" else x >= 0.05)]
        choices.append([*dict.fromkeys((*mine[:8], *USUAL[name]))])
    return choices


def fit_rule(walk: Walk, rule: UpdateRule, numbers: dict[str, Any], start: Start) -> FoundRule | None:
    """The rule with these numbers, if it explains every change with the given lr or the one seen in the first step."""
    slopes, changes = walk.slopes, walk.changes
    first = rule.steps(slopes[:1], numbers, start)[0]
    k = 1 if len(slopes) > 1 and not np.any(first) else 0  # index of the first step that shows the rate
    lr = walk.lr or proportion(walk, changes[k], first if not k else rule.steps(slopes[:2], numbers, start)[1])
    if not lr or lr < 0.0 or not walk.same(changes[0], lr * first):
        return with_decay(walk, rule, numbers, start, lr) if lr and rule.right and "adam" in rule.name else None
    steps = rule.steps(slopes, numbers, start)
    if all(walk.same(d, lr * s) for d, s in zip(changes, steps, strict=True)):
        return FoundRule(rule, lr, numbers)
    rates = [proportion(walk, d, s) for d, s in zip(changes, steps, strict=True)] if rule.right else []
    return FoundRule(rule, lr, numbers, FALLING) if is_schedule(rates) else None


def with_decay(walk: Walk, rule: UpdateRule, numbers: dict[str, Any], start: Start, lr: float) -> FoundRule | None:
    """AdamW: the rule, and lr·λ·w beside it."""
    steps = rule.steps(walk.slopes, numbers, start)
    rests = [d - lr * s for d, s in zip(walk.changes, steps, strict=True)]
    return fit_rule_with_decay(walk, rule, rests, lr, numbers)
