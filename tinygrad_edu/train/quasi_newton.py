"""`fit` with L-BFGS: an epoch is one iteration of SciPy's search, which evaluates all samples once or a few times."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core.modes import detect_anomaly
from tinygrad_edu.errors import AnomalyError
from tinygrad_edu.optim import LBFGS, flat
from tinygrad_edu.optim.clip import length
from tinygrad_edu.train.ending import reason
from tinygrad_edu.train.job import Job

Array = np.ndarray[Any, Any]


class NotFiniteError(ArithmeticError):
    """The loss at some weights of the search is NaN or infinite."""


def run_minimizer(job: Job, program: Any, shown: Any) -> str:
    """All epochs; why they ended. The weights are those after the last whole one, whatever happens."""
    assert job.minimizer is not None
    search = Search(job, program, shown)
    limit = min(job.settings.epochs, job.minimizer.max_iter)
    try:
        found = job.minimizer.search(search.evaluate, search.at, search.iteration, maxiter=limit)
    except NotFiniteError:
        return not_finite(job, search.trial, search.at)
    except KeyboardInterrupt:
        return reason(job, interrupted=True)
    finally:
        search.settle()
    return ending(job, job.minimizer, found)


class Search:
    """The loss as a function of one vector, evaluated by operations or by a compiled program, and the record of it."""

    def __init__(self, job: Job, program: Any, shown: Any) -> None:
        self.job, self.shown, self.params = job, shown, job.optimizer.params
        self.course = program and program.course(job)
        self.at = self.trial = flat.weights(self.params)
        self.gradient = np.zeros_like(self.at)

    def evaluate(self, x: Array) -> tuple[float, Array]:
        """Loss and gradient at x."""
        self.trial = x.copy()
        loss, self.gradient = self.by_program(x) if self.course else self.by_operations(x)
        if not math.isfinite(loss):
            raise NotFiniteError
        return loss, self.gradient

    def by_operations(self, x: Array) -> tuple[float, Array]:
        flat.assign(self.params, x)
        self.job.optimizer.zero_grad()
        loss = self.job.batch_loss(*self.job.data)
        loss.backward()
        return float(loss.item()), flat.gradients(self.params)

    def by_program(self, x: Array) -> tuple[float, Array]:
        """One epoch of all samples in one batch, with the learning rate of the stand-in, 0."""
        return self.course.loss_and_gradient(x)  # type: ignore[no-any-return]

    def iteration(self, intermediate_result: Any) -> None:
        """SciPy, which goes by the argument's name, has found better weights: an epoch."""
        x, before = intermediate_result.x.copy(), self.at
        if not np.array_equal(x, self.trial):
            self.evaluate(x)
        self.at = x
        flat.assign(self.params, x)
        self.job.record(float(intermediate_result.fun), length(self.gradient), length(x - before))
        self.shown.update()
        if self.job.look():
            raise StopIteration

    def settle(self) -> None:
        """The weights after the last whole epoch."""
        if self.course:
            self.course.write_back()
        flat.assign(self.params, self.at)
        self.job.optimizer.zero_grad()


def ending(job: Job, minimizer: LBFGS, found: Any) -> str:
    """SciPy's reason in a sentence with numbers."""
    done, message = len(job.losses), str(found.message)
    if found.status == 99:
        return reason(job, stopped=True)
    if found.status == 1 and done == job.settings.epochs:
        return reason(job)
    if "PGTOL" in message:
        return f"converged after {done} epochs: no entry of the gradient is larger than {minimizer.tol:g}"
    if "FACTR" in message:
        return f"converged after {done} epochs: the loss fell by less than 2.2e-9 of itself"
    if found.status == 1:
        limits = f"{found.nfev} evaluations; LBFGS allows max_iter={minimizer.max_iter}, max_fun={minimizer.max_fun}"
        return f"stopped after {done} epochs and {limits}"
    return f"stopped after {done} epochs: the line search found no lower loss (SciPy: {message})"


def not_finite(job: Job, bad: Array, good: Array) -> str:
    """The sentence for a loss that is NaN or infinite, with the operation that made it so."""
    done, where, params = len(job.losses), "", job.optimizer.params
    flat.assign(params, bad)
    try:
        with detect_anomaly(), np.errstate(all="ignore"):
            job.batch_loss(*job.data).backward()
    except AnomalyError as error:
        where = f", where {error}"
    flat.assign(params, good)
    return (
        f"stopped in epoch {done + 1}: the loss became NaN or infinite{where}; the model is as after epoch {done}; "
        "scale the inputs, or start from smaller weights"
    )
