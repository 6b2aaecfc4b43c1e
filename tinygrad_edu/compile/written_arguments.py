"""A compiled function that writes into its arguments: `x -= x.mean(0)` in it changes the caller's array, as in NumPy.

The program computes what `+=` has made as further results, which go into the caller's arrays after the call, by the
same views through which the function wrote.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tinygrad_edu.compile.call import CAREFUL, Call
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.backward import has_nan
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.writes.other_names import Step, show


@dataclass
class Write:
    """The numbers of `node` go into the view of an argument to which the steps lead; `place`: which leaf it is."""

    place: int
    steps: list[Step]
    node: Any


def writes_to(trace: Trace, arguments: Sequence[Traced]) -> list[Write]:
    """What the traced function has written into its arguments, in order, without what it has written over again."""
    memory = trace.memory
    replaced, places = set(memory.before.values()), {x: i for i, x in enumerate(arguments)}
    return [
        Write(places[root], steps, new)
        for root, writes in memory.writes.items()
        if root in places
        for steps, new in writes
        if new not in replaced
    ]


def run_and_write(function: Any, call: Call, inputs: list[Any], arguments: Sequence[ArrayLike]) -> Any:
    """The results; the caller's arrays hold what was written into them. Arrays that overlap are left to NumPy."""
    leaves = list(tree_leaves(tuple(arguments)))
    arrays = [x for x in [*leaves, *[x for x, _, _ in call.captured]] if isinstance(x, np.ndarray)]
    if any(np.may_share_memory(a, b) for a, b in combinations(arrays, 2)):
        return function.f(*arguments)
    by_name = call.by_name(inputs)
    if call.program.trace.differentiated and any(map(has_nan, by_name.values())):
        call, inputs = function.prepare(arguments, by=CAREFUL)
        by_name = call.by_name(inputs)
    for i, write in enumerate(call.program.trace.written):
        write_into(show(leaves[write.place], write.steps), by_name[f"written{i}"])
    return function.nested(call, by_name)


def write_into(array: ArrayLike, numbers: ArrayLike) -> None:
    array[...] = np.asarray(numbers).astype(array.dtype)
