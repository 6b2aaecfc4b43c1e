"""Slips at the products of a layer: its weights' gradient, its bias, and what it hands to the layer below."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, final, slip
from tinygrad_edu.clinic.examiner.forward.layers import Layer, Use
from tinygrad_edu.clinic.examiner.forward.network import Network
from tinygrad_edu.clinic.examiner.forward.program import Change, Step, repull_step
from tinygrad_edu.clinic.examiner.slips.other_arrays import arrays_of, fitting
from tinygrad_edu.core.aliases import Option

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]
RATES = (1.0, 0.5, 0.3, 0.2, 0.1, 0.05, 0.03, 0.02, 0.01, 0.005, 0.003, 0.001)  # learning rates tried if lr is unknown
OfGradient = Callable[[Array], Array]


def weights(net: Network) -> Iterator[tuple[Layer, Use, Step]]:
    for layer in net.layers:
        for use in layer.weights:
            yield layer, use, net.steps[use.step]


def propagating(net: Network) -> Iterator[tuple[Layer, Use, Step]]:
    """The products that pass a gradient to the layer below."""
    return (found for found in weights(net) if found[1].data in found[2].live)


def with_operand(step: Step, slot: int, replaced: int, array: Array) -> OfGradient:
    """The gradient that the step passes to `slot` when the operand in `replaced` is another array."""
    arrays = [step.operand(k) for k in range(2)]
    arrays[replaced] = array
    return lambda g: repull_step(step, g, arrays)[slot]


def inner(net: Network, step: Step, use: Use) -> tuple[int, int]:
    """(from, to): the rows of the weights (columns of W @ x) that belong to the layer below, without column of ones."""
    axis = -1 if use.data == 0 else 0
    x, parent = step.operand(use.data), net.steps[step.parents[use.data]]
    length = x.shape[axis] if x.ndim else 1
    if (
        parent.operation != "concatenate"
        or len(parent.live) != 1
        or parent.node.options["axis"] not in (axis, axis % x.ndim)
    ):
        return 0, length
    sizes = [parent.operand(k).shape[axis] for k in range(len(parent.parents))]
    begin = sum(sizes[: parent.live[0]])
    return begin, begin + sizes[parent.live[0]]


def rows_of(W: Array, use: Use, rows: tuple[int, int]) -> Array:
    """The weights of these rows, for x @ W; the columns, for W @ x."""
    return W[rows[0] : rows[1]] if use.data == 0 else W[:, rows[0] : rows[1]]


def backward_through(net: Network, step: Step, use: Use, W: Array) -> OfGradient:
    """δ Wᵀ with other weights of those rows; nothing for the column of ones."""
    begin, end = inner(net, step, use)
    full = np.zeros_like(step.operand(use.slot))
    rows_of(full, use, (begin, end))[...] = W
    return with_operand(step, use.data, use.slot, full)


def own(layer: Layer, use: Use, line: str, function: OfGradient, **options: Option) -> Variant:
    """A change of what a parameter's own gradient gets."""
    return Variant(layer, line, (Change("edge", use.step, function, use.slot),), use.parameter, **options)


def below(layer: Layer, use: Use, line: str, function: OfGradient, **options: Option) -> Variant:
    """A change of what is handed to the layer below."""
    return Variant(layer, line, (Change("edge", use.step, function, use.data),), use.parameter, **options)


@slip(
    "not_transposed",
    sentence="{W} is not transposed where the delta is propagated back through it.",
    fix="The forward pass goes through {W}, the backward pass through its transpose: {d} @ {W}.T.",
    right="∂L/∂{x} = {d} {W}ᵀ",
    example="d1 = (d2 @ W2) * a1 * (1 - a1)      # should be d2 @ W2.T",
)
def not_transposed(net: Network, _: Learner) -> Variants:
    for layer, use, step in propagating(net):
        if step.operand(use.slot).ndim == 2:
            W = rows_of(step.operand(use.slot), use, inner(net, step, use))
            if W.shape[0] == W.shape[1]:
                yield below(layer, use, "∂L/∂{x} = {d} {W}", backward_through(net, step, use, W.T))
    for layer, use, step in weights(net):
        a = step.operand(use.data)
        if a.ndim == 2 and a.shape[0] == a.shape[1] > 1:
            yield own(layer, use, "∂L/∂{W} = {x} {d}", with_operand(step, use.slot, use.data, a.T))


