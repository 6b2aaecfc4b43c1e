"""A fork waits until what another thread compiles is compiled: Numba's lock would stay taken in the child for good.

A child that compiled then waited for a thread that it does not have: 3 of the first 5 forks at random moments of a
thread that compiles. And Python's cyclic garbage collector, which is off while a program is compiled, stayed off in 10
children of 12.
"""

from __future__ import annotations

import gc
import os
import sys
import threading
from typing import Any

WITHOUT_COLLECTOR: list[int] = []  # the thread that has turned the collector off while it compiles


def numbas_lock() -> Any:
    """The lock for one compilation at a time; None where Numba has not been loaded."""
    return getattr(sys.modules.get("numba.core.compiler_lock"), "global_compiler_lock", None)


def wait_to_fork() -> None:
    if (lock := numbas_lock()) is not None:
        lock.acquire()


def go_on() -> None:
    """The end of the wait, which Ctrl-C may have ended before."""
    if (lock := numbas_lock()) is not None and lock.is_locked():  # by this thread
        lock.release()


def go_on_in_child() -> None:
    go_on()
    if WITHOUT_COLLECTOR and threading.get_ident() not in WITHOUT_COLLECTOR:
        WITHOUT_COLLECTOR.clear()
        gc.enable()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=wait_to_fork, after_in_parent=go_on, after_in_child=go_on_in_child)
