"""What else a training in PyTorch or Keras was told: weights of classes, validation, callbacks, schedules, groups."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts import penalties
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.interop import rates
from tinygrad_edu.interop.chain import Chain, Form
from tinygrad_edu.interop.training import OPTIONS
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import needs_gradient
from tinygrad_edu.optim import schedules

Array = np.ndarray[Any, Any]
How = Mapping[str, Any]
HARMLESS = (  # callbacks that only watch
    "History", "CSVLogger", "ModelCheckpoint", "TensorBoard", "ProgbarLogger", "BackupAndRestore", "TerminateOnNaN",
    "TqdmCallback", "RemoteMonitor",
)  # fmt: skip


@dataclass
class Extra:
    """fields: of a Setup; terms: how many times the mean of ours the loss is; held_out: samples that were not trained
    on; losses, validation, rates: the curves that are known; notes: what is not repeated."""

    fields: dict[str, Any] = field(default_factory=dict)
    terms: float = 1.0
    held_out: tuple[Array, Array] | None = None
    losses: Array = field(default_factory=lambda: np.empty(0))
    validation: Array = field(default_factory=lambda: np.empty(0))
    rates: Array = field(default_factory=lambda: np.empty(0))
    notes: tuple[str, ...] = ()

    def weigh(self, weight: Array, counted: bool) -> None:
        """Give each sample a weight; counted: the loss is divided by the number of samples, not by that of weights."""
        self.fields["weights"] = weight
        self.terms *= float(weight.mean()) if counted else 1.0


# class weights


def labels_of(y: Array) -> Array:
    """The class of each sample: of numbers, of 0 and 1 in a column, of one-hot rows."""
    return np.asarray(y.argmax(axis=1) if y.ndim == 2 and y.shape[1] > 1 else y.reshape(-1))


def class_weights(given: Any, y: Array) -> Array:
    """Keras' class_weight as a weight for each sample; a class that it leaves out counts 1. Errors: SettingError."""
    if not isinstance(given, Mapping):
        raise SettingError(f"class_weight={given!r:.60}: a dict is needed, as Keras takes it: {{0: 1.0, 1: 5.0}}")
    labels, weight = labels_of(y), np.ones(len(y))
    for label, each in given.items():
        weight[labels == label] = float(each)
    return weight


def weights_of_torch_loss(loss: Any, y: Array) -> tuple[Array | None, bool]:
    """(a weight for each sample, is their sum divided by the number of samples?) of a torch loss; None without weights.

    Errors: SettingError for what has no counterpart.
    """
    name = type(loss).__name__
    if getattr(loss, "label_smoothing", 0.0):
        raise SettingError(f"{name}(label_smoothing={loss.label_smoothing}) has no counterpart")
    positive, weight = getattr(loss, "pos_weight", None), getattr(loss, "weight", None)
    if positive is not None and positive.numel() == 1 and weight is None and y.size == len(y):
        return np.where(y.reshape(-1) > 0.5, float(positive), 1.0), True
    if weight is not None and positive is None and name in ("CrossEntropyLoss", "NLLLoss"):
        counted = loss.reduction == "sum"  # "mean" divides by the sum of the weights, "sum" does not
        return weight.detach().cpu().numpy().astype(float)[labels_of(y).astype(int)], counted
    if positive is not None or weight is not None:
        raise SettingError(
            f"{name} with weights: only a weight for each class, or a pos_weight of one output, has a counterpart"
        )
    return None, False


# held-out samples


