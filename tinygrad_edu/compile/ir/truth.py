"""Which nodes of a trace are truth values.

In a program they are 0.0 and 1.0, but NumPy's + and & treat them differently from numbers.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.errors import TraceError

# Operations that only move numbers.
MOVES = {"reshape", "transpose", "broadcast_to", "window", "place", "gather", "slide", "concatenate", "max", "min"}
SUMS_OF_TRUTHS = {"matmul", "diagonal"}  # recorded as sums, of which NumPy says whether any entry is true


def is_comparison(x: Any) -> bool:
    """Is it computed by a comparison? `pos` without a derivative stands for what is detached."""
    return isinstance(x.op, Operation) and x.op.partials is None and x.op.name != "pos"


@functools.cache
def kind_of_truths(operation: Operation) -> str:
    """What NumPy makes of truth values alone: "b" for truth values, else numbers (or an error, as for True - True)."""
    function = getattr(np, operation.numpy_name or operation.name, None)
    if function is None:
        return "f"
    try:
        return str(np.asarray(function(*[np.ones(1, bool)] * len(operation.parameters))).dtype.kind)
    except TypeError:
        return "f"


def is_truth(x: Any) -> bool:
    """Is a node True or False: an input of such values, a comparison, or what NumPy keeps boolean of these alone?"""
    if x.op is None:
        return bool(x.truth)
    if is_comparison(x):
        return True
    keeps = x.op.name in MOVES or (isinstance(x.op, Operation) and kind_of_truths(x.op) == "b")
    return keeps and all(map(is_truth, x.parents[1:] if x.op.name == "where" else x.parents))


def on_truths(operation: Operation, parents: Sequence[Any]) -> tuple[Operation, Sequence[Any]]:
    """What an operation is on these: True + True is True, and True² is 1, which two of them add up to 2."""
    if operation.partials is None or operation.name == "pos" or not all(map(is_truth, parents)):
        return operation, parents
    if kind_of_truths(operation) == "b":
        return (TABLE["maximum"] if operation.name == "add" else operation), parents
    return operation, tuple([x * 1.0 for x in parents])


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
