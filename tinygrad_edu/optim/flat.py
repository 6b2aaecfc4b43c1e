"""All parameters of either back end as one vector: their numbers or their gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value

Array = np.ndarray[Any, Any]
Parameter = Value | Tensor


def weights(params: Sequence[Parameter]) -> Array:
    """All numbers, in float64."""
    return join([p.array if isinstance(p, Tensor) else p.data for p in params])


def gradients(params: Sequence[Parameter]) -> Array:
    """All gradients, in float64; 0 for a Tensor that has none."""
    return join([gradient_or_zeros(p) for p in params])


def gradient_or_zeros(p: Parameter) -> Any:
    return np.zeros(p.shape) if isinstance(p, Tensor) and p.grad is None else p.grad


def join(arrays: Sequence[Any]) -> Array:
    return np.concatenate([np.ravel(x).astype(float) for x in arrays])


def assign(params: Sequence[Parameter], vector: Array) -> None:
    """Write numbers back; each array keeps its shape and dtype."""
    start = 0
    for p in params:
        if isinstance(p, Tensor):
            p.assign(vector[start : start + p.size].reshape(p.shape).astype(p.dtype))
            start += p.size
        else:
            p.data = float(vector[start])
            start += 1


def change_gradients(params: Sequence[Parameter], change: Callable[[Any], Any]) -> None:
    """Replace each gradient g by change(g), a new array: other code may hold the old one."""
    for p in params:
        if isinstance(p, Tensor):
            p.grad = None if p.grad is None else np.asarray(change(p.grad))
        else:
            p.grad = change(p.grad)
