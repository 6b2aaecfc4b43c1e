"""One call of `fit`: its settings, checked, and what has happened so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.data.batching import orders
from tinygrad_edu.errors import SettingError, ShapeError
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import LBFGS, SGD, Optimizer
from tinygrad_edu.train import samples
from tinygrad_edu.train.progress import Curve, Progress
from tinygrad_edu.train.recipe import Loss, Recipe, Settings

Array = np.ndarray[Any, Any]
AT_A_TIME = 1_000_000  # sample numbers drawn together


@dataclass
class Job:
    """A training run: what it works on, and its progress. Callbacks are called with it.

    `data`: X, y and, where they are given, the weights of the samples; `chances`: the weights, where samples are drawn
    by them. `minimizer`: L-BFGS, where it is asked for; `optimizer` is then a stand-in that changes nothing.
    """

    model: Module
    optimizer: Optimizer
    settings: Settings
    data: tuple[Array, ...]
    held_out: tuple[Array, Array] | None
    loss: Loss
    chances: Array | None = None
    minimizer: LBFGS | None = None
    how: str = ""  # which way it goes, and why
    ending: str = ""  # the sentence of the record
    steps_made: list[int] = field(default_factory=list)  # by the optimizer, at the end
    start: Mapping[str, Array] = field(default_factory=dict)  # the weights before the first epoch, for the clinic
    keeps_start: bool = True
    ranks: Any = None  # the train.ranks.Ranks among which batches are split

    def __post_init__(self) -> None:
        self.start = self.start or (self.model.state_dict() if self.keeps_start else {})
        self.progress = Progress(self.settings.tol, self.settings.patience)
        self.batch_size = min(self.settings.batch_size or len(self.data[0]), len(self.data[0]))

    @property
    def recipe(self) -> Recipe:
        """How it is trained, with the optimizer as it is now."""
        return Recipe.of(self.settings, self.minimizer or self.optimizer)

    @property
    def losses(self) -> Curve:
        """The mean loss of each whole epoch so far."""
        return self.progress.losses

    @property
    def samples(self) -> int:
        return len(self.data[0])

    @property
    def batches(self) -> int:
        """Updates in an epoch."""
        return -(-self.samples // self.batch_size)

    @property
    def steps(self) -> int:
        """Updates in all epochs."""
        return self.settings.epochs * self.batches

    @property
    def left(self) -> int:
        """Epochs that are still to be done."""
        return self.settings.epochs - len(self.losses)

    @property
    def watched(self) -> bool:
        """Has Python to look after every epoch?"""
        s = self.settings
        follows = any(schedule.follows_loss for schedule in self.optimizer.schedules)
        return bool(self.held_out or s.callbacks or follows or self.minimizer)

    @property
    def compiled(self) -> bool:
        """Does it go as compiled code?"""
        return self.how.startswith("compiled")

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
        if how in (False, "given") or (self.batch_size == self.samples and self.chances is None):
            return np.empty((count, 0), dtype=np.int64)
        return orders(self.data[1], count, how if isinstance(how, str) else "shuffled", rng, self.chances)

    def batch_loss(self, *batch: ArrayLike) -> Any:
        """The loss of a batch (x, y) or (x, y, weights)."""
        weight = {"sample_weight": batch[2]} if len(batch) > 2 else {}
        output = self.model(batch[0])
        if isinstance(output, tuple) and isinstance(self.loss, losses.Loss):
            raise ShapeError(
                "the model returns a tuple, as recurrent layers return (outputs, state): train it by fit_online, or "
                "choose one, such as nn.Sequential(layer, nn.last_output, nn.Linear(...))"
            )
        return self.loss(output, batch[1], **weight)

    def look(self, measured: Callable[[], None] = lambda: None) -> bool:
        """What is done after an epoch that Python watches: True if it was the last one. measured: before callbacks."""
        self.measure()
        self.progress.pending = bool(self.settings.callbacks)
        measured()
        return self.call_back()

    def call_back(self) -> bool:
        """All callbacks of the last epoch: True if it was the last one."""
        for callback in self.settings.callbacks:
            if callback(self):
                self.progress.pending = False
                self.progress.callback_reason = (
                    f"stopped after {len(self.losses)} epochs by {getattr(callback, '__name__', callback)}"
                )
                return True
        self.progress.pending = False
        return self.progress.stopped

    def measure(self) -> None:
        """Validation and what goes by the loss, once for each epoch."""
        if self.progress.seen == self.progress.epochs:
            return
        watched = self.losses[-1] if self.held_out is None else self.validate(*self.held_out)
        self.progress.seen = self.progress.epochs
        for schedule in self.optimizer.schedules:
            schedule.observe(watched)
        self.progress.observe(watched)

    def validate(self, X: Array, y: Array) -> float:
        """The loss of what was held out; the best state so far is kept where the run may stop early."""
        training, progress = self.model.training, self.progress
        with no_grad():
            loss = float(self.loss(self.model.eval()(X), y).item())
        self.model.train(training)
        progress.validation.append(loss)
        if self.settings.patience and (progress.best is None or loss < progress.best[0]):
            progress.best = (loss, progress.epochs, self.model.state_dict())
        return loss

    def refuse_indices(self) -> None:
        """The error of the layer that takes an index which is out of range, if one does."""
        training = self.model.training
        try:
            with no_grad():
                self.model.eval()(self.data[0])
        finally:
            self.model.train(training)

    def restore_best(self) -> str:
        """The best weights by validation, if the last ones are others; says so."""
        progress = self.progress
        if progress.best is None or progress.best[1] == progress.epochs:
            return ""
        if progress.last is None:
            progress.last = self.model.state_dict()
        loss, epoch, state = progress.best
        self.model.load_state_dict(state)
        return f"; the weights are those of epoch {epoch}, the best by validation ({loss:.4g})"

    def go_on(self) -> None:
        """Back to the weights after the last epoch, where those of the best one were restored."""
        if self.progress.last is not None:
            self.model.load_state_dict(self.progress.last)
            self.progress.last = None


def job_like(first: Job, model: Module, optimizer: Optimizer, settings: Settings) -> Job:
    """The same task with another model of the same kind, whose data have been checked; the clinic never sees it."""
    refuse_other_parameters(model, optimizer)
    return Job(model, optimizer, settings, first.data, first.held_out, first.loss, first.chances, keeps_start=False)


def job_of(model: Module, X: Samples, y: Samples, optimizer: Optimizer | LBFGS, settings: Settings) -> Job:
    """The data checked against model and settings. Errors: ShapeError, DtypeError, SettingError."""
    loss = losses.find(settings.loss)
    if not samples.as_array(X, "X").size:
        raise SettingError("samples=0: there is nothing to train on")
    data: tuple[Array, ...] = samples.pair(model, loss, X, y)
    held_out = chances = minimizer = None
    if isinstance(settings.validation, (int, float)):
        data, held_out = split(data, settings)
    elif settings.validation is not None:
        held_out = samples.pair(model, loss, *two(settings.validation))
    if settings.sample_weight is not None:
        if isinstance(settings.validation, (int, float)):
            raise SettingError("validation as a share does not go with sample_weight: split the samples yourself")
        weights = samples.weights(settings.sample_weight, data[0], samples.dtype_of(model))
        data, chances = (data, weights.astype(float)) if settings.drawn else ((*data, weights), None)
    refuse_other_parameters(model, optimizer)
    if isinstance(optimizer, LBFGS):
        refuse_for_lbfgs(model, settings, len(data[0]))
        minimizer, optimizer = optimizer, SGD(optimizer.params, lr=0.0)
    return Job(model, optimizer, settings, data, held_out, loss, chances, minimizer)


def refuse_other_parameters(model: Module, optimizer: Optimizer | LBFGS) -> None:
    """An optimizer of another model would train nothing, and the loss would stand still."""
    own = {id(p) for p in model.parameters()}
    if not any(id(p) in own for p in optimizer.params):
        raise SettingError(
            f"the optimizer holds none of this model's parameters: {type(optimizer).__name__} was made of another "
            f"model, perhaps of one that had the same name. Make it again: optim.{type(optimizer).__name__}"
            "(model.parameters())"
        )


def note_of_parts(job: Job) -> str:
    """Says so where the optimizer holds some of the parameters only, as it does where layers are frozen."""
    held, own = {id(p) for p in job.optimizer.params}, job.model.parameters()
    count = sum(id(p) in held for p in own)
    if count == len(own):
        return ""
    return f"; the optimizer holds {count} of the model's {len(own)} parameters, the others stay as they are"


def two(validation: Samples) -> Any:
    if not (isinstance(validation, (tuple, list)) and len(validation) == 2):
        raise SettingError(f"validation={validation!r:.40}: (X, y), or a share of the samples, is needed")
    return validation


def refuse_for_lbfgs(model: Module, settings: Settings, n: int) -> None:
    """It goes by one function of the weights: that of all samples, without chance, and by its exact gradient."""
    why = "L-BFGS compares losses at several weights, which have to be of the same samples"
    if settings.batch_size is not None and settings.batch_size < n:
        raise SettingError(f"batch_size={settings.batch_size} of {n} samples: {why}; leave batch_size out")
    if settings.drawn:
        raise SettingError(f'shuffle="weighted" draws new samples for each epoch: {why}; leave shuffle out')
    for name in ("clip_norm", "clip_value"):
        if getattr(settings, name) is not None:
            raise SettingError(f"{name}={getattr(settings, name)!r}: L-BFGS needs the gradient as it is")
    if any(getattr(module, "p", 0.0) for _, module in model.named_modules() if isinstance(module, Dropout)):
        raise SettingError("Dropout draws other units for each evaluation, and L-BFGS needs one loss: use p=0, or Adam")


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
