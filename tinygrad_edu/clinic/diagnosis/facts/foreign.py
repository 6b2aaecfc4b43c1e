"""A network of PyTorch or Keras as a Subject: the same weights, its loss and optimizer, and starts like its own."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.clinic.diagnosis.facts.initial_weights import ZERO, LayerStart, Start, distribution_of
from tinygrad_edu.clinic.diagnosis.facts.look import look_at
from tinygrad_edu.clinic.diagnosis.facts.setup import AS_IT_IS, Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop import keras_models, torch_modules, training
from tinygrad_edu.interop.chain import Chain, Form, Step
from tinygrad_edu.nn.losses import LOSSES

Array = np.ndarray[Any, Any]
TAKEN = ("loss", "optimizer", "lr", "epochs", "batch_size")
KERAS_BATCH = 32  # of model.fit, where none is given


def is_foreign(model: Any) -> bool:
    """Is it a network of PyTorch, or one of Keras or its JSON?"""
    return torch_modules.is_torch(model) or keras_models.is_keras(model)


def of_torch(module: Any, X: Any, y: Any, how: Mapping[str, Any]) -> Subject:
    """A torch.nn.Module that was trained on X and y.

    how: loss, a torch loss or its name; optimizer, of torch, or a name (lr is then its rate); epochs; batch_size, all
    samples by default. Errors: those of from_torch, and SettingError for what is missing or has no counterpart.
    """
    needed(how, "loss", "optimizer", "epochs")
    chain, X, y = torch_modules.chain_of(module), plain(X), plain(y)
    loss = training.torch_loss(how["loss"])
    if loss == "nll":  # after LogSoftmax it is the cross-entropy of what comes before
        loss, chain = "cross_entropy", without_last(chain, "log_softmax")
    if plain_broadcast(how["loss"], y, chain):
        loss = broadcast_of(loss)
    return subject(chain, X, y, loss, how, "torch", torch_start(chain))


def of_keras(model: Any, X: Any, y: Any, how: Mapping[str, Any]) -> Subject:
    """A Keras model, or its JSON, that was trained on X and y; what it was compiled with is read off the model."""
    how = {**compiled_with(model), **{name: x for name, x in how.items() if x is not None}}
    needed(how, "loss", "optimizer", "epochs")
    X, y = plain(X), plain(y)
    chain = keras_models.chain_of(model, X.shape[-1] if X.ndim == 2 else None)
    loss, logits = training.keras_loss(how["loss"])
    chain, loss = keras_form(chain, loss, logits)
    if loss == "bce" and y.ndim == 1:
        y = y.reshape(-1, 1).astype(float)  # as Keras does
    if loss in ("mse", "mae", "huber") and y.ndim == 1:
        y = y.reshape(-1, 1)
    how = {"batch_size": KERAS_BATCH, **{k: v for k, v in how.items() if v is not None}}
    start = tuple(LayerStart(Start("uniform", 0.0, 1.0), ZERO) for _ in chain.linear)
    return subject(chain, X, y, loss, how, "keras", start)


def keras_form(chain: Chain, loss: str, logits: bool) -> tuple[Chain, str]:
    """Losses of probabilities as those of logits, where the last activation is the one that makes them."""
    last = chain.steps[-1].name if chain.steps and chain.steps[-1].kind == "activation" else "identity"
    width = chain.linear[-1].sizes[1] if chain.linear else 0
    if loss == "categorical":
        if last == "softmax" and width > 1 and not logits:
            return without_last(chain, "softmax"), "cross_entropy"
        return chain, "cross_entropy" if width > 1 else "bce"
    if loss == "bce" and logits:
        return chain, "bce_with_logits"
    if loss == "poisson_of_rates":
        return without_last(chain, "exp"), "poisson"
    return chain, loss


def compiled_with(model: Any) -> dict[str, Any]:
    """Loss and optimizer of a compiled Keras model."""
    found = {name: getattr(model, name, None) for name in ("loss", "optimizer")}
    return {name: x for name, x in found.items() if x is not None}


def needed(how: Mapping[str, Any], *names: str) -> None:
    missing = [name for name in names if how.get(name) is None]
    if missing:
        raise SettingError(
            f"diagnose(module, X, y, ...): {', '.join(f'{name}=' for name in missing)} missing, how it was trained: "
            "loss=, optimizer=, epochs= and batch_size="
        )


def plain(data: Any) -> Array:
    """Tensors of other libraries as arrays."""
    if data is None:
        raise SettingError("diagnose(module, X, y, ...): X and y are needed, what it was trained on")
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    array = np.asarray(data)
    return array if array.dtype.kind in "iub" else array.astype(float)


def without_last(chain: Chain, name: str) -> Chain:
    """The steps without a last activation of that name."""
    last = chain.steps[-1] if chain.steps else None
    return Chain(chain.steps[:-1]) if last is not None and last.name == name else chain


def plain_broadcast(loss: Any, y: Array, chain: Chain) -> bool:
    """Does this loss of torch broadcast targets (n,) against outputs (n, 1)?"""
    broadcasts = training.TORCH_LOSSES.get(training.name_of(loss), ("", False))[1]
    return broadcasts and y.ndim == 1 and len(y) > 1 and bool(chain.linear) and chain.linear[-1].sizes[1] == 1


def broadcast_of(loss: str) -> Any:
    """A loss as torch computes it of shapes (n, 1) and (n,): of each prediction with every target."""
    entry = LOSSES[loss].function

    def broadcast(prediction: Any, target: Any) -> Any:
        return ops.mean(entry(prediction, np.reshape(target, (1, -1))))

    broadcast.__name__ = f"{loss}_of_shapes_that_broadcast"
    return broadcast


def torch_start(chain: Chain) -> tuple[LayerStart, ...]:
    """torch's own start, uniform within 1/√fan_in, biases too; another one where the weights show it."""
    found = []
    for layer in chain.linear:
        fan_in, fan_out = layer.sizes
        weight = Start("uniform", 0.0, math.sqrt((fan_in + fan_out) / (6.0 * fan_in)))
        bias = Start("uniform", 0.0, math.sqrt(fan_out / (3.0 * fan_in))) if layer.bias else ZERO
        W = layer.arrays.get("weight")
        if W is not None and len(W) > 1 and (W[0] == W).all():  # all units alike: they began so
            weight, bias = distribution_of(W), distribution_of(layer.arrays.get("bias", np.zeros(1)))
        found.append(LayerStart(weight, bias))
    return tuple(found)


