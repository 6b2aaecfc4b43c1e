"""The nodes that a function is called with where a transform differentiates it."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import Node, Option
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value


def variable(x: Node, dtype: Option = None) -> Any:
    """What the function is called with: a new node, so that only this use of x is differentiated by.

    It has the attributes that the program has given to x. `dtype`: of the arrays beside it, where a number becomes an
    array without axes.
    """
    made = new_variable(x, dtype)
    if isinstance(x, Tensor):
        vars(made).update(vars(x))
    return made


def new_variable(x: Node, dtype: Option) -> Any:
    if x is None:
        return None
    if isinstance(x, Value) or (isinstance(x, Tensor) and x.requires_grad):
        return ops.pos(x)
    batched = hasattr(MODES.tensor_trace, "of_samples")  # in a vmap numbers become Tensors too
    if MODES.tensor_trace is not None and (batched or dtype is not None or isinstance(x, (Tensor, np.ndarray))):
        return ops.pos(Tensor(x, dtype=dtype))
    if MODES.value_trace is not None:
        return MODES.value_trace(x)
    if isinstance(x, (Tensor, np.ndarray)):
        return Tensor(x, requires_grad=True)
    return Value(x) if dtype is None else Tensor(x, requires_grad=True, dtype=dtype)
