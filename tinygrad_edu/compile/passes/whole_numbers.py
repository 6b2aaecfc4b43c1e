"""Which inputs of whole numbers a program computes with: as numbers they become floats, as indices they do not."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.core.graph import topological

VIEWS = {"reshape", "transpose", "broadcast_to", "window"}
INDICES = {"gather": 1, "scatter": 1, "class_of": 0}  # from this parent on they are only indices


def read_as_numbers(roots: Sequence[Any]) -> set[Any]:
    """The inputs of whole numbers among the roots and their ancestors that are not indices alone."""
    source: dict[Any, Any] = {}  # an input or a view of one → the input
    found = {x for x in roots if x.integer}
    for root in roots:
        for x in topological(root, lambda x: x.parents):
            name = x.op.name if x.op is not None else ""
            if x.integer:
                source[x] = x
            for i, p in enumerate(x.parents):
                if p in source and name in VIEWS:
                    source[x] = source[p]
                elif p in source and i < INDICES.get(name, len(x.parents)):
                    found.add(source[p])
        if root in source:
            found.add(source[root])
    return found
