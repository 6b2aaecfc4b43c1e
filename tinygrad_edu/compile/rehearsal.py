"""What two calls of a function leave in Python, compared with what its program leaves.

Which things a trace makes, shares, empties or fills again can differ from what later calls do in ways that no list of
kinds covers: two names for one new list, a deque that is full after a few calls. So where the trace of a function has
changed something, the function itself is called twice from where the trace began, and what it leaves has to look like
what the program leaves: the same keys, lengths, classes and texts, the same things shared, and the same numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.compile.call_state import CallState
from tinygrad_edu.compile.differences import first_difference, largest, leaf_numbers
from tinygrad_edu.compile.kept import Kept
from tinygrad_edu.compile.python_state import PythonState
from tinygrad_edu.compile.untraceable import copy_of_array
from tinygrad_edu.compile.user_code import is_atom
from tinygrad_edu.core.aliases import Thing
from tinygrad_edu.core.pytree import tree_map
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import TraceError

NEAR = 1e-3  # of the largest of an array: rounding is none of what is looked for here
SAME = 1e-9  # the same code with the same numbers
FLOATS = "fc"  # kinds of dtypes
OF_NUMBERS = Tensor, Value, np.ndarray
CACHED = {"__signature__"}  # attributes that Python itself sets when it looks at a function


@dataclass(frozen=True)
class KeptOutline:
    """One thing that is kept: an outline, in which things are numbered as they are met, and the numbers in it."""

    name: str
    outline: Any
    numbers: Sequence[Any]

    def looks_like(self, other: KeptOutline) -> bool:
        if (self.name, self.outline) != (other.name, other.outline):
            return False
        pairs = zip(self.numbers, other.numbers, strict=True)
        return all(np.allclose(x, y, NEAR, NEAR * largest(y), equal_nan=True) for x, y in pairs)


class Portrait:
    """All that a function reaches in Python, as one call has left it."""

    def __init__(self, f: Callable[..., Any]) -> None:
        state = PythonState(f=f)
        self.places = {id(x): i for i, x in enumerate(x for x in state.seen.values() if not isinstance(x, OF_NUMBERS))}
        # numbers are described where they are held; a derivative keeps Tensors where a program keeps arrays
        self.parts = [self.part(kept) for kept in state.kept if not isinstance(kept.thing, OF_NUMBERS)]

    def part(self, kept: Kept) -> KeptOutline:
        numbers: list[Any] = []
        return KeptOutline(kept.name, self.outline(kept.was, numbers), numbers)

    def outline(self, x: Thing, numbers: list[Any]) -> Any:
        """Containers that `Kept` has copied are described by their entries, other things by their class and number."""
        array = leaf_numbers(x) if isinstance(x, (*OF_NUMBERS, int, float, np.generic)) else None
        if array is not None and array.dtype.kind in FLOATS:
            numbers.append(array.copy())
            return "numbers", array.shape, array.dtype
        if array is not None:
            return array.dtype.kind, array.shape, array.tolist()
        if id(x) in self.places:
            return type(x), self.places[id(x)]
        if is_atom(type(x)):
            return type(x), x
        if isinstance(x, (set, frozenset)):
            return type(x), sorted(repr(self.outline(entry, numbers)) for entry in x)
        if isinstance(x, dict):
            return type(x), [(key, self.outline(entry, numbers)) for key, entry in x.items() if key not in CACHED]
        return type(x), [self.outline(entry, numbers) for entry in (x if isinstance(x, (list, tuple)) else ())]

    def first_difference(self, other: Portrait) -> str:
        """The name of the first thing that does not look the same, "" if all do."""
        if len(self.parts) != len(other.parts):
            names = {part.name for part in self.parts} ^ {part.name for part in other.parts}
            return min(names, default="") or "what it keeps"
        pairs = zip(self.parts, other.parts, strict=True)
        return next((a.name for a, b in pairs if not a.looks_like(b)), "")


def rehearse(f: Callable[..., Any], arguments: Callable[[], Any], before: CallState) -> list[tuple[Any, Portrait]]:
    """What two calls of f give and leave from that state on; empty if one raises an error. All is put back."""
    now, calls = CallState(f=f), list[tuple[Any, Portrait]]()
    try:
        before.restore()
        for _ in range(2):
            with np.errstate(all="ignore"):
                results = tree_map(copy_of_array, f(*arguments()))
            calls.append((results, Portrait(f)))
    except Exception:  # the user's own
        return []
    finally:
        now.restore()
    return calls


def refuse_other(f: Callable[..., Any], results: Any, calls: Sequence[tuple[Any, Portrait]]) -> None:
    """Errors: TraceError where a call of the program has left something else than these calls of f.

    `results`: those of f after its trace, which these have to give too.
    """
    if not calls:
        return
    found, f_name = Portrait(f), getattr(f, "__name__", "the function")
    for expected, _ in calls:
        differs = first_difference(results, expected, "the result", SAME)
        if differs is not None:
            raise TraceError(
                f"{f_name} computes something else at its first call than later: {differs.expected}, and then "
                f"{differs.seen}. Do what is done once outside, or call the function without jit"
            )
    name = next(filter(None, (left.first_difference(found) for _, left in calls)), "")
    if name:
        raise TraceError(
            f"{f_name} changes {name}, and a compiled program would leave something "
            "else there than two calls without jit. Return what is new and keep it outside, or call the function "
            "without jit"
        )