def without_held_out(X: Array, y: Array, validation: Any) -> tuple[Array, Array, tuple[Array, Array] | None]:
    """(X, y) of the training and those of the validation: a pair, or the last share of the samples, as Keras takes it.

    Errors: SettingError, ShapeError.
    """
    if validation is None:
        return X, y, None
    if isinstance(validation, (int, float)) and not isinstance(validation, bool):
        kept = int(len(X) * (1.0 - float(validation)))
        if not 0 < kept < len(X):
            raise SettingError(f"validation={validation}: of {len(X)} samples some have to be on each side")
        return X[:kept], y[:kept], (X[kept:], y[kept:])
    if not isinstance(validation, (tuple, list)) or len(validation) != 2:
        raise SettingError(
            "validation= takes what fit was given: validation_data as (X, y), or the share validation_split"
        )
    held = as_array(validation[0]), as_array(validation[1])
    if held[0].shape[1:] != X.shape[1:] or len(held[0]) != len(held[1]):
        raise ShapeError(f"validation has the shapes {held[0].shape} and {held[1].shape}, and X {X.shape}")
    return X, y, held


def as_array(data: Samples) -> Array:
    """Tensors of other libraries as arrays."""
    if hasattr(data, "detach"):
        data = data.detach().cpu().numpy()
    array = np.asarray(data)
    return array if array.dtype.kind in "iub" else array.astype(float)


# Keras


def of_keras(model: Model, how: How, y: Array, held_out: Any, kind: str, lr: float) -> Extra:
    """The arguments of `model.fit` and what its history holds. kind: our name of its optimizer; lr: its rate."""
    extra = Extra(held_out=held_out)
    history = getattr(getattr(model, "history", None), "history", None) or {}
    extra.losses, extra.validation = (np.array(history.get(name, ()), dtype=float) for name in ("loss", "val_loss"))
    if how.get("class_weight") is not None:
        extra.weigh(class_weights(how["class_weight"], y), counted=True)
    extra.rates = np.array(history.get("learning_rate") or history.get("lr") or (), dtype=float)
    first = float(extra.rates[0]) if extra.rates.size else lr
    for callback in how.get("callbacks") or ():
        name = type(callback).__name__
        if name in CALLBACKS:
            CALLBACKS[name](extra, callback, how, first, len(y))
        elif name not in HARMLESS:
            extra.notes += (f"the callback {name}, which is not repeated",)
    if penalties.has_penalty(model):
        extra.losses = np.empty(0)  # they include the penalty
    extra.notes += tuple(penalties.notes_of(model, kind))
    return extra


def early_stopping(extra: Extra, callback: Any, how: How, lr: float, samples: int) -> None:
    """keras.callbacks.EarlyStopping as patience, and min_delta."""
    extra.fields |= {
        "patience": max(1, int(callback.patience)), "tol": 0.0, "validated": watches_held_out(extra, callback),
        "min_delta": abs(float(getattr(callback, "min_delta", 0.0))),
        "restores": bool(getattr(callback, "restore_best_weights", False)),
    }  # fmt: skip
    if getattr(callback, "start_from_epoch", 0) or getattr(callback, "baseline", None) is not None:
        extra.notes += ("start_from_epoch and baseline of EarlyStopping, which are not repeated",)


def watches_held_out(extra: Extra, callback: Any) -> bool:
    """Does it look at what was held out? Of measures other than the loss, the loss is looked at instead."""
    monitor, kind = str(callback.monitor), type(callback).__name__
    held = monitor.startswith("val_")
    if held and extra.held_out is None:
        raise SettingError(
            f"{kind}(monitor={monitor!r}): give validation= too, fit's validation_data, (X, y), or its validation_split"
        )
    if monitor.removeprefix("val_") != "loss":
        extra.notes += (f"monitor={monitor!r} of {kind}: the loss is looked at instead",)
    return held


def read_plateau(extra: Extra, callback: Any, how: How, lr: float, samples: int) -> None:
    """keras.callbacks.ReduceLROnPlateau, which waits for one epoch less than ours."""
    extra.fields |= {"validated": extra.fields.get("validated", False) or watches_held_out(extra, callback)}
    extra.fields["lr"] = schedules.reduce_on_plateau(
        lr, float(callback.factor), max(0, int(callback.patience) - 1), 0.0, int(callback.cooldown),
        float(callback.min_lr),
    )  # fmt: skip


