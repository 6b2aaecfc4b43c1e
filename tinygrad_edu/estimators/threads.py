"""How many threads BLAS may use: one, where a second costs more than it brings.

Two threads wait for each other in each product; beside other work on the machine they wait for milliseconds (an epoch
of 900-64-10 in batches of 32 took 0.26 s with one thread, 0.7 to 14 s with two).
"""

from __future__ import annotations

import functools
import threading
from contextlib import AbstractContextManager, nullcontext
from typing import Any

ALONE = 2**18  # multiplications: up to here OpenBLAS keeps to one thread of itself


class OneThread:
    """BLAS in one thread while anyone is inside; the number from before comes back with the last who leaves."""

    def __init__(self) -> None:
        self.lock, self.inside = threading.Lock(), 0
        self.limit: Any = None

    def __enter__(self) -> None:
        with self.lock:
            if self.inside == 0:
                self.limit = controller().limit(limits=1, user_api="blas")
            self.inside += 1

    def __exit__(self, *error: Any) -> None:
        with self.lock:
            self.inside -= 1
            if self.inside == 0:
                self.limit.restore_original_limits()


ONE_THREAD = OneThread()


def for_product(work: int, least: int = 0, most: int = 2_000_000) -> AbstractContextManager[Any]:
    """One thread where the largest product has more than `least` and up to `most` multiplications."""
    return ONE_THREAD if least < work <= most else nullcontext()


@functools.cache
def controller() -> Any:
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
