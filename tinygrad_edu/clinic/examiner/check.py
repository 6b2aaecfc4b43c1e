"""The examiner of hand-written backprop: which gradient is wrong, and which slip makes it so, by proof.

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

To read the examiner, follow what it does: `inputs` checks what is given; `tracing` (with `signs`, `recognise`) makes a
`program` of the forward, in which `network` finds the layers; the `catalogue` makes mutants of the slips declared in
`slips_activation`, `slips_layer`, `slips_sums`; `search` (with `factors`) runs the backward pass with each and
compares; `report` says what was found, `marking` draws it, `probe` tells equals apart. `lists` (with `exchange`,
`vectors`) brings pure Python to the same.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.book import truth_of
from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE, Learner, Mutant, parameter_layer
from tinygrad_edu.clinic.examiner.distinguish import NetworkAt, add_probe
from tinygrad_edu.clinic.examiner.forward_network import network_of
from tinygrad_edu.clinic.examiner.gradients import Given, match_gradients, of_call
from tinygrad_edu.clinic.examiner.inputs import (
    Forward,
    LearnerForward,
    check_names,
    check_rate,
    check_shapes,
    parameters,
)
from tinygrad_edu.clinic.examiner.lines import find_places
from tinygrad_edu.clinic.examiner.network import Network
from tinygrad_edu.clinic.examiner.reachable import kept
from tinygrad_edu.clinic.examiner.recording import Recording, record_run
from tinygrad_edu.clinic.examiner.report import BackpropReport, FoundSlip, found_slip
from tinygrad_edu.clinic.examiner.scale_factors import known_factors
from tinygrad_edu.clinic.examiner.search import TOLERANCE, Explanation, Search
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
BY_DIFFERENCES = 1e-5  # what central differences can tell apart
DIGITS = 6e-4  # relative; below it gradients are right to three digits: rounded, or differences themselves
ELSEWHERE = (
    "At your parameters the gradients are right, at others they are not: "
    "these numbers are of random parameters near yours."
)
HINT = 0.05  # relative; a slip that misses the numbers by more explains nothing
WITHOUT_GRAPH = ("gradient_times_weight", "gradient_transposed", "missing_bias_gradient", "regularisation_wrong")


def check_backprop(
    forward: Forward, params: Any, grads: Any = None, *, lr: float | None = None, updated: Any = None
) -> BackpropReport:
    """Compare gradients written by hand with the right ones, and name the mistake that gives the wrong ones.

    forward: params → loss, plain NumPy or pure Python, as it is. params: arrays, numbers or lists, in a dict, a list, a
    tuple or an object, nested. grads: the gradients that the learner's backward computes, in the same form or as a dict
    (`dW1` is the gradient of `W1`); or the backward itself, a function of params, which is then followed line by line;
    or updated: the parameters after one step w - lr·∂loss/∂w, with that lr.
    lr: also tells whether a delta went through weights that had been updated.
    A mistake is certain when the backward pass with it gives the learner's numbers to 1e-6 (relative, each gradient).
    The learner's objects are left as they were. Errors: ExaminerError, NameNotFoundError, ShapeError, SettingError for
    what cannot be judged; each says what.

    >>> X, t, W = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0], [0.0]]), np.array([[0.5], [-1.0]])
    >>> def forward(p):
    ...     return np.sum((X @ p["W"] - t) ** 2)
    >>> check_backprop(forward, {"W": W}, {"W": 2 * X.T @ (X @ W - t)}).ok
    True
    >>> check_backprop(forward, {"W": W}, {"W": -2 * X.T @ (X @ W - t)}).slips[0].sentence
    'The sign is wrong: this gradient points uphill.'
    """
    form, weights = parameters(params)
    rate = check_rate(lr)
    if (grads is None) == (updated is None):
        raise ExaminerError(
            "give either grads= (what your backward computed) or updated= (the parameters after a step)"
        )
    with kept(forward, params, grads) as state:
        if callable(grads) and not isinstance(grads, Mapping):
            return check_backward(LearnerForward(forward, form, state), weights, grads, rate)
        learner = LearnerForward(forward, form)
        if updated is None:
            given = match_gradients([*weights], form, grads)
            return judge(learner, weights, given, rate)
        implied, tolerances = implied_gradients(weights, updated, rate, learner)
        return judge(learner, weights, implied, rate, tolerances)


def check_backward(
    learner: LearnerForward, weights: dict[str, Array], backward: Callable[..., Any], rate: float | None
) -> BackpropReport:
    """The learner's own backward, followed while it runs; where it is right, also at other parameters."""
    recording, given = follow(learner, weights, backward)
    named = {n: x for n, x in weights.items() if n not in given.missing or isinstance(learner.form.given, Mapping)}
    if len(named) < len(weights):  # an object holds data and results beside its parameters
        learner, weights = replace(learner, form=learner.form.only(named)), named
        given = replace(given, missing=())
    report = judge(learner, weights, given, rate)
    if report.ok:
        return elsewhere(learner, weights, backward, given, rate) or report
    add_places(report, recording, weights, rate)
    return report


