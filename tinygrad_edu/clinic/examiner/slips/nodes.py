"""Slips between the layers: norms, dropout masks, softmaxes inside the network, a softmax over the samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change, Step, above

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]
SKIPS = 12  # skip connections that are tried one by one
STATISTICS = ("mean", "var", "std", "sum")


def nearest(net: Network, step: Step) -> Layer:
    """The last layer before a step."""
    before = [layer for layer in net.layers if layer.z <= step.index]
    return (before or net.layers)[-1 if before else 0]


def statistics(net: Network) -> list[Step]:
    """Means and variances along an axis, of numbers that depend on parameters; what belongs to a softmax is none."""
    inside = {k for s in net.steps if s.activation == "softmax" for k in range(s.source + 1, s.index)}
    return [
        s for s in net.steps
        if s.operation in STATISTICS and s.live and s.y.size > 1 and s.y.size < s.operand(0).size
        and s.index in net.program.gradients and s.index not in inside
    ]  # fmt: skip


def statistic_name(step: Step, found: Sequence[Step]) -> str:
    """The statistic in words: of the two sums of a norm that is written out, the first is the mean."""
    if step.operation in ("mean", "sum") and len(found) == 2:
        return "mean" if step is found[0] else "variance"
    return {"var": "variance", "std": "standard deviation"}.get(step.operation, step.operation)


@slip(
    "statistics_as_constants",
    sentence="What the norm computes of its input, its mean or its variance or both, is treated as a constant.",
    fix="They depend on the inputs: dx = (dxhat - mean(dxhat) - xhat·mean(dxhat·xhat)) / std.",
    right="∂L/∂x = the share through x + the share through the mean + the share through the variance",
    example="dx = dxhat / std                    # should also go through mean and std",
)
def statistics_as_constants(net: Network, _: Learner) -> Variants:
    found = statistics(net) if net.layers else []
    for step in found:
        cut = Change("into", step.index, np.zeros_like)
        line = f"nothing goes back through the {statistic_name(step, found)}"
        yield Variant(nearest(net, step), line, (cut,), repeats=False)
    if len(found) > 1:
        cuts = tuple(Change("into", step.index, np.zeros_like) for step in found)
        yield Variant(nearest(net, found[0]), "nothing goes back through mean and variance", cuts, repeats=False)


@slip(
    "statistics_share_wrong",
    sentence="What goes back through the mean or the variance of the norm has a wrong sign or factor.",
    fix="dvar = Σ dxhat (x - mean) · (-1/2) (var + ε)^(-3/2), and dmean = -Σ dxhat/std - 2 dvar Σ (x - mean)/n.",
    right="∂L/∂x = the share through x + the share through the mean + the share through the variance",
    example="dvar = 0.5 * (var + eps)**-1.5 * s  # should be -0.5 * ...",
)
def statistics_share_wrong(net: Network, _: Learner) -> Variants:
    for step in statistics(net) if net.layers else []:
        n = step.operand(0).size / step.y.size
        for text, c in {"-1": -1.0, "2": 2.0, "1/2": 0.5, "n": n, "1/n": 1.0 / n, "-2": -2.0, "-1/2": -0.5}.items():
            change = Change("into", step.index, lambda g, c=c: c * g)  # type: ignore[misc]
            line = f"share through the {step.operation} = {text} times the right one"
            yield Variant(nearest(net, step), line, (change,), repeats=False)


@slip(
    "skip_connection_forgotten",
    sentence="A value goes on through a block and also past it. Nothing comes back on the way past the block.",
    fix="Add both: dx = what comes back through the block + the gradient of the sum itself.",
    right="∂L/∂x = the share through the block + ∂L/∂(x + block(x))",
    example="dx = d_block                        # should be d_block + d_sum",
    before="delta_not_propagated",
)
def skip_connection_forgotten(net: Network, _: Learner) -> Variants:
    found = [*skips(net)] if net.layers else []
    line = "∂L/∂x = the share through the block"
    if len(found) > 1:
        every = tuple(nothing_past(s, slot) for s, slot in found)
        yield Variant(nearest(net, found[0][0]), f"{line}, at every skip connection", every, repeats=False)
    for step, slot in found[:SKIPS]:
        x = net.steps[step.parents[slot]]
        yield Variant(nearest(net, x), line, (nothing_past(step, slot),), repeats=False)


def nothing_past(step: Step, slot: int) -> Change:
    """Nothing comes back to one of the operands."""
    x = step.operand(slot)
    return Change("edge", step.index, lambda _: np.zeros_like(x), slot)


def skips(net: Network) -> Iterator[tuple[Step, int]]:
    """(sum, slot): x in x + block(x), or in a concatenation of x and block(x)."""
    for step in net.steps:
        joins = step.operation in ("add", "concatenate") and not step.activation and not step.parameter
        for slot in step.live if joins and step.y.size > 1 and len(step.live) == 2 else ():
            x, other = step.parents[slot], step.parents[next(k for k in step.live if k != slot)]
            if x < other and not net.steps[x].parameter and depends_on(net, other, x):
                yield step, slot


def depends_on(net: Network, index: int, x: int) -> bool:
    """Is a step computed from the value of an earlier one?"""
    seen, waiting = {index}, [index]
    while waiting:
        step = net.steps[waiting.pop()]
        reached = {p for p in above(step) if p >= x} - seen
        if x in reached:
            return True
        seen |= reached
        waiting += reached
    return False


@slip(
    "softmax_without_its_dot",
    sentence="The softmax's backward is only s·g: the term - s·Σ(g·s) is missing.",
    fix="ds = s * (g - np.sum(g * s, axis=-1, keepdims=True)): each output depends on every input.",
    right="∂L/∂z = s ∘ (g - Σ g·s)",
    example="dz = s * g                          # should be s * (g - np.sum(g * s, -1, keepdims=True))",
    before="loss_derivative_missing",
)
def softmax_without_its_dot(net: Network, _: Learner) -> Variants:
    for step in (s for s in net.steps if s.activation == "softmax" and s.index in net.program.gradients):
        for text, slope in {"s ∘ g": step.y, "s(1 - s) ∘ g": step.y * (1.0 - step.y)}.items():
            change = Change("edge", step.index, lambda g, s=slope: g * s)  # type: ignore[misc]
            yield Variant(nearest(net, step), f"∂L/∂z = {text}", (change,), repeats=False)


@slip(
    "dropout_mask_forgotten",
    sentence="The gradient passes the dropout without its mask: units that were dropped get a gradient too.",
    fix="Multiply by the same mask, with the same scale, as in the forward pass: dh *= mask.",
    right="∂L/∂h = mask ∘ ∂L/∂(h ∘ mask)",
    example="dh = dout @ W.T                     # should be (dout @ W.T) * mask",
)
def dropout_mask_forgotten(net: Network, _: Learner) -> Variants:
    for step in net.steps if net.layers else ():
        scale = mask_scale(step)
        if scale and step.index in net.program.gradients:
            for text, c in {"": 1.0, f"{scale:.4g} · ": scale}.items() if scale != 1.0 else [("", 1.0)]:
                change = Change("edge", step.index, lambda g, c=c: c * g, step.live[0])  # type: ignore[misc]
                yield Variant(nearest(net, step), f"∂L/∂h = {text}∂L/∂(h ∘ mask)", (change,), repeats=False)


def mask_scale(step: Step) -> float:
    """c where a step multiplies by an array of 0 and c; 0 where it does not."""
    if step.activation or step.operation != "mul" or len(step.live) != 1 or len(step.parents) != 2:
        return 0.0
    other = np.asarray(step.operand(1 - step.live[0]), dtype=float)
    values = np.unique(other)
    return float(values[1]) if other.size > 1 and len(values) == 2 and values[0] == 0.0 else 0.0


@slip(
    "softmax_over_samples",
    sentence="The forward's softmax divides by a sum over the samples, not over the classes; the backward is that of a "
    "softmax over the classes.",
    fix="Rows are samples: np.sum(np.exp(z), axis=1, keepdims=True) in the forward.",
    right="p = exp(z) / Σ over the classes",
    example="p = np.exp(z) / sum(np.exp(z))      # should be / np.sum(np.exp(z), axis=1, keepdims=True)",
    before="loss_derivative_missing",
)
def softmax_over_samples(net: Network, _: Learner) -> Variants:
    for layer in net.outputs:
        step = net.steps[layer.activation]
        if layer.activation >= 0 and step.activation == "softmax" and step.y.ndim == 2:
            across = net.batch_axis(layer)
            if across is not None and across % 2 == step.axis % 2:
                yield from by_rows(net, layer, step)


def by_rows(net: Network, layer: Layer, step: Step) -> Variants:
    """The delta p - t of the other softmax, which the learner computes with this one's p."""
    n = float(net.samples)
    for later in net.steps[step.index + 1 :]:
        index = later.node.options.get("index") if later.operation == "getitem" else None
        constants = [] if later.operation != "mul" else [x for x in later.node.parents if not hasattr(x, "parents")]
        tables = [np.asarray(x, dtype=float) for x in constants if np.shape(x) == step.y.shape]
        if index is not None and later.operand(0).shape == step.y.shape:
            hot = np.zeros(step.y.shape)
            hot[index] = 1.0
            tables.append(hot)
        for t in tables:
            for text, c in {"/n": 1.0 / n, "": 1.0}.items():
                change = Change("into", layer.z, lambda _, d=c * (step.y - t): d)  # type: ignore[misc]
                yield Variant(layer, "{d} = (p - t)" + text, (change,), repeats=False)
