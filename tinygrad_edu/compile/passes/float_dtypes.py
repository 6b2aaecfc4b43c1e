"""Which results NumPy would give in float32, of a program that has float64 among its arrays and computes in float64.

Eagerly x * 2 of float32 is float32 whatever else the function computes, and a gradient has the dtype of what it is by.
Only where it is certain that NumPy's result is float32 is a result converted; the program has computed it in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced, is_constant, op_name
from tinygrad_edu.compile.ir.stands_for import origin
from tinygrad_edu.compile.ir.truth import FLOAT, TRUTH, dtype_by_numpy, is_comparison
from tinygrad_edu.compile.rounds.body import picked
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.tensor import Tensor

Dtypes = dict[Traced, Any]  # None: a number of Python's, which takes on the dtype of an array beside it
SINGLE, HALF = np.dtype(np.float32), np.dtype(np.float16)
KEEP_WEAK = ("broadcast_to", "reshape", "place")  # what a gradient makes of a number
FIRST_ALONE = ("gather", "entries_along")  # the other operands are indices


def float_dtypes(arrays: Sequence[Any]) -> set[Any]:
    """The dtypes of those that hold floats."""
    return {x.dtype for x in arrays if isinstance(x, np.ndarray) and x.ndim and x.dtype.kind == "f"}


def common_dtype(arrays: Sequence[Any], numbers: Set[Any] = frozenset()) -> str:
    """float32 where every array of floats is float32, and no number of NumPy's (`numbers`) is float64; else float64."""
    return "float32" if float_dtypes(arrays) | numbers == {SINGLE} else "float64"


def dtypes_behind(
    outputs: Sequence[Traced], inputs: Mapping[Traced, Any], noted: Mapping[Traced, Any]
) -> tuple[Dtypes, set[Any]]:
    """NumPy's dtype of each node behind these, and in which dtypes of floats NumPy computes.

    inputs: the dtypes of what goes in; noted: the dtype of a node that has one of its own, by a cast, or the input that
    it is a gradient by.
    """
    known: Dtypes = {x: dtype_of_input(x, dtype) for x, dtype in inputs.items()}
    given = set(known)
    add_dtypes(outputs, known, noted)
    return known, {numpys_floats(x, known) for x in known if x not in given} & {SINGLE, FLOAT, HALF}


def dtype_of_input(x: Traced, dtype: Any) -> Any:
    """That of its array; of a number the one it has by itself, None for Python's."""
    if x.kind is int:
        return None
    return x.kind if x.kind is not FLOAT else x.options.get("dtype") if dtype is None else dtype


def numpys_floats(x: Traced, known: Mapping[Traced, Any]) -> Any:
    """The dtype of floats in which NumPy computes a node; a comparison has that of its operands together."""
    if not (x.kind == TRUTH and is_comparison(x) and x.parents):
        return known[x]
    if x.derived or is_tensor(x.parents):
        return joint_dtype(dtypes_beside_tensors(x, known))
    return joint_dtype([known[p] for p in x.parents])


def add_dtypes(roots: Sequence[Traced], known: Dtypes, noted: Mapping[Traced, Any]) -> None:
    """The dtypes of all nodes behind these. A trace asks at each operation, so what is known is not walked again."""
    for root in roots:
        for x in topological(root, lambda x: [p for p in x.parents if p not in known]):
            if x in known:
                continue
            if op_name(x) == "scan":
                add_dtypes_of_rounds(x, known, noted)
            like = noted.get(x)
            if isinstance(like, Traced):
                add_dtypes([like], known, noted)
                like = known[like]
            known[x] = numpys_dtype(x, known) if like is None else like


def add_dtypes_of_rounds(loop: Traced, known: Dtypes, noted: Mapping[Traced, Any]) -> None:
    """Those inside a loop, whose states may become float64 in the first round."""
    rounds = loop.options["rounds"]
    start = dict(zip(rounds.leaves, [known[p] for p in loop.parents], strict=True))
    for _ in range(len(rounds.states) + 1):
        inner = dict(start)
        add_dtypes(rounds.roots, inner, noted)
        pairs = list(zip(rounds.states, rounds.after, strict=True))
        joined = {x: joint_dtype([inner[x], inner[after]]) for x, after in pairs}
        if all(start[x] == dtype for x, dtype in joined.items()):
            break
        start |= joined
    known |= inner | {after: inner[x] for x, after in pairs}


def numpys_dtype(x: Traced, known: Dtypes) -> Any:
    """NumPy's dtype of a node, from those of its parents."""
    if x.op is None:
        return dtype_of_input(x, None if is_constant(x) or not x.sizes else FLOAT)
    if op_name(x) == "pick":
        return known[picked(x)]
    if x.kind == TRUTH or is_comparison(x):
        return TRUTH
    if x.kind is not FLOAT:
        return None if x.kind is int or is_pythons(x, [known[p] for p in x.parents]) else x.kind
    floats = dtypes_beside_tensors(x, known) if x.derived or is_tensor([x]) else []
    if floats or x.derived is True:  # the constants of a derivative have no dtype of their own
        return joint_dtype(floats)
    if is_tensor([x]):
        return FLOAT
    if isinstance(x.op, Operation):
        return dtype_of_elementwise(x, [known[p] for p in x.parents])
    found = joint_dtype([known[p] for p in (x.parents[:1] if op_name(x) in FIRST_ALONE else x.parents)])
    return found if found is not None or op_name(x) in KEEP_WEAK else FLOAT


def is_tensor(nodes: Sequence[Traced]) -> bool:
    """Is there a Tensor among them without jit?"""
    return any(issubclass(origin(x), Tensor) for x in nodes)


def dtypes_beside_tensors(x: Traced, known: Mapping[Traced, Any]) -> Sequence[Any]:
    """Tensors take numbers and whole numbers in their own dtype, as PyTorch does: only floats with axes count.

    vmap and derivatives compute with Tensors.
    """
    floats = [p for p in x.parents if known[p] in (SINGLE, FLOAT)]
    return [known[p] for p in floats if p.sizes or (p.derived and p.op is not None) or is_tensor([p])]


def dtype_of_elementwise(x: Traced, dtypes: Sequence[Any]) -> Any:
    """What NumPy's function gives; None for what Python computes of its own numbers."""
    if op_name(x) == "pos":
        return dtypes[0]
    if is_pythons(x, dtypes):
        return None
    if all(dtype is None for dtype in dtypes):
        return FLOAT
    kinds = [(int if p.kind is int else float) if d is None else d for p, d in zip(x.parents, dtypes, strict=True)]
    found = dtype_by_numpy(x.op, *kinds)
    return joint_dtype([d for d in dtypes if d in (SINGLE, FLOAT)] or [FLOAT]) if found is None else found


def is_pythons(x: Traced, dtypes: Sequence[Any]) -> bool:
    """Does Python compute it, of its own numbers?"""
    if not isinstance(x.op, Operation) or any(dtype is not None for dtype in dtypes):
        return False
    return issubclass(origin(x), float) or all(map(is_constant, x.parents))


def joint_dtype(dtypes: Sequence[Any]) -> Any:
    """The dtype of arrays together; None of numbers alone."""
    arrays = [dtype for dtype in dtypes if dtype is not None]
    return np.result_type(*arrays) if arrays else None
