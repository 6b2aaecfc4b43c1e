"""One call of `fit`: its settings, checked, and what has happened so far."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.data.batching import ORDERS, orders
from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import Optimizer
from tinygrad_edu.train import samples
from tinygrad_edu.train.stopping import stopping, stops

Array = np.ndarray[Any, Any]
Loss = Callable[..., Any]
AT_A_TIME = 1_000_000  # sample numbers drawn together


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `fit` is told besides model, data and optimizer.

    loss: a name from nn.losses or a function of output and target; cross_entropy also takes y as class numbers
    (samples,). batch_size: all samples by default. shuffle: a new order each epoch from `seed`, or one of the orders of
    data.batches by name; of all samples in one batch the order is left as it is.
    tol: stop when the loss of an epoch differs from the one before by at most tol of it; with patience=k, when it has
    not improved by more than tol of the best one for k epochs in a row. validation: (X, y), or a share of the samples
    to hold out; its loss is then what the rule looks at, and the best weights by it are restored. sample_weight: one
    for each sample. clip_norm: the length that gradients are scaled down to. callbacks: called with the Job after each
    epoch; one that returns True ends the run. progress: a bar (by default in a terminal). accurate: compiled exp, tanh,
    log as the C library has them, for the last digits (the compiler's own are within 3 units in the last place, and
    several times as fast).
    Errors: SettingError, NameNotFoundError for what is out of range or not known.
    """

    loss: str | Loss
    epochs: int
    batch_size: int | None = None
    shuffle: bool | str = True
    seed: int = 0
    tol: float | None = None
    patience: int | None = None
    validation: Any = None
    sample_weight: Any = None
    clip_norm: float | None = None
    callbacks: Sequence[Callable[[Any], Any]] = ()
    progress: bool | None = None
    accurate: bool = False

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "patience"):
            number = getattr(self, name)
            if not (isinstance(number, (int, np.integer)) and number > 0) and (number is not None or name == "epochs"):
                raise SettingError(f"{name}={number!r}: a whole number above 0 is needed")
        if self.clip_norm is not None and not 0.0 < self.clip_norm < np.inf:
            raise SettingError(f"clip_norm={self.clip_norm!r}: a length above 0 is needed")
        if isinstance(self.shuffle, str) and self.shuffle not in WAYS:
            raise unknown_name("order", self.shuffle, WAYS)


WAYS = [name for name in ORDERS if name != "weighted"]  # drawing by weight is what sample_weight stands for here


