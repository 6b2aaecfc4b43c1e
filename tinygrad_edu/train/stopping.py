"""When training ends before its last epoch."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.errors import SettingError

PREVIOUS, TOL, BEST, WAITED, PATIENCE = range(5)  # indices into the numbers of a stopping rule


def stopping(tol: float | None, patience: int | None) -> Any:
    """The numbers of a rule before the first epoch; patience 0 means none."""
    return np.array([np.nan, tol or 0.0, sys.float_info.max, 0.0, patience or 0.0])


def stops(stopping: ArrayLike, loss: float) -> Any:
    """Is this the last epoch? Notes its loss. The compiler lifts this function into its programs.

    With patience k: when the loss has not come below (1 - tol) of the best one for k epochs in a row. Without: when it
    differs from the one before by at most tol of it.

    >>> rule = stopping(tol=0.1, patience=2)
    >>> [stops(rule, loss) for loss in (1.0, 0.5, 0.48, 0.47)]
    [False, False, False, True]
    """
    previous, best = stopping[0], stopping[2]
    stopping[0], stopping[2] = loss, min(best, loss)
    stopping[3] = 0.0 if loss < best - stopping[1] * abs(best) else stopping[3] + 1.0
    if stopping[4] > 0.0:
        return bool(stopping[3] >= stopping[4])
    return bool(abs(loss - previous) <= stopping[1] * abs(previous))


def has_fired(stopping: ArrayLike, losses: Any) -> bool:
    """Did the rule end the run at its last loss, after it was given all of them?"""
    if stopping[PATIENCE] > 0.0:
        return bool(stopping[WAITED] >= stopping[PATIENCE])
    return len(losses) > 1 and bool(abs(losses[-1] - losses[-2]) <= stopping[TOL] * abs(losses[-2]))


def ends_run(found: Any, callback: object) -> bool:
    """Has a callback returned True? Errors: SettingError for what is neither true nor false, and may be by accident."""
    if isinstance(found, (bool, np.bool_)) or found is None:
        return bool(found)
    shape = getattr(found, "shape", None)
    if shape is None and not found:
        return False
    if shape == () and np.asarray(found).dtype == bool:
        return bool(found)
    what = f"an array of shape {shape}" if shape is not None else f"{found!r:.60}, of type {type(found).__name__}"
    raise SettingError(
        f"the callback {getattr(callback, '__name__', callback)} returned {what}: return True to end the run, and "
        "nothing (or False) to go on"
    )
