"""Slips of convolutions and poolings: windows of an array that overlap, and kernels that are turned round."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, slip
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change, Step
from tinygrad_edu.clinic.examiner.slips.layer import propagating, with_operand
from tinygrad_edu.clinic.examiner.slips.nodes import nearest
from tinygrad_edu.core.aliases import Axis

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]


@slip(
    "overlaps_counted_once",
    sentence="Where windows overlap, an entry gets the gradients of several windows: they are overwritten there, "
    "not added.",
    fix="dx[window] += its share, starting from zeros; with =, only the last window counts.",
    right="∂L/∂x = Σ over all windows in which x stands",
    example="dx[i*s:i*s+k] = mask * d[i]         # should be +=",
)
def overlaps_counted_once(net: Network, _: Learner) -> Variants:
    for step in net.steps:
        children = net.program.children.get(step.index, ())
        windows = sorted(
            (k for k, _ in children if net.steps[k].operation == "getitem"), key=lambda k: net.steps[k].node._made
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
    """The windows' gradients, each overwriting the last; unless `whole`, only their nonzero entries (a maximum's)."""
    out = np.zeros_like(step.y)
    for k in windows:
        place, g = net.steps[k].node.options["index"], net.program.gradients[k]
        out[place] = g if whole else np.where(g != 0.0, g, out[place])
    return out


@slip(
    "kernel_flipped",
    sentence="On the way back through the convolution the kernel {W} is flipped, unlike in the forward pass.",
    fix="Where the forward multiplies the window by K as it is (a correlation), window by window the input gets d·K; "
    "as a whole that is a full convolution of d with K: flip exactly once.",
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
    """The axes along which a kernel may be flipped: two or three neighbouring ones, or one of three."""
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
    steps = maxima(net)
    shares = {"every entry": lambda m: np.ones_like(m), "every entry, divided": lambda m: np.full_like(m, 1.0 / m.size)}
    shares |= {"all but the maximum": lambda m: 1.0 - m}
    for text, share in shares.items() if steps else ():
        changes = tuple(Change("edge", s.index, hand_on(net, s, share), 0) for s in steps)
        yield Variant(nearest(net, steps[0]), f"∂L/∂x = ∂L/∂(max x) to {text}", changes, repeats=False)


@slip(
    "slope_below_a_maximum_missing",
    sentence="The derivative of {f} is missing below a maximum over windows: where all of a window is 0, the gradient "
    "still goes to its maximum.",
    fix="Multiply by the derivative of {f}, elementwise, after the mask of the maximum: {d} = ∂L/∂{a} * {slope}.",
    right="{d} = ∂L/∂{a} ∘ {slope}",
    example="dz = mask * d_pooled                # should be mask * d_pooled * (z > 0)",
)
def slope_below_a_maximum_missing(net: Network, _: Learner) -> Variants:
    """Where all of a window is equal, people hand on to its first entry, or to all of them, or in equal shares."""
    steps = maxima(net)
    ties = [s for s in steps if has_ties(s)]
    for layer in net.activated if ties else ():
        passed = Change("edge", layer.activation, lambda g: g, owner=layer.z)
        for text, share in {"first": first_of_ties, "every": lambda m, _: m}.items():
            masks = tuple(Change("edge", s.index, hand_on_ties(s, share), 0) for s in ties)
            yield Variant(
                layer, f"{{d}} = ∂L/∂{{a}}, to the {text} maximum of a window", (passed, *masks), repeats=False
            )


def maxima(net: Network) -> list[Step]:
    """The maxima over windows: of fewer numbers than they are taken of."""
    steps = [s for s in net.steps if s.operation == "max" and s.live and s.index in net.program.gradients]
    return [s for s in steps if not s.activation and s.operand(0).size > s.y.size]


def find_maximum(step: Step) -> tuple[Array, tuple[int, ...]]:
    """(where each window has its maximum, the axes along which a window lies)."""
    x, axis = step.operand(0), step.node.options.get("axis")
    axes = tuple(range(x.ndim)) if axis is None else tuple(int(k) % x.ndim for k in np.atleast_1d(axis))
    return x == np.max(x, axis=axes, keepdims=True), axes


def has_ties(step: Step) -> bool:
    mask, axes = find_maximum(step)
    return bool(np.any(mask.sum(axis=axes) > 1))


def hand_on_ties(step: Step, share: Callable[[Array, tuple[int, ...]], Array]) -> Callable[[Array], Array]:
    """The gradient that a maximum passes on to some of its equal entries, whole to each of them."""
    mask, axes = find_maximum(step)
    shape = tuple(1 if k in axes else n for k, n in enumerate(mask.shape))
    kept = share(mask, axes).astype(float)
    return lambda g: kept * g.reshape(shape) if g.size == int(np.prod(shape)) else g


def first_of_ties(mask: Array, axes: tuple[int, ...]) -> Array:
    """The first of the equal entries of each window, as argmax finds it."""
    ends = tuple(range(mask.ndim - len(axes), mask.ndim))
    moved = np.moveaxis(mask, axes, ends)
    flat = moved.reshape(*moved.shape[: ends[0]], -1)
    first = np.zeros_like(flat)
    np.put_along_axis(first, flat.argmax(-1)[..., None], True, -1)
    return np.moveaxis(first.reshape(moved.shape), ends, axes)


def hand_on(net: Network, step: Step, share: Callable[[Array], Array]) -> Callable[[Array], Array]:
    """The gradient that a maximum passes on with another mask."""
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


@slip(
    "stride_forgotten",
    sentence="On the way back the windows are placed side by side: the stride of the forward pass is forgotten.",
    fix="Use the same places as in the forward pass: window (i, j) starts at (i·stride, j·stride), in dx as in x.",
    right="∂L/∂x[i·s + a] = Σ d[i] K[a], and ∂L/∂K[a] = Σ d[i] x[i·s + a]",
    example="dx[i:i+k, j:j+k] += d[i, j] * K     # should be dx[i*s:i*s+k, j*s:j*s+k]",
)
def stride_forgotten(net: Network, _: Learner) -> Variants:
    for step, windows in arrays_with_windows(net):
        closer = side_by_side([net.steps[k].node.options["index"] for k in windows])
        if closer:
            lost = put_at(net, step, windows, closer) - add_up(net, step, windows)
            change = Change("into", step.index, lambda g, lost=lost: g + lost)  # type: ignore[misc]
            yield Variant(nearest(net, step), "∂L/∂x[i + a] = Σ d[i] K[a]", (change,), repeats=False)
            moved = {k: step.y[index] for k, index in zip(windows, closer, strict=True)}
            changes = own_windows(net, moved)
            if changes:
                yield Variant(nearest(net, net.steps[changes[0].step]), "∂L/∂K[a] = Σ d[i] x[i + a]", changes)


def arrays_with_windows(net: Network) -> Iterator[tuple[Step, list[int]]]:
    """Each array that windows are taken of, and those windows in their order."""
    for step in net.steps:
        children = net.program.children.get(step.index, ())
        windows = [k for k, _ in children if net.steps[k].operation == "getitem" and not net.steps[k].activation]
        if len(windows) > 1 and not step.parameter and step.index in net.program.gradients:
            yield step, sorted(windows, key=lambda k: net.steps[k].node._made)


def side_by_side(places: Sequence[Any]) -> list[tuple[Any, ...]]:
    """The same windows at a stride of 1; none if that is their stride already."""
    found = [list(x) if isinstance(x, tuple) else [x] for x in places]
    sliced = [k for k in range(min(map(len, found))) if all(is_window(x[k]) for x in found)]
    strides = {k: gap_between([x[k].start or 0 for x in found]) for k in sliced}
    if max(strides.values(), default=1) < 2:
        return []
    for x in found:
        for k, s in strides.items():
            first = x[k].start or 0
            x[k] = slice(first // s, first // s + x[k].stop - first)
    return [tuple(x) for x in found]


def is_window(x: Any) -> bool:
    """Is it a slice from one entry to another, as x[i:i + k]?"""
    return isinstance(x, slice) and x.step in (None, 1) and x.stop is not None and x.stop > (x.start or 0) >= 0


def gap_between(starts: Sequence[int]) -> int:
    """The distance at which windows begin; 1 where there is no common one."""
    distances = np.diff(np.unique(starts))
    return int(distances[0]) if distances.size and len(set(distances.tolist())) == 1 and np.min(starts) == 0 else 1


def put_at(net: Network, step: Step, windows: Sequence[int], places: Sequence[Any]) -> Array:
    """The gradients of windows, added up at other places."""
    out = np.zeros_like(step.y)
    for k, place in zip(windows, places, strict=True):
        np.add.at(out, place, net.program.gradients[k])
    return out


def own_windows(net: Network, moved: Mapping[int, Array]) -> tuple[Change, ...]:
    """Products of a kernel with a window, whose own gradient gets another window."""
    found = []
    for layer in net.layers:
        for use in layer.weights:
            step = net.steps[use.step]
            window = moved.get(step.parents[use.data])
            if window is not None and window.shape == step.operand(use.data).shape:
                found.append(Change("edge", use.step, with_operand(step, use.slot, use.data, window), use.slot))
    return tuple(found)


@slip(
    "padding_forgotten",
    sentence="The gradient of a padded array is passed back without removing the padding, so it is shifted.",
    fix="Cut the border off again: dx = dx_padded[p:-p, p:-p].",
    right="∂L/∂x = the inside of ∂L/∂(padded x)",
    example="dx = dx_padded[:H, :W]              # should be dx_padded[p:-p, p:-p]",
)
def padding_forgotten(net: Network, _: Learner) -> Variants:
    for padded, x, axes, p in find_padding(net):
        g = net.program.gradients[padded.index]
        for text, begin in {"first": 0, "last": 2 * p}.items():
            lost = g[cut_at(g, axes, p, begin)] - g[cut_at(g, axes, p, p)]
            change = Change("into", x.index, lambda g, lost=lost: g + lost.reshape(g.shape))  # type: ignore[misc]
            yield Variant(nearest(net, x), f"∂L/∂x = the {text} entries of ∂L/∂(padded x)", (change,), repeats=False)


def find_padding(net: Network) -> Iterator[tuple[Step, Step, Axes, int]]:
    """(padded, x, the axes with a border, its width): found by the numbers, however the border was made."""
    for step in net.steps:
        if step.index in net.program.gradients and step.operation in BORDERS and not step.activation:
            x = step
            for _ in range(len(BORDERS)):
                if len(x.live) != 1 or (x.activation and x is not step):
                    break
                x = net.steps[x.parents[x.live[0]]]
                found = None if x.parameter else border(step.y, x.y)
                if found:
                    yield step, x, *found
                    break


Axes = tuple[int, ...]
# operations by which people put an array into a larger one
BORDERS = ("pad", "getitem", "reshape", "concatenate", "add", "where")
WIDEST = 3  # widest border that is looked for


def border(y: Array, x: Array) -> tuple[Axes, int] | None:
    """The axes on which y is x with zeros around it, and how many; x may be laid out flat."""
    for p, first in itertools.product(range(1, WIDEST + 1), range(y.ndim - 1)):
        axes = (first, first + 1)
        if y.size > x.size > 1 and all(y.shape[k] > 2 * p for k in axes):
            inside = y[cut_at(y, axes, p, p)]
            same = inside.size == x.size and np.array_equal(inside.ravel(), x.ravel())
            if same and np.count_nonzero(y) == np.count_nonzero(x):
                return axes, p
    return None


def cut_at(y: Array, axes: Axes, p: int, begin: int) -> tuple[slice, ...]:
    """The part of the size of the inside, from entry `begin` on each of these axes."""
    return tuple(slice(begin, begin + n - 2 * p) if k in axes else slice(None) for k, n in enumerate(y.shape))
