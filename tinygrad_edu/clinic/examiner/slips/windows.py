"""Slips of convolutions and poolings: windows of an array that overlap, and kernels that are turned round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, slip
from tinygrad_edu.clinic.examiner.network import Network
from tinygrad_edu.clinic.examiner.program import Change, Step
from tinygrad_edu.clinic.examiner.slips.layer import propagating, with_operand
from tinygrad_edu.clinic.examiner.slips.nodes import nearest
from tinygrad_edu.core.aliases import Axis

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]


@slip(
    "overlaps_counted_once",
    sentence="Where windows overlap, the gradients of several windows fall on one entry: they are overwritten there, "
    "not added.",
    fix="dx[window] += its share, beginning with zeros; with =, only the last window counts.",
    right="∂L/∂x = Σ over all windows in which x stands",
    example="dx[i*s:i*s+k] = mask * d[i]         # should be +=",
)
def overlaps_counted_once(net: Network, _: Learner) -> Variants:
    for step in net.steps:
        children = net.program.children.get(step.index, ())
        windows = sorted(
            (k for k, _ in children if net.steps[k].operation == "getitem"), key=lambda k: net.steps[k].node.made
        )
        if step.parameter or step.index not in net.program.gradients or not windows:
            continue
        for text, order in {"last": windows, "first": windows[::-1]}.items():
            for what, whole in {"window": True, "maximum": False}.items():
                lost = write_over(net, step, order, whole) - add_up(net, step, order)
                if np.any(np.abs(lost) > 1e-12 * np.abs(net.gradient(step.index)).max()):
                    change = Change("into", step.index, lambda g, lost=lost: g + lost)  # type: ignore[misc]
                    line = f"∂L/∂x[{what}] = its share; the {text} one counts"
                    yield Variant(nearest(net, step), line, (change,), repeats=False)


def add_up(net: Network, step: Step, windows: Sequence[int]) -> Array:
    """The gradients of windows, added up where they overlap."""
    out = np.zeros_like(step.y)
    for k in windows:
        np.add.at(out, net.steps[k].node.options["index"], net.program.gradients[k])
    return out


def write_over(net: Network, step: Step, windows: Sequence[int], whole: bool) -> Array:
    """The same written one over the other; where not whole, only where they are not 0, as at the maximum of each."""
    out = np.zeros_like(step.y)
    for k in windows:
        place, g = net.steps[k].node.options["index"], net.program.gradients[k]
        out[place] = g if whole else np.where(g != 0.0, g, out[place])
    return out


@slip(
    "kernel_flipped",
    sentence="On the way back through the convolution the kernel of {W} is turned round, against the forward pass.",
    fix="Where the forward multiplies the window by K as it is (a correlation), window by window the input gets d·K; "
    "as a whole that is a full convolution of d with K: flip once, not twice and not never.",
    right="∂L/∂x[i + j] = Σ d[i] K[j]",
    example="dx = correlate2d(d, K, 'full')      # should be convolve2d(d, K, 'full')",
)
def kernel_flipped(net: Network, learner: Learner) -> Variants:
    for layer, use, step in propagating(net):
        K = learner.params[use.parameter]
        for axes in flips(K):
            other = net.program.move(step.parents[use.slot], np.flip(K, axes).copy())
            text = "K reversed along axes " + ", ".join(map(str, axes))
            change = Change("edge", use.step, with_operand(step, use.data, use.slot, other), use.data)
            yield Variant(layer, f"∂L/∂x = δ with {text}", (change,), use.parameter)


def flips(K: Array) -> list[tuple[int, ...]]:
    """The axes of a kernel: two or three that stand side by side, and one alone where there are three."""
    run = [tuple(range(k, k + n)) for n in (2, 3) for k in range(K.ndim - n + 1)] + [
        (k,) for k in (0, 2) if K.ndim == 3
    ]
    return [axes for axes in run if all(K.shape[k] > 1 for k in axes) and K.ndim <= 4]


@slip(
    "maximum_without_its_mask",
    sentence="The gradient of a maximum goes to every entry of its window, or to those that are not the maximum.",
    fix="Only the entry that was the maximum gets it: dx[window] += (x[window] == x[window].max()) * d.",
    right="∂L/∂x = mask of the maximum ∘ ∂L/∂(max x)",
    example="dx[window] = d[i, j]                # should be mask * d[i, j]",
)
def maximum_without_its_mask(net: Network, _: Learner) -> Variants:
    steps = [s for s in net.steps if s.operation == "max" and s.live and s.index in net.program.gradients]
    steps = [s for s in steps if not s.activation and s.operand(0).size > s.y.size]
    shares = {"every entry": lambda m: np.ones_like(m), "every entry, divided": lambda m: np.full_like(m, 1.0 / m.size)}
    shares |= {"all but the maximum": lambda m: 1.0 - m}
    for text, share in shares.items() if steps else ():
        changes = tuple(Change("edge", s.index, hand_on(net, s, share), 0) for s in steps)
        yield Variant(nearest(net, steps[0]), f"∂L/∂x = ∂L/∂(max x) to {text}", changes, repeats=False)


def hand_on(net: Network, step: Step, share: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """What a maximum hands on with another mask."""
    x, axis = step.operand(0), step.node.options.get("axis")
    kept = np.max(x, axis=axis, keepdims=True)
    mask = share((x == kept).astype(float)) if axis is None else share_by_window(x == kept, axis, share)
    return lambda g: mask * np.reshape(g, kept.shape)


def share_by_window(mask: Array, axis: Axis, share: Callable[[Array], Array]) -> Array:
    """The share where the windows lie along some axes: divided by the size of one of them."""
    axes = np.atleast_1d(axis)
    size = float(np.prod([mask.shape[k] for k in axes]))
    made = share(mask.astype(float))
    return made * mask.size / size if np.all(made == 1.0 / mask.size) else made