def scheduler(extra: Extra, callback: Any, how: How, lr: float, samples: int) -> None:
    """keras.callbacks.LearningRateScheduler: the rates that the history has, else those of its function."""
    batches = -(-samples // int(how["batch_size"]))
    if extra.rates.size:
        extra.fields["lr"] = rates.of_table("LearningRateScheduler", extra.rates, batches)
    else:
        extra.fields["lr"] = rates.by_epoch(callback.schedule, lr, int(how["epochs"]), batches)


CALLBACKS = {"EarlyStopping": early_stopping, "ReduceLROnPlateau": read_plateau, "LearningRateScheduler": scheduler}


def read_losses(extra: Extra, history: Any, epochs: int) -> None:
    """The curves of a history that was handed over, where it has a row for each epoch."""
    if history is None:
        return
    if len(history.losses) != epochs:
        extra.notes += (f"its history, which has {len(history.losses)} rows, and the training {epochs} epochs",)
        return
    extra.losses = history.losses
    extra.validation = history.validation if len(history.validation) == epochs else extra.validation


# PyTorch


def of_torch(how: How, y: Array, held_out: Any) -> Extra:
    """The sample weights in torch's loss, and the scheduler of its optimizer."""
    extra = Extra(held_out=held_out)
    weight, counted = weights_of_torch_loss(how["loss"], y)
    if weight is not None:
        extra.weigh(weight, counted)
    epochs, batch = int(how["epochs"]), how.get("batch_size") or len(y)
    if how.get("scheduler") is not None:
        extra.fields["lr"] = rates.of_torch(how["scheduler"], epochs, -(-len(y) // int(batch)), how.get("lr"))
        extra.fields["validated"] = bool(extra.fields["lr"].follows_loss and held_out)
        return extra
    group = next(iter(getattr(how["optimizer"], "param_groups", [{}])))
    first = group.get("initial_lr", group.get("lr"))
    if how.get("lr") is None and first is not None and first != group["lr"]:
        raise SettingError(
            f"the optimizer began with the rate {first:g} and has {group['lr']:g} now: give scheduler= too, the object "
            "of torch.optim.lr_scheduler"
        )
    return extra


def groups_of(optimizer: Any, chain: Chain, model: Module, form: Form | None, kind: str) -> dict[str, Any]:
    """The groups of parameters of a torch optimizer as fields of a Setup; none where there is one."""
    groups: Sequence[Mapping[str, Any]] = getattr(optimizer, "param_groups", ())
    if len(groups) < 2 or all(group_settings(group, kind) == group_settings(groups[0], kind) for group in groups):
        return {}
    ids, names = (
        dict(torch_parameters(chain, form)),
        [name for name, p in model.named_parameters() if needs_gradient(p)],
    )
    members = tuple(
        tuple(i for i, name in enumerate(names) if ids.get(name) in {id(p) for p in group["params"]})
        for group in groups
    )
    if sorted(i for each in members for i in each) != list(range(len(names))):
        raise SettingError(
            "the groups of the optimizer's parameters do not fit the layers: some are in none, or in two"
        )
    pairs = [(group, each) for group, each in zip(groups, members, strict=True) if each]
    told = tuple({"params": len(each), **group_settings(group, kind)} for group, each in pairs)
    return {"groups": told, "members": tuple(each for _, each in pairs)}


def group_settings(group: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A group's settings by our names, with the rate that it began with."""
    found = {ours: group[theirs] for theirs, ours in OPTIONS[kind] if theirs in group}
    return {"lr": float(group.get("initial_lr", group["lr"])), **found}


def torch_parameters(chain: Chain, form: Form | None) -> Iterator[tuple[str, int]]:
    """(a parameter of the network made of the chain, which parameter of torch it is)."""
    if form is None:
        rows = [("layers", i, step) for i, step in enumerate(chain.steps)]
    else:
        rows = [("layers", i, step) for i, step in enumerate(form.layers)]
        rows += [("norms", i, step) for i, step in enumerate(form.norms)]
    for place, i, step in rows:
        yield from ((f"{place}.{i}.{name}", number) for name, number in step.sources.items())
