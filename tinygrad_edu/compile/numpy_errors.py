"""`np.errstate(all="raise")` around a compiled call: a program goes on beside inf and NaN, where NumPy would raise."""

from __future__ import annotations

from collections.abc import Callable
from contextvars import Context
from typing import Any

import numpy as np

QUIET = {"ignore", "warn"}  # a program does not warn
# NumPy's own variable: to compare it with its default takes 0.05 µs, np.geterr() 0.6, a whole compiled call 1.6
UMATH = getattr(getattr(np, "_core", None), "umath", None)
CURRENT: Callable[[], Any] = getattr(getattr(UMATH, "_extobj_contextvar", None), "get", object)
DEFAULT = Context().run(CURRENT)


def are_raised() -> bool:
    """Has the caller asked NumPy to raise an error, to call a function or to print at a division by 0 and the like?

    >>> with np.errstate(over="raise"):
    ...     are_raised()
    True
    >>> are_raised()
    False
    """
    return CURRENT() is not DEFAULT and not QUIET.issuperset(np.geterr().values())
