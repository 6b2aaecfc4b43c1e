"""Does a function ask what it has kept of an earlier call? `if self.last is not None`, `self.last.shape == x.shape`.

A call of a program sets what the function keeps, but looks at nothing in Python. So the answer would be that of the
trace for ever, also after the user has set `self.last = None`. What is asked (is it None, is it there, how long is it)
leaves no trace in the graph. So the function is traced with other things in the place of what it keeps: one that does
not ask gives the same program.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.compile.call_state import CallState
from tinygrad_edu.compile.kept_results import beginning_from
from tinygrad_edu.compile.user_code import ABSENT
from tinygrad_edu.errors import TraceError

OTHERS = ABSENT, None, object()  # in place of a result


def refuse_read_back(f: Callable[..., Any], name: str, program: Any, trace: Callable[[], Any]) -> None:
    """Errors: TraceError where the program is another one when something else stands where a result is kept."""
    for other in OTHERS if program.kept_places() else ():
        after = CallState(f=f)
        try:
            same = is_same_program(f, program, trace, other)
        finally:
            after.restore()
        if not same:
            raise TraceError(
                f"{name} asks about {', '.join(sorted(program.keeps()))}, where it keeps what it computes, before it "
                "has set it in this call: a compiled program would not ask again. Give what was kept as an argument, "
                "and return the new one"
            )


def is_same_program(f: Callable[..., Any], program: Any, trace: Callable[[], Any], other: Any) -> bool:
    for keep in program.kept_places():
        keep.put(other) if other is not ABSENT else keep.remove()
    try:
        with beginning_from(CallState(f=f)):
            return bool(trace().signature() == program.signature())
    except Exception:
        return False
