"""Symptoms of settings: pure functions of a Record, each a number beyond its limit, or None."""

from __future__ import annotations

import math

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.measurements import ADAPTIVE, Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS
from tinygrad_edu.clinic.diagnosis.symptoms.outputs import tell_probabilities
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Measured, Symptom, symptom
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.schedule import as_schedule


@symptom("few_steps", kind="data", below=True)
def few_steps(record: Record) -> Measured:
    sentence = f"{record.steps} steps were made in total."
    return record.steps, sentence


@symptom("few_epochs", kind="data", below=True)
def few_epochs(record: Record) -> Measured:
    times = len(record.losses)
    return times, f"Each sample was seen {'once' if times == 1 else f'{times} times'}."


@symptom(kind="data")
def ended_early(record: Record) -> Measured:
    if not record.subject.ended_early or (record.setup.tol is None and record.setup.patience is None):
        return None
    done, asked = max(1, len(record.losses)), record.setup.epochs
    return Symptom("ended_early", asked / done, 1.0, f"The stopping rule ended it after {done} of {asked} epochs.")


@symptom(kind="data")
def high_momentum(record: Record) -> Measured:
    options = record.setup.options
    value = max(float(options.get("momentum", 0.0)), float(options.get("betas", (0.0, 0.0))[0]))
    steps = 1.0 / max(1.0 - value, 1e-9)
    sentence = f"The momentum {value:g} averages over {steps:,.0f} steps, of {record.steps} in total."
    limit = LIMITS["momentum"]
    return Symptom("high_momentum", steps, 1.0 / (1.0 - limit), sentence) if value > limit else None


@symptom("damped", kind="data")
def damped(record: Record) -> Measured:
    """Momentum gives 1/(1 - μ) of what dampening leaves of each gradient, 1 - τ."""
    options = record.setup.options
    momentum, dampening = (float(options.get(name, 0.0)) for name in ("momentum", "dampening"))
    times = (1.0 - momentum) / max(1.0 - dampening, 1e-9) if momentum else 1.0
    return (
        times,
        f"A dampening of {dampening:g} beside a momentum of {momentum:g} makes the steps {times:.3g} times shorter.",
    )


@symptom("decay", kind="data")
def decay(record: Record) -> Measured:
    value = float(record.setup.options.get("weight_decay", 0.0))
    value *= record.setup.rate if record.setup.optimizer == "AdamW" and value > 1.0 else 1.0
    if record.setup.optimizer == "AdamW":
        value /= 30.0  # decoupled decay, whose default in PyTorch is 0.01
    if record.setup.dialect == "keras" and record.setup.optimizer != "AdamW":  # see facts.penalties
        return value, f"A kernel_regularizer is L2({value / 2.0:g}), which is a weight decay of {value:g}."
    return value, f"The weight decay is {record.setup.options.get('weight_decay'):g}." if value else ""


@symptom("frozen", kind="data", below=True)
def frozen(record: Record) -> Measured:
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
    sentence = f"Over the last two thirds the learning rate is on average {value:.2g} of its largest value."
    return max(value, 1e-12), sentence


@symptom("rate_large", kind="data")
def rate_large(record: Record) -> Measured:
    if record.setup.optimizer not in ADAPTIVE:
        return None
    name, rate = record.setup.optimizer, record.setup.rate
    sentence = f"The learning rate {rate:g} is about how far each weight moves in a step of {name}."
    return record.setup.rate, sentence


@symptom("rate_small", kind="data", below=True)
def rate_small(record: Record) -> Measured:
    """All the way that an adaptive optimizer can take, steps times rate, is short."""
    if record.setup.optimizer not in ADAPTIVE:
        return None
    sentence = (
        f"With {record.setup.optimizer} a weight moves by about the learning rate, {record.setup.rate:g}, in each of "
    )
    return record.setup.rate, f"{sentence}{record.steps} steps."


@symptom(kind="data")
def small_net(record: Record) -> Measured:
    """Few hidden units, or none."""
    plain = record.subject.plain
    if record.setup.pattern is not None and not plain:
        return None
    hidden = plain.get("sizes", record.setup.sizes)[1:-1]
    narrow = min(hidden, default=0)
    units = f"{narrow} unit{'s' if narrow != 1 else ''}"
    sentence = f"The narrowest hidden layer has {units}." if hidden else "There is no hidden layer."
    return (
        Symptom("small_net", LIMITS["small_net"] + 1, narrow + 1, sentence) if narrow <= LIMITS["small_net"] else None
    )


@symptom(kind="data")
def no_bias(record: Record) -> Measured:
    if record.setup.bias:
        return None
    return Symptom("no_bias", math.inf, 1.0, "The layers have no bias: an input of 0 always gives the same output.")


