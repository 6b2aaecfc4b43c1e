"""A network of PyTorch or Keras as a Subject: the same weights, its loss and optimizer, and starts like its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.clinic.diagnosis.facts.foreign_starts import BY_DIALECT, of_steps
from tinygrad_edu.clinic.diagnosis.facts.look import look_at
from tinygrad_edu.clinic.diagnosis.facts.setup import AS_IT_IS, Setup
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.core.aliases import ArrayLike, Model, Samples
from tinygrad_edu.errors import SettingError, TinygradError
from tinygrad_edu.interop import keras_models, torch_modules, training
from tinygrad_edu.interop.chain import Chain, Form
from tinygrad_edu.interop.followed import chain_of_run
from tinygrad_edu.nn.losses import LOSSES

Array = np.ndarray[Any, Any]
TAKEN = ("loss", "optimizer", "lr", "epochs", "batch_size")
KERAS_BATCH = 32  # of model.fit, where none is given


def is_foreign(model: Model) -> bool:
    """Is it a network of PyTorch, or one of Keras or its JSON?"""
    return torch_modules.is_torch(model) or keras_models.is_keras(model)


def of_torch(module: Model, X: Samples, y: Samples, how: Mapping[str, Any]) -> Subject:
    """A torch.nn.Module that was trained on X and y.

    how: loss, a torch loss or its name; optimizer, of torch, or a name (lr is then its rate); epochs; batch_size, all
    samples by default. Errors: those of from_torch, and SettingError for what is missing or has no counterpart.
    """
    require_settings(how, "loss", "optimizer", "epochs")
    X, y = plain(X), plain(y)
    chain, X = chain_and_inputs(module, X)
    loss = training.torch_loss(how["loss"])
    if loss == "nll":  # after LogSoftmax it is the cross-entropy of what comes before
        loss, chain = "cross_entropy", without_last(chain, "log_softmax")
    terms = training.terms_of(how["loss"], how.get("batch_size") or len(X), y)
    if broadcasts(how["loss"], y, torch_modules.output_shape(module, X)):
        loss = broadcast_of(loss)
    return subject(chain, X, y, loss, how, "torch", terms)


def chain_and_inputs(module: Model, X: Array) -> tuple[Chain, Array]:
    """The layers of a module, and X in the shape in which they take it."""
    try:
        return torch_modules.chain_of(module), X
    except TinygradError:
        chain, shaped = chain_of_run(module, X)
        return chain, shaped(X)


def of_keras(model: Model, X: Samples, y: Samples, how: Mapping[str, Any]) -> Subject:
    """A Keras model, or its JSON, that was trained on X and y; what it was compiled with is read off the model."""
    how = {**compile_settings(model), **{name: x for name, x in how.items() if x is not None}}
    require_settings(how, "loss", "optimizer", "epochs")
    X, y = plain(X), plain(y)
    chain = keras_models.chain_of(model, X.shape[1:])
    loss, logits = training.keras_loss(how["loss"])
    chain, loss = keras_form(chain, loss, logits)
    if loss == "bce" and y.ndim == 1:
        y = y.reshape(-1, 1).astype(float)  # as Keras does
    if loss in ("mse", "mae", "huber") and y.ndim == 1:
        y = y.reshape(-1, 1)
    how = {"batch_size": KERAS_BATCH, **{k: v for k, v in how.items() if v is not None}}
    return subject(chain, X, y, loss, how, "keras")


def keras_form(chain: Chain, loss: str, logits: bool) -> tuple[Chain, Any]:
    """Losses of probabilities as those of logits, where the last activation is the one that makes them."""
    last = chain.steps[-1].name if chain.steps and chain.steps[-1].kind == "activation" else "identity"
    width = chain.linear[-1].sizes[1] if chain.linear else 0
    if loss == "categorical":
        if last == "softmax" and width > 1 and not logits:
            return without_last(chain, "softmax"), "cross_entropy"
        return chain, "cross_entropy" if width > 1 else categorical_of_one_unit
    if loss == "bce" and logits:
        return chain, "bce_with_logits"
    if loss == "poisson_of_rates":
        return without_last(chain, "exp"), "poisson"
    return chain, loss


def categorical_of_one_unit(prediction: ArrayLike, target: ArrayLike) -> Any:
    """Keras' categorical cross-entropy of one output: it divides it by the sum of all, by itself, and log(1) is 0."""
    return ops.mean(0.0 * prediction)


