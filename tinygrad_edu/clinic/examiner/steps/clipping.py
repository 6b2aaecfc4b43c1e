"""Gradients that a step clips before its rule gets them: by value, by the norm of all of them, or of each.

What a clipped Adagrad, RMSprop or momentum subtracts shows no limit any more. The limit is one of the numbers that the
program holds or writes (`np.clip(g, -5, 5)`), or the largest entry of a gradient that it has cut.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import product
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.steps.made_gradients import gradients_are_made
from tinygrad_edu.clinic.examiner.steps.step_walk import Array, Walk

MOST, FEW = 7, 3  # limits that are tried
SMALL = 1e-6  # PyTorch's clip_grad_norm_ divides by ‖g‖ + 1e-6
Cut = Callable[[Sequence[Array], float], list[Array]]  # the gradients of all parameters, and the limit


def by_value(gradients: Sequence[Array], limit: float) -> list[Array]:
    return [np.clip(g, -limit, limit) for g in gradients]


def by_norm(gradients: Sequence[Array], limit: float, small: float = 0.0) -> list[Array]:
    norm = float(np.sqrt(sum(np.vdot(g, g) for g in gradients)))
    return [g * (limit / (norm + small)) if norm > limit else g for g in gradients]


def by_norm_as_pytorch(gradients: Sequence[Array], limit: float) -> list[Array]:
    return by_norm(gradients, limit, SMALL)


def by_own_norm(gradients: Sequence[Array], limit: float) -> list[Array]:
    return [by_norm([g], limit)[0] for g in gradients]


def by_own_size(gradients: Sequence[Array], limit: float) -> list[Array]:
    sizes = [float(np.abs(g).max(initial=0.0)) for g in gradients]
    return [g * (limit / size) if size > limit else g for g, size in zip(gradients, sizes, strict=True)]


WAYS: dict[str, Cut] = {
    ", with gradients clipped by value": by_value,
    ", with gradients clipped to a norm": by_norm,
    ", with gradients clipped to a norm as PyTorch does": by_norm_as_pytorch,
    ", with each gradient clipped to a norm": by_own_norm,
    ", with each gradient shortened to a largest entry": by_own_size,
}
BOTH = ", with gradients clipped by value and then to a norm"  # as tg.fit clips
PAIRED = 5  # limits of either kind that are tried where a step may clip by both


def limits_of(recording: Recording, walk: Walk, factors: Iterable[float]) -> list[float]:
    """To what the gradients may be cut: numbers seen in the run, used by its functions, or held by the program.

    There are few where the right gradients are not seen in the run, and none that are not seen where no function can
    clip by the names that it uses.
    """
    gradients = walk.gradients[0]
    most = MOST if gradients_are_made(recording, gradients, factors, walk.lr) else FEW
    found = [*limits_in_run(recording, [*gradients.values()])]
    found += [*recording.numbers, *walk.numbers] if recording.clips else []
    largest = max((float(np.linalg.norm(g)) for g in walk.slopes), default=0.0)
    return [*dict.fromkeys(x for x in found if 0.0 < x < largest)][:most]


def limits_in_run(recording: Recording, gradients: Sequence[Array]) -> Iterator[float]:
    """The largest entry of each value that is a right gradient cut at it, and the norm of one that is shortened."""
    whole = float(np.sqrt(sum(np.vdot(g, g) for g in gradients)))
    for g in gradients:
        size, norm = float(np.abs(g).max()), float(np.linalg.norm(g))
        for made in recording.made.values() if g.size > 1 and norm else ():
            x = made.value
            limit = float(np.abs(x).max()) if made.line and x.shape == g.shape else size
            if 0.0 < limit < size and np.array_equal(x, np.clip(g, -limit, limit)):
                yield limit
            elif 0.0 < limit < size and np.linalg.norm(x - g * (limit / size)) <= 1e-9 * norm:
                yield from (limit / size * whole, limit / size * norm)


def cut_walks(walk: Walk, limits: Sequence[float]) -> Iterator[tuple[str, Walk]]:
    """(in words, the walk with its gradients cut) for each way and limit that cuts something."""
    for words, cut in all_cuts(limits):
        gradients = [dict(zip(step, cut([*step.values()]), strict=True)) for step in walk.gradients]
        pairs = zip(gradients, walk.gradients, strict=True)
        if any(np.any(step[n] != whole[n]) for step, whole in pairs for n in whole):
            yield words, replace(walk, gradients=gradients)


def all_cuts(limits: Sequence[float]) -> Iterator[tuple[str, Callable[[Sequence[Array]], list[Array]]]]:
    """(in words, a function of all gradients) for each way and limit, and for two limits at once."""
    for words, cut in WAYS.items():
        yield from ((words, with_limit(cut, limit)) for limit in limits)
    for first, second in product(limits[:PAIRED], repeat=2):
        for norm in (by_norm, by_norm_as_pytorch):
            yield BOTH, one_after_the_other(with_limit(by_value, first), with_limit(norm, second))


def with_limit(cut: Cut, limit: float) -> Callable[[Sequence[Array]], list[Array]]:
    return lambda gradients: cut(gradients, limit)


def one_after_the_other(first: Callable[..., list[Array]], second: Callable[..., list[Array]]) -> Any:
    return lambda gradients: second(first(gradients))
