"""A network as a row of steps, each of which takes what the one before it gives; and such a row as an nn.Module."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from tinygrad_edu import nn, ops
from tinygrad_edu.errors import SettingError
from tinygrad_edu.nn.layers import MLP, Linear, Sequential, find_activation
from tinygrad_edu.nn.module import Module

Array = np.ndarray[Any, Any]
LOG = "log_softmax"  # an activation that nn.MLP does not have, because its losses include it
MOMENTUM = 0.1  # for the running statistics of nn.BatchNorm
MERGES: dict[str, Callable[[Any, Any], Any]] = {  # how the outputs of both directions are combined
    "concat": lambda forward, backward: np.concatenate([forward, backward], axis=-1),
    "sum": lambda forward, backward: forward + backward,
    "ave": lambda forward, backward: 0.5 * (forward + backward),
    "mul": lambda forward, backward: forward * backward,
}
USUAL_NORMS = {("LayerNorm", 1e-5, MOMENTUM), ("BatchNorm", 1e-5, MOMENTUM)}  # the settings that nn.MLP uses
NORMS = {"LayerNorm": "layer", "BatchNorm": "batch"}
SAMPLES = {"start_dim": 1, "end_dim": -1}  # of a Flatten that makes a row of each sample
EVERY = ("*",)  # in place of the names of frozen arrays: all of them


@dataclass(frozen=True)
class Step:
    """kind: "linear", "activation", "dropout", "norm", "flatten", "embedding", "recurrent" or "outputs" (which of its
    outputs a recurrent layer hands on: "last" or "all"; of one that goes both ways "all" or "ends" and how they are
    merged, such as "ends concat"); what it is called, how large, and its arrays.

    arrays: by the names of our layers, weight (out, in); empty where the library has not told them. options: further
    arguments of a recurrent or norm layer, or the axes that a flatten merges. frozen: the arrays that are not trained.
    sources: the id of the parameter of torch that an array was made of.
    """

    kind: str
    name: str = ""
    sizes: tuple[int, ...] = ()
    p: float = 0.0
    bias: bool = True
    eps: float = 1e-5
    arrays: dict[str, Array] = field(default_factory=dict)
    options: dict[str, Any] = field(default_factory=dict)
    frozen: tuple[str, ...] = ()
    sources: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Chain:
    """The steps of a network, from the input on."""

    steps: tuple[Step, ...]

    @property
    def linear(self) -> list[Step]:
        """The layers of weights."""
        return [step for step in self.steps if step.kind == "linear"]

    @property
    def flattens(self) -> bool:
        """Does it flatten samples of more than one axis, which nn.MLP does not take?"""
        return any(step.kind == "flatten" and (len(step.sizes) > 1 or step.options) for step in self.steps)

    def mlp(self) -> MLP | None:
        """The nn.MLP that it is; None where it has another form."""
        form = Form.of(self.steps)
        if form is None or LOG in form.activations:
            return None
        dropout = max(form.dropouts, default=0.0)
        made = MLP(
            [form.layers[0].sizes[0], *(layer.sizes[1] for layer in form.layers)], form.activation,
            form.out_activation, form.layers[0].bias, norm=form.norm, dropout=dropout,
        )  # fmt: skip
        state = made.state_dict()
        for i, layer in enumerate(form.layers):
            state |= {f"layers.{i}.{name}": array for name, array in layer.arrays.items()}
        for i, norm in enumerate(form.norms):
            state |= {f"norms.{i}.{name}": array for name, array in norm.arrays.items()}
        made.load_state_dict(state)
        for layers, steps in ((made.layers, form.layers), (made.norms, form.norms)):
            for layer, step in zip(layers, steps, strict=False):
                freeze(layer, step)
        return made

    def module(self) -> Module:
        """An nn.MLP where it is one, else an nn.Sequential of the same layers."""
        return self.mlp() or self.sequential()

    def whole(self) -> Module:
        """`module`, but with a Flatten at its beginning too: without it nn.MLP takes rows alone."""
        return self.sequential() if self.flattens else self.module()

    def sequential(self) -> Sequential:
        """An nn.Sequential with an entry for each step."""
        return Sequential(*map(step_as_layer, self.steps))

    def bare(self) -> Chain:
        """The chain without its weights."""
        return Chain(tuple(replace(step, arrays={}) for step in self.steps))


@dataclass
class Form:
    """The parts of an nn.MLP, as they are met in a row of steps."""

    layers: list[Step] = field(default_factory=list)
    norms: list[Step] = field(default_factory=list)
    activations: list[str] = field(default_factory=list)
    dropouts: list[float] = field(default_factory=list)

    @classmethod
    def of(cls, steps: Sequence[Step]) -> Form | None:
        """linear, norm?, activation?, dropout? again and again, the last one without norm and dropout."""
        found = cls.read(steps)
        return found if found is not None and found.uniform() else None

    @classmethod
    def read(cls, steps: Sequence[Step]) -> Form | None:
        """The form of hidden layers that may differ; None if there is something else between them."""
        found, place = cls(), 0
        order = {"linear": 0, "norm": 1, "activation": 2, "dropout": 3}
        for step in steps:
            if step.kind == "flatten" and not found.layers and step.options in ({}, SAMPLES):
                continue
            if step.kind not in order or (not found.layers and step.kind != "linear"):
                return None
            if step.kind == "linear":
                found.add(step)
            elif order[step.kind] <= place:
                return None
            found.note(step)
            place = order[step.kind]
        return found

    def add(self, step: Step) -> None:
        self.layers.append(step)
        self.activations.append("identity")
        self.dropouts.append(0.0)

    def note(self, step: Step) -> None:
        if step.kind == "activation":
            self.activations[-1] = step.name
        elif step.kind == "dropout":
            self.dropouts[-1] = step.p
        elif step.kind == "norm":
            self.norms.append(step)

    def uniform(self) -> bool:
        """Are all hidden layers of one kind, as those of an nn.MLP are?"""
        hidden = len(self.layers) - 1
        kinds = {(step.name, step.eps, step.options.get("momentum", MOMENTUM)) for step in self.norms}
        same = len(set(self.activations[:-1])) <= 1 and len(set(self.dropouts[:-1])) <= 1
        normed = not self.norms or (len(self.norms) == hidden and len(kinds) == 1 and kinds <= USUAL_NORMS)
        normed = normed and all(step.options.get(name, True) for step in self.norms for name in ("affine", "bias"))
        biased = len({layer.bias for layer in self.layers}) == 1
        return hidden >= 0 and same and normed and biased and self.dropouts[-1] == 0.0

    @property
    def activation(self) -> str:
        return self.activations[0] if len(self.activations) > 1 else "tanh"

    @property
    def out_activation(self) -> str:
        return self.activations[-1]

    @property
    def norm(self) -> str | None:
        return NORMS[self.norms[0].name] if self.norms else None


def step_as_layer(step: Step) -> Any:
    """One step as a layer or a function. Errors: SettingError for one that has no counterpart."""
    if step.kind == "activation":
        return ops.log_softmax if step.name == LOG else find_activation(step.name)
    if step.kind == "dropout":
        return nn.Dropout(step.p)
    if step.kind == "flatten":
        return nn.Flatten(**step.options)
    if step.kind == "linear":
        return fill_layer(Linear(step.sizes[0], step.sizes[1], step.bias), step)
    if step.kind == "embedding":
        return fill_layer(nn.Embedding(*step.sizes, **step.options), step)
    if step.kind == "recurrent":
        return fill_layer(getattr(nn, step.name)(*step.sizes, **step.options), step)
    if step.kind == "outputs":
        return {"last": nn.last_output, "all": all_outputs}.get(step.name) or outputs_of_both(*step.name.split())
    if step.kind == "norm":
        return fill_layer(getattr(nn, step.name)(step.sizes[0], step.eps, **step.options), step)
    raise SettingError(f"{step.name or step.kind} has no counterpart here")


def all_outputs(found: tuple[Any, Any]) -> Any:
    """The outputs of a recurrent layer at all times."""
    return found[0]


def outputs_of_both(which: str, merge: str) -> Callable[[tuple[Any, Any]], Any]:
    """A function that merges the outputs of a bidirectional layer: at all times, or at the end of each direction."""

    def outputs(found: tuple[Any, Any]) -> Any:
        both = found[0]
        half = both.shape[-1] // 2
        forward, backward = both[..., :half], both[..., half:]
        return MERGES[merge](forward, backward) if which == "all" else MERGES[merge](forward[:, -1], backward[:, 0])

    return outputs


def fill_layer(layer: Module, step: Step) -> Module:
    """A layer with the arrays of a step."""
    layer.load_state_dict(layer.state_dict() | step.arrays)
    freeze(layer, step)
    return layer


def freeze(layer: Any, step: Step) -> None:
    """Freeze the parameters that were frozen in the other library."""
    arrays = dict(layer.named_arrays())
    for name in dict(layer.named_parameters()) if step.frozen == EVERY else step.frozen:
        arrays[name].requires_grad = False
