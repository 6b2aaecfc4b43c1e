"""The base of optimizers: a rule, its settings, a learning rate, and a memory for each parameter."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from typing import Any

import numpy as np

from tinygrad_edu.checks import flag
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.graph import PASSES
from tinygrad_edu.core.methods.spellings import Missing, tell
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import OperandError, SettingError
from tinygrad_edu.nn.parameters import LazyParameter, Unused, clear
from tinygrad_edu.optim import rules
from tinygrad_edu.optim.groups import Group, are_groups, members
from tinygrad_edu.optim.groups import make_group as group_optimizer
from tinygrad_edu.optim.held import TrainedParameters
from tinygrad_edu.optim.idle_steps import Steps
from tinygrad_edu.optim.own_step import counted, no_parameters, refuse_lack, with_defaults
from tinygrad_edu.optim.schedule import Array, LearningRate, as_schedule
from tinygrad_edu.optim.state import SLIPS, StateMethod
from tinygrad_edu.pen import check_arguments, check_attributes

OF_SPEED = ("fused", "foreach", "capturable")  # PyTorch's options that affect only speed
INSTEAD = {  # PyTorch's option -> what to write instead
    "differentiable": "A step has no gradient: write the update yourself, w = w - lr * tg.grad(f)(w)",
}
Parameters = Iterable[Any]  # Values or Tensors, or dicts of them and of settings


@check_attributes
class Optimizer(TrainedParameters):
    """Changes parameters by a rule, from the gradients that backward() left in them.

    params: Values or Tensors, such as model.parameters(); or a list of {"params": ..., "lr": ..., ...}, groups
    of parameters with settings of their own.
    lr: the learning rate η ≥ 0, or a schedule of it.
    maximize: with True, steps go up: the rule gets the negative gradient; False.
    Further arguments are those of the rule. `optimizer.lr` is the rate that the next step uses; setting it replaces the
    schedule.
    A subclass has a `rule`, or a `step` of its own as in PyTorch, which is run eagerly and keeps what it remembers of a
    parameter in self.state[p].
    A Tensor without a gradient (None) is not changed; a Value always has one, 0 if the loss does not depend on it.
    A frozen Tensor (requires_grad=False) is not in `optimizer.params`, and joins them once it is trained again.
    Errors: SettingError for settings out of range or a parameter listed twice, OperandError for anything that is not a
    parameter.

    >>> from tinygrad_edu.optim import SGD, schedules
    >>> w = Value(1.0)
    >>> optimizer = SGD([w], lr=schedules.inverse_time(0.1))
    >>> (w * w).backward(); optimizer.step(); w.data, optimizer.lr
    (0.8, 0.05)
    """

    rule: Callable[..., tuple[Any, ...]]
    memories: int = 0  # numbers that the rule stores per weight
    maximize: bool = False  # gradient ascent
    starts_at_rate = False  # does a memory start at the rate of the parameter's first step, as in PyTorch?
    initial_lr: float | None = None  # the learning rate before the first optim.lr_scheduler was attached
    waiting: Sequence[int] = ()  # indices of parameters of lazy layers, which have no numbers yet
    is_group = False  # is it a part of another optimizer, which counts its steps and has its memory?
    kept: dict[int, dict[str, Any]]  # what a step of one's own remembers, by id of the parameter: self.state[p]
    groups: Sequence[Optimizer] = ()  # each group has its own settings; the memory is in the whole optimizer

    def __init_subclass__(cls, **options: Any) -> None:
        super().__init_subclass__(**options)
        if "__init__" in vars(cls):
            cls.__init__ = with_pytorchs_options(cls.__init__)  # type: ignore[method-assign]
        if "step" in vars(cls):
            cls.step = counted(cls.step)  # type: ignore[method-assign]

    def __init__(self, params: Parameters, lr: LearningRate | dict[str, Any] | None = None, **settings: Any) -> None:
        lr, settings = with_defaults(lr, settings)
        grouped = are_groups(params)
        self.hold(check_parameters([p for group in params for p in members(group)] if grouped else params), grouped)
        self.maximize = flag("maximize", settings.pop("maximize", self.maximize), type(self).__name__)
        self.settings, self.kept = settings, {}
        if not hasattr(self, "rule"):
            refuse_lack(self, Optimizer)
        elif self.maximize:
            self.rule = functools.partial(rules.ascend, self.rule)
        self.t = [0] * len(self.params)  # updates per parameter: fewer for one that was sometimes without a gradient
        self.schedule, self.seen = as_schedule(lr), Steps()
        if grouped:
            self.groups = [group_optimizer(self, group, lr) for group in params]
        self.begin()

    @property
    def lr(self) -> float:
        """The learning rate of the next step."""
        return self.schedule(self.steps)

    @lr.setter
    def lr(self, lr: LearningRate) -> None:
        self.schedule = as_schedule(lr)
        for group in self.groups:
            group.lr = lr
        if not self.steps and not self.is_group:  # again, because Rprop's memory starts at the learning rate
            self.begin()

    @property
    def parts(self) -> Sequence[Optimizer]:
        """The groups, or the optimizer itself if there are none: each has its own schedule and settings."""
        return self.groups or [self]

    @property
    def schedules(self) -> list[Any]:
        """The schedules of all parts, each once."""
        return list({id(own.schedule): own.schedule for own in self.parts}.values())

    def forget_other_runs(self) -> None:
        """Before the first step: a schedule that has seen the losses of another optimizer's run begins anew here."""
        used = {id(x): x.anew() for x in self.schedules if x.follows_loss and x.state() != x.anew().state()}
        if not used or any(self.t):
            return
        for own in {id(own): own for own in (self, *self.parts)}.values():
            own.schedule = used.get(id(own.schedule), own.schedule)
        self.begin()

    def begin(self) -> None:
        """The memories before the first step."""
        self.memory = self.fresh_memory()
        self.waiting = [i for i, p in enumerate(self.params) if isinstance(p, LazyParameter)]

    def take_up(self, i: int, p: Tensor) -> None:
        """A parameter at the place i, which was frozen until now, begins with an empty memory and no steps."""
        self.waiting = [k + (k >= i) for k in self.waiting]
        self.t.insert(i, 0)
        self.remembered.insert(i, self.first_memory(p))
        if isinstance(p, LazyParameter):
            self.waiting = [*self.waiting, i]

    def fresh_memory(self) -> list[tuple[Any, ...]]:
        return [own.first_memory(p) for own in self.groups or [self] for p in own.params]

    def first_memory(self, p: Value | Tensor, lr: float | None = None) -> tuple[Any, ...]:
        """The memories of one parameter before its first step, which has the rate lr (None: that of the next step)."""
        start = self.start_at(self.lr if lr is None else lr) if self.starts_at_rate else self.start()
        return tuple([fill(p, x) for x in start])

    @property
    def memory(self) -> list[tuple[Any, ...]]:
        """The rule's memory for each parameter; for a lazy layer, once it has had its first input."""
        begun = [i for i in self.waiting if not isinstance(self.params[i], LazyParameter)]
        if begun:
            fresh = self.fresh_memory()
            for i in begun:
                self.remembered[i] = fresh[i]
            self.waiting = [i for i in self.waiting if i not in begun]
        return self.remembered

    @memory.setter
    def memory(self, memory: list[tuple[Any, ...]]) -> None:
        self.remembered = memory

    @property
    def param_groups(self) -> list[Group]:
        """The groups as dicts, as in g["lr"] *= 0.1; one for all parameters if none were given."""
        return [Group(own, self) for own in self.groups or [self]]

    @property
    def options(self) -> dict[str, Any]:
        """The settings it was made with, by argument name, without parameters and lr."""
        return {**self.arguments(), **self.direction()}

    def direction(self) -> dict[str, Any]:
        """maximize=True if the steps go up."""
        return {"maximize": True} if self.maximize else {}

    def arguments(self) -> dict[str, Any]:
        """The settings under the names of its constructor."""
        return dict(self.settings)

    @property
    def steps(self) -> int:
        """The number of steps so far, the schedule's t of the next one. A step without any gradient does not count."""
        return max(self.t)

    def start(self) -> tuple[float, ...]:
        """The value of each memory of a weight before the first step."""
        return self.start_at(self.lr) if self.starts_at_rate else (0.0,) * self.memories

    def start_at(self, lr: float) -> tuple[float, ...]:
        """The same, where it depends on the rate of the first step."""
        raise NotImplementedError

    def rates(self, first_step: int, count: int) -> Array:
        """The learning rates of `count` steps from first_step on, counted from 0: (count,).

        For the next steps use optimizer.rates(optimizer.steps, count). A rate that follows the loss keeps its current
        value throughout.
        """
        return self.schedule.rates(first_step, count)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One update of every parameter that has a gradient.

        closure: as in PyTorch, a function that computes the gradients first; its result is that of `step`.
        """
        loss = None if closure is None else computed_by(closure)
        if PASSES[0] == self.seen.passes and any(self.t):
            self.seen.look_for_new(self)
        steps, places, remembered, g = self.steps, count(), self.memory, None
        for own in self.groups or [self]:
            lr = own.schedule(steps)
            # params first, so that zip takes no place at the end of a group
            for p, i in zip(own.params, places, strict=False):
                w, g = (p.array, p.gradient) if isinstance(p, Tensor) else (p.data, p.grad)
                if g is not None:
                    if own.starts_at_rate and not self.t[i]:
                        self.memory[i] = own.first_memory(p, lr)
                    self.t[i] += 1
                    w, *memory = own.rule(w, g, *remembered[i], self.t[i], lr, **own.settings)
                    remembered[i] = tuple(memory)
                    replace(p, w)
        if steps < 2:
            self.seen.look_for_gradients(self)
        elif g is None:
            self.seen.look_for_other_models(self)
        self.seen.passes = PASSES[0]
        return loss

    @StateMethod
    def state(self) -> tuple[list[int], list[tuple[Any, ...]], Any]:
        """Step counts, memories and the schedule's state, to go back to; rules make new arrays, so these stay."""
        schedules = [own.schedule.state() for own in self.groups] if self.groups else self.schedule.state()
        return list(self.t), list(self.memory), schedules

    def load_state(self, state: tuple[list[int], list[tuple[Any, ...]], Any]) -> None:
        """Go back to an earlier `state()`."""
        self.t[:], self.memory[:] = state[0], state[1]  # in place: other objects may hold these lists
        for own, each in zip(self.groups or [self], state[2] if self.groups else [state[2]], strict=True):
            own.schedule.load_state(each)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients, before the next backward pass; either way a Tensor's gradient is None after it."""
        for p in self.params:
            clear(p)

    def __repr__(self) -> str:
        settings = {"lr": self.schedule if self.schedule.kind != "constant" else self.lr, **self.settings}
        settings |= self.direction()
        size = sum(p.array.size if isinstance(p, Tensor) else 1 for p in self.params)
        return f"<{type(self).__name__} of {size:,} numbers, {', '.join(f'{k}={x!r}' for k, x in settings.items())}>"


