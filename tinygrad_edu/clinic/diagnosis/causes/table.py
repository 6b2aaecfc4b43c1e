"""The causes: each row says which symptoms suggest it, which single change tests it, what it means and what to do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.clinic.diagnosis.causes import changes
from tinygrad_edu.clinic.diagnosis.facts.measurements import Record
from tinygrad_edu.clinic.diagnosis.facts.setup import Change
from tinygrad_edu.clinic.diagnosis.symptoms.symptom import Symptom


@dataclass(frozen=True)
class Cause:
    """A reason why a network does not learn.

    symptoms: how much each speaks for it, by code; changes(record): the single changes that test it, the most likely
    first; sentence: what is wrong; remedy: what to do; remedies: what to do where a change sets this value.
    """

    code: str
    symptoms: Mapping[str, float]
    changes: Callable[[Record], Iterator[Change]]
    sentence: str
    remedy: str
    remedies: Mapping[str, str] = field(default_factory=dict)

    def remedy_by(self, change: Change) -> str:
        """What to do, in the words of the change that repairs."""
        values = (x for x in change.values() if isinstance(x, str))
        return next((self.remedies[x] for x in values if x in self.remedies), self.remedy)

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
        "The learning rate is too high: steps jump over the minimum instead of coming down to it.",
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
        "The inputs are not scaled: large features drown out the others, saturate units and force small steps.",
        "Scale each feature to mean 0 and standard deviation 1 on the training data "
        "(data.standardize, StandardScaler).",
        {
            "logarithms": "A few values are far larger than the rest: take sign(x)·log(1 + |x|) of each feature, and "
            "scale that to mean 0 and standard deviation 1.",
            "without extremes": "Cut off the few values that are far out, or fill them in where they stand for missing "
            "ones, and then scale each feature to mean 0 and standard deviation 1.",
        },
    ),
    Cause(
        "targets_out_of_range",
        {"target_outside": 2.5, "target_scale": 1.2, "target_small": 1.2},
        changes.targets_in_range,
        "The targets are outside the range of the output, or on a very different scale: "
        "then the steps explode, or never get there.",
        "Scale the targets: to mean 0 and standard deviation 1 for an output without an activation, else into its "
        "range; or use a last activation that can reach them.",
    ),
    Cause(
        "not_shuffled",
        {"label_runs": 2.5},
        changes.shuffling,
        "The samples come in a fixed order, class after class: each step undoes what the last ones learned.",
        "Shuffle the samples again in every epoch.",
    ),
    Cause(
        "saturated_activations",
        {"saturated_start": 1.3, "saturated_end": 0.4, "large_weights": 0.2, "input_scale": -0.3},
        changes.other_activation,
        "Units are saturated: they sit at the flat ends of their activation, where almost no gradient passes.",
        "Use an activation that does not saturate (relu, leaky_relu), or bring their inputs closer to 0.",
    ),
    Cause(
        "dead_relu",
        {"dead_start": 2.2, "dead_end": 1.2, "divergence": -0.3},
        changes.leaky,
        "ReLU units are dead: they output 0 for every sample, get no gradient and never recover.",
        "Use leaky_relu or tanh, start with biases of 0, and lower the learning rate if they die during training.",
    ),
    Cause(
        "vanishing_gradient",
        {"vanishing": 1.8, "saturated_start": -0.3},
        changes.carry_gradient,
        "The gradient vanishes on its way back to the first layers, so they do not learn.",
        "Use relu or tanh with He or Glorot initialization, fewer layers, or normalization (norm='layer').",
    ),
    Cause(
        "exploding_gradient",
        {"exploding": 2.5, "divergence": 0.3, "sharp": 0.1},
        changes.clip_the_gradient,
        "The gradient explodes: it grows from layer to layer on its way back, and the first layers are thrown around.",
        "Start with smaller weights, clip the gradient (clip_norm=1), or normalize (norm='layer').",
    ),
    Cause(
        "symmetric_init",
        {"alike": 3.0},
        changes.usual_start,
        "All units of a layer start equal, get the same gradient and stay equal: the layer acts as a single unit.",
        "Draw the weights at random (init='glorot_uniform').",
    ),
    Cause(
        "init_too_large",
        {"large_weights": 1.5, "saturated_start": 0.3, "sharp": 0.2, "initial_loss": 0.3, "exploding": -0.2},
        changes.usual_start,
        "The initial weights are too large: units saturate, or the outputs are far off from the start.",
        "Use Glorot initialization (He initialization for relu).",
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
        "The layers have no bias: an input of 0 gives the same output whatever the weights are.",
        "Give each layer a bias (bias=True).",
    ),
    Cause(
        "too_small_network",
        {"small_net": 1.2, "plateau": 0.3, "improving": -0.3},
        changes.larger_network,
        "The network is too small for the task.",
        "Use more hidden units, or add a hidden layer if there is none.",
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
        "Wait longer without improvement (a larger patience), or count smaller improvements (a smaller tol).",
    ),
    Cause(
        "momentum_too_high",
        {"high_momentum": 3.0, "oscillation": 0.2},
        changes.less_momentum,
        "The momentum is too high: old gradients carry the weights past the minimum.",
        "Lower the momentum to 0.9 or less.",
    ),
    Cause(
        "weight_decay_too_high",
        {"decay": 2.0, "plateau": 0.2},
        changes.no_decay,
        "The weight decay pulls the weights to 0 more strongly than the data pulls them away.",
        "Lower the weight decay, or leave it out.",
    ),
    Cause(
        "class_imbalance",
        {"imbalance": 3.5},
        changes.balance,
        "A class is so rare, or counts so little, that ignoring it costs almost nothing.",
        "Give all classes equal weight (sample_weight, class_weight='balanced'), or draw the rare one more often.",
    ),
    Cause(
        "batch_too_large_for_epochs",
        {"quiet_batches": 0.8, "few_steps": 0.8, "rate_small": -0.6, "slow": -0.6, "update_small": -0.6},
        changes.smaller_batches,
        "The batches are so large that there are too few steps in these epochs.",
        "Use smaller batches, or more epochs.",
    ),
    Cause(
        "constant_or_nonfinite_input",
        {"constant_input": 3.0},
        changes.without_constants,
        "Features that never change carry no information, and large ones drown out the others.",
        "Leave the constant features out.",
    ),
    Cause(
        "schedule_freezes_early",
        {"frozen": 2.2},
        changes.steady_rate,
        "The schedule brings the learning rate close to 0 long before the network has learned.",
        "Let the learning rate fall more slowly, or keep it constant.",
    ),
    Cause(
        "target_outliers",
        {"target_outliers": 4.0},
        changes.without_outliers,
        "A few targets are far from all the others, and the squared error follows these outliers instead of the rest.",
        "Look at what they are (missing values written as -999?), drop those rows, or use loss='huber' or 'mae'.",
    ),
    Cause(
        "dropout_too_high",
        {"much_dropout": 2.5},
        changes.less_dropout,
        "Dropout removes so many units that the rest cannot learn the task.",
        "Lower the dropout, or leave it out.",
    ),
    Cause(
        "no_activation",
        {"linear": 3.0},
        changes.some_activation,
        "The hidden layers have no activation, so the network can only learn a linear function.",
        "Give each hidden layer an activation (relu, tanh).",
    ),
    Cause(
        "wrong_output_activation",
        {"output_dead": 2.5, "bent_logits": 2.5},
        changes.open_output,
        "The last activation does not fit the loss, or passes almost no gradient: outputs cannot follow the targets.",
        "Remove the last activation, and use the loss that goes with that (bce_with_logits, cross_entropy, mse).",
    ),
    Cause(
        "clip_too_tight",
        {"tight_clipping": 2.0},
        changes.no_clipping,
        "The gradient is clipped so hard that the steps are tiny.",
        "Clip at about the usual length of the gradient (clip_norm=1), or not at all.",
    ),
    Cause(
        "epsilon_too_large",
        {"large_epsilon": 1.9},
        changes.small_epsilon,
        "The optimizer divides each gradient by its size plus epsilon, and epsilon is the larger: the steps get small.",
        "Leave eps at its default of 1e-8.",
    ),
    Cause(
        "dampening_too_high",
        {"damped": 1.9},
        changes.no_dampening,
        "The dampening leaves so much of each gradient out that momentum does not make up for it: the steps get small.",
        "Leave dampening at its default of 0.",
    ),
    Cause(
        "batch_norm_statistics",
        {"batch_statistics": 2.0},
        changes.other_norm,
        "BatchNorm's running statistics, which are used after training, do not match the data.",
        "Train for more steps, in batches that resemble the data, or use norm='layer'.",
    ),
    Cause(
        "representation",
        {"padded": 2.0},
        changes.other_form,
        "The inputs contain the answer, but in a form that the network cannot read.",
        "Encode the inputs differently: a number as its digits, padding in front of a sequence.",
    ),
]  # fmt: skip
BY_CODE: dict[str, Cause] = {cause.code: cause for cause in CAUSES}


def declare(cause: Cause) -> Cause:
    """One more row of the table."""
    CAUSES.append(cause)
    BY_CODE[cause.code] = cause
    return cause


# Causes that are proved in other ways than by one change of the setup
PROVED_OTHERWISE: dict[str, tuple[str, str]] = {
    "overfitting": (
        "The network overfits: it memorizes its training samples, and gets worse on others.",
        "Stop where the validation loss is lowest (patience=10 with validation=...), use more samples, weight decay "
        "or dropout, or a smaller network.",
    ),
    "broadcast_in_loss": (
        "The loss compares each output with all targets: shapes (n, 1) and (n,) are broadcast to (n, n).",
        "Give predictions and targets the same shape, with y.reshape(-1, 1), or use a loss of this library, which "
        "refuses shapes that do not match.",
    ),
    "mixed_samples": (
        "The output for a sample depends on the other samples of its batch: one axis is mistaken for another.",
        "Give the layer the axes in the order it expects: batch_first=True if samples come first.",
    ),
    "unregistered_parameters": (
        "Some parameters of the model are never trained: the optimizer does not get them, or no gradient reaches them.",
        "Keep layers as attributes of the Module, or in lists, so that model.parameters() finds them, give all of "
        "them to the optimizer, and let nothing between them and the loss cut the gradient off.",
    ),
    "gradients_not_reset": (
        "The gradients of several steps add up: the training loop does not set them back to 0.",
        "Call optimizer.zero_grad() before each loss.backward().",
    ),
    "unlucky_init": (
        "The same setup works with most other seeds; this one was unlucky.",
        "Train from a few other seeds and keep the best; a wider network depends less on luck.",
    ),
    "labels_random": (
        "The targets are no more related to the inputs than permuted ones: there is nothing to learn.",
        "Check whether the rows of X and y belong together, and whether X contains what y depends on.",
    ),
}


def texts_of(code: str) -> tuple[str, str]:
    """(what is wrong, what to do)."""
    cause = BY_CODE.get(code)
    return (cause.sentence, cause.remedy) if cause else PROVED_OTHERWISE[code]


CODES: tuple[Any, ...] = (*BY_CODE, *PROVED_OTHERWISE, "healthy")
