"""The verdict on a learner's gradients: which are right, and what explains those that are not."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import CATALOGUE, Learner, Mutant, parameter_layer
from tinygrad_edu.clinic.examiner.distinguish import NetworkAt, add_probe
from tinygrad_edu.clinic.examiner.explanation import Explanation
from tinygrad_edu.clinic.examiner.forward.book import total
from tinygrad_edu.clinic.examiner.forward.forward_network import network_of
from tinygrad_edu.clinic.examiner.forward.layers import Layer
from tinygrad_edu.clinic.examiner.forward.little_numbers import little_logs, words_of_little
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.learner.gradients import Given
from tinygrad_edu.clinic.examiner.learner.inputs import (
    LearnerForward,
    check_shapes,
)
from tinygrad_edu.clinic.examiner.lines.recording import Recording
from tinygrad_edu.clinic.examiner.lines.untouched import missed_updates
from tinygrad_edu.clinic.examiner.report import BackpropReport, FoundSlip, describe_mutant
from tinygrad_edu.clinic.examiner.search import TOLERANCE, Search

Array = np.ndarray[Any, Any]
Traced = tuple[Network, str, str]  # what network_of gives
BY_DIFFERENCES = 1e-5  # relative; central differences cannot resolve less
# relative; smaller errors come from rounding to three digits, or from finite differences in the learner's code
DIGITS = 6e-4
# mistakes that can make all gradients 0
ZEROING = ("loss_derivative_missing", "wrong_activation_derivative", "relu_mask_wrong")
EMPTY = (  # mistakes that give a 0 only if the weight, the input or a sample's share happens to be 0
    *("gradient_times_weight", "wrong_layer_input", "weight_instead_of_input", "gradient_of_another_parameter"),
    "only_last_sample",
)
FEW = 2  # wrong gradients of one number each; if there are more, a mistake that nearly gives them is worth a hint
HINT = 0.05  # relative; a mistake whose numbers are further off explains nothing
WITHOUT_GRAPH = (
    *("gradient_times_weight", "gradient_transposed", "missing_bias_gradient", "regularisation_wrong"),
    *("gradient_clipped_by_norm", "gradient_clipped_by_value", "gradient_sign_only", "gradient_normalised"),
    *("gradient_reversed", "gradient_of_another_parameter"),
    *("entry_sign_flipped", "entry_left_out", "entry_of_another_index"),
)


def judge(
    learner: LearnerForward,
    weights: dict[str, Array],
    given: Given,
    rate: float | None,
    tolerances: dict[str, float] | None = None,
) -> BackpropReport:
    """Compare the learner's gradients with the right ones, and explain the difference."""
    traced = network_of(learner, weights, learner.checked_loss(weights))
    little = little_of(learner, weights, traced)
    if little is None or is_given(little.right, given, tolerances or {}):
        return judge_form(learner, weights, given, rate, tolerances, traced)
    exact = tolerances or exactness(weights, given)
    loose = {n: max(t, little.shares[n]) for n, t in exact.items()}
    plain = judge_form(replace(learner, plain_logs=True), weights, given, rate, loose)
    if plain.ok or plain.has_proof:
        return with_words(plain, little)
    report = judge_form(learner, weights, given, rate, tolerances, traced)
    return better_of(report, plain, little)


def exactness(weights: Mapping[str, Array], given: Given) -> dict[str, float]:
    return {n: 1e-4 if n in given.single else TOLERANCE for n in weights}


@dataclass(frozen=True)
class Little:
    """The little numbers that a loss adds in its logs.

    right: the gradients with them; shares: by how much they change each, relative, and half of it more. Whoever divides
    by p + ε in the backward pass may take another ε than the loss, or forget it in one of two places.
    """

    numbers: list[float]
    right: dict[str, Array]
    shares: dict[str, float]


def little_of(learner: LearnerForward, weights: dict[str, Array], traced: Traced | None = None) -> Little | None:
    """The little numbers in a loss's logs; None where there are none that show, or where they were looked for."""
    if learner.plain_logs is not None:
        return None
    net, method, _ = traced or network_of(learner, weights, learner.loss(weights))
    numbers = [*dict.fromkeys(x for _, _, x in little_logs(net.program))] if method == "traced" else []
    if not numbers:
        return None
    plain, _, _ = network_of(replace(learner, plain_logs=True), weights, learner.loss(weights))
    right, other = ({n: np.asarray(total(x, n)) + np.zeros(w.shape) for n, w in weights.items()} for x in (net, plain))
    changed = {n: float(np.linalg.norm(g - other[n])) / (float(np.linalg.norm(g)) or 1.0) for n, g in right.items()}
    return Little(numbers, right, {n: min(1.5 * x, DIGITS) for n, x in changed.items()})


