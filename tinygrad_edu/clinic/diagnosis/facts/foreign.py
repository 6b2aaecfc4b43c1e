"""A network of PyTorch or Keras as a Subject: the same weights, its loss and optimizer, and starts like its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from tinygrad_edu import ops
from tinygrad_edu.clinic.diagnosis.facts import foreign_training as told
from tinygrad_edu.clinic.diagnosis.facts import penalties
from tinygrad_edu.clinic.diagnosis.facts.foreign_starts import BY_DIALECT, of_steps
from tinygrad_edu.clinic.diagnosis.facts.look import look_at
from tinygrad_edu.clinic.diagnosis.facts.setup import AS_IT_IS, Setup, times_schedule
from tinygrad_edu.clinic.diagnosis.facts.subject import Subject
from tinygrad_edu.clinic.diagnosis.facts.task import task_of
from tinygrad_edu.core.aliases import ArrayLike, Model, Samples
from tinygrad_edu.errors import OperandError, SettingError, TinygradError
from tinygrad_edu.interop import keras_models, torch_modules, training
from tinygrad_edu.interop.chain import LOG, Chain, Form
from tinygrad_edu.interop.followed import chain_of_run
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.schedule import as_schedule

Array = np.ndarray[Any, Any]
TAKEN = ("loss", "optimizer", "lr", "epochs", "batch_size")
KERAS_BATCH = 32  # default of model.fit in Keras


def is_foreign(model: Model) -> bool:
    """Is it a network of PyTorch, or one of Keras or its JSON?"""
    return torch_modules.is_torch(model) or keras_models.is_keras(model)


def of_torch(module: Model, X: Samples, y: Samples, how: Mapping[str, Any]) -> Subject:
    """A torch.nn.Module that was trained on X and y.

    how: loss, a torch loss or its name; optimizer, of torch, or a name (lr is then its rate); epochs; batch_size, all
    samples by default. Errors: those of from_torch, and SettingError for what is missing or has no counterpart.
    """
    require_settings(how, "loss", "optimizer", "epochs")
    refuse_settings(how, "class_weight", "callbacks")
    X, y, held_out = training_data(X, y, how)
    chain, X, shaped = chain_and_inputs(module, X)
    held_out = held_out and (shaped(held_out[0]), held_out[1])
    loss = training.torch_loss(how["loss"])
    if loss in ("nll", "cross_entropy"):  # after LogSoftmax both are the cross-entropy of the layer before it
        loss, chain = "cross_entropy", without_last(chain, "log_softmax")
    terms = training.terms_of(how["loss"], how.get("batch_size") or len(X), y)
    if broadcasts(how["loss"], y, torch_modules.output_shape(module, X)):
        loss = broadcast_of(loss)
    extra = told.of_torch(how, y, held_out)
    told.read_losses(extra, how.get("history"), int(how["epochs"]))
    extra.terms *= terms
    fixed = [name for name, p in module.named_parameters() if not p.requires_grad]
    return with_fixed(subject(chain, X, y, loss, how, "torch", extra), fixed)


def binary_loss(model: Model, how: Mapping[str, Any]) -> bool:
    """Is the loss of two classes? Neither library refuses targets that are not 0 and 1 there."""
    loss = how.get("loss") if how.get("loss") is not None else compile_settings(model).get("loss")
    if loss is None:
        return False
    try:
        name = training.torch_loss(loss) if torch_modules.is_torch(model) else training.keras_loss(loss)[0]
    except TinygradError:
        return False
    return name in ("bce", "bce_with_logits")


def chain_and_inputs(module: Model, X: Array) -> tuple[Chain, Array, Any]:
    """The layers of a module, X in the shape in which they take it, and what brings inputs to that shape."""
    try:
        return torch_modules.chain_of(module), X, np.asarray
    except TinygradError:
        chain, shaped = chain_of_run(module, X)
        return chain, shaped(X), shaped


def training_data(X: Samples, y: Samples, how: Mapping[str, Any]) -> tuple[Array, Array, Any]:
    """(X, y, what was held out)."""
    return told.without_held_out(data_as_array(X), data_as_array(y), how.get("validation"))


def refuse_settings(how: Mapping[str, Any], *names: str) -> None:
    """Settings of the other library. Errors: SettingError."""
    if given := [name for name in names if how.get(name) is not None]:
        raise SettingError(
            f"{', '.join(given)}: in PyTorch this is a weight of the loss, or part of your training loop"
        )


def of_keras(model: Model, X: Samples, y: Samples, how: Mapping[str, Any]) -> Subject:
    """A Keras model, or its JSON, that was trained on X and y; what it was compiled with is read off the model."""
    how = {**compile_settings(model), **{name: x for name, x in how.items() if x is not None}}
    how = {"batch_size": KERAS_BATCH, "epochs": epochs_of(model), **how}
    require_settings(how, "loss", "optimizer", "epochs")
    if how.get("scheduler") is not None:
        raise SettingError("scheduler=: in Keras a schedule is part of the optimizer, or a callback: give callbacks=")
    refuse_several_inputs(X)
    X, y, held_out = training_data(X, y, how)
    chain = keras_models.chain_of(model, X.shape[1:])
    loss, logits = training.keras_loss(how["loss"])
    chain, loss = keras_form(chain, loss, logits)
    y, *rest = (in_columns(each, loss) for each in (y, *(held_out or ())[1:]))
    held_out = held_out and (held_out[0], *rest)
    kind, rate, _ = training.optimizer_of(how["optimizer"], how.get("lr"))
    extra = told.of_keras(model, how, y, held_out, kind, as_schedule(rate)(0))
    told.read_losses(extra, how.get("history"), int(how["epochs"]))
    layers = model.layers if keras_models.is_object(model) else []
    fixed = [layer.name for layer in layers if layer.get_weights() and not getattr(layer, "trainable", True)]
    return with_fixed(subject(chain, X, y, loss, how | {"model": model}, "keras", extra), fixed)


def with_fixed(found: Subject, fixed: Sequence[str]) -> Subject:
    """Note that some weights or layers were frozen, while all of them are trained here."""
    if not fixed:
        return found
    note = f"{len(fixed)} of its weights or layers were told not to learn ({fixed[0]}, ...); here all of them learn"
    return replace(found, fixed=tuple(fixed), notes=(*found.notes, note))


def refuse_several_inputs(X: Samples) -> None:
    if isinstance(X, Mapping) or (isinstance(X, (list, tuple)) and len(X) and np.ndim(X[0]) > 1):
        raise OperandError(f"the model takes {len(X)} inputs: it is not a chain of layers")


def has_no_counterpart(model: Model, X: Samples, how: Mapping[str, Any]) -> bool:
    """Is it the model itself, its loss or its optimizer that cannot be had here, whatever else is said of its run?"""
    if not keras_models.is_object(model):
        return False
    try:
        refuse_several_inputs(X)
        keras_models.chain_of(model, np.shape(X)[1:])
        training.keras_loss(how["loss"] if how.get("loss") is not None else model.loss)
        training.optimizer_of(how.get("optimizer") or model.optimizer, how.get("lr"))
    except (TinygradError, AttributeError):
        return True
    return False


def in_columns(y: Array, loss: Any) -> Array:
    """Targets (n,) as (n, 1), as Keras does it."""
    if loss in ("bce", BCE_OF_KERAS) and y.ndim == 1:
        return y.reshape(-1, 1).astype(float)
    return y.reshape(-1, 1) if loss in ("mse", "mae", "huber") and y.ndim == 1 else y


def epochs_of(model: Model) -> int | None:
    """The number of epochs given to its last `fit`, which Keras keeps in the history."""
    return (getattr(getattr(model, "history", None), "params", None) or {}).get("epochs")


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
    if loss == "bce" and last != "sigmoid":
        return chain, BCE_OF_KERAS
    if loss == "poisson_of_rates":
        return without_last(chain, "exp"), "poisson"
    return chain, loss


def bce(prediction: ArrayLike, target: ArrayLike) -> Any:
    """Keras' binary cross-entropy: it cuts predictions off before it takes their logarithms, and refuses none."""
    return LOSSES["bce"].function(ops.clip(prediction, CUT, 1.0 - CUT), target)


