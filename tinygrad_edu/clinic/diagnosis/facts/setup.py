"""Everything needed to train a network again, so that one thing can be changed and nothing else."""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tinygrad_edu.clinic.diagnosis.facts.initial_weights import LayerStart, Start
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.nn import losses
from tinygrad_edu.nn.dropout import Dropout
from tinygrad_edu.nn.layers import MLP, Linear, Sequential, find_activation, range_of
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.parameters import needs_gradient, trained
from tinygrad_edu.optim.schedule import Schedule, as_schedule
from tinygrad_edu.train.recipe import Recipe

Array = np.ndarray[Any, Any]
Change = Mapping[str, Any]
AS_IT_IS = -1.0  # dropout: leave it to the network's own layers


@dataclass(frozen=True)
class EstimatorRule:
    """What a Setup does not say of an estimator."""

    kind: str  # "MLPClassifier" or "MLPRegressor"
    batch: int  # of the run; its penalty was divided by it
    kept: Mapping[str, Any]  # parameters that are passed on unchanged
    stops: bool  # whether a rule ends the run before max_iter
    loss: str = "squared_error"  # of a regressor
    state: int | None = None  # random_state, if it is a number
    first_loss: Any = None  # the loss of the Setup before any change
    classes: tuple[Any, ...] = ()  # of a classifier
    before: tuple[Any, ...] = ()  # fitted steps of a Pipeline before the network


