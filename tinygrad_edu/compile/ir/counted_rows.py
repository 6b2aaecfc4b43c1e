"""np.arange(len(x)) as an index of x, in a trace that counts its rows and does not fix them: see Trace.counted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import ACTIVE, Size
from tinygrad_edu.compile.ir.node import Traced


def rows_in_turn(x: Traced, parts: Sequence[Any]) -> list[Any]:
    """The parts of an index, np.arange(len(x)) as the places along the axis where a trace counts its rows."""
    axes = iter(x.sizes)
    own = [None if part is None or part is Ellipsis else next(axes, None) for part in parts]
    if not ACTIVE.traces or not ACTIVE.traces[-1].counted:
        return list(parts)
    return [Traced.positions(n) if counts_all(part, n) else part for part, n in zip(parts, own, strict=True)]


def counts_all(part: Any, n: Any) -> bool:
    """Is it 0, 1, 2, ... up to the length n, which has a name?"""
    if not isinstance(n, Size) or not isinstance(part, (np.ndarray, list, range)) or len(part) != n.length:
        return False
    return np.shape(part) == (n.length,) and bool(np.array_equal(part, np.arange(n.length)))
