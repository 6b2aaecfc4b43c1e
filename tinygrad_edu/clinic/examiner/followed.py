"""A run of the learner's backward: its lines, its gradients, and how they are judged.

Courses let forward store its activations and backward read them. So forward is run before backward, at the same
parameters and with the same random numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.judge import judge
from tinygrad_edu.clinic.examiner.learner.gradients import Given, match_gradients, of_call
from tinygrad_edu.clinic.examiner.learner.inputs import LearnerForward
from tinygrad_edu.clinic.examiner.learner.own_errors import NOT_STORED, tell_errors
from tinygrad_edu.clinic.examiner.lines.recorder import record_run
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Backward:
    """The learner's backward, a function of params.

    alone: forward is not run before it; in_turn: it draws the random numbers that come after those of forward.
    """

    function: Callable[..., Any]
    alone: bool = False
    in_turn: bool = False

    def prepare(self, learner: LearnerForward, weights: dict[str, Array]) -> Any:
        """What it is handed, from the learner's own state, after a forward."""
        if learner.state is not None:
            learner.state.restore()
        handed = learner.form.fill(weights)
        if not self.alone:
            learner.rewind()
            with tell_errors("your forward"):
                learner.function(handed)  # handed on: it may store its values in the object that holds the parameters
        if not self.in_turn:
            learner.rewind()
        return handed

    def follow(self, learner: LearnerForward, weights: dict[str, Array]) -> tuple[Recording, Given]:
        """Run it once, and take its gradients."""
        handed = self.prepare(learner, weights)
        with tell_errors("your backward", NOT_STORED):
            recording = record_run(self.function, handed)
        grads = of_call(recording.result, self.function)
        if grads is None:
            raise ExaminerError("the backward returned None: is a `return grads` missing?")
        return recording, match_gradients([*weights], learner.form, grads, returned=True)


@dataclass(frozen=True, eq=False)
class Followed:
    """One run of a backward at some parameters, judged."""

    backward: Backward
    learner: LearnerForward
    weights: dict[str, Array]
    recording: Recording
    given: Given
    report: BackpropReport


def judged_run(learner: LearnerForward, weights: dict[str, Array], backward: Backward, rate: float | None) -> Followed:
    """Run the backward and compare its gradients, those of the parameters alone, with the right ones."""
    recording, given = backward.follow(learner, weights)
    named = {n: x for n, x in weights.items() if n not in given.missing or isinstance(learner.form.given, Mapping)}
    if len(named) < len(weights):  # the object holds data and results beside its parameters
        learner, weights = replace(learner, form=learner.form.only(named)), named
        given = replace(given, missing=(), absent=())
    return Followed(backward, learner, weights, recording, given, judge(learner, weights, given, rate))


def best_run(
    learner: LearnerForward, weights: dict[str, Array], function: Callable[..., Any], rate: float | None
) -> Followed:
    """The run after a forward; or that of the backward alone, where only this one is right.

    A backward that calls forward itself may read a list that two calls make too long.
    """
    try:
        run = judged_run(learner, weights, Backward(function), rate)
    except Exception:
        alone = right_alone(learner, weights, function, rate)
        if alone is None:
            raise
        return alone
    return run if run.report.ok else right_alone(learner, weights, function, rate, run) or run


def right_alone(
    learner: LearnerForward,
    weights: dict[str, Array],
    function: Callable[..., Any],
    rate: float | None,
    after: Followed | None = None,
) -> Followed | None:
    """The run without a forward before it, if it gives other gradients than the run after one, and right ones."""
    backward = Backward(function, alone=True)
    try:
        _, given = backward.follow(learner, weights)
        if after is not None and same_gradients(given, after.given):
            return None
        run = judged_run(learner, weights, backward, rate)
    except Exception:  # without a forward the program may raise anything
        return None
    return run if run.report.ok else None


def same_gradients(one: Given, other: Given) -> bool:
    common = one.grads.keys() & other.grads.keys()
    return all(np.array_equal(one.grads[n], other.grads[n], equal_nan=True) for n in common)
