"""The penalties of Keras' layers: kernel_regularizer=L2(l) adds l·Σw² to the loss, 2·l·w to the gradient of w. For the
optimizers that add a weight decay λ·w to the gradient that is a decay of 2·l, of the kernels alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from tinygrad_edu.core.aliases import Model
from tinygrad_edu.interop import keras_models
from tinygrad_edu.interop.chain import Chain, Form
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import needs_gradient

PENALTIES = ("kernel_regularizer", "bias_regularizer", "activity_regularizer", "recurrent_regularizer")
OTHERS = (*PENALTIES[1:], "kernel_constraint", "bias_constraint")
SEPARATE = ("AdamW", "Rprop")  # optimizers whose weight decay is not part of the gradient, or that have none


def has_penalty(model: Model) -> bool:
    """Does the loss of its history hold a penalty?"""
    return any(config.get(name) is not None for _, config in layer_configs(model) for name in PENALTIES)


def layer_configs(model: Model) -> list[tuple[str, Mapping[str, Any]]]:
    """The kind and the config of each layer."""
    return [(str(layer["class_name"]), layer["config"]) for layer in keras_models.layers_of(model)]


def notes_of(model: Model, optimizer: str) -> Iterator[str]:
    """For the notes of a diagnosis: the regularizers and constraints that have no counterpart here."""
    for kind, config in layer_configs(model):
        unlike = [name for name in OTHERS if config.get(name) is not None]
        if decay_of(kind, config, optimizer) is None:
            unlike.append("kernel_regularizer")
        yield from (f"the {name} of the layer {config.get('name', kind)}, which is not repeated" for name in unlike)


def decay_of(kind: str, config: Mapping[str, Any], optimizer: str) -> float | None:
    """The weight decay that a layer's L2 is; 0 where it has none, None where there is no such decay."""
    penalty = config.get("kernel_regularizer")
    if penalty is None:
        return 0.0
    told = penalty.get("config", {}) if isinstance(penalty, Mapping) else {"l2": 0.01} if penalty == "l2" else {}
    plain = kind == "Dense" and optimizer not in SEPARATE and "l2" in told and not told.get("l1")
    return 2.0 * float(told["l2"]) if plain else None


def decays(
    model: Model, chain: Chain, module: Module, form: Form | None, fields: Mapping[str, Any], optimizer: str
) -> dict[str, Any]:
    """The fields of a Setup that say which parameters decay, and how fast; none where nothing does."""
    found = [decay_of(*layer, optimizer) or 0.0 for layer in layer_configs(model) if layer[0] == "Dense"]
    kernels = list(kernel_names(chain, form))
    if not any(found) or len(kernels) != len(found):
        return {}
    by_name = dict(zip(kernels, found, strict=True))
    each = [by_name.get(name, 0.0) for name, p in module.named_parameters() if needs_gradient(p)]
    options = {**fields["options"], "weight_decay": max(each)}
    members = [tuple(i for i, decay in enumerate(each) if decay == one) for one in dict.fromkeys(each)]
    if len(members) == 1:
        return {"options": options}
    told = [
        {"params": len(places), "lr": fields["lr"], **options, "weight_decay": each[places[0]]} for places in members
    ]
    return {"options": options, "groups": tuple(told), "members": tuple(members)}


def kernel_names(chain: Chain, form: Form | None) -> Iterator[str]:
    """The names that the weights of the dense layers have in the network made of the chain."""
    rows = form.layers if form is not None else chain.steps
    yield from (f"layers.{i}.weight" for i, step in enumerate(rows) if step.kind == "linear")
