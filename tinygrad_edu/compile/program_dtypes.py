"""The dtypes of a program: in what it computes, and what NumPy would make of its inputs and results."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.truth import FLOAT
from tinygrad_edu.compile.passes.float_dtypes import SINGLE, common_dtype, float_dtypes, result_dtypes
from tinygrad_edu.compile.program import number_array
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.pytree import tree_leaves


def program_dtype(trace: Trace, given: Sequence[Any]) -> str:
    """float32 where every array of floats is float32, also those closed over and those made of whole numbers."""
    arrays = [*given, *map(number_array, trace.captured.values())]
    return "float64" if trace.in_float64 else common_dtype(arrays, trace.numbers)


def dtypes_of_results(trace: Trace, given: Sequence[Any], outputs: Sequence[Traced]) -> Sequence[Any]:
    """NumPy's dtype of each result, None for the program's own; nothing where all have that one.

    Where float32 meets float64 some are float32; truth values and whole numbers are computed as floats.
    """
    arrays = [*given, *map(number_array, trace.captured.values())]
    dtypes: list[Any] = [None] * len(outputs)
    if trace.mixed or len(float_dtypes(arrays) | trace.numbers) > 1:
        inputs = dict(zip(trace.inputs.values(), arrays, strict=True))
        floats = trace.run(lambda: result_dtypes(outputs, inputs, trace.dtypes))
        dtypes = floats if SINGLE in floats else dtypes
    found = [dtype if y.kind is FLOAT else y.kind for y, dtype in zip(outputs, dtypes, strict=True)]
    return found if any(dtype is not None for dtype in found) else ()


def whole_inputs(trace: Trace, own: Sequence[Traced], arguments: Sequence[Any]) -> dict[Traced, Any]:
    """The inputs that hold whole numbers, and their dtypes; of arguments also those without axes, which are floats."""
    found = {x: x.kind for x in trace.inputs.values() if x.integer}
    for x, argument in zip(own, tree_leaves(tuple(arguments)), strict=True):
        kind: Any = getattr(argument, "dtype", int if isinstance(argument, int) else FLOAT)
        if kind is int or kind.kind in "iu":
            found[x] = kind
    return found