@symptom(kind="data")
def mismatched(record: Record) -> Measured:
    """A loss that is not for these targets, or not for this last activation."""
    setup, task = record.setup, record.task
    text = mismatch(setup, task) or tell_probabilities(record)
    mild = text.startswith(CLASSES) or text.startswith(NUMBERED)  # losses of this kind often work all the same
    return Symptom("for_numbers" if mild else "mismatched", math.inf, 1.0, text) if text else None


def mismatch(setup: Setup, task: Task) -> str:
    """What does not match in loss, last activation and targets, in a sentence; "" if all match."""
    loss, out = setup.loss_name, setup.out_activation
    if setup.takes_logits and out in ("softmax", setup.link):
        return f"{loss} takes logits and has its own {setup.link}; the last activation is {out}."
    if setup.for_classes and not task.chance:
        return f"{loss} is for classes, but the targets are numbers."
    if setup.link == "exp" and (task.truth < 0.0).any():
        return f"{loss} is for counts, but some targets are below 0."
    if task.classes and not setup.for_classes:
        return f"{NUMBERED if task.counted else CLASSES}, but {loss} is for numbers."
    return ""


CLASSES = "The targets are classes"
NUMBERED = "The targets are class numbers, as if 2 were twice 1"


@symptom(kind="data")
def bent_logits(record: Record) -> Measured:
    """Logits that come out of an activation which is for hidden units, as relu or tanh are."""
    setup = record.setup
    if not setup.takes_logits or setup.out_activation in ("identity", "log_softmax", "softmax", setup.link):
        return None
    low, high = setup.out_range
    half = setup.link == "sigmoid" and low >= 0.0
    least = ": no probability below 0.5 comes out of that" if half else ""
    return Symptom(
        "bent_logits", math.inf, 1.0,
        f"{setup.loss_name} takes logits of any size, but a last {setup.out_activation} gives {low:g} to {high:g}"
        f"{least}.",
    )  # fmt: skip


@symptom(kind="data")
def squashed(record: Record) -> Measured:
    """The gradient of a squared error has the slope of the last activation as a factor, and that is small by now."""
    setup, task = record.setup, record.task
    squashing = np.isfinite(setup.out_range).all()
    if not task.classes or setup.for_classes or setup.loss_name not in LOSSES or not squashing or slopes_left(record):
        return None
    return Symptom(
        "squashed", math.inf, 1.0,
        f"The gradient of {setup.loss_name} has the slope of {setup.out_activation} as a factor: an output that is "
        "confidently wrong hardly moves.",
    )  # fmt: skip


def slopes_left(record: Record) -> bool:
    """Is the slope of the last activation still most of its largest, where outputs are wrong?"""
    last = record.end.layers[-1] if record.end.layers else None
    if last is None or last.activation is None or last.slopes.shape != np.shape(record.end.y):
        return False
    wrong = (record.end.output().numpy() - record.end.y) ** 2
    most = abs(float(last.activation.slope(0.0))) * max(float(wrong.sum()), 1e-300)
    return bool(np.isfinite(wrong).all() and (wrong * np.abs(last.slopes)).sum() > SLOPE_LEFT * most)


SLOPE_LEFT = 0.7  # share of the largest slope; above, this factor does not explain slow learning


@symptom("dropout", kind="data")
def much_dropout(record: Record) -> Measured:
    share = record.setup.silenced
    return share, f"Dropout removes {share:.0%} of the hidden units in each step."


@symptom(kind="data")
def linear(record: Record) -> Measured:
    """Layers without an activation are one matrix, however many they are."""
    hidden, kinds = record.setup.sizes[1:-1], record.subject.hidden
    if bare := kinds.count("identity"):
        sentence = f"{bare} of the {len(kinds)} hidden layers has no activation: with the next it is a single matrix."
        return Symptom("linear", math.inf, 1.0, sentence.replace("has", "have" if bare > 1 else "has"))
    if record.setup.pattern is not None or record.setup.activation != "identity" or not hidden:
        return None
    sentence = f"The {len(hidden)} hidden layers have no activation: together they are a single matrix."
    return Symptom("linear", math.inf, 1.0, sentence.replace("The 1 hidden layers have", "The hidden layer has"))


@symptom(kind="data")
def own_loss(record: Record) -> Measured:
    """A function in the place of a loss that is known to fit."""
    if not record.setup.own_loss or record.setup.estimator is not None:
        return None
    return Symptom("own_loss", 1.0, 1.0, f"The loss is a function of your own, {record.setup.loss_name}.")
