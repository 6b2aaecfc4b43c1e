"""Training by sgd and adam: scikit-learn's order of samples and stopping rules, in compiled blocks of epochs."""

from __future__ import annotations

import copy
import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.backend.team_threads import for_training
from tinygrad_edu.core.aliases import ArrayLike, Dtype, Samples
from tinygrad_edu.estimators import callbacks, general, messages, rules
from tinygrad_edu.estimators.aliases import Estimator
from tinygrad_edu.estimators.memory import NO_WORDS, WEIGHTLESS, Array, Memory, join_arrays, parts
from tinygrad_edu.estimators.network import SCHEDULES, SOLVERS, program
from tinygrad_edu.estimators.shuffling import RandomWords

ORDERS = 500_000  # samples to shuffle for in one block


@dataclass
class SolverState:
    """The solver's settings, as they were at the start, and its progress, from which `partial_fit` continues."""

    solver: str
    settings: dict[str, float]
    schedule: str
    learning_rate: float
    moments: Array
    t: int = 0

    @classmethod
    def of(cls, model: Estimator, weights: int, dtype: Dtype) -> SolverState:
        """A new one."""
        sgd = model.solver == "sgd"
        rate = float(model.learning_rate_init)
        settings = {
            "lr_init": rate, "momentum": model.momentum, "power_t": model.power_t,
            "beta_1": model.beta_1, "beta_2": model.beta_2, "epsilon": model.epsilon,
        }  # fmt: skip
        solver = "nesterov" if sgd and model.nesterovs_momentum else model.solver
        schedule = model.learning_rate if sgd else "constant"
        return cls(solver, settings, schedule, rate, np.zeros((2, weights), dtype))

    def keep(self, memory: Memory) -> None:
        """The progress of the run."""
        self.moments, self.t, self.learning_rate = memory.moments.copy(), int(memory["t"]), float(memory["lr"])
        if self.solver == "adam" and self.t:
            b1, b2 = self.settings["beta_1"], self.settings["beta_2"]
            self.learning_rate = self.settings["lr_init"] * math.sqrt(1.0 - b2**self.t) / (1.0 - b1**self.t)


