"""The layers of a traced forward: where parameters meet data, activations, the output, targets and penalties."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import ACTIVATIONS, softmax
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use, neighbours
from tinygrad_edu.clinic.examiner.forward.program import ForwardProgram, Step

Array = np.ndarray[Any, Any]
PRODUCTS = ("matmul", "mul")
# operations that may stand between the product and the activation
PASSING = ("add", "sub", "reshape", "transpose", "getitem", "pos")
PENALTY = ("square", "mul", "pow", "abs", "sum", "add", "sqrt", "div", "matmul", "reshape", "squared_error")


@dataclass(eq=False)
class Network:
    """A program with what its steps mean."""

    program: ForwardProgram
    layers: list[Layer] = field(default_factory=list)
    uses: dict[str, list[Use]] = field(default_factory=dict)  # parameter → all its uses
    penalties: list[Use] = field(default_factory=list)  # uses in a regularization term
    samples: int = 1
    scalars: tuple[Array, Array] | None = None  # for a graph of single numbers: their values, and their derivatives

    def __post_init__(self) -> None:
        with np.errstate(all="ignore"):
            self.find_uses()
            self.find_layers()
            self.number_layers()
            self.samples = max((self.rows(x) for x in self.layers), default=1)

    @property
    def steps(self) -> list[Step]:
        return self.program.steps

    @functools.cached_property
    def activated(self) -> list[Layer]:
        """The layers with an activation; and activations that stand apart from a layer: after a norm, a pooling, or
        over a map that was computed pixel by pixel, each as a layer without weights."""
        own = [layer for layer in self.layers if layer.activation >= 0]
        known = {layer.activation for layer in own}
        apart = [s for s in self.steps if s.activation and s.index not in known and s.index in self.program.gradients]
        return own + [self.apart(step) for step in apart if self.layers]

    def apart(self, step: Step) -> Layer:
        before = [layer for layer in self.layers if layer.z < step.index]
        number = before[-1].number if before else 1
        return Layer(step.source, [], step.index, number)

    @property
    def titled(self) -> bool:
        """Without layers: gradients alone are known."""
        return any(layer.title for layer in self.layers)

    @property
    def outputs(self) -> list[Layer]:
        return [layer for layer in self.layers if layer.is_output]

    def find_uses(self) -> None:
        penalty = penalty_steps(self.program)
        self.uses = {name: [] for name in self.program.parameters}
        for step in self.steps:
            for slot in step.live:
                name = self.steps[step.parents[slot]].parameter if not step.activation else ""
                if name:
                    use = Use(
                        step.index, slot, name, -1 if step.index in penalty else data_slot(self.steps, step, slot)
                    )
                    self.uses[name].append(use)
                    if step.index in penalty:
                        self.penalties.append(use)

    def find_layers(self) -> None:
        found: dict[int, Layer] = {}
        for use in (use for uses in self.uses.values() for use in uses if use not in self.penalties):
            z = self.climb(use.step)
            found.setdefault(z, Layer(z, [])).uses.append(use)
        self.layers = [found[z] for z in sorted(found) if found[z].weights]
        sources = {s.source: s.index for s in self.steps if s.activation and s.index in self.program.gradients}
        for layer in self.layers:
            layer.activation = sources.get(layer.z, -1)

    def climb(self, index: int) -> int:
        """From a product along the sums to z: the last step before the activation, or before what is not a sum."""
        while True:
            children = self.program.children.get(index, ())
            if len(children) != 1:
                return index
            child = self.steps[children[0][0]]
            if child.activation or child.operation not in PASSING or child.y.size < self.steps[index].y.size:
                return index
            if child.operation in ("add", "sub") and not self.is_sum_of_layer(child, index):
                return index
            index = child.index

    def is_sum_of_layer(self, step: Step, index: int) -> bool:
        """Is the other operand of z + ... a bias or another product with a parameter, and not a target?"""
        others = [p for p in step.parents if p != index]
        return all(p >= 0 and (bool(self.steps[p].parameter) or self.is_product(p)) for p in others)

    def is_product(self, index: int) -> bool:
        step = self.steps[index]
        if step.operation in ("add", "reshape", "transpose"):
            return any(p >= 0 and (self.steps[p].parameter or self.is_product(p)) for p in step.parents)
        return step.operation in PRODUCTS and any(p >= 0 and bool(self.steps[p].parameter) for p in step.parents)

    def number_layers(self) -> None:
        """Layers with the same parameters are one layer at several times; nothing follows an output layer."""
        ends = {layer.end: layer.z for layer in self.layers}
        for layer in self.layers:
            layer.after = frozenset(self.sources(layer, ends))
        fed = {z for layer in self.layers for z in layer.after}
        last = [layer for layer in self.layers if layer.z not in fed]
        groups: dict[tuple[str, ...], list[Layer]] = {}
        for layer in self.layers:
            layer.is_output = layer in last
            groups.setdefault(neighbours(self.steps, self.layers, layer) or self.lasting(layer), []).append(layer)
        for number, group in enumerate(groups.values(), 1):
            copies = {layer.z for layer in group}
            unit = "time step" if any(layer.after & copies for layer in group) else "sample"
            if len({self.steps[z].y.shape for z in copies}) > 1 or len({*self.products(group)}) > 1:
                unit = "use"  # for example W to encode and Wᵀ to decode, or w in x @ w and in the slope s * w
            unit = "neuron" if neighbours(self.steps, self.layers, group[0]) else unit
            for time, layer in enumerate(
                sorted(group, key=lambda x: self.steps[x.z].node._made)
            ):  # in the order of computation
                layer.number, layer.time, layer.unit = number, time if len(group) > 1 else -1, unit

    def products(self, group: Sequence[Layer]) -> Iterator[tuple[str, ...]]:
        """By which operations each of these copies of a layer multiplies its weights."""
        return (tuple(sorted({self.steps[u.step].operation for u in layer.weights})) for layer in group)

    def lasting(self, layer: Layer) -> tuple[str, ...]:
        """The weights that a layer has each time it is used."""
        return tuple(sorted({u.parameter for u in layer.weights if not self.one_time(u.parameter)})) or layer.names

    def one_time(self, name: str) -> bool:
        """Is the parameter used less often than others of its layer, as W_hh is where the first state is nought?"""
        beside = [u.parameter for layer in self.layers if name in layer.names for u in layer.weights]
        return len(self.uses[name]) < max(len(self.uses[n]) for n in beside)

    def sources(self, layer: Layer, ends: dict[int, int]) -> Iterator[int]:
        """The z of the layers whose outputs reach this layer's products."""
        stack = [self.steps[u.step].parents[u.data] for u in layer.weights]
        seen: set[int] = set()
        while stack:
            index = stack.pop()
            if index < 0 or index in seen:
                continue
            seen.add(index)
            if index in ends:
                yield ends[index]
            else:
                step = self.steps[index]
                stack += [step.source] if step.activation else list(step.parents)

    # what the mistakes need to know

    def gradient(self, index: int) -> Array:
        return self.program.gradients[index]

    def batch_axis(self, layer: Layer) -> int | None:
        """The axis of z along which the samples lie; None for one sample."""
        use, z = layer.weights[0], self.steps[layer.weights[0].step]
        if z.y.ndim < 2:
            pointwise = z.operation == "mul" and z.operand(use.slot).size == 1
            return 0 if z.y.ndim == 1 and z.y.size > 1 and pointwise else None
        if z.operation == "mul":
            return 0 if z.y.shape[0] > 1 else None
        axis = -2 if use.data == 0 else -1
        return axis if z.y.shape[axis] > 1 else None

    def sample_axis(self, layer: Layer) -> int | None:
        """The batch axis, if z has the samples along it too and was not transposed after the product."""
        axis, z = self.batch_axis(layer), self.steps[layer.z].y
        return axis if axis is not None and z.ndim >= -axis and z.shape[axis] == self.rows(layer) else None

    def rows(self, layer: Layer) -> int:
        axis = self.batch_axis(layer)
        return 1 if axis is None else int(self.steps[layer.weights[0].step].y.shape[axis])

    def prediction(self, layer: Layer) -> Array:
        """The output, through the softmax or sigmoid that a loss of logits has inside."""
        y = self.steps[layer.end].y
        if layer.activation >= 0:
            return y
        return next((p for p in implications(y) if self.error_of(layer, p) is not None), y)

    def is_plain(self, layer: Layer) -> bool:
        """Does the loss take z itself as the prediction, and not its softmax or sigmoid?"""
        return not layer.is_output or np.array_equal(self.prediction(layer), self.steps[layer.end].y)

    def target(self, layer: Layer) -> Array | None:
        """t, found among the constants of the loss by the gradient: ∝ p - t, or (p - t)/(p(1 - p)), or t/p."""
        found = self.error_of(layer, self.prediction(layer))
        return None if found is None else found[0]

    def scale(self, layer: Layer) -> float:
        """c in the gradient c·(p - t)."""
        found = self.error_of(layer, self.prediction(layer))
        return 1.0 if found is None else found[1]

    def error_of(self, layer: Layer, p: Array) -> tuple[Array, float] | None:
        g = self.gradient(layer.end)
        for t in constants_as_targets(self.program, layer.end, p):
            with np.errstate(all="ignore"):
                shapes = (p - t, (p - t) / (p * (1.0 - p)), -t / p)
            for shape in shapes:
                factor = proportion(shape, g)
                if factor is not None:
                    return t, factor
        return None