tell(Optimizer, SLIPS, Missing)


def with_pytorchs_options(init: Callable[..., None]) -> Callable[..., None]:
    """The constructor of an optimizer with what all of PyTorch's take: maximize=True, and options of speed.

    Errors: SettingError for what would change the result and is not here, and for an argument without its name whose
    place is another one's in PyTorch.
    """
    kinds = [p.kind for p in inspect.signature(init).parameters.values()]
    places = kinds.count(inspect.Parameter.POSITIONAL_OR_KEYWORD) - 1
    named = check_arguments(init)
    own = {"maximize", *OF_SPEED, *inspect.signature(init).parameters}
    named_only = inspect.Parameter.KEYWORD_ONLY in kinds and inspect.Parameter.VAR_POSITIONAL not in kinds

    @functools.wraps(init)
    def start(self: Optimizer, *arguments: Any, **options: Any) -> None:
        for name in INSTEAD.keys() & options.keys():
            if options.pop(name):
                raise SettingError(f"{type(self).__name__}({name}=...) is not here. {INSTEAD[name]}")
        if not arguments and "params" not in options and own.issuperset(options):
            raise no_parameters(self, options)
        if named_only and len(arguments) > places:
            refuse_unnamed(self, arguments[places:])
        if "maximize" in options:
            self.maximize = flag("maximize", options.pop("maximize"), type(self).__name__)
        named(self, *arguments, **{k: x for k, x in options.items() if k not in OF_SPEED})

    return start


