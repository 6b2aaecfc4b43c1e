"""Parameters that a step updates one after the other, each by its gradient at what the others have become by then.

Item response and matrix factorisation are trained so: θ first, then β with the new θ. The forward is computed anew for
each. To go on with a δ that was computed before, through weights that have been updated since, is another thing.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.steps.update_rules import RULES
from tinygrad_edu.clinic.examiner.steps.update_step import FoundRule
from tinygrad_edu.clinic.examiner.steps.watch import Watched

Array = np.ndarray[Any, Any]
MOST = 8  # parameters; each needs a gradient of its own
SAME = 1e-6  # relative


def descent_in_turn(
    watched: Watched | None, gradient_at: Callable[[dict[str, Array]], Mapping[str, Array]], lr: float | None
) -> FoundRule | None:
    """The rule of a step that changes every parameter once, each by c·∂L/∂w where the step has got to; else None.

    watched: the changes in their order; gradient_at: the right gradients at any parameters; lr: c, if it is known.
    """
    names = [event.name for event in watched.events] if watched else []
    if not watched or not watched.complete or not 2 <= len(names) <= MOST or len({*names}) < len(names):
        return None
    now, rate = dict(watched.start), lr
    for event in watched.events:
        slope, change = gradient_at(now)[event.name], now[event.name] - event.new
        rate = rate or rate_of(change, slope)
        if rate <= 0.0 or np.linalg.norm(change - rate * slope) > SAME * np.linalg.norm(change):
            return None
        now[event.name] = event.new
    return FoundRule(
        RULES["gradient_descent"], rate or 0.0, {}, ", parameter after parameter, each where the others are by then"
    )


def rate_of(change: Array, slope: Array) -> float:
    """c of change = c·slope, if there is one."""
    square = float(np.vdot(slope, slope))
    return float(np.vdot(slope, change)) / square if square else 0.0
