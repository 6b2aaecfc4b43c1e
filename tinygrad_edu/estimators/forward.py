"""Predictions in NumPy: a few array operations, for sparse samples too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from scipy.special import expit, xlogy

from tinygrad_edu.core.aliases import Samples

Array = np.ndarray[Any, Any]
BINARY = 3  # network.LOSSES of labels, each yes or no
EPSILON: dict[str, Any] = {"f": np.finfo(np.float32).eps, "d": np.finfo(np.float64).eps}
# Probabilities are kept between these. As arrays: a number costs a ufunc as much time as eleven rows.
ENDS = {kind: (np.array(low), np.array(1 - low)) for kind, low in EPSILON.items()}


def softmax(z: Array) -> None:
    np.exp(z - z.max(axis=1, keepdims=True), out=z)
    z /= z.sum(axis=1, keepdims=True)


IN_PLACE: dict[str, Callable[[Array], Any]] = {
    "identity": lambda z: None,
    "logistic": lambda z: expit(z, z),
    "tanh": lambda z: np.tanh(z, z),
    "relu": lambda z: np.maximum(z, 0.0, out=z),
    "exp": lambda z: np.exp(z, out=z),
    "softmax": softmax,
}


def layers(X: Samples, coefs: Sequence[Array], intercepts: Sequence[Array], activations: Sequence[str]) -> list[Any]:
    """The samples, and the activations (samples, width) of each layer after them."""
    found = [X]
    for W, b, name in zip(coefs, intercepts, activations, strict=True):
        z = found[-1] @ W
        z = z if type(z) is np.ndarray else np.asarray(z)
        z += b
        IN_PLACE[name](z)
        found.append(z)
    return found


def outputs(X: Samples, coefs: Sequence[Array], intercepts: Sequence[Array], activations: Sequence[str]) -> Array:
    """The activations of the last layer, (samples, outputs)."""
    return np.asarray(layers(X, coefs, intercepts, activations)[-1])


def accuracy(y: Array, p: Array, weight: Array | None, exclusive: bool) -> float:
    """The share of samples with all classes right: y (samples, outputs) of 0 and 1, p probabilities.

    exclusive: each sample has one class, the most probable one.
    """
    right = p.argmax(axis=1) == y.argmax(axis=1) if exclusive else ((p > 0.5) == (y > 0.5)).all(axis=1)
    return float(np.average(right, weights=weight))


def r2(y: Array, p: Array, weight: Array | None) -> float:
    """1 - Σ(y - p)²/Σ(y - ȳ)², averaged over outputs; NaN if a prediction is not finite; 1 or 0 for a constant y."""
    if not np.isfinite(p).all():
        return float("nan")
    own = np.ones(len(y)) if weight is None else np.asarray(weight, float)
    missed, spread = own @ np.square(y - p), own @ np.square(y - np.average(y, axis=0, weights=own))
    share = np.divide(missed, spread, out=np.where(missed == 0.0, 0.0, 1.0), where=spread != 0.0)
    return float(np.mean(1.0 - share))


def loss(code: int, y: Array, p: Array, weight: Array | None) -> Any:
    """The mean loss without penalty; `code` is one of network.LOSSES. In scikit-learn's order of operations."""
    if code == 0:
        return 0.5 * np.mean(average((y - p) ** 2, weight))
    if code == 1:
        return average(xlogy(y, y / p) - y + p, weight).sum()
    if code == BINARY:
        return log_loss_of_labels(y, 1 - y, p, weight)
    return -np.add.reduce(average(xlogy(y, within_ends(p)), weight))


def log_loss_of_labels(y: Array, other: Array, p: Array, weight: Array | None = None) -> Any:
    """The log loss of probabilities p of labels y; `other`: 1 - y."""
    q = within_ends(p)
    each = xlogy(y, q)
    each += xlogy(other, np.subtract(1.0, q, q))
    found = average(each, weight)
    return -found[0] if len(found) == 1 else -np.add.reduce(found)


def within_ends(p: Array) -> Array:
    """Probabilities whose logarithms are finite."""
    low, high = ENDS[p.dtype.char]
    q: Array = np.maximum(p, low)
    np.minimum(q, high, out=q)
    return q


def average(each: Array, weight: Array | None) -> Array:
    """The weighted mean of all samples."""
    if weight is None:
        return np.add.reduce(each, axis=0) / len(each)  # type: ignore[no-any-return]
    return np.asarray(np.average(each, weights=weight, axis=0))
