"""Indices that are rows of a layer's table: NumPy counts negative ones from the end, the layer refuses them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from tinygrad_edu.compile.ir.constants import is_whole_input, op_name
from tinygrad_edu.compile.ir.dims import ACTIVE
from tinygrad_edu.compile.ir.node import Traced, as_node
from tinygrad_edu.core.operation import ARRAY_TABLE


def from_zero(index: Any, by: str) -> Traced:
    """The index, of which `by`, the name of a layer, refuses what is negative; a view, as others may read it too."""
    x = as_node(index)
    if not is_whole_input(x):
        return x  # refused as an index
    found = Traced(x.sizes, ARRAY_TABLE["broadcast_to"], (x,), {"shape": x.sizes}, kind=x.kind)
    ACTIVE.traces[-1].from_zero[found] = by
    return found


def refuser(at: Sequence[Traced]) -> dict[str, str]:
    """The option of a lookup with one of these indices, if it is one of `from_zero`."""
    known = ACTIVE.traces[-1].from_zero
    found = [known[x] for index in at for x in views_of(index) if x in known] if known else []
    return {"by": found[0]} if found else {}


def views_of(index: Traced) -> Iterator[Traced]:
    """An index, what it is a view of, and so on."""
    yield index
    while op_name(index) in ("reshape", "transpose", "broadcast_to", "window"):
        index = index.parents[0]
        yield index