def compile_settings(model: Model) -> dict[str, Any]:
    """Loss and optimizer of a compiled Keras model."""
    found = {name: getattr(model, name, None) for name in ("loss", "optimizer")}
    return {name: x for name, x in found.items() if x is not None}


def require_settings(how: Mapping[str, Any], *names: str) -> None:
    missing = [name for name in names if how.get(name) is None]
    if missing:
        raise SettingError(
            f"diagnose(module, X, y, ...): {', '.join(f'{name}=' for name in missing)} missing, how it was trained: "
            "loss=, optimizer=, epochs= and batch_size="
        )


def plain(data: Samples) -> Array:
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


def broadcasts(loss: Any, y: Array, shape: tuple[int, ...]) -> bool:
    """Does this loss of torch make a square of outputs (n, 1) and targets (n,), or the other way round?"""
    may = training.TORCH_LOSSES.get(training.name_of(loss), ("", False))[1]
    column_and_row = shape[1:] == (1,) and y.ndim == 1
    row_and_column = len(shape) == 1 and y.shape[1:] == (1,)
    return may and len(y) > 1 and (column_and_row or row_and_column)


def broadcast_of(loss: str) -> Any:
    """A loss as torch computes it of shapes (n, 1) and (n,): of each prediction with every target."""
    entry = LOSSES[loss].function

    def broadcast(prediction: ArrayLike, target: ArrayLike) -> Any:
        return ops.mean(entry(prediction, np.reshape(target, (1, -1))))

    broadcast.__name__ = f"{loss}_of_shapes_that_broadcast"
    return broadcast


def subject(
    chain: Chain, X: Array, y: Array, loss: Any, how: Mapping[str, Any], dialect: str, terms: int = 1
) -> Subject:
    """The network and its training as a Setup. terms: how many a loss adds up that is a sum, not a mean."""
    optimizer, lr, options = training.optimizer_of(how["optimizer"], how.get("lr"))
    model, form = chain.module(), Form.of(chain.steps)
    if form and X.ndim > 2 and not any(step.kind == "flatten" for step in chain.steps):
        form, model = None, chain.sequential()  # a layer for each time, not for all of them at once
    if terms > 1 and optimizer == "SGD":  # the sum over a batch is its mean at a larger rate
        lr, options = lr * terms, {**options, "weight_decay": options.get("weight_decay", 0.0) / terms}
    setup = Setup(
        **(structure(form, chain, dialect) if form else other(chain, dialect)), loss=loss, optimizer=optimizer, lr=lr,
        options=options, epochs=int(how["epochs"]), batch_size=how.get("batch_size"), dialect=dialect,
        terms=terms if optimizer == "SGD" else 1,
    )  # fmt: skip
    if not setup.own_loss and LOSSES[loss].link != "softmax" and y.ndim == 1:
        y = y.reshape(-1, 1)
    y = y if y.ndim == 1 and setup.link == "softmax" else y.astype(float)
    task = look_at(task_of(X.reshape(len(X), -1) if form else X, y, setup))
    none = np.empty(0)
    return Subject(setup, task, model, {}, none, none, f"{how['epochs']} epochs done")


def structure(form: Form, chain: Chain, dialect: str) -> dict[str, Any]:
    """The fields of a Setup that describe an nn.MLP."""
    return {
        "sizes": (form.layers[0].sizes[0], *(layer.sizes[1] for layer in form.layers)),
        "activation": form.activation, "out_activation": form.out_activation, "bias": form.layers[0].bias,
        "norm": form.norm, "dropout": max(form.dropouts, default=0.0), "init": BY_DIALECT[dialect](chain),
    }  # fmt: skip


def other(chain: Chain, dialect: str) -> dict[str, Any]:
    """Another network: a copy of its form, which begins as such layers do there."""
    pattern = chain.bare().sequential()
    return {"sizes": (0, 0), "init": of_steps(chain, pattern, dialect), "pattern": pattern, "dropout": AS_IT_IS}
