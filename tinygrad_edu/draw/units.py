"""What is measured of the units of a network: the slopes of their activations, and the gradients that reach them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Model, Node
from tinygrad_edu.core.graph import parent_nodes
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.draw.stages import columns_by_module, columns_of_stages
from tinygrad_edu.nn.convolution import Convolution
from tinygrad_edu.nn.sequence import Gate
from tinygrad_edu.train.histograms import ends_in_activation, ends_of_layers, layer_name, slope_at
from tinygrad_edu.train.spread import root_mean_square

Array = np.ndarray[Any, Any]


@dataclass(frozen=True)
class Origin:
    """The origin of a sum: a layer or one of its gates, its column, and for single numbers the unit."""

    column: int
    layer: str
    unit: int | None
    gate: bool
    channels: bool


@dataclass
class Unit:
    """Slopes by the layer or gate that they belong to, and gradients; of all samples, and steps or pixels."""

    slopes: dict[str, list[Array]] = field(default_factory=lambda: defaultdict(list))
    gradients: list[Array] = field(default_factory=list)

    def length(self) -> float:
        """The root mean square of the gradients."""
        return root_mean_square(np.concatenate(self.gradients)) if self.gradients else 0.0


Units: TypeAlias = dict[int, dict[int, Unit]]  # column → position in it → unit
Origins: TypeAlias = Mapping[int, frozenset[Origin]]  # by id of a node


def measure_units(model: Model, order: Sequence[Node], output: ArrayLike) -> Units:
    """The units of each column, after a backward pass from the last node of this topological order."""
    origins = origins_of(order, starts_of(model))
    widths = [width for width, _ in columns_of_stages(model)]
    units: Units = defaultdict(lambda: defaultdict(Unit))
    for origin, node in [*gates_in(order, origins), *ends_in(model, output, origins)]:
        for place, slopes, gradients in each_unit(node, origin, widths[origin.column - 1]):
            unit = units[origin.column][place]
            unit.gradients.append(gradients)
            if slopes is not None:
                unit.slopes[origin.layer].append(slopes)
    return units


def starts_of(model: Model) -> dict[int, Origin]:
    """By the id of a parameter: the layer and the column that it belongs to."""
    modules, columns = dict(model.named_modules()), columns_by_module(model)
    convolutional = {columns.get(id(each)) for each in modules.values() if isinstance(each, Convolution)}
    found = {}
    for place, array in model.named_arrays():
        layer = layer_name(place, model)
        module = modules.get(layer, model)
        column = columns.get(id(module))
        if column is None:
            continue
        for unit, node in nodes_by_unit(array):
            found[id(node)] = Origin(column, layer, unit, isinstance(module, Gate), column in convolutional)
    return found


def nodes_by_unit(array: ArrayLike) -> Iterator[tuple[int | None, Any]]:
    """A Tensor, of all units at once; or Values, of which those in one row belong to one unit."""
    if isinstance(array, Tensor):
        yield None, array
        return
    values = np.asarray(array, dtype=object)
    for index in np.ndindex(values.shape):
        yield index[0] if index else 0, values[index]


def origins_of(order: Sequence[Node], starts: Mapping[int, Origin]) -> Origins:
    """For each node the layers whose parameters reach it without an activation in between."""
    found: dict[int, frozenset[Origin]] = {}
    for node in order:
        above = [found[id(parent)] for parent in parent_nodes(node) if not ends_in_activation(parent)]
        own = frozenset([starts[id(node)]]) if id(node) in starts else frozenset()
        found[id(node)] = own.union(*above)
    return found


def gates_in(order: Sequence[Node], origins: Origins) -> Iterator[tuple[Origin, Node]]:
    """The activations of recurrent layers: of the new state and of each gate, at every step."""
    for node in order:
        gates = [origin for origin in origins[id(node)] if origin.gate] if ends_in_activation(node) else []
        last = max(gates, key=lambda origin: origin.column, default=None)
        if last is not None and last.column == max(origin.column for origin in origins[id(node)]):
            yield last, node


def ends_in(model: Model, output: ArrayLike, origins: Origins) -> Iterator[tuple[Origin, Node]]:
    """The nodes with which the other layers end; of a layer and the norm behind it, those of the norm."""
    layers = {origin.layer: origin for each in origins.values() for origin in each if not origin.gate}
    found: dict[int, list[tuple[Origin, Node]]] = {}
    for name, nodes in ends_of_layers(model, output).items():
        ends = {id(node): node for node in map(before_moves, nodes)}.values()
        if name in layers and (len(ends) == 1 or not any(isinstance(node, Tensor) for node in ends)):
            column = layers[name].column
            found[column] = [(origin, node) for node in ends for origin in of_one_unit(node, layers[name], origins)]
    for each in found.values():
        yield from each


def of_one_unit(node: Node, layer: Origin, origins: Origins) -> Iterator[Origin]:
    """Where a node belongs in its layer; nowhere if it is one number of several units, as behind a norm."""
    units = {origin.unit for origin in origins.get(id(node), ()) if origin.column == layer.column}
    if len(units) == 1:
        yield replace(layer, unit=units.pop())


def before_moves(node: Node) -> Node:
    """The activation behind which numbers were only moved, chosen or pooled; else the node before a reshape."""
    first = node
    while not ends_in_activation(node):
        above = list(parent_nodes(node))
        if len(above) != 1 or not above[0].parents:
            return before_reshape(first)
        node = above[0]
    return node


def before_reshape(node: Node) -> Node:
    """The node whose numbers are only put into another shape, as Flatten does."""
    while getattr(node.op, "name", "") == "reshape":
        node = node.parents[0]
    return node


def each_unit(node: Node, origin: Origin, width: int) -> Iterator[tuple[int, Array | None, Array]]:
    """(unit, its slopes or None, its gradients) for each unit of a node; nothing if it does not have `width` units."""
    slopes = slope_at(node) if ends_in_activation(node) else None
    if not isinstance(node, Tensor):
        place = origin.unit or 0
        yield place, None if slopes is None else np.ravel(slopes), np.array([float(node.grad)])
        return
    gradients = np.zeros(node.shape) if node.grad is None else np.asarray(node.grad)
    parts = [None if each is None else by_unit(each, width, origin.channels) for each in (slopes, gradients)]
    if parts[1] is not None:
        for place in range(width):
            yield place, None if parts[0] is None else parts[0][place], parts[1][place]


def by_unit(array: Array, width: int, channels: bool) -> Array | None:
    """(units, entries): for channels the axis after the samples, for other layers the last one."""
    if channels and array.ndim > 1 and array.size and array.shape[1] % width == 0:
        array = np.moveaxis(array.reshape(len(array), width, -1), 1, -1)  # for flattened arrays too
    return array.reshape(-1, width).T if array.shape[-1:] == (width,) else None