@dataclass
class Job:
    """A training run: what it works on, and its record so far.

    `data`: X, y and, where they are given, the weights of the samples. `losses`, `norms`, `changes`, `validation`: a
    number for each whole epoch.
    """

    model: Module
    optimizer: Optimizer
    settings: Settings
    data: tuple[Array, ...]
    held_out: tuple[Array, Array] | None
    loss: Loss
    losses: list[float] = field(default_factory=list)
    norms: list[float] = field(default_factory=list)
    changes: list[float] = field(default_factory=list)
    validation: list[float] = field(default_factory=list)
    best: Any = None  # (loss, epoch, state) of the best epoch by validation
    ended: str = ""  # why, where a callback or the stopping rule has ended it

    def __post_init__(self) -> None:
        self.stopping = stopping(self.settings.tol, self.settings.patience)
        self.batch_size = min(self.settings.batch_size or len(self.data[0]), len(self.data[0]))

    @property
    def samples(self) -> int:
        return len(self.data[0])

    @property
    def steps(self) -> int:
        """Updates in all epochs."""
        return self.settings.epochs * -(-self.samples // self.batch_size)

    @property
    def left(self) -> int:
        """Epochs that are still to be done."""
        return self.settings.epochs - len(self.losses)

    @property
    def watched(self) -> bool:
        """Has Python to look after every epoch?"""
        s = self.settings
        return bool(self.held_out or s.callbacks or self.optimizer.schedule.follows_loss)

    @property
    def rule(self) -> bool:
        """Is there a rule that may end it early?"""
        return self.settings.tol is not None or self.settings.patience is not None

    def generator(self) -> np.random.Generator:
        """What the orders of the epochs that are still to be done are drawn from."""
        rng, done = np.random.default_rng(self.settings.seed), len(self.losses)
        while done:
            done -= len(self.orders(rng, done))
        return rng

    def orders(self, rng: np.random.Generator, count: int) -> Array:
        """The order of the samples in each of the next epochs; the same however many are drawn at a time.

        No columns where the samples are taken in turn; that order does for all of them in one batch too.
        """
        count = min(count, max(1, AT_A_TIME // self.samples))
        how = self.settings.shuffle
        if how in (False, "given") or self.batch_size == self.samples:
            return np.empty((count, 0), dtype=np.int64)
        return orders(self.data[1], count, how if isinstance(how, str) else "shuffled", rng)

    def batch_loss(self, *batch: Any) -> Any:
        """The loss of a batch (x, y) or (x, y, weights)."""
        weight = {"sample_weight": batch[2]} if len(batch) > 2 else {}
        return self.loss(self.model(batch[0]), batch[1], **weight)

    def record(self, loss: float, norm: float, change: float) -> None:
        """One more whole epoch."""
        self.losses.append(loss)
        self.norms.append(norm)
        self.changes.append(change)

    def look(self) -> bool:
        """What is done after an epoch that Python watches: True if it was the last one."""
        watched = self.losses[-1] if self.held_out is None else self.validate(*self.held_out)
        self.optimizer.schedule.observe(watched)
        for callback in self.settings.callbacks:
            if callback(self):
                self.ended = f"stopped after {len(self.losses)} epochs by {getattr(callback, '__name__', callback)}"
                return True
        return self.rule and bool(stops(self.stopping, watched))

    def validate(self, X: Array, y: Array) -> float:
        """The loss of what was held out; the best state so far is kept where the run may stop early."""
        training = self.model.training
        with no_grad():
            loss = float(self.loss(self.model.eval()(X), y).item())
        self.model.train(training)
        self.validation.append(loss)
        if self.settings.patience and (self.best is None or loss < self.best[0]):
            self.best = (loss, len(self.losses), self.model.state_dict())
        return loss

    def restore_best(self) -> str:
        """The best weights by validation, if the last ones are others; says so."""
        if self.best is None or self.best[1] == len(self.losses):
            return ""
        self.model.load_state_dict(self.best[2])
        return f"; the weights are those of epoch {self.best[1]}, the best by validation ({self.best[0]:.4g})"

    def config(self) -> Mapping[str, Any]:
        """The settings, for the record."""
        s, o = self.settings, self.optimizer
        names = ("loss", "epochs", "shuffle", "seed", "tol", "patience", "clip_norm")
        rate = o.lr if o.schedule.kind == "constant" else o.schedule
        return {
            "optimizer": type(o).__name__, "lr": rate, **o.settings, "batch_size": self.batch_size,
            **{name: getattr(s, name) for name in names},
        }  # fmt: skip


def job_of(model: Module, X: Any, y: Any, optimizer: Optimizer, settings: Settings) -> Job:
    """The data checked against model and settings. Errors: ShapeError, DtypeError, SettingError."""
    loss = losses.find(settings.loss)
    if not np.size(getattr(X, "array", X)):
        raise SettingError("samples=0: there is nothing to train on")
    data: tuple[Array, ...] = samples.pair(model, loss, X, y)
    held_out = None
    if isinstance(settings.validation, (int, float)):
        data, held_out = split(data, settings)
    elif settings.validation is not None:
        held_out = samples.pair(model, loss, *settings.validation)
    if settings.sample_weight is not None:
        if held_out is not None and isinstance(settings.validation, (int, float)):
            raise SettingError("validation as a share does not go with sample_weight: split the samples yourself")
        data = (*data, samples.weights(settings.sample_weight, data[0], samples.dtype_of(model)))
    return Job(model, optimizer, settings, data, held_out, loss)


def split(data: tuple[Array, ...], settings: Settings) -> Any:
    """A share of the samples, drawn from the seed, held out for validation."""
    share, n = float(settings.validation), len(data[0])
    count = round(share * n)
    if not 0 < count < n:
        raise SettingError(
            f"validation={share:g} of {n} samples holds out {count}: at least one has to be on each side"
        )
    drawn = np.random.default_rng([settings.seed, 2]).permutation(n)
    kept, out = np.sort(drawn[count:]), np.sort(drawn[:count])
    return tuple(np.ascontiguousarray(a[kept]) for a in data), tuple(a[out] for a in data)


def progress_shown(settings: Settings) -> bool:
    return sys.stderr.isatty() if settings.progress is None else settings.progress
