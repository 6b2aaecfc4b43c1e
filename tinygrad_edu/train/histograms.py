"""Histograms of each layer's activations, gradients and weights while `fit` trains: a callback with bounded memory."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu import checks
from tinygrad_edu.checks import whole
from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.formulas.limits import FLAT
from tinygrad_edu.core.graph import parent_nodes, topological
from tinygrad_edu.core.modes import switch_mode
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.errors import CheckpointError
from tinygrad_edu.nn.layer_modes import Modes
from tinygrad_edu.nn.layers import is_activation
from tinygrad_edu.nn.module import Module, all_numbers, arrays_to_keep
from tinygrad_edu.nn.parameters import is_parameter, needs_gradient
from tinygrad_edu.nn.sequence import without_state
from tinygrad_edu.nn.storage import file_bytes, parse_json
from tinygrad_edu.pen import check_arguments
from tinygrad_edu.train.spread import Spread, spread_from, spread_of
from tinygrad_edu.whole_files import replace

Array = np.ndarray[Any, Any]
NEARLY_FLAT = 0.05  # relative to the slope at 0
VALUES_AT_MOST = 16  # samples for measuring a model of Values: each needs a graph of its own


@dataclass(frozen=True)
class LayerState:
    """The distributions of one layer; `stuck`, the share of its units whose activation is flat for every sample;
    `saturated`, the share of its activations far out on a flat side of a function with two, such as tanh.

    Both are NaN if they have no meaning, as `stuck` for a layer without an activation.
    """

    activations: Spread
    gradients: Spread
    weights: Spread
    stuck: float
    saturated: float


@dataclass(frozen=True)
class LayerSnapshot:
    """The state of every layer after an epoch, by name, in order from the input."""

    epoch: int
    layers: Mapping[str, LayerState]


class Histograms:
    """A callback for `fit` that keeps histograms of activations, gradients and weights of each layer.

    The run itself is not changed.
    every: the epochs between two snapshots.
    most: the largest number of snapshots; beyond it, `every` doubles and every second snapshot is dropped.
    samples: how many samples are measured, in eval mode (at most 16 for a model of Values).
    Errors: SettingError for numbers that are not positive integers.

    >>> from tinygrad_edu import fit, nn, optim
    >>> from tinygrad_edu.data import xor_gate
    >>> model, histograms = nn.MLP([2, 3, 1]), Histograms()
    >>> optimizer = optim.Adam(model.parameters())
    >>> run = fit(model, *xor_gate(), loss="mse", optimizer=optimizer, epochs=5, callbacks=[histograms])
    >>> [snapshot.epoch for snapshot in histograms.snapshots], list(histograms.snapshots[-1].layers)
    ([1, 2, 3, 4, 5], ['layers.0', 'layers.1'])
    """

    @check_arguments
    def __init__(self, every: int = 1, *, most: int = 40, samples: int = 256) -> None:
        self.first_every = self.every = whole("every", every, owner="Histograms")
        self.most, self.samples = whole("most", most, owner="Histograms"), whole("samples", samples, owner="Histograms")
        self.snapshots: list[LayerSnapshot] = []

    def __call__(self, job: Any) -> None:
        epoch = len(job.losses)
        if self.snapshots and epoch <= self.snapshots[-1].epoch:  # a new run has started
            self.snapshots, self.every = [], self.first_every
        if epoch % self.every == 0 or not job.left:
            self.snapshots.append(LayerSnapshot(epoch, measure_layers(job.model, job.loss, job.data, self.samples)))
            self.thin()

    def thin(self) -> None:
        """Keep every second snapshot, and the last one."""
        while len(self.snapshots) > self.most:
            self.every *= 2
            *before, last = self.snapshots
            self.snapshots = [*(s for s in before if s.epoch % self.every == 0), last]

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write the snapshots as JSON, in one step; returns the path."""
        path = checks.path_of_numbers(path, "Histograms.save")
        path.parent.mkdir(parents=True, exist_ok=True)
        replace(path, json.dumps({"snapshots": [asdict(snapshot) for snapshot in self.snapshots]}).encode())
        return path

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Histograms:
        """The histograms that `save` has written. Errors: CheckpointError for a file of another form."""
        found = cls()
        try:
            record = parse_json(file_bytes(path))
            found.snapshots = [snapshot_from(entry) for entry in record["snapshots"]]
            refuse_other_layers(found.snapshots)
        except CheckpointError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError, OverflowError) as error:
            raise CheckpointError(
                f"{path} holds no histograms ({type(error).__name__}: {error}): Histograms.save writes such a file"
            ) from None
        return found

    def __repr__(self) -> str:
        epochs = [snapshot.epoch for snapshot in self.snapshots]
        return f"<Histograms: {len(epochs)} snapshots, epochs {epochs[:1]} to {epochs[-1:]}>"


