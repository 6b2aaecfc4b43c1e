"""The results of a compiled call are Tensors where the function itself gives Tensors: of Tensors, closed over or given.

Under `no_grad`, or if none of them requires a gradient, they belong to no graph; loss(x).item() works all the same.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.call import Call
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.truth import FLOAT, is_comparison
from tinygrad_edu.compile.kept_results import put_each
from tinygrad_edu.compile.passes.exact_range import refuse_rounded
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.pytree import tree_leaves, with_leaves
from tinygrad_edu.core.tensor import Tensor

NESTINGS = frozenset([list, tuple, dict])


def with_tensors(call: Call, found: Any, arguments: Sequence[Any]) -> Any:
    """The plain results, as Tensors where they are computed from Tensors, closed over or given."""
    wanted, program = from_tensors(call, arguments), call.program
    if not any(wanted):
        return found
    dtypes = [dtype or program.dtype for dtype in program.result_dtypes] or [program.dtype] * len(wanted)
    if isinstance(program.trace.results, Traced):
        return tensor_of(found, dtypes[0])
    each = zip(tree_leaves(found), wanted, dtypes, strict=True)
    return with_leaves(found, [tensor_of(y, dtype) if own else y for y, own, dtype in each])


def from_tensors(call: Call, arguments: Sequence[Any]) -> Sequence[bool]:
    """For each result: is it computed from a Tensor? Worked out once for arguments of these classes."""
    kinds = classes_of(arguments)
    if not call.tensors and Tensor not in kinds:
        return ()
    known = call.program.of_tensors
    if kinds not in known:
        given, results = (
            [i for i, kind in enumerate(kinds) if kind is Tensor],
            list(tree_leaves(call.program.trace.results)),
        )
        known[kinds] = made_of_tensors(call.program.trace, given, results)
    return known[kinds]


def classes_of(arguments: Sequence[Any]) -> Sequence[type]:
    kinds: Sequence[type] = tuple(map(type, arguments))
    return kinds if NESTINGS.isdisjoint(kinds) else tuple(map(type, tree_leaves(tuple(arguments))))


def note_tensors(call: Call, arguments: Sequence[Any], results: Any) -> None:
    """From now on results for arguments of these classes are Tensors where those of the function itself are.

    Where a gradient may flow on, what is computed from Tensors stays one: f's own plain numbers would lose it.
    """
    found = [isinstance(y, Tensor) for y in tree_leaves(results)]
    if not call.outer_tensors() and len(found) == len(list(tree_leaves(call.program.trace.results))):
        call.program.of_tensors[classes_of(arguments)] = found


def belongs_to_graph(call: Call, arguments: Sequence[Any]) -> bool:
    """Does a result depend on a Tensor, and is it of floats? One that does not is a plain number or array."""
    return gives_floats(call.program.result_dtypes) and any(from_tensors(call, arguments))


def gives_floats(dtypes: Sequence[Any]) -> bool:
    """Are there floats among results of these dtypes, which may have a gradient?"""
    return not dtypes or any(dtype is None or (dtype is not int and dtype.kind == "f") for dtype in dtypes)


def in_dtype(y: ArrayLike, dtype: Dtype | None) -> Any:
    """A result in NumPy's dtype; `int` is that of Python's whole numbers, None that of the program.

    Errors: DtypeError for whole numbers that the program's floats have rounded.
    """
    if dtype is None:
        return y
    if dtype is int or dtype.kind in "iu":
        refuse_rounded(y)
    if isinstance(y, np.ndarray):
        return y.astype(np.int64 if dtype is int else dtype, copy=False)
    return int(y) if dtype is int else dtype.type(y)


def split_dtypes(dtypes: Sequence[Any], count: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Those of the first results and of the others, nothing where all have the program's own."""
    parts = dtypes[:count], dtypes[count:]
    first, others = [part if any(dtype is not None for dtype in part) else () for part in parts]
    return first, others


def tensor_of(y: Any, dtype: Dtype) -> Tensor:
    return y if isinstance(y, Tensor) else Tensor(y if isinstance(y, np.ndarray) else np.asarray(y, dtype))


def keep_numbers(call: Call, by_name: Mapping[str, Any], arguments: Sequence[Any]) -> None:
    """Put what the function keeps in Python where it keeps it, as NumPy's numbers or Tensors."""
    trace = call.program.trace
    if trace.kept:
        kinds = classes_of(arguments)
        of_tensors = made_of_tensors(trace, [i for i, kind in enumerate(kinds) if kind is Tensor], trace.left)
        dtypes = trace.kept_dtypes or [None] * len(trace.left)
        found = [in_dtype(by_name[f"kept{i}"], dtype) for i, dtype in enumerate(dtypes)]
        each = zip(found, dtypes, of_tensors, strict=True)
        put_each(trace.kept, [tensor_of(y, dtype or call.program.dtype) if own else y for y, dtype, own in each])


def made_of_tensors(trace: Trace, given: Sequence[int], results: Sequence[Traced]) -> list[bool]:
    """For each result: is it computed from a Tensor? A comparison of Tensors gives plain truth values."""
    inputs = list(trace.inputs.values())
    found = {trace.inputs[name] for name, x in trace.captured.items() if isinstance(x, Tensor)}
    found |= {inputs[i] for i in given}
    for y in results:
        for x in topological(y, lambda x: x.parents):
            if not found.isdisjoint(x.parents) and x.kind is FLOAT and not is_comparison(x):
                found.add(x)
    return [y in found for y in results]
