"""The dtypes of a program: in what it computes, and what NumPy would make of its inputs and results."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tinygrad_edu.compile.call import CAREFUL
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.stands_for import origin
from tinygrad_edu.compile.ir.truth import FLOAT
from tinygrad_edu.compile.passes.float_dtypes import HALF, SINGLE, common_dtype, dtypes_behind, float_dtypes
from tinygrad_edu.compile.program import number_array
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.errors import TraceError


def program_dtype(trace: Trace, given: Sequence[Any]) -> str:
    """float32 where every array of floats is float32, also those closed over and those made of whole numbers."""
    arrays = [*given, *map(number_array, trace.captured.values())]
    return "float64" if trace.in_float64 else common_dtype(arrays, trace.numbers)


def settle_dtypes(trace: Trace, given: Sequence[Any], outputs: Sequence[Traced], by: str) -> Sequence[Any]:
    """NumPy's dtype of each result, None for the program's own, nothing where all have that one; and the program's.

    A number of NumPy's in float64 makes float64 of the float32 beside it, and so do whole numbers of 32 bits and more.
    Not of a Tensor, nor where the program is for gradients, which come from Tensors without jit.
    """
    captured = [(trace.of_inputs[trace.inputs[name]], number_array(x)) for name, x in trace.captured.items()]
    arrays = [*given, *(x for dtype, x in captured if dtype is None or dtype == x.dtype)]  # not a transform's 0s
    known, floats = trace.run(lambda: dtypes_behind(outputs, trace.of_inputs, trace.dtypes))
    if not by.removesuffix(CAREFUL):
        refuse_half(outputs, known)
        trace.in_float64 |= FLOAT in floats
    double = program_dtype(trace, given) == "float64"
    trace.meets_double = double and SINGLE in floats | float_dtypes(arrays)
    dtypes = trace.run(lambda: [single_or_own(y, known[y], double) if y.kind is FLOAT else y.kind for y in outputs])
    return dtypes if any(dtype is not None for dtype in dtypes) else ()


def single_or_own(y: Traced, dtype: Any, double: bool) -> Any:
    """float32 of a result that the program has in float64, as it has all single numbers; None for its own dtype.

    The value beside a gradient is a number of Python's.
    """
    if dtype != SINGLE or not (double or not y.sizes):
        return None
    return SINGLE if y.sizes or not issubclass(origin(y), float) else None


def refuse_half(outputs: Sequence[Traced], known: Mapping[Traced, Any]) -> None:
    """Errors: TraceError for roots and the like of truth values or 8 bits, which are float16 in NumPy."""
    for x in dict.fromkeys(x for y in outputs for x in topological(y, lambda x: x.parents)):
        if known.get(x) == HALF:
            made = f"{op_name(x)} of truth values or whole numbers of 8 bits" if x.op is not None else "an array here"
            raise TraceError(
                f"{made} is float16 in NumPy, with 3 digits, and is not compiled: write x.astype(float) or "
                "x.astype(np.float32) first"
            )


def whole_inputs(trace: Trace, own: Sequence[Traced], arguments: Sequence[Any]) -> dict[Traced, Any]:
    """The inputs that hold whole numbers, and their dtypes; of arguments also those without axes, which are floats."""
    found = {x: x.kind for x in trace.inputs.values() if x.integer}
    for x, argument in zip(own, tree_leaves(tuple(arguments)), strict=True):
        kind: Any = getattr(argument, "dtype", int if isinstance(argument, int) else FLOAT)
        if kind is int or kind.kind in "iu":
            found[x] = kind
    return found
