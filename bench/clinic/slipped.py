"""Networks with hand-written backward passes into which slips can be put: what the examiner is measured on.

Written with plain NumPy and without a line of the examiner, so that neither can cover for the other. A slip acts at a
stage of the backward pass; each stage asks the slips that are at work in that layer for their version of the number.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
EVERY = -1  # stands for "every layer" where a layer's number is expected
LR = 0.3


@dataclass(frozen=True)
class Injected:
    """A slip: its code, the layer (from 0; EVERY), the scope ("", "own", "below"), and which form of it."""

    code: str
    layer: int
    scope: str = ""
    form: Any = 0


@dataclass
class Learner:
    """A network of one learner, and how its forward pass is spelled."""

    widths: tuple[int, ...]
    activations: tuple[str, ...]
    loss: str
    samples: int
    bias: str = "vector"  # vector, row, column, none
    penalty: float = 0.0
    seed: int = 0
    params: dict[str, Array] = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        self.X = rng.normal(size=(self.samples, self.widths[0]))
        out = self.widths[-1]
        self.T = (
            rng.random((self.samples, out)) if self.loss == "mse" else rng.integers(0, 2, (self.samples, out)) * 1.0
        )
        if self.loss == "cross-entropy":
            self.T = np.eye(out)[rng.integers(0, out, self.samples)]
        self.params = {}
        for k, (n, m) in enumerate(zip(self.widths, self.widths[1:], strict=False), 1):
            self.params[f"W{k}"] = rng.normal(size=(n + (self.bias == "column"), m)) * 0.8
            if self.bias in ("vector", "row"):
                self.params[f"b{k}"] = rng.normal(size=(m,) if self.bias == "vector" else (1, m)) * 0.5

    @property
    def depth(self) -> int:
        return len(self.activations)

    def input_of(self, k: int, a: Any) -> Any:
        return np.concatenate([a, np.ones((self.samples, 1))], axis=1) if self.bias == "column" else a

    def forward(self, p: dict[str, Any]) -> Any:
        """What the examiner gets."""
        a: Any = self.X
        for k, name in enumerate(self.activations, 1):
            z = self.input_of(k, a) @ p[f"W{k}"]
            z = z + p[f"b{k}"] if f"b{k}" in p else z
            a = SPELLED[name][self.seed % len(SPELLED[name])](z)
        loss = LOSSES[self.loss](a, self.T)
        if self.penalty:
            loss = loss + 0.5 * self.penalty * sum(np.sum(p[f"W{k}"] ** 2) for k in range(1, self.depth + 1))
        return loss

    def backward(self, slips: tuple[Injected, ...] = ()) -> dict[str, Array]:
        """The gradients, written by hand, with the slips in them."""
        return Backward(self, slips).gradients()


SPELLED: dict[str, list[Callable[[Any], Any]]] = {
    "sigmoid": [
        lambda z: 1 / (1 + np.exp(-z)),
        lambda z: np.exp(z) / (1.0 + np.exp(z)),
        lambda z: 0.5 * (1 + np.tanh(0.5 * z)),
    ],
    "tanh": [
        np.tanh,
        lambda z: (np.exp(z) - np.exp(-z)) / (np.exp(z) + np.exp(-z)),
        lambda z: 2 / (1 + np.exp(-2 * z)) - 1,
    ],
    "relu": [lambda z: np.maximum(z, 0), lambda z: np.where(z > 0, z, 0.0), lambda z: z * (z > 0)],
    "identity": [lambda z: z],
    "softmax": [
        lambda z: (
            np.exp(z - np.max(z, axis=1, keepdims=True))
            / np.sum(np.exp(z - np.max(z, axis=1, keepdims=True)), axis=1, keepdims=True)
        ),
        lambda z: np.exp(z) / np.exp(z).sum(axis=1, keepdims=True),
    ],
}
LOSSES: dict[str, Callable[[Any, Array], Any]] = {
    "mse": lambda y, t: np.mean((y - t) ** 2),
    "half": lambda y, t: 0.5 * np.sum((t - y) ** 2),
    "bce": lambda y, t: -np.mean(t * np.log(y) + (1 - t) * np.log(1 - y)),
    "cross-entropy": lambda y, t: -np.sum(t * np.log(y)) / len(t),
}
SLOPES: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda z: 1 / (1 + np.exp(-z)) * (1 - 1 / (1 + np.exp(-z))),
    "tanh": lambda z: 1 - np.tanh(z) ** 2,
    "relu": lambda z: (z > 0) * 1.0,
    "identity": lambda z: np.ones_like(z),
}
FROM_OUTPUT: dict[str, Callable[[Array], Array]] = {
    "sigmoid": lambda a: a * (1 - a),
    "tanh": lambda a: 1 - a * a,
    "relu": lambda a: (a > 0) * 1.0,
}


class Backward:
    """One backward pass by hand."""

    def __init__(self, net: Learner, slips: tuple[Injected, ...]) -> None:
        self.net, self.slips = net, slips
        self.a, self.z = [net.X], []
        for k, name in enumerate(net.activations, 1):
            z = net.input_of(k, self.a[-1]) @ net.params[f"W{k}"] + net.params.get(f"b{k}", 0.0)
            self.z.append(z)
            self.a.append(SPELLED[name][0](z))
        self.out: dict[str, Array] = {}

    def at(self, layer: int, scope: str = "") -> dict[str, Injected]:
        """The slips at work in a layer: code → slip."""
        return {
            s.code: s
            for s in self.slips
            if s.layer in (layer, EVERY) and (not s.scope or not scope or s.scope == scope)
        }

    def gradients(self) -> dict[str, Array]:
        g = self.start()
        for layer in reversed(range(self.net.depth)):
            own, down = (self.delta(layer, g, scope) for scope in ("own", "below"))
            self.own_gradients(layer, own)
            g = self.propagated(layer, down) if layer else g
        return {name: self.out[name] for name in self.net.params}

    def start(self) -> Array:
        """∂L/∂y."""
        net, y, t = self.net, self.a[-1], self.net.T
        n, size = len(t), t.size
        if net.loss == "bce":
            return (y - t) / (y * (1 - y)) / size
        return {"mse": 2 * (y - t) / size, "half": y - t, "cross-entropy": -t / np.maximum(y, 1e-300) / n}[net.loss]

    def delta(self, layer: int, g: Array, scope: str) -> Array:
        """∂L/∂z of a layer."""
        slips, last = self.at(layer, scope), layer == self.net.depth - 1
        y, t = self.a[-1], self.net.T
        if "loss_derivative_missing" in slips and last:
            g = {0: y / len(t), 1: np.ones_like(g), 2: (y - t) ** 2}[slips["loss_derivative_missing"].form]
        if "upstream_gradient_dropped" in slips:
            g = np.ones_like(g)
        d = self.through(layer, g, slips)
        if "missing_softmax_ce_simplification" in slips and last:
            d = (y - t) * y * (1 - y) / (len(t) if self.net.loss == "cross-entropy" else t.size)
        if "sign_flipped" in slips and slips["sign_flipped"].form == 0:
            d = -d
        if "constant_factor" in slips and slips["constant_factor"].form[0] == "delta":
            d = slips["constant_factor"].form[1] * d
        if "only_last_sample" in slips and slips["only_last_sample"].form == 0:
            d = np.concatenate([np.zeros_like(d[:-1]), d[-1:]])
        return d

    def through(self, layer: int, g: Array, slips: dict[str, Injected]) -> Array:
        """∂L/∂z from ∂L/∂a."""
        name, z, a = self.net.activations[layer], self.z[layer], self.a[layer + 1]
        if "missing_activation_derivative" in slips:
            return g
        if name == "softmax":
            return a * (g - np.sum(g * a, axis=1, keepdims=True))
        slope = SLOPES[name](z)
        if "derivative_at_activation" in slips:
            slope = SLOPES[name](a)
        if "derivative_at_preactivation" in slips:
            slope = FROM_OUTPUT[name](z)
        if "derivative_at_error" in slips:
            slope = (SLOPES, FROM_OUTPUT)[slips["derivative_at_error"].form][name](g)
        if "wrong_activation_derivative" in slips:
            slope = FROM_OUTPUT[slips["wrong_activation_derivative"].form](a)
        if "relu_mask_wrong" in slips:
            slope = {0: (z <= 0) * 1.0, 1: (g > 0) * 1.0}[slips["relu_mask_wrong"].form]
        return g * slope

    def own_gradients(self, layer: int, d: Array) -> None:
        """∂L/∂W and ∂L/∂b."""
        net, slips, k = self.net, self.at(layer), layer + 1
        W, b, x = net.params[f"W{k}"], net.params.get(f"b{k}"), net.input_of(k, self.a[layer])
        if "wrong_layer_input" in slips:
            x = net.input_of(k, self.z[layer - 1] if slips["wrong_layer_input"].form == 0 else net.X)
        dW = x.T @ d
        if "only_last_sample" in slips and slips["only_last_sample"].form == 1:
            dW = x[-1:].T @ d[-1:]
        if "weight_instead_of_input" in slips:
            dW = W * d.sum(axis=0)
        if "missing_bias_gradient" in slips and net.bias == "column":
            dW[-1] = 0.0
        self.out[f"W{k}"] = self.finished(dW, W, slips)
        if b is not None:
            db = d.sum(axis=0)
            if "bias_not_summed" in slips:
                self.out[f"b{k}"] = d
                return
            if "bias_wrong_axis" in slips:
                db = np.full(b.size, d.sum()) if slips["bias_wrong_axis"].form == 0 else d.sum(axis=1)
            db = 0 * db if "missing_bias_gradient" in slips else db
            db = db + net.penalty * b.reshape(-1) if "regularisation_on_bias" in slips else db
            self.out[f"b{k}"] = db.reshape(b.shape)

    def finished(self, dW: Array, W: Array, slips: dict[str, Injected]) -> Array:
        """The penalty, and what happens to a finished gradient."""
        rate = self.net.penalty
        if "regularisation_missing" in slips:
            rate = 0.0
        if "regularisation_wrong" in slips:
            rate = slips["regularisation_wrong"].form * rate
        dW = dW + rate * W
        if "gradient_times_weight" in slips:
            dW = W * dW
        if "gradient_transposed" in slips:
            dW = dW.T
        if "sign_flipped" in slips and slips["sign_flipped"].form == 1:
            dW = -dW
        if "constant_factor" in slips and slips["constant_factor"].form[0] == "weight":
            dW = slips["constant_factor"].form[1] * dW
        return dW

    def propagated(self, layer: int, d: Array) -> Array:
        """∂L/∂a of the layer below."""
        net, slips, k = self.net, self.at(layer), layer + 1
        W, width = net.params[f"W{k}"], net.widths[layer]
        if "updated_weights_used" in slips:
            W = W - LR * self.out[f"W{k}"]
        if "wrong_matrix_in_propagation" in slips:
            W = net.params[slips["wrong_matrix_in_propagation"].form]
        W = W[:width]
        if "not_transposed" in slips:
            return d @ W
        if "delta_not_propagated" in slips:
            return np.zeros((net.samples, width)) if slips["delta_not_propagated"].form else d + np.zeros((1, width))
        return d @ W.T


def possible(net: Learner) -> Iterator[Injected]:
    """Every slip, wherever it applies."""
    last, several = net.depth - 1, net.depth > 1
    for layer in [*range(net.depth), *([EVERY] if several else [])]:
        scopes = ("", "own", "below") if several else ("",)
        names = set(net.activations) if layer == EVERY else {net.activations[layer]}
        for code, form in at_activations(net, names, layer in (last, EVERY)):
            yield from (Injected(code, layer, scope, form) for scope in scopes)
        yield from (Injected(code, layer, "", form) for code, form in at_products(net, layer))
        if layer and several:
            yield from (Injected(code, layer, "", form) for code, form in in_propagation(net, layer))


def at_activations(net: Learner, names: set[str], output: bool) -> Iterator[tuple[str, Any]]:
    if names <= {"sigmoid", "tanh", "relu"}:
        yield from [
            (c, 0) for c in ("missing_activation_derivative", "derivative_at_activation", "upstream_gradient_dropped")
        ]
        yield from [("derivative_at_preactivation", 0), ("derivative_at_error", 0), ("derivative_at_error", 1)]
        yield from [("wrong_activation_derivative", f) for f in FROM_OUTPUT if f not in names]
    if names == {"relu"}:
        yield from [("relu_mask_wrong", 0), ("relu_mask_wrong", 1)]
    if names == {"softmax"}:
        yield ("missing_activation_derivative", 0)
    if output:
        yield from [("loss_derivative_missing", form) for form in range(3)]
        if net.loss in ("bce", "cross-entropy"):
            yield ("missing_softmax_ce_simplification", 0)
    yield ("sign_flipped", 0)
    yield from [("constant_factor", ("delta", c)) for c in (2.0, float(net.samples), 1.0 / net.samples, 0.37)]
    if net.samples > 1:
        yield ("only_last_sample", 0)


def at_products(net: Learner, layer: int) -> Iterator[tuple[str, Any]]:
    yield from [("weight_instead_of_input", 0), ("gradient_times_weight", 0), ("sign_flipped", 1)]
    yield from [("constant_factor", ("weight", c)) for c in (2.0, 1.0 / net.samples, 0.37)]
    if layer > 0:
        yield ("wrong_layer_input", 0)
        if net.widths[layer] == net.widths[0]:
            yield ("wrong_layer_input", 1)
    if net.samples > 1:
        yield ("only_last_sample", 1)
    if net.bias != "none":
        yield ("missing_bias_gradient", 0)
    if net.bias in ("vector", "row"):
        yield ("bias_wrong_axis", 0)
        if net.samples > 1 and layer != EVERY:
            yield ("bias_not_summed", 0)
        if layer != EVERY and net.widths[layer + 1] == net.samples > 1:
            yield ("bias_wrong_axis", 1)
        if net.penalty:
            yield ("regularisation_on_bias", 0)
    if net.penalty:
        yield from [("regularisation_missing", 0), ("regularisation_wrong", 2.0), ("regularisation_wrong", 0.5)]
    shapes = [net.params[f"W{k}"].shape for k in range(1, net.depth + 1)]
    if all(n == m for n, m in (shapes if layer == EVERY else [shapes[layer]])):
        yield ("gradient_transposed", 0)


def in_propagation(net: Learner, layer: int) -> Iterator[tuple[str, Any]]:
    layers = range(1, net.depth) if layer == EVERY else [layer]
    yield from [("updated_weights_used", 0), ("delta_not_propagated", 1)]
    if all(net.widths[k] == net.widths[k + 1] for k in layers):
        yield from [("not_transposed", 0), ("delta_not_propagated", 0)]
    for k in range(1, net.depth + 1) if layer != EVERY else ():
        if k != layer + 1 and net.params[f"W{k}"].shape == net.params[f"W{layer + 1}"].shape:
            yield ("wrong_matrix_in_propagation", f"W{k}")


def learners() -> list[Learner]:
    """One to three layers, different and equal widths, every activation and loss, batch and single sample."""
    shapes = [(3, 2), (3, 4, 2), (2, 3, 1), (3, 3, 3), (4, 3, 5, 2), (3, 3, 3, 3), (2, 2, 2), (1, 1, 1)]
    ends = [
        ("sigmoid", "mse"),
        ("identity", "half"),
        ("sigmoid", "bce"),
        ("softmax", "cross-entropy"),
        ("tanh", "half"),
    ]
    found = []
    biases, hiddens = ("vector", "row", "column", "none"), ("sigmoid", "tanh", "relu")
    for seed, (widths, (end, loss)) in enumerate(product(shapes, ends)):
        if loss == "cross-entropy" and widths[-1] == 1:
            continue
        hidden = tuple(hiddens[(seed + k) % 3 if seed % 2 else seed % 3] for k in range(len(widths) - 2))
        samples = (5, 1, 3)[seed % 3]
        penalty = 0.02 if seed % 4 == 1 else 0.0
        found.append(Learner(widths, (*hidden, end), loss, samples, biases[(seed // 2) % 4], penalty, seed))
    return found
