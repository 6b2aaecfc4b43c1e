"""The verdict where the loss has a kink, and no single gradient is the right one (learner/kinks.py).

A backward that can be run is judged beside the kink, where there is one gradient again. Of gradients given as numbers,
those between the slopes on both sides are right, and the others are compared with what is right at the kink's edge.

>>> X, y = np.array([[1.0, 2.0], [-1.0, 0.5]]), np.array([1.0, -1.0])
>>> def forward(p):
...     return np.maximum(0.0, -y * (X @ p["w"])).mean()
>>> def backward(p):
...     return {"w": -(X.T * y * (y * (X @ p["w"]) <= 0.0)).mean(axis=1)}
>>> from tinygrad_edu.clinic import check_backprop
>>> check_backprop(forward, {"w": np.zeros(2)}, backward).ok  # a perceptron at its usual start
True
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.followed import Followed, same_gradients
from tinygrad_edu.clinic.examiner.judge import judge
from tinygrad_edu.clinic.examiner.learner.gradients import Given
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward
from tinygrad_edu.clinic.examiner.learner.kinks import MOST, between_slopes, has_kink, lies_between, moved_beside
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.report import BackpropReport

Array = np.ndarray[Any, Any]
SEEDS = (1, 2, 3)  # points beside the kink
EDGES, TINY = (11, 12, 13, 14), 1e-9  # points so near that all numbers but those at the kink stay the same
KINK = "At your parameters the loss has a kink (a relu of 0, a margin or an error of exactly 0, two equal maxima)"
RIGHT_BESIDE = f"{KINK}, where any slope between those on its two sides is right. Beside it your gradients are right."
RIGHT_BETWEEN = (
    f"{KINK}, where any slope between those on its two sides is right, and yours are. Numbers alone say no more here: "
    "a backward that computes them from the params it is given is examined beside the kink too."
)
WRONG_BESIDE = f"{KINK}, where no single slope is right: these numbers are from random parameters near yours."


@dataclass(frozen=True, eq=False)
class Beside:
    """A backward at other parameters: its gradients, and how they are judged."""

    weights: dict[str, Array]
    recording: Recording
    given: Given
    report: BackpropReport


def judged_beside(run: Followed, rate: float | None, seed: int) -> Beside | None:
    """The learner's backward at random parameters nearby; None where it, or its forward, cannot be run there."""
    moved = moved_beside(run.weights, seed)
    try:
        recording, there = run.backward.follow(run.learner, moved)
        if there.missing != run.given.missing:
            return None
        return Beside(moved, recording, there, judge(run.learner, moved, there, rate))
    except Exception:  # the program may raise anything at other parameters, where it need not work
        return None


def verdict_at_kink(run: Followed, rate: float | None) -> tuple[BackpropReport, Beside | None] | None:
    """The report on gradients that seem wrong at a kink, and where it is from, if not from the run; None: no kink."""
    if not has_kink(run.learner, run.weights):
        return None
    seen = [x for seed in SEEDS if (x := judged_beside(run, rate, seed)) is not None]
    if seen and not ignores_parameters(run, seen):
        wrong = next((x for x in seen if not x.report.ok), None)
        if wrong is None:
            return as_right(run.report, RIGHT_BESIDE), None
        if same_mistake(run.report, wrong.report):
            return run.report, None
        wrong.report.note = f"{WRONG_BESIDE} {wrong.report.note}".strip()
        return wrong.report, wrong
    return numbers_at_kink(run.learner, run.weights, run.given, run.report, rate), None


def ignores_parameters(run: Followed, seen: list[Beside]) -> bool:
    """Does the backward hand over the same numbers wherever it is asked, though the right ones change?"""
    same = all(same_gradients(x.given, run.given) for x in seen)
    rights = [x.report.right for x in seen]
    return same and not all(np.allclose(rights[0][n], r[n]) for r in rights[1:] for n in r)


def same_mistake(one: BackpropReport, other: BackpropReport) -> bool:
    """Do both have proof of the same mistakes?"""
    codes = [[s.code for s in r.explanations[0]] if r.has_proof else [] for r in (one, other)]
    return bool(codes[0]) and codes[0] == codes[1] and one.method == "traced"


def as_right(report: BackpropReport, words: str) -> BackpropReport:
    """The report without an accusation: what was given counts as right."""
    changed = {n: report.given[n] for n in report.wrong if n in report.given}
    report.right, report.errors = report.right | changed, report.errors | dict.fromkeys(changed, 0.0)
    report.wrong, report.explanations, report.predicted, report.probe = {}, [], {}, None
    report.missing, report.note, report.places = (), words, []
    return report


def verdict_on_numbers(
    learner: LearnerForward,
    weights: dict[str, Array],
    given: Given,
    report: BackpropReport,
    rate: float | None,
    tolerances: dict[str, float] | None = None,
) -> BackpropReport:
    """The report on gradients given as numbers, which is another one where the loss has a kink."""
    if report.ok or not has_kink(learner, weights):
        return report
    return numbers_at_kink(learner, weights, given, report, rate, tolerances)


def numbers_at_kink(
    learner: LearnerForward,
    weights: dict[str, Array],
    given: Given,
    report: BackpropReport,
    rate: float | None,
    tolerances: dict[str, float] | None = None,
) -> BackpropReport:
    inside = names_between(learner, weights, given, report)
    if inside and inside == report.wrong.keys():
        return as_right(report, RIGHT_BETWEEN)
    moved = [moved_beside(weights, seed, TINY) for seed in EDGES]
    kept = replace(given, grads=given.grads | {n: report.right[n] for n in inside})
    found = [report]
    for where, grads in [(weights, kept)] * bool(inside) + [(x, given) for x in moved]:
        try:
            found.append(judge(learner, where, grads, rate, tolerances))
        except Exception:  # nothing can be seen from there
            continue
    best = min(found, key=plainness)
    if best.ok:
        return as_right(report, RIGHT_BETWEEN)
    if not best.has_proof or by_factor(best):
        best.explanations, best.predicted, best.probe = [], {}, None  # any factor may come from the kink
    words = f"{KINK}, where no single slope is right, but yours lie outside of those on its two sides."
    best.note = f"{words} {best.note}".strip()
    return best


def plainness(report: BackpropReport) -> tuple[Any, ...]:
    """The right one first, then one with proof, of few mistakes, without a factor."""
    count = len(report.explanations[0]) if report.explanations else 0
    return not report.ok, not report.has_proof, by_factor(report), count, len(report.wrong)


def by_factor(report: BackpropReport) -> bool:
    return any(slip.code == "constant_factor" for e in report.explanations[:1] for slip in e)


def names_between(
    learner: LearnerForward, weights: Mapping[str, Array], given: Given, report: BackpropReport
) -> set[str]:
    """The wrong gradients of which every entry lies between the slopes on its two sides."""
    names = [n for n in report.wrong if n in given.grads and report.right[n].shape == weights[n].shape]
    if sum(weights[n].size for n in names) > MOST:
        return set()
    bounds = between_slopes(learner, weights, report.right, names)
    return {n for n in names if lies_between(given.grads[n], bounds[n], learner.single)}
