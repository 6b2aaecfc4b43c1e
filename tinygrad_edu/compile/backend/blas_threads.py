"""How many threads BLAS may use: one, if a second costs more than it gains.

Two threads wait for each other in each product, and each reads weights that the other has just written: an epoch of
900-64-10 in batches of 32 takes 52 ms with one and 60 with two, in batches of 128 it takes 39 and 37. On a busy
machine two wait for milliseconds (batches of 32, float64: 0.26 s with one, 0.7 to 14 s with two).
"""

from __future__ import annotations

import functools
from contextlib import AbstractContextManager, nullcontext, suppress
from typing import Any

from tinygrad_edu.core.mutex import Mutex

ALONE = 2**18  # multiplications; OpenBLAS uses one thread up to here anyway
SMALL = 2_000_000


class OneThread:
    """BLAS in one thread while anyone is inside; the last to leave restores the previous number."""

    def __init__(self) -> None:
        self.lock, self.inside = Mutex(), 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock.freed(), self.lock.taken:
            if self.inside == 0:
                self.limit = controller().limit(limits=1, user_api="blas")
            self.inside += 1

    def __exit__(self, *error: Any) -> None:
        with self.lock.freed(), self.lock.taken:
            self.inside -= 1
            if self.inside == 0:
                self.limit.restore_original_limits()


ONE_THREAD = OneThread()


def for_product(work: int, least: int = ALONE, most: int = SMALL) -> AbstractContextManager[Any]:
    """One thread where the largest product has more than `least` and up to `most` multiplications."""
    return ONE_THREAD if least < work <= most else nullcontext()


class AnyThreads:
    """In place of a controller where threadpoolctl is not installed: BLAS uses as many threads as it likes."""

    def limit(self, **options: Any) -> AnyThreads:
        """Nothing is limited, so there is nothing to restore."""
        return self

    def restore_original_limits(self) -> None:
        pass


@functools.cache
def controller() -> Any:
    """A controller of every BLAS that is loaded; SciPy's, which compiled programs call, is loaded first."""
    with suppress(ImportError):
        import scipy.linalg  # noqa: F401
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return AnyThreads()
    return ThreadpoolController()
