"""float(x) and int(x) of a node, which Python's math calls too."""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import DetachedError, TinygradError, TraceError


def number_error(call: str, x: Any, instead: str) -> TinygradError:
    """The error for a call that makes a plain number; `instead`: what to write where x has one."""
    if MODES.value_trace is not None or MODES.tensor_trace is not None:
        return TraceError(
            f"{call}({x!r}): a compiled function has no numbers while it is traced. Write np.tanh(x), np.trunc(x) ... "
            "in place of math.tanh(x), int(x) ..., and choose by np.where; what decides how often or how large, as n "
            "in range(n), is an argument named in static_argnums; make a plain number of the result, outside"
        )
    return DetachedError(f"{call}({x!r}) would lose its gradient{instead}")
