"""Symptoms of a network: pure functions of a Record, each a sentence with numbers, or None where all is as usual."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.measurements import ADAPTIVE, MeasuredLayer, Moment, Record, length
from tinygrad_edu.clinic.diagnosis.symptoms.curve import of_curve
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Measured, Symptom, looks, symptom
from tinygrad_edu.nn.normalization import BatchNorm

# noise relative to the whole gradient; above, the gradient is 0 except for rounding, as if all weights started at 0
NONE = 1e4


def worst(layers: list[MeasuredLayer], share: Callable[[MeasuredLayer], float]) -> tuple[float, int]:
    """(the largest share of a layer, its number from 1)."""
    return max(((share(layer), layer.number + 1) for layer in layers), default=(0.0, 0))


def saturated_at(state: Moment, when: str) -> tuple[float, str]:
    share, number = worst(state.hidden, lambda layer: layer.saturated)
    flat = f"{share:.0%} of the activations in hidden layer {number} are saturated"
    return share, f"{when}, {flat}: the slope there is below 5% of its maximum."


@symptom("saturated", kind="network")
def saturated_start(record: Record) -> Measured:
    """Hidden units that begin at the flat ends of their activation."""
    return saturated_at(record.start, "Before training")


@symptom("saturated", kind="network")
def saturated_end(record: Record) -> Measured:
    return saturated_at(record.end, "After training")


@symptom("saturated", kind="network")
def saturated_output(record: Record) -> Measured:
    """An output that begins flat gets no gradient from a squared error."""
    layers = record.start.layers
    share = layers[-1].saturated if layers else 0.0
    return share, f"Before training {share:.0%} of the outputs are saturated."


def dead_at(state: Moment, when: str) -> tuple[float, str]:
    share, number = worst(state.hidden, lambda layer: layer.dead)
    return share, f"{when}, {share:.0%} of the units of hidden layer {number} pass no gradient for any sample."


@symptom("dead", kind="network")
def dead_start(record: Record) -> Measured:
    return dead_at(record.start, "Before training")


@symptom("dead", kind="network")
def dead_end(record: Record) -> Measured:
    return dead_at(record.end, "After training")


@symptom("vanishing", kind="network", below=True)
def vanishing(record: Record) -> Measured:
    """The first layer of a deep network gets next to no gradient."""
    ratio = record.start.ratio
    if len(record.start.hidden) < 2 or not math.isfinite(ratio):
        return None
    sentence = (
        f"At the start the gradient at the first layer's pre-activations is {ratio:.1e} of that at the last layer's."
    )
    return ratio, sentence


@symptom("exploding", kind="network")
def exploding(record: Record) -> Measured:
    ratio = record.start.ratio
    if len(record.start.hidden) < 2 or not math.isfinite(ratio):
        return None
    sentence = (
        f"At the start the gradient at the first layer's pre-activations is {ratio:.3g} times that at the last layer's."
    )
    return ratio, sentence


@symptom(kind="network")
def alike(record: Record) -> Measured:
    """Units of one layer that begin equal stay equal."""
    numbers = [layer.number + 1 for layer in record.start.hidden if layer.alike]
    if not numbers:
        return None
    return Symptom("alike", math.inf, 1.0, f"All units of hidden layer {numbers[0]} start with the same weights.")


@symptom("gain", kind="network")
def large_weights(record: Record) -> Measured:
    gain, number = worst(record.start.layers, lambda layer: layer.gain)
    sentence = f"The initial weights of layer {number} are {gain:.2g} times as large as Glorot's."
    return gain, sentence


def first_step(record: Record) -> float:
    """How far the first step moves the weights, over their size; of Adam and its kin, about lr."""
    state, setup = record.start, record.setup
    count = sum(w.size for w in state.gradients.values())
    moved = state.norm if setup.optimizer == "SGD" else math.sqrt(count)
    mu = float(setup.options.get("momentum", 0.0))
    return setup.rate * moved / (1.0 - min(mu, 0.999)) / max(state.size, length({"": np.ones(count)}) * 0.05)


@symptom("update_small", kind="network", below=True)
def update_small(record: Record) -> Measured:
    ratio = first_step(record)
    return ratio, f"A step moves the weights by {ratio:.1e} of their size."


@symptom("update_large", kind="network")
def update_large(record: Record) -> Measured:
    ratio = first_step(record)
    return ratio, f"A step moves the weights by {ratio:.2g} of their size."


@symptom("reach", kind="network")
def sharp(record: Record) -> Measured:
    """Gradient descent diverges where lr > 2/λ, λ the largest eigenvalue of the Hessian; with momentum 2(1 + μ)/λ."""
    reach = record.reach
    if math.isnan(reach):
        return None
    curvature = record.start.sharpness * record.setup.terms
    sentence = (
        f"The largest eigenvalue of the Hessian at the start is {curvature:.3g}: lr = {record.setup.told_rate:.3g} is "
        f"{reach:.3g} times the largest stable one."
    )
    return reach, sentence


@symptom("reach_small", kind="network", below=True)
def slow(record: Record) -> Measured:
    reach = record.reach
    if math.isnan(reach) or record.setup.options.get("momentum", 0.0) > 0.5:
        return None
    sentence = (
        f"lr = {record.setup.told_rate:.3g} is {reach:.1e} of the largest stable one at the start, 2/λ = "
        f"{2.0 / max(record.start.sharpness * record.setup.terms, 1e-300):.3g}."
    )
    return reach, sentence


@symptom(kind="network")
def quiet_batches(record: Record) -> Measured:
    """Batches whose gradients are all alike say the same thing: smaller ones would give more steps."""
    if record.task.samples < 64 or record.batch < record.task.samples // 2:
        return None
    smaller = max(1, record.batch // 8)
    noise = record.start.noise(smaller)
    made = -(-record.task.samples // record.batch)
    return Symptom(
        "quiet_batches", float(made), float(max(4, made * 4)),
        f"A batch of {record.batch} of the {record.task.samples} samples makes {made} step{'s' * (made > 1)} per "
        f"epoch, {record.steps} in all. Smaller batches would give more steps: the gradient of a batch of {smaller} "
        f"differs from that of all samples by {noise:.0%} of its length.",
    )  # fmt: skip


@symptom("noise", kind="network")
def noisy_batches(record: Record) -> Measured:
    """Batches so small that their gradients are mostly chance.

    The noise of a mean falls like 1/√batch: noise² · batch is the batch at which it is as long as the gradient, the
    simple noise scale of McCandlish et al. 2018.
    """
    batch = record.batch
    if batch >= len(record.rows):
        return None
    noise = record.start.noise(batch)
    if not noise < NONE:
        return None
    sentence = (
        f"At the start the gradients of batches of {batch} differ from the whole gradient by {noise:.2g} times its "
        f"length; those of batches of {math.ceil(noise**2 * batch):,} would differ by about its length."
    )
    return noise, sentence


@symptom("initial", kind="network")
def initial_loss(record: Record) -> Measured:
    """The first loss of classes should be about log(classes)."""
    if not record.setup.takes_logits or not record.task.classes:
        return None
    first, usual = record.start.value, math.log(max(2, record.task.classes))
    sentence = f"The loss starts at {first:.3g}; a network that knows nothing has log({max(2, record.task.classes)}) = "
    return first / usual, f"{sentence}{usual:.3g}."


@symptom("dead", kind="network")
def output_dead(record: Record) -> Measured:
    """Outputs that let nothing through, so that nothing below them learns."""
    share = max((state.layers[-1].dead for state in (record.start, record.end) if state.layers), default=0.0)
    return share, f"{share:.0%} of the outputs pass no gradient for any sample."


@symptom("clipped", kind="network", below=True)
def tight_clipping(record: Record) -> Measured:
    """A gradient that is cut to a small part of itself is a small learning rate."""
    limit = record.setup.clip_norm
    if record.setup.clip_value is not None:
        limit = record.setup.clip_value * math.sqrt(sum(g.size for g in record.start.gradients.values()))
    if limit is None or not record.start.norm > 0.0 or record.setup.optimizer in ADAPTIVE:
        return None
    return limit / record.start.norm, (
        f"The gradient is clipped to a length of {limit:.3g}, and at the start it is {record.start.norm:.3g} long."
    )


@symptom("epsilon", kind="network")
def large_epsilon(record: Record) -> Measured:
    """An epsilon beside which the gradients that it is added to count for little."""
    count = sum(g.size for g in record.start.gradients.values())
    if record.setup.optimizer not in WITH_EPSILON or not count or not record.start.norm > 0.0:
        return None
    epsilon, size = float(record.setup.options.get("eps", 0.0)), record.start.norm / math.sqrt(count)
    return epsilon / size, (
        f"The epsilon of {record.setup.optimizer} is {epsilon:g}; at the start the entries of the gradient have a root "
        f"mean square of {size:.2g}."
    )


WITH_EPSILON = ("Adam", "AdamW", "NAdam", "RAdam", "RMSprop")  # which divide by the size of the gradient plus eps


@symptom("off_mean", kind="network")
def batch_statistics(record: Record) -> Measured:
    """BatchNorm that gives other numbers by its running statistics, after training, than by those of a batch."""
    if not any(isinstance(module, BatchNorm) for _, module in record.end.model.named_modules()):
        return None
    running = record.end.value
    own = record.state(record.trained_copy(), fresh=True).value
    return (running - own) / max(abs(own), 0.05), (
        f"With BatchNorm's running statistics the loss is {running:.3g}, with those of the samples {own:.3g}."
    )


def of_network(record: Record) -> list[Symptom]:
    """All symptoms of curve and network."""
    symptoms = of_curve(record.losses)
    for look in looks("network"):
        with np.errstate(all="ignore"):
            symptom = look(record)
        symptoms += [symptom] if symptom is not None else []
    return symptoms
