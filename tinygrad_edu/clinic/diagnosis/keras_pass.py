"""A Keras model of any form, on any back end: what one forward pass shows for certain."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from tinygrad_edu import packages
from tinygrad_edu.clinic.diagnosis.one_pass import Pass, cut, look_through
from tinygrad_edu.clinic.diagnosis.result import Diagnosis
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import TinygradError
from tinygrad_edu.interop import training
from tinygrad_edu.interop.keras_models import ACTIVATIONS

Array = np.ndarray[Any, Any]


def looked_through(model: Model, X: Samples, y: Samples, loss: Any, why_not: str) -> Diagnosis:
    """The certain causes, and what was noticed. why_not: why it was not trained again."""
    return look_through(lambda: KerasPass(model, X, y, loss), why_not)


class KerasPass(Pass):
    """One forward pass; nothing of the model changes."""

    words: ClassVar[Mapping[str, str]] = {
        "mixed_samples": "In Keras the first axis is that of the samples.",
        "softmax_of_one": "In Keras: Dense(1, activation='sigmoid') with loss='binary_crossentropy'.",
        "two_softmaxes": "In Keras: from_logits=False, or no activation='softmax' in the last layer.",
        "two_sigmoids": "In Keras: from_logits=False, or no activation='sigmoid' in the last layer.",
        "no_probabilities": "In Keras: activation='sigmoid' or 'softmax' in the last layer, or from_logits=True.",
        "targets_out_of_range": "In Keras: no activation in the last Dense, or targets scaled into its range.",
        "batch_norm_statistics": "In Keras: BatchNormalization(momentum=0.9), and more steps.",
    }

    def __init__(self, model: Model, X: Samples, y: Samples, loss: Any) -> None:
        self.keras, self.model = packages.find("keras", "a pass of a Keras model"), model
        self.function = self.keras.losses.get(loss)
        self.X, self.y = cut(X), np.asarray(cut(y))
        self.output = self.forward(self.X)
        self.loss_kind, self.takes_logits = loss_kind(loss)
        self.value = self.loss_of(self.output, self.y)
        self.ends_in = last_of(model)

    def forward(self, X: Any) -> Array:
        return self.run(X, training=False)

    def run(self, X: Any, training: bool) -> Array:
        ops = self.keras.ops
        given = (
            {name: ops.convert_to_tensor(x) for name, x in X.items()}
            if isinstance(X, Mapping)
            else [ops.convert_to_tensor(x) for x in X]
            if isinstance(X, (list, tuple))
            else ops.convert_to_tensor(X)
        )
        return np.asarray(ops.convert_to_numpy(self.model(given, training=training)))

    def loss_of(self, output: Array, y: Array) -> float:
        """The loss as Keras computes it: targets (n,) become (n, 1) if the outputs are (n, 1)."""
        if y.ndim == output.ndim - 1 and output.shape[-1] == 1:
            y = y[..., None]
        whole = self.keras.losses.get(self.function)
        return float(np.mean(self.keras.ops.convert_to_numpy(whole(y, output))))

    def by_own_statistics(self) -> Array | None:
        kinds = {type(layer).__name__ for layer in self.model.layers}
        if "BatchNormalization" not in kinds or any("Dropout" in kind or "Noise" in kind for kind in kinds):
            return None
        before = self.model.get_weights()
        try:
            return self.run(self.X, training=True)
        finally:
            self.model.set_weights(before)  # a pass in training mode changes the running statistics

    def fixed(self) -> list[str]:
        return [layer.name for layer in self.model.layers if layer.weights and not layer.trainable]


def loss_kind(loss: Any) -> tuple[str, bool]:
    """(the loss by our name, does it take logits?); ("", False) for one that has none here."""
    try:
        name, logits = training.keras_loss(loss)
    except TinygradError:
        return "", False
    return ("cross_entropy" if name == "categorical" else name), logits


def last_of(model: Model) -> str:
    """Our name of the activation that makes the output; "" where none does, or it is not known."""
    try:
        layer = model.outputs[0]._keras_history.operation
    except (AttributeError, IndexError, TypeError):  # a subclassed model does not show its last layer
        return ""
    function = getattr(layer, "activation", None)
    name = getattr(function, "__name__", "") if function is not None else type(layer).__name__.lower()
    found = ACTIVATIONS.get(name, "")
    return "" if found == "identity" else found
