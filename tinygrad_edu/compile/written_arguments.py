"""A compiled function that writes into its arguments: `x -= x.mean(0)` in it changes the caller's array, as in NumPy.

The program computes what `+=` has made as further results, which go into the caller's arrays after the call, by the
same views through which the function wrote. Of the arguments that it is differentiated by it has copies, as in `grad`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np

from tinygrad_edu.compile.call import CAREFUL, Call
from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.program import number_array
from tinygrad_edu.compile.result_types import keep_numbers
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.backward import has_nan
from tinygrad_edu.core.modes import no_grad
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.writes.other_names import Step, shares_memory, show
from tinygrad_edu.errors import TraceError


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
        if new not in replaced and isinstance(new, Traced)  # a vmap in it writes to a copy
    ]


def run_and_write(function: Any, call: Call, inputs: list[Any], arguments: Sequence[ArrayLike]) -> Any:
    """The results; the caller's arrays hold what was written into them, and Python's objects what they keep.

    Arrays that overlap are left to NumPy.
    """
    leaves = list(tree_leaves(tuple(arguments)))
    arrays = [x for x in [*leaves, *[x for x, _, _ in call.captured]] if isinstance(x, np.ndarray)]
    if any(np.may_share_memory(a, b) for a, b in combinations(arrays, 2)):
        found, frame = function.f(*arguments), call.program.trace.frame
        return found if frame is None else frame.pick(found)
    by_name = call.by_name(inputs)
    if call.program.trace.differentiated and any(map(has_nan, by_name.values())):
        call, inputs = function.prepare(arguments, by=CAREFUL)
        by_name = call.by_name(inputs)
    for i, write in enumerate(call.program.trace.written):
        write_into(show(leaves[write.place], write.steps), by_name[f"written{i}"])
    keep_numbers(call, by_name, arguments)
    return function.nested(call, by_name)


def write_beside(
    call: Call, numbers: dict[str, Any], arguments: Sequence[ArrayLike], copied: Sequence[ArrayLike]
) -> None:
    """Write into the arguments beside the copied ones, which a gradient is taken by.

    Errors: TraceError where an array to be written to shares memory with another one that the program has read.
    """
    leaves, own = list(tree_leaves(tuple(arguments))), own_copies(arguments, copied)
    written = [(i, write) for i, write in enumerate(call.program.trace.written) if id(leaves[write.place]) not in own]
    arrays = [*leaves, *[number_array(x) for x, _, _ in call.captured]]
    for _, write in written:
        refuse_shared(leaves[write.place], [x for i, x in enumerate(arrays) if i != write.place and id(x) not in own])
    for i, write in written:
        write_into(show(leaves[write.place], write.steps), numbers[f"written{i}"])


def write_by_running(f: Callable[..., Any], arguments: Sequence[ArrayLike], copied: Sequence[ArrayLike]) -> None:
    """The same by the function itself, where there is no compiler."""
    own = own_copies(arguments, copied)
    with no_grad(), np.errstate(all="ignore"):
        f(*tree_map(lambda x: np.array(x) if id(x) in own else x, tuple(arguments)))


def own_copies(arguments: Sequence[ArrayLike], copied: Sequence[ArrayLike]) -> set[int]:
    """The ids of the arrays of which the function has copies alone, and not under another argument's name too."""
    ids = [id(x) for x in tree_leaves(tuple(arguments))]
    return {id(x) for x in tree_leaves(tuple(copied)) if isinstance(x, np.ndarray) and ids.count(id(x)) == 1}


def refuse_shared(array: ArrayLike, others: Sequence[ArrayLike]) -> None:
    for x in others:
        if isinstance(x, np.ndarray) and shares_memory(array, x):
            raise TraceError(
                f"the function writes into an array of shape {array.shape} that shares its memory with another one "
                "which it reads: give a copy of one of them, x.copy(), or call tg.value_and_grad(f) without jit"
            )


def write_into(array: ArrayLike, numbers: ArrayLike) -> None:
    array[...] = np.asarray(numbers).astype(array.dtype)