def refuse_other_layers(snapshots: list[LayerSnapshot]) -> None:
    """All snapshots are of one model, in the order of its epochs."""
    if len({tuple(snapshot.layers) for snapshot in snapshots}) > 1:
        raise ValueError("the snapshots name different layers")
    epochs = [snapshot.epoch for snapshot in snapshots]
    if epochs != sorted(set(epochs)) or min(epochs, default=1) < 1:
        raise ValueError("the epochs of the snapshots are not in order")


def snapshot_from(entry: Mapping[str, Any]) -> LayerSnapshot:
    """A snapshot out of what JSON holds of it."""
    layers = {name: layer_from(**state) for name, state in entry["layers"].items()}
    return LayerSnapshot(int(entry["epoch"]), layers)


def layer_from(stuck: float, saturated: float, **spreads: Mapping[str, Any]) -> LayerState:
    found = {name: spread_from(**spread) for name, spread in spreads.items()}
    return LayerState(stuck=float(stuck), saturated=float(saturated), **found)


def measure_layers(
    model: Module, loss: Callable[..., Any], data: tuple[Array, ...], samples: int = 256
) -> dict[str, LayerState]:
    """The state of each layer for some samples of data, (X, y) or (X, y, weights); the model is not changed."""
    rows = rows_to_measure(model, data[0], samples)
    X, y, *weights = (array[rows] for array in data)
    trained = {name for name, x in model.named_arrays() if needs_gradient(x)}
    with frozen_ones(model), evaluation_mode(model), np.errstate(all="ignore"):
        output = without_state(model, model(X))
        loss(output, y, **({"sample_weight": weights[0]} if weights else {})).backward()
        gradients = {name: slope for name, slope in model.gradients().items() if name in trained}
        ends = ends_of_layers(model, output)
    numbers = {name: array for name, array in all_numbers(model).items() if name in weights_of(model)}
    return {
        name: layer_state([of_layer(name, model, arrays) for arrays in (gradients, numbers)], nodes, len(rows))
        for name, nodes in ends.items()
    }


def weights_of(model: Module) -> dict[str, Any]:
    """Weights and biases by name, frozen ones too; statistics such as BatchNorm's running mean are not weights."""
    trained = dict(model.named_arrays())
    kept = arrays_to_keep(model).items()
    return {name: x for name, x in kept if name in trained or name.rpartition(".")[2].startswith(("weight", "bias"))}


@contextmanager
def frozen_ones(model: Module) -> Iterator[None]:
    """Frozen weights need a gradient for this while: without, their layers would not be in the graph."""
    frozen = [x for x in weights_of(model).values() if isinstance(x, Tensor) and not x.requires_grad]
    marks = [is_parameter(x) for x in frozen]  # a constant is no parameter afterwards
    for x in frozen:
        x.requires_grad = True
    try:
        yield
    finally:
        for x, mark in zip(frozen, marks, strict=True):
            x.requires_grad, x._parameter = False, mark


def rows_to_measure(model: Module, X: Array, samples: int = 256) -> Array:
    """The samples to measure on, evenly spaced, because data may be sorted."""
    scalar = not all(isinstance(p, Tensor) for p in model.parameters())
    count = min(len(X), samples, VALUES_AT_MOST if scalar else samples)
    return np.linspace(0, len(X) - 1, count).astype(int)


@contextmanager
def evaluation_mode(model: Module) -> Iterator[None]:
    """Eval mode, without gradients, the gates of recurrent layers in the graph; everything is as before afterwards."""
    modes, parameters = Modes(model), model.parameters()
    before = [(p.grad, p._spent) for p in parameters]
    model.eval()
    model.zero_grad()
    try:
        with switch_mode("steps", True):
            yield
    finally:
        modes.restore()
        for parameter, (grad, spent) in zip(parameters, before, strict=True):
            parameter.grad, parameter._spent = grad, spent


