"""The learning-rate range test: one short run whose rate grows from far too small to far too large. (Smith 2017)"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.core.aliases import ArrayLike, Samples
from tinygrad_edu.core.methods.spellings import Missing, tell
from tinygrad_edu.elsewhere import instead_of
from tinygrad_edu.errors import SettingError
from tinygrad_edu.names import LossName
from tinygrad_edu.nn.layer_modes import Modes
from tinygrad_edu.nn.module import Module
from tinygrad_edu.optim import LBFGS, Rprop
from tinygrad_edu.optim.named import optimizer_for
from tinygrad_edu.pen import check_arguments, check_attributes
from tinygrad_edu.train.job import job_of
from tinygrad_edu.train.recipe import Settings
from tinygrad_edu.train.samples import parameters_of
from tinygrad_edu.train.state_kept import looks_only
from tinygrad_edu.train.state_outside import trial_of

MEMORY = 0.9  # decay of the running mean of the losses
FILLED = 10  # steps after which it holds as many losses as it ever does, 1 / (1 - MEMORY)


@check_attributes
@dataclass(frozen=True)
class RangeTest:
    """The result of a range test; `suggestion` is the learning rate to try first.

    rates: the learning rate of each step, (steps,).
    losses: the loss of each step, (steps,).
    smoothed: the running mean of the losses, (steps,).

    >>> RangeTest(np.array([0.1, 1.0, 10.0]), np.array([2.0, 1.0, 9.0]), np.array([2.0, 1.0, 9.0])).suggestion
    0.1
    """

    rates: np.ndarray[Any, Any]
    losses: np.ndarray[Any, Any]
    smoothed: np.ndarray[Any, Any]

    @property
    def suggestion(self) -> float:
        """The rate at which the smoothed loss falls fastest per logarithm of the rate.

        Where there are enough steps, the first FILLED are left out, because a running mean of few losses moves with the
        noise of its batches; and the fall is measured over FILLED steps.
        """
        end = max(int(np.argmin(self.smoothed)) + 1, 2)
        first, apart = (FILLED, FILLED) if end > 3 * FILLED else (0, 1)
        logs, smoothed = np.log(self.rates[first:end]), self.smoothed[first:end]
        slopes = (smoothed[apart:] - smoothed[:-apart]) / (logs[apart:] - logs[:-apart])
        return float(self.rates[first + apart // 2 + int(np.argmin(slopes))])

    @check_arguments
    def plot(self, axes: Any = None) -> Any:
        """The losses over the rate, on Matplotlib's axes (new ones by default). Errors: as Matplotlib's."""
        if axes is None:
            import matplotlib.pyplot as plt

            _, axes = plt.subplots()
        axes.plot(self.rates, self.losses, alpha=0.3, label="loss of a batch")
        axes.plot(self.rates, self.smoothed, label="running mean")
        axes.axvline(self.suggestion, linestyle="--", label=f"steepest: {self.suggestion:.2g}")
        axes.set(xscale="log", xlabel="learning rate", ylabel="loss")
        axes.legend()
        return axes

    def __repr__(self) -> str:
        lowest = self.rates[int(np.argmin(self.smoothed))]
        return (
            f"<range test of {len(self.rates)} rates from {self.rates[0]:.2g} to {self.rates[-1]:.2g}: the loss is "
            f"lowest at {lowest:.2g} and falls fastest at {self.suggestion:.2g}>"
        )


tell(RangeTest, instead_of("train.RangeTest"), Missing)


@check_arguments
@looks_only
def lr_range_test(
    model: Module,
    X: Samples,
    y: Samples,
    *,
    loss: LossName | Callable[..., Any],
    optimizer: Any = "sgd",
    start: float = 1e-6,
    end: float = 10.0,
    steps: int = 100,
    batch_size: int = 32,
    stop_at: float = 4.0,
    seed: int = 0,
) -> RangeTest:
    """Train for `steps` batches while the rate grows from `start` to `end` by equal factors, then put everything back.

    Groups of parameters keep the ratios of their rates; `rates` are those of the optimizer's own lr.
    model, X, y, loss, optimizer, batch_size: as in fit.
    start, end: the first and the last learning rate.
    steps: the number of batches.
    stop_at: the test ends once the smoothed loss is this many times the lowest one, or not finite.
    seed: the seed of the order of the samples, and of layers such as Dropout(0.1) that were given none.
    Errors: SettingError for bad settings; those of fit for data that does not fit.

    >>> from tinygrad_edu import data, nn
    >>> found = lr_range_test(nn.MLP([2, 16, 1], seed=0), *data.moons(200), loss="mse", steps=60)
    >>> bool(found.rates[0] < found.suggestion < found.rates[-1])
    True
    """
    checks.number("start", start, "(0, inf)")
    checks.whole("steps", steps, 3)
    if not checks.number("end", end, "(0, inf)") > start:
        raise SettingError(f"end={end}: it must be above start={start}")
    made = optimizer_for(optimizer, parameters_of(model))
    refuse_optimizer_without_rate(made)
    job = job_of(model, X, y, made, Settings(loss=loss, epochs=1, batch_size=batch_size, seed=seed), seeded=True)
    modes = Modes(model)
    try:
        with trial_of(job), np.errstate(all="ignore"):
            model.train()
            return steps_at(job, np.geomspace(start, end, steps), stop_at, np.random.default_rng(seed))
    finally:
        modes.restore()


def refuse_optimizer_without_rate(optimizer: Any) -> None:
    """Errors: SettingError where no rate makes the loss fall fastest."""
    if isinstance(optimizer, LBFGS):
        raise SettingError("L-BFGS has no learning rate to test: it searches along a line. Give another optimizer")
    if isinstance(optimizer, Rprop):
        raise SettingError("Rprop takes its rate for its first step only: no test can find one")
    if any(part.maximize for part in optimizer.parts):
        raise SettingError("maximize=True makes the loss grow, and this test finds the rate at which it falls fastest")


def steps_at(job: Any, rates: ArrayLike, stop_at: float, rng: np.random.Generator) -> RangeTest:
    """One step at each rate, on batches in random order, over and over."""
    losses: list[float] = []
    smoothed: list[float] = []
    running, rows = 0.0, np.empty(0, dtype=int)
    shares = [part.lr / job.optimizer.lr if job.optimizer.lr else 1.0 for part in job.optimizer.parts]
    for lr in rates:
        if len(rows) < job.batch_size:
            rows = rng.permutation(job.samples)
        batch, rows = rows[: job.batch_size], rows[job.batch_size :]
        job.optimizer.zero_grad()
        value = job.batch_loss(*[array[batch] for array in job.data])
        number = float(getattr(value, "array", getattr(value, "data", value)))
        running = MEMORY * running + (1.0 - MEMORY) * number
        mean = running / (1.0 - MEMORY ** (len(losses) + 1))  # Adam's bias correction
        lowest = min(smoothed, default=mean)
        if not math.isfinite(mean) or mean - lowest > (stop_at - 1.0) * abs(lowest):  # losses may be negative
            break
        losses.append(number)
        smoothed.append(mean)
        value.backward()
        for part, share in zip(job.optimizer.parts, shares, strict=True):
            part.lr = share * float(lr)
        job.optimizer.step()
    if len(losses) < 3:
        raise SettingError(f"start={rates[0]:.3g}: the loss is not finite, or grows, from the first steps: start lower")
    return RangeTest(rates[: len(losses)].copy(), np.array(losses), np.array(smoothed))
