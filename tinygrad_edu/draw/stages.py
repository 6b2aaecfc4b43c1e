"""Any layer as a step of the network picture: a matrix from the units before it to its own, and what it is called.

A convolution has a unit for each channel, and the sum of its kernel, which is what it answers to an even image; a
recurrent layer shows the weights of its inputs; attention the weights of its output; an embedding its table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.nn.activations import Activation
from tinygrad_edu.nn.convolution import Convolution
from tinygrad_edu.nn.embedding import Embedding
from tinygrad_edu.nn.layers import Linear, Sequential
from tinygrad_edu.nn.module import Module
from tinygrad_edu.nn.sequence import Gate, Recurrent

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Stage:
    """A matrix (units, units before), None for what is done to each unit by itself, and the caption."""

    matrix: Array | None
    caption: str
    owners: tuple[Any, ...] = ()  # layers that end in these units


def layers_in(model: Model) -> Iterator[Any]:
    """The layers of a model in order: modules that call themselves one, or that hold no other."""
    if not isinstance(model, Module) or model.describe():
        yield model
        return
    children = model.layers if isinstance(model, Sequential) else list(model.children())
    if not children:
        yield model
    for child in children:
        yield from layers_in(child)


def stages_of(layers: Iterable[Any], gradients: bool) -> list[Stage]:
    """Layers as steps, each with as many columns as the step before has rows."""
    found: list[Stage] = []
    width = None
    for layer in layers:
        for stage in stages_of_layer(layer, gradients):
            matrix = None if stage.matrix is None else fit_to_width(stage.matrix, width)
            width = width if matrix is None else matrix.shape[0]
            found.append(Stage(matrix, stage.caption, stage.owners or (layer,)))
    return join_stages(found)


def columns_of_stages(model: Model) -> list[tuple[int, tuple[Any, ...]]]:
    """(units, the layers that end in them) of each column of the picture behind the inputs; no units if unknown."""
    if not hasattr(model, "sizes"):
        stages = stages_of(layers_in(model), gradients=False)
        return [(0 if stage.matrix is None else len(stage.matrix), stage.owners) for stage in stages]
    norms = dict(enumerate(getattr(model, "norms", ())))
    behind = [(layer, norms[k]) if k in norms else (layer,) for k, layer in enumerate(model.layers)]
    return list(zip(model.sizes[1:], behind, strict=True))


def columns_by_module(model: Model) -> dict[int, int]:
    """id of a module -> the column of the picture with its units, counted from 1."""
    found: dict[int, int] = {}
    for column, (_, owners) in enumerate(columns_of_stages(model), 1):
        for owner in owners:
            inside = owner.modules() if isinstance(owner, Module) else ()
            found.update((id(module), column) for module in inside)
    return found


def stages_of_layer(layer: Any, gradients: bool) -> Iterator[Stage]:
    """The steps of one layer or function: two of an Elman network, whose output is a layer of its own."""
    if not isinstance(layer, Module) or isinstance(layer, Activation):
        yield Stage(None, function_name(getattr(layer, "operation", layer)))
        return
    arrays = layer.gradients() if gradients else layer.state_dict()
    words = layer.describe() or type(layer).__name__
    if isinstance(layer, Linear):
        yield Stage(arrays["weight"], words)
    elif isinstance(layer, Embedding):
        yield Stage(arrays["weight"].T, words)
    elif isinstance(layer, Convolution):
        yield Stage(by_channels(layer, arrays["weight"]), words)
    elif isinstance(layer, Recurrent):
        yield Stage(arrays[f"{candidate_of(layer)}.weight_ih"], words)
        if "output.weight" in arrays:
            caption = f"Linear {'→'.join(map(str, arrays['output.weight'].shape[::-1]))}"
            yield Stage(arrays["output.weight"], caption, (dict(layer.named_children()).get("output", layer),))
    elif "out.weight" in arrays:
        yield Stage(arrays["out.weight"], words)
    else:
        yield Stage(None, words)


def candidate_of(layer: Recurrent) -> str:
    """The name of the sum that becomes the new state; the others are gates."""
    gates = [name for name, child in layer.named_children() if isinstance(child, Gate)]
    return next((name for name in gates if name in ("candidate", "cell_gate")), gates[-1])


def candidates_of(model: Model) -> set[str]:
    """The places of all of them in a model."""
    found = [(place, each) for place, each in model.named_modules() if isinstance(each, Recurrent)]
    return {f"{place}.{candidate_of(each)}" if place else candidate_of(each) for place, each in found}


SHOWN = {  # for layers with several weight arrays, which matrix is shown
    Convolution: "of a convolution the sum of each kernel, from channel to channel",
    Recurrent: "of a recurrent layer the weights of its inputs, of its candidate where it has gates",
    Embedding: "of an embedding its table",
}


def say_what_is_shown(model: Model) -> str:
    """A sentence on the layers of which the picture shows a part; "" where every weight is an edge."""
    found = [layer for layer in layers_in(model) if isinstance(layer, Module)]
    said = [text for kind, text in SHOWN.items() if any(isinstance(layer, kind) for layer in found)]
    said += ["of attention the weights of its output"] * any("out.weight" in layer.state_dict() for layer in found)
    return f"Shown are {', '.join(said)}." if said else ""


def function_name(function: Any) -> str:
    """A function as text: the name of an operation, or its own."""
    return str(getattr(function, "name", None) or getattr(function, "__name__", None) or type(function).__name__)


def by_channels(layer: Convolution, weight: Array) -> Array:
    """(out channels, in channels): kernels summed; 0 between channels of different groups."""
    summed = weight.reshape(*weight.shape[:2], -1).sum(axis=2)
    rows, columns = layer.out_channels // layer.groups, layer.in_channels // layer.groups
    matrix = np.zeros((layer.out_channels, layer.in_channels))
    for group in range(layer.groups):
        place = slice(group * rows, (group + 1) * rows), slice(group * columns, (group + 1) * columns)
        if layer.transposed:
            matrix[place] = summed[place[1]].T
        else:
            matrix[place] = summed[place[0]]
    return matrix


def fit_to_width(matrix: Array, width: int | None) -> Array:
    """A matrix with one column for each unit before it: of a flattened image, the sum over each channel's pixels.

    Several rows of an embedding side by side are the sum over them in the same way.
    """
    columns = matrix.shape[1]
    if width is None or columns == width or columns % width:
        return matrix
    return np.asarray(matrix.reshape(matrix.shape[0], width, columns // width).sum(axis=2))


def join_stages(stages: list[Stage]) -> list[Stage]:
    """The steps that have units; what is done to each unit by itself is named behind the step before it."""
    found: list[Stage] = []
    for stage in stages:
        if stage.matrix is None and found:
            last = found[-1]
            found[-1] = Stage(last.matrix, f"{last.caption}, {stage.caption}", (*last.owners, *stage.owners))
        else:
            found.append(stage)
    return found


def single_layer(stages: list[Stage], inputs: Samples) -> list[Stage]:
    """A layer that does something to each unit by itself: as many units as the inputs have, each on its own."""
    width = int(np.shape(inputs)[-1]) if np.ndim(inputs) else 1
    return (
        [Stage(np.eye(width), stage.caption, stage.owners) for stage in stages[:1]]
        if stages[0].matrix is None
        else stages
    )
