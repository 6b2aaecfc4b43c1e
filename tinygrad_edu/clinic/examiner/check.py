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
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE, Learner, Mutant, parameter_layer
from tinygrad_edu.clinic.examiner.distinguish import NetworkAt, add_probe
from tinygrad_edu.clinic.examiner.inputs import (
    Forward,
    arrays,
    check_names,
    check_rate,
    check_shapes,
    loss_number,
    one_loss,
    plain_loss,
    slopes,
)
from tinygrad_edu.clinic.examiner.network import Layer, Network, Use
from tinygrad_edu.clinic.examiner.program import Program
from tinygrad_edu.clinic.examiner.report import BackpropReport, FoundSlip, found_slip
from tinygrad_edu.clinic.examiner.search import TOLERANCE, Explanation, Search
from tinygrad_edu.clinic.examiner.tracing import record
from tinygrad_edu.errors import ExaminerError

Array = np.ndarray[Any, Any]
BY_DIFFERENCES = 1e-5  # what central differences can tell apart
WITHOUT_GRAPH = ("gradient_times_weight", "gradient_transposed", "missing_bias_gradient", "regularisation_wrong")


def check_backprop(
    forward: Forward,
    params: Mapping[str, Any],
    grads: Mapping[str, Any] | None = None,
    *,
    lr: float | None = None,
    updated: Mapping[str, Any] | None = None,
) -> BackpropReport:
    """Compare gradients written by hand with the right ones, and name the slip that gives the wrong ones.

    forward: params → loss, plain NumPy code, as it is. params: name → array. grads: name → ∂loss/∂params[name] as the
    learner's backward computes it; or updated: the parameters after one step w - lr·∂loss/∂w, with that lr.
    lr: also tells whether a delta went through weights that had been updated.
    A slip is certain when the backward pass with it gives the learner's numbers to 1e-6 (relative, each gradient).
    Errors: ExaminerError, NameNotFoundError, ShapeError, SettingError for what cannot be judged; each says what.

    >>> X, t, W = np.array([[1.0, 2.0], [3.0, 5.0]]), np.array([[1.0], [0.0]]), np.array([[0.5], [-1.0]])
    >>> def forward(p):
    ...     return np.sum((X @ p["W"] - t) ** 2)
    >>> check_backprop(forward, {"W": W}, {"W": 2 * X.T @ (X @ W - t)}).ok
    True
    >>> check_backprop(forward, {"W": W}, {"W": -2 * X.T @ (X @ W - t)}).slips[0].sentence
    'The sign is wrong: this gradient points uphill.'
    """
    weights, rate = arrays("params", params), check_rate(lr)
    given, tolerances = learner_gradients(weights, grads, updated, rate)
    loss = plain_loss(forward, weights)
    net, method, note = network_of(forward, weights, loss)

    def network_at(p: dict[str, Array]) -> Network:
        return network_of(forward, p, one_loss(forward, p))[0]

    return examine(net, Learner(weights, given, rate), tolerances, network_at, method, note)


def learner_gradients(
    params: Mapping[str, Array], grads: Any, updated: Any, lr: float | None
) -> tuple[dict[str, Array], dict[str, float]]:
    """The gradients as given, or as the update implies them, and how exactly each can be known."""
    if (grads is None) == (updated is None):
        raise ExaminerError(
            "give either grads= (what your backward computed) or updated= (the parameters after a step)"
        )
    if updated is None:
        check_names(params, grads if isinstance(grads, Mapping) else arrays("grads", grads))
        given = arrays("grads", grads)
        single = [name for name in given if np.asarray(grads[name]).dtype == np.float32]
        return given, {name: 1e-4 if name in single else TOLERANCE for name in params}
    if lr is None:
        raise ExaminerError("updated= needs lr=: the gradient is (params - updated)/lr")
    new = arrays("updated", updated)
    check_names(params, new, "updated")
    given = {name: (x - new[name]) / lr if new[name].shape == x.shape else new[name] for name, x in params.items()}
    return given, {name: TOLERANCE + rounding(params[name], given[name], lr) for name in params}


