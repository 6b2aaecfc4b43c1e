"""A graph of single numbers, written over as layers of arrays.

Products w·x of a parameter that are added up are neurons; neurons with the same inputs and the same parameters are a
layer z = x Wᵀ + b. What stands between the layers, and between the last one and the loss, is put together entry by
entry: numbers that were made by the same operation become one array made by that operation.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.loss_parts import Part, operation_name, summands_of
from tinygrad_edu.core.broadcasting import sum as total_of
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.shapes import concatenate, reshape
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import PARENTS, Value

Array = np.ndarray[Any, Any]
FEW = 4  # terms of different forms, as those of a cross-entropy
Place = tuple[str, int]  # (parameter, index of the entry)


class NoLayersError(Exception):
    """The graph is not a stack of layers."""


@dataclass(eq=False)
class Neuron:
    """z = Σ w·x + b."""

    z: Value
    products: list[tuple[Place, Value]] = field(default_factory=list)
    biases: list[Place] = field(default_factory=list)

    def bias_as_weight(self) -> None:
        """A bias stored among the weights, as w[-1], becomes the weight of an input that is always 1."""
        names = {name for (name, _), _ in self.products}
        self.products += [(place, Value(1.0)) for place in self.biases if place[0] in names]
        self.biases = [place for place in self.biases if place[0] not in names]

    @property
    def key(self) -> tuple[Any, ...]:
        names = tuple(sorted({name for (name, _), _ in self.products}))
        return names, tuple(sorted(id(x) for _, x in self.products if x.parents or x.label)), len(self.products)


@dataclass(eq=False)
class Rebuild:
    """The work at hand: which number is which parameter, and which neuron ends where."""

    places: dict[Value, Place]
    shapes: dict[str, tuple[int, ...]]
    tensors: Mapping[str, Tensor]
    neurons: dict[Value, Neuron] = field(default_factory=dict)
    layers: dict[tuple[Any, ...], list[Neuron]] = field(default_factory=dict)
    made: dict[tuple[int, ...], Any] = field(default_factory=dict)

    def array(self, numbers: Sequence[Value]) -> Any:
        """Single numbers as one array, computed by array operations."""
        key = tuple(map(id, numbers))
        if key not in self.made:
            self.made[key] = self.compute(list(numbers))
        return self.made[key]

    def compute(self, numbers: list[Value]) -> Any:
        if all(not x.parents and x not in self.places for x in numbers):
            return np.array([x.data for x in numbers])
        own = {self.neurons[x].key for x in numbers if x in self.neurons}
        if all(x in self.neurons for x in numbers) and (len(own) < len(numbers) or len(numbers) == 1):
            return self.layer(numbers)
        if all(x in self.places for x in numbers):
            return self.entries([self.places[x] for x in numbers])
        if len({key for x in numbers if (key := self.neuron_behind(x)) is not None}) == len(numbers) > 1:
            return concatenate([self.array([x]) for x in numbers], axis=0)  # neurons that have their own weights
        first = numbers[0]
        if any(x.op is not first.op for x in numbers) or first.op is None:
            return self.mixed(numbers)
        parts = [self.array([x.parents[k] for x in numbers]) for k in range(len(first.parents))]
        return first.op(*parts)

    def neuron_behind(self, number: Value) -> tuple[Any, ...] | None:
        """The neuron of which a number is a function, where it is one of a single neuron that shares no weights."""
        found, waiting, seen = set(), [number], set()
        while waiting:
            x = waiting.pop()
            if x in self.neurons:
                found.add(self.neurons[x].key)
            elif x not in seen:
                seen.add(x)
                waiting += [p for p in x.parents if p.parents]
        key = found.pop() if len(found) == 1 else None
        return key if key is not None and len(self.layers[key]) == 1 else None

    def mixed(self, numbers: list[Value]) -> Any:
        """An array of which some entries are constants, such as a 1 for the bias, and the others computed numbers."""
        computed = [k for k, x in enumerate(numbers) if x.parents or x in self.places]
        if 0 < len(computed) < len(numbers) and computed == list(range(computed[0], computed[-1] + 1)):
            pieces = [numbers[: computed[0]], [numbers[k] for k in computed], numbers[computed[-1] + 1 :]]
            return concatenate([self.array(piece) for piece in pieces if piece], axis=0)
        raise NoLayersError("numbers of one layer are computed in different ways")

    def layer(self, numbers: list[Value]) -> Any:
        group = self.layers[self.neurons[numbers[0]].key]
        if len(group) != len(numbers) or any(n.z is not x for n, x in zip(group, numbers, strict=True)):
            raise NoLayersError("a layer is used in another order than its weights")
        names = list(dict.fromkeys(name for (name, _), _ in group[0].products))
        parts = [self.product(name, group) for name in names]
        if any(len(n.biases) != len(group[0].biases) for n in group):
            raise NoLayersError("some neurons of a layer have a bias and some do not")
        parts += [self.entries(list(column)) for column in zip(*(n.biases for n in group), strict=True)]
        return functools.reduce(lambda a, b: a + b, parts)

    def product(self, name: str, group: list[Neuron]) -> Any:
        """x Wᵀ where the neurons are the rows of W, x W where they are its columns."""
        table = [{place: x for (n, place), x in neuron.products if n == name} for neuron in group]
        shape, W = self.shapes[name], self.tensors[name]
        size = int(np.prod(shape))
        if sorted(place for row in table for place in row) != list(range(size)):
            raise NoLayersError(f"not every entry of {name} is used once in its layer")
        if len(shape) < 2:
            inputs = (
                [table[0][k] for k in range(size)] if len(group) == 1 else [next(iter(row.values())) for row in table]
            )
            product = self.array(inputs) * (W if shape else reshape(W, (1,)))
            return product if len(group) > 1 or size == 1 else reshape(matmul(self.array(inputs), W), (1,))
        rows, columns = shape
        by_row = all({k // columns for k in row} == {i} for i, row in enumerate(table)) and len(table) == rows
        inputs = [table[0][k] for k in sorted(table[0])]
        for row in table:
            if [row[k].data for k in sorted(row)] != [x.data for x in inputs]:
                raise NoLayersError(f"the neurons of {name} have different inputs")
        x = self.array(inputs)
        return matmul(x, W.T) if by_row else matmul(x, W)

    def entries(self, places: list[Place]) -> Any:
        """Entries of one parameter as an array, in the order of `places`."""
        names = {name for name, _ in places}
        name = places[0][0]
        if len(names) != 1:
            raise NoLayersError("a bias is taken from several parameters")
        flat = reshape(self.tensors[name], (int(np.prod(self.shapes[name])),))
        order = [k for _, k in places]
        return flat if order == list(range(flat.shape[0])) else flat[np.array(order)]


def rebuild_loss(loss: Value, leaves: Mapping[str, Array], tensors: Mapping[str, Tensor]) -> Any:
    """The loss as a Tensor of arrays. Errors: NoLayersError where the numbers are not layers."""
    places = {w: (name, k) for name, v in leaves.items() for k, w in enumerate(v)}
    try:
        return rebuild_at_once(loss, places, tensors)
    except NoLayersError:
        samples = samples_of(loss, places)
        if len(samples) < 2:
            raise
    parts = [rebuild_at_once(sample, places, tensors) * factor for sample, factor in samples]
    return functools.reduce(lambda a, b: a + b, parts)


def samples_of(loss: Value, places: Mapping[Value, Place]) -> list[tuple[Value, float]]:
    """(loss, factor) of each sample: summands of the loss that have a neuron in common belong to one sample."""
    groups: list[tuple[set[int], list[Part]]] = []
    for part in summands_of(loss):
        inside = {id(x) for x in topological(part.node, PARENTS) if x.parents and x not in places}
        shared = [group for group in groups if group[0] & inside]
        groups = [group for group in groups if not group[0] & inside]
        merged = set.union(inside, *(group[0] for group in shared))
        groups.append((merged, [*(p for group in shared for p in group[1]), part]))
    found = []
    for _, parts in groups:
        counted = [part for part in parts if part.factor]  # of y·log p + (1 - y)·log(1 - p) one half is 0
        if counted:
            c = counted[0].factor
            terms = [part.node if part.factor == c else part.node * (part.factor / c) for part in counted]
            found.append((functools.reduce(lambda a, b: a + b, terms), c))
    return found


def rebuild_at_once(loss: Value, places: dict[Value, Place], tensors: Mapping[str, Tensor]) -> Any:
    """The same for one sample, or for samples that form one stack of layers."""
    work = Rebuild(places, {n: t.shape for n, t in tensors.items()}, tensors)
    find_neurons(loss, work)
    for neuron in work.neurons.values():
        work.layers.setdefault(neuron.key, []).append(neuron)
    for group in work.layers.values():
        group.sort(key=lambda n: n.products[0][0][1])
    return reduce_loss(work, loss)


def find_neurons(loss: Value, work: Rebuild) -> None:
    """The neurons of the graph: each is a sum of products w·x, found at its end."""
    children: dict[Value, list[Value]] = {}
    order = topological(loss, PARENTS)
    for node in order:
        for parent in node.parents:
            children.setdefault(parent, []).append(node)
    for node in order:
        if operation_name(node) == "mul" and sum(p in work.places for p in node.parents) == 1:
            end = climb_product(node, children, work)
            weight = next(p for p in node.parents if p in work.places)
            other = next(p for p in node.parents if p is not weight)
            work.neurons.setdefault(end, Neuron(end)).products.append((work.places[weight], other))
    for node in order:
        for parent in node.parents if operation_name(node) == "add" else ():
            if parent in work.places:
                end = climb_product(node, children, work)
                work.neurons.setdefault(end, Neuron(end)).biases.append(work.places[parent])
    for neuron in work.neurons.values():
        neuron.bias_as_weight()
    if not work.neurons or any(not n.products for n in work.neurons.values()):
        raise NoLayersError("no sums of weights times inputs")


def climb_product(node: Value, children: Mapping[Value, list[Value]], work: Rebuild) -> Value:
    """Follow the sum that a product is part of to its end."""
    while len(children.get(node, ())) == 1 and operation_name(children[node][0]) == "add":
        node = children[node][0]
    return node


def reduce_loss(work: Rebuild, loss: Value) -> Any:
    """The loss as one array operation after the other: a sum of terms of the same form, times or divided by numbers."""
    if operation_name(loss) in ("mul", "div") and any(not p.parents and p not in work.places for p in loss.parents):
        parts = [p.data if not p.parents else reduce_loss(work, p) for p in loss.parents]
        assert loss.op is not None
        return loss.op(*parts)
    terms = terms_of(loss)
    if operation_name(loss) == "neg":
        return -reduce_loss(work, loss.parents[0])
    try:
        return total_of(work.array(terms))
    except NoLayersError:
        if not 1 < len(terms) <= FEW:
            raise
    return functools.reduce(lambda a, b: a + b, [reduce_loss(work, term) for term in terms])


def terms_of(node: Value) -> list[Value]:
    """The summands, in order; without the 0 that sum() begins with."""
    stack, found = [node], []
    while stack:
        top = stack.pop()
        if operation_name(top) == "add":
            stack += reversed(top.parents)
        elif top.parents or top.data != 0.0:
            found.append(top)
    return found
