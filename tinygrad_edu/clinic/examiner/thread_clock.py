"""How much CPU time a search has taken, asked often.

Reading the CPU time of a thread can be a call to the system of 0.1 ms: on a virtual machine that was 4 of 10 parts of a
search. The time on the wall costs next to nothing and is never the smaller of the two, so it is asked first.
"""

from __future__ import annotations

import time


class ThreadClock:
    """CPU seconds of this thread since it was made."""

    def __init__(self) -> None:
        self.wall, self.cpu = time.perf_counter(), time.thread_time()

    def seconds(self) -> float:
        return time.thread_time() - self.cpu

    def is_past(self, seconds: float) -> bool:
        return time.perf_counter() - self.wall > seconds and self.seconds() > seconds
