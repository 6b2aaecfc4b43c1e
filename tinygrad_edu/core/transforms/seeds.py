"""The 0s and 1s that transforms make: seeds of a pull-back, and gradients by what a result does not depend on."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value


def exact(array: ArrayLike) -> Any:
    """The array; in a trace a node, because an array of its own would decide the dtype of the whole program."""
    trace = MODES.tensor_trace
    return array if trace is None else trace.exact(array)


def zero_like(x: Node) -> Any:
    """Zeros of the shape and dtype of a node."""
    if not isinstance(x, Tensor):
        return Value(0.0)
    found = exact(np.zeros(x.shape, x.dtype))
    return found if isinstance(found, Tensor) else Tensor(found)
