"""The class of schedules: a formula of the step t, its parameters, and its behaviour as t grows."""

from __future__ import annotations

import functools
import inspect
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Concatenate, ParamSpec

import numpy as np

from tinygrad_edu.checks import is_number, number, whole
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import SettingError
from tinygrad_edu.pen import unknown_argument

Array = np.ndarray[Any, Any]
Settings = ParamSpec("Settings")
LearningRate = Any  # a number, a Schedule, or any function of t


class Schedule:
    """The learning rate of each step: schedule(t) for t = 0, 1, 2, ..., where t = 0 is the first step.

    Made by the functions of `optim.schedules`. `kind` and `parameters` say which one it is; `rates(first, count)` gives
    many at once. Errors: SettingError if t is below 0, or the rate is NaN, negative or infinite.

    >>> from tinygrad_edu.optim import schedules
    >>> schedule = schedules.inverse_time(0.1, decay=1.0)
    >>> schedule, schedule(0), schedule(1)
    (inverse_time(lr=0.1, decay=1.0), 0.1, 0.05)
    """

    def __init__(
        self,
        maker: Callable[..., Schedule],
        formula: Callable[..., Any],
        tail: Callable[..., float | None],
        parameters: Mapping[str, Any],
    ) -> None:
        self.maker, self.formula, self.power = maker, formula, tail
        self.parameters = dict(parameters)

    @property
    def kind(self) -> str:
        """The name of the function that made it."""
        return self.maker.__name__

    def __call__(self, t: int) -> float:
        if not t >= 0:
            raise SettingError(f"{self!r} at t={t!r}: steps are counted t = 0, 1, 2, ...")
        rate = float(self.at(t))
        if not 0.0 <= rate < math.inf:
            raise SettingError(f"{self!r} gives the learning rate {rate!r} at t={t}: it has to be in [0, inf)")
        return rate

    def rates(self, first_step: int, count: int) -> Array:
        """The rates of the steps first_step, first_step + 1, ..., (count,)."""
        whole("first_step", first_step, 0)
        whole("count", count, 0)
        # once is enough for a constant: 100,000 steps take 0.02 ms instead of 0.5
        asked = min(count, 1) if self.kind == "constant" else count
        found = np.asarray(self.at(np.arange(first_step, first_step + asked, dtype=float)), dtype=float)
        bad = np.flatnonzero(~((found >= 0.0) & (found < math.inf)))
        if count and bad.size:
            self(first_step + int(bad[0]))
        return np.broadcast_to(found, (count,)).copy()

    def at(self, t: ArrayLike) -> Any:
        """The formula at a step or an array of steps, unchecked."""
        return self.formula(t, **self.parameters)

    def tail(self) -> float | None:
        """p if the rate falls like 1/tᵖ as t grows (∞: faster than any power, or 0); None if not known."""
        return math.inf if self.parameters.get("lr") == 0 else self.power(**self.parameters)

    def parts(self) -> Iterator[Schedule]:
        """The schedules that it is made of."""
        for x in self.parameters.values():
            for part in x if isinstance(x, tuple) else (x,):
                if isinstance(part, Schedule):
                    yield part

    @property
    def follows_loss(self) -> bool:
        """Does the rate depend on the losses given to `observe`, and not only on t?"""
        return any(part.follows_loss for part in self.parts())

    def observe(self, loss: float) -> None:
        """Pass it the loss of an epoch; this does nothing if the rate depends only on t."""
        for part in self.parts():
            part.observe(loss)

    def anew(self) -> Schedule:
        """The same schedule without a memory of losses, as it is of all that it is made of."""
        own = {name: renewed(x) for name, x in self.parameters.items()}
        return self.maker(**own)

    def state(self) -> Any:
        """Its memory of the losses, to go back to; as plain lists and numbers."""
        return [part.state() for part in self.parts()]

    def load_state(self, state: Any) -> None:
        """Go back to an earlier `state()`."""
        for part, each in zip(self.parts(), state, strict=True):
            part.load_state(each)

    def __repr__(self) -> str:
        return f"{self.kind}({', '.join(f'{name}={show_setting(x)}' for name, x in self.parameters.items())})"

    def __reduce__(self) -> Any:
        return rebuilt, (self.maker, self.parameters, self.state())


def renewed(x: Any) -> Any:
    """A parameter of a schedule, the schedules in it anew."""
    if isinstance(x, tuple):
        return tuple(map(renewed, x))
    return x.anew() if isinstance(x, Schedule) else x


