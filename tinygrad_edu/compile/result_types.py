"""The results of a compiled call have the classes of those of the function itself.

They are Tensors where it gives Tensors: of Tensors, closed over or given. Under `no_grad`, or if none of them requires
a gradient, they belong to no graph; loss(x).item() works all the same. Single numbers are ints, NumPy's numbers or
arrays without axes where its own are, as its run beside the first call shows; np.float64 is Python's float.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from tinygrad_edu.compile.call import Call
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.ir.stands_for import origin
from tinygrad_edu.compile.ir.truth import FLOAT, is_comparison, is_truth
from tinygrad_edu.compile.kept_results import put_each
from tinygrad_edu.compile.number_classes import class_of, in_class
from tinygrad_edu.compile.passes.exact_range import refuse_rounded
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import ArrayLike, Dtype
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.pytree import tree_leaves, with_leaves
from tinygrad_edu.core.tensor import Tensor

NESTINGS = frozenset([list, tuple, dict])


def with_classes(call: Call, found: Any, arguments: Sequence[Any]) -> Any:
    """The plain results in the classes of the function's own: Tensors where they are computed from Tensors."""
    wanted, program = result_classes(call, arguments), call.program
    if not any(wanted):
        return found
    dtypes = [dtype or program.dtype for dtype in program.result_dtypes] or [program.dtype] * len(wanted)
    if isinstance(program.trace.results, Traced):
        return tensor_or_number(found, wanted[0], dtypes[0])
    each = zip(tree_leaves(found), wanted, dtypes, strict=True)
    return with_leaves(found, [tensor_or_number(y, kind, dtype) for y, kind, dtype in each])


def result_classes(call: Call, arguments: Sequence[Any]) -> Sequence[Any]:
    """For each result: Tensor, the class of a number, the dtype of an array without axes, or None: as it is computed.

    As noted at the first call with arguments of these classes. Where f itself was not run beside it, as it takes long:
    Tensor for what is computed from Tensors, and int or bool for what comes of Python's numbers alone.
    """
    kinds, known = classes_of(arguments), call.program.classes
    if kinds not in known:
        given, results = [i for i, kind in enumerate(kinds) if kind is Tensor], tree_leaves(call.program.trace.results)
        made = made_of_tensors(call.program.trace, given, leaves := list(results))
        known[kinds] = [Tensor if own else python_class(y) for y, own in zip(leaves, made, strict=True)]
    return known[kinds]


def python_class(y: Traced) -> type | None:
    """int or bool for a whole number or truth value that Python's operators make of Python's numbers."""
    if y.sizes or y.kind is FLOAT or origin(y) is not float:
        return None
    return bool if is_truth(y) else int


def classes_of(arguments: Sequence[Any]) -> Sequence[type]:
    kinds: Sequence[type] = tuple(map(type, arguments))
    return kinds if NESTINGS.isdisjoint(kinds) else tuple(map(type, tree_leaves(tuple(arguments))))


def note_classes(call: Call, arguments: Sequence[Any], results: Any) -> None:
    """From now on results for arguments of these classes have the classes of those of the function itself.

    Where a gradient may flow on, what is computed from Tensors stays one: f's own plain numbers would lose it.
    """
    trace, leaves = call.program.trace, list(tree_leaves(results))
    if trace.frame is not None and len(leaves) == len(trace.frame.holes):
        leaves = [y for y, computed in zip(leaves, trace.frame.holes, strict=True) if computed]
    if not call.outer_tensors() and len(leaves) == len(list(tree_leaves(trace.results))):
        call.program.classes[classes_of(arguments)] = list(map(class_of, leaves))


def single_class(call: Call, arguments: Sequence[Any]) -> Callable[[float], Any] | None:
    """What makes the single float that a program gives one of the function's own class; None for Python's float."""
    kind = next(iter(result_classes(call, arguments)), None)
    if isinstance(kind, np.dtype):
        return partial(np.asarray, dtype=kind)
    return kind or (np.float32 if call.program.result_dtypes else None)


def belongs_to_graph(call: Call, arguments: Sequence[Any]) -> bool:
    """Does a result depend on a Tensor, and is it of floats? One that does not is a plain number or array."""
    return gives_floats(call.program.result_dtypes) and Tensor in result_classes(call, arguments)


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


def tensor_or_number(y: Any, kind: Any, dtype: Dtype) -> Any:
    """A result as a Tensor of that dtype, or as a number of that class."""
    return tensor_of(y, dtype) if kind is Tensor else in_class(y, kind)


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
