"""Whole numbers that a program computes: those that floats cannot stand for are counted, and the call is refused.

NumPy wraps 2**40 * 2**40 of int64 round to 0 and keeps the last digit of 3**34; a program computes with floats, which
do neither. Rounding is harmless in a result of floats, and not in a remainder or a difference. Which numbers leave the
range is not known before a call, so the program has one more result: their count.
"""

from __future__ import annotations

import math
from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.constants import value_of
from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.compile.ir.indexing import reshape_node
from tinygrad_edu.compile.ir.node import Traced, is_constant, op_name
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
from tinygrad_edu.compile.rounds.body import pick, picked
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.formulas.whole_numbers import is_narrow
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.errors import DtypeError

COUNT = "inexact"  # the name of that result
EXACT = {"float64": 2**53, "float32": 2**24}  # all integers up to here are exact in this dtype
CHOICES = {"where", "maximum", "minimum", "pick", *REMAINDERS, *MOVES}  # no larger than their operands
KEEP_DIGITS = {"mul", "div", "sum", "pos"}  # as many in float32 as it has
# of single numbers, whose nodes have the kind of floats
KEEP_WHOLE = {"pos", "pow", "square", "neg", "abs", *CHOICES, *ARITHMETIC} - {"div"}


def count_inexact(
    results: Sequence[Traced], given: Mapping[Traced, Kind], dtype: str, unseen: Container[Traced] = ()
) -> Traced | None:
    """How many whole numbers that the results are computed from are not exact; None if there are none to look at.

    `given`: the inputs that hold whole numbers, with the kind of each; `unseen`: the arrays among them that nobody
    looks at before the call.
    """
    if not (given or ACTIVE.traces[-1].leaves):  # a loop may begin with a whole number of the function's own
        return None
    found = whole_numbers_of(results, given)
    return count_of(found, read_exactly(found), dtype, unseen)


@dataclass
class WholeNumbers:
    """Whole numbers in a graph: the nodes to look at, parents first, their dtypes, and those in each of its loops."""

    order: list[Any]
    kinds: dict[Any, Kind]
    loops: dict[Any, WholeNumbers]


def whole_numbers_of(results: Sequence[Traced], given: Mapping[Traced, Kind]) -> WholeNumbers:
    """The whole numbers that the results are computed from."""
    found = WholeNumbers([], dict(given), {})
    kinds = found.kinds
    for x in joint_order(results):
        if op_name(x) == "scan":
            found.loops[x] = whole_numbers_of_rounds(x, kinds)
        kind = None if x in kinds else kind_of(x, kinds, found.loops)
        found.order += [x] * (x in kinds or x in found.loops or kind is not None or is_comparison(x))
        if kind is not None:
            kinds[x] = kind
    return found


def whole_numbers_of_rounds(loop: Traced, kinds: Mapping[Traced, Kind]) -> WholeNumbers:
    """Those of each round. A state that begins as a whole number counts as one: the first round computes with it."""
    rounds, given = loop.options["rounds"], dict[Traced, Kind]()
    for x, outside in zip(rounds.leaves, loop.parents, strict=True):
        whole = [each.kind for each in (x, outside) if is_integer_kind(each.kind)]
        if whole or outside in kinds:
            given[x] = whole[0] if whole else kinds[outside]
    return whole_numbers_of(rounds.roots, given)


def computes_in_float64(results: Sequence[Traced], given: Mapping[Traced, Kind]) -> bool:
    """Does NumPy compute with fractions of whole numbers of 32 bits and more, as in i / 3 - 5e6 or sin(i)?

    Those are float64 whatever the other arrays are, and a difference of them has few digits left in float32. A quotient
    times an array of float32 keeps them all.
    """
    return bool(given) and fractions_go_on(whole_numbers_of(results, given), results, set())


def fractions_go_on(whole: WholeNumbers, results: Sequence[Traced], fractions: set[Traced]) -> bool:
    """`fractions`: those known from outside of a loop."""
    wide = {x for x, kind in whole.kinds.items() if x.sizes and kind is not int and not is_narrow(kind)}
    for x in joint_order(results):
        if x in whole.loops:
            pairs = zip(x.options["rounds"].leaves, x.parents, strict=True)
            inner = {leaf for leaf, outside in pairs if outside in fractions}
            if fractions_go_on(whole.loops[x], x.options["rounds"].roots, inner):
                return True
        known = [p for p in x.parents if p in fractions or p in wide]
        others = [
            p for p in x.parents if p not in fractions and p not in whole.kinds and p.sizes and not is_constant(p)
        ]
        if not known or others or x.kind is not FLOAT or x in whole.kinds or x in whole.loops:
            continue
        if op_name(x) not in MOVES and (op_name(x) not in KEEP_DIGITS or any(p in fractions for p in known)):
            return True
        fractions.add(x)
    return False


def count_of(
    found: WholeNumbers,
    read: Mapping[Any, set[Any]],
    dtype: str,
    unseen: Container[Traced] = (),
    loop: Traced | None = None,
) -> Traced | None:
    """Their count; `read`: those whose last digit counts, in each loop. A loop gives the count of each round."""
    total: Traced | None = None
    for x in found.order:
        if x in found.loops:
            count = count_of(found.loops[x], read, dtype, loop=x)
            count = None if count is None else broadcasting.sum(each_round(x, count))
        elif x.op is not None or x in unseen or not (x.sizes or loop is not None):
            # single numbers are float64, but not as the states of a loop
            count = count_of_node(x, found.kinds, read[loop], dtype if x.sizes or loop is not None else "float64")
        else:  # an input, seen outside of the loop or before the call
            count = None
        if count is not None:
            total = count if total is None else total + count
    return total


