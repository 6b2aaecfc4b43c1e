"""`w -= rate * w.grad` under `no_grad`: the update of a training loop that is written by hand.

NumPy's and PyTorch's arrays are written to by it, so `for p in parameters: p -= rate * p.grad` trains them. Here an
operator makes a new Tensor, and such a loop would train nothing without a word. So where no graph is recorded, a leaf
that requires a gradient takes the result as its array. Where one is recorded, `x *= 2` is a further node, as ever.
"""

from __future__ import annotations

import operator
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node
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


class LostUpdateWarning(UserWarning):
    """`w -= rate * w.grad` of a parameter, outside of `no_grad`: the parameter keeps its old numbers.

    >>> from tinygrad_edu import Tensor
    >>> w = Tensor([1.0, 2.0], requires_grad=True, label="w")
    >>> parameters = [w]
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     w -= 0.1 * np.ones(2)
    >>> parameters[0].data, len(caught)
    (array([1., 2.]), 1)
    """


def warn_of_lost_update(w: Node) -> None:
    name = w.label or "w"
    warnings.warn(
        f"`{name} -= ...` of a parameter makes a further node under this name. If a model, a list or an optimizer "
        f"holds the parameter, that keeps its numbers, and the loop trains nothing there. Write the update in a block "
        f"`with tg.no_grad():`, as in PyTorch, or {name}.data -= ...; {name} = {name} - x says that a node is meant",
        LostUpdateWarning,
        stacklevel=4,
    )


def note_write(x: Node, other: ArrayLike, y: Node, tensor: type) -> None:
    """Tell those who have to know that `x += other` has made y: other names of x, or the author of a loop."""
    if MODES.memory is not None:
        if hasattr(y, "parents") and (x.shape or MODES.memory.is_array_without_axes(x)):
            MODES.memory.note_write(x, y)
    elif isinstance(other, (np.ndarray, np.generic)) and MODES.recording and is_leaf(x, tensor):
        warn_of_lost_update(x)


def augmented(compute: Callable[[Any, Any], Any], tensor: type) -> Callable[[Any, Any], Any]:
    """The augmented assignment of an operator."""

    def assign(self: Any, other: ArrayLike) -> Any:
        y = compute(self, other)
        if not UNUSUAL or MODES.recording or not is_leaf(self, tensor):
            note_write(self, other, y, tensor)
            if getattr(self, "stands", None) is np.ndarray and not self.shape:
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
