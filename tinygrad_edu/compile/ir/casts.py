"""Casts between float32 and float64 inside a function.

A program computes in one dtype of floats. In one of float64 a cast to float32 rounds the numbers, and what follows is
computed in float64: closer to the real numbers than NumPy's float32 is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.compile.ir.truth import FLOAT
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import Dtype, Node, Option
from tinygrad_edu.core.numpy_protocol import call_function
from tinygrad_edu.core.operation import EVERYWHERE, Operation

# NumPy's functions that with dtype= first cast their operand
CASTING = frozenset({
    np.sum, np.mean, np.prod, np.cumsum, np.cumprod, np.var, np.std, np.nansum, np.nanmean, np.nanprod, np.trace,
})  # fmt: skip


def to_float32(x: float) -> float:
    """The nearest float32, as a number of the program's own dtype."""
    return float(np.float32(x))


# Not in the table: users write x.astype("float32"). The gradient goes through unchanged.
ROUNDED = Operation(to_float32, lambda _y, _x: (1.0,), EVERYWHERE, "float32", "")


def cast(x: Node, dtype: Dtype) -> Any:
    """x in another dtype of floats; outside of a trace the same numbers as floats."""
    return ACTIVE.traces[-1].cast(x, np.dtype(dtype)) if ACTIVE.traces else ops.mul(x, 1.0)


def call_with_dtype(x: Node, function: Option, arguments: Sequence[Any], options: dict[str, Any]) -> Any:
    """NumPy's function with its option dtype=: where it is not what the program does by itself, a cast of the operand.

    Counts of truth values are added up as they are; with dtype=float their sum is of floats.
    """
    asked = np.dtype(options["dtype"])
    rest = {name: value for name, value in options.items() if name != "dtype"}
    own = [each.floats for each in ACTIVE.traces[-1:] if not each.mixed]
    if asked.kind != "f" or function not in CASTING or not hasattr(arguments[0], "sizes"):
        return call_function(function, arguments, rest if asked in (x.dtype, *own) else options)
    if asked in own and arguments[0].dtype.kind != "f":
        found = call_function(function, arguments, rest)
        found.kind = FLOAT
        return found
    first = arguments[0] if arguments[0].dtype == asked else cast(arguments[0], asked)
    return call_function(function, (first, *arguments[1:]), rest)