CUT = 1e-7  # keras.config.epsilon()
BCE_OF_KERAS = losses.Loss(bce, LOSSES["bce_with_logits"].check, for_classes=True)


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
            f"diagnose(module, X, y, ...): {', '.join(f'{name}=' for name in missing)} missing. Say how it was "
            "trained: "
            "loss=, optimizer=, epochs= and batch_size="
        )


def data_as_array(data: Samples) -> Array:
    """Tensors of other libraries as arrays."""
    if data is None:
        raise SettingError("diagnose(module, X, y, ...): X and y are needed: the data it was trained on")
    return told.as_array(data)


def without_last(chain: Chain, name: str) -> Chain:
    """The steps without a last activation of that name."""
    last = chain.steps[-1] if chain.steps else None
    return Chain(chain.steps[:-1]) if last is not None and last.name == name else chain


def broadcasts(loss: Any, y: Array, shape: tuple[int, ...]) -> bool:
    """Does this loss of torch make a square of outputs (n, 1) and targets (n,), or the other way round?"""
    may = training.TORCH_LOSSES.get(training.thing_name(loss), ("", False))[1]
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
    chain: Chain, X: Array, y: Array, loss: Any, how: Mapping[str, Any], dialect: str, extra: told.Extra
) -> Subject:
    """The network and its training as a Setup."""
    optimizer, lr, options = training.optimizer_of(how["optimizer"], how.get("lr"))
    model, form = chain.module(), Form.of(chain.steps)
    if form and X.ndim > 2 and not any(step.kind == "flatten" for step in chain.steps):
        form, model = None, chain.sequential()  # the layers apply to each time step, not to the flattened sequence
    fields = {"lr": lr, "options": options, **extra.fields}
    if dialect == "torch":
        fields |= told.groups_of(how["optimizer"], chain, model, form, optimizer)
    else:
        fields |= penalties.decays(how["model"], chain, model, form, fields, optimizer)
    # a loss that is this many times the mean equals the mean with a larger learning rate
    if extra.terms != 1.0 and optimizer == "SGD":
        fields |= {"terms": extra.terms, **larger_steps(fields, extra.terms)}
    setup = Setup(
        **(structure(form, chain, dialect) if form else other(chain, dialect)), loss=loss, optimizer=optimizer,
        epochs=int(how["epochs"]), batch_size=how.get("batch_size"), dialect=dialect, **fields,
    )  # fmt: skip
    y = targets_for(setup, loss, y)
    task = look_at(task_of(X.reshape(len(X), -1) if form else X, y, setup))
    if extra.held_out is not None:
        task = replace(task, held_out=arrange_held_out(extra.held_out, setup, loss, bool(form)))
    ended = f"{len(extra.losses) or how['epochs']} epochs done"
    return Subject(
        setup, task, model, {}, extra.losses / extra.terms, np.full(len(extra.losses), np.nan), ended, extra.validation,
        restored=setup.restores and bool(setup.patience) and setup.validated, notes=extra.notes,
        **({} if form or X.ndim != 2 else as_plain(chain)),
    )  # fmt: skip


