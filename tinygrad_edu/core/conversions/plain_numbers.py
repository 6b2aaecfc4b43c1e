"""float(x) and int(x) of a node, which Python's math calls too."""

from __future__ import annotations

import sys
from typing import Any

from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import DetachedError, TinygradError, TraceError

WRITE_AT_ONCE = (
    "x[i] = value writes into a part of an array, which cannot be compiled: make the whole array at once, as in "
    "np.array([f(x[i]) for i in range(3)]); one entry by np.where(np.arange(len(x)) == i, value, x); a part by "
    "np.concatenate([value, x[1:]])"
)


def number_error(call: str, x: Any, instead: str) -> TinygradError:
    """The error for a call that makes a plain number; `instead`: what to write where x has one."""
    if MODES.tensor_trace is not None:
        from tinygrad_edu.core.tracing.whose_code import is_storing  # loads NumPy, which the scalar engine does without

        if is_storing(sys._getframe(1)):
            return TraceError(WRITE_AT_ONCE)
    if MODES.value_trace is not None or MODES.tensor_trace is not None:
        return TraceError(
            f"{call}({x!r}): a compiled function has no numbers while it is traced. Write np.tanh(x), np.trunc(x) ... "
            "in place of math.tanh(x), int(x) ..., and choose by np.where; what decides how often or how large, as n "
            "in range(n), is an argument named in static_argnums; make a plain number of the result, outside"
        )
    return DetachedError(f"{call}({x!r}) would lose its gradient{instead}")