@slip(
    "updated_weights_used",
    sentence="The delta is propagated through {W} after {W} has been updated.",
    fix="Compute every gradient first, with the weights of the forward pass; update afterwards.",
    right="∂L/∂{x} = {d} {W}ᵀ with the {W} of the forward pass",
    example="W2 -= lr * dW2; d1 = d2 @ W2.T      # should use the W2 from before the update",
)
def updated_weights_used(net: Network, learner: Learner) -> Variants:
    for layer, use, step in propagating(net):
        name = use.parameter
        rates = RATES if learner.lr is None else (learner.lr, -learner.lr)
        for rate in rates if name in learner.grads else ():
            W = net.program.move(step.parents[use.slot], learner.params[name] - rate * learner.grads[name])
            line = f"∂L/∂{{x}} = {{d}} ({{W}} {'-' if rate > 0 else '+'} lr·d{{W}})ᵀ" + (
                f", lr = {rate:g}" if learner.lr is None else ""
            )
            yield below(layer, use, line, with_operand(step, use.data, use.slot, W))


@slip(
    "weight_instead_of_input",
    sentence="The gradient of {W} is the delta times the weight instead of the layer's input.",
    fix="z = Σ w·x, so ∂z/∂w is the input x: multiply the delta by {x}.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="dw = delta * w                      # should be delta * x",
)
def weight_instead_of_input(net: Network, _: Learner) -> Variants:
    for layer, use, step in weights(net):
        W = step.operand(use.slot)
        ones = with_operand(step, use.slot, use.data, np.ones_like(step.operand(use.data)))
        yield own(layer, use, "∂L/∂{W} = {W} ∘ {d}", lambda g, W=W, ones=ones: ones(g) * W)  # type: ignore[misc]


@slip(
    "gradient_times_weight",
    sentence="The gradient of {W} is multiplied by {W} itself, entry by entry.",
    fix="Subtract lr times the gradient, not lr times weight times gradient: {W} -= lr * d{W}.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="w += (-lr * w) * (delta * x)        # should be w += -lr * delta * x",
)
def gradient_times_weight(net: Network, learner: Learner) -> Variants:
    for layer, use in parameters(net):
        W = learner.params[use.parameter]
        change = final(net, use, lambda g, W=W: g * W)  # type: ignore[misc]
        yield Variant(layer, "∂L/∂{W} = {W} ∘ the right gradient", (change,), use.parameter)


def parameters(net: Network) -> Iterator[tuple[Layer, Use]]:
    """Each parameter once, with its first layer."""
    seen: set[str] = set()
    for layer in net.layers:
        for use in layer.uses:
            if use.parameter not in seen:
                seen.add(use.parameter)
                yield layer, use


@slip(
    "wrong_layer_input",
    sentence="The gradient of {W} is made with an array that is not the input of this layer.",
    fix="Use the layer's input in the forward pass: {x}.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="dW2 = z1.T @ d2                     # should be a1.T @ d2",
)
def wrong_layer_input(net: Network, _: Learner) -> Variants:
    for layer, use, step in weights(net):
        a = step.operand(use.data)
        for name, other in arrays_of(net, layer.time):
            for array in fitting(net, step, use, other):
                if array.shape == a.shape and not np.array_equal(array, a):
                    function = with_operand(step, use.slot, use.data, array)
                    yield own(layer, use, f"∂L/∂{{W}} = {name}ᵀ {{d}}", function)
        output, axis = net.steps[layer.end].y, -1 if use.data == 0 else -2
        if output.ndim == a.ndim == 2 and output.shape[axis] in (1, a.shape[axis]):  # one unit: the product is a number
            function = with_operand(step, use.slot, use.data, output)
            yield own(layer, use, "∂L/∂{W} = (the output of this layer)ᵀ {d}", function)


