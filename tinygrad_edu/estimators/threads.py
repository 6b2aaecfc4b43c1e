"""How many threads BLAS may use: one, where a second costs more than it brings.

Two threads wait for each other in each product; beside other work on the machine they wait for milliseconds (an epoch
of 900-64-10 in batches of 32 took 0.26 s with one thread, 0.7 to 14 s with two).
"""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

from tinygrad_edu.compile.one_thread import ONE_THREAD

ALONE = 2**18  # multiplications: up to here OpenBLAS keeps to one thread of itself


def for_product(work: int, least: int = 0, most: int = 2_000_000) -> AbstractContextManager[Any]:
    """One thread where the largest product has more than `least` and up to `most` multiplications."""
    return ONE_THREAD if least < work <= most else nullcontext()