@dataclass(frozen=True, kw_only=True)
class Setup(Recipe):
    """How a network is trained. A change of it is a dict of fields; those that are missing here are Recipe's.

    The fields from sizes to dropout are the arguments of `nn.MLP`.
    """

    sizes: tuple[int, ...]  # (0, width of the output) with a `pattern`, or (0, 0) if that width is not known
    activation: str = "tanh"
    out_activation: str = "identity"
    bias: bool = True
    norm: str | None = None
    dropout: float = 0.0
    init: Any = "glorot_uniform"  # a name of `nn.init`, or the distribution that each layer was found to begin with
    loss: Any = "mse"
    epochs: int = 100
    weights: Any = None  # of the samples
    inputs: str | None = None  # "standardized", or another form of the inputs (encoding.py); None: as they are
    targets: str | None = None  # "standardized" or "in range"; None: as they are
    coding: str | None = None  # of classes: "numbers" or "zero_one"; None: as they are
    columns: tuple[int, ...] | None = None  # the features that are kept
    pattern: Module | None = None  # a network that is not an nn.MLP; its parameters are drawn anew for each seed
    rows: str | None = None  # "without outliers"; None: all samples
    validated: bool = False  # whether held-out samples decide when training ends
    estimator: EstimatorRule | None = None
    dialect: str = "fit"  # the library in whose words a remedy is given
    terms: float = 1.0  # the user's loss is this many times our mean, so lr is this many times the user's
    restores: bool = True  # whether the stopping rule restores the best weights by validation
    min_delta: float = 0.0  # as in Keras: a loss must beat the best one by this much to reset patience
    members: tuple[tuple[int, ...], ...] = ()  # for each group, indices of its parameters in the network

    def but(self, change: Change) -> Setup:
        """The setup with one change; `options` are merged if the optimizer stays the same."""
        new = dict(change)
        same = new.get("optimizer", self.optimizer) == self.optimizer
        if self.groups:
            new["groups"] = tuple(self.changed_group(group, new, same) for group in self.groups)
        if "options" in new and same:
            new["options"] = {**self.options, **new["options"]}
        return replace(self, **new)

    def changed_group(self, group: Change, new: Change, same: bool) -> dict[str, Any]:
        """A group under a change for all: its rate stays as many times that of the others; its own options are lost
        with another optimizer."""
        kept = dict(group) if same else {"params": group["params"], "lr": group["lr"]}
        if "lr" in new:
            share = as_schedule(group["lr"])(0) / as_schedule(self.groups[0]["lr"])(0)
            kept["lr"] = share * as_schedule(new["lr"])(0)
        return kept | dict(new.get("options", {}))

    def make_optimizer(self, parameters: Any) -> Any:
        """The optimizer before its first step; in groups where the network has the parameters that they are of."""
        parameters = trained(parameters)
        if not self.members or sum(map(len, self.members)) != len(parameters):
            return super().make_optimizer(parameters)
        base, first = super().make_optimizer(parameters), as_schedule(self.groups[0]["lr"])(0)
        told = [{**group, "params": [parameters[i] for i in places]} for group, places in self.grouped]
        if self.varies:  # keep the ratios between the groups' rates
            for group in told:
                group["lr"] = times_schedule(self.lr, as_schedule(group["lr"])(0) / first)
        return type(base)(told, lr=base.schedule, **self.options)

    @property
    def grouped(self) -> list[tuple[Change, tuple[int, ...]]]:
        """Each group's settings and its parameters."""
        return list(zip(self.groups, self.members, strict=True))

    @property
    def varies(self) -> bool:
        """Does the rate change from step to step?"""
        return isinstance(self.lr, Schedule) and self.lr.kind != "constant"

    @property
    def rate(self) -> float:
        """The learning rate of the first step."""
        return float(as_schedule(self.lr)(0))

    @property
    def told_rate(self) -> float:
        """The learning rate as the user gave it: the user's loss is `terms` times ours."""
        return self.rate / self.terms

    @property
    def link(self) -> str:
        """The operation that turns outputs into predictions of the targets; none for the user's own loss."""
        return str(getattr(self.loss_row, "link", "identity"))

    @property
    def for_classes(self) -> bool:
        """Is the loss for classes?"""
        return bool(getattr(self.loss_row, "for_classes", False))

    @property
    def takes_class_numbers(self) -> bool:
        """Are the targets of its loss the numbers of the classes? cross_entropy and nll."""
        return bool(getattr(self.loss_row, "takes_class_numbers", False))

    @property
    def takes_logits(self) -> bool:
        """Does the loss make probabilities of the outputs itself?"""
        return self.for_classes and range_of(find_activation(self.link)) == (0.0, 1.0)

    @property
    def silenced(self) -> float:
        """The largest share of units that dropout sets to 0."""
        if self.dropout != AS_IT_IS or self.pattern is None:
            return self.dropout
        return max((m.p for _, m in self.pattern.named_modules() if isinstance(m, Dropout)), default=0.0)

    @property
    def own_loss(self) -> bool:
        """Is the loss the user's own function?"""
        return not isinstance(self.loss_row, losses.Loss)

    @property
    def loss_row(self) -> Any:
        """The loss as `nn.losses` has it, or the function itself."""
        return losses.find(self.loss)

    @property
    def out_range(self) -> tuple[float, float]:
        """The range of the last activation."""
        return range_of(find_activation(self.out_activation))

    @property
    def loss_name(self) -> str:
        return str(getattr(self.loss, "name", getattr(self.loss, "__name__", self.loss)))

    def steps(self, samples: int) -> int:
        """Updates in all epochs."""
        return self.epochs * -(-samples // min(self.batch_size or samples, samples))

    def model(self, seed: int) -> Module:
        """The network as it begins from a seed."""
        if self.pattern is not None:
            made = redraw_module(self.pattern, self.init, seed, None if self.dropout == AS_IT_IS else self.dropout)
            return made if self.out_activation == "identity" else append_activation(made, self.out_activation)
        named = isinstance(self.init, str) or callable(self.init)
        made = MLP(
            self.sizes, self.activation, self.out_activation, self.bias, self.init if named else "glorot_uniform", seed,
            dropout=self.dropout, norm=self.norm,
        )  # fmt: skip
        if not named:
            begin(made.layers, self.init, seed)
        return made

    def difference(self, change: Change) -> str:
        """A change as text: "lr 1 → 0.1"."""
        return ", ".join(self.differences(change))

    def differences(self, change: Change) -> list[str]:
        """A text for each setting that a change changes."""
        return [part for name in self.told(change) for part in self.parts(name, change[name])]

    def told(self, change: Change) -> list[str]:
        """The fields of a change to name in a report; those that follow from the others are left out."""
        implied = ("pattern", "out_activation", "dropout", "init") if self.becomes_plain(change) else ()
        # initial weights cannot be kept for layers of other sizes
        if "sizes" in change and not isinstance(self.init, str):
            implied = (*implied, "init")
        return [name for name in change if name not in implied]

    def becomes_plain(self, change: Change) -> bool:
        return self.pattern is not None and change.get("pattern", self.pattern) is None

    def parts(self, name: str, new: Any) -> list[str]:
        old = getattr(self, name)
        if name == "coding":
            if new == old:
                return []
            return [CODINGS.get(str(new), "targets as they are")]
        if name == "rows" and new is not None:
            return [f"the samples {new}"]
        if name == "options":
            texts = {key: (setting_text(old.get(key, "default")), setting_text(x)) for key, x in new.items()}
            return [f"{key} {before} → {after}" for key, (before, after) in texts.items() if before != after]
        old = self.silenced if name == "dropout" else old
        if self.pattern is not None and name in OF_UNLIKE:
            return [f"{OF_UNLIKE[name]} → {setting_text(new)}"]
        if name == "lr" and self.terms != 1.0:
            old, new = as_schedule(old)(0) / self.terms, as_schedule(new)(0) / self.terms
        if new is not None and ((old is None and name in ("inputs", "targets")) or has_layer_starts(old)):
            return [f"{NAMES.get(name, name)} {'from ' * (name == 'init')}{setting_text(new)}"]
        before, after = setting_text(old), setting_text(new)
        before, after = (UNSET.get(name, text) if x is None else text for x, text in ((old, before), (new, after)))
        return [f"{NAMES.get(name, name)} {before} → {after}"] if before != after else []

    def changes_to(self, other: Setup) -> dict[str, Any]:
        """The fields in which another setup differs."""
        pairs = ((f.name, getattr(self, f.name), getattr(other, f.name)) for f in fields(self))
        return {name: new for name, old, new in pairs if old is not new and not equal(old, new)}


def times_schedule(lr: Schedule, factor: float) -> Any:
    """A schedule, or a function of the step, with all its rates multiplied by a factor."""

    def times(name: str, x: Any) -> Any:
        if name == "function":
            return multiply_function(x, factor)
        if isinstance(x, Schedule):
            return times_schedule(x, factor)
        if isinstance(x, tuple):
            return tuple(times("", each) for each in x)
        return x * factor if name in ("lr", "final") else x

    return lr.maker(**{name: times(name, x) for name, x in lr.parameters.items()})


def multiply_function(function: Callable[[int], float], factor: float) -> Callable[[int], float]:
    """A function of the step, times a factor, which its name says."""

    def scaled(t: int) -> float:
        return factor * function(t)

    scaled.__name__ = f"{factor:g} * {getattr(function, '__name__', function)}"
    return scaled


OF_UNLIKE = {"sizes": "layers", "activation": "activation of all hidden layers", "out_activation": "last activation"}
CODINGS = {"zero_one": "classes as 0 and 1", "numbers": "classes as numbers from 0"}
UNSET = {"inputs": "as they are", "targets": "as they are", "batch_size": "all samples"}  # what None means
NAMES = {"sizes": "layers", "init": "initial weights"}


def equal(a: Any, b: Any) -> bool:
    return bool(np.array_equal(a, b)) if isinstance(a, np.ndarray) or isinstance(b, np.ndarray) else bool(a == b)


def has_layer_starts(x: Any) -> bool:
    """Were these initial weights read off a run, so that they have no name?"""
    return isinstance(x, tuple) and bool(x) and isinstance(x[0], LayerStart)


def setting_text(x: Any) -> str:
    """A setting as a reader writes it."""
    if x is None:
        return "none"
    if isinstance(x, float):
        return f"{x:.4g}"
    if has_layer_starts(x):
        return "as they were"
    if isinstance(x, tuple):
        return "-".join(map(str, x))
    if isinstance(x, types.FunctionType):
        return "of your own" if x.__name__ == "<lambda>" else x.__name__
    return str(getattr(x, "name", x)) if not isinstance(x, np.ndarray) else f"{len(x)} weights"


def begin(layers: Any, starts: tuple[LayerStart, ...], seed: int) -> None:
    """Draw weights and biases as each layer was found to begin; further layers begin as the last one."""
    rng = np.random.default_rng([seed, 3])
    for i, layer in enumerate(layers):
        start = starts[min(i, len(starts) - 1)]
        layer.weight.data = start.weight.draw(rng, layer.weight.shape)
        if layer.bias is not None:
            layer.bias.data = start.bias.draw(rng, layer.bias.shape)


def redraw_module(
    pattern: Module, starts: Mapping[str, Start] | str, seed: int, dropout: float | None = None
) -> Module:
    """A copy of any Module whose parameters are drawn as they were found to begin."""
    import copy

    made, rng = copy.deepcopy(pattern), np.random.default_rng([seed, 3])
    for _, module in made.named_modules():
        if dropout is not None and isinstance(module, Dropout):
            module.p = dropout
    for name, array in made.named_arrays():
        if isinstance(array, Tensor) and needs_gradient(array) and not isinstance(starts, str):
            array.data = starts[name].draw(rng, array.shape).astype(array.dtype)
    return made


def append_activation(pattern: Module, activation: str) -> Module:
    """The module with an activation appended; the names of its parameters stay the same."""
    layers = list(pattern) if isinstance(pattern, Sequential) else [pattern]
    return Sequential(*layers, find_activation(activation))


def layers_of(model: Module) -> list[Linear] | None:
    """The layers of an nn.MLP, or None for any other Module."""
    return model.layers if isinstance(model, MLP) else None
