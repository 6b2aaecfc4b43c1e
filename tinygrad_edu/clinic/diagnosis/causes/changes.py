"""The single changes that test causes: functions of a Record, which give dicts of fields of its Setup."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.encoding import encoding, is_multiple_of_steps
from tinygrad_edu.clinic.diagnosis.facts.measurements import ADAPTIVE, Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change, Setup, times_schedule
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.symptoms.data import constant_columns, heavy_tail, padded
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.outputs import tell_probabilities
from tinygrad_edu.clinic.diagnosis.symptoms.settings import mismatch
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.nn.layers import find_activation
from tinygrad_edu.optim.schedule import Schedule

MOST_STEPS = 20_000  # steps of a longer run, or three times its epochs if that is more
WIDER = 4
READ_BY_NEIGHBOURS = 0.9  # share of the task; where neighbours tell this much, a network can read the inputs too
MUCH_SLOWER = 0.05  # relative to the largest stable rate


def one(possible: bool, **change: Any) -> Iterator[Change]:
    """The one change, if it is possible."""
    if possible:
        yield change


def scale_rate(lr: Any, factor: float) -> Any:
    """The rate, or all rates of a schedule, times a factor."""
    return times_schedule(lr, factor) if isinstance(lr, Schedule) else float(f"{float(lr) * factor:.6g}")


def lower_rate(record: Record) -> Iterator[Change]:
    """A tenth, half of the largest stable rate, a hundredth."""
    lr, reach = record.setup.lr, record.reach
    factors = [0.1, 0.01]
    if math.isfinite(reach) and reach > 2.0:
        factors.insert(0, float(f"{0.5 / reach:.1g}"))
    factors += [0.001] * (record.subject.diverged or record.setup.rate >= 10.0)
    for factor in dict.fromkeys(factors):
        yield {"lr": scale_rate(lr, factor)}


def higher_rate(record: Record) -> Iterator[Change]:
    """Ten times, a hundred times and so on, up to half of the largest stable rate; of Adam and its kin 0.01."""
    lr, reach = record.setup.lr, record.reach
    factors = [10.0, 100.0]
    if record.setup.optimizer in ADAPTIVE and record.setup.rate < 3e-3:
        factors.insert(0, float(f"{0.01 / record.setup.rate:.3g}"))
    if math.isfinite(reach) and 0.0 < reach < 0.005:
        most = 0.5 / reach
        # powers of ten up to the limit: the smallest that helps is enough
        factors += [10.0**k for k in range(3, 12) if 10.0**k < most]
        factors.append(float(f"{most:.1g}"))
    for factor in dict.fromkeys(factors):
        yield {"lr": scale_rate(lr, factor)}


def scale_inputs(record: Record) -> Iterator[Change]:
    """By mean and deviation; where a few samples lie far out, by logarithms, or with these cut off, after that.

    What stands for a missing number, such as -999, is cut off first: scaling it makes no number of it.
    """
    if record.setup.inputs is not None or record.task.X.dtype.kind != "f" or record.task.X.ndim not in (2, 3):
        return
    missing = (far := heavy_tail(record) is not None) and sentinel(record.task.X)
    yield from one(missing, inputs="without extremes")
    yield {"inputs": "standardized"}
    yield from faster_when_scaled(record)
    yield from one(far, inputs="logarithms")
    yield from one(far and not missing, inputs="without extremes")


def faster_when_scaled(record: Record) -> Iterator[Change]:
    """Scaled inputs and the rate that they allow: the one given may be so small because they were not."""
    setup = record.setup
    if setup.optimizer != "SGD" or setup.varies or record.task.X.ndim != 2:
        return
    scaled = Record(replace(record.subject, setup=setup.but({"inputs": "standardized"}), start={}))
    if 0.0 < scaled.reach < MUCH_SLOWER * min(record.reach, 1.0):
        yield {"inputs": "standardized", "lr": scale_rate(setup.lr, float(f"{0.5 / scaled.reach:.1g}"))}


def sentinel(X: Samples) -> bool:
    """Is the farthest entry of a feature one that comes again and again, as -999 for missing does?"""
    away = np.abs(X - np.median(X, axis=0))
    column, row = int(away.max(axis=0).argmax()), int(away.max(axis=1).argmax())
    return bool(np.sum(X[:, column] == X[row, column]) > 2)


def targets_in_range(record: Record) -> Iterator[Change]:
    """Numbers scaled; classes coded so that the output reaches them."""
    setup, task = record.setup, record.task
    if setup.for_classes or setup.targets is not None or (setup.own_loss and setup.estimator is None):
        return
    if setup.out_activation == "identity":
        yield from one(not task.classes, targets="standardized")
    else:
        yield {"targets": "in range"}
        yield {"out_activation": "identity"}


def shuffling(record: Record) -> Iterator[Change]:
    fixed = record.setup.shuffle in (False, "given", "sorted")
    return one(fixed and record.batch < record.task.samples, shuffle=True)


def other_activation(record: Record) -> Iterator[Change]:
    """One that does not saturate, the weights as they were."""
    row = find_activation(record.setup.activation)
    return one(record.setup.pattern is None and isinstance(row, Operation) and row.saturates, activation="relu")


def leaky(record: Record) -> Iterator[Change]:
    """Where they are dead at the start, other weights; else an activation that does not die."""
    if any(layer.dead > 0.4 for layer in record.start.hidden):
        yield from usual_start(record)
    row = find_activation(record.setup.activation)
    mortal = isinstance(row, Operation) and row.rectifies
    yield from one(record.setup.pattern is None and mortal, activation="leaky_relu")


def usual_init(activation: str) -> str:
    return "he_uniform" if "relu" in activation else "glorot_uniform"


def usual_start(record: Record) -> Iterator[Change]:
    """Weights of the usual size, biases 0."""
    usual = usual_init(record.setup.activation)
    return one(record.setup.pattern is None and record.setup.init != usual, init=usual)


def carry_gradient(record: Record) -> Iterator[Change]:
    """The usual weights where they were smaller; else another activation."""
    setup = record.setup
    if setup.pattern is not None:
        return
    gains = [layer.gain for layer in record.start.hidden]
    if min(gains, default=1.0) < 0.5:
        yield from usual_start(record)
    yield from one(setup.activation == "sigmoid", activation="tanh")
    yield from one(setup.activation != "relu", activation="relu")


def clip_the_gradient(record: Record) -> Iterator[Change]:
    yield from one(record.setup.clip_norm is None, clip_norm=1.0)
    yield from usual_start(record)


def fitting_loss(record: Record) -> Iterator[Change]:
    """The loss for these targets, on outputs without an activation."""
    plain, task = record.subject.plain, record.task
    setup = record.setup.but(plain)
    change = fitting(setup, task)
    if setup.own_loss and setup.estimator is None:
        change = standard_loss(setup, task)
    if change and fits(setup, change):
        yield {**plain, **change}
    elif setup.link == "sigmoid" and tell_probabilities(record):
        yield {"loss": "bce"}  # of a class of one's own the loss can be changed, and the sigmoid cannot


def fits(setup: Setup, change: Change) -> bool:
    """Can the network be changed so? Of another Module only the last activation can, where it is known."""
    return setup.pattern is None or (setup.sizes[-1] > 0 and "sizes" not in change)


def standard_loss(setup: Setup, task: Task) -> dict[str, Any]:
    """The loss that is usual for the targets, in the place of one's own."""
    if not task.classes:
        return {"loss": "mse"}
    return fitting(setup.but({"loss": "mse"}), task)


