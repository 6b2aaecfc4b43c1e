"""Training by sgd and adam: scikit-learn's order of samples and stopping rules, in compiled blocks of epochs."""

from __future__ import annotations

import math
import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import is_classifier
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import train_test_split

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.backend.blas_threads import for_product
from tinygrad_edu.estimators import messages, rules
from tinygrad_edu.estimators.memory import NO_WORDS, WEIGHTLESS, Array, Memory, flat, parts
from tinygrad_edu.estimators.network import SCHEDULES, SOLVERS, program
from tinygrad_edu.estimators.shuffling import Words

ORDERS = 500_000  # samples to shuffle for in one block


@dataclass
class Optimizer:
    """The solver's settings, as they were when it began, and its progress, which `partial_fit` takes up."""

    solver: str
    settings: dict[str, float]
    schedule: str
    learning_rate: float
    moments: Array
    t: int = 0

    @classmethod
    def of(cls, model: Any, weights: int, dtype: Any) -> Optimizer:
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

    def kept(self, memory: Memory) -> None:
        """Where the run has got to."""
        self.moments, self.t, self.learning_rate = memory.moments.copy(), int(memory["t"]), float(memory["lr"])
        if self.solver == "adam" and self.t:
            b1, b2 = self.settings["beta_1"], self.settings["beta_2"]
            self.learning_rate = self.settings["lr_init"] * math.sqrt(1.0 - b2**self.t) / (1.0 - b1**self.t)