def is_given(right: Mapping[str, Array], given: Given, tolerances: Mapping[str, float]) -> bool:
    """Are all of these the gradients that were given?"""
    pairs = ((given.grads[n], g, tolerances.get(n, TOLERANCE)) for n, g in right.items() if n in given.grads)
    return all(x.shape == g.shape and bool(np.linalg.norm(x - g) <= exact * np.linalg.norm(g)) for x, g, exact in pairs)


def with_words(report: BackpropReport, little: Little) -> BackpropReport:
    report.note = f"{words_of_little(little.numbers)} {report.note}".strip()
    return report


def better_of(report: BackpropReport, plain: BackpropReport, little: Little) -> BackpropReport:
    """The report, or the one without the little number, if all is right so, or more, or explained."""
    better = (plain.certain and not report.certain) or len(plain.wrong) < len(report.wrong)
    chosen = not report.ok and (plain.ok or (better and not report.has_proof))
    return with_words(plain, little) if chosen else report


def judge_form(
    learner: LearnerForward,
    weights: dict[str, Array],
    given: Given,
    rate: float | None,
    tolerances: dict[str, float] | None = None,
    traced: Traced | None = None,
) -> BackpropReport:
    """`judge`, with the derivative of one form of the loss."""
    net, method, note = traced or network_of(learner, weights, learner.checked_loss(weights))

    def network_at(p: dict[str, Array]) -> Network:
        return network_of(learner, p, learner.loss(p))[0]

    exact = tolerances or exactness(weights, given)
    kept = below_all_gradients(net, weights, given)
    note = f"{words_of_kept(kept)} {note}".strip()
    missing = tuple(n for n in given.missing if n not in kept)
    report = examine(net, Learner(weights, given.grads, rate), exact, network_at, method, note, missing, kept)
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
    kept: tuple[str, ...] = (),
) -> BackpropReport:
    """Compare, and search for what explains the difference; `network_at` gives the network at other parameters.

    missing: parameters with no gradient; kept: those of frozen layers, which are not judged.
    """
    if method != "traced":
        tolerances = {name: max(t, BY_DIFFERENCES) for name, t in tolerances.items()}
    present = {n: x for n, x in learner.params.items() if n in learner.grads}
    unsummed = check_shapes(present, learner.grads, rows_of_biases(net))
    search = Search(net, learner, tolerances, unsummed, WITHOUT_GRAPH if net.titled else ())
    right = search.true if not unsummed else Search(net, learner, tolerances).true
    errors = {n: np.inf if n in unsummed else search.residual(n, right[n]) for n in search.names}
    errors = {n: errors.get(n, np.inf) for n in learner.params if n not in kept}
    wrong = {n: e for n, e in errors.items() if n in missing or e > tolerances[n]}
    report = BackpropReport(errors, wrong, [], dict(learner.grads), right, method=method, note=note, network=net)
    report.kept = kept
    report.missing = tuple(n for n in wrong if n in missing or not np.any(learner.grads[n]))
    if any(n not in report.missing for n in wrong) or (report.missing and not all_empty(report)):
        explain(report, search, unsummed)
        add_probe(report, learner, network_at)
    elif wrong and not missing and not unsummed:
        explain_zeros(report, search)
    if wrong and not missing and not report.certain and max(wrong.values()) <= DIGITS:
        right_to_digits(report)
    return report


def below_all_gradients(net: Network, weights: Mapping[str, Array], given: Given) -> tuple[str, ...]:
    """The parameters below all that have a gradient, which are named by none: a frozen layer hands over nothing.

    One above a trained layer is forgotten, and so is the other half of a trained pair (W1 of b1).
    """
    trained = [n for n in weights if n in given.grads]
    halves = missed_updates(given.absent, weights, trained, Recording()) if trained else given.absent
    first = {n: min((use.step for use in uses), default=-1) for n, uses in net.uses.items()}
    order = {n: k for k, n in enumerate(weights)} if net.titled else first
    lowest = min((order.get(n, -1) for n in trained), default=-1)
    return tuple(n for n in given.absent if n not in halves and order.get(n, lowest) < lowest)


def words_of_kept(names: Sequence[str]) -> str:
    """What is said of parameters for which there is no gradient, which is not an accusation.

    >>> words_of_kept(["W1"])
    'No gradient of W1 was handed over: right if you keep it fixed, missing if you train it.'
    """
    them = "it" if len(names) == 1 else "them"
    text = f"No gradient of {', '.join(names)} was handed over: right if you keep {them} fixed, missing if you train"
    return f"{text} {them}." if names else ""