def rounding(w: Array, g: Array, lr: float) -> float:
    """What is lost of g in w - lr·g, relative."""
    return float(4e-16 * np.linalg.norm(w) / (lr * float(np.linalg.norm(g)) or np.inf))


def network_of(forward: Forward, params: Mapping[str, Array], loss: float) -> tuple[Network, str, str]:
    """The traced forward; where tracing fails, a stand-in with the gradients that finite differences give."""
    try:
        program = record(forward, params)
        same = abs(loss_number(program.steps[-1].y) - loss) <= 1e-9 * max(1.0, abs(loss))
        reason = "" if same else f"traced, it gives {loss_number(program.steps[-1].y):.6g} in place of {loss:.6g}"
    except ExaminerError:
        raise
    except Exception as error:  # whatever the learner's code raises on Tensors, it works on arrays
        reason = f"{type(error).__name__}: {error}".split("\n")[0]
    if not reason:
        return Network(program), "traced", ""
    note = f"The forward could not be traced ({reason:.160}); compared by finite differences, so only slips that show in finished gradients can be named."  # noqa: E501
    return stand_in(params, slopes(forward, params)), "finite differences", note


def stand_in(params: Mapping[str, Array], gradients: Mapping[str, Array]) -> Network:
    """A network with these gradients and no layers: the loss Σ w·∂L/∂w has the same slope."""
    program: Program = record(lambda p: sum((p[n] * g).sum() for n, g in gradients.items()), params)
    net = Network(program)
    net.penalties, net.samples = [], 1  # what a single number is multiplied by could be taken for a penalty
    net.uses = {n: [Use(u.step, u.slot, n, 1 - u.slot) for u in uses] for n, uses in net.uses.items()}
    net.layers = [Layer(use.step, [use], title=f"gradient of {n}") for n in params for use in net.uses[n]]
    return net


def examine(
    net: Network, learner: Learner, tolerances: dict[str, float], network_at: NetworkAt, method: str, note: str
) -> BackpropReport:
    """Compare, and search for what explains the difference; `network_at` gives the network at other parameters."""
    if method != "traced":
        tolerances = {name: max(t, BY_DIFFERENCES) for name, t in tolerances.items()}
    unsummed = check_shapes(learner.params, learner.grads, rows_of_biases(net))
    search = Search(net, learner, tolerances, unsummed, WITHOUT_GRAPH if net.titled else ())
    right = search.true if not unsummed else Search(net, learner, tolerances).true
    errors = {n: np.inf if n in unsummed else search.residual(n, right[n]) for n in search.names}
    wrong = {n: e for n, e in errors.items() if e > tolerances[n]}
    report = BackpropReport(errors, wrong, [], dict(learner.grads), right, method=method, note=note, network=net)
    if wrong:
        explain(report, search, unsummed)
        add_probe(report, learner, network_at)
    return report


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
    for e in found:
        certain = search.certain(e)
        slips = [put(search, m, e, certain) for m in e.mutants] + rows
        report.explanations.append(tuple(slips))
    report.explanations = without_repeats(report.explanations)
    if found:
        report.predicted = found[0].gradients


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


def check_step(
    step: Callable[[dict[str, Array]], Any], forward: Forward, params: Mapping[str, Any], *, lr: float
) -> BackpropReport:
    """The same for a whole training step, step(params) → new params (or params changed in place).

    The gradient is what the step has subtracted, divided by lr: (w - w_new)/lr.
    Errors: as `check_backprop`.

    >>> forward = lambda p: 0.5 * np.sum((2.0 * p["w"] - 1.0) ** 2)
    >>> def step(p):
    ...     return {"w": p["w"] + 0.1 * (2.0 * p["w"] - 1.0) * 2.0}  # uphill
    >>> check_step(step, forward, {"w": np.array([1.0, 2.0, 3.0])}, lr=0.1).slips[0].code
    'sign_flipped'
    """
    copies = {name: x.copy() for name, x in arrays("params", params).items()}
    result = step(copies)
    return check_backprop(forward, params, updated=copies if result is None else result, lr=lr)