def rebuilt(maker: Callable[..., Schedule], parameters: Mapping[str, Any], state: Any) -> Schedule:
    """A schedule from a pickle or a copy: formulas are looked up, not stored."""
    made = maker(**parameters)
    made.load_state(state)
    return made


def show_setting(x: ArrayLike) -> str:
    if isinstance(x, Schedule) and x.kind == "constant":
        return repr(x.parameters["lr"])
    if isinstance(x, tuple):
        return f"[{', '.join(map(show_setting, x))}]"
    return getattr(x, "__name__", repr(x)) if not isinstance(x, Schedule) else repr(x)


# By parameter name, which means the same in every schedule.
INTERVALS = {
    **dict.fromkeys(("lr", "final", "decay", "power", "tol"), "[0, inf)"),
    "factor": "(0, 1]",
    "rise": "(0, 1)",
    **dict.fromkeys(("div_factor", "final_div_factor"), "[1, inf)"),
    "threshold": "[0, 1)",
}
LEAST = {
    **dict.fromkeys(("every", "steps", "mult", "samples", "batch_size"), 1),
    **dict.fromkeys(("patience", "cooldown"), 0),
}


def check_settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters, checked to be in range; those that may be a number or a schedule become schedules."""
    for name, x in parameters.items():
        if name in INTERVALS:
            number(name, x, INTERVALS[name])
        elif name in LEAST:
            whole(name, x, LEAST[name])
    return {name: as_schedule(x) if name == "schedule" else x for name, x in parameters.items()}


def declare_schedule(
    tail: Callable[..., float | None],
) -> Callable[[Callable[Concatenate[Any, Settings], Any]], Callable[Settings, Schedule]]:
    """Declare a schedule: the formula f(t, settings...), on floats and arrays, becomes the function that makes one.

    `tail(settings...)` gives p if the formula falls like 1/tᵖ as t grows: see Schedule.tail.
    """

    def declare(formula: Callable[Concatenate[Any, Settings], Any]) -> Callable[Settings, Schedule]:
        signature = inspect.signature(formula)
        signature = signature.replace(parameters=list(signature.parameters.values())[1:])
        names = list(signature.parameters)

        @functools.wraps(formula)
        def make(*arguments: Settings.args, **options: Settings.kwargs) -> Schedule:
            if len(arguments) == len(names) and not options:  # fast path: signature.bind would double the time
                return Schedule(make, formula, tail, check_settings(dict(zip(names, arguments, strict=True))))
            if not options.keys() <= signature.parameters.keys():
                raise unknown_argument(formula.__name__, options, names)
            given = signature.bind(*arguments, **options)
            given.apply_defaults()
            return Schedule(make, formula, tail, check_settings(given.arguments))

        make.__signature__ = signature  # type: ignore[attr-defined]
        return make

    return declare


@declare_schedule(tail=lambda lr: 0.0)
def constant(t: ArrayLike, lr: float) -> Any:
    """η(t) = lr; scikit-learn's `constant`.

    >>> constant(0.1)(1000)
    0.1
    """
    return lr


@declare_schedule(tail=lambda function: None)
def by_function(t: ArrayLike, function: Callable[[int], float]) -> Any:
    """η(t) = function(t), for any function of t = 0, 1, 2, ...

    function: t → the learning rate, for t = 0, 1, 2, ...

    >>> by_function(lambda t: 0.1 / (1 + t))(4)
    0.02
    """
    return function(t) if np.ndim(t) == 0 else np.array([function(int(i)) for i in t], dtype=float)


def as_schedule(lr: LearningRate) -> Schedule:
    """The given schedule; a number becomes a constant one, and a function of t one of unknown form.

    lr: a number, a function of the step, or a schedule.
    Errors: SettingError for anything else, and for a number that is negative, NaN or infinite.

    >>> as_schedule(0.1), as_schedule(lambda t: 0.5**t)(2)
    (constant(lr=0.1), 0.25)
    """
    if isinstance(lr, Schedule):
        return lr
    if callable(lr) and not isinstance(lr, type):
        return by_function(lr)
    if is_number(lr):
        return constant(float(lr) if isinstance(lr, (np.floating, np.integer)) else lr)
    why = "is text" if isinstance(lr, str) else "lies outside [0, inf)"
    raise SettingError(f"lr={lr!r} {why}: give a number, a schedule or a function of the step")
