"""What explains the learner's gradients: one mistake or two, and how well they fit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Mutant
from tinygrad_edu.clinic.examiner.forward.network import Network

Array = np.ndarray[Any, Any]
Gradients = dict[str, Array]


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
