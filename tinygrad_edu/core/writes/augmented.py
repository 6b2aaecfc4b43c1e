"""`w -= rate * w.grad` under `no_grad`: the update of a training loop that is written by hand.

NumPy's and PyTorch's arrays are written to by it, so `for p in parameters: p -= rate * p.grad` trains them. Here an
operator makes a new Tensor, and such a loop would train nothing without a word. So where no graph is recorded, a leaf
that requires a gradient takes the result as its array. Where one is recorded, `x *= 2` is a further node, as ever.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.modes import MODES, UNUSUAL
from tinygrad_edu.core.writes.other_names import MADE_BY_PROGRAM
from tinygrad_edu.errors import ShapeError, TraceError

OPERATORS = {
    **{"iadd": operator.add, "isub": operator.sub, "imul": operator.mul, "itruediv": operator.truediv},
    **{"ipow": operator.pow, "ifloordiv": operator.floordiv, "imod": operator.mod, "imatmul": operator.matmul},
    **{"iand": operator.and_, "ior": operator.or_, "ixor": operator.xor},
}


class WrittenNumberError(TraceError):
    """A trace writes into an argument that is an array without axes."""


def is_leaf(x: Any, tensor: type) -> bool:
    """Is x a parameter, not a node, nor of a trace?"""
    return bool(x.requires_grad and not x.parents and x.__class__ is tensor)


def augmented(compute: Callable[[Any, Any], Any], tensor: type) -> Callable[[Any, Any], Any]:
    """The augmented assignment of an operator."""

    def assign(self: Any, other: ArrayLike) -> Any:
        y = compute(self, other)
        if not UNUSUAL or MODES.recording or not is_leaf(self, tensor):
            if MODES.memory is not None and self.shape and hasattr(y, "parents"):
                MODES.memory.note_write(self, y)
            elif getattr(self, "stands", None) is np.ndarray and not self.shape:
                raise WrittenNumberError(
                    "+= and its like write into an array without axes, which a compiled function takes as a number: "
                    "write x = x + 1, or give an array with axes, np.array([x])"
                )
            return y
        if y.shape != self.shape:
            raise ShapeError(f"an update in place needs the shape {self.shape} of {self!r}, not {y.shape}")
        self.data = y.array
        return self

    return assign


def install(tensor: type) -> None:
    for name, compute in OPERATORS.items():
        setattr(tensor, f"__{name}__", augmented(compute, tensor))
    # whatever is no node of a trace while one runs is the program's own Tensor
    MADE_BY_PROGRAM[tensor] = lambda x, begun: x._made <= begun or MODES.tensor_trace is not None
