"""The examiner of hand-written backprop: which gradient is wrong, and which mistake makes it so, with proof.

>>> X, t = np.array([[1.0, 2.0], [-1.0, 0.5]]), np.array([[1.0], [0.0]])
>>> params = {"W1": np.array([[0.3, -0.2], [0.1, 0.4]]), "W2": np.array([[0.7], [-0.5]])}
>>> def forward(p):
...     return 0.5 * np.sum((np.tanh(X @ p["W1"]) @ p["W2"] - t) ** 2)
>>> h = np.tanh(X @ params["W1"])
>>> d2 = h @ params["W2"] - t
>>> d1 = d2 @ params["W2"].T  # here (1 - h²) is forgotten
>>> report = check_backprop(forward, params, {"W1": X.T @ d1, "W2": h.T @ d2})
>>> list(report.wrong), report.slips[0].code, report.slips[0].where
(['W1'], 'missing_activation_derivative', 'hidden layer 1')

To read the examiner, follow what it does. learner/inputs.py checks what is given. followed.py runs the learner's
backward, if it is a function. forward/tracing.py makes a list of steps of the forward (forward/program.py), in which
forward/network.py finds the layers. catalogue.py makes a variant of the backward pass for each mistake that is declared
in slips/, and search.py runs them and compares. report.py says what was found, picture.py draws it, and distinguish.py
tells two mistakes apart that give the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.examiner.beside_kinks import SEEDS, judged_beside, verdict_at_kink, verdict_on_numbers
from tinygrad_edu.clinic.examiner.followed import Followed, best_run, same_gradients
from tinygrad_edu.clinic.examiner.forward.book import truth_of
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.judge import judge
from tinygrad_edu.clinic.examiner.learner.gradients import Given, match_gradients
from tinygrad_edu.clinic.examiner.learner.inputs import (
    Forward,
    LearnerForward,
    check_names,
    check_rate,
    parameters,
)
from tinygrad_edu.clinic.examiner.learner.kinks import has_kink
from tinygrad_edu.clinic.examiner.learner.reachable import preserve
from tinygrad_edu.clinic.examiner.lines.carried_factors import ratios_of
from tinygrad_edu.clinic.examiner.lines.lines import find_places
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.lines.suspects import Hints
from tinygrad_edu.clinic.examiner.own_numbers import drawn_anew, refuse_chance, tell_of_writes
from tinygrad_edu.clinic.examiner.report import BackpropReport
from tinygrad_edu.clinic.examiner.run_probe import rule_out
from tinygrad_edu.clinic.examiner.scale_factors import common_factors
from tinygrad_edu.clinic.examiner.search import TOLERANCE
from tinygrad_edu.errors import ExaminerError
from tinygrad_edu.pen import check_arguments

Array = np.ndarray[Any, Any]
ELSEWHERE = (
    "At your parameters the gradients are right, but at others they are not: "
    "these numbers are from random parameters near yours."
)


@check_arguments
def check_backprop(
    forward: Forward, params: Any, grads: Any = None, *, lr: float | None = None, updated: Any = None
) -> BackpropReport:
    """Compare gradients written by hand with the right ones, and name the mistake that gives the wrong ones.

    A mistake is certain when the backward pass with it gives the learner's numbers to 1e-6 (relative, each gradient).
    The learner's objects are left as they were.

    forward: params → loss, plain NumPy or pure Python, as it is.
    params: arrays, numbers or lists, in a dict, a list, a tuple or an object, nested.
    grads: the gradients that the learner's backward computes, in the form of params or as a dict (`dW1` is the gradient
    of `W1`); or the backward itself, a function of params, which is then followed line by line; forward is run before
    it at the same parameters, so it may read what forward stores. The lowest layers, where nothing is handed over for
    them, are taken for frozen (`report.kept`) and not judged.
    lr: the learning rate; with it, a delta that went through weights that had been updated is found too.
    updated: in place of grads, the parameters after one step w - lr·∂loss/∂w; needs lr.
    Errors: ExaminerError, NameNotFoundError, ShapeError, SettingError for what cannot be judged; each says what.

    >>> X, t, W = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0], [0.0]]), np.array([[0.5], [-1.0]])
    >>> def forward(p):
    ...     return np.sum((X @ p["W"] - t) ** 2)
    >>> check_backprop(forward, {"W": W}, {"W": 2 * X.T @ (X @ W - t)}).ok
    True
    >>> check_backprop(forward, {"W": W}, {"W": -2 * X.T @ (X @ W - t)}).slips[0].sentence
    'The sign is wrong: this gradient points uphill.'
    """
    checks.function("forward", forward, "check_backprop")
    form, weights = parameters(params)
    rate = check_rate(lr)
    if (grads is None) == (updated is None):
        raise ExaminerError(
            "give either grads= (what your backward computed) or updated= (the parameters after a step)"
        )
    with preserve(forward, params, grads) as state:
        if callable(grads) and not isinstance(grads, Mapping):
            return check_backward(LearnerForward(forward, form, state), weights, grads, rate)
        learner = LearnerForward(forward, form)
        if updated is None:
            given = match_gradients([*weights], form, grads)
            return verdict_on_numbers(learner, weights, given, judge(learner, weights, given, rate), rate)
        implied, tolerances = gradients_of_update(weights, updated, rate, learner)
        report = judge(learner, weights, implied, rate, tolerances)
        return verdict_on_numbers(learner, weights, implied, report, rate, tolerances)


def check_backward(
    learner: LearnerForward, weights: dict[str, Array], backward: Callable[..., Any], rate: float | None
) -> BackpropReport:
    """The learner's own backward, followed while it runs; where it is right, also at other parameters."""
    run = best_run(learner, weights, backward, rate)
    if run.report.ok:
        return drawn_anew(run, rate) or elsewhere(run, rate) or run.report
    refuse_chance(run)
    report, beside = verdict_at_kink(run, rate) or (run.report, None)
    if report.ok:
        return report
    if report is run.report:
        rule_out(run, rate)
    add_places(report, beside.recording if beside else run.recording, beside.weights if beside else run.weights, rate)
    tell_of_writes(run, rate)
    return report