def subject(
    chain: Chain, X: Array, y: Array, loss: Any, how: Mapping[str, Any], dialect: str, start: tuple[LayerStart, ...]
) -> Subject:
    """The network and its training as a Setup."""
    optimizer, lr, options = training.optimizer_of(how["optimizer"], how.get("lr"))
    model, form = chain.module(), Form.of(chain.steps)
    setup = Setup(
        **(structure(form, chain.steps, start) if form else other(model)), loss=loss, optimizer=optimizer, lr=lr,
        options=options, epochs=int(how["epochs"]), batch_size=how.get("batch_size"), dialect=dialect,
    )  # fmt: skip
    if not setup.own_loss and LOSSES[loss].link != "softmax" and y.ndim == 1:
        y = y.reshape(-1, 1)
    y = y if y.ndim == 1 and setup.link == "softmax" else y.astype(float)
    task = look_at(task_of(X.reshape(len(X), -1) if form else X, y, setup))
    none = np.empty(0)
    return Subject(setup, task, model, {}, none, none, f"{how['epochs']} epochs done")


def structure(form: Form, steps: tuple[Step, ...], start: tuple[LayerStart, ...]) -> dict[str, Any]:
    """The fields of a Setup that describe an nn.MLP."""
    return {
        "sizes": (form.layers[0].sizes[0], *(layer.sizes[1] for layer in form.layers)),
        "activation": form.activation, "out_activation": form.out_activation, "bias": form.layers[0].bias,
        "norm": form.norm, "dropout": max(form.dropouts, default=0.0), "init": start,
    }  # fmt: skip


def other(model: Any) -> dict[str, Any]:
    """Another network is taken as it is, drawn anew."""
    drawn = {name: distribution_of(array) for name, array in model.state_dict().items()}
    return {"sizes": (0, 0), "init": drawn, "pattern": model, "dropout": AS_IT_IS}
