"""Slips in single entries of a gradient, as a loop over samples writes them: gw[0] += d * x[0]; gw[1] += d * x[1].

Which entries are wrong is read off the learner's numbers, so these mistakes explain them alone and not in pairs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, final, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.slips.finished import of_right_shape
from tinygrad_edu.clinic.examiner.slips.layer import with_operand
from tinygrad_edu.clinic.examiner.slips.sums import only, own_rows, penalty_of

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]
SMALL = 16  # entries; a larger gradient is not written entry by entry
SAME = 1e-6  # relative


def wrong_ones(net: Network, learner: Learner) -> Iterator[tuple[Layer, Use, Array, Array]]:
    """(layer, use, right gradient, mask of the learner's wrong entries) of each small weight with a wrong gradient."""
    for layer, use, g, given in of_right_shape(net, learner):
        if use.is_weight and 1 < g.size <= SMALL:
            wrong = np.abs(given - g) > SAME * max(float(np.abs(g).max()), float(np.abs(given).max()))
            if wrong.any():
                yield layer, use, g, wrong


def name_of(wrong: Array) -> str:
    """The wrong entries in a formula; nothing where all are."""
    if wrong.all():
        return ""
    return " and ".join(f"[{', '.join(str(int(k)) for k in place)}]" for place in np.argwhere(wrong))


def entries(layer: Layer, use: Use, net: Network, wrong: Array, text: str, rule: Callable[[Array], Any]) -> Variant:
    """The wrong entries by a rule, from the gradient that would be right."""
    change = final(net, use, lambda g: np.where(wrong, rule(g), g))
    line = f"∂L/∂{{W}}{name_of(wrong)} = {text}"
    return Variant(layer, line, (change,), use.parameter, repeats=False, whole=True, alone=True)


@slip(
    "entry_sign_flipped",
    sentence="A part of the gradient of {W} has the wrong sign; the other entries are right.",
    fix="Compare the lines of the entries: all of them add, or all subtract.",
    right="∂L/∂{W} = {x}ᵀ {d}, in every entry",
    example="gw[0] += d * x[0]; gw[1] -= d * x[1]   # should be gw[1] += ...",
)
def entry_sign_flipped(net: Network, learner: Learner) -> Variants:
    for layer, use, _, wrong in wrong_ones(net, learner):
        if not wrong.all():
            yield entries(layer, use, net, wrong, "-(the right one)", np.negative)


@slip(
    "entry_left_out",
    sentence="A part of the gradient of {W} is 0: no line adds to it.",
    fix="Every entry of {W} has a derivative: let the loop run over all of them.",
    right="∂L/∂{W} = {x}ᵀ {d}, in every entry",
    example="gw[0] += d * x[0]                   # and gw[1] += d * x[1]",
)
def entry_left_out(net: Network, learner: Learner) -> Variants:
    for layer, use, _, wrong in wrong_ones(net, learner):
        if not wrong.all():
            yield entries(layer, use, net, wrong, "0", np.zeros_like)


@slip(
    "entry_of_another_index",
    sentence="An entry of the gradient of {W} is that of another entry: an index is wrong.",
    fix="The derivative by {W}[i] is made with the input that {W}[i] multiplies: the same index on both sides.",
    right="∂L/∂{W}[i] = Σ {d} {x}[i]",
    example="gw[1] += d * x[0]                   # should be d * x[1]",
)
def entry_of_another_index(net: Network, learner: Learner) -> Variants:
    for layer, use, g, wrong in wrong_ones(net, learner):
        for place in np.ndindex(g.shape):
            at = f"∂L/∂{{W}}[{', '.join(map(str, place))}]"
            yield entries(layer, use, net, wrong, at, lambda g, place=place: g[place])  # type: ignore[misc]
    yield from bias_like_entry(net, learner)


def bias_like_entry(net: Network, learner: Learner) -> Variants:
    """The gradient of a bias that is one number, with an input in it: that of a weight."""
    found = [*of_right_shape(net, learner)]
    for layer, use, g, given in found:
        for _, other, h, _ in found if g.size == given.size == 1 and not use.is_weight else ():
            for place in np.ndindex(h.shape) if 1 < h.size <= SMALL else ():
                same = final(net, use, lambda g, x=h[place]: np.full_like(g, x))  # type: ignore[misc]
                line = f"∂L/∂{{b}} = ∂L/∂{other.parameter}[{', '.join(map(str, place))}]"
                yield Variant(layer, line, (same,), use.parameter, repeats=False, whole=True, alone=True)


@slip(
    "input_forgotten",
    sentence="The gradient of {W} is the delta alone: the input is forgotten.",
    fix="z = Σ w·x, so ∂z/∂w is the input: multiply the delta by {x}.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="gw[0] += d                          # should be d * x[0]",
)
def input_forgotten(net: Network, learner: Learner) -> Variants:
    for layer, use, _, wrong in wrong_ones(net, learner):
        whole = with_other_input(net, use.parameter, np.ones_like)
        if whole is not None:
            yield entries(layer, use, net, wrong, "Σ {d}", lambda _, x=whole: x)  # type: ignore[misc]


@slip(
    "weight_for_the_input",
    sentence="The delta is multiplied by the weight and not by the input, in a part of the gradient of {W}.",
    fix="z = Σ w·x, so ∂z/∂w is the input x: multiply the delta by {x}.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="gw[1] += d * w[1]                   # should be d * x[1]",
)
def weight_for_the_input(net: Network, learner: Learner) -> Variants:
    for layer, use, _, wrong in wrong_ones(net, learner):
        whole, w = with_other_input(net, use.parameter, np.ones_like), learner.params[use.parameter]
        R = penalty_of(net, use.parameter)
        if whole is not None:
            yield entries(layer, use, net, wrong, "Σ {d} {W}", lambda _, x=(whole - R) * w + R: x)  # type: ignore[misc]


@slip(
    "entry_of_one_sample",
    sentence="A part of the gradient of {W} holds one sample alone: the loop overwrites it instead of adding to it.",
    fix="Add every sample in every entry: gw[i] += ..., not gw[i] = ....",
    right="∂L/∂{W} = Σ over all samples, in every entry",
    example="gw[0] += d * x[0]; gw[1] = d * x[1]   # should be gw[1] += ...",
)
def entry_of_one_sample(net: Network, learner: Learner) -> Variants:
    for layer, use, _, wrong in wrong_ones(net, learner):
        shares = shares_of_samples(net, use.parameter)
        for text, k in {"last": -1, "first": 0}.items() if len(shares) > 1 and not wrong.all() else ():
            part = shares[k] + penalty_of(net, use.parameter)
            yield entries(layer, use, net, wrong, f"the {text} sample's alone", lambda _, x=part: x)  # type: ignore[misc]


def data_uses(net: Network, name: str) -> list[Use]:
    return [use for use in net.uses[name] if use not in net.penalties and use.is_weight]


def with_other_input(net: Network, name: str, other: Callable[[Array], Array]) -> Array | None:
    """The gradient with something else in the place of the layer's input, and the penalty as it is."""
    total: Any = penalty_of(net, name)
    for use in data_uses(net, name):
        step = net.steps[use.step]
        handed = with_operand(step, use.slot, use.data, other(step.operand(use.data)))(net.gradient(use.step))
        total = total + net.program.move_back(step.parents[use.slot], handed)
    return np.asarray(total) if data_uses(net, name) else None


def shares_of_samples(net: Network, name: str) -> list[Array]:
    """What each sample gives to a gradient, one at a time in the forward; of a batch the first and the last."""
    uses = sorted(data_uses(net, name), key=lambda u: net.steps[u.step].node._made)
    moved = [(u, net.steps[u.step].parents[u.slot]) for u in uses]
    if len(uses) > 1:
        return [net.program.move_back(at, net.program.handed[u.step][u.slot]) for u, at in moved]
    for layer in net.layers:
        axis = net.sample_axis(layer)
        if (
            uses
            and uses[0] in layer.uses
            and axis is not None
            and net.steps[uses[0].step].y.shape == net.steps[layer.z].y.shape
        ):
            use, at = moved[0]
            g = net.gradient(use.step)
            return [net.program.move_back(at, own_rows(net, use, only(k, axis, 1.0))(g)) for k in (0, -1)]
    return []
