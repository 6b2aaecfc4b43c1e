"""The order of a tape's rows: nodes that do the same to other operands stand side by side, and go through one loop.

A loss over 100 samples holds the same expression 100 times. Nodes are *alike* if they have the same operation and
operands that are alike; all constants are alike, and an argument is like nothing else. Nodes that are alike get rows
that follow one another, in the order of the samples, and so do their operands, unless they share one: `w · x` of all
samples is one row of w and a run of x. Such a run is computed in vectors, and which operation it has is asked once.

Every node is computed as before. Only the shares of its gradient that a common operand gets are added up in another
order.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
Run = tuple[int, ...]
LEAST = 16  # rows of a run; below, the overhead of a loop exceeds its gain
FEWEST = 4000  # rows in all runs; below, nothing is gained, as the loops take a second to compile
WORTH = 0.5  # share of all nodes in runs; below, the order of the trace is faster, because results are used at once
NARROW, WIDE = 0, 1  # row by row, or in vectors
SHARED, ALONG, UNUSED = 0, 1, 2  # operand of a run: one row for all, one row each, or none


def lay_out(
    operations: Sequence[str], parents: Sequence[Sequence[int]], constants: Collection[int], wide: Collection[str]
) -> tuple[Array, Array, Array]:
    """(the places of the nodes in the order of their rows, the rows of their operands, the runs).

    operations: of each node of a topological order, "" for a leaf.
    parents: the places of its operands.
    constants: the places of leaves that need not be told apart.
    wide: the operations that can be computed in vectors.

    A run is (its first row, the row after its last, NARROW or WIDE, what its three operands are).
    """
    order, kinds = order_of_rows(operations, parents, constants)
    inputs, leaves = rows_of_operands(order, parents), operations.count("")
    operands = np.array([len(parents[i]) if operations[i] in wide else 0 for i in order])
    runs = runs_of(kinds, inputs, operands, leaves)
    if rows_in(runs, WIDE) >= max(WORTH * (len(order) - leaves), FEWEST):
        return order, inputs, runs
    order = np.arange(len(operations))
    return order, rows_of_operands(order, parents), table_of([narrow(0, len(order))])


def rows_of_operands(order: Array, parents: Sequence[Sequence[int]]) -> Array:
    """(rows, 3); 0 where there is no operand."""
    row = np.empty(len(order) + 1, dtype=np.int32)
    row[order], row[-1] = np.arange(len(order)), 0
    padded = np.array([(*places, -1, -1, -1)[:3] for places in parents], dtype=np.int64).reshape(-1, 3)
    return row[padded[order]]


def order_of_rows(
    operations: Sequence[str], parents: Sequence[Sequence[int]], constants: Collection[int]
) -> tuple[Array, Array]:
    """(the places of the nodes, leaves first, and those that are alike together; which kind of node each is).

    operations: of each node of a topological order, "" for a leaf; parents: the places of its operands.
    """
    kinds, groups = alike(operations, parents, constants)
    inner = [group for group in groups if operations[group[0]]]
    used = [p for group in inner for operand in zip(*[parents[i] for i in group], strict=True) for p in operand]
    leaves = dict.fromkeys(p for p in used if not operations[p]) | dict.fromkeys(
        i for i, operation in enumerate(operations) if not operation
    )
    order = np.array([*leaves, *(i for group in inner for i in group)], dtype=np.int64)
    return order, np.array(kinds)[order]


def alike(
    operations: Sequence[str], parents: Sequence[Sequence[int]], constants: Collection[int]
) -> tuple[list[int], list[list[int]]]:
    """(the kind of each node, the nodes of each kind, of which none comes before its operands)."""
    known: dict[Any, int] = {}
    kinds, groups, heights = list[int](), list[list[int]](), list[int]()
    for i, operation in enumerate(operations):
        above = [kinds[p] for p in parents[i]]
        key: Any = (operation, *above) if operation else "" if i in constants else i
        kind = known.setdefault(key, len(groups))
        if kind == len(groups):
            groups.append([])
            heights.append(1 + max([heights[k] for k in above], default=-1))
        kinds.append(kind)
        groups[kind].append(i)
    return kinds, [groups[k] for k in sorted(range(len(groups)), key=heights.__getitem__)]


def runs_of(kinds: Array, inputs: Array, operands: Array, leaves: int) -> Array:
    """All runs. `operands`: how many each row has, 0 where it cannot be in a wide run; `leaves`: the first rows."""
    steps = np.diff(inputs, axis=0)
    even = (kinds[1:] == kinds[:-1]) & (operands[1:] > 0) & ((steps == SHARED) | (steps == ALONG)).all(axis=1)
    pattern = np.where(even, steps @ [1, 2, 4], -1)  # steps from each row to the next, as one number
    ends = np.flatnonzero(np.diff(pattern, append=-2)) + 1
    found, at = list[Run](), leaves
    for start, end in zip([0, *ends.tolist()][:-1], ends.tolist(), strict=True):
        first, stop = max(start, at), end + 1  # the last row of one pattern may be the first of the next
        if pattern[start] >= 0 and stop - first >= LEAST:
            used = operands[first]
            found += [narrow(at, first)] * (at < first)
            found.append((first, stop, WIDE, *steps[start, :used], *[UNUSED] * (3 - used)))
            at = stop
    return table_of([*found, *[narrow(at, len(kinds))] * (at < len(kinds))])


def rows_in(runs: Array, kind: int) -> int:
    """How many rows are in the runs of that kind."""
    found = runs[runs[:, 2] == kind]
    return int((found[:, 1] - found[:, 0]).sum())


def narrow(first: int, stop: int) -> Run:
    return first, stop, NARROW, UNUSED, UNUSED, UNUSED


def table_of(runs: Sequence[Run]) -> Array:
    return np.array(runs, dtype=np.int64).reshape(-1, 6)
