"""A Ctrl-C that comes while Python runs a finalizer is not forgotten.

Python cannot pass on what is raised in a `__del__`, in the callback of a weak reference or in a function that C calls:
it tells `sys.unraisablehook`, which prints it, and goes on. Numba and LLVM have many of these, which run whenever
something that was compiled is freed: 5 of 156 Ctrl-C during `fit` were lost in them. So while this library trains or
compiles, such an interrupt is raised once more, a moment later and outside of the finalizer.
"""

from __future__ import annotations

import _thread
import ctypes
import sys
import threading
import time
from contextlib import ContextDecorator
from typing import Any, Self

A_MOMENT = 0.001  # seconds; a finalizer takes some microseconds, and one that takes longer is interrupted once more


class Passed(ContextDecorator):
    """A block, or by @Kept() a function, in which no Ctrl-C is lost. In other threads Python raises none."""

    def __init__(self) -> None:
        self.before: Any = None
        self.own = self.tell  # a bound method is another object each time it is asked for

    def _recreate_cm(self) -> Self:
        return type(self)()  # a decorated function may be called within itself

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            self.before = sys.unraisablehook
            sys.unraisablehook = self.own
        return self

    def __exit__(self, *error: object) -> None:
        self.end()

    def end(self) -> None:
        """Put the hook back, unless a program has set its own meanwhile; doing it twice is the same as once."""
        if sys.unraisablehook is self.own:
            sys.unraisablehook = self.before

    def tell(self, lost: Any) -> None:
        """What Python calls with an exception that it cannot pass on."""
        if isinstance(lost.exc_value, KeyboardInterrupt):
            _thread.start_new_thread(raise_again, ())  # takes no lock in Python, which the finalizer's code may hold
        else:
            self.before(lost)


def raise_again() -> None:
    """Raise KeyboardInterrupt in the main thread, whichever signal it came from and whatever its handler is."""
    time.sleep(A_MOMENT)
    main = ctypes.c_ulong(threading.main_thread().ident or 0)
    ctypes.pythonapi.PyThreadState_SetAsyncExc(main, ctypes.py_object(KeyboardInterrupt))