def implications(z: Array) -> list[Array]:
    sigmoid = ACTIVATIONS["sigmoid"].function
    return [z, sigmoid(z), *([softmax(z, -1)] if z.ndim else []), *([softmax(z, 0)] if z.ndim > 1 else [])]


def proportion(shape: Array, g: Array) -> float | None:
    """c with g = c·shape, if there is one."""
    total = float(np.vdot(shape, shape))
    if not np.isfinite(total) or total == 0.0:
        return None
    factor = float(np.vdot(shape, g)) / total
    return factor if np.linalg.norm(g - factor * shape) <= 1e-7 * np.linalg.norm(g) and factor else None


def constants_as_targets(program: ForwardProgram, end: int, p: Array) -> Iterator[Array]:
    """Constants of the loss that could be targets of predictions p: same size, or class numbers as an index."""
    for step in program.steps[end + 1 :]:
        for x, parent in zip(step.node.parents, step.parents, strict=True):
            array = np.asarray(x, dtype=float) if parent < 0 else np.zeros(0)
            if array.size == p.size:
                yield array.reshape(p.shape)
                yield 1.0 - array.reshape(p.shape)  # appears in the second half of a cross-entropy
        index = step.node.options.get("index") if step.operation == "getitem" else None
        if step.operation == "getitem" and step.operand(0).shape == p.shape:
            hot = np.zeros(p.shape)
            hot[index] = 1.0
            yield hot


