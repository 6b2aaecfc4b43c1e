"""Which layers a model of a user's own class applies, in which order: told by a run, for only `forward` says it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from typing import Any

import numpy as np

from tinygrad_edu.core import ops as ops  # fills the table
from tinygrad_edu.core.aliases import Model, Samples
from tinygrad_edu.core.graph import parent_nodes
from tinygrad_edu.core.modes import recording
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.draw.graph import is_node
from tinygrad_edu.draw.model import is_scalar, nodes_in, scalar_sample, tensor_run
from tinygrad_edu.draw.roles import RESHAPING
from tinygrad_edu.draw.stages import layers_in
from tinygrad_edu.errors import DrawError, TinygradError
from tinygrad_edu.nn.layer_modes import mode_here
from tinygrad_edu.nn.module import Module

Call = tuple[Any, list[Any], list[Any]]  # (layer, nodes that it was given, nodes of its output)
INSTEAD = 'Use style="graph"'


def has_own_forward(model: Model) -> bool:
    """Is the way through the layers written in a class outside this library?"""
    if not isinstance(model, Module) or model.describe():
        return False
    children = list(model.children())
    own = not type(model).forward.__module__.startswith("tinygrad_edu.")
    return bool(children) and (own or any(map(has_own_forward, children)))


def traced_layers(model: Model, inputs: Samples) -> list[Any]:
    """The layers and operations that forward applies one behind the other.

    inputs: what the model is called with; None: zeros, as many as its first layer has inputs.
    Errors: DrawError where the layers are no chain, or the model cannot be run on zeros.
    """
    sources, calls, outputs = run_watched(model, inputs)
    if not calls:
        raise DrawError(f"{no_chain(model)} calls none of its layers. {INSTEAD}")
    names = {id(layer): place for place, layer in model.named_modules()}
    leaves = {id(node) for _, array in model.named_arrays() for node in nodes_in(array)} | {id(x) for x in sources}
    found: list[Any] = []
    before, last = sources, "the inputs"
    for layer, given, results in calls:
        found += [*functions_between(model, given, before, leaves, (last, names[id(layer)])), layer]
        before, last = results, names[id(layer)]
    return [*found, *functions_between(model, outputs, before, leaves, (last, "the output"))]


def refuse_other_order(model: Model, layers: Iterable[Any]) -> None:
    """Units are measured by the order of the attributes. Errors: DrawError if forward has another."""
    used, held = ([id(each) for each in some if isinstance(each, Module)] for some in (layers, layers_in(model)))
    if used != held:
        raise DrawError(
            f'color="health" measures a model whose forward applies each layer once, in the order of its attributes, '
            f"and {type(model).__name__}.forward does not. Leave color out, or set the attributes in the order of use"
        )


def run_watched(model: Model, inputs: Samples) -> tuple[list[Any], list[Call], list[Any]]:
    """(nodes of the inputs, calls of layers in order, nodes of the outputs) of one run in evaluation mode."""
    layers = {id(each): each for each in layers_in(model) if isinstance(each, Module)}
    calls: list[Call] = []

    def keep(layer: Any, given: tuple[Any, ...], output: Any) -> None:
        calls.append((layer, only_nodes(given), only_nodes(output)))

    first: list[Any] = []
    with ExitStack() as stack:
        for context in (mode_here(model, training=False), recording(), np.errstate(all="ignore")):
            stack.enter_context(context)
        stack.enter_context(model.register_forward_pre_hook(lambda _, given: first.extend(only_nodes(given))))
        for layer in layers.values():
            stack.enter_context(layer.register_forward_hook(keep))
        outputs = only_nodes(answer(model, inputs))
    return first, calls, outputs


def answer(model: Model, inputs: Samples) -> Any:
    """The model's output. Errors: DrawError where nothing is given and zeros do not fit."""
    given = zeros_for(model) if inputs is None else inputs
    try:
        if is_scalar(model):
            return model(scalar_sample(np.atleast_2d(np.asarray(given))[0]))
        return tensor_run(model, given)
    except (TinygradError, TypeError, ValueError, IndexError) as problem:
        if inputs is not None:
            raise
        raise DrawError(f"{needs_inputs(model)} on zeros it says: {problem}") from problem


def zeros_for(model: Model) -> list[float]:
    """Zeros, as many as the first layer that says how many it takes."""
    widths = (getattr(layer, "in_features", None) for layer in layers_in(model))
    width = next((width for width in widths if isinstance(width, int)), None)
    if width is None:
        raise DrawError(f"{needs_inputs(model)} no layer says how many inputs it takes")
    return [0.0] * width


def needs_inputs(model: Model) -> str:
    return (
        f'style="network" follows a run of {type(model).__name__}.forward, which is your own: '
        'pass samples, draw(model, style="network", inputs=X);'
    )


def only_nodes(given: Any) -> list[Any]:
    return [each for each in nodes_in(given) if is_node(each)]


def functions_between(
    model: Model, ends: list[Any], starts: list[Any], leaves: set[int], places: tuple[str, str]
) -> Iterator[Any]:
    """What is done on the way from one layer's output to the next one's input. Errors: DrawError for another way."""
    reached = {id(node) for node in starts}
    names: dict[str, None] = {}
    stack, met = list(ends), set(reached)
    while stack:
        node = stack.pop()
        if id(node) in met:
            continue
        met.add(id(node))
        if id(node) in leaves or not (parents := list(parent_nodes(node))):
            if id(node) in leaves:
                raise DrawError(
                    f"{no_chain(model)} is none: what reaches {places[1]} comes not only from {places[0]}. {INSTEAD}"
                )
            continue
        names[getattr(node.op, "name", "")] = None
        stack += parents
    return (TABLE[name] for name in reversed(names) if name in TABLE and name not in RESHAPING)


def no_chain(model: Model) -> str:
    return f'style="network" draws a chain of layers, and {type(model).__name__}.forward'