@slip(
    "missing_bias_gradient",
    sentence="The bias never gets a gradient.",
    fix="z = xW + b, so ∂L/∂b is the delta itself, summed over the samples: d{b} = {d}.sum(axis=0).",
    right="∂L/∂{b} = Σ over the samples of {d}",
    example="grads = {'W1': dW1, 'b1': 0 * b1}    # should be d1.sum(axis=0)",
)
def missing_bias_gradient(net: Network, _: Learner) -> Variants:
    for layer, use in parameters(net):
        if not use.is_weight:
            yield Variant(layer, "∂L/∂{b} = 0", (final(net, use, np.zeros_like, 0),), use.parameter)
    for layer, use, step in weights(net):
        a = step.operand(use.data)
        for axis in range(a.ndim):
            ones = np.all(a == 1.0, axis=axis, keepdims=True)
            if a.size > 1 and ones.any() and not ones.all():
                line = "∂L/∂(bias weights in {W}) = 0"
                if net.penalties:  # the penalties stay: only the data's part of the gradient is missing
                    yield own(layer, use, line, with_operand(step, use.slot, use.data, np.where(ones, 0.0, a)))
                else:
                    kept = with_operand(step, use.slot, use.data, np.where(ones, 0.0, 1.0) + 0.0 * a)(
                        np.ones_like(step.y)
                    )
                    mask = net.program.move_back(step.parents[use.slot], kept) != 0.0
                    yield Variant(layer, line, (final(net, use, lambda g, mask=mask: g * mask),), use.parameter)  # type: ignore[misc]


@slip(
    "bias_not_summed",
    sentence="The gradient of the bias is not the sum over the samples.",
    fix="Sum over the samples: d{b} = {d}.sum(axis=0).",
    right="∂L/∂{b} = Σ over the samples of {d}",
    example="db1 = d1                            # should be d1.sum(axis=0)",
)
def bias_not_summed(net: Network, _: Learner) -> Variants:
    for layer, use, axis in biases_by_sample(net):
        for text, row in {"first": 0, "last": -1}.items():
            line = f"∂L/∂{{b}} = the {text} row of {{d}}"
            yield own(layer, use, line, lambda g, row=row, axis=axis: g.take([row], axis))  # type: ignore[misc]
        yield own(layer, use, "∂L/∂{b} = mean of {d}", lambda g, axis=axis: g.mean(axis, keepdims=True))  # type: ignore[misc]


def biases_by_sample(net: Network) -> Iterator[tuple[Layer, Use, int]]:
    for layer in net.layers:
        axis = net.sample_axis(layer)
        if axis is not None:
            yield from ((layer, use, axis) for use in layer.biases)


@slip(
    "bias_wrong_axis",
    sentence="The gradient of the bias is summed over the wrong axis.",
    fix="Sum over the samples, so that one number is left for each unit: d{b} = {d}.sum(axis=0).",
    right="∂L/∂{b} = Σ over the samples of {d}",
    example="db1 = d1.sum()                      # should be d1.sum(axis=0)",
)
def bias_wrong_axis(net: Network, _: Learner) -> Variants:
    for layer in net.layers:
        for use in layer.biases:
            yield own(layer, use, "∂L/∂{b} = Σ of all of {d}", fill(np.sum, net.steps[use.step], use))
            yield own(layer, use, "∂L/∂{b} = mean of all of {d}", fill(np.mean, net.steps[use.step], use))
    for layer, use, axis in biases_by_sample(net):
        b, z = net.steps[use.step].operand(use.slot), net.steps[use.step].y
        if z.ndim == 2 and z.shape[axis] == b.size:
            other = -1 if axis == -2 else -2
            line = "∂L/∂{b} = Σ over the units of {d}"
            yield own(layer, use, line, lambda g, k=other, b=b: g.sum(k).reshape(b.shape))  # type: ignore[misc]


def fill(reduce: Callable[[Array], Any], step: Step, use: Use) -> OfGradient:
    """One number in every entry of the bias's gradient."""
    b = step.operand(use.slot)
    return lambda g: np.full(b.shape, reduce(g))