class StochasticTraining:
    """One call of fit or partial_fit."""

    def __init__(
        self,
        model: Estimator,
        X: Samples,
        Y: Array,
        weight: Array | None,
        incremental: bool,
        validation: Samples = None,
    ) -> None:
        self.model, self.incremental, self.validation = model, incremental, validation
        X, Y, weight = self.split(X, Y, weight)
        self.epochs, self.samples, self.data = 1 if incremental else model.max_iter, len(Y), (X, Y)
        self.prepare(X, Y, weight)

    def split(self, X: Samples, Y: Array, weight: Array | None) -> tuple[Any, Array, Array | None]:
        """The samples to train on, and `held`, those whose score decides when to stop, given or held out."""
        model = self.model
        self.held: Any = self.validation if model.early_stopping else None
        if not model.early_stopping or self.held:
            return X, Y, weight
        if self.incremental:
            raise ValueError(messages.PARTIAL_EARLY)
        (X, Y, weight), self.held = split_samples(model, X, Y, weight)
        return X, Y, weight

    def prepare(self, X: Samples, Y: Array, weight: Array | None) -> None:
        """The memory of the compiled program."""
        model = self.model
        weights = sum(w.size for w in [*model.coefs_, *model.intercepts_])
        if not self.incremental or not hasattr(model, "_optimizer"):
            model._optimizer = SolverState.of(model, weights, X.dtype)
        self.memory: Any = Memory(X, Y, weight, model._layers(), batch_size(model, Y.shape[0]), model._extras())
        self.set_up(model, model._optimizer)

    def set_up(self, model: Estimator, optimizer: SolverState) -> None:
        memory = self.memory
        memory.weights[:] = join_arrays(model.coefs_, model.intercepts_)
        memory.moments[:] = optimizer.moments
        patience = math.inf if self.held else model.n_iter_no_change
        record = -math.inf if self.held else -model.best_loss_
        memory.update(
            alpha=model.alpha, tol=model.tol, patience=patience, record=record, failures=model._no_improvement_count,
            loss=model._loss_code(), solver=SOLVERS[optimizer.solver], schedule=SCHEDULES[optimizer.schedule],
            gathered=int(model.shuffle), samples=model.t_, t=optimizer.t, lr=optimizer.settings["lr_init"],
            **optimizer.settings,
        )  # fmt: skip
        if optimizer.solver != "adam":
            memory.update(lr=optimizer.learning_rate)
        extras = model._extras()
        self.code = program(str(memory.memory.dtype), extras).run
        if extras:
            memory.update(clip_norm=math.inf if model.clip_norm is None else model.clip_norm, dropout=model.dropout)
        if model.dropout:
            memory.update(draw=model._random_state.randint(2**31))

    def run(self) -> None:
        """Run all epochs, or until a stopping rule or Ctrl-C ends it."""
        model = self.model
        model.n_iter_, ended = 0, False
        # scikit-learn restores its best weights as the arrays themselves: a second fit (warm_start) overwrites them,
        # so that without a new best score it ends with the last weights. The same numbers here.
        shared, best = model.coefs_ is model._best_coefs, model._best_coefs
        model.coefs_, model.intercepts_ = parts(self.memory.weights, self.memory.shapes)
        try:
            with for_training(self.memory.product, self.epochs * self.samples // int(self.memory["batch"])):
                while not ended and model.n_iter_ < self.epochs:
                    ended = self.block()
            self.finish(ended)
        except KeyboardInterrupt:
            warnings.warn(messages.interruption(model), stacklevel=messages.callers())
        finally:
            model._optimizer.keep(self.memory)
            model.coefs_, model.intercepts_ = parts(self.memory.weights.copy(), self.memory.shapes)
        if self.held and not self.incremental:
            if shared and model._best_coefs is best:
                model._best_coefs, model._best_intercepts = model.coefs_, model.intercepts_
            model.coefs_, model.intercepts_ = model._best_coefs, model._best_intercepts

    @property
    def each_epoch(self) -> bool:
        """Is there something to do after every epoch?"""
        model = self.model
        return bool(self.validation or self.held or model.callbacks or callbacks.listen(model)) or (
            model.stop_loss is not None
        )

    def finish(self, ended: bool) -> None:
        """Warn that all epochs were not enough; for partial_fit, note that the score has not improved for too long."""
        model = self.model
        if self.incremental:
            model.stopped_ = bool(ended)
            if ended and self.held:
                self.memory.weights[:] = join_arrays(model._best_coefs, model._best_intercepts)
        elif not ended:
            warnings.warn(messages.not_converged(model), ConvergenceWarning, stacklevel=messages.callers())

    def block(self) -> bool:
        """Run some epochs; True if a stopping rule has ended the run."""
        model, memory = self.model, self.memory
        left = self.epochs - model.n_iter_
        count = 1 if self.each_epoch else min(left, max(1, ORDERS // self.samples))
        curves = np.zeros((4, count))
        callbacks.epoch_begins(model, *self.data)
        memory.update(epoch=0, word=0, begin=0)
        if not model.shuffle:
            return self.epochs_of(curves, NO_WORDS)
        last = count == left and isinstance(model.random_state, int)  # each call seeds such a generator anew
        with RandomWords(model._random_state, self.samples, count, last) as drawn:
            try:
                return self.epochs_of(curves, drawn.words)
            finally:
                drawn.used = int(memory["word"])

    def epochs_of(self, curves: Array, words: Array) -> bool:
        """Call the program until the block is done; record after each call."""
        done, event = 0, 0
        arguments = self.memory.arguments(words, curves)
        while done < curves.shape[1] and event not in (1, 2):
            cache.call_first(self.code, *arguments)
            now = int(self.memory["epoch"])
            if curves[3, min(now, curves.shape[1] - 1)] == WEIGHTLESS:
                raise ZeroDivisionError(self.weightless(now - done + 1))
            looked = self.each_epoch or self.model.verbose
            for epoch in range(done, now) if looked else ():
                event = self.after_epoch(curves[:, epoch], epoch)
            if now > done and not looked:
                self.record(curves[:, done:now])
                event = int(curves[3, now - 1])
            done = now
        return event in (1, 2)

    def weightless(self, epochs: int) -> str:
        begin, size = int(self.memory["begin"]), int(self.memory["batch"])
        return messages.weightless(self.model.n_iter_ + epochs, begin, size, self.samples)

    def record(self, curves: Array) -> None:
        """Record the results of the epochs."""
        model, count = self.model, curves.shape[1]
        model.n_iter_ += count
        model.t_ += count * self.samples
        model.loss_curve_ += curves[0].tolist()
        model.gradient_norms_ += curves[1].tolist()
        model.loss_ = model.loss_curve_[-1]
        if not self.held:
            model.best_loss_ = -float(self.memory["record"])
            model._no_improvement_count = int(self.memory["failures"])

    def after_epoch(self, curve: Array, epoch: int) -> int:
        """The work after an epoch, if there is any: print, score, call the callbacks."""
        model = self.model
        self.record(curve[:, None])
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        event, rate = int(curve[3]), float(curve[2])
        if self.held:
            event, rate = self.score_epoch(rate)
        elif self.validation:
            self.score(self.validation)
        if model.verbose and event:
            print(messages.event(model, event, rate))
        if model.stop_loss is not None and model.loss_ <= model.stop_loss:
            event = 1
        stopped = [callback(model) for callback in model.callbacks or ()]
        stopped.append(callbacks.epoch_ended(model, *self.data))
        return 1 if any(found is True for found in stopped) else event

    def score(self, held: Any) -> float:
        """Record the score of samples that are not trained on."""
        model = self.model
        score, loss = model._score_held_out(*held)
        model.validation_scores_ = [*(model.validation_scores_ or []), score]
        if model.validation_curve:
            model.validation_loss_curve_.append(loss)
        if model.verbose:
            print(f"Validation score: {score:f}")
        return float(score)

    def keep_best(self) -> None:
        """Keep the current weights, to restore at the end."""
        model = self.model
        model._best_coefs, model._best_intercepts = parts(self.memory.weights.copy(), self.memory.shapes)

    def score_epoch(self, rate: float) -> tuple[int, float]:
        """The stopping rule based on the score of the held-out samples."""
        model = self.model
        score = self.score(self.held)
        if score > model.best_validation_score_:
            self.keep_best()
        names = ("samples", "tol", "schedule", "lr_init", "power_t")
        settings = {name: self.memory[name] for name in names}
        record, failures, rate, event = rules.end_of_epoch(
            score, model.best_validation_score_, model._no_improvement_count, rate,
            patience=model.n_iter_no_change, **settings,
        )  # fmt: skip
        model.best_validation_score_, model._no_improvement_count = record, int(failures)
        self.memory.update(lr=rate)
        return int(event), rate


def batch_size(model: Estimator, samples: int) -> int:
    """The number of samples in a step."""
    if model.batch_size == "auto":
        return min(200, samples)
    if model.batch_size > samples:
        warnings.warn(messages.batch_size_note(model.batch_size, samples), stacklevel=messages.callers())
    return int(np.clip(model.batch_size, 1, samples))


def split_samples(model: Estimator, X: Samples, Y: Any, weight: ArrayLike) -> tuple[Any, Any]:
    """Samples to train on, and samples to score: each (X, Y, weight).

    Errors: ValueError if fewer than 2 would be held out, or none that has a weight.
    """
    given = [X, Y] if weight is None else [X, Y, weight]
    split = train_test_split(
        *given, random_state=model._random_state, test_size=model.validation_fraction,
        stratify=Y if is_classifier(model) and Y.shape[1] == 1 else None,
    )  # fmt: skip
    parts = [*split[::2], None], [*split[1::2], None]
    if problem := messages.of_held_out(X.shape[0], *parts[1][:3:2]):
        raise ValueError(problem)
    return parts[0][:3], parts[1][:3]


class Numbers(dict[str, float]):
    """The named numbers of a run without a compiled program; `weights` is a vector to write back."""

    weights: Array


class GeneralTraining(StochasticTraining):
    """Training for features beyond the compiled program: see general.py."""

    def prepare(self, X: Samples, Y: Array, weight: Array | None) -> None:
        """Tensors, and an optimizer of the table."""
        model = self.model
        self.course = general.GeneralEpochs(model, X, Y, weight, batch_size(model, Y.shape[0]), self.incremental)
        schedule = model.learning_rate if model.solver == "sgd" and self.course.rate is None else "constant"
        self.memory = Numbers(
            record=-math.inf if self.held else -model.best_loss_, failures=model._no_improvement_count,
            lr=self.course.lr, samples=model.t_, tol=model.tol, schedule=SCHEDULES[schedule],
            patience=math.inf if self.held else model.n_iter_no_change, lr_init=model.learning_rate_init,
            power_t=model.power_t,
        )  # fmt: skip

    def run(self) -> None:
        """Run all epochs, or until a stopping rule or Ctrl-C ends it."""
        model, ended = self.model, False
        model.n_iter_ = 0
        try:
            while not ended and model.n_iter_ < self.epochs:
                ended = self.epoch()
            self.finish(ended)
        except KeyboardInterrupt:
            warnings.warn(messages.interruption(model), stacklevel=messages.callers())
        finally:
            model.coefs_, model.intercepts_ = self.course.network.arrays()
            model._rate = self.memory["lr"]
        if self.held and (ended or not self.incremental):
            model.coefs_, model.intercepts_ = model._best_coefs, model._best_intercepts
            model.norms_ = model._best_norms

    def epoch(self) -> bool:
        """One epoch; True if it was the last."""
        model, memory = self.model, self.memory
        callbacks.epoch_begins(model, *self.data)
        self.course.lr = memory["lr"]
        try:
            loss, norm = self.course.epoch()
        except ZeroDivisionError as error:
            raise ZeroDivisionError(messages.weightless(model.n_iter_ + 1, 0, error.args[0], self.samples)) from None
        model.coefs_, model.intercepts_ = self.course.network.arrays()
        memory["samples"] += self.samples
        names = ("record", "failures", "lr", "samples", "tol", "patience", "schedule", "lr_init", "power_t")
        found = rules.end_of_epoch(-loss, *(memory[name] for name in names))
        memory["record"], memory["failures"], memory["lr"], event = found
        return self.after_epoch(np.array([loss, norm, memory["lr"], event]), model.n_iter_) in (1, 2)

    def keep_best(self) -> None:
        model = self.model
        model._best_coefs, model._best_intercepts = self.course.network.arrays()
        model._best_norms = copy.deepcopy(model.norms_)

    def finish(self, ended: bool) -> None:
        if self.incremental:
            self.model.stopped_ = bool(ended)
        else:
            super().finish(ended)
