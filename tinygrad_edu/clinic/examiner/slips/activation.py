"""Slips at the activation and at the loss: what a delta is multiplied by, and what it starts from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, Literal

import numpy as np

from tinygrad_edu.clinic.examiner.catalogue import Learner, Variant, slip
from tinygrad_edu.clinic.examiner.forward.activations import (
    ACTIVATIONS,
    Activation,
    positive,
    softmax_pull,
)
from tinygrad_edu.clinic.examiner.forward.layers import Layer
from tinygrad_edu.clinic.examiner.forward.network import Network, proportion
from tinygrad_edu.clinic.examiner.forward.program import Change

Array = np.ndarray[Any, Any]
Variants = Iterator[Variant]


def local(layer: Layer, line: str, function: Callable[[Array], Array]) -> Variant:
    """∂L/∂z is function(∂L/∂a)."""
    return Variant(layer, line, (Change("edge", layer.activation, function, owner=layer.z),))


def times_slope(layer: Layer, line: str, slope: Array) -> Variant:
    """∂L/∂z is ∂L/∂a times an array."""
    return local(layer, line, lambda g: g * slope)


def activations_of(net: Network) -> Iterator[tuple[Layer, Activation, Array, Array]]:
    """(layer, activation, z, a) of each layer with an elementwise activation."""
    for layer in net.activated:
        if net.steps[layer.activation].activation in ACTIVATIONS:
            step = net.steps[layer.activation]
            yield layer, ACTIVATIONS[step.activation], net.steps[layer.z].y, step.y


@slip(
    "missing_activation_derivative",
    sentence="The derivative of the activation {f} is missing: the error passes through {a} = {f}({z}) unchanged.",
    fix="Multiply by the derivative of {f}, elementwise: {d} = ∂L/∂{a} * {slope}.",
    right="{d} = ∂L/∂{a} ∘ {slope}",
    example="d1 = d2 @ W2.T                      # should be (d2 @ W2.T) * a1 * (1 - a1)",
)
def missing_activation_derivative(net: Network, _: Learner) -> Variants:
    for layer in net.activated:
        yield local(layer, "{d} = ∂L/∂{a}", lambda g: g)


@slip(
    "derivative_at_activation",
    sentence="The derivative of {f} is taken at the activation {a} instead of the pre-activation {z}: {f}'({f}({z})).",
    fix="Call {f}' with {z}, or write it from the output: {slope}.",
    right="{d} = ∂L/∂{a} ∘ {f}'({z})",
    example="d1 = (d2 @ W2.T) * sigmoid_prime(a1)   # should be sigmoid_prime(z1)",
)
def derivative_at_activation(net: Network, _: Learner) -> Variants:
    for layer, form, _z, a in activations_of(net):
        yield times_slope(layer, "{d} = ∂L/∂{a} ∘ {f}'({a})", form.slope_at_input(a))


@slip(
    "derivative_at_preactivation",
    sentence="The form of the derivative that takes the output {a} is given the pre-activation {z}.",
    fix="Put the output into it: {slope}.",
    right="{d} = ∂L/∂{a} ∘ {slope}",
    example="d1 = (d2 @ W2.T) * z1 * (1 - z1)     # should be a1 * (1 - a1)",
)
def derivative_at_preactivation(net: Network, _: Learner) -> Variants:
    for layer, form, z, _a in activations_of(net):
        if form.slope_from_output is not None:
            yield times_slope(layer, "{d} = ∂L/∂{a} ∘ {slope_of_z}", form.slope_from_output(z))


@slip(
    "derivative_at_error",
    sentence="The derivative of {f} is taken at the incoming error instead of {z}: {f}'(error).",
    fix="The derivative belongs to the forward pass: take it at {z}, or from the output as {slope}.",
    right="{d} = error ∘ {f}'({z})",
    example="delta = error * sigmoid_prime(error)  # should be error * sigmoid_prime(z)",
)
def derivative_at_error(net: Network, _: Learner) -> Variants:
    scale = next((abs(net.scale(x)) for x in net.outputs), 1.0)
    for layer, form, _z, _a in activations_of(net):
        for text, factor in {"error": 1.0, "(y - t)": scale}.items():
            line = "{d} = " + text + " ∘ "
            yield local(layer, line + "{f}'(error)", at(form.slope_at_input, factor))
            if form.slope_from_output is not None:
                yield local(layer, line + "{slope_of_error}", at(form.slope_from_output, factor))
                yield local(layer, line + "{slope_of_minus}", at(form.slope_from_output, -factor))
        for text, factor in {"": scale, "-": -scale}.items():
            yield error_left_behind(layer, text, at(form.slope_at_input, factor), factor)


def error_left_behind(layer: Layer, sign: str, own: Callable[[Array], Array], factor: float) -> Variant:
    """f'(error) is the delta that goes down; only this layer's own gradients are multiplied by the error."""

    def below(g: Array) -> Array:
        return factor * own(g) / np.where(g == 0.0, 1.0, g)

    places = {"own": own, "below": below}
    changes = tuple(Change("edge", layer.activation, f, owner=layer.z, scope=s) for s, f in places.items())  # type: ignore[arg-type]
    return Variant(layer, f"{{d}} = error ∘ {{f}}'(error), and {sign}{{f}}'(error) is handed down", changes)


def at(slope: Callable[[Array], Array], factor: float) -> Callable[[Array], Array]:
    """g times the slope at the error g/factor."""
    return lambda g: g * slope(g / factor)


@slip(
    "wrong_activation_derivative",
    sentence="The activation is {f}, but the delta is multiplied by the derivative of another function.",
    fix="The derivative of {f} is {slope}.",
    right="{d} = ∂L/∂{a} ∘ {slope}",
    example="d1 = (d2 @ W2.T) * (1 - a1**2)      # tanh's derivative, but the forward uses sigmoid",
)
def wrong_activation_derivative(net: Network, _: Learner) -> Variants:
    for layer, form, z, a in activations_of(net):
        forms = {
            "{a}(1 - {a})": a * (1.0 - a), "(1 - {a}²)": 1.0 - a * a, "[{z} > 0]": positive(z),
            "[{a} > 0]": positive(a), "[{z} > 0 or 0.01]": np.where(z > 0.0, 1.0, 0.01),
            "σ'({z})": ACTIVATIONS["sigmoid"].slope_at_input(z), "tanh'({z})": ACTIVATIONS["tanh"].slope_at_input(z),
            "(1 - {a})": 1.0 - a, "{a}": a,
            "(1 - {z}²)": 1.0 - z * z, "{z}(1 - {z})": z * (1.0 - z), "(1 - {a})²": (1.0 - a) ** 2, "{z}": z,
            "(1 + {a}²)": 1.0 + a * a, "{a}²": a * a, "{a}(1 + {a})": a * (1.0 + a), "0.01": np.full_like(z, 0.01),
            "{f}({a})": form.function(a), "(1 - 2{a})": 1.0 - 2.0 * a,
        }  # fmt: skip
        for text, slope in forms.items():
            if not np.allclose(slope, form.slope_at_input(z)):
                yield times_slope(layer, "{d} = ∂L/∂{a} ∘ " + text, slope)


@slip(
    "relu_mask_wrong",
    sentence="The ReLU's mask lets the wrong units through.",
    fix="A ReLU passes the gradient exactly where its input was positive: {d} = ∂L/∂{a} * ({z} > 0).",
    right="{d} = ∂L/∂{a} ∘ [{z} > 0]",
    example="d1 = d2 @ W2.T; d1[d1 < 0] = 0      # should be d1[z1 <= 0] = 0",
)
def relu_mask_wrong(net: Network, _: Learner) -> Variants:
    for layer, form, z, a in activations_of(net):
        if form.name in ("relu", "leaky_relu"):
            below = float(form.slope_at_input(np.array(-1.0)))
            yield times_slope(layer, "{d} = ∂L/∂{a} ∘ [{z} ≤ 0]", np.where(z > 0.0, below, 1.0))
            yield local(layer, "{d} = ∂L/∂{a} ∘ [∂L/∂{a} > 0]", lambda g: g * (g > 0.0))
            yield local(layer, "{d} = ∂L/∂{a} ∘ [∂L/∂{a} < 0]", lambda g: g * (g < 0.0))
            yield times_slope(layer, "{d} = ∂L/∂{a} ∘ [{z} ≥ 0]", positive(z) + (z == 0.0))
            yield times_slope(layer, "{d} = ∂L/∂{a} ∘ [{z} > 1]", positive(z - 1.0))
            yield times_slope(layer, "{d} = ∂L/∂{a} ∘ {a}", a)
            yield from masks_of_others(net, layer, z)


def masks_of_others(net: Network, layer: Layer, z: Array) -> Variants:
    for other in net.layers:
        if other is not layer and net.steps[other.z].y.shape == z.shape:
            yield times_slope(layer, f"{{d}} = ∂L/∂{{a}} ∘ [z{other.number} > 0]", positive(net.steps[other.z].y))


@slip(
    "missing_softmax_ce_simplification",
    sentence="With the cross-entropy the derivative of {f} cancels, but the delta contains it again or in part.",
    fix="For softmax or sigmoid with cross-entropy, all that remains is {d} = ({a} - t){over}.",
    right="{d} = ({a} - t){over}",
    example="d2 = (p - t) * p * (1 - p)          # should be p - t",
)
def missing_softmax_ce_simplification(net: Network, _: Learner) -> Variants:
    for layer in net.outputs:
        p, t, c = net.prediction(layer), net.target(layer), net.scale(layer)
        axis = -1 if p.ndim < 2 or net.batch_axis(layer) != -1 else -2
        if t is None or is_squared_error(net, layer, p, t):
            continue
        right, diagonal = c * (p - t), p * (1.0 - p)
        lines = {
            "({a} - t){over} ∘ {a}(1 - {a})": right * diagonal,
            "({a} - t){over} through all of softmax'": softmax_pull(right, p, axis),
            "-t/{a}{over}": -c * t / p,
        }
        if layer.activation >= 0:
            lines["∂L/∂{a} ∘ {a}(1 - {a}), the diagonal of softmax' alone"] = net.gradient(layer.end) * diagonal
        for line, array in lines.items():
            kind: Literal["edge", "into"] = "edge" if layer.activation >= 0 else "into"
            change = Change(kind, layer.end, partial(always, array), owner=layer.z, stage=0)
            yield Variant(layer, "{d} = " + line, (change,))


def always(array: Array, _: Array) -> Array:
    """`array`, whatever gradient arrives."""
    return array


def is_squared_error(net: Network, layer: Layer, p: Array, t: Array) -> bool:
    """With an activation before the loss, a gradient ∝ p - t at its output is that of a squared error."""
    g = net.gradient(layer.end)
    implied = layer.activation < 0 and not np.array_equal(p, net.steps[layer.end].y)
    return not implied and bool(np.allclose(g, net.scale(layer) * (p - t), rtol=1e-8, atol=0.0))


@slip(
    "loss_derivative_missing",
    sentence="The backward pass does not start from the derivative of the loss.",
    fix="Start from ∂L/∂{a} of the loss that the forward pass computes; for the squared error that is {a} - t.",
    right="∂L/∂{a} = derivative of the loss",
    example="d2 = y * y * (1 - y)                # should be (y - t) * y * (1 - y)",
)
def loss_derivative_missing(net: Network, _: Learner) -> Variants:
    for layer in net.outputs:
        for place in dict.fromkeys((layer.end, layer.z)):
            left = "∂L/∂{a}" if place == layer.end else "{d}"
            for text, array in starts(net, layer).items():
                right = net.gradient(place)
                # proportional to the right gradient: that is a constant factor; to ∂L/∂a: then f' is missing
                end = net.gradient(layer.end)
                same = any(proportion(array, x) is not None for x in (right, end)) and (
                    array.size > 1 or "({a} - t)" in text
                )
                if array.shape == right.shape and not same:
                    change = Change("into", place, lambda _, array=array: array, owner=layer.z, stage=0)  # type: ignore[misc]
                    yield Variant(layer, f"{left} = {text}", (change,))


def starts(net: Network, layer: Layer) -> dict[str, Array]:
    """What a backward pass may start from instead of the derivative of the loss."""
    p, g, t = net.prediction(layer), net.gradient(layer.end), net.target(layer)
    loss = np.full_like(g, float(net.steps[-1].y.reshape(-1)[0]))
    found = {"1": np.ones_like(g), "1/n": np.full_like(g, 1.0 / net.samples), "L": loss}
    for text, c in ({"": 1.0, "c·": net.scale(layer), "/n·": 1.0 / net.samples, "2/n·": 2.0 / net.samples}).items():
        found[f"{text}{{a}}"] = c * p
        if t is not None:
            e = p - t
            found |= {f"{text}({{a}} - t)²": c * e * e, f"{text}|{{a}} - t|": c * np.abs(e), f"{text}t": c * t,
                      f"{text}({{a}} - t)²/2": 0.5 * c * e * e, f"{text}({{a}} + t)": c * (p + t),
                      f"{text}sign({{a}} - t)": c * np.sign(e), f"-{text}t": -c * t,
                      f"{text}({{a}} - t)": c * e}  # fmt: skip
    return found


@slip(
    "upstream_gradient_dropped",
    sentence="A local derivative stands alone: it is not multiplied by the gradient that comes from above.",
    fix="Chain rule: the gradient from above times the local derivative.",
    right="{d} = ∂L/∂{a} ∘ {slope}",
    example="d1 = a1 * (1 - a1)                  # should be (d2 @ W2.T) * a1 * (1 - a1)",
)
def upstream_gradient_dropped(net: Network, _: Learner) -> Variants:
    for layer in net.layers:
        for text, value in {"1": 1.0, "1/n": 1.0 / net.samples}.items():
            ones = partial(np.full_like, fill_value=value)
            if layer.activation >= 0:
                yield Variant(
                    layer, f"{{d}} = {text} ∘ {{slope}}", (Change("into", layer.end, ones, owner=layer.z, stage=0),)
                )
            yield Variant(layer, f"{{d}} = {text}", (Change("into", layer.z, ones, owner=layer.z, stage=0),))
