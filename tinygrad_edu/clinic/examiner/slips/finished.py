"""Slips that show in finished gradients: clipped, reversed, of another parameter, an index counted once."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, final, parameter_layer, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.scale_factors import common_factors, factor_name
from tinygrad_edu.clinic.examiner.slips.sums import gradient_of

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]
ROUNDING = 1e-9  # relative; nobody clips by less
ROUND = 1e-5  # relative; how close a norm that somebody chose is to a two-digit number


def everywhere(net: Network) -> Iterator[tuple[Layer, Use]]:
    """Each parameter once, including those in no layer, such as two parameters multiplied by each other."""
    for name, uses in net.uses.items():
        layer = parameter_layer(net, name) or next(iter(net.layers), None)
        if layer is not None and uses:
            yield layer, uses[0]


def of_right_shape(net: Network, learner: Learner) -> Iterator[tuple[Any, Use, Array, Array]]:
    """(layer, use, right gradient, the learner's) of every parameter with a gradient of its shape."""
    for layer, use in everywhere(net):
        g, given = gradient_of(net, use.parameter), learner.grads.get(use.parameter)
        if given is not None and np.shape(g) == given.shape:
            yield layer, use, np.asarray(g), given


@slip(
    "gradient_clipped_by_norm",
    sentence="These are the right gradients, all scaled by one factor to a chosen norm.",
    fix="Nothing is wrong if you clip on purpose: compare the gradients before clipping.",
    before="constant_factor",
    right="∂L/∂w = right gradient, as before clipping",
    example="g *= max_norm / (total + 1e-6)      # right for the step; the gradient itself is longer",
)
def gradient_clipped_by_norm(net: Network, learner: Learner) -> Variants:
    found = [*of_right_shape(net, learner)]
    right = float(np.sqrt(sum(float(np.vdot(g, g)) for _, _, g, _ in found)))
    given = float(np.sqrt(sum(float(np.vdot(x, x)) for *_, x in found)))
    limit = float(f"{given:.2g}")
    if right and factor_name(given / right, common_factors(net, learner.lr)) and limit != float(f"{given:.1g}"):
        return  # the factor has a reason, so the two-digit norm is chance
    if found and net.outputs and 0.0 < given < right and abs(given - limit) <= ROUND * limit and len(found) > 1:
        c = given / right
        changes = tuple(final(net, use, lambda g, c=c: c * g) for _, use, _, _ in found)  # type: ignore[misc]
        yield Variant(net.outputs[-1], f"∂L/∂w = {limit:g}/‖∂L/∂w‖ · the right gradient", changes, repeats=False)


@slip(
    "gradient_clipped_by_value",
    sentence="The gradient of {W} is right, with its large entries cut off.",
    fix="Nothing is wrong if you clip on purpose: compare the gradients before clipping.",
    right="∂L/∂{W} = right gradient, as before clipping",
    example="np.clip(dW, -1, 1, out=dW)          # right for the step; the gradient itself is larger",
)
def gradient_clipped_by_value(net: Network, learner: Learner) -> Variants:
    for layer, use, g, given in of_right_shape(net, learner):
        limit = float(np.abs(given).max()) if given.size else 0.0
        if given.size > 2 and ROUNDING * np.abs(g).max() < limit < np.abs(g).max():
            clipped = final(net, use, lambda g, c=limit: np.clip(g, -c, c))  # type: ignore[misc]
            yield Variant(layer, f"∂L/∂{{W}} = clip(right gradient, ±{limit:.6g})", (clipped,), use.parameter)


@slip(
    "gradient_of_one_number",
    sentence="All entries of the gradient of {W} are one number: it was summed or averaged over all of them.",
    fix="Each entry of {W} has a derivative of its own: sum over the samples alone, as {x}.T @ {d} does.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="dW = np.sum(x * d)                  # should be x.T @ d",
)
def gradient_of_one_number(net: Network, learner: Learner) -> Variants:
    for layer, use, _, given in of_right_shape(net, learner):
        if use.is_weight and given.size > 1 and np.any(given) and np.all(given == given.ravel()[0]):
            for text, reduce in {"Σ": np.sum, "mean": np.mean}.items():
                same = final(net, use, lambda g, f=reduce: np.full_like(g, f(g)))  # type: ignore[misc]
                yield Variant(layer, f"∂L/∂{{W}} = {text} of all entries of the right gradient", (same,), use.parameter)


@slip(
    "gradient_sign_only",
    sentence="Only the signs of the gradient of {W} are left.",
    fix="Use the gradient itself: its size says how far to go.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="dW = np.sign(dW)                    # should be dW",
)
def gradient_sign_only(net: Network, learner: Learner) -> Variants:
    for layer, use, _, given in of_right_shape(net, learner):
        if given.size > 2:
            yield Variant(layer, "∂L/∂{W} = sign(the right gradient)", (final(net, use, np.sign),), use.parameter)


@slip(
    "gradient_normalised",
    sentence="The gradient of {W} is divided by its own length.",
    fix="Use the gradient itself: its size says how far to go.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="dW /= np.linalg.norm(dW)            # should be dW",
)
def gradient_normalised(net: Network, learner: Learner) -> Variants:
    for layer, use, _, given in of_right_shape(net, learner):
        if given.size > 2:
            change = final(net, use, lambda g: g / (np.linalg.norm(g) or 1.0))
            yield Variant(layer, "∂L/∂{W} = right gradient / its norm", (change,), use.parameter)


@slip(
    "gradient_reversed",
    sentence="The gradient of {W} is the right one with its entries reversed: rotated, or flipped along an axis.",
    fix="Of a correlation the kernel's gradient is the correlation of the input with the delta, in that order; "
    "a kernel that is flipped in the forward pass is flipped back here.",
    right="∂L/∂{W}[i] = Σ {x}[i + j] {d}[j]",
    example="dK = correlate(d, x)                # should be correlate(x, d)",
)
def gradient_reversed(net: Network, learner: Learner) -> Variants:
    for layer, use, g, _ in of_right_shape(net, learner):
        long = [k for k in range(g.ndim) if g.shape[k] > 1]
        for count in range(1, len(long) + 1):
            for axes in itertools.combinations(long, count):
                change = final(net, use, lambda g, axes=axes: np.flip(g, axes))  # type: ignore[misc]
                text = "right gradient, reversed" + (f" along axis {axes[0]}" if len(long) > 1 == count else "")
                yield Variant(layer, f"∂L/∂{{W}} = {text}", (change,), use.parameter)


@slip(
    "gradient_of_another_parameter",
    sentence="The gradient of {W} is that of another parameter: perhaps a line was copied and not changed.",
    fix="Look for the other parameter's delta in the line of {W}.",
    right="∂L/∂{W} = its own input times its own delta",
    example="dbi += d_f                          # should be d_i",
)
def gradient_of_another_parameter(net: Network, learner: Learner) -> Variants:
    found = [*of_right_shape(net, learner)]
    for (layer, use, g, _), (_, other, h, _) in itertools.permutations(found, 2):
        if g.shape == h.shape and g.size > 1 and not np.allclose(g, h):
            change = final(net, use, lambda _, h=h: h)  # type: ignore[misc]
            yield Variant(layer, f"∂L/∂{{W}} = ∂L/∂{other.parameter}", (change,), use.parameter, repeats=False)


@slip(
    "repeated_index_counted_once",
    sentence="A row of {W} that is used several times gets the gradient of one use only: overwritten, not added.",
    fix="np.add.at(dW, index, d) adds every time; dW[index] = d and dW[index] += d keep one of several.",
    right="∂L/∂{W}[i] = Σ over every use of row i",
    example="dC[ix] += d                         # should be np.add.at(dC, ix, d)",
    before="time_step_dropped",
)
def repeated_index_counted_once(net: Network, _: Learner) -> Variants:
    for layer, use in everywhere(net):
        once, often = count_reads(net, use.parameter, single=True), count_reads(net, use.parameter, single=False)
        if once is not None and often is not None and not np.allclose(once, often):
            change = final(net, use, lambda g, d=once - often: g + d)  # type: ignore[misc]
            yield Variant(layer, "∂L/∂{W}[index] = {d}, for the last use alone", (change,), use.parameter)


def count_reads(net: Network, name: str, single: bool) -> Array | None:
    """The gradient by all reads with an array of indices, each index counted once or every time."""
    total: Any = None
    for index, handed in read_rows(net, name).items():
        step = net.steps[index]
        out, place = np.zeros_like(net.steps[step.parents[0]].y), step.node.options["index"]
        if single:
            out[place] = handed
        else:
            np.add.at(out, place, handed)
        out = net.program.move_back(step.parents[0], out)
        total = out if total is None else total + out
    return total  # type: ignore[no-any-return]


def read_rows(net: Network, name: str) -> dict[int, Array]:
    """Each read of the parameter with an index → the gradient of what was read, by all that is done with it."""
    found: dict[int, Array] = {}
    for use in net.uses[name]:
        index, handed = net.steps[use.step].parents[use.slot], net.program.handed[use.step][use.slot]
        if net.steps[use.step].operation == "getitem" and reads_the_parameter(net, use.step):
            index, handed = use.step, net.program.gradients[use.step]
        while net.steps[index].parents and not reads_the_parameter(net, index):
            node, index = net.steps[index].node, net.steps[index].parents[0]
            if hasattr(node.op, "vjp"):
                (handed,) = node.op.vjp(handed, node.array, net.steps[index].y, **node.options)
        if net.steps[index].parents:
            found[index] = found[index] + handed if index in found else handed
    return found


def reads_the_parameter(net: Network, index: int) -> bool:
    """Is it parameter[index] or parameter.T[index], and no part of what was read already?"""
    step = net.steps[index]
    table = net.steps[step.parents[0]]
    while table.operation == "transpose":
        table = net.steps[table.parents[0]]
    return step.operation == "getitem" and not table.parents
