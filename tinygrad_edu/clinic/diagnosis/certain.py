"""Causes that one forward and backward pass shows for certain, before any training."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.causes.changes import open_output, standard_loss, targets_in_range
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup
from tinygrad_edu.core.graph import parent_nodes, topological
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import TinygradError

Array = np.ndarray[Any, Any]
ROWS = 64
REACHED = 0.9  # share of the targets' variance; an output range that allows less is too narrow


@dataclass(frozen=True)
class Certainty:
    """What was found: the sentence of what was seen, the proof, and the change that mends it, if there is one.

    other: another change that may; remedy: in the place of the usual one; best: the best estimate of the targets (n, k)
    that such a network can give, which is not a fault where it is good enough.
    """

    seen: str
    proof: str
    change: Change | None = None
    other: Change | None = None
    remedy: str = ""
    best: Array | None = None


Check = Callable[[Record], Certainty | None]
CHECKS: list[tuple[str, Check]] = []  # (code of the cause, check)


def certain(code: str) -> Callable[[Check], Check]:
    """Declare a check that is certain, by the code of its cause."""

    def declare(check: Check) -> Check:
        CHECKS.append((code, check))
        return check

    return declare


def outputs_of(record: Record, rows: slice) -> Array:
    """The network's outputs for these samples."""
    with no_grad():
        return np.asarray(record.subject.model.eval()(record.task.inputs(record.setup)[rows]))


@certain("wrong_output_activation")
def softmax_of_one(record: Record) -> Certainty | None:
    """A softmax over one output is 1 whatever the weights."""
    setup = record.setup
    if setup.out_activation != "softmax" or setup.sizes[-1] != 1:
        return None
    return Certainty(
        "The last layer has one unit and a softmax.",
        "a softmax divides each output by the sum of all, here by itself: it is 1 for every input and all weights, and "
        "its gradient is 0. No training is needed to see this.",
        next(open_output(record), None),
    )


@certain("wrong_output_activation")
def no_probabilities(record: Record) -> Certainty | None:
    """The loss takes probabilities, and the last activation makes none."""
    setup = record.setup
    low, high = setup.out_range
    if setup.loss_name != "bce" or (low >= 0.0 and high <= 1.0) or has_unknown_end(setup):
        return None
    p = outputs_of(record, slice(None))
    outside = int(np.sum(~((p > 0.0) & (p < 1.0))))
    bare = setup.out_activation == "identity"
    gives = f"a last {setup.out_activation} gives {low:g} to {high:g}"
    gives = "the network ends without an activation, so that it gives any number" if bare else gives
    return Certainty(
        f"Binary cross-entropy takes probabilities, but {gives}.",
        f"log(p) and log(1 - p) exist for p between 0 and 1 only; {outside} of the {p.size} outputs of this network "
        "are not between them, and pass no gradient where the loss cuts them off.",
        next(open_output(record), None) or standard_loss(setup, record.task),
        remedy=OPEN if bare else "",
    )


OPEN = "End the network with a sigmoid, or keep the raw outputs and take the loss that is made for them."


def has_unknown_end(setup: Setup) -> bool:
    """Another Module, of which it is not known in what it ends."""
    return setup.pattern is not None and setup.sizes[-1] == 0


@certain("wrong_loss")
def same_for_all_predictions(record: Record) -> Certainty | None:
    """A loss that does not depend on the predictions, as a softmax or a share of a single unit makes it."""
    setup = record.setup
    if not setup.own_loss or setup.estimator is not None:
        return None
    found = random_losses(record)
    if found is None or not (np.isfinite(found[0]) and abs(found[0] - found[2]) <= 1e-9 * max(abs(found[0]), 1e-12)):
        return None
    return Certainty(
        f"The loss is {found[0]:.6g} for two different sets of random predictions.",
        "a loss that is the same whatever the network predicts has no gradient.",
        standard_loss(setup, record.task) or {"loss": "mse"},
    )


def random_losses(record: Record) -> tuple[float, float, float] | None:
    """The loss of random predictions, of the same with permuted targets, and of other ones; None where none differ."""
    setup, rng, rows = record.setup, np.random.default_rng(0), slice(0, ROWS)
    with no_grad(), np.errstate(all="ignore"):
        shape: Any = outputs_of(record, rows).shape
        p, other, t = rng.uniform(0.1, 0.9, shape), rng.uniform(0.1, 0.9, shape), record.task.targets(setup)[rows]
        order = rng.permutation(len(t))
        if np.array_equal(t, t[order]):
            return None
        return loss_value(setup.loss, p, t), loss_value(setup.loss, p, t[order]), loss_value(setup.loss, other, t)