def elsewhere(run: Followed, rate: float | None) -> BackpropReport | None:
    """A mistake that does not show at these parameters (gamma = 1, a bias of 0), looked for at random ones nearby.

    At a kink, half of the mask may be missing and the numbers still be right: then at several.
    """
    for seed in SEEDS if has_kink(run.learner, run.weights) else SEEDS[:1]:
        beside = judged_beside(run, rate, seed)
        if beside is None or same_gradients(beside.given, run.given):
            return None  # it ignores the parameters that it is given
        if not beside.report.ok and beside.report.method == "traced":
            beside.report.note = f"{ELSEWHERE} {beside.report.note}".strip()
            add_places(beside.report, beside.recording, beside.weights, rate)
            return beside.report
    return None


def add_places(report: BackpropReport, recording: Recording, weights: Mapping[str, Array], rate: float | None) -> None:
    """The lines at which the learner's backward leaves the derivatives."""
    if report.network is not None and report.method == "traced":
        factors = factors_of(report.network, rate)
        ends = {n: report.raw.get(n, report.given[n]) for n in report.wrong if n in report.given}
        with np.errstate(all="ignore"):  # a mask of -inf
            truth, deltas = truth_of(report.network, weights, slack=slack_of(report)), deltas_of(report.network)
        right = [report.given[n] for n in report.right if n not in report.wrong and n in report.given]
        report.places = find_places(recording, truth, ends, factors, deltas, hints_of(report, right))
    report.followed = True


def slack_of(report: BackpropReport) -> float:
    """How far the right gradients are from right: rounding, or a little number in their loss."""
    return max((e for n, e in report.errors.items() if n not in report.wrong), default=0.0)


def hints_of(report: BackpropReport, right: Sequence[Any], *, updates: bool = False, at_end: bool = False) -> Hints:
    """What the numbers of a report say about the line of the mistake; right: values that are correct."""
    codes = {slip.code for slip in report.explanations[0]} if report.certain and report.explanations else set()
    ratios, dropped = ratios_of(report.given, report.right, report.wrong), "upstream_gradient_dropped" in codes
    return Hints(ratios, right, dropped, updates, at_end, report.right)


