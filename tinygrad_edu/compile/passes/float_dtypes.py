"""Which results NumPy would give in float32, of a program that has float64 among its arrays and computes in float64.

Eagerly x * 2 of float32 is float32 whatever else the function computes, and a gradient has the dtype of what it is by.
Only where it is certain that NumPy's result is float32 is a result converted; the program has computed it in float64.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced, is_constant, op_name
from tinygrad_edu.compile.ir.truth import FLOAT, TRUTH, is_comparison
from tinygrad_edu.compile.rounds.body import picked
from tinygrad_edu.core.graph import topological

Dtypes = dict[Traced, Any]  # None: a number of Python's, which takes on the dtype of an array beside it
SINGLE = np.dtype(np.float32)
FIRST_ALONE = ("gather", "entries_along")  # the other operands are indices


def float_dtypes(arrays: Sequence[Any]) -> set[Any]:
    """The dtypes of those that hold floats."""
    return {x.dtype for x in arrays if isinstance(x, np.ndarray) and x.ndim and x.dtype.kind == "f"}


def common_dtype(arrays: Sequence[Any], numbers: Set[Any] = frozenset()) -> str:
    """float32 where every array of floats is float32, and no number of NumPy's (`numbers`) is float64; else float64."""
    return "float32" if float_dtypes(arrays) | numbers == {SINGLE} else "float64"


def result_dtypes(outputs: Sequence[Traced], inputs: Mapping[Traced, Any], noted: Mapping[Traced, Any]) -> list[Any]:
    """NumPy's dtype for each result that is an array: float32, or float64 where that is not certain.

    inputs: the arrays and numbers that go in; noted: the dtype of a node that has one of its own, by a cast, or the
    input that it is a gradient by.
    """
    known: Dtypes = {x: array.dtype if np.ndim(array) else x.options.get("dtype") for x, array in inputs.items()}
    add_dtypes(outputs, known, noted)
    return [SINGLE if known[y] == SINGLE else FLOAT for y in outputs]


def add_dtypes(roots: Sequence[Traced], known: Dtypes, noted: Mapping[Traced, Any]) -> None:
    """The dtypes of all nodes behind these."""
    for root in roots:
        for x in topological(root, lambda x: x.parents):
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
        return x.options.get("dtype", None if is_constant(x) or not x.sizes else FLOAT)
    if op_name(x) == "pick":
        return known[picked(x)]
    if x.kind == TRUTH or is_comparison(x):
        return TRUTH
    if x.kind is not FLOAT:
        return FLOAT if x.kind is int else x.kind
    parents = x.parents[:1] if op_name(x) in FIRST_ALONE else x.parents[op_name(x) == "where" :]
    if x.sizes and not any(p.sizes for p in parents):
        return FLOAT  # made of a number; with which dtype it does not tell
    found = joint_dtype([known[p] for p in parents])
    return found if found is None or found == SINGLE else FLOAT


def joint_dtype(dtypes: Sequence[Any]) -> Any:
    """The dtype of arrays together; None of numbers alone."""
    arrays = [dtype for dtype in dtypes if dtype is not None]
    return np.result_type(*arrays) if arrays else None