@certain("broadcast_in_loss")
def blind_to_order(record: Record) -> Certainty | None:
    """A loss that stays the same when the targets are permuted does not pair predictions with targets."""
    setup, y = record.setup, record.task.y
    if not setup.own_loss or setup.estimator is not None or len(y) < 3 or len(np.unique(y)) < 2:
        return None
    found = random_losses(record)
    if found is None:
        return None
    paired, permuted, other = found
    near = 1e-9 * max(abs(paired), 1e-12)
    if not (np.isfinite(paired) and abs(paired - permuted) <= near) or abs(paired - other) <= near:
        return None
    outputs = outputs_of(record, slice(ROWS)).shape
    return Certainty(
        words_of_shapes(record),
        f"the loss of {outputs[0]} random predictions is {paired:.6g} with the targets as they are, and {permuted:.6g} "
        "with the targets permuted: it does not know which target belongs to which sample.",
        standard_loss(setup, record.task) or {"loss": "mse"},
    )


def words_of_shapes(record: Record) -> str:
    """The shapes of a batch as the loss gets them; if they are the same, the loss itself makes others of them."""
    batch = slice(record.batch)
    outputs, targets = outputs_of(record, batch).shape, record.task.targets(record.setup)[batch].shape
    if outputs == targets:
        return f"Your loss is given predictions and targets of shape {outputs}, and reshapes one of them inside."
    return f"Predictions of a batch have shape {outputs}, targets {targets}."


def loss_value(loss: Any, p: Array, t: Array) -> float:
    """A loss of one's own; NaN where it cannot be computed of such arrays."""
    try:
        return float(np.asarray(getattr(found := loss(Tensor(p), t), "data", found)))
    except (TinygradError, TypeError, ValueError):
        return float("nan")


@certain("unregistered_parameters")
def never_trained(record: Record) -> Certainty | None:
    """Leaves of the graph that want a gradient, and that the model does not name among its parameters."""
    model = record.subject.model
    known = {id(p) for p in model.parameters()}
    output = model.eval()(record.task.inputs(record.setup)[:2])
    if not isinstance(output, Tensor):
        return None
    nodes = topological(output, lambda node: list(parent_nodes(node)))
    strange = [n for n in nodes if isinstance(n, Tensor) and not n.parents and n.requires_grad and id(n) not in known]
    if not strange:
        return None
    shapes = ", ".join(str(n.shape) for n in strange[:4])
    return Certainty(
        f"{len(strange)} arrays that the output depends on, of shape {shapes}, are not in model.parameters().",
        "the graph of one forward pass ends in them, they require a gradient, but no optimizer gets them.",
    )


@certain("wrong_output_activation")
def sums_to_one(record: Record) -> Certainty | None:
    """Numbers whose rows do not sum to 1, behind a softmax over all outputs."""
    setup, task = record.setup, record.task
    t = task.truth
    unlike = task.classes or task.several or setup.own_loss or setup.targets or setup.link != "identity"
    if unlike or setup.out_activation != "softmax" or t.shape[1] < 2:
        return None
    best = on_simplex(t)
    share = task.judged.share(task.judgeable(best))
    if share >= REACHED:
        return None
    low, high = t.sum(axis=1).min(), t.sum(axis=1).max()
    return Certainty(
        f"The last activation is a softmax over all {t.shape[1]} outputs, but these targets are numbers.",
        f"the outputs of a softmax sum to 1 for every sample, and these targets to {low:.3g} to {high:.3g}: the "
        f"nearest outputs that there are have an R² of {share:.3g}. No training is needed to see this.",
        next(open_output(record), None),
        best=best,
    )


def on_simplex(t: Array) -> Array:
    """The nearest row of numbers from 0 that sum to 1, of each row (Duchi et al. 2008, figure 1)."""
    u = -np.sort(-t, axis=1)
    over = (np.cumsum(u, axis=1) - 1.0) / np.arange(1, t.shape[1] + 1)
    last = np.count_nonzero(u > over, axis=1) - 1
    return np.asarray(np.maximum(t - over[np.arange(len(t)), last][:, None], 0.0))


@certain("targets_out_of_range")
def out_of_reach(record: Record) -> Certainty | None:
    """Numbers that the last activation cannot give: of each, the nearest that it can is the best there is."""
    setup, task = record.setup, record.task
    low, high = setup.out_range
    t = task.truth
    if task.classes or task.several or setup.own_loss or setup.for_classes or setup.targets or has_unknown_end(setup):
        return None
    best = np.clip(t, low, high)
    share = task.judged.share(task.judgeable(best))
    if setup.link != "identity" or share >= REACHED:
        return None
    away = float(np.mean(best != t))
    change, other, *_ = (*targets_in_range(record), None, None)
    return Certainty(
        f"{away:.0%} of the targets are outside the range of a {setup.out_activation} output, {low:g} to {high:g}: "
        f"they go from {t.min():.3g} to {t.max():.3g}.",
        f"a network that gives for each target the nearest number that it can has an R² of {share:.3g}, and no network "
        "that ends so can do better. No training is needed to see this.",
        change,
        other,
        best=best,
    )


def certainties(record: Record) -> dict[str, Certainty]:
    """All that is certain, by code."""
    found: dict[str, Certainty] = {}
    for code, check in CHECKS:
        try:
            with np.errstate(all="ignore"):  # the weights of a diverged run overflow
                certainty = check(record)
        except TinygradError:  # a model that this measurement cannot call
            certainty = None
        if certainty is not None:
            found.setdefault(code, certainty)
    return found