@slip(
    "delta_not_propagated",
    sentence="The delta does not go back through {W}: the layer below gets nothing, or the error of the layer above.",
    fix="The layer below gets {d} @ {W}.T.",
    right="∂L/∂{x} = {d} {W}ᵀ",
    example="d1 = (y - t) * a1 * (1 - a1)        # should be (d2 @ W2.T) * a1 * (1 - a1)",
)
def delta_not_propagated(net: Network, _: Learner) -> Variants:
    for layer, use, step in propagating(net):
        a, (begin, end) = step.operand(use.data), inner(net, step, use)
        yield below(layer, use, "∂L/∂{x} = 0", lambda _, a=a: np.zeros_like(a))  # type: ignore[misc]
        axis = -1 if step.y.ndim < 2 or use.data == 0 else -2
        width = step.y.shape[axis] if step.y.ndim else 1
        if step.y.ndim == a.ndim == 2 and width == end - begin != a.shape[axis]:
            eye = backward_through(net, step, use, np.eye(width))
            yield below(layer, use, "∂L/∂{x} = {d}", eye)
        elif step.y.ndim == a.ndim and (width == end - begin or width == 1):
            yield below(layer, use, "∂L/∂{x} = {d}", lambda g: g)
        if step.y.ndim == a.ndim and step.y.ndim:
            yield below(layer, use, "∂L/∂{x} = Σ {d}", lambda g, k=axis: g.sum(k, keepdims=True))  # type: ignore[misc]
        for output in net.outputs:
            for text, g in {"∂L/∂a": net.gradient(output.end), "δ": net.gradient(output.z)}.items():
                if g.ndim == a.ndim and all(n in (m, 1) for n, m in zip(g.shape, a.shape, strict=True)):
                    line = f"∂L/∂{{x}} = {text}{output.number}"
                    yield below(layer, use, line, lambda _, g=g, a=a: np.broadcast_to(g, a.shape))  # type: ignore[misc]


@slip(
    "wrong_matrix_in_propagation",
    sentence="The delta is propagated back through a matrix that is not {W}.",
    fix="Go back through the matrix that the forward pass went through: {d} @ {W}.T.",
    right="∂L/∂{x} = {d} {W}ᵀ",
    example="d1 = d2 @ W1.T                      # should be d2 @ W2.T",
)
def wrong_matrix_in_propagation(net: Network, _: Learner) -> Variants:
    matrices = {u.parameter: (s, u) for _, u, s in weights(net) if s.operand(u.slot).ndim == 2}
    for layer, use, step in propagating(net):
        if use.parameter in matrices:
            W = rows_of(step.operand(use.slot), use, inner(net, step, use))
            for line, other in other_matrices(net, use.parameter, matrices):
                if other.shape == W.shape:
                    yield below(layer, use, f"∂L/∂{{x}} = {{d}} {line}", backward_through(net, step, use, other))
            yield from shifted_rows(net, layer, use, step)
            yield below(layer, use, "∂L/∂{x} = {d} 1ᵀ", backward_through(net, step, use, np.ones_like(W)))


def shifted_rows(net: Network, layer: Layer, use: Use, step: Step) -> Variants:
    """Where the bias is a row of the weights: the first or last rows, with the bias among them."""
    whole, (begin, end) = step.operand(use.slot), inner(net, step, use)
    for first in {0, whole.shape[0 if use.data == 0 else -1] - (end - begin)} - {begin}:
        W = rows_of(whole, use, (first, first + end - begin))
        yield below(layer, use, "∂L/∂{x} = {d} {W}ᵀ, the bias among its rows", backward_through(net, step, use, W))


def other_matrices(net: Network, own: str, matrices: dict[str, tuple[Step, Use]]) -> Iterator[tuple[str, Array]]:
    """Every other matrix, as it is and transposed, with and without the weights of a column of ones."""
    for name, (step, use) in matrices.items():
        if name != own:
            W = step.operand(use.slot)
            for array in (W, rows_of(W, use, inner(net, step, use)), W[:-1], W[1:]):
                yield f"{name}ᵀ", array
                yield name, array.T


@slip(
    "gradient_transposed",
    sentence="The gradient of {W} is transposed; {W} is square, so the shapes do not reveal it.",
    fix="∂L/∂W has the input along the rows of W and the delta along its columns: {x}.T @ {d}.",
    right="∂L/∂{W} = {x}ᵀ {d}",
    example="dW2 = d2.T @ a1                     # should be a1.T @ d2",
)
def gradient_transposed(net: Network, learner: Learner) -> Variants:
    for layer, use in parameters(net):
        W = learner.params[use.parameter]
        if W.ndim == 2 and W.shape[0] == W.shape[1] > 1:
            change = final(net, use, np.transpose)
            yield Variant(layer, "∂L/∂{W} = ({x}ᵀ {d})ᵀ", (change,), use.parameter)
