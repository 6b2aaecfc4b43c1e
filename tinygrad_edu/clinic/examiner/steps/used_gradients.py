"""The gradients that a step was made of, where the step itself does not show them: Adam, RMSprop, Adagrad, clipping.

Of w - lr·g the gradient is (w - w_new)/lr. Of a step that divides g by its own size, or cuts it, it is not; but g is
one of the values of the run. Adam's second average is made of g², so g is the value whose square went into it; of a
clipped step it is the value that is cut. It counts only if a right rule then gives the step exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import Key, Made, Recording, key_of
from tinygrad_edu.clinic.examiner.steps.moments import BETAS
from tinygrad_edu.clinic.examiner.steps.step_walk import Array, Walk
from tinygrad_edu.clinic.examiner.steps.update_mistakes import RULES
from tinygrad_edu.clinic.examiner.steps.update_step import search_table

SAME = 1e-9  # relative
SEEN = 1e-6  # relative; a smaller g² is lost in the rounding of what it is added to
CUT = 1e-7  # relative; rounding of a clipped gradient that is recovered from w - lr·g
NORM = 1e-4  # relative; PyTorch's clip_grad_norm_ divides by ‖g‖ + 1e-6
MOST = 400  # values of one size that are examined


@dataclass(frozen=True)
class Used:
    """The gradients by name, and what the step does with them, in words.

    seen: the names of those that are values of the run; of the others the step tells. limit: to which they are cut.
    """

    gradients: dict[str, Array]
    words: str
    seen: Sequence[str] = ()
    limit: float = 0.0


def gradients_of_step(recording: Recording, walk: Walk) -> Used | None:
    """What the first step of a walk was made of, if it is clipped or adapts to the size of the gradients.

    walk.gradients[0] (the right ones) give the names and shapes alone.
    """
    behind = {n: values_behind(recording, walk.weights[1][n]) for n in walk.names}
    adapted = of_adaptive_step(walk, behind)
    steps = adapted.gradients if adapted else gradients_by_step(walk)
    cut = of_clipping(walk, behind, steps) or of_shortening(walk, behind, steps)
    if cut is None or adapted is None:
        return cut or adapted
    return Used(cut.gradients, f"{cut.words} The update after it is a right one.", [*cut.gradients])


def values_behind(recording: Recording, new: Array) -> list[Made]:
    """The values of its own size of which a new parameter was made, the last made first."""
    end = recording.made.get(key_of(np.asarray(new, dtype=float)))
    seen: set[Key] = set()
    waiting = [end] if end is not None else []
    found: list[Made] = []
    while waiting:
        made = waiting.pop()
        found += [made] if made.value.size == new.size else []
        fresh = [recording.made[k] for k in made.inputs if k in recording.made and k not in seen]
        seen.update(x.key for x in fresh)
        waiting += fresh
    return sorted(found, key=lambda m: -m.order)[:MOST]


# Adam and its variants


def of_adaptive_step(walk: Walk, behind: Mapping[str, list[Made]]) -> Used | None:
    """g, where g² goes into an average or a sum that the step divides by."""
    zero = {n: np.zeros(x.shape) for n, x in walk.weights[0].items()}
    still = {n for n, x in walk.weights[0].items() if np.array_equal(x, walk.weights[1][n])}
    found = {n: zero[n] if n in still else value_of_square(behind[n], walk.numbers, zero[n]) for n in walk.names}
    gradients = {n: np.reshape(x, zero[n].shape) for n, x in found.items() if x is not None}
    if len(gradients) < len(found) or len(still) == len(found):
        return None
    one = Walk(walk.weights[:2], [gradients], walk.lr, walk.numbers, walk.states, walk.counts, walk.single)
    rule = search_table(one, [r for r in RULES.values() if r.right and r.adapts])
    if rule is None:
        return None
    words = (
        "The update itself is a right one (as of Adam, RMSprop or Adagrad); the gradients that it is made of are not."
    )
    return Used(gradients, words, [*gradients])


def value_of_square(values: Sequence[Made], numbers: Iterable[float], zero: Array) -> Array | None:
    """The value whose square the run adds to an average."""
    by_key = {made.key: made for made in values}
    betas = [*dict.fromkeys((*(x for x in numbers if 0.05 <= x < 1.0), *BETAS))]
    for total in values:
        read = [by_key[k] for k in total.inputs if k in by_key]
        # g * g may have been stored under a name first
        through = [by_key[k] for made in read for k in made.inputs if k in by_key]
        for g in dict.fromkeys((*read, *through)):
            olds = [zero.ravel(), *(made.value.ravel() for made in read if made is not g)]
            if any(is_average(total.value.ravel(), old, g.value.ravel() ** 2, betas) for old in olds):
                return g.value
    return None


def is_average(x: Array, old: Array, square: Array, betas: Sequence[float]) -> bool:
    """Is x = β·old + (1 - β)·g², or old + g², with a g² that shows in it?"""
    length = float(np.linalg.norm(x))
    if not np.isfinite(length) or not np.linalg.norm(square) > SEEN * length:
        return False
    return any(
        np.linalg.norm(a * old + b * square - x) <= SAME * length
        for a, b in ((1.0, 1.0), *((b, 1.0 - b) for b in betas))
    )


# clipping


def gradients_by_step(walk: Walk) -> dict[str, Array]:
    return {n: (x - walk.weights[1][n]) / (walk.lr or 1.0) for n, x in walk.weights[0].items()}


def of_clipping(walk: Walk, behind: Mapping[str, list[Made]], steps: Mapping[str, Array]) -> Used | None:
    """g, of which np.clip(g, -limit, limit) was used (`steps`), for some parameters or all, with one limit."""
    found: dict[str, Array] = {}
    limits: list[float] = []
    for name, d in steps.items() if walk.lr else ():
        limit = float(np.abs(d).max())
        uncut = (
            next((v for v in in_shape_of(before_cut(behind[name], d), d) if is_cut(d, v, limit)), None)
            if limit
            else None
        )
        if uncut is not None:
            found[name] = uncut
            limits.append(limit)
    at_limit = sum(int(np.sum(np.abs(v) > limits[0])) for v in found.values() if v.size > 1)
    within = sum(int(np.sum((np.abs(v) < limits[0] * (1.0 - CUT)) & (v != 0.0))) for v in found.values())
    if at_limit < 2 or not within or max(limits) - min(limits) > CUT * max(limits):
        return None
    words = f"The step clips gradients to ±{max(limits):.6g}; those before the clipping are not all right."
    return Used({**steps, **found}, words, [*found], max(limits))


def before_cut(values: Sequence[Made], d: Array) -> list[Made]:
    """The values of which the clipped one was made, if that is a value of the run."""
    by_key = {made.key: made for made in values}
    cut = [m for m in values if np.abs(m.value.ravel() - d.ravel()).max() <= CUT * np.abs(d).max()]
    return [by_key[k] for m in cut for k in m.inputs if k in by_key] or [m for m in values if m.line]


def in_shape_of(values: Iterable[Made], like: Array) -> Iterator[Array]:
    return (made.value.reshape(like.shape) for made in values)


def is_cut(d: Array, v: Array, limit: float) -> bool:
    beyond = np.abs(v) > limit * (1.0 + CUT)
    return bool(beyond.any()) and bool(np.all(np.abs(np.clip(v, -limit, limit) - d) <= CUT * limit))


def of_shortening(walk: Walk, behind: Mapping[str, list[Made]], steps: Mapping[str, Array]) -> Used | None:
    """g, of which g·limit/‖g‖ was used (`steps`), with the norm of all parameters together."""
    norm = float(np.sqrt(sum(np.vdot(d, d) for d in steps.values())))
    if not walk.lr or not any(
        isinstance(x, (int, float)) and x > 0 and abs(norm / x - 1.0) < NORM for x in walk.numbers
    ):
        return None
    shares = {
        n: {share: v for v in in_shape_of(behind[n], d) if (share := share_below_one(d, v))} for n, d in steps.items()
    }
    for share in shares[max(steps, key=lambda n: steps[n].size)]:
        found = {
            n: next((v for s, v in held.items() if abs(s / share - 1.0) < CUT), None) for n, held in shares.items()
        }
        gradients = {n: v for n, v in found.items() if v is not None}
        if len(gradients) == len(steps):
            words = f"The step shortens its gradients to a norm of {norm:.4g}; those before it are not all right."
            return Used(gradients, words, [*gradients])
    return None


def share_below_one(d: Array, v: Array) -> float | None:
    """c < 1 with d = c·v."""
    square = float(np.vdot(v, v))
    c = float(np.vdot(v, d)) / square if square else 0.0
    return c if 0.0 < c < 1.0 - CUT and np.linalg.norm(d - c * v) <= CUT * np.linalg.norm(d) else None