def fitting(setup: Setup, task: Task) -> dict[str, Any]:
    """The changes that make loss, last activation and coding of the targets match; {} if they do already."""
    if not mismatch(setup, task):
        return {}
    if setup.takes_logits and task.classes:
        return {"out_activation": "identity"}
    if not task.classes:
        return {"loss": "mse", "out_activation": "identity"}
    out: dict[str, Any] = {} if setup.out_activation == "identity" else {"out_activation": "identity"}
    if task.classes == 2 and setup.sizes[-1] == 1:
        return {"loss": "bce_with_logits", "coding": "zero_one", **out}
    sizes = {} if setup.sizes[-1] == task.classes else {"sizes": (*setup.sizes[:-1], task.classes)}
    return {"loss": "cross_entropy", "coding": "numbers", **sizes, **out}


def larger_network(record: Record) -> Iterator[Change]:
    """Four times the hidden units, at least 16; a hidden layer where there is none."""
    plain = record.subject.plain
    first, *hidden, last = plain.get("sizes", record.setup.sizes)
    wide = [max(16, min(WIDER * width, 128)) for width in hidden] or [16]
    flat = record.setup.pattern is None or bool(plain)
    return one(flat and max(hidden, default=0) < 64, **{**plain, "sizes": (first, *wide, last)})


