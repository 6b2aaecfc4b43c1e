"""How a run is trained: the checked settings of `fit`, and the recipe that a record keeps and a diagnosis changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any, Self

from tinygrad_edu import checks
from tinygrad_edu.data.batching import ORDERS
from tinygrad_edu.errors import SettingError, unknown_name
from tinygrad_edu.nn.losses import LOSSES
from tinygrad_edu.optim.named import optimizer_classes
from tinygrad_edu.optim.schedule import Schedule
from tinygrad_edu.optim.schedule_text import schedule_of

Loss = Callable[..., Any]


def optional_number(interval: str) -> Callable[[str, Any], Any]:
    """The check of a number within an interval that may be left out."""
    return lambda name, x: checks.optional(checks.number, name, x, interval)


def check_order(name: str, x: object) -> bool | str:
    """True, False, or one of the orders of data.batches."""
    if isinstance(x, str) and x not in ORDERS:
        raise unknown_name("order", x, ORDERS)
    return x if isinstance(x, str) else checks.flag(name, x)


CHECKS: dict[str, Callable[[str, Any], Any]] = {
    "epochs": checks.whole,
    "batch_size": partial(checks.optional, checks.whole),
    "shuffle": check_order,
    "seed": checks.seed,
    "tol": optional_number("[0, inf)"),
    "patience": partial(checks.optional, checks.whole),
    "clip_norm": optional_number("(0, inf)"),
    "clip_value": optional_number("(0, inf)"),
    "accurate": checks.flag,
}


@dataclass(frozen=True, kw_only=True)
class Plan:
    """The settings of `fit` that are plain values, which a file can hold. A new one is declared here and in CHECKS.

    Records, files, the diagnosis and the report take them from here, so that none of them has a list of its own.
    Errors: SettingError, NameNotFoundError for a setting that is out of range or unknown.
    """

    loss: str | Loss
    epochs: int
    batch_size: int | None = None
    shuffle: bool | str = True
    seed: int = 0
    tol: float | None = None
    patience: int | None = None
    clip_norm: float | None = None
    clip_value: float | None = None
    accurate: bool = False

    def __post_init__(self) -> None:
        # stored as Python numbers: products of NumPy's small integers would overflow
        for name, check in CHECKS.items():
            object.__setattr__(self, name, check(name, getattr(self, name)))

    @property
    def plan(self) -> dict[str, Any]:
        """These settings alone, by name, whatever a subclass adds."""
        return {field.name: getattr(self, field.name) for field in fields(Plan)}

    @property
    def drawn(self) -> bool:
        """Are samples drawn by their weights, and not weighted in the loss?"""
        return self.shuffle == "weighted"


@dataclass(frozen=True, kw_only=True)
class Settings(Plan):
    """What `fit` is given besides model, data and optimizer. Its docstring explains each setting; details are here.

    shuffle: "weighted" draws samples with replacement by sample_weight, which then does not weigh the loss. If all
        samples are one batch, their order stays, unless they are drawn.
    tol: a share of the loss of the epoch before; with patience, of the best loss so far.
    validation: the stopping rule looks at its loss, and the weights that are best by it are restored.
    accurate: the compiler's own exp, tanh and log are within 3 units in the last place, and several times as fast.
    Errors: SettingError, NameNotFoundError for a setting that is out of range or unknown.
    """

    validation: Any = None
    sample_weight: Any = None
    callbacks: Sequence[Callable[[Any], Any]] = ()
    progress: bool | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "progress", checks.optional(checks.flag, "progress", self.progress))
        if checks.is_flag(self.validation):
            raise SettingError(f"validation={self.validation!r}: give (X, y), or a share of the samples")
        if not isinstance(self.callbacks, Sequence) or not all(map(callable, self.callbacks)):
            raise SettingError(f"callbacks={self.callbacks!r:.80}: give a list of functions of the job")
        if self.drawn and self.sample_weight is None:
            raise SettingError('shuffle="weighted" draws samples by their weights: give sample_weight')


@dataclass(frozen=True, kw_only=True)
class Recipe(Plan):
    """How a network was trained, whatever the network and the samples. `fit` makes it, and a saved run holds it."""

    optimizer: str = "SGD"  # the name of its class
    lr: Any = 0.01  # the learning rate or its schedule; None for L-BFGS
    options: Mapping[str, Any] = field(default_factory=dict)  # the optimizer's other arguments
    groups: tuple[Mapping[str, Any], ...] = ()  # settings of each group of parameters, if there are several

    @classmethod
    def of(cls, plan: Plan, optimizer: Any) -> Self:
        """The recipe of a plan and of an optimizer as it is now."""
        groups = tuple(
            {"params": len(own.params), "lr": rate(own), **own.options} for own in getattr(optimizer, "groups", ())
        )
        told = {**plan.plan, "loss": loss_name(plan.loss)}
        return cls(
            **told, optimizer=type(optimizer).__name__, lr=rate(optimizer), options=optimizer.options, groups=groups
        )

    @classmethod
    def of_record(cls, config: Mapping[str, Any]) -> Self:
        """The recipe that a record holds; schedules are read from their text, lists become tuples."""
        pairs = config["optimizer_settings"].items()
        options = {name: tuple(x) if isinstance(x, list) else x for name, x in pairs}
        lr = schedule_of(config["lr"]) if isinstance(config["lr"], str) else config["lr"]
        plan = {each.name: config[each.name] for each in fields(Plan) if each.name in config}
        return cls(
            **plan, optimizer=config["optimizer"], lr=lr, options=options, groups=tuple(config.get("groups", ()))
        )

    @property
    def stepping(self) -> dict[str, Any]:
        """Loss and optimizer by the names of `Run.config`, which every way of training has."""
        told = {"loss": self.loss, "optimizer": self.optimizer, "lr": self.lr, "optimizer_settings": dict(self.options)}
        return told | ({"groups": list(self.groups)} if self.groups else {})

    @property
    def record(self) -> dict[str, Any]:
        """All of it by the names of `Run.config`."""
        return self.stepping | self.plan

    def make_optimizer(self, parameters: Any) -> Any:
        """The optimizer before its first step, with a schedule that has seen no loss yet."""
        lr = self.lr.maker(**self.lr.parameters) if isinstance(self.lr, Schedule) else self.lr
        maker = optimizer_classes()[self.optimizer]
        return (
            maker(parameters, **self.options) if self.optimizer == "LBFGS" else maker(parameters, lr=lr, **self.options)
        )


def rate(optimizer: Any) -> Any:
    """The learning rate, or the schedule of it; None for L-BFGS."""
    schedule = getattr(optimizer, "schedule", None)
    return optimizer.lr if schedule and schedule.kind == "constant" else schedule


def loss_name(loss: Any) -> Any:
    """The name of one of our losses; any other as it is."""
    return next((name for name, entry in LOSSES.items() if entry is loss), loss)