def refuse_unnamed(optimizer: Optimizer, given: Sequence[Any]) -> None:
    """Errors: SettingError."""
    raise SettingError(
        f"{type(optimizer).__name__}: {', '.join(map(repr, given))} without a name: after momentum, PyTorch's order is "
        "dampening, weight_decay, nesterov, and other libraries have another one. Name it, as in weight_decay=1e-4"
    )


def check_parameters(params: Iterable[Any]) -> list[Any]:
    """The parameters, checked: leaves of either back end, each listed once."""
    if isinstance(params, (Value, Tensor)) or not isinstance(params, Iterable):
        raise OperandError(
            f"an optimizer takes a list of parameters, such as model.parameters(), not one {type(params).__name__}"
        )
    leaves = list(params)
    strange = [p for p in leaves if not isinstance(p, (Value, Tensor)) or p.parents]
    if strange or not leaves:
        what = preview(strange[0]) if strange else "an empty list"
        if getattr(strange and strange[0], "parents", ()):
            what += ", which was computed from others: make its numbers first, as in Parameter(0.1 * x.data)"
        raise OperandError(f"an optimizer changes leaves, Values or Tensors such as model.parameters(), not {what}")
    if len({id(p) for p in leaves}) < len(leaves):
        twice = next(p for i, p in enumerate(leaves) if any(p is q for q in leaves[:i]))
        raise SettingError(f"{twice!r} is listed twice: it would be updated twice a step. List each parameter once")
    return leaves


def fill(p: Value | Tensor, x: float) -> Any:
    """x once per weight, in the parameter's shape."""
    if not isinstance(p, Tensor):
        return x
    memory = np.empty_like(p.array)
    memory.fill(x)  # np.full_like is three times slower for small arrays
    return memory


def replace(p: Value | Tensor, w: ArrayLike) -> None:
    """Write the new weight, and mark this gradient as used."""
    if isinstance(p, Tensor):
        p.assign(np.asarray(w))  # NumPy's arithmetic turns a 0-d array into a scalar
        p._spent = p.gradient
    else:
        p.data, p._spent = w, p._spent if p._spent is Unused else True


def computed_by(closure: Callable[[], Any]) -> Any:
    """What the closure of a step gives. Errors: SettingError for a number of steps, a loss or anything else."""
    if not callable(closure):
        raise SettingError(
            f"optimizer.step({preview(closure)}): one call is one step, after loss.backward(): write optimizer.step(), "
            "or give a function that computes the gradients"
        )
    return closure()