def of_layer(name: str, model: Module, arrays: Mapping[str, Array]) -> Array:
    """All numbers of a layer, of arrays by place."""
    return join_arrays([array for place, array in arrays.items() if layer_name(place, model) == name])


def layer_state(own: list[Array], nodes: list[Any], samples: int) -> LayerState:
    """The state of a layer; own: its gradients and its weights."""
    slopes, weights = own
    return LayerState(
        spread_of(join_arrays([data_of(node) for node in nodes])),
        spread_of(slopes, logarithmic=True),
        spread_of(weights),
        stuck(nodes, samples),
        saturated(nodes),
    )


def layer_name(place: str, model: Module) -> str:
    """The layer of a parameter: layers.0 for layers.0.weight; the model itself if no layer is named."""
    return place.rpartition(".")[0] or type(model).__name__


def join_arrays(arrays: list[Array]) -> Array:
    return np.concatenate([np.ravel(array) for array in arrays]) if arrays else np.empty(0)


def data_of(node: Node) -> Array:
    return np.asarray(node.array if isinstance(node, Tensor) else node.data)


class _Sink:
    """A node below all outputs, so that one walk from it visits every node."""

    def __init__(self, parents: list[Any]) -> None:
        self.parents = parents


def ends_of_layers(model: Module, output: ArrayLike) -> dict[str, list[Any]]:
    """The nodes with which each layer ends, by its name: those that another layer reads, or that are the output.

    A node belongs to the deepest layer whose parameters it depends on; the deeper one is met later on the way down.
    """
    found: dict[str, dict[Any, None]] = {}
    names = {id(node): layer_name(place, model) for place, array in model.named_arrays() for node in nodes_in(array)}
    sink = _Sink(nodes_in(output))
    keys, depth = {id(sink): "the output"}, {"": 0}
    for node in topological(sink, lambda node: list(parent_nodes(node))[::-1]):
        above = list(parent_nodes(node))
        for parent in above:
            depth.setdefault(keys[id(parent)], len(depth))
        if id(node) not in keys:
            keys[id(node)] = names.get(id(node)) or max((keys[id(p)] for p in above), key=depth.__getitem__, default="")
        for parent in above:
            own = all(id(p) in names for p in parent.parents)  # made of weights alone, as the transpose of one
            if not own and keys[id(parent)] not in ("", keys[id(node)]):
                found.setdefault(keys[id(parent)], {})[parent] = None
    return {name: list(nodes) for name, nodes in sorted(found.items(), key=lambda item: depth[item[0]])}


def nodes_in(array: ArrayLike) -> list[Any]:
    """The Tensor itself, or the Values of an array."""
    return [array] if isinstance(array, Tensor) else list(np.ravel(np.asarray(array, dtype=object)))


def stuck(nodes: list[Any], samples: int) -> float:
    """The share of units whose activation is flat for all samples; NaN if the layer does not end in an activation."""
    slopes = [slope_at(node) for node in nodes]
    if not all(array.size and array.size % samples == 0 for array in slopes):
        slopes = [join_arrays(slopes)]  # of a model of Values each is a number
    if not slopes[0].size or slopes[0].size % samples:
        return float("nan")
    beside = np.hstack([array.reshape(samples, -1) for array in slopes])
    return float(np.mean(np.all(np.abs(beside) < FLAT, axis=0)))


def saturated(nodes: list[Any]) -> float:
    """The share of activations with almost no slope; NaN if the function is not flat on both sides."""
    operation = nodes[0].op
    if not ends_in_activation(nodes[0]) or not operation.saturates:
        return float("nan")
    slopes = join_arrays([slope_at(node) for node in nodes])
    return float(np.mean(np.abs(slopes) < NEARLY_FLAT * abs(float(operation.slope(0.0)))))


def ends_in_activation(node: Node) -> bool:
    return isinstance(node.op, Operation) and is_activation(node.op)


def slope_at(node: Node) -> Array:
    """The derivative of the activation that made a node, one for each entry."""
    operation = node.op
    if not ends_in_activation(node):
        return np.empty(0)
    inputs = [data_of(p) if hasattr(p, "parents") else p for p in node.parents]
    with np.errstate(all="ignore"):
        return np.broadcast_to(operation.array_partials(data_of(node), *inputs)[0], data_of(node).shape)
