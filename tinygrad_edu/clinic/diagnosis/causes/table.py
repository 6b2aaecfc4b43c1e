"""The causes: each row says which symptoms suggest it, which single change tests it, what it means and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.clinic.diagnosis.causes import changes
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom


@dataclass(frozen=True)
class Cause:
    """A reason why a network does not learn.

    symptoms: how much each speaks for it, by code; changes(record): the single changes that test it, the most likely
    first; sentence: what is wrong; remedy: what to do.
    """

    code: str
    symptoms: Mapping[str, float]
    changes: Callable[[Record], Iterator[Change]]
    sentence: str
    remedy: str

    def suspicion(self, symptoms: Sequence[Symptom]) -> float:
        """How much the symptoms speak for it."""
        return sum(self.symptoms[s.code] * (0.6 + 0.4 * s.strength) for s in symptoms if s.code in self.symptoms)

    def evidence(self, symptoms: Sequence[Symptom]) -> str:
        """The sentences of the symptoms that speak for it."""
        return " ".join(s.sentence for s in symptoms if self.symptoms.get(s.code, 0.0) > 0.0)


CAUSES: list[Cause] = [
    Cause(
        "lr_too_high",
        {
            "divergence": 1.5, "oscillation": 1.2, "sharp": 1.2, "update_large": 1.0, "rate_large": 1.5,
            "dead_end": 0.3, "saturated_end": 0.2, "input_scale": -1.0, "large_weights": -2.0,
            "exploding": -1.0, "high_momentum": -1.5, "improving": -0.3,
        },
        changes.lower_rate,
        "The learning rate is too high: steps jump over what they should come down to.",
        "Lower the learning rate.",
    ),
    Cause(
        "lr_too_low",
        {"slow": 1.2, "update_small": 1.2, "rate_small": 1.5, "flat": 0.3, "improving": 0.3, "few_steps": -0.4},
        changes.higher_rate,
        "The learning rate is too low: over the whole run the weights barely move.",
        "Raise the learning rate.",
    ),
    Cause(
        "inputs_not_scaled",
        {"input_scale": 1.6, "heavy_tail": 1.2, "sharp": 0.1, "saturated_start": 0.2},
        changes.scale_inputs,
        "The inputs are not scaled: large features drown the others, saturate units and force small steps.",
        "Give each feature mean 0 and deviation 1, by the training data (data.standardize, StandardScaler).",
    ),
    Cause(
        "targets_out_of_range",
        {"target_outside": 2.5, "target_scale": 1.2, "target_small": 1.2},
        changes.targets_in_range,
        "The targets are outside the range of the output, or so far out that it takes very many steps to get there.",
        "Scale the targets into the range of the output, or take a last activation that reaches them.",
    ),
    Cause(
        "not_shuffled",
        {"label_runs": 2.5},
        changes.shuffling,
        "The samples come in a fixed order, class after class: each step undoes what the last ones learned.",
        "Shuffle the samples anew in each epoch.",
    ),
    Cause(
        "saturated_activations",
        {"saturated_start": 1.3, "saturated_end": 0.4, "large_weights": 0.2, "input_scale": -0.3},
        changes.other_activation,
        "Units sit at the flat ends of their activation, where they pass no gradient.",
        "Take an activation that does not saturate (relu, leaky_relu), or bring their sums nearer to 0.",
    ),
    Cause(
        "dead_relu",
        {"dead_start": 2.2, "dead_end": 1.2, "divergence": -0.3},
        changes.leaky,
        "ReLU units are 0 for every sample: they get no gradient and never come back.",
        "Take leaky_relu or tanh, begin with biases of 0, and lower the learning rate if they die in training.",
    ),
    Cause(
        "vanishing_gradient",
        {"vanishing": 1.8, "saturated_start": -0.3},
        changes.carry_gradient,
        "The gradient vanishes on its way to the first layers, which therefore do not learn.",
        "Take relu or tanh with weights of He's or Glorot's size, or fewer layers, or normalization (norm='layer').",
    ),
    Cause(
        "exploding_gradient",
        {"exploding": 2.5, "divergence": 0.3, "sharp": 0.1},
        changes.clip_the_gradient,
        "The gradient grows from layer to layer on its way down, and the first layers are thrown about.",
        "Begin with smaller weights, clip the gradient (clip_norm=1), or normalize (norm='layer').",
    ),
    Cause(
        "symmetric_init",
        {"alike": 3.0},
        changes.usual_start,
        "All units of a layer begin alike, get the same gradient and stay alike: the layer acts as one unit.",
        "Draw the weights at random (init='glorot_uniform').",
    ),
    Cause(
        "init_too_large",
        {"large_weights": 1.5, "saturated_start": 0.3, "sharp": 0.2, "initial_loss": 0.3, "exploding": -0.2},
        changes.usual_start,
        "The weights begin too large: units saturate or outputs are far off from the start.",
        "Begin with weights of Glorot's size (He's for relu).",
    ),
    Cause(
        "wrong_loss",
        {"mismatched": 1.5, "for_numbers": 0.3, "squashed": 1.0, "saturated_output": 0.5, "own_loss": 1.0},
        changes.fitting_loss,
        "The loss does not fit the targets or the last activation.",
        "Classes: cross_entropy or bce_with_logits on outputs without an activation. Numbers: mse.",
    ),
    Cause(
        "missing_bias",
        {"no_bias": 1.2},
        lambda record: changes.one(record.setup.bias is False, bias=True),
        "The layers have no bias: an input of 0 gives the same output whatever the weights.",
        "Give each layer a bias (bias=True).",
    ),
    Cause(
        "too_small_network",
        {"small_net": 1.2, "plateau": 0.3, "improving": -0.3},
        changes.larger_network,
        "The network is too small for the task.",
        "Take more hidden units, or a hidden layer where there is none.",
    ),
    Cause(
        "too_few_epochs",
        {"improving": 0.8, "few_steps": 0.8, "few_epochs": 1.0, "rate_small": -0.6, "slow": -0.6, "update_small": -0.6},
        changes.more_epochs,
        "Training ended while the loss was still falling.",
        "Train for more epochs.",
    ),
    Cause(
        "stopped_too_early",
        {"ended_early": 2.5},
        changes.no_stopping,
        "A stopping rule ended the training before the network had learned.",
        "Wait for more epochs without improvement (patience), or ask for less of it (tol).",
    ),
    Cause(
        "momentum_too_high",
        {"high_momentum": 3.0, "oscillation": 0.2},
        changes.less_momentum,
        "The momentum is too high: old gradients carry the weights past where they should stop.",
        "Lower the momentum to 0.9 or less.",
    ),
    Cause(
        "weight_decay_too_high",
        {"decay": 2.0, "plateau": 0.2},
        changes.no_decay,
        "The weight decay pulls the weights to 0 more strongly than the data pull them away.",
        "Lower the weight decay, or leave it out.",
    ),
    Cause(
        "class_imbalance",
        {"imbalance": 3.5},
        changes.balance,
        "A class is so rare, or counts so little, that leaving it out costs next to nothing.",
        "Let all classes count alike (sample_weight, class_weight='balanced'), or draw the rare one more often.",
    ),
    Cause(
        "batch_too_large_for_epochs",
        {"quiet_batches": 0.8, "few_steps": 0.8, "rate_small": -0.6, "slow": -0.6, "update_small": -0.6},
        changes.smaller_batches,
        "With so large batches there are too few steps in so many epochs.",
        "Take smaller batches, or more epochs.",
    ),
    Cause(
        "constant_or_nonfinite_input",
        {"constant_input": 3.0},
        changes.without_constants,
        "Features that never change say nothing, and large ones drown what the others say.",
        "Leave the constant features out.",
    ),
    Cause(
        "schedule_freezes_early",
        {"frozen": 2.2},
        changes.steady_rate,
        "The schedule brings the learning rate to nearly nothing long before the network has learned.",
        "Let the learning rate fall more slowly, or keep it.",
    ),
    Cause(
        "target_outliers",
        {"target_outliers": 4.0},
        changes.without_outliers,
        "A few targets lie far from all the others, and a squared error follows them rather than the rest.",
        "Look what they are (a missing number written as -999?), leave those rows out, or take loss='huber' or 'mae'.",
    ),
    Cause(
        "dropout_too_high",
        {"much_dropout": 2.5},
        changes.less_dropout,
        "Dropout silences so many units that what is left cannot learn the task.",
        "Lower the dropout, or leave it out.",
    ),
    Cause(
        "no_activation",
        {"linear": 3.0},
        changes.some_activation,
        "The hidden layers have no activation, so that the network can learn sums and nothing that bends.",
        "Give each hidden layer an activation (relu, tanh).",
    ),
    Cause(
        "wrong_output_activation",
        {"output_dead": 2.5, "bent_logits": 2.5},
        changes.open_output,
        "The last activation lets nothing through: the outputs cannot follow the targets.",
        "Leave the last activation out, and take the loss that goes with it (bce_with_logits, cross_entropy, mse).",
    ),
    Cause(
        "clip_too_tight",
        {"tight_clipping": 2.0},
        changes.no_clipping,
        "The gradient is clipped to so small a part of itself that the steps are next to nothing.",
        "Clip at about the length that the gradient usually has (clip_norm=1), or not at all.",
    ),
    Cause(
        "batch_norm_statistics",
        {"batch_statistics": 2.0},
        changes.other_norm,
        "The running statistics of BatchNorm, which are used after training, are not those of the data.",
        "Train for more steps, in batches that are like the data, or take norm='layer'.",
    ),
    Cause(
        "representation",
        {"padded": 2.0},
        changes.other_form,
        "The inputs hold the answer in a form from which the network cannot read it.",
        "Encode the inputs otherwise: the digits of a number one by one, padding in front of a sequence.",
    ),
]  # fmt: skip
BY_CODE: dict[str, Cause] = {cause.code: cause for cause in CAUSES}


def declare(cause: Cause) -> Cause:
    """One more row of the table."""
    CAUSES.append(cause)
    BY_CODE[cause.code] = cause
    return cause


# Named by other proofs than one change of the setup
PROVED_OTHERWISE: dict[str, tuple[str, str]] = {
    "overfitting": (
        "The network has learned its training samples by heart: of others it knows less and less.",
        "Stop where the validation loss is lowest (patience=10 with validation=...), take more samples, weight decay "
        "or dropout, or a smaller network.",
    ),
    "broadcast_in_loss": (
        "The loss compares each output with all targets: shapes (n, 1) and (n,) are broadcast to (n, n).",
        "Bring predictions and targets to one shape, by y.reshape(-1, 1), or take a loss of this library, which "
        "refuses shapes that do not match.",
    ),
    "mixed_samples": (
        "The output for a sample hangs on the other samples of its batch: one axis is taken for another.",
        "Give the layer the axes in its own order: batch_first=True where samples come first.",
    ),
    "unregistered_parameters": (
        "Some parameters of the model are never trained: they are not among those that the optimizer is given.",
        "Keep layers as attributes of the Module, or in lists, so that model.parameters() finds them, and give the "
        "optimizer all of them.",
    ),
    "unlucky_init": (
        "The same setup works from other starts, and this one was unlucky.",
        "Train from a few other seeds and keep the best; a wider network depends less on luck.",
    ),
    "labels_random": (
        "The targets have no more to do with the inputs than permuted ones: there is nothing to learn.",
        "Look whether rows of X and y belong together, and whether X holds what y depends on.",
    ),
}


def texts_of(code: str) -> tuple[str, str]:
    """(what is wrong, what to do)."""
    cause = BY_CODE.get(code)
    return (cause.sentence, cause.remedy) if cause else PROVED_OTHERWISE[code]


CODES: tuple[Any, ...] = (*BY_CODE, *PROVED_OTHERWISE, "healthy")