def follow(learner: LearnerForward, weights: dict[str, Array], backward: Callable[..., Any]) -> tuple[Recording, Given]:
    """Run the backward once, and take its gradients."""
    learner.rewind()
    recording = record_run(backward, learner.form.fill(weights))
    grads = of_call(recording.result, backward)
    if grads is None:
        raise ExaminerError("the backward returned None: does it lack a `return grads`?")
    return recording, match_gradients([*weights], learner.form, grads)


def elsewhere(
    learner: LearnerForward,
    weights: dict[str, Array],
    backward: Callable[..., Any],
    here: Given,
    rate: float | None,
) -> BackpropReport | None:
    """A mistake that does not show at these parameters (gamma = 1, a bias of 0), looked for at random ones nearby."""
    rng = np.random.default_rng(1)
    moved = {n: x + 0.1 * rng.normal(size=x.shape) * (1.0 + np.abs(x)) for n, x in weights.items()}
    try:
        recording, there = follow(learner, moved, backward)
        if there.missing or all(np.array_equal(g, here.grads[n]) for n, g in there.grads.items()):
            return None  # it does not read the parameters that it is given
        report = judge(learner, moved, there, rate)
    except Exception:  # the program need not work at other parameters, whatever it raises
        return None
    if report.ok or report.method != "traced":
        return None
    report.note = f"{ELSEWHERE} {report.note}".strip()
    add_places(report, recording, moved, rate)
    return report


def add_places(report: BackpropReport, recording: Recording, weights: Mapping[str, Array], rate: float | None) -> None:
    """The lines at which the learner's backward leaves the derivatives."""
    if report.network is not None and report.method == "traced":
        factors = factors_of(report.network, rate)
        ends = {n: report.raw.get(n, report.given[n]) for n in report.wrong if n in report.given}
        report.places = find_places(recording, truth_of(report.network, weights), ends, factors)
    report.followed = True


def factors_of(net: Network, rate: float | None) -> list[float]:
    """Factors by which people scale all their deltas, to take them out later: -1, n, 2/n, lr."""
    known = [1.0, *known_factors(net, rate).values()]
    return [s * c * k for c in known if c for s in (1.0, -1.0) for k in ((1.0, rate) if rate else (1.0,))]


