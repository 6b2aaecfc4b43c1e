"""Which nodes of a trace are truth values.

In a program they are 0.0 and 1.0, but NumPy's + and & treat them differently from numbers.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.operation import Operation
from tinygrad_edu.errors import TraceError

# Operations that only move numbers, and those that make truth values from truth values.
MOVES = {"reshape", "transpose", "broadcast_to", "window", "place", "gather", "slide", "concatenate", "max", "min"}
JOINS = {"mul", "maximum", "minimum"}


def is_comparison(x: Any) -> bool:
    """Is it computed by a comparison? `pos` without a derivative stands for what is detached."""
    return isinstance(x.op, Operation) and x.op.partials is None and x.op.name != "pos"


def is_truth(x: Any) -> bool:
    """Is a node True or False: an input of such values, a comparison, or made of these alone?"""
    if x.op is None:
        return bool(x.truth)
    return is_comparison(x) or (x.op.name in MOVES | JOINS and all(map(is_truth, x.parents)))


def replaces(x: Any, node: Any) -> bool:
    """May x stand for a node of the same numbers? (x > 0)·1.0 are numbers, which + adds up: x > 0 are truth values."""
    return bool(len(x.sizes) == len(node.sizes) and x.sizes == node.sizes and is_truth(x) == is_truth(node))


def dtype_of(x: Any) -> np.dtype[Any]:
    """As NumPy has it for truth values and for inputs of whole numbers: attention tells a mask of booleans by it."""
    return np.dtype(bool if is_truth(x) else np.int64 if x.integer else np.float64)


def refuse_numbers(sign: str, *operands: Any) -> None:
    """&, |, ^ and ~ of whole numbers work on their bits. Errors: TraceError if x is not a truth value."""
    for x in operands:
        plain = isinstance(x, (bool, np.bool_)) or (isinstance(x, np.ndarray) and x.dtype.kind == "b")
        if not plain and not (hasattr(x, "truth") and is_truth(x)):
            raise TraceError(
                f"{sign} of whole numbers, which works on their bits, cannot be compiled: between comparisons it can"
            )
