"""A learner's forward function as a list of steps, and its backward pass, which can be run again with changes.

`tracing.record` makes it from the function. `Program.run` walks back from the loss like any backward
pass, except that a change may replace the gradient that arrives at a step, or what one edge hands on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np

from tinygrad_edu.clinic.examiner.forward.activations import softmax_pull
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.shapes import inverse
from tinygrad_edu.core.tensor import Tensor

Array = np.ndarray[Any, Any]
# a parameter that only passes through these is still that parameter
MOVES = ("transpose", "reshape", "getitem", "broadcast_to", "pos")
Contributions = dict[int, Array]  # slot of the parent → gradient that flows to it
Scope = Literal["", "own", "below"]


@dataclass(slots=True, eq=False)
class Step:
    """One node of the traced forward; `source` is set where it ends an activation, however many nodes spell that."""

    index: int
    node: Tensor
    parents: tuple[int, ...]  # -1 for a constant
    activation: str = ""
    source: int = -1
    axis: int = -1  # for a softmax
    parameter: str = ""  # name of the parameter that this step is, perhaps reshaped or indexed
    partials: Any = None
    live: tuple[int, ...] = ()  # slots that pass on a gradient

    @property
    def operation(self) -> str:
        return self.node.op.name if self.node.op else ""

    @property
    def y(self) -> Array:
        return self.node.array

    def operand(self, slot: int) -> Array:
        parent = self.node.parents[slot]
        return parent.array if parent.__class__ is Tensor else np.asarray(parent)


@dataclass(frozen=True, eq=False)
class Change:
    """One place where a backward pass differs from the right one.

    kind "into": g = function(g), the gradient that has arrived at `step`; "edge": what `step` hands to the parent in
    `slot` is function(g); "final": the finished gradient of `parameter` is function(gradient).
    `owner`: the layer (by the step of its z) at which it happens, where it can also happen for that layer's own
    parameters alone, or only for what is propagated below; `scope` says so for this change. `stage`: of changes at one
    place the lower is made first, as in a backward pass: the derivative of the loss before a sign, a penalty before
    what happens to the whole gradient.
    """

    kind: Literal["into", "edge", "final"]
    step: int
    function: Callable[[Array], Array]
    slot: int = 0
    parameter: str = ""
    owner: int = -1
    stage: int = 1
    scope: Scope = ""


@dataclass(eq=False)
class ForwardProgram:
    """The steps of a forward, parents first; the last is the loss."""

    steps: list[Step]
    parameters: dict[str, int]
    children: dict[int, list[tuple[int, int]]] = field(default_factory=dict)  # step → (child, slot in the child)
    gradients: dict[int, Array] = field(default_factory=dict)  # step → ∂L/∂step in the right backward pass
    handed: dict[int, Contributions] = field(default_factory=dict)

    def settle(self) -> None:
        """Run the right backward pass once; what is not reached by it takes no further part."""
        reached, self.children = {len(self.steps) - 1}, {}
        for step in reversed(self.steps):
            step.live = ()
            if step.index in reached and not step.parameter:
                step.live = tuple(k for k, p in enumerate(above(step)) if p >= 0)
                for slot in step.live:
                    reached.add(above(step)[slot])
                    self.children.setdefault(above(step)[slot], []).append((step.index, slot))
        self.gradients, self.handed = {}, {}
        self.gradients[len(self.steps) - 1] = np.ones_like(self.steps[-1].y)
        for step in reversed(self.steps):
            if step.index in reached and not step.parameter:
                g = self.gradients.setdefault(step.index, self.arriving(step.index, {}))
                self.handed[step.index] = pull_step(step, g)

    def arriving(self, index: int, changed: Mapping[int, Contributions]) -> Array:
        """The gradient at a step: the sum of what its children pass to it."""
        parts = [(changed.get(child) or self.handed[child])[slot] for child, slot in self.children.get(index, ())]
        return sum(parts[1:], parts[0]) if parts else self.gradients[index]

    def run(self, changes: Iterable[Change], until: int = 0) -> tuple[dict[int, Contributions], dict[int, Array]]:
        """A backward pass with these changes, down to step `until`: what the steps hand on, and what arrives at them.

        Steps that are as in the right pass are left out.

        >>> from tinygrad_edu.clinic.examiner.forward.tracing import trace_call
        >>> program = trace_call(lambda p: (p["w"] * 3.0).tanh().sum(), {"w": np.array([0.0])})
        >>> program.handed[1][0].tolist()
        [3.0]
        >>> double = Change("into", 2, lambda g: 2.0 * g)
        >>> program.run([double])[0][1][0].tolist()
        [6.0]
        """
        into: dict[int, list[Change]] = {}
        edges: dict[int, list[Change]] = {}
        for change in sorted(changes, key=lambda c: c.stage):
            (into if change.kind == "into" else edges).setdefault(change.step, []).append(change)
        done: dict[int, Contributions] = {}
        arrived: dict[int, Array] = {}
        dirty = {*into, *edges}
        while dirty:
            index = max(dirty)
            if index < until:
                break
            dirty.discard(index)
            g = self.arriving(index, done)
            for change in into.get(index, ()):
                g = change.function(g)
            step, arrived[index] = self.steps[index], g
            done[index] = handed = pull_step(step, g)
            for change in edges.get(index, ()):
                handed[change.slot] = stretch_to(change.function(g), handed[change.slot])
            dirty.update(p for p in (above(step)[k] for k in step.live) if not self.steps[p].parameter)
        return done, arrived

    def move_back(self, index: int, g: Array) -> Array:
        """A gradient of a moved parameter (W.T, W[1:]) as one of the parameter itself."""
        while self.steps[index].parents:
            step, index = self.steps[index], self.steps[index].parents[0]
            g = back_through(step, g, self.steps[index].y)
        return g

    def move(self, index: int, array: Array) -> Array:
        """Another array in place of the parameter, moved about as the parameter was."""
        path = []
        while self.steps[index].parents:
            path.append(self.steps[index])
            index = path[-1].parents[0]
        for step in reversed(path):
            array = apply_node(step.node, [array])
        return array


def above(step: Step) -> tuple[int, ...]:
    """Where a step's gradient goes: an activation's to its z, past the nodes that spell it."""
    return (step.source,) if step.activation else step.parents


def pull_step(step: Step, g: Array) -> Contributions:
    """The gradient that a step passes to each parent: the chain rule at one node."""
    node = step.node
    if step.activation == "softmax":
        return {0: softmax_pull(g, step.y, step.axis)}
    if step.activation:
        return {0: g * step.partials}
    if step.operation in ("add", "reshape") and step.live:
        return {k: sum_to_shape(g, step.operand(k)) if g.ndim >= step.operand(k).ndim and step.operation == "add" else
                g.reshape(step.operand(k).shape) for k in step.live}  # fmt: skip
    return repull_step(step, g, [p.array if p.__class__ is Tensor else p for p in node.parents])


def repull_step(step: Step, g: Array, arrays: Sequence[Any]) -> Contributions:
    """Pull a gradient back through a step whose operands are other arrays."""
    node, slots = step.node, step.live
    if isinstance(node.op, Operation):
        own = all(a is getattr(p, "array", p) for a, p in zip(arrays, node.parents, strict=True))
        if own and step.partials is None:
            step.partials = [without_missing(x) for x in node.op.array_partials(step.y, *arrays)]
        found = step.partials if own else node.op.array_partials(step.y, *arrays)
        return {
            k: sum_to_shape(g if found[k].__class__ is float and found[k] == 1.0 else g * found[k], step.operand(k))
            for k in slots
        }
    if step.operation == "matmul" and arrays[0].ndim <= 2 and arrays[1].ndim <= 2:
        return {k: share_of_factor(g, arrays[0], arrays[1], k) for k in slots}
    found = node.op.vjp(g, step.y, *arrays, **node.options)
    return {k: sum_to_shape(found[k], step.operand(k)) for k in slots}


def without_missing(partial: Any) -> Any:
    """A derivative with 0 for NaN: where the data are missing. The loss is a number, so it leaves those entries out."""
    if partial.__class__ is not np.ndarray or not np.isnan(np.sum(partial)):
        return partial
    return np.where(np.isnan(partial), 0.0, partial)


def share_of_factor(g: Array, a: Array, b: Array, slot: int) -> Array:
    """The gradient of a @ b for its left (0) or right (1) factor, matrices or vectors; inlined for speed."""
    if slot == 0:
        return (
            g @ b.T if a.ndim == b.ndim == 2 else (np.outer(g, b) if a.ndim == 2 else b @ g if b.ndim == 2 else g * b)
        )
    return a.T @ g if a.ndim == 2 else (np.outer(a, g) if b.ndim == 2 else g * a)


def back_through(step: Step, g: Array, x: Array) -> Array:
    """The gradient through a step that only rearranges its operand x."""
    if step.operation == "reshape":
        return g.reshape(x.shape)
    if step.operation == "transpose":
        return np.transpose(g, inverse(step.node.options.get("axes")))
    if isinstance(step.node.op, Operation):  # an elementwise one here is +x
        return g
    (g,) = step.node.op.vjp(g, step.y, x, **step.node.options)
    return g


def sum_to_shape(contribution: Array, like: Array) -> Array:
    """A contribution summed over the axes along which its array was stretched."""
    if contribution.shape == like.shape:
        return contribution
    extra = contribution.ndim - like.ndim
    stretched = [i for i, n in enumerate(contribution.shape) if i < extra or (like.shape[i - extra] == 1 and n != 1)]
    return np.asarray(np.sum(contribution, axis=tuple(stretched))).reshape(like.shape)


def stretch_to(contribution: Array, like: Array) -> Array:
    """A contribution of a mistake in the shape of the right one: broadcast, or summed over broadcast axes."""
    if contribution.__class__ is np.ndarray and contribution.shape == like.shape:
        return contribution
    return sum_to_shape(np.asarray(contribution + np.zeros(like.shape)), like)


def apply_node(node: Tensor, arrays: Sequence[Any]) -> Array:
    """A node's operation on other arrays."""
    operation = node.op
    if isinstance(operation, Operation):
        return np.asarray(operation.array_function(*arrays))
    return np.asarray(operation.function(*arrays, **node.options))
