"""float(x) and int(x) of a node, which Python's math calls too."""

from __future__ import annotations

import sys
from types import FrameType
from typing import Any

from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.errors import DetachedError, TinygradError, TraceError

WRITE_AT_ONCE = (
    "x[i] = value writes into a part of an array, which cannot be compiled: make the whole array at once, as in "
    "np.array([f(x[i]) for i in range(3)]); one entry by np.where(np.arange(len(x)) == i, value, x); a part by "
    "np.concatenate([value, x[1:]])"
)

# Libraries that draw or count what they are given, and need no gradient for it.
READERS = {"altair", "bokeh", "matplotlib", "pandas", "plotly", "polars", "seaborn", "sklearn", "statsmodels"}


def reader_error(x: Any) -> DetachedError | None:
    """The error for a node in a plot, a table or a score; None where no library of that kind asks."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and library_of(frame) in ("numpy", "tinygrad_edu"):
        frame = frame.f_back
    if frame is None or library_of(frame) not in READERS:
        return None
    return DetachedError(
        f"{library_of(frame)} needs plain numbers, and {preview(x)} has a gradient to lose: give it x.data in place of "
        "x, or [x.data for x in xs] of a list; of each loss keep the number: losses.append(loss.item())"
    )


def library_of(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__")).partition(".")[0]


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
    return reader_error(x) or DetachedError(f"{call}({x!r}) would lose its gradient{instead}")
