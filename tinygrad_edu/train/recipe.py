"""How a run is trained: what `fit` is told besides model, data and optimizer, checked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu import checks
from tinygrad_edu.data.batching import ORDERS
from tinygrad_edu.errors import SettingError, unknown_name

Loss = Callable[..., Any]


@dataclass(frozen=True, kw_only=True)
class Settings:
    """What `fit` is told besides model, data and optimizer.

    loss: a name from nn.losses or a function of output and target; cross_entropy also takes y as class numbers
    (samples,). batch_size: all samples by default. shuffle: a new order each epoch from `seed`, or one of the orders of
    data.batches by name ("weighted": drawn with replacement by sample_weight, which then does not weigh the loss); of
    all samples in one batch the order is left as it is, unless it is drawn.
    tol: stop when the loss of an epoch differs from the one before by at most tol of it; with patience=k, when it has
    not improved by more than tol of the best one for k epochs in a row. validation: (X, y), or a share of the samples
    to hold out; its loss is then what the rule looks at, and the best weights by it are restored. sample_weight: one
    for each sample. clip_value: the size that each entry of the gradient is cut to; clip_norm: the length that the
    gradient is scaled down to, after that. callbacks: called with the Job after each
    epoch; one that returns True ends the run. progress: a bar (by default in a terminal). accurate: compiled exp, tanh,
    log as the C library has them, for the last digits (the compiler's own are within 3 units in the last place, and
    several times as fast).
    Errors: SettingError, NameNotFoundError for what is out of range or not known.
    """

    loss: str | Loss
    epochs: int
    batch_size: int | None = None
    shuffle: bool | str = True
    seed: int = 0
    tol: float | None = None
    patience: int | None = None
    validation: Any = None
    sample_weight: Any = None
    clip_norm: float | None = None
    clip_value: float | None = None
    callbacks: Sequence[Callable[[Any], Any]] = ()
    progress: bool | None = None
    accurate: bool = False

    def __post_init__(self) -> None:
        self.check("epochs", checks.whole)
        self.check("seed", checks.seed)
        self.check("accurate", checks.flag)
        for name in ("batch_size", "patience"):
            self.check(name, checks.optional, checks.whole)
        for name, interval in (("tol", "[0, inf)"), ("clip_norm", "(0, inf)"), ("clip_value", "(0, inf)")):
            self.check(name, checks.optional, checks.number, interval)
        self.check("progress", checks.optional, checks.flag)
        self.check_order_and_callbacks()

    def check(self, name: str, check: Any, *more: Any) -> None:
        """A setting as Python's own number: of NumPy's small ones, products overflow."""
        inner, rest = more[:1], more[1:]
        object.__setattr__(self, name, check(*inner, name, getattr(self, name), *rest))

    def check_order_and_callbacks(self) -> None:
        """What is a word, or a list of functions."""
        if isinstance(self.shuffle, str) and self.shuffle not in ORDERS:
            raise unknown_name("order", self.shuffle, ORDERS)
        if not isinstance(self.shuffle, str):
            checks.flag("shuffle", self.shuffle)
        if checks.is_flag(self.validation):
            raise SettingError(f"validation={self.validation!r}: (X, y), or a share of the samples, is needed")
        if not isinstance(self.callbacks, Sequence) or not all(map(callable, self.callbacks)):
            raise SettingError(f"callbacks={self.callbacks!r:.80}: a list of functions of the job is needed")
        if self.drawn and self.sample_weight is None:
            raise SettingError('shuffle="weighted" draws samples by their weights: give sample_weight')

    @property
    def drawn(self) -> bool:
        """Are samples drawn by their weights, and not weighted in the loss?"""
        return self.shuffle == "weighted"
