"""One call of `fit`: its settings, checked, and what has happened so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import numpy as np

from tinygrad_edu.compile.user_code import is_own_class
from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.core.losses.targets import mark_checked
from tinygrad_edu.core.modes import MODES, no_grad
from tinygrad_edu.core.transforms.depth import inside_loss
from tinygrad_edu.data.batching import orders
from tinygrad_edu.errors import NonScalarBackwardError, SettingError, ShapeError
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.module import Module, all_numbers, with_weights
from tinygrad_edu.nn.parameters import trained
from tinygrad_edu.optim import LBFGS, SGD, Optimizer
from tinygrad_edu.train import samples
from tinygrad_edu.train.batch_class import class_of_batch
from tinygrad_edu.train.copied import copy_job
from tinygrad_edu.train.kept_by_callbacks import states_of
from tinygrad_edu.train.model_form import form_of
from tinygrad_edu.train.one_thread import calling_back
from tinygrad_edu.train.own_code import as_class, for_own_code, runs_own_code
from tinygrad_edu.train.progress import Curve, Progress
from tinygrad_edu.train.recipe import Loss, Recipe, Settings
from tinygrad_edu.train.seeds import seed_layers
from tinygrad_edu.train.set_by_callbacks import Begun
from tinygrad_edu.train.stopping import ends_run

Array = np.ndarray[Any, Any]
AT_A_TIME = 1_000_000  # sample indices drawn at a time


@dataclass
class Job:
    """A training run: its model, data and progress. Callbacks are called with it.

    `data`: X, y and, if given, the sample weights; `chances`: the weights, if samples are drawn by them. `minimizer`:
    L-BFGS, if it is asked for; `optimizer` is then a stand-in that changes nothing.
    """

    model: Module
    optimizer: Optimizer
    settings: Settings
    data: tuple[Array, ...]
    held_out: tuple[Array, Array] | None
    loss: Loss
    chances: Array | None = None
    minimizer: LBFGS | None = None
    how: str = ""  # how it is trained (compiled or eager), and why
    ending: str = ""  # the sentence in the record that says why the run ended
    steps_made: list[int] = field(default_factory=list)  # each parameter's number of updates when the run ended
    start: Mapping[str, Array] = field(default_factory=dict)  # weights before the first epoch, for the clinic
    keeps_start: bool = True
    mixed: bool = False  # does the optimizer lack some of the model's parameters, and hold others?
    written: bool = False  # have callbacks changed weights, rates or other settings?
    before: Any = None  # what callbacks of the user's own may change in place, before they first ran: see changed.py
    tells_loss: bool = True  # is its file to hold the present loss of a batch? see first_batch.py
    note: str = ""  # what `how` says besides
    first: Any = None  # the FirstBatch of the run, where an eager step has told it
    evaluated: Sequence[str] = ()  # modules that were in evaluation mode when the run ended
    ranks: Any = None  # a train.ranks.Ranks if batches are split among processes

    def __post_init__(self) -> None:
        self.start = self.start or (all_numbers(self.model) if self.keeps_start else {})
        self.form = form_of(self.model) if self.keeps_start else {}  # classes and plain attributes of its modules
        self.kept = states_of(self.settings.callbacks)  # what callbacks keep at the start
        self.trained = trained_flags(self.optimizer)  # which of its parameters need a gradient, at the start
        self.progress = Progress(self.settings.tol, self.settings.patience)
        self.sizes: list[tuple[int, int]] = []  # batch sizes over time: (epochs done when it was set, samples)
        self.batch_size = min(self.settings.batch_size or len(self.data[0]), len(self.data[0]))
        self.begun = Begun(self.optimizer, self.settings, self.batch_size)

    __deepcopy__ = copy_job

    # Does code of the user's own take part? Asked when it is needed: it goes through all modules.
    own_code = cached_property(lambda job: runs_own_code(job.model, job.loss))
    array_class = cached_property(lambda job: class_of_batch(job.model, job.loss))  # of the arrays that it gets

    @property
    def batch_size(self) -> int:
        """The samples of one update; a callback may set it for the epochs that follow."""
        return self.sizes[-1][1]

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self.sizes.append((len(self.losses), size))

    @property
    def roots(self) -> dict[str, Any]:
        """The code that a step runs, which may be the user's own: an optimizer's too, where its class is."""
        own = {"optimizer": type(self.optimizer)} if is_own_class(type(self.optimizer)) else {}
        return {"model": self.model, "loss": self.loss, **own}

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
        """The number of epochs left."""
        return self.settings.epochs - len(self.losses)

    @property
    def watched(self) -> bool:
        """Does Python have to act after every epoch?"""
        s = self.settings
        follows = any(schedule.follows_loss for schedule in self.optimizer.schedules)
        return bool(self.held_out or s.callbacks or follows or self.minimizer)

    @property
    def compiled(self) -> bool:
        """Is it trained as compiled code?"""
        return self.how.startswith("compiled")

    def generator(self) -> np.random.Generator:
        """The random generator for the orders of the remaining epochs."""
        rng, done = np.random.default_rng(self.settings.seed), 0
        for (_, size), (end, _) in zip(self.sizes, [*self.sizes[1:], (len(self.losses), 0)], strict=True):
            while done < end:
                done += len(self.orders(rng, end - done, size))
        return rng

    def orders(self, rng: np.random.Generator, count: int, batch_size: int | None = None) -> Array:
        """The order of the samples in each of the next epochs; the same however many are drawn at a time.

        (epochs, 0) if the samples are taken in turn, as also for all samples in one batch.
        """
        count = min(count, max(1, AT_A_TIME // self.samples))
        how = self.settings.shuffle
        in_turn = (batch_size or self.batch_size) == self.samples and self.chances is None
        if how in (False, "given") or in_turn:
            return np.empty((count, 0), dtype=np.int64)
        return orders(self.data[1], count, how if isinstance(how, str) else "shuffled", rng, self.chances)

    def batch_loss(self, *batch: ArrayLike) -> Any:
        """The loss of a batch (x, y) or (x, y, weights)."""
        if any(isinstance(a, np.ndarray) and (a.base is not None or a is self.data[0]) for a in batch):
            batch = for_own_code(self.model, self.loss, *batch)
        elif self.own_code:
            batch = as_class(self.array_class, batch)
        weight = {"sample_weight": batch[2]} if len(batch) > 2 else {}
        with inside_loss():
            output = self.model(batch[0])
            if isinstance(output, tuple) and isinstance(self.loss, losses.Loss):
                raise ShapeError(
                    "the model returns a tuple, as recurrent layers return (outputs, state): train it with fit_online, "
                    "or select one output, as in nn.Sequential(layer, nn.last_output, nn.Linear(...))"
                )
            target = mark_checked(batch[1]) if isinstance(self.loss, losses.Loss) else batch[1]
            return with_backward(self.loss(output, target, **weight))

    def look(self, measured: Callable[[], None] = lambda: None) -> bool:
        """The work after an epoch that Python watches: True if it was the last one. measured: before callbacks."""
        self.measure()
        self.progress.pending, self.progress.called = bool(self.settings.callbacks), 0
        measured()
        return self.call_back()

    def call_back(self) -> bool:
        """All callbacks of the last epoch that have not run yet: True if it was the last one."""
        for callback in self.settings.callbacks[self.progress.called :]:
            self.progress.called += 1
            with calling_back():
                found = callback(self)
            if ends_run(found, callback):
                self.progress.pending = False
                self.progress.callback_reason = (
                    f"stopped after {len(self.losses)} epochs by {getattr(callback, '__name__', callback)}"
                )
                return True
        self.progress.pending = False
        return self.progress.stopped

    def measure(self) -> None:
        """Validation, and what depends on the loss, once for each epoch."""
        if self.progress.seen == self.progress.epochs:
            return
        watched = self.losses[-1] if self.held_out is None else self.validate(*self.held_out)
        self.progress.seen = self.progress.epochs
        for schedule in self.optimizer.schedules:
            schedule.observe(watched)
        self.progress.observe(watched)

    def validate(self, X: Array, y: Array) -> float:
        """The loss of the held-out samples; keeps the best state so far if the run may stop early."""
        progress, (X, y) = self.progress, for_own_code(self.model, self.loss, X, y)
        with modes_kept(self.model), no_grad():
            loss = float(self.loss(self.model.eval()(X), y).item())
        progress.validation.append(loss)
        if self.settings.patience and (progress.best is None or loss < progress.best[0]):
            progress.best = (loss, progress.epochs, all_numbers(self.model))
        return loss

    def refuse_indices(self) -> None:
        """Raise the error of a layer that gets an index out of range, if there is one."""
        with modes_kept(self.model), no_grad():
            self.model.eval()(*for_own_code(self.model, self.loss, self.data[0]))

    def go_on(self) -> bool:
        """Go back to the weights after the last epoch, if those of the best one were restored; True if they were."""
        if self.progress.last is None:
            return False
        self.model.load_state_dict(self.progress.last)
        self.progress.last = None
        return True


NOTHING_TO_TRAIN = "all parameters of the optimizer are frozen (requires_grad=False): nothing is left to train"


def trained_flags(optimizer: Optimizer) -> list[bool]:
    """Which of its parameters need a gradient; the others stay as they are."""
    return [getattr(p, "requires_grad", True) for p in optimizer.params]


def job_like(first: Job, model: Module, optimizer: Optimizer, settings: Settings) -> Job:
    """The same task with another model of the same kind, without checks of the data; the clinic never sees it."""
    refuse_other_parameters(model, optimizer)
    return Job(model, optimizer, settings, first.data, first.held_out, first.loss, first.chances, keeps_start=False)


def with_backward(loss: ArrayLike) -> Any:
    """The loss itself. Errors: SettingError if it is None or a number without a graph, NonScalarBackwardError."""
    if not hasattr(loss, "backward"):
        found = "None: is a `return` missing?" if loss is None else f"{loss!r:.60}, a plain {type(loss).__name__}"
        fix = "" if loss is None else ": return the Tensor itself, without float(), .item(), .data or .detach()"
        raise SettingError(f"the loss returned {found}{fix}")
    if getattr(loss, "size", 1) != 1:
        raise NonScalarBackwardError(
            f"the loss returned shape {loss.shape}: it has to be one number for the batch. Return its mean, as in "
            "((p - t) ** 2).mean()"
        )
    return loss


def job_of(
    model: Module, X: Samples, y: Samples, optimizer: Optimizer | LBFGS, settings: Settings, seeded: bool = False
) -> Job:
    """The data checked against model and settings. Errors: ShapeError, DtypeError, SettingError.

    seeded: do layers that were made without a generator get one of this seed?
    """
    if not MODES.recording:
        raise SettingError("no_grad is on: training needs gradients. Call fit outside of the block")
    inside, _ = with_weights(model)  # raises if a lazy layer has had no input
    loss = losses.find(settings.loss)
    if not (given := samples.as_sample_array(X, "X")).size:
        empty = f"X is of shape {given.shape}" if len(given) else "samples=0"
        raise SettingError(f"{empty}: there is nothing to train on")
    data: tuple[Array, ...] = samples.samples_and_targets(model, loss, X, y)
    held_out = chances = minimizer = None
    if isinstance(settings.validation, (int, float)):
        data, held_out = samples.hold_out(data, settings)
    elif settings.validation is not None:
        held_out = samples.held_out_as(
            data, samples.samples_and_targets(model, loss, *samples.validation_pair(settings.validation, X))
        )
    if settings.sample_weight is not None:
        if isinstance(settings.validation, (int, float)):
            raise SettingError("validation as a share does not go with sample_weight: split the samples yourself")
        samples.check_takes_weights(loss, settings.drawn)
        weights = samples.check_weights(settings.sample_weight, data[0], samples.dtype_of_parameters(model))
        data, chances = (data, weights.astype(float)) if settings.drawn else ((*data, weights), None)
    mixed = refuse_other_parameters(model, optimizer)
    if isinstance(optimizer, LBFGS):
        refuse_for_lbfgs(model, settings, len(data[0]))
        minimizer, optimizer = optimizer, SGD(optimizer.params, lr=0.0)
    if seeded:
        seed_layers([module for _, module in inside], settings.seed)
    optimizer.forget_other_runs()
    return Job(model, optimizer, settings, data, held_out, loss, chances, minimizer, mixed=mixed)


def refuse_other_parameters(model: Module, optimizer: Optimizer | LBFGS) -> bool:
    """Refuse an optimizer of another model: it would train nothing, and the loss would not move.

    Does it hold some of the model's parameters, and others that are not the model's?
    """
    every, held = model.parameters(), {id(p) for p in optimizer.params}
    if held.isdisjoint(map(id, every)):
        raise SettingError(
            f"the optimizer holds none of this model's parameters: {type(optimizer).__name__} was made for another "
            f"model, perhaps an earlier one of the same name. Make it again: optim.{type(optimizer).__name__}"
            "(model.parameters())"
        )
    own = {id(p) for p in trained(every)}
    return not (own <= held or held <= own)


def note_of_parts(job: Job) -> str:
    """A note if the optimizer holds only some of the parameters that are not frozen."""
    held, own = {id(p) for p in job.optimizer.params}, trained(job.model.parameters())
    count = sum(id(p) in held for p in own)
    if count == len(own):
        return job.note
    return f"{job.note}; the optimizer holds {count} of the model's {len(own)} parameters; the others are not trained"


def refuse_for_lbfgs(model: Module, settings: Settings, n: int) -> None:
    """Check L-BFGS's needs: one function of the weights, of all samples, not random, and its exact gradient."""
    why = "L-BFGS compares losses at several weights, so the samples have to be the same"
    if settings.batch_size is not None and settings.batch_size < n:
        raise SettingError(f"batch_size={settings.batch_size} of {n} samples: {why}; leave batch_size out")
    if settings.drawn:
        raise SettingError(f'shuffle="weighted" draws new samples for each epoch: {why}; leave shuffle out')
    for name in ("clip_norm", "clip_value"):
        if getattr(settings, name) is not None:
            raise SettingError(f"{name}={getattr(settings, name)!r}: L-BFGS needs the unchanged gradient")
    if any(getattr(module, "p", 0.0) for _, module in model.named_modules() if isinstance(module, Dropout)):
        raise SettingError(
            "Dropout drops other units in each evaluation, but L-BFGS needs a loss that stays the same: use p=0, or "
            "Adam"
        )