def all_empty(report: BackpropReport) -> bool:
    """Has the learner computed nothing yet?"""
    return set(report.missing) >= {n for n in report.errors if np.any(report.right.get(n, 1.0))}


def explain_zeros(report: BackpropReport, search: Search) -> None:
    """Explain gradients that come out as 0: a softmax started from 1s, a mask that lets nothing through."""
    only = Search(search.net, search.learner, search.tolerances, codes=ZEROING)
    found = only.exact() if not only.net.titled else []
    for e in sorted(found, key=lambda e: e.rank)[:1]:
        report.explanations, report.predicted = [tuple(describe_slip(only, m, e, True) for m in e.mutants)], e.gradients


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
    # a missing gradient counts as 0, which these mistakes give only by chance
    if report.wrong.keys() <= {*report.missing}:
        found = [e for e in found if not any(m.slip.code in EMPTY and not is_written(report, m) for m in e.mutants)]
    for e in found:
        certain = search.certain(e)
        slips = [describe_slip(search, m, e, certain) for m in e.mutants] + rows
        report.explanations.append(tuple(slips))
    report.explanations = without_repeats(report.explanations)
    if not found:
        report.note = f"{words_of_single_numbers(report)} {report.note}".strip()
    if found:
        report.predicted = found[0].gradients


def is_written(report: BackpropReport, mutant: Mutant) -> bool:
    """Do other gradients show that the 0 was computed: one of the same layer, or one below that its delta went into?

    That counts for a sample left out, whose 0 comes from the data (a relu that is off in the one sample that is left),
    not for a 0 that comes from the weights: biases begin at 0 in most programs.
    """
    if mutant.slip.code != "only_last_sample" or report.network is None:
        return False
    hit = {layer.z for layer in mutant.layers}
    beside = [layer for layer in report.network.layers if layer.z in hit or is_below(report.network, layer, hit)]
    return any(np.any(report.given.get(name, 0.0)) for layer in beside for name in layer.names)


def is_below(net: Network, layer: Layer, hit: Collection[int]) -> bool:
    """Does a layer's value come into one of these layers?"""
    return any(layer.z in upper.after for upper in net.layers if upper.z in hit)


def worth_a_hint(e: Explanation, report: BackpropReport) -> bool:
    """An uncertain mistake is shown only if it removes most of the error and no number in it was fitted."""
    error = max(report.wrong.values())
    near = not e.by_chance and e.residual < HINT and e.residual < 0.1 * error
    return near and not words_of_single_numbers(report)


def words_of_single_numbers(report: BackpropReport) -> str:
    """What is said where each wrong gradient is one number: any factor gives it, and some mistake nearly does."""
    names = [n for n in report.wrong if n in report.given and report.right[n].size == report.given[n].size == 1]
    if len(names) < len(report.wrong) or len(names) > FEW or not all(np.any(report.right[n]) for n in names):
        return ""
    ratios = {n: report.given[n].item() / report.right[n].item() for n in names}
    factors = [f"d{n} is {c:.4g} times the right one" for n, c in ratios.items()]
    return (
        f"{'; '.join(factors)}. Any factor explains a single number, so that mistakes cannot be told apart here: "
        "check a network with more units or samples."
    )


def describe_slip(search: Search, mutant: Mutant, e: Explanation, certain: bool) -> FoundSlip:
    alone = {n: search.gradient((mutant,), n) for n in search.names} if mutant.changes else {}
    explains = mutant.scales or {n for n, g in alone.items() if search.apart(g, search.true[n])}
    return describe_mutant(search.net, mutant, e.residual, certain, tuple(n for n in search.names if n in explains))


def row_slip(search: Search, name: str) -> FoundSlip:
    layer = parameter_layer(search.net, name)
    assert layer is not None
    mutant = Mutant(CATALOGUE["bias_not_summed"], "∂L/∂{b} = {d}", [layer], (), "", name, layer.where)
    return describe_mutant(search.net, mutant, 0.0, True, (name,))


def without_repeats(explanations: list[tuple[FoundSlip, ...]]) -> list[tuple[FoundSlip, ...]]:
    """One explanation for each set of codes and places, without those in every layer that change one layer alone."""
    unique: dict[tuple[tuple[str, str], ...], tuple[FoundSlip, ...]] = {}
    for e in explanations:  # of equal ones the first counts, and keeps its position
        unique.setdefault(tuple((s.code, s.where) for s in e), e)
    changed = {e: tuple((s.code, s.explains) for s in e) for e in unique.values()}
    narrow = {changed[e] for e in changed if not any(s.where.startswith("every") for s in e)}
    return [e for e in changed if changed[e] not in narrow or not any(s.where.startswith("every") for s in e)]