def more_epochs(record: Record) -> Iterator[Change]:
    """Ten and thirty times as many, if that does not take for ever; where steps were few, a hundred times."""
    setup = record.setup
    if (isinstance(setup.lr, Schedule) and setup.lr.kind != "constant") or passes_no_gradient(record):
        return
    per_epoch = max(1, setup.steps(record.task.samples) // setup.epochs)
    factors = (10, 30, 100) if record.steps < 1000 else (10, 30)
    most = max(3 * setup.epochs, MOST_STEPS // per_epoch)
    for epochs in dict.fromkeys(min(factor * setup.epochs, most) for factor in factors):
        yield {"epochs": epochs}


def no_stopping(record: Record) -> Iterator[Change]:
    """To the last epoch."""
    ruled = record.setup.tol is not None or record.setup.patience is not None
    return one(ruled and record.subject.ended_early and not passes_no_gradient(record), tol=None, patience=None)


def passes_no_gradient(record: Record) -> bool:
    """Is a hidden layer all dead in the end? No gradient passes it: what comes before would never move again."""
    return any(layer.dead == 1.0 for layer in record.end.hidden)


def without_outliers(record: Record) -> Iterator[Change]:
    """The run without its outliers, or with a loss that gives them less weight."""
    if record.task.outliers is None:
        return
    plain = (
        record.setup.targets is None
        and record.setup.out_activation == "identity"
        and record.setup.loss_name != "poisson"
    )
    yield {"rows": "without outliers"}
    yield from one(plain, rows="without outliers", targets="standardized")
    yield from one(record.setup.loss_name == "mse", loss="huber")


def less_dropout(record: Record) -> Iterator[Change]:
    return one(record.setup.silenced > 0.0, dropout=0.0)


def some_activation(record: Record) -> Iterator[Change]:
    """Changes that give the network an activation, without which it is linear."""
    bare = record.setup.pattern is None and record.setup.activation == "identity" and len(record.setup.sizes) > 2
    if "identity" in record.subject.hidden:
        yield record.subject.plain
    yield from one(bare, activation="relu")
    yield from one(bare, activation="tanh")


def open_output(record: Record) -> Iterator[Change]:
    """No last activation, and the loss that makes probabilities itself where there are classes."""
    setup, task = record.setup, record.task
    if setup.out_activation == "identity":
        return
    kept = not task.classes or setup.takes_logits
    usual = {} if kept else fitting(setup.but({"loss": "mse"}), task)
    if fits(setup, usual):
        yield usual or {"out_activation": "identity"}


def no_clipping(record: Record) -> Iterator[Change]:
    """None, or at the usual length: the rate may have been chosen for clipped steps."""
    clipped = record.setup.clip_norm is not None or record.setup.clip_value is not None
    yield from one(clipped, clip_norm=None, clip_value=None)
    yield from one(clipped, clip_norm=1.0, clip_value=None)


def small_epsilon(record: Record) -> Iterator[Change]:
    return one(record.setup.options.get("eps", 0.0) > 1e-8, options={"eps": 1e-8})


def no_dampening(record: Record) -> Iterator[Change]:
    """None; or no more than the momentum gives back, since the rate may have been chosen for damped steps."""
    options = record.setup.options
    for dampening in (options.get("momentum", 0.0), 0.0):
        yield from one(options.get("dampening", 0.0) > dampening, options={"dampening": dampening})


def other_norm(record: Record) -> Iterator[Change]:
    """One that needs no statistics of a batch, or none."""
    yield from one(record.setup.norm == "batch", norm="layer")
    yield from one(record.setup.norm == "batch", norm=None)


def other_form(record: Record) -> Iterator[Change]:
    """Whole numbers as their bits; sequences with their padding in front."""
    setup, X = record.setup, record.task.X
    if setup.inputs is not None or setup.columns is not None or X.dtype.kind != "f":
        return
    if setup.pattern is None and is_multiple_of_steps(X) and record.neighbours[0] < READ_BY_NEIGHBOURS:
        width = encoding("bits", X)(X[:1]).shape[1]
        yield {"inputs": "bits", "sizes": (width, *setup.sizes[1:])}
    yield from one(padded(record) is not None, inputs="padding first")


def less_momentum(record: Record) -> Iterator[Change]:
    options = record.setup.options
    if options.get("momentum", 0.0) > 0.9:
        yield {"options": {"momentum": 0.9}}
        yield {"options": {"momentum": 0.5}}
    if options.get("betas", (0.0, 0.0))[0] > 0.9:
        yield {"options": {"betas": (0.9, options["betas"][1])}}


def no_decay(record: Record) -> Iterator[Change]:
    return one(record.setup.options.get("weight_decay", 0.0) > 0.0, options={"weight_decay": 0.0})


def smaller_batches(record: Record) -> Iterator[Change]:
    """An eighth, and at least 4 samples."""
    small = max(4, record.batch // 8)
    return one(small <= record.batch // 2, batch_size=small)


def without_constants(record: Record) -> Iterator[Change]:
    if record.setup.pattern is not None or record.task.X.ndim != 2:
        return
    constants, total = constant_columns(record.task), record.task.X.shape[1]
    if constants and len(constants) < total:
        kept = tuple(c for c in range(total) if c not in constants)
        yield {"columns": kept, "sizes": (len(kept), *record.setup.sizes[1:])}


def balance(record: Record) -> Iterator[Change]:
    """All classes alike; where samples have weights of their own, only if these leave a class out."""
    weights, task = record.setup.weights, record.task
    if task.classes < 2 or isinstance(weights, str):
        return
    totals = task.counts if weights is None else np.bincount(task.labels, weights, task.classes)  # type: ignore[arg-type]
    present = totals[task.counts > 0]
    yield from one(
        weights is None or bool(present.min() * len(present) < LIMITS["minority"] * present.sum()), weights="balanced"
    )


def steady_rate(record: Record) -> Iterator[Change]:
    """The largest rate throughout."""
    setup = record.setup
    if isinstance(setup.lr, Schedule) and setup.lr.kind != "constant":
        rates = setup.lr.rates(0, max(1, setup.steps(record.task.samples)))
        yield {"lr": setup.rate if setup.lr.follows_loss else float(rates.max())}
    yield from one(setup.options.get("lr_decay", 0.0) > 0.0, options={"lr_decay": 0.0})
