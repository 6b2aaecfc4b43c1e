"""What explains the learner's gradients: one mistake or two, and how well they fit."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Mutant
from tinygrad_edu.clinic.examiner.forward.network import Network

Array = np.ndarray[Any, Any]
Gradients = dict[str, Array]
BEYOND = 2  # different numbers that an explanation must give beside each number fitted to them
FEW, EXACT = 2, 1e-9  # so few numbers prove a pair of mistakes only if they agree to rounding
SMALLEST, SAME = 30, 1e-6  # the largest denominator of a ratio; relative
DIGITS = 9  # significant ones, by which two numbers are told apart


@dataclass(eq=False)
class Explanation:
    """One or two mistakes, and how far the gradients that they give are from the learner's."""

    mutants: tuple[Mutant, ...]
    residual: float
    gradients: Gradients = field(default_factory=dict)

    @property
    def rank(self) -> tuple[Any, ...]:
        """Fewer mistakes first, where a number fitted to the learner's counts as one; of pairs, the plainer ones."""
        strange = sum(far_fetched(m) for m in self.mutants) if len(self.mutants) > 1 else 0.0
        return (len(self.mutants) + self.by_chance, self.by_chance, strange, *sorted(m.rank for m in self.mutants))

    @property
    def by_chance(self) -> bool:
        """Is a number in it fitted to the learner's?"""
        return any(m.chance for m in self.mutants)


def is_earned(e: Explanation, wrong: Collection[str]) -> bool:
    """Does it say more than was fitted to get it? A fitted factor gives any number, and any two that are equal.

    wrong: the names of the learner's wrong gradients.
    """
    fitted = [m for m in e.mutants if m.chance]
    if not fitted:
        return len(e.mutants) == 1 or count_numbers(e, wrong) > FEW or e.residual <= EXACT
    names = {n for m in fitted for n in names_changed(m, wrong)}
    if len(e.mutants) == 1:
        return count_numbers(e, names) >= BEYOND + len(fitted) - all(map(is_round, fitted))
    return all(map(is_round, fitted)) and count_numbers(e, names) >= BEYOND + len(fitted)


def names_changed(mutant: Mutant, wrong: Collection[str]) -> Collection[str]:
    """The wrong gradients that the fitted number of a mistake enters."""
    scaled = [n for n, c in mutant.scales.items() if c != 1.0 and n in wrong]
    return scaled or ([mutant.parameter] if mutant.parameter in wrong else wrong)


def count_numbers(e: Explanation, names: Collection[str]) -> int:
    """How many different numbers, up to their signs, it gives in these gradients."""
    return len({f"{abs(x):.{DIGITS}g}" for n in names for x in e.gradients[n].ravel().tolist() if x})


def is_round(mutant: Mutant) -> bool:
    """Could the fitted factor stand in a program: two digits, one over such a number, a ratio of small ones?

    A factor of which nothing is known counts as round: the penalty of a decay.
    """
    factors = [c for c in mutant.scales.values() if c != 1.0]
    return all(is_written(abs(c)) or is_written(1.0 / abs(c)) for c in factors if c)


def is_written(c: float) -> bool:
    """Is it a number as people write them: 0.05, 1.5 or 2/7?

    >>> is_written(0.05), is_written(2 / 7), is_written(0.125859)
    (True, True, False)
    """
    ratio = Fraction(c).limit_denominator(SMALLEST)
    return any(abs(x / c - 1.0) < SAME for x in (float(f"{c:.2g}"), float(ratio)))


class GradientComparison(Protocol):
    """What explanations need from the search: the right gradients, the learner's, and how they differ."""

    net: Network
    learner: Learner
    names: list[str]
    true: Gradients

    def fits(self, name: str, gradient: Array) -> bool: ...

    def worst(self, gradients: Gradients) -> float: ...


def far_fetched(mutant: Mutant) -> float:
    """How late a mistake is tried in pairs: after plainer forms, wider scopes, and more places than one time step."""
    return min(mutant.order, 12) + 3.0 * bool(mutant.scope) + 4.0 * mutant.one_of_many + 5.0 * mutant.chance
