"""When a run counts as having learned: a goal given, or one derived from what the data can give, and said so."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.clinic.diagnosis.facts.setup import Setup
from tinygrad_edu.clinic.diagnosis.facts.task import Task
from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.nn import losses

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Goal:
    """`number` and `sentence` say when an estimate of the targets (n, k) is good enough.

    measure: "accuracy" and "r2" have to be at least the number, "mse", "mae" and "loss" at most.
    """

    measure: str
    number: float
    sentence: str
    loss: Any = None
    # (share of the task that a yardstick reaches, its source), if the goal comes from one
    derived: tuple[float, str] | None = None

    def lower(self, task: Task) -> Goal | None:
        """A less high goal, where it was derived."""
        return derive_goal(*self.derived, task, LOWER) if self.derived else None

    @np.errstate(over="ignore")
    def measured(self, estimate: Array, task: Task) -> float:
        """The measure of an estimate; NaN where it is not finite."""
        estimate, task = task.judgeable(estimate), task.judged
        if not np.isfinite(estimate).all():
            return math.nan
        return MEASURES[self.measure](self, estimate, task)

    def is_reached(self, estimate: Array, task: Task) -> bool:
        found = self.measured(estimate, task)
        return found >= self.number if self.measure in RISING else found <= self.number

    def error(self, estimate: Array, task: Task) -> float:
        """The standard error of an accuracy, sqrt(Σ r (1 - r) / n) / k of k classes; 0 for other measures."""
        if self.measure != "accuracy" or task.several:
            return 0.0
        counts = task.judged.counts[task.judged.counts > 0]
        r = task.judged.recalls(task.judgeable(estimate))
        return float(np.sqrt(np.sum(r * (1.0 - r) / counts)) / len(r)) if len(r) == len(counts) else 0.0

    def worth(self, estimate: Array, task: Task) -> float:
        """The measure as a number that is better the larger it is."""
        found = self.measured(estimate, task)
        return -math.inf if math.isnan(found) else found if self.measure in RISING else -found

    def __str__(self) -> str:
        return self.sentence


RISING = ("accuracy", "r2")


def accuracy_by_class(goal: Goal, estimate: Array, task: Task) -> float:
    """The mean over classes of the share found."""
    return task.accuracy(estimate)


def own_loss(goal: Goal, estimate: Array, task: Task) -> float:
    """The run's own loss, of probabilities where it takes logits."""
    loss = losses.find(goal.loss)
    outputs = UNLINKED[getattr(loss, "link", "identity")](estimate)
    return float(np.mean(loss(outputs, task.truth)))


TINY = 1e-300
UNLINKED: dict[str, Callable[[Array], Array]] = {  # link of a loss -> function from an estimate back to the output
    "identity": lambda p: p,
    "hard_tanh": lambda p: p,
    "softmax": lambda p: np.asarray(np.log(np.maximum(p, TINY))),
    "exp": lambda p: np.asarray(np.log(np.maximum(p, TINY))),
    "sigmoid": lambda p: np.asarray(np.log(np.maximum(p, TINY)) - np.log(np.maximum(1.0 - p, TINY))),
}


MEASURES: dict[str, Callable[[Goal, Array, Task], float]] = {
    "accuracy": accuracy_by_class,
    "r2": lambda goal, estimate, task: task.share(estimate),
    "mse": lambda goal, estimate, task: float(np.mean((estimate - task.truth) ** 2)),
    "mae": lambda goal, estimate, task: float(np.mean(np.abs(estimate - task.truth))),
    "loss": own_loss,
}
WORDS = {
    "accuracy": "an accuracy (the mean over classes) of at least",
    "r2": "a share of the targets' variance explained, R², of at least",
    "mse": "a mean squared error of at most",
    "mae": "a mean absolute error of at most",
    "loss": "a loss of at most",
}


def explicit_goal(goal: float | Mapping[str, float], setup: Setup, task: Task) -> Goal:
    """A goal as a number, which is the run's loss, or as {"accuracy": 0.95}, {"r2": ...}, {"mse": ...}, {"mae": ...}.

    Errors: SettingError for a goal that is not a number or not for this task, NameNotFoundError for its measure.
    """
    chosen = dict(goal) if isinstance(goal, Mapping) else {"loss": goal}
    if len(chosen) != 1:
        raise SettingError(f"goal={goal!r}: one measure is needed, such as {{'accuracy': 0.95}}")
    ((measure, number),) = chosen.items()
    if measure not in MEASURES:
        raise unknown_name("measure of a goal", measure, MEASURES)
    checks.number(f"goal: {measure}", number)
    if measure == "accuracy" and not task.chance:
        raise SettingError(f"goal={goal!r}: the targets are numbers, not classes: ask for r2, mse, mae or loss")
    return Goal(measure, float(number), f"{WORDS[measure]} {number:.4g}, as asked for", setup.loss)


SHARE, LOWER = 0.9, 0.7  # shares of what the yardstick reaches: normally, and for a lowered goal
SHARE_OF_NUMBERS = 0.95  # for regression: a curve that explains only 90% of a sine's variance visibly misses it


def derive_goal(yardstick: float, source: str, task: Task, part: float = SHARE) -> Goal:
    """A goal from the share of the task (see Task.share) that something simple reaches on the same data."""
    part = SHARE_OF_NUMBERS if part == SHARE and not task.chance else part
    share, known = part * min(max(yardstick, 0.0), 1.0), (yardstick, source)
    why = f"{part:.0%} of {'the way from chance to ' if task.chance else ''}what {source}"
    if task.chance:
        number = task.chance + share * (1.0 - task.chance)
        text = f"{WORDS['accuracy']} {number:.3f} (derived: {why})"
        return Goal("accuracy", number, text, derived=known)
    return Goal("r2", share, f"{WORDS['r2']} {share:.3f} (derived: {why})", derived=known)
