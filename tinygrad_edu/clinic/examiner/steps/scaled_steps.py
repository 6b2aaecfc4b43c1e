"""A right update of gradients that are all right but for one factor: /n forgotten, beside weight decay or momentum.

The step is then no multiple of the gradients: the decay has no such factor, and a rate that falls hides it.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from tinygrad_edu.clinic.examiner.steps.step_walk import Walk
from tinygrad_edu.clinic.examiner.steps.update_mistakes import RULES
from tinygrad_edu.clinic.examiner.steps.update_step import FoundRule, search_table, simple_rule, with_falling_rate
from tinygrad_edu.clinic.examiner.steps.used_gradients import Used

TRIED = ("momentum", "averaged_momentum", "nesterov")
WORDS = "The update itself is right ({rule}); the gradients that it is made of are not."


def of_scaled_step(walk: Walk, factors: Iterable[float]) -> Used | None:
    """The gradients c·g, if a right rule with the told rate makes the steps of them; factors: what c may be."""
    if walk.lr is None:
        return None
    for c in dict.fromkeys(round(abs(c), 12) for c in factors):
        scaled = [{n: c * np.asarray(g) for n, g in step.items()} for step in walk.gradients]
        rule = rule_with_rate(replace(walk, gradients=scaled)) if c and c != 1.0 else None
        if rule is not None and rule.rule.right:
            return Used(scaled[0], WORDS.format(rule=rule), [*scaled[0]])
    return None


def rule_with_rate(walk: Walk) -> FoundRule | None:
    return simple_rule(walk) or with_falling_rate(walk) or search_table(walk, [RULES[name] for name in TRIED])