def larger_steps(fields: Mapping[str, Any], terms: float) -> dict[str, Any]:
    """Learning rates multiplied by `terms`, and weight decays divided by it."""

    def smaller(options: Mapping[str, Any]) -> dict[str, Any]:
        return {k: x / terms if k == "weight_decay" else x for k, x in options.items()}

    groups = [smaller(group) | {"lr": group["lr"] * terms} for group in fields.get("groups", ())]
    lr = times_schedule(as_schedule(fields["lr"]), terms)
    lr = lr(0) if lr.kind == "constant" else lr
    return {"lr": lr, "options": smaller(fields["options"])} | ({"groups": tuple(groups)} if groups else {})


def targets_for(setup: Setup, loss: Any, y: Array) -> Array:
    """Targets as the loss takes them."""
    if not setup.own_loss and setup.link != "softmax" and y.ndim == 1:
        y = y.reshape(-1, 1)
    return y if y.ndim == 1 and setup.link == "softmax" else y.astype(float)


def arrange_held_out(held_out: tuple[Array, Array], setup: Setup, loss: Any, flat: bool) -> tuple[Array, Array]:
    X, y = held_out[0], targets_for(setup, loss, held_out[1])
    return X.reshape(len(X), -1) if flat else X, y


def structure(form: Form, chain: Chain, dialect: str) -> dict[str, Any]:
    """The fields of a Setup that describe an nn.MLP."""
    return {
        "sizes": (form.layers[0].sizes[0], *(layer.sizes[1] for layer in form.layers)),
        "activation": form.activation, "out_activation": form.out_activation, "bias": form.layers[0].bias,
        "norm": form.norm, "dropout": max(form.dropouts, default=0.0), "init": BY_DIALECT[dialect](chain),
    }  # fmt: skip


def as_plain(chain: Chain) -> dict[str, Any]:
    """For dense layers that differ: the change to an nn.MLP of the same widths, and the hidden activations."""
    form = Form.read(chain.steps)
    if form is None or len(form.layers) < 2 or LOG in form.activations:
        return {}
    hidden = tuple(form.activations[:-1])
    kinds = [name for name in hidden if name != "identity"]
    usual = max(kinds, key=kinds.count, default="relu")
    return {"hidden": hidden, "plain": {
        "pattern": None, "sizes": (form.layers[0].sizes[0], *(layer.sizes[1] for layer in form.layers)),
        "activation": usual, "out_activation": form.out_activation, "dropout": max(form.dropouts),
        "init": "he_uniform" if "relu" in usual else "glorot_uniform",
    }}  # fmt: skip


def other(chain: Chain, dialect: str) -> dict[str, Any]:
    """Another network: a copy of its form, which begins as such layers do there, and its last activation."""
    last = chain.steps[-1] if chain.steps else None
    ends = last is not None and last.kind == "activation" and last.name != LOG
    pattern = (Chain(chain.steps[:-1]) if ends else chain).bare().sequential()
    return {
        "sizes": (0, width_of(chain)), "init": of_steps(chain, pattern, dialect), "pattern": pattern,
        "dropout": AS_IT_IS, "out_activation": last.name if ends and last else "identity",
    }  # fmt: skip


def width_of(chain: Chain) -> int:
    """The numbers that it gives for a sample, or for each of its times; 0 where that cannot be read."""
    last = next((step for step in reversed(chain.steps) if step.kind in ("linear", "outputs")), None)
    return last.sizes[-1] if last is not None and last.sizes else 0
