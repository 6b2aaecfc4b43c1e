"""Symptoms of a network: pure functions of a Record, each a sentence with numbers, or None where all is as usual."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.measurements import Layer, Record, State, length
from tinygrad_edu.clinic.diagnosis.symptoms.curve import Symptom, of_curve
from tinygrad_edu.clinic.diagnosis.symptoms.limits import LIMITS

Look = Callable[[Record], Symptom | None]
NONE = 1e4  # times the whole gradient, which is then 0 but for rounding, as it is where all weights begin at 0


def found(code: str, value: float, limit: str, sentence: str, below: bool = False) -> Symptom | None:
    """The symptom where the value lies beyond its limit."""
    threshold = LIMITS[limit]
    beyond = value < threshold if below else value > threshold
    return Symptom(code, value, threshold, sentence) if beyond else None


def worst(layers: list[Layer], share: Callable[[Layer], float]) -> tuple[float, int]:
    """(the largest share of a layer, its number from 1)."""
    return max(((share(layer), layer.number + 1) for layer in layers), default=(0.0, 0))


def saturated_at(state: State, code: str, when: str) -> Symptom | None:
    share, number = worst(state.hidden, lambda layer: layer.saturated)
    return found(
        code, share, "saturated",
        f"{when}, {share:.0%} of what the units of hidden layer {number} give is saturated: its slope is below 5 % of "
        "the largest.",
    )  # fmt: skip


def saturated_start(record: Record) -> Symptom | None:
    """Hidden units that begin at the flat ends of their activation."""
    return saturated_at(record.start, "saturated_start", "Before training")


def saturated_end(record: Record) -> Symptom | None:
    return saturated_at(record.end, "saturated_end", "After training")


def saturated_output(record: Record) -> Symptom | None:
    """An output that begins flat gets no gradient from a squared error."""
    layers = record.start.layers
    share = layers[-1].saturated if layers else 0.0
    return found("saturated_output", share, "saturated", f"Before training {share:.0%} of the outputs are saturated.")


def dead_at(state: State, code: str, when: str) -> Symptom | None:
    share, number = worst(state.hidden, lambda layer: layer.dead)
    return found(
        code, share, "dead", f"{when}, {share:.0%} of the units of hidden layer {number} are 0 for every sample."
    )


def dead_start(record: Record) -> Symptom | None:
    return dead_at(record.start, "dead_start", "Before training")


def dead_end(record: Record) -> Symptom | None:
    return dead_at(record.end, "dead_end", "After training")


def vanishing(record: Record) -> Symptom | None:
    """The first layer of a deep network gets next to no gradient."""
    ratio = record.start.ratio
    if len(record.start.hidden) < 2 or not math.isfinite(ratio):
        return None
    sentence = f"At the start the gradient by the sums of the first layer is {ratio:.1e} of that by those of the last."
    return found("vanishing", ratio, "vanishing", sentence, below=True)


def exploding(record: Record) -> Symptom | None:
    ratio = record.start.ratio
    if len(record.start.hidden) < 2 or not math.isfinite(ratio):
        return None
    sentence = f"At the start the gradient by the first layer's sums is {ratio:.3g} times that by those of the last."
    return found("exploding", ratio, "exploding", sentence)


def alike(record: Record) -> Symptom | None:
    """Units of one layer that begin equal stay equal."""
    numbers = [layer.number + 1 for layer in record.start.hidden if layer.alike]
    if not numbers:
        return None
    return Symptom("alike", math.inf, 1.0, f"All units of hidden layer {numbers[0]} begin with the same weights.")


def large_weights(record: Record) -> Symptom | None:
    gain, number = worst(record.start.layers, lambda layer: layer.gain)
    sentence = f"The weights of layer {number} begin {gain:.2g} times as large as Glorot's."
    return found("large_weights", gain, "gain", sentence)


def first_step(record: Record) -> float:
    """How far the first step moves the weights, over their size; of Adam and its kin, about lr."""
    state, setup = record.start, record.setup
    count = sum(w.size for w in state.gradients.values())
    moved = state.norm if setup.optimizer == "SGD" else math.sqrt(count)
    mu = float(setup.options.get("momentum", 0.0))
    return setup.rate * moved / (1.0 - min(mu, 0.999)) / max(state.size, length({"": np.ones(count)}) * 0.05)


def update_small(record: Record) -> Symptom | None:
    ratio = first_step(record)
    return found("update_small", ratio, "update_small", f"A step moves the weights by {ratio:.1e} of their size.", True)


def update_large(record: Record) -> Symptom | None:
    ratio = first_step(record)
    return found("update_large", ratio, "update_large", f"A step moves the weights by {ratio:.2g} of their size.")


def sharp(record: Record) -> Symptom | None:
    """Gradient descent diverges where lr > 2/λ, λ the largest eigenvalue of the Hessian; with momentum 2(1 + μ)/λ."""
    reach = record.reach
    if math.isnan(reach):
        return None
    sentence = (
        f"The largest eigenvalue of the Hessian at the start is {record.start.sharpness:.3g}: lr = "
        f"{record.setup.rate:.3g} is {reach:.2g} times the largest stable one."
    )
    return found("sharp", reach, "reach", sentence)


def slow(record: Record) -> Symptom | None:
    reach = record.reach
    if math.isnan(reach) or record.setup.options.get("momentum", 0.0) > 0.5:
        return None
    sentence = (
        f"lr = {record.setup.rate:.3g} is {reach:.1e} of the largest stable one at the start, 2/λ = "
        f"{2.0 / max(record.start.sharpness, 1e-300):.3g}."
    )
    return found("slow", reach, "reach_small", sentence, below=True)


def quiet_batches(record: Record) -> Symptom | None:
    """Batches whose gradients are all alike say the same thing: smaller ones would give more steps."""
    if record.task.samples < 64 or record.batch < record.task.samples // 2:
        return None
    noise = record.start.noise(max(1, record.batch // 8))
    made = -(-record.task.samples // record.batch)
    return Symptom(
        "quiet_batches", float(made), float(max(4, made * 4)),
        f"A batch of {record.batch} of the {record.task.samples} samples makes {made} step{'s' * (made > 1)} in an "
        f"epoch, {record.steps} in all; batches of an eighth of that have gradients that differ by {noise:.2g} of "
        "their length.",
    )  # fmt: skip


def noisy_batches(record: Record) -> Symptom | None:
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
        f"At the start the gradients of batches of {batch} lie {noise:.2g} times the length of the whole gradient away "
        f"from it; those of batches of {math.ceil(noise**2 * batch):,} would lie about once its length away."
    )
    return found("noisy_batches", noise, "noise", sentence)


def initial_loss(record: Record) -> Symptom | None:
    """The first loss of classes should be about log(classes)."""
    if record.setup.loss_name not in ("cross_entropy", "bce_with_logits"):
        return None
    first, usual = record.start.value, math.log(max(2, record.task.classes))
    sentence = f"The loss begins at {first:.3g}; a network that knows nothing has log({max(2, record.task.classes)}) = "
    return found("initial_loss", first / usual, "initial", f"{sentence}{usual:.3g}.")


def of_network(record: Record) -> list[Symptom]:
    """All symptoms of curve and network."""
    symptoms = of_curve(record.losses)
    for look in NETWORK:
        with np.errstate(all="ignore"):
            symptom = look(record)
        symptoms += [symptom] if symptom is not None else []
    return symptoms


NETWORK: tuple[Look, ...] = (
    saturated_start, saturated_end, saturated_output, dead_start, dead_end, vanishing, exploding, alike, large_weights,
    update_small, update_large, sharp, slow, quiet_batches, noisy_batches, initial_loss,
)  # fmt: skip
