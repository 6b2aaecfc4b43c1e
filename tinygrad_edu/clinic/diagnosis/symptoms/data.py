"""Symptoms of data and of settings: pure functions of a Record, each a sentence with numbers, or None."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.symptoms.curve import Symptom
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.network import found
from tinygrad_edu.nn.layers import find_activation, range_of
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.schedule import as_schedule

Array = np.ndarray[Any, Any]
Look = Callable[[Record], Symptom | None]
ADAPTIVE = ("Adam", "AdamW", "RMSprop")


def constant_columns(task: Task) -> list[int]:
    """Features that never change, by as much as rounding."""
    X = task.X.reshape(len(task.X), -1)
    return np.flatnonzero(np.ptp(X, axis=0) <= 1e-12 * np.maximum(np.abs(X).max(axis=0), 1e-300)).tolist()


def constant_input(record: Record) -> Symptom | None:
    """Features that say nothing; large ones drown the others."""
    if record.setup.pattern is not None:
        return None
    columns, total = constant_columns(record.task), record.task.X.shape[1]
    X = record.task.X
    large = [c for c in columns if len(columns) == total or abs(float(X[0, c])) > LIMITS["scale"]]
    if not large:
        return None
    names = ", ".join(map(str, large[:5]))
    sentence = (
        f"{len(columns)} of {total} features never change (column {names}; column {large[0]} is {X[0, large[0]]:g})."
    )
    return Symptom("constant_input", math.inf, 1.0, sentence)


def input_scale(record: Record) -> Symptom | None:
    """Features of very different sizes, or far from 0, or all large or small."""
    X = np.delete(record.task.inputs(record.setup), constant_columns(record.task), axis=1) if flat(record) else None
    if X is None or not X.size:
        return None
    std, mean = X.std(axis=0), X.mean(axis=0)
    worst = [
        (
            float(std.max() / std.min()),
            "spread",
            f"the standard deviations run from {std.min():.3g} to {std.max():.3g}",
        ),
        (float(std.max()), "scale", f"the largest standard deviation is {std.max():.3g}"),
        (1.0 / float(std.max()), "scale", f"the largest standard deviation is {std.max():.3g}"),
        (float((np.abs(mean) / std).max()), "offset", f"a mean is {(np.abs(mean) / std).max():.3g} deviations from 0"),
    ]
    value, limit, text = max(worst, key=lambda row: row[0] / LIMITS[row[1]])
    return found("input_scale", value, limit, f"The features are not of one scale: {text}.")


def flat(record: Record) -> bool:
    return record.setup.pattern is None and record.task.X.ndim == 2


def target_outside(record: Record) -> Symptom | None:
    """Targets that the last activation can never give."""
    low, high = record.setup.out_range
    if record.setup.coding is not None or record.setup.link == "softmax" or not np.isfinite([low, high]).any():
        return None
    t = record.task.truth
    share = float(np.mean((t < low) | (t > high)))
    sentence = (
        f"{share:.0%} of the targets lie outside of what a {record.setup.out_activation} output can give, {low:g} to "
        f"{high:g}: they run from {t.min():.3g} to {t.max():.3g}."
    )
    return found("target_outside", share, "outside", sentence)


def target_scale(record: Record) -> Symptom | None:
    """Numbers as targets that are large, or far from 0."""
    if record.task.classes or record.setup.targets is not None:
        return None
    std, mean = float(record.task.truth.std()), float(np.abs(record.task.truth.mean(axis=0)).max())
    value = max(std, mean / 2.0)
    return found("target_scale", value, "target_scale", f"The targets have mean {mean:.3g} and deviation {std:.3g}.")


def label_runs(record: Record) -> Symptom | None:
    """Sorted samples in batches, never shuffled: each step makes the network forget the others."""
    if record.setup.shuffle not in (False, "given", "sorted") or record.batch >= record.task.samples:
        return None
    y = record.task.labels
    if y is None:
        t = record.task.truth[:, 0]
        y = (t > np.median(t)).astype(int)
    runs = 1 + int(np.count_nonzero(np.diff(y))) if record.setup.shuffle != "sorted" else len(np.unique(y))
    shares = np.bincount(y) / len(y)
    usual = 1.0 + (len(y) - 1) * (1.0 - float(np.sum(shares**2)))
    sentence = (
        f"The samples are taken in a fixed order with {runs} runs of equal targets; a random order has {usual:.0f}."
    )
    return found("label_runs", runs / usual, "runs", sentence, below=True)


def imbalance(record: Record) -> Symptom | None:
    """A class that is much rarer than the others."""
    counts = record.task.counts[record.task.counts > 0]
    if not record.task.classes or record.setup.weights is not None:
        return None
    value = float(counts.min() * len(counts) / counts.sum())
    sentence = f"The rarest of {len(counts)} classes has {counts.min()} of {counts.sum()} samples."
    return found("imbalance", value, "minority", sentence, below=True)


def no_structure(record: Record) -> Symptom | None:
    """Samples that lie near one another have no more to do with each other than by chance."""
    if record.task.samples < 40 or not flat(record):
        return None
    told, chance = record.neighbours
    if told > chance:
        return None
    return Symptom(
        "no_structure", max(chance, 1e-3), max(told, 1e-3),
        f"The nearest samples tell {max(told, 0.0):.1%} of the targets; those of permuted targets up to {chance:.1%}.",
    )  # fmt: skip


def few_steps(record: Record) -> Symptom | None:
    sentence = f"{record.steps} steps were made in all."
    return found("few_steps", record.steps, "few_steps", sentence, below=True)


def few_epochs(record: Record) -> Symptom | None:
    sentence = f"Each sample was seen {len(record.losses)} times."
    return found("few_epochs", len(record.losses), "few_epochs", sentence, below=True)


def ended_early(record: Record) -> Symptom | None:
    if not record.subject.ended_early or (record.setup.tol is None and record.setup.patience is None):
        return None
    done, asked = max(1, len(record.losses)), record.setup.epochs
    return Symptom("ended_early", asked / done, 1.0, f"The stopping rule ended it after {done} of {asked} epochs.")


def high_momentum(record: Record) -> Symptom | None:
    options = record.setup.options
    value = max(float(options.get("momentum", 0.0)), float(options.get("betas", (0.0, 0.0))[0]))
    steps = 1.0 / max(1.0 - value, 1e-9)
    sentence = f"The momentum {value:g} averages over {steps:,.0f} steps, of {record.steps} in all."
    symptom = found("momentum", value, "momentum", sentence)
    return symptom and Symptom("momentum", steps, 1.0 / (1.0 - LIMITS["momentum"]), sentence)


def decay(record: Record) -> Symptom | None:
    value = float(record.setup.options.get("weight_decay", 0.0))
    value *= record.setup.rate if record.setup.optimizer == "AdamW" and value > 1.0 else 1.0
    limit = "decay"
    if record.setup.optimizer == "AdamW":
        value /= 30.0  # decoupled: PyTorch's default is 0.01
    return found(
        "decay", value, limit, f"The weight decay is {record.setup.options.get('weight_decay'):g}." if value else ""
    )


def frozen(record: Record) -> Symptom | None:
    """A schedule that has come to nearly nothing long before the end."""
    schedule = as_schedule(record.setup.lr)
    decays = record.setup.optimizer == "Adagrad" and record.setup.options.get("lr_decay", 0.0) > 0.0
    if (schedule.kind == "constant" and not decays) or schedule.follows_loss:
        return None
    steps = record.setup.steps(record.task.samples)
    rates = schedule.rates(0, steps)
    if decays:
        rates = rates / (1.0 + record.setup.options["lr_decay"] * np.arange(steps))
    value = float(rates[steps // 3 :].mean() / max(rates.max(), 1e-300))
    sentence = f"In the last two thirds the learning rate is {value:.2g} of its largest value, in the mean."
    return found("frozen", max(value, 1e-12), "frozen", sentence, below=True)


def rate_large(record: Record) -> Symptom | None:
    if record.setup.optimizer not in ADAPTIVE:
        return None
    name, rate = record.setup.optimizer, record.setup.rate
    sentence = f"The learning rate {rate:g} is about what each weight moves in a step of {name}."
    return found("rate_large", record.setup.rate, "rate_large", sentence)


def rate_small(record: Record) -> Symptom | None:
    """All the way that an adaptive optimizer can take, steps times rate, is short."""
    if record.setup.optimizer not in ADAPTIVE:
        return None
    sentence = f"With {record.setup.optimizer} a weight moves by about the rate, {record.setup.rate:g}, in each of "
    return found("rate_small", record.setup.rate, "rate_small", f"{sentence}{record.steps} steps.", below=True)


def small_net(record: Record) -> Symptom | None:
    """Few hidden units, or none."""
    if record.setup.pattern is not None:
        return None
    hidden = record.setup.sizes[1:-1]
    narrow = min(hidden, default=0)
    sentence = f"The narrowest hidden layer has {narrow} units." if hidden else "There is no hidden layer."
    return (
        Symptom("small_net", LIMITS["small_net"] + 1, narrow + 1, sentence) if narrow <= LIMITS["small_net"] else None
    )


def no_bias(record: Record) -> Symptom | None:
    if record.setup.bias:
        return None
    return Symptom("no_bias", math.inf, 1.0, "The layers have no bias: an input of 0 always gives the same output.")


def mismatched(record: Record) -> Symptom | None:
    """A loss that is not for these targets, or not for this last activation."""
    setup, task = record.setup, record.task
    text = mismatch(setup, task)
    mild = text.startswith(CLASSES) or text.startswith(NUMBERED)  # such a loss often does
    return Symptom("for_numbers" if mild else "mismatched", math.inf, 1.0, text) if text else None


def mismatch(setup: Setup, task: Task) -> str:
    """What does not fit, in a sentence, or ""."""
    loss, out = setup.loss_name, setup.out_activation
    if takes_logits(setup) and out != "identity":
        return f"{loss} takes logits and has its own {setup.link}; the last activation is {out}."
    if setup.for_classes and not task.classes:
        return f"{loss} is for classes, and the targets are numbers."
    if setup.link == "exp" and (task.truth < 0.0).any():
        return f"{loss} is for counts, and targets lie below 0."
    if task.classes and not setup.for_classes:
        return f"{NUMBERED if counted(task) else CLASSES}, and {loss} is for numbers."
    return ""


def takes_logits(setup: Setup) -> bool:
    """Does the loss make probabilities of the outputs itself?"""
    return setup.for_classes and range_of(find_activation(setup.link)) == (0.0, 1.0)


CLASSES = "The targets are classes"
NUMBERED = "The targets are the numbers of classes, as if 2 were twice 1"


def counted(task: Task) -> bool:
    """Are several classes told by one number?"""
    return task.codes is not None and task.classes > 2 and task.codes.shape[1] == 1


def squashed(record: Record) -> Symptom | None:
    """The gradient of a squared error has the slope of the last activation as a factor."""
    setup, task = record.setup, record.task
    squashing = np.isfinite(setup.out_range).all()
    if not task.classes or setup.for_classes or setup.loss_name not in LOSSES or not squashing:
        return None
    return Symptom(
        "squashed", math.inf, 1.0,
        f"The gradient of {setup.loss_name} has the slope of {setup.out_activation} as a factor: an output that is "
        "wrong and sure of it hardly moves.",
    )  # fmt: skip


DATA: tuple[Look, ...] = (
    constant_input, input_scale, target_outside, target_scale, label_runs, imbalance, no_structure, few_steps,
    few_epochs, ended_early, high_momentum, decay, frozen, rate_large, rate_small, small_net, no_bias, mismatched,
    squashed,
)  # fmt: skip


def of_data(record: Record) -> list[Symptom]:
    """All symptoms of data and settings."""
    symptoms = []
    for look in DATA:
        with np.errstate(all="ignore"):
            symptom = look(record)
        symptoms += [symptom] if symptom is not None else []
    return symptoms