def each_round(loop: Traced, x: Traced) -> Traced:
    """A number of a round as one more result of its loop."""
    outputs = loop.options["rounds"].outputs
    outputs.append(reshape_node(x, (1,)))
    return pick(loop, ("ys", len(outputs) - 1))


def count_of_node(x: Traced, kinds: Mapping[Traced, Kind], read: set[Traced], dtype: str) -> Traced | None:
    """How many numbers of a node are not exact; None if all may be as they are."""
    limit = 0 if x not in kinds or op_name(x) in CHOICES else most(x, kinds, read, dtype)
    if x.op is None and x.sizes:
        limit = EXACT[dtype]
    below: Traced | None = below_zero(x, kinds)
    if not limit:
        return below
    size = as_float(x)
    if wraps(x, kinds[x]) and kinds[x].kind == "u":
        size = ops.where(ops.less(size, 0.0), math.inf, size)
    inexact = ops.equal(ops.less_equal(ops.abs(size), float(limit)), 0.0)  # NaN counts
    count: Traced = broadcasting.sum(inexact * 1.0)
    return count if below is None else count + below


def below_zero(x: Traced, kinds: Mapping[Traced, Kind]) -> Any:
    """How many exponents of whole numbers are below 0, which NumPy refuses; None where none can be."""
    if op_name(x) != "pow" or kinds.get(x, int) is int or value_of(x.parents[1]) is not None:
        return None
    return broadcasting.sum(ops.less(as_float(x.parents[1]), 0.0) * 1.0)


def joint_order(results: Sequence[Traced]) -> Iterable[Traced]:
    """The nodes behind several results, parents first."""
    return dict.fromkeys(x for root in results for x in topological(root, lambda x: x.parents))


def kind_of(x: Traced, kinds: Mapping[Traced, Kind], loops: Mapping[Traced, WholeNumbers]) -> Kind:
    """The dtype in which NumPy computes a node from whole numbers; None where it does not."""
    if x.kind is not FLOAT:
        return x.kind if x.op is not None and is_integer_kind(x.kind) else None
    if op_name(x) == "pick":
        return loops[x.parents[0]].kinds.get(picked(x))
    if not any(p in kinds for p in x.parents):
        return None
    operands = x.parents[1:] if x.op.name == "where" else x.parents
    found = [p.kind if is_integer_kind(p.kind) or p.kind == TRUTH else kinds.get(p) for p in operands]
    if None in found or not (x.op.name in KEEP_WHOLE or x.op.name in ADDS or x.op.name == "matmul"):
        return None
    typed = [kind for kind in found if kind is not int]
    joint = np.result_type(*typed) if typed else int
    kind = joint if isinstance(x.op, Operation) else kind_of_arrays(x.op.name, found)
    return kind if is_integer_kind(kind) or kind == TRUTH else None  # of int64 and uint64 NumPy makes float64


def read_exactly(whole: WholeNumbers, roots: Iterable[Any] = ()) -> dict[Any, set[Any]]:
    """The whole numbers whose last digit counts, of a remainder, a comparison, a difference: here (None), in each loop.

    `roots`: those of which it is known.
    """
    found, kinds, inner = set(roots), whole.kinds, dict[Any, set[Any]]()
    for x in reversed(whole.order):
        if x in whole.loops:
            wanted = [picked(y) for y in found if op_name(y) == "pick" and y.parents[0] is x]
            read = read_in_rounds(x, whole.loops[x], wanted)
            inner |= {**read, x: read[None]}
            found.update(p for leaf, p in zip(x.options["rounds"].leaves, x.parents, strict=True) if leaf in read[None])
        elif x in found or reads_exactly(x, kinds):
            found.update(p for p in x.parents if p in kinds)
    return {**inner, None: found}


def reads_exactly(x: Traced, kinds: Mapping[Traced, Kind]) -> bool:
    """Does the last digit of its operands count?"""
    name = op_name(x)
    return name in REMAINDERS or is_comparison(x) or (name == "sub" and kinds[x] is not int)


def read_in_rounds(loop: Traced, whole: WholeNumbers, wanted: Iterable[Traced]) -> dict[Any, set[Any]]:
    """`read_exactly` of a round: what one reads of its state, the round before has to leave exactly."""
    rounds, roots = loop.options["rounds"], set(wanted)
    while True:
        read = read_exactly(whole, roots)
        more = {after for x, after in zip(rounds.states, rounds.after, strict=True) if x in read[None]} - roots
        if not more:
            return read
        roots |= more


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


def refuse_rounded(y: Any) -> None:
    """Errors: DtypeError if y, floats that stand for whole numbers, cannot tell these apart."""
    dtype = "float32" if getattr(y, "dtype", None) == np.float32 else "float64"
    refuse_computed(float(np.count_nonzero(np.abs(y) > EXACT[dtype])), dtype)


def refuse_computed(count: float, dtype: str) -> None:
    """Errors: DtypeError if the program has counted such numbers."""
    if count != 0.0:
        raise DtypeError(
            f"the function computes {count:.0f} whole numbers that are too large, or powers below 0: NumPy wraps those "
            f"beyond their dtype round and refuses 2 ** -1, and {dtype}, with which a compiled function computes, "
            f"holds whole numbers only up to {EXACT[dtype]:,}. Write n.astype(float), n * 1.0 of a number, or call "
            "the function without jit"
        )