def deltas_of(net: Network) -> dict[str, list[Array]]:
    """For each parameter, the derivatives with respect to the products in which it occurs."""
    steps, gradients = net.steps, net.program.gradients
    return {
        name: [gradients[u.step] for u in uses if u.step in gradients and steps[u.step].y.ndim]
        for name, uses in net.uses.items()
    }


def factors_of(net: Network, rate: float | None) -> list[float]:
    """Factors by which people scale all their deltas, to take them out later: -1, n, 2/n, lr."""
    known = [1.0, *common_factors(net, rate).values()]
    return [s * c * k for c in known if c for s in (1.0, -1.0) for k in ((1.0, rate) if rate else (1.0,))]


def gradients_of_update(
    params: Mapping[str, Array], updated: Any, lr: float | None, learner: LearnerForward
) -> tuple[Given, dict[str, float]]:
    """The gradients that an update w - lr·g implies, and how exactly each can be known."""
    if lr is None:
        raise ExaminerError("updated= needs lr=: the gradient is (params - updated)/lr")
    if isinstance(updated, Mapping) and isinstance(learner.form.given, Mapping):
        check_names(learner.form.given, updated, "updated")
    _, new = parameters(updated)
    check_names(params, new, "updated")
    given = {name: difference(x, new[name]) / lr for name, x in params.items()}
    return Given(given), {name: TOLERANCE + rounding(params[name], given[name], lr) for name in params}


def difference(old: Array, new: Array) -> Array:
    """What was subtracted; a bias that has grown to a matrix was broadcast at the start."""
    try:
        return np.asarray(old - new)
    except ValueError:
        return new


def rounding(w: Array, g: Array, lr: float) -> float:
    """The relative rounding error of g when it is recovered from w - lr·g."""
    return float(4e-16 * np.linalg.norm(w) / (lr * float(np.linalg.norm(g)) or np.inf))


@check_arguments
def check_step(step: Callable[[Any], Any], forward: Forward, params: Any, *, lr: float) -> BackpropReport:
    """Check a whole training step of gradient descent, as `check_backprop` checks gradients.

    The gradient is what the step has subtracted, divided by lr: (w - w_new)/lr.
    step: params → new params; or it changes params in place and returns nothing.
    forward: params → the loss.
    params: the weights to check at.
    lr: the learning rate of the step.
    Errors: those of `check_backprop`.

    >>> forward = lambda p: 0.5 * np.sum((2.0 * p["w"] - 1.0) ** 2)
    >>> def step(p):
    ...     return {"w": p["w"] + 0.1 * (2.0 * p["w"] - 1.0) * 2.0}  # uphill
    >>> check_step(step, forward, {"w": np.array([1.0, 2.0, 3.0])}, lr=0.1).slips[0].code
    'sign_flipped'
    """
    form, weights = parameters(params)
    with preserve(step, forward, params):
        handed = form.fill(weights)
        result = step(handed)
    new = handed if result is None else result
    if result is None and all(np.array_equal(parameters(handed)[1][n], x) for n, x in weights.items()):
        raise ExaminerError(
            "the step changed nothing in the params it was given, and returned nothing: return the new parameters"
        )
    return check_backprop(forward, params, updated=new, lr=lr)


@check_arguments
def check_lists(
    forward: Forward, params: Any, grads: Any = None, *, lr: float | None = None, updated: Any = None
) -> BackpropReport:
    """`check_backprop` under an older name, from when only this one took numbers and nested lists.

    forward: params → the loss, in plain Python.
    params: the parameters by name, as lists.
    grads: their gradients, as lists of the same shapes.
    lr: the learning rate, where `updated` is given.
    updated: the parameters after one update, in place of gradients.

    >>> def forward(p):
    ...     return (p["w"][0] * 2.0 + p["w"][1] * 3.0 - 1.0) ** 2
    >>> check_lists(forward, {"w": [1.0, 1.0]}, {"w": [16.0, 24.0]}).ok
    True
    >>> check_lists(forward, {"w": [1.0, 1.0]}, {"w": [-16.0, -24.0]}).slips[0].code
    'sign_flipped'
    """
    return check_backprop(forward, params, grads, lr=lr, updated=updated)
