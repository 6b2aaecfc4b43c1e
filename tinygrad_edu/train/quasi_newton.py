"""`fit` with L-BFGS: an epoch is one iteration of SciPy's search, which evaluates all samples once or a few times.

SciPy calls back after each iteration, and the loop of train.fit asks for epochs. So the search runs in a thread of its
own, which waits while the loop looks at an epoch: one of the two works at a time, and Ctrl-C reaches the loop alone.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Generator
from queue import SimpleQueue
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import MODES, detect_anomaly
from tinygrad_edu.errors import AnomalyError, CompileError
from tinygrad_edu.optim import LBFGS, flat
from tinygrad_edu.optim.clip import length
from tinygrad_edu.train.ending import reason
from tinygrad_edu.train.job import Job
from tinygrad_edu.train.progress_bar import Bar
from tinygrad_edu.train.stepper import Epochs, Stepper

Array = np.ndarray[Any, Any]


class NotFiniteError(ArithmeticError):
    """The loss at some weights of the search is NaN or infinite."""


class LbfgsStepper(Stepper):
    """Iterations of SciPy's search, as epochs; by operations, or by a compiled session."""

    def __init__(self, job: Job, shown: Bar, session: Any = None) -> None:
        super().__init__(job, shown)
        assert job.minimizer is not None
        self.minimizer, self.session, self.search = job.minimizer, session, FlatLoss(job, session)
        self.found: Any = None
        self.watch, self.comparison = watches(session)
        self.begin_again = False

    def epochs(self) -> Generator[Epochs, None, None]:
        """One at a time, until the search ends."""
        limit = min(self.job.settings.epochs, self.minimizer.max_iter)
        self.compare()
        self.search.begin(self.minimizer, limit - len(self.job.losses))
        while isinstance(done := self.search.results.get(), Epochs):
            self.shown.update()
            yield done
            if done.bad is not None:
                return
            if not self.begin_again:
                self.search.orders.put("go on")
            elif len(self.job.losses) == limit:
                return
            else:
                self.search, self.begin_again = FlatLoss(self.job, self.session), False
                self.search.begin(self.minimizer, limit - len(self.job.losses))
        if isinstance(done, BaseException):
            raise done
        self.found = done

    def read_again(self) -> None:
        """A search goes on from its own weights: where a callback has written others a new one begins there.

        Errors: CompileError where it changed what the program is made of.
        """
        if self.watch is not None:
            changed = self.watch.difference()
            if changed:
                raise CompileError(f"{self.watch.by} has changed {changed}")
        self.compare()
        if not np.array_equal(flat.weights(self.search.params), self.search.at):
            self.search.stop()
            self.begin_again = True
            if self.session is not None:
                self.session.read()

    def compare(self) -> None:
        """The compiled loss and gradient with the eager ones, if it is time. Errors: TakenBackError."""
        if self.comparison is not None:
            self.comparison.look()

    def confirm(self) -> None:
        """Once more at the end. Errors: TakenBackError."""
        if self.comparison is not None:
            self.search.stop()
            self.comparison.confirm()

    def settle(self) -> None:
        """The search ends, and the weights are those of the last whole iteration."""
        self.close()

    def close(self) -> None:
        """End the thread."""
        self.search.end()

    def ending(self) -> str:
        """SciPy's reason in a sentence with numbers."""
        return ending(self.job, self.minimizer, self.found)

    def bad_ending(self, order: ArrayLike) -> str:
        """Where the loss was NaN or infinite, at the weights `order`. Errors: CompileError if only the program's is."""
        if self.session is not None and self.search.finite_by_operations(np.asarray(order)):
            raise CompileError(self.session.program.why_nan)
        return not_finite_sentence(self.job, order, self.search.at)


def watches(session: Any) -> Any:
    """Looks at what callbacks change, and at what the eager way gives, for a compiled session."""
    if session is None:
        return None, None
    from tinygrad_edu.train.compiled.comparison import Comparison
    from tinygrad_edu.train.compiled.watch import watch_for

    return watch_for(session), Comparison(session)