def data_slot(steps: list[Step], step: Step, slot: int) -> int:
    """The other slot of a product; -1 where the parameter is added, or meets a plain number."""
    if step.operation not in PRODUCTS or len(step.parents) != 2:
        return -1
    other = 1 - slot
    parent = step.parents[other]
    return -1 if parent >= 0 and steps[parent].parameter else other


def penalty_steps(program: ForwardProgram) -> set[int]:
    """The steps of terms added to the loss that depend on parameters alone: λ·Σ w² and its like."""
    terms = terms_of(program)
    found: set[int] = set()
    if len(terms) > 1:
        for term in terms:
            inside = below_term(program, term)
            found |= inside if is_penalty(program, inside) else set()
    return found


def terms_of(program: ForwardProgram) -> list[int]:
    """The steps that are added to make the loss."""
    stack, terms = [len(program.steps) - 1], []
    while stack:
        step = program.steps[stack.pop()]
        nodes = [p for p in step.parents if p >= 0]
        splits = step.operation in ("add", "sub") and step.y.size == 1
        through = len(nodes) == 1 and step.operation in ("mul", "div", "neg", "reshape") and step.y.size == 1
        if not step.activation and (splits or through) and not any(program.steps[p].parameter for p in nodes):
            stack += nodes
        else:
            terms.append(step.index)
    return terms


def below_term(program: ForwardProgram, term: int) -> set[int]:
    stack, seen = [term], set()
    while stack:
        index = stack.pop()
        if index not in seen and not program.steps[index].parameter:
            seen.add(index)
            stack += [p for p in program.steps[index].parents if p >= 0]
    return seen


def is_penalty(program: ForwardProgram, inside: set[int]) -> bool:
    steps = [program.steps[i] for i in inside]
    large = any(np.size(x) > 1 for s in steps for x, p in zip(s.node.parents, s.parents, strict=True) if p < 0)
    return not large and all(s.operation in PENALTY and not s.activation for s in steps)