def implied_gradients(
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
    """What was subtracted; a bias that has grown to a matrix began as the bias, broadcast."""
    try:
        return np.asarray(old - new)
    except ValueError:
        return new


def rounding(w: Array, g: Array, lr: float) -> float:
    """What is lost of g in w - lr·g, relative."""
    return float(4e-16 * np.linalg.norm(w) / (lr * float(np.linalg.norm(g)) or np.inf))


def judge(
    learner: LearnerForward,
    weights: dict[str, Array],
    given: Given,
    rate: float | None,
    tolerances: dict[str, float] | None = None,
) -> BackpropReport:
    """Compare the learner's gradients with the right ones, and explain the difference."""
    loss = learner.checked_loss(weights)
    net, method, note = network_of(learner, weights, loss)

    def network_at(p: dict[str, Array]) -> Network:
        return network_of(learner, p, learner.loss(p))[0]

    exact = tolerances or {n: 1e-4 if n in given.single else TOLERANCE for n in weights}
    report = examine(net, Learner(weights, given.grads, rate), exact, network_at, method, note, given.missing)
    if report.probe is not None:
        report.probe = replace(report.probe, params=learner.form.fill(report.probe.params))
    return report


def examine(
    net: Network,
    learner: Learner,
    tolerances: dict[str, float],
    network_at: NetworkAt,
    method: str,
    note: str,
    missing: tuple[str, ...] = (),
) -> BackpropReport:
    """Compare, and search for what explains the difference; `network_at` gives the network at other parameters."""
    if method != "traced":
        tolerances = {name: max(t, BY_DIFFERENCES) for name, t in tolerances.items()}
    present = {n: x for n, x in learner.params.items() if n in learner.grads}
    unsummed = check_shapes(present, learner.grads, rows_of_biases(net))
    search = Search(net, learner, tolerances, unsummed, WITHOUT_GRAPH if net.titled else ())
    right = search.true if not unsummed else Search(net, learner, tolerances).true
    errors = {n: np.inf if n in unsummed else search.residual(n, right[n]) for n in search.names}
    errors = {n: errors.get(n, np.inf) for n in learner.params}
    wrong = {n: e for n, e in errors.items() if n in missing or e > tolerances[n]}
    report = BackpropReport(errors, wrong, [], dict(learner.grads), right, method=method, note=note, network=net)
    report.missing = tuple(n for n in wrong if n in missing or not np.any(learner.grads[n]))
    if any(n not in report.missing for n in wrong) or (report.missing and not all_empty(report)):
        explain(report, search, unsummed)
        add_probe(report, learner, network_at)
    if wrong and not missing and not report.certain and max(wrong.values()) <= DIGITS:
        right_to_digits(report)
    return report


def all_empty(report: BackpropReport) -> bool:
    """Has the learner computed nothing yet?"""
    return set(report.missing) >= {n for n in report.errors if np.any(report.right.get(n, 1.0))}


def right_to_digits(report: BackpropReport) -> None:
    """Gradients that differ only as rounded numbers or finite differences do are right as far as they go."""
    digits = int(-np.log10(max(report.wrong.values())))
    text = f"Right to {digits} digits: are your numbers rounded, or computed by finite differences?"
    report.note = f"{text} {report.note}".strip()
    report.explanations = []


def rows_of_biases(net: Network) -> dict[str, tuple[int, ...]]:
    """The shape that a bias's gradient has before it is summed over the samples."""
    return {
        use.parameter: net.steps[use.step].y.shape
        for layer in net.layers
        for use in layer.biases
        if net.batch_axis(layer) is not None and len(net.uses[use.parameter]) == 1
    }


def explain(report: BackpropReport, search: Search, unsummed: set[str]) -> None:
    """Fill in the explanations, all of them with the biases that are not summed."""
    rows = [row_slip(search, name) for name in sorted(unsummed)]
    right = all(search.fits(n, search.true[n]) for n in search.names)
    found = [Explanation((), 0.0, search.true)] if right else search.explanations()
    found = [e for e in found if search.certain(e) or worth_a_hint(e, report)]
    for e in found:
        certain = search.certain(e)
        slips = [put(search, m, e, certain) for m in e.mutants] + rows
        report.explanations.append(tuple(slips))
    report.explanations = without_repeats(report.explanations)
    if found:
        report.predicted = found[0].gradients


def worth_a_hint(e: Explanation, report: BackpropReport) -> bool:
    """A slip that is not certain is shown only where it removes most of the error and no number in it was fitted."""
    error = max(report.wrong.values())
    return not e.by_chance and e.residual < HINT and e.residual < 0.1 * error


def put(search: Search, mutant: Mutant, e: Explanation, certain: bool) -> FoundSlip:
    alone = {n: search.gradient((mutant,), n) for n in search.names} if mutant.changes else {}
    explains = mutant.scales or {n for n, g in alone.items() if search.apart(g, search.true[n])}
    return found_slip(search.net, mutant, e.residual, certain, tuple(n for n in search.names if n in explains))


def row_slip(search: Search, name: str) -> FoundSlip:
    layer = parameter_layer(search.net, name)
    assert layer is not None
    mutant = Mutant(CATALOGUE["bias_not_summed"], "∂L/∂{b} = {d}", [layer], (), "", name, layer.where)
    return found_slip(search.net, mutant, 0.0, True, (name,))


def without_repeats(explanations: list[tuple[FoundSlip, ...]]) -> list[tuple[FoundSlip, ...]]:
    """One explanation for each set of codes and places."""
    unique = {tuple((s.code, s.where) for s in e): e for e in reversed(explanations)}
    return list(reversed(unique.values()))


def check_step(step: Callable[[Any], Any], forward: Forward, params: Any, *, lr: float) -> BackpropReport:
    """The same for a whole training step, step(params) → new params (or params changed in place).

    The gradient is what the step has subtracted, divided by lr: (w - w_new)/lr.
    Errors: as `check_backprop`.

    >>> forward = lambda p: 0.5 * np.sum((2.0 * p["w"] - 1.0) ** 2)
    >>> def step(p):
    ...     return {"w": p["w"] + 0.1 * (2.0 * p["w"] - 1.0) * 2.0}  # uphill
    >>> check_step(step, forward, {"w": np.array([1.0, 2.0, 3.0])}, lr=0.1).slips[0].code
    'sign_flipped'
    """
    form, weights = parameters(params)
    with kept(step, forward, params):
        handed = form.fill(weights)
        result = step(handed)
    new = handed if result is None else result
    if result is None and all(np.array_equal(parameters(handed)[1][n], x) for n, x in weights.items()):
        raise ExaminerError(
            "the step changed nothing in the params it was given, and returned nothing: return the new parameters"
        )
    return check_backprop(forward, params, updated=new, lr=lr)


def check_lists(
    forward: Forward, params: Any, grads: Any = None, *, lr: float | None = None, updated: Any = None
) -> BackpropReport:
    """`check_backprop`, which takes numbers and nested lists too; kept under the name that it had for pure Python.

    >>> def forward(p):
    ...     return (p["w"][0] * 2.0 + p["w"][1] * 3.0 - 1.0) ** 2
    >>> check_lists(forward, {"w": [1.0, 1.0]}, {"w": [16.0, 24.0]}).ok
    True
    >>> check_lists(forward, {"w": [1.0, 1.0]}, {"w": [-16.0, -24.0]}).slips[0].code
    'sign_flipped'
    """
    return check_backprop(forward, params, grads, lr=lr, updated=updated)