class FlatLoss:
    """The loss as a function of one vector, evaluated by operations or by a compiled program, in a thread."""

    def __init__(self, job: Job, session: Any) -> None:
        self.job, self.session, self.params = job, session, job.optimizer.params
        self.at = self.trial = flat.weights(self.params)
        self.gradient = np.zeros_like(self.at)
        self.results: SimpleQueue[Any] = SimpleQueue()  # to the loop: Epochs, and at the end SciPy's result or an error
        self.orders: SimpleQueue[str] = SimpleQueue()  # from the loop
        self.ended, self.thread = False, threading.Thread(target=self.run, daemon=True)

    def begin(self, minimizer: LBFGS, limit: int) -> None:
        self.minimizer, self.limit, self.modes = minimizer, limit, dict(vars(MODES))
        self.thread.start()

    def end(self) -> None:
        """Come to an end at the next evaluation or iteration; the weights are those of the last whole one."""
        if self.stop():
            self.settle()

    def stop(self) -> bool:
        """Come to an end, and leave the weights as they are; False where it has not begun."""
        begun, self.ended = self.thread.ident is not None, True
        self.orders.put("end")
        if begun:
            self.thread.join()
        return begun

    def run(self) -> None:
        """The whole search, in its thread."""
        vars(MODES).update(self.modes)  # with the modes of the thread that started the search
        try:
            with np.errstate(all="ignore"):
                self.results.put(self.minimizer.search(self.evaluate, self.at, self.iteration, maxiter=self.limit))
        except NotFiniteError:
            self.results.put(Epochs([], [], [], bad=self.trial))
        except BaseException as error:
            self.results.put(error)

    def evaluate(self, x: Array) -> tuple[float, Array]:
        """Loss and gradient at x."""
        if self.ended:
            raise InterruptedError
        self.trial = x.copy()
        loss, self.gradient = self.session.loss_and_gradient(x) if self.session else self.by_operations(x)
        if not math.isfinite(loss):
            raise NotFiniteError
        return loss, self.gradient

    def by_operations(self, x: Array) -> tuple[float, Array]:
        flat.assign(self.params, x)
        self.job.optimizer.zero_grad()
        loss = self.job.batch_loss(*self.job.data)
        loss.backward()
        return float(loss.item()), flat.gradients(self.params)

    def finite_by_operations(self, x: Array) -> bool:
        """Are loss and gradient finite at x, operation by operation?"""
        with np.errstate(all="ignore"):
            loss, gradient = self.by_operations(x)
        self.settle()
        return math.isfinite(loss) and bool(np.isfinite(gradient).all())

    def iteration(self, intermediate_result: Any) -> None:
        """SciPy, which goes by the argument's name, has found better weights: an epoch. Waits for the loop."""
        x, before = intermediate_result.x.copy(), self.at
        if not np.array_equal(x, self.trial):
            self.evaluate(x)
        self.at = x
        if self.session:
            self.session.write_back()  # also writes running statistics
        flat.assign(self.params, x)
        self.results.put(Epochs([float(intermediate_result.fun)], [length(self.gradient)], [length(x - before)]))
        if self.orders.get() == "end":
            raise StopIteration

    def settle(self) -> None:
        """The weights after the last whole epoch."""
        flat.assign(self.params, self.at)
        self.job.optimizer.zero_grad()


def ending(job: Job, minimizer: LBFGS, found: Any) -> str:
    """SciPy's reason in a sentence with numbers."""
    done = len(job.losses)
    if found is None and done < job.settings.epochs:  # a callback wrote weights in the last iteration
        return f"stopped after {done} epochs: LBFGS allows max_iter={minimizer.max_iter}"
    if found is None:
        return reason(job)
    message = str(found.message)
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


def not_finite_sentence(job: Job, bad: Array, good: Array) -> str:
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
