"""Whole numbers that a program computes: those that floats cannot stand for are counted, and the call is refused.

NumPy wraps 2**40 * 2**40 of int64 round to 0 and keeps the last digit of 3**34; a program computes with floats, which
do neither. Rounding is harmless in a result of floats, and not in a remainder or a difference. Which numbers leave the
range is not known before a call, so the program has one more result: their count.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.truth import (
    ADDS,
    ARITHMETIC,
    FLOAT,
    MOVES,
    REMAINDERS,
    TRUTH,
    Kind,
    as_float,
    is_comparison,
    is_integer_kind,
    kind_of_arrays,
)
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.whole_numbers import is_narrow
from tinygrad_edu.errors import DtypeError

COUNT = "inexact"  # the name of that result
EXACT = {"float64": 2**53, "float32": 2**24}  # all integers up to here are exact in this dtype
CHOICES = {"where", "maximum", "minimum", *REMAINDERS, *MOVES}  # no larger than their operands
# of single numbers, whose nodes have the kind of floats
KEEP_WHOLE = {"pos", "pow", "square", "neg", "abs", *CHOICES, *ARITHMETIC} - {"div"}


def count_inexact(results: Sequence[Traced], given: Mapping[Traced, Kind], dtype: str) -> Traced | None:
    """How many whole numbers that the results are computed from are not exact; None if there are none to look at.

    `given`: the inputs that hold whole numbers, with the kind of each.
    """
    kinds, order = dict(given), list[Traced]()
    for x in joint_order(results) if given else ():
        kind = None if x in kinds else kind_of(x, kinds)
        order += [x] * (x in kinds or kind is not None or is_comparison(x))
        if kind is not None:
            kinds[x] = kind
    read, total = read_exactly(order, kinds), None
    for x in order:
        limit = 0 if x not in kinds or op_name(x) in CHOICES else most(x, kinds, read, dtype)
        if limit and not (x.op is None and x.sizes):  # arrays that are inputs are looked at before the call
            size = as_float(x)
            if wraps(x, kinds[x]) and kinds[x].kind == "u":
                size = ops.where(ops.less(size, 0.0), math.inf, size)
            inexact = ops.equal(ops.less_equal(ops.abs(size), float(limit)), 0.0)  # NaN counts
            count = broadcasting.sum(inexact * 1.0)
            total = count if total is None else total + count
    return total


def joint_order(results: Sequence[Traced]) -> Iterable[Traced]:
    """The nodes behind several results, parents first."""
    return dict.fromkeys(x for root in results for x in topological(root, lambda x: x.parents))


def kind_of(x: Traced, kinds: Mapping[Traced, Kind]) -> Kind:
    """The dtype in which NumPy computes a node from whole numbers; None where it does not."""
    if x.kind is not FLOAT:
        return x.kind if x.op is not None and is_integer_kind(x.kind) else None
    if not any(p in kinds for p in x.parents):
        return None
    operands = x.parents[1:] if x.op.name == "where" else x.parents
    found = [p.kind if is_integer_kind(p.kind) or p.kind == TRUTH else kinds.get(p) for p in operands]
    if None in found or not (x.op.name in KEEP_WHOLE or x.op.name in ADDS or x.op.name == "matmul"):
        return None
    if not isinstance(x.op, Operation):
        return kind_of_arrays(x.op.name, found)
    typed = [kind for kind in found if kind is not int]
    return np.result_type(*typed) if typed else int


def read_exactly(order: Sequence[Any], kinds: Mapping[Any, Kind]) -> set[Any]:
    """The whole numbers whose last digit counts: of a remainder, a comparison, a difference."""
    found = set[Any]()
    for x in reversed(order):
        name = op_name(x)
        exact = name in REMAINDERS or is_comparison(x) or (name == "sub" and kinds[x] is not int)
        if exact or x in found:
            found.update(p for p in x.parents if p in kinds)
    return found


def most(x: Traced, kinds: Mapping[Traced, Kind], read: set[Traced], dtype: str) -> int:
    """The largest number that may stand at a node; 0 if any may."""
    kind = kinds[x]
    limit = int(np.iinfo(kind).max) if wraps(x, kind) else 0
    if x in read or (kind is not int and (dtype == "float64" or is_narrow(kind))):
        return min(limit or EXACT[dtype], EXACT[dtype])
    return limit


def wraps(x: Traced, kind: Kind) -> bool:
    """Does NumPy wrap it round, and the program not yet? It does so itself with narrow dtypes."""
    return kind is not int and not (is_narrow(kind) and x.kind is not FLOAT)


def refuse_computed(count: float, dtype: str) -> None:
    """Errors: DtypeError if the program has counted such numbers."""
    if count != 0.0:
        raise DtypeError(
            f"the function computes {count:.0f} whole numbers that are too large: NumPy wraps those beyond their dtype "
            f"round, and {dtype}, with which a compiled function computes, holds whole numbers only up to "
            f"{EXACT[dtype]:,}. Write n.astype(float), n * 1.0 of a number, or call the function without jit"
        )
