"""BLAS in one thread, where threadpoolctl can be asked for it."""

from __future__ import annotations

import functools
import threading
from typing import Any


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


@functools.cache
def controller() -> Any:
    import scipy.linalg  # noqa: F401  (brings the BLAS of compiled programs: only what is loaded is found)
    from threadpoolctl import ThreadpoolController

    return ThreadpoolController()
