"""An operation on Tensors from before a traced value was met, once more on nodes."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.core.operation import ArrayOperation
from tinygrad_edu.core.tensor import Tensor


def replay(x: Tensor, inputs: list[Any]) -> Traced:
    """Repeat the operation that made a Tensor, on traced inputs."""
    if isinstance(x.op, ArrayOperation):
        return Traced.__apply_array__(x.op, inputs, x.options)
    assert x.op is not None
    return Traced.__apply__(x.op, inputs)
