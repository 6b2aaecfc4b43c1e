"""Attributes that a program has set on the arguments of a compiled function, such as X.scale = 2.0.

A program is made from numbers and shapes alone. So the name of such an attribute is part of what a program is kept by,
and a function that reads one is refused: otherwise `getattr(X, "scale", 1.0)` would silently be 1.0.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.stands_for import mark
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.methods.spellings import OF_TENSOR
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.tracing.identity import first_places
from tinygrad_edu.errors import TraceError

WITHHELD = "withheld by jit"  # not an identifier, so it cannot be the name of an attribute


def own_attributes(arguments: Sequence[Any], asked: Container[str] = ()) -> tuple[tuple[Any, ...], ...]:
    """For each argument the names that were set on it, and the dtype of a number that is no Python float; () if there
    are none at all. `asked`: and its "class", or its "identity", the first place that is given the same array.

    A Tensor is told from an array: `x += 1` changes the caller's array, and of a Tensor it makes a further node.
    """
    found: tuple[Any, ...] = tuple(
        [(Tensor, *vars(x)) if x.__class__ is Tensor else dtype_of_number(x) for x in arguments]
    )
    found = tuple([(type(x), *names) for x, names in zip(arguments, found, strict=True)]) if "class" in asked else found
    if "identity" in asked:
        found = tuple([(place, *names) for place, names in zip(first_places(arguments), found, strict=True)])
    return found if any(found) else ()


def dtype_of_number(x: ArrayLike) -> tuple[Any, ...]:
    """`int` for a whole number of Python's, which takes on the dtype of an array beside it; a NumPy number has its own.

    () for the others: arrays with axes, and Python's floats.
    """
    kind = type(x)
    if kind is int:
        return (int,)
    return (x.dtype,) if isinstance(x, np.generic) or (kind is np.ndarray and not x.ndim) else ()


def is_double(x: ArrayLike) -> bool:
    """Is it a number of NumPy's in float64, which arrays of float32 beside it become?"""
    return np.float64 in dtype_of_number(x)


def withhold(node: Traced, x: Any) -> None:
    """Let the node of an argument say what it stands for and its dtype, and refuse to say what was set on it."""
    mark(node, type(x))
    for dtype in dtype_of_number(x):
        whole = dtype is int or dtype.kind in "biu"
        node.kind = dtype if whole else node.kind
        node.options = {} if whole else {"dtype": dtype}
    if x.__class__ is Tensor and not x.ndim:
        node.options = {"dtype": x.dtype}
    if x.__class__ is Tensor and vars(x):
        vars(node)[WITHHELD] = tuple(vars(x))


def refuse_missing(node: Traced, name: str) -> Any:
    """An attribute that a node does not have. Errors: TraceError for one of the argument's own."""
    if name in vars(node).get(WITHHELD, ()):
        raise TraceError(
            f"{name!r} was set on an argument of a compiled function, and is not part of its program: give it as an "
            "argument of its own, or call the function without jit"
        )
    advice = f". Write {OF_TENSOR[name]}" if name in OF_TENSOR else ""
    raise AttributeError(f"{type(node).__name__!r} object has no attribute {name!r}{advice}")


of_nodes: Any = Traced
of_nodes.__getattr__ = refuse_missing
