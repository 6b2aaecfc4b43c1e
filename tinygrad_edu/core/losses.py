"""Losses as operations: a mean over all entries or rows, written so that large logits neither overflow nor cancel.

They work on arrays, on Tensors, and on lists of Values.

>>> float(mse([1.0, 3.0], [0.0, 0.0]))
5.0
>>> abs(float(cross_entropy([[0.0, 1000.0]], [1])))
0.0
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import array_op
from tinygrad_edu.core.reductions import log_softmax, softmax
from tinygrad_edu.errors import SettingError, ShapeError


@array_op(vjp=lambda g, _y, p, t: squared_error_vjp(g * 2.0 / p.size * (p - t)))
def mse(prediction: Any, target: Any, /) -> Any:
    """Σ (p - t)² / n, the mean squared error.  p̄ = 2(p - t)/n = -t̄."""
    same_shape("mse", prediction, target)
    error = np.asarray(prediction) - np.asarray(target)
    return np.sum(error * error) / np.size(error)


def squared_error_vjp(error: Any) -> tuple[Any, Any]:
    return error, -error


@array_op(vjp=lambda g, _y, z, t: (g / z.size * (ops.sigmoid(z) - t), -(g / z.size) * z))
def bce_with_logits(logits: Any, target: Any, /) -> Any:
    """Cross-entropy of σ(z) against t in [0, 1]: Σ max(z, 0) - z·t + log(1 + e^(-|z|)), / n.  z̄ = (σ(z) - t)/n."""
    same_shape("bce_with_logits", logits, target)
    z, t = np.asarray(logits), np.asarray(target)
    each = ops.maximum(z, 0.0) - z * t + ops.log1p(ops.exp(-ops.abs(z)))
    return np.sum(each) / z.size


@array_op(vjp=lambda g, _y, z, t: cross_entropy_vjp(g, z, t), labels=True)
def cross_entropy(logits: Any, target: Any, /) -> Any:
    """-Σ t·log softmax(z) / rows. Targets: one class index a row, or one row of probabilities a row.

    z (rows, classes) or (classes,).  z̄ = (softmax(z)·Σt - t)/rows.
    """
    t = probabilities(target, logits)
    refuse_empty("cross_entropy", logits)
    return -np.sum(t * log_softmax(logits)) / rows(logits)


def cross_entropy_vjp(g: Any, z: Any, target: Any) -> tuple[Any, Any]:
    t = probabilities(target, z)
    scale = g / rows(z)
    total = t.sum(axis=-1, keepdims=True)
    return scale * (softmax(z) * total - t), -scale * log_softmax(z)


def rows(logits: Any) -> Any:
    return math.prod(np.shape(logits)[:-1]) * 1.0


def probabilities(target: Any, logits: Any) -> Any:
    """Class indices as rows of 0 and 1; rows of probabilities as they are."""
    shape = np.shape(logits)
    if getattr(target, "shape", None) == shape and len(shape) and not is_integer(target):
        return target
    labels = np.asarray(target)
    if labels.shape == shape:
        return labels.astype(getattr(logits, "dtype", float))
    if labels.shape != shape[:-1] or not is_integer(labels):
        raise ShapeError(
            f"cross_entropy: logits of shape {shape} need integer classes of shape {shape[:-1]} or probabilities "
            f"of shape {shape}; the targets have shape {labels.shape} and dtype {labels.dtype}"
        )
    classes = shape[-1]
    if labels.size and not 0 <= labels.min() <= labels.max() < classes:
        outside = labels[(labels < 0) | (labels >= classes)].flat[0]
        raise SettingError(
            f"cross_entropy: class {outside} is outside 0..{classes - 1}: the logits have {classes} columns"
        )
    return np.eye(classes, dtype=getattr(logits, "dtype", float))[labels]


def is_integer(target: Any) -> bool:
    return bool(np.issubdtype(target.dtype, np.integer))


def same_shape(name: str, a: Any, b: Any) -> None:
    """A loss broadcasts nothing: (n,) against (n, 1) would silently compare all pairs."""
    if np.shape(a) != np.shape(b):
        fix = f" Did you mean target.reshape{np.shape(a)}?" if np.size(a) == np.size(b) else ""
        raise ShapeError(f"{name}: prediction {np.shape(a)} and target {np.shape(b)} differ in shape.{fix}")
    refuse_empty(name, a)


def refuse_empty(name: str, prediction: Any) -> None:
    if not np.size(prediction):
        raise ShapeError(
            f"{name}: the mean of no numbers is undefined, and the prediction has shape {np.shape(prediction)}"
        )
