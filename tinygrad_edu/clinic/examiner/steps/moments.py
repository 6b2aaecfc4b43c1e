"""The averages that an optimizer keeps: found among a program's arrays, and what a right one makes of a gradient."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.book import Truth
from tinygrad_edu.clinic.examiner.steps.step_walk import Walk
from tinygrad_edu.clinic.examiner.steps.update_rules import FRESH, Start

Array = np.ndarray[Any, Any]
BETAS = (0.9, 0.999, 0.99, 0.95)  # values that people use
MOST_KEPT = 1e3  # limit for a in a·m + b·g; a is above 1 if the program stores the bias-corrected average
LIKELY = 0.5  # two numbers of this size and below 1 that a program holds are its betas
KEPT = 16  # arrays of one size, kept by the program, that are examined


def starts(walk: Walk) -> list[Start]:
    """Possible values of the averages before the first step: 0, or arrays that the program keeps."""
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
            unit = 1.0 if abs(a + b - 1.0) < 1e-6 or abs(b - 1.0) < 1e-6 or a > 1.0 else b
            return np.asarray(np.concatenate([x for x in found if x is not None]) / unit)
    return None


def keeps_average(walk: Walk) -> bool:
    """Is there an array that the first step has turned into an average of gradients, from 0 or from what it was?"""
    g = max((g for _, g in walk.parts(walk.slopes[0])), key=lambda x: x.size)
    shares = (float(np.vdot(g, x)) / (float(np.vdot(g, g)) or 1.0) for x in sized(walk.states[1], g.size))
    fresh = ((c, x) for c, x in zip(shares, sized(walk.states[1], g.size), strict=True) if 0.0 < c < 0.99)
    return any(np.linalg.norm(x - c * g) <= 1e-9 * np.linalg.norm(x) for c, x in fresh) or moments(walk, 1) is not None


def mixtures(walk: Walk, g: Array) -> Iterator[tuple[float, float]]:
    """(a, b) with after = a·before + b·g, of the arrays of g's size."""
    for before, after in itertools.product(*(sized(s, g.size) for s in walk.states)):
        basis = np.stack([before, g], axis=1)
        if np.linalg.norm(before) > 0.0 and g.size > 2:
            (a, b), *_ = np.linalg.lstsq(basis, after, rcond=None)
            if 0.0 < a <= MOST_KEPT and b and np.linalg.norm(basis @ (a, b) - after) <= 1e-9 * np.linalg.norm(after):
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
    """What a right optimizer computes from the first gradient, to be found in a run: m, v̂, √v̂ ..."""
    own = [x for x in walk.numbers if 0.05 <= x < 1.0]
    # 0.99 would make (1 - β)²·g with β = 0.9, Adam's correction the wrong way round, a right average
    betas = own[:6] if sum(x >= LIKELY for x in own) > 1 else [*dict.fromkeys((*own[:6], 0.9, 0.999, 0.99))]
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


def of_update(
    truth: Truth, before: Mapping[str, Array], lr: float, gradients: Mapping[str, Array], how: str = ""
) -> None:
    """Enter what a right update w - lr·g makes of these gradients; `how` they were changed before."""
    for n, g in gradients.items():
        truth.add_whole(before[n] - lr * g, f"the right new {n}")
        truth.add_whole(lr * g, f"lr·∂L/∂{n}{how}")
        if how:
            truth.add_whole(g, f"∂L/∂{n}{how}")
