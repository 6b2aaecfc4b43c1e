"""Casts between float32 and float64 inside a function.

A program computes in one dtype of floats. In one of float64 a cast to float32 rounds the numbers, and what follows is
computed in float64: closer to the real numbers than NumPy's float32 is.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.codegen.formulas import literal
from tinygrad_edu.compile.ir.constants import value_of
from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.compile.ir.stands_for import origin
from tinygrad_edu.compile.ir.truth import FLOAT
from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import Dtype, Node, Option
from tinygrad_edu.core.numpy_protocol.dispatch import call_function
from tinygrad_edu.core.operation import EVERYWHERE, Operation
from tinygrad_edu.core.tensor import Tensor

# NumPy's functions that with dtype= first cast their operand
CASTING = frozenset({
    np.sum, np.mean, np.prod, np.cumsum, np.cumprod, np.var, np.std, np.nansum, np.nanmean, np.nanprod, np.trace,
})  # fmt: skip


# NumPy's functions that make an array of each operand first, so that Python's 2.0 beside float32 is float64
OF_ARRAYS = frozenset({np.dot, np.inner, np.outer, np.kron, np.append, np.vdot})
IN_DOUBLE = frozenset({np.cov, np.corrcoef})  # and those that compute in float64 whatever they are given


def as_numpy_takes(function: Option, arguments: Sequence[Any]) -> Sequence[Any]:
    """The operands in the dtypes in which this function of NumPy's computes."""
    if function in OF_ARRAYS:
        own = {float: np.float64, int: np.int64}
        return [own[type(x)](x) if type(x) in own else x for x in arguments]
    if function in IN_DOUBLE and not any(issubclass(origin(x), Tensor) for x in arguments if hasattr(x, "sizes")):
        return [cast(x, np.float64) if hasattr(x, "sizes") and x.kind is FLOAT else x for x in arguments]
    return arguments


def to_float32(x: float) -> float:
    """The nearest float32, as a number of the program's own dtype."""
    return float(np.float32(x))


# Not in the table: users write x.astype("float32"). The gradient goes through unchanged.
ROUNDED = Operation(to_float32, lambda _y, _x: (1.0,), EVERYWHERE, "float32", "")


def cast(x: Node, dtype: Dtype) -> Any:
    """x in another dtype of floats; outside of a trace the same numbers as floats."""
    return ACTIVE.traces[-1].cast(x, np.dtype(dtype)) if ACTIVE.traces else ops.mul(x, 1.0)


def round_beside_singles(operands: tuple[Any, ...]) -> tuple[Any, ...]:
    """The operands, Python's numbers as float32 where they meet that alone: x == 0.1 is true of np.float32(0.1).

    It matters in a program of float64, of which that is a part.
    """
    if not (ACTIVE.traces and ACTIVE.traces[-1].mixed):
        return operands
    weak = [x.op is None and not x.sizes and x.kind is FLOAT for x in operands]
    if not any(weak) or all(weak):
        return operands
    dtypes = [ACTIVE.traces[-1].numpys_dtype_of(x) for x in operands]
    if np.result_type(*[d for d in dtypes if d is not None] or [np.float64]) != np.float32:
        return operands
    return tuple([single(x) if own and d is None else x for x, own, d in zip(operands, weak, dtypes, strict=True)])


def single(x: Node) -> Any:
    """A number as float32."""
    value = value_of(x)
    if value is not None:
        return type(x)((), name=literal(to_float32(value)), kind=x.kind)
    found = ROUNDED(x)
    ACTIVE.traces[-1].dtypes[found] = np.dtype(np.float32)
    return found


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
