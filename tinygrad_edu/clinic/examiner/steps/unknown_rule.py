"""A step that makes the right gradients and does something with them that is not a rule of the table.

That is not a mistake by itself: there are more optimizers than any table holds, and weights may be normalised or cut
after the step. Then the gradients are right, and nothing is said of the update. It is a mistake where the program
treats its parameters differently without having made what a right step would give, or where the step goes uphill.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import Recording, key_of
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.steps.made_gradients import gradients_are_made, is_made
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk
from tinygrad_edu.clinic.examiner.steps.used_gradients import values_behind

Array = np.ndarray[Any, Any]
SAME = 1e-9  # relative
EVEN = 1e-5  # relative; the steps of a sign are all of one size
UNKNOWN_FACTOR = (
    "The gradients are right but for a common factor, such as n for n samples. The update is none of the rules I know: "
    "I cannot say whether it takes the factor out, nor whether it is right."
)
UNKNOWN = (
    "The gradients are right; the update is none of the rules I know (gradient descent, momentum, Nesterov, Adagrad, "
    "RMSprop, Adadelta, Adam and its variants, Lion, Rprop): I cannot say whether it is right."
)


def words_of_unknown(recording: Recording, right: Mapping[str, Array], lr: float | None) -> str:
    """What is said of a step whose rule is not known: are the gradients seen themselves, or a multiple of them?"""
    return UNKNOWN if gradients_are_made(recording, right, [1.0, lr or 1.0], lr) else UNKNOWN_FACTOR


def is_rule_of_its_own(
    recording: Recording, walk: Walk, wrong: Iterable[str], factors: Iterable[float], lr: float | None
) -> bool:
    """May what a step makes of right gradients be a rule that the table does not hold?

    wrong: the parameters that do not become w - lr·g. factors: by which people scale their gradients.
    """
    names, (before, after), right = [*wrong], walk.weights[:2], walk.gradients[0]
    moved = all(np.any(before[n] != after[n]) or not np.any(right[n]) for n in names)
    if not moved or float(np.vdot(walk.changes[0], walk.slopes[0])) <= 0.0:
        return False
    scales = np.abs([*factors])
    if not all(is_behind(recording, after[n], right[n], scales, lr) for n in names):
        return False
    if len(names) == len([n for n in right if np.any(right[n])]):
        return True
    return lr is not None and all(comes_after(recording, before[n] - lr * right[n], after[n]) for n in names)


def shows_again(report: BackpropReport, walk: Walk) -> bool:
    """Does a mistake of the first step show in the later ones? Adam's first step is lr·sign(g) too, and no mistake."""
    codes = {slip.code for slip in report.explanations[0]}
    sizes = [np.abs(d[d != 0.0]) for d in walk.changes[1:]]
    return codes != {"gradient_sign_only"} or all(np.ptp(x) <= EVEN * x.max() for x in sizes if x.size)


def is_behind(recording: Recording, new: Array, g: Array, scales: Array, lr: float | None) -> bool:
    """Was the new parameter made of the right gradient? It may be made of numbers of which that cannot be seen."""
    if key_of(np.asarray(new, dtype=float)) not in recording.made:
        return True
    behind = Recording({made.key: made for made in values_behind(recording, new)})
    return is_made(behind, g, scales, lr)


def comes_after(recording: Recording, right: Array, new: Array) -> bool:
    """Is the new parameter made of the right one: cut to a length, for example?"""
    behind = (made.value.ravel() for made in values_behind(recording, new))
    return any(np.linalg.norm(x - right.ravel()) <= SAME * np.linalg.norm(right) for x in behind)
