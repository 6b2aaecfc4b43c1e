"""`fit_online`: a recurrent model on one series, in time order, with an update after every step."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tinygrad_edu import interrupts
from tinygrad_edu.checks import one_of, whole
from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.core.aliases import Samples
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CompileError, SettingError, ShapeError, TraceError, first_line
from tinygrad_edu.names import LossName, OptimizerName
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.layer_modes import modes_kept
from tinygrad_edu.nn.sequence import Recurrent, detach
from tinygrad_edu.optim import Optimizer, optimizer_for
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.config import describe_model
from tinygrad_edu.train.eager import gradient_norm
from tinygrad_edu.train.job import refuse_other_parameters
from tinygrad_edu.train.kept_in_python import KeptInPython
from tinygrad_edu.train.one_thread import claim, release
from tinygrad_edu.train.own_code import runs_own_code
from tinygrad_edu.train.recipe import Plan, Recipe
from tinygrad_edu.train.run import Run
from tinygrad_edu.train.samples import as_samples
from tinygrad_edu.train.samples import check_targets as checked_targets
from tinygrad_edu.train.snapshot import Snapshot, for_certain

Array = np.ndarray[Any, Any]
Loss = Callable[[Any, Any], Any]
# updates: 5 s if done eagerly (Elman 5-5-1: 0.5 ms each), while compiling a new program takes 2 to 3 s
COMPILE_FROM = 10_000


@dataclass
class Series:
    """One call of `fit_online`, its settings checked."""

    model: Recurrent
    X: Array
    y: Array
    loss: Loss
    optimizer: Optimizer
    epochs: int
    steps: int

    @property
    def roots(self) -> dict[str, Any]:
        """The code that a step runs, which may be the user's own."""
        return {"model": self.model, "loss": self.loss}

    @property
    def updates(self) -> int:
        return self.epochs * -(-len(self.X) // self.steps)

    def one_epoch(self, times: int) -> float:
        """One pass over the first times of the series, operation by operation; the mean loss."""
        return eager_epoch(replace(self, X=self.X[:times], y=self.y[:times]))


@check_arguments
def fit_online(
    model: Recurrent,
    X: Samples,
    y: Samples,
    *,
    loss: LossName | Loss,
    optimizer: OptimizerName | Optimizer | Callable[[Any], Optimizer],
    epochs: int,
    steps: int = 1,
    compiled: bool | str = "auto",
) -> Run:
    """Train a recurrent model in place on one series X (time, features), y (time, outputs), and record the run.

    Every epoch goes through the series in order, from the model's initial state. After every `steps` time steps the
    weights are updated from their mean loss, and the state is carried on as plain numbers. With Elman, steps=1 and SGD
    this is RSNNS's `elman`; with horizon=None and the whole series as `steps`, backpropagation through time.
    model: a recurrent model whose call returns (outputs, state).
    X: the inputs in order of time, (time, features).
    y: the targets, (time, outputs).
    loss: the name of a loss in nn.losses, or a function of output and target.
    optimizer: one for this model's parameters, its name, or a function of them.
    epochs: how often training goes through the series.
    steps: the number of time steps between two updates; 1.
    compiled: True, False, or "auto", which compiles long runs; only steps=1 on the tensor back end can be compiled.
    A run that meets NaN stops, with the model as after the last whole epoch. `loss_curve` is the mean loss per time.
    Errors: SettingError, ShapeError, DtypeError for bad arguments; TraceError if compiled=True is not possible.

    >>> from tinygrad_edu import nn, optim
    >>> X, y = np.sin(np.arange(30.0))[:, None], np.sin(np.arange(1.0, 31.0))[:, None]
    >>> model = nn.Elman(1, 4, 1, seed=1)
    >>> run = fit_online(model, X, y, loss="mse", optimizer=optim.SGD(model.parameters(), lr=0.1), epochs=20)
    >>> bool(run.loss_curve[-1] < 0.5 * run.loss_curve[0])
    True
    """
    checked_optimizer = optimizer_for(optimizer, model.parameters()) if isinstance(model, Recurrent) else optimizer
    job = check_series(model, X, y, loss, checked_optimizer, epochs, steps)
    claimed: list[int] = []
    try:
        claim(model.parameters(), claimed)
        with modes_kept(model):
            model.train()
            return train_series(job, epochs, steps, compiled)
    finally:
        for_certain(lambda: release(claimed))


@interrupts.Passed()
def train_series(job: Series, epochs: int, steps: int, compiled: bool | str) -> Run:
    """Train it, compiled if that is asked for or pays."""
    model = job.model
    program, how = choose_way(job, compiled)
    start = Snapshot(model, job.optimizer)
    try:
        done, reason = record_run(job, program.blocks(job) if program else eager_blocks(job))
    except CompileError as error:
        for_certain(start.restore)
        if compiled is True:
            raise
        how = f"eager: {error}"
        done, reason = record_run(job, eager_blocks(job))
    losses, norms = np.array(done).reshape(-1, 2).T.copy()
    recipe = Recipe.of(Plan(loss=job.loss, epochs=epochs), job.optimizer)
    config = {**describe_model(model), **recipe.stepping, "epochs": epochs, "steps": steps}
    return Run(losses, norms, reason, how, model, config)


def check_series(
    model: Recurrent, X: Samples, y: Samples, loss: LossName | Loss, optimizer: Any, epochs: int, steps: int
) -> Series:
    """The settings, checked. Errors: SettingError, ShapeError, DtypeError."""
    if not isinstance(model, Recurrent):
        raise SettingError(
            f"fit_online trains a recurrent layer, such as nn.Elman, not {type(model).__name__}: use tg.fit"
        )
    if not isinstance(optimizer, Optimizer):
        raise SettingError(
            f"fit_online trains with steps of an optimizer, not with {type(optimizer).__name__}: use SGD"
        )
    refuse_other_parameters(model, optimizer)
    function = losses.find(loss)
    inputs, targets = (
        as_samples(X, "X", np.dtype(float)),
        checked_targets(as_samples(y, "y", np.dtype(float)), function),
    )
    if inputs.ndim != 2 or inputs.shape[1] != model.in_features:
        raise ShapeError(
            f"X has shape {inputs.shape}: {inputs.shape[1]} features at each time, but the model takes "
            f"{model.in_features} features"
        )
    if len(inputs) != len(targets):
        raise ShapeError(f"X has {len(inputs)} time steps, but y has {len(targets)}: each time step needs one target")
    for name, n in (("times", len(inputs)), ("epochs", epochs), ("steps", steps)):
        whole(name, n)
    return Series(model, inputs, targets, function, optimizer, epochs, min(steps, len(inputs)))


def choose_way(job: Series, compiled: bool | str) -> tuple[Any, str]:
    """(the compiled program or None, which way the run goes and why)."""
    one_of("compiled", compiled, (True, False, "auto"))
    if compiled is False:
        return None, "eager: asked for"
    if compiled is True:
        return program_or_error(job), "compiled: asked for"
    if job.updates < COMPILE_FROM:
        return None, f"eager: {job.updates:,} updates: too little to be worth compiling"
    try:
        return program_for(job), f"compiled: {job.updates:,} updates"
    except Exception as error:  # anything that cannot be traced
        return None, f"eager: {first_line(error)}"


def program_or_error(job: Series) -> Any:
    """The compiled form. Errors: the one of the eager way, if one time gives one, else TraceError."""
    try:
        return program_for(job)
    except TraceError:
        raise
    except Exception as error:
        before = Snapshot(job.model, job.optimizer)
        try:
            output, _ = job.model(job.X[:1], None)
            job.loss(output, job.y[:1]).backward()
        finally:
            job.optimizer.zero_grad()
            before.restore()
        raise TraceError(f"compiled=True: {first_line(error)}. With compiled=False it trains") from error


def program_for(job: Series) -> Any:
    """The compiled form of this job; Numba is loaded here, not before. Errors: TraceError if it cannot be compiled."""
    if reason := compiler.missing():
        raise TraceError(f"{reason}: nothing can be compiled")
    if job.steps > 1:
        raise TraceError(f"steps={job.steps}: only an update after every single time can be compiled")
    if not all(isinstance(p, Tensor) for p in job.model.parameters()):
        raise TraceError('compiled=True needs a model with backend="tensor"')
    if getattr(job.model, "levels", None) is not None:
        raise TraceError(
            f"this {type(job.model).__name__} has several layers or directions: a program of fit_online holds one"
        )
    from tinygrad_edu.train.compiled.online import trace_series

    return trace_series(job)


def eager_blocks(job: Series) -> Iterator[list[tuple[float, float]]]:
    """(mean loss, length of the last gradient) of epoch after epoch."""
    for _ in range(job.epochs):
        yield [(eager_epoch(job), gradient_norm(job.optimizer.params))]


def eager_epoch(job: Series) -> float:
    """One pass over the series."""
    state, total, own = None, 0.0, runs_own_code(job.model, job.loss)
    for start in range(0, len(job.X), job.steps):
        times = slice(start, start + job.steps)
        job.optimizer.zero_grad()
        x, y = (array[times].copy() if own else array[times] for array in (job.X, job.y))
        output, state = job.model(x, state)
        loss = job.loss(output, y)
        loss.backward()
        job.optimizer.step()
        state = detach(state)
        total += float(loss.item()) * len(x)
    return total / len(job.X)


class WholeSeries:
    """Model and optimizer after so many whole epochs, and what the user's own code keeps in Python."""

    def __init__(self, job: Series, kept: KeptInPython | None, epochs: int) -> None:
        self.snapshot, self.epochs = Snapshot(job.model, job.optimizer), epochs
        self.python = kept.now(epochs) if kept is not None else None

    def restore(self) -> None:
        """Go back to it; doing it twice is the same as once."""
        if self.python is not None:
            self.python()
        self.snapshot.restore()


def record_run(job: Series, blocks: Iterator[list[tuple[float, float]]]) -> tuple[list[tuple[float, float]], str]:
    """(loss, length of the last gradient) of each epoch, and why the run ended; the model is as after the last one."""
    done: list[tuple[float, float]] = []
    kept = KeptInPython(job, 0) if runs_own_code(job.model, job.loss) else None
    point = WholeSeries(job, kept, 0)
    try:
        for block in blocks:
            # an infinite gradient makes the weights useless, and so does a finite one that a large rate makes infinite
            finite = math.isfinite(point.snapshot.distance())
            good = [pair for pair in block if finite and math.isfinite(sum(pair))]
            if good:
                done += good
                point = WholeSeries(job, kept, len(done))
            if len(good) < len(block):
                point.restore()
                return done, (
                    f"stopped in epoch {len(done) + 1}: the loss, the gradient or the weights became NaN or infinite, "
                    f"the model is as after epoch {len(done)}; try a smaller learning rate than {job.optimizer.lr:g}"
                )  # fmt: skip
    except BaseException as error:
        for_certain(point.restore)
        if not isinstance(error, KeyboardInterrupt):
            raise
        return done[: point.epochs], f"interrupted after {point.epochs} of {job.epochs} epochs"
    return done, f"all {job.epochs} epochs done" if job.epochs != 1 else "1 epoch done"
