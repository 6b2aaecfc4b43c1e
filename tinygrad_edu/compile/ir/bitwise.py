"""&, |, ^ and ~ of truth values."""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.truth import is_truth
from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.errors import TraceError


def refuse_numbers(sign: str, *operands: Any) -> None:
    """&, |, ^ and ~ of whole numbers work on their bits. Errors: TraceError if x is not a truth value."""
    for x in operands:
        plain = isinstance(x, (bool, np.bool_)) or (isinstance(x, np.ndarray) and x.dtype.kind == "b")
        if not plain and not (hasattr(x, "sizes") and is_truth(x)):
            raise TraceError(
                f"{sign} of whole numbers, which works on their bits, cannot be compiled: between comparisons it can"
            )


def conjunction(x: Node, other: ArrayLike) -> Any:
    """x & other, of conditions that are 0 or 1."""
    refuse_numbers("&", x, other)
    return x * other


def disjunction(x: Node, other: ArrayLike) -> Any:
    """x | other."""
    refuse_numbers("|", x, other)
    return TABLE["maximum"](x, other)


def exclusive_disjunction(x: Node, other: ArrayLike) -> Any:
    """x ^ other."""
    refuse_numbers("^", x, other)
    return TABLE["not_equal"](x, other)


def negation(x: Node) -> Any:
    """~x."""
    refuse_numbers("~", x)
    return TABLE["equal"](x, 0.0)