class Training:
    """One call of fit or partial_fit."""

    def __init__(self, model: Any, X: Any, Y: Array, weight: Array | None, incremental: bool) -> None:
        self.model, self.incremental = model, incremental
        weights = sum(w.size for w in [*model.coefs_, *model.intercepts_])
        if not incremental or not hasattr(model, "_optimizer"):
            model._optimizer = Optimizer.of(model, weights, X.dtype)
        if model.early_stopping and incremental:
            raise ValueError(messages.PARTIAL_EARLY)
        self.held: Any = None
        if model.early_stopping:
            (X, Y, weight), self.held = checked_split(model, X, Y, weight)
        self.epochs = 1 if incremental else model.max_iter
        self.memory = Memory(X, Y, weight, model._layers(), batch_size(model, Y.shape[0]), model._extras())
        self.samples = len(Y)
        self.set_up(model, model._optimizer)

    def set_up(self, model: Any, optimizer: Optimizer) -> None:
        memory = self.memory
        memory.weights[:] = flat(model.coefs_, model.intercepts_)
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
        """All epochs, or as far as the stopping rules or Ctrl-C let it get."""
        model = self.model
        model.n_iter_, ended = 0, False
        # scikit-learn restores its best weights as the arrays themselves: a second fit (warm_start) writes over them,
        # so that without a new best score it ends with the last weights. The same numbers here.
        shared, best = model.coefs_ is model._best_coefs, model._best_coefs
        model.coefs_, model.intercepts_ = parts(self.memory.weights, self.memory.shapes)
        try:
            with for_product(self.memory.product):
                while not ended and model.n_iter_ < self.epochs:
                    ended = self.block()
            if not (ended or self.incremental):
                warnings.warn(messages.not_converged(model), ConvergenceWarning, stacklevel=6)
        except KeyboardInterrupt:
            warnings.warn(messages.interrupted(model), stacklevel=6)
        finally:
            model._optimizer.kept(self.memory)
            model.coefs_, model.intercepts_ = parts(self.memory.weights.copy(), self.memory.shapes)
        if self.held:
            if shared and model._best_coefs is best:
                model._best_coefs, model._best_intercepts = model.coefs_, model.intercepts_
            model.coefs_, model.intercepts_ = model._best_coefs, model._best_intercepts

    def block(self) -> bool:
        """Some epochs; True if a stopping rule has ended the run."""
        model, memory = self.model, self.memory
        left = self.epochs - model.n_iter_
        count = 1 if self.held or model.callbacks else min(left, max(1, ORDERS // self.samples))
        curves = np.zeros((4, count))
        memory.update(epoch=0, word=0, begin=0)
        if not model.shuffle:
            return self.epochs_of(curves, NO_WORDS)
        with Words(model._random_state, self.samples, count) as drawn:
            try:
                return self.epochs_of(curves, drawn.words)
            finally:
                drawn.used = int(memory["word"])

    def epochs_of(self, curves: Array, words: Array) -> bool:
        """Call the program until the block is done; record after each call."""
        done, event = 0, 0
        arguments = self.memory.arguments(words, curves)
        while done < curves.shape[1] and event not in (1, 2):
            cache.called(self.code, *arguments)
            now = int(self.memory["epoch"])
            if curves[3, min(now, curves.shape[1] - 1)] == WEIGHTLESS:
                raise ZeroDivisionError(self.weightless(now - done + 1))
            for epoch in range(done, now) if self.held or self.model.verbose or self.model.callbacks else ():
                event = self.after_epoch(curves[:, epoch], epoch)
            if now > done and not (self.held or self.model.verbose or self.model.callbacks):
                self.record(curves[:, done:now])
                event = int(curves[3, now - 1])
            done = now
        return event in (1, 2)

    def weightless(self, epochs: int) -> str:
        begin, size = int(self.memory["begin"]), int(self.memory["batch"])
        return messages.weightless(self.model.n_iter_ + epochs, begin, size, self.samples)

    def record(self, curves: Array) -> None:
        """What the epochs have brought."""
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
        """What is done after each single epoch, where there is something: say it, score, tell the callbacks."""
        model = self.model
        self.record(curve[:, None])
        if model.verbose:
            print(f"Iteration {model.n_iter_}, loss = {model.loss_:.8f}")
        event, rate = int(curve[3]), float(curve[2])
        if self.held:
            event, rate = self.scored(rate)
        if model.verbose and event:
            print(messages.event(model, event, rate))
        stopped = [callback(model) for callback in model.callbacks or ()]
        return 1 if any(found is True for found in stopped) else event

    def scored(self, rate: float) -> tuple[int, float]:
        """The stopping rule with the score of the samples that were held out."""
        model, (X, Y, weight) = self.model, self.held
        score, loss = model._scored(X, Y, weight)
        model.validation_scores_.append(score)
        if model.validation_curve:
            model.validation_loss_curve_.append(loss)
        if model.verbose:
            print(f"Validation score: {score:f}")
        if score > model.best_validation_score_:
            model._best_coefs, model._best_intercepts = parts(self.memory.weights.copy(), self.memory.shapes)
        names = ("samples", "tol", "schedule", "lr_init", "power_t")
        settings = {name: self.memory[name] for name in names}
        record, failures, rate, event = rules.end_of_epoch(
            score, model.best_validation_score_, model._no_improvement_count, rate,
            patience=model.n_iter_no_change, **settings,
        )  # fmt: skip
        model.best_validation_score_, model._no_improvement_count = record, int(failures)
        self.memory.update(lr=rate)
        return int(event), rate


def batch_size(model: Any, samples: int) -> int:
    """How many samples a step takes."""
    if model.batch_size == "auto":
        return min(200, samples)
    if model.batch_size > samples:
        warnings.warn(messages.clipped_batch(model.batch_size, samples), stacklevel=7)
    return int(np.clip(model.batch_size, 1, samples))


def checked_split(model: Any, X: Any, Y: Any, weight: Any) -> tuple[Any, Any]:
    """Samples to learn from, and samples to score with: each (X, Y, weight).

    Errors: ValueError where fewer than 2 would be held out.
    """
    given = [X, Y] if weight is None else [X, Y, weight]
    split = train_test_split(
        *given, random_state=model._random_state, test_size=model.validation_fraction,
        stratify=Y if is_classifier(model) and Y.shape[1] == 1 else None,
    )  # fmt: skip
    parts = [*split[::2], None], [*split[1::2], None]
    if parts[1][0].shape[0] < 2:
        raise ValueError(messages.small_validation(X.shape[0], parts[1][0].shape[0]))
    return parts[0][:3], parts[1][:3]
