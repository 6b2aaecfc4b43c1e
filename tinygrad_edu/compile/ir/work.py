"""How much NumPy would have to compute for some nodes, before anything is computed."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_edu.core.graph import topological

CALL = 2**10  # numbers that take as long as a call of NumPy, 1 to 3 µs


def work(results: Sequence[Any]) -> float:
    """About how many numbers the operations give from which these nodes are made; each counts as 1,024 more."""
    nodes = {x for root in results for x in topological(root, lambda x: x.parents)}
    return sum(map(work_of, nodes))


def work_of(node: Any) -> float:
    """The same for one node alone, which may be a loop."""
    found: float = CALL + math.prod(getattr(n, "length", n) for n in node.sizes)
    rounds = node.options.get("rounds")
    return found if rounds is None else found + getattr(rounds.count, "length", rounds.count) * work(rounds.roots)
