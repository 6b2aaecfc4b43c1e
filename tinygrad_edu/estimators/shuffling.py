"""The random words that compiled code shuffles with: those that NumPy's RandomState would use."""

from __future__ import annotations

import math
from types import TracebackType
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


class RandomWords:
    """Random words for a number of shuffles of n items, read ahead; then the generator is set to the last word used.

    A shuffle takes a word for each item, and another one if it is too large: 1.33 to 1.5 on average. It reads 1.75 per
    item and 30 standard deviations more.

    last: will nobody ask the generator again? Then it stays where it is, which saves a seventh of a fit of eleven rows.
    """

    def __init__(self, rng: np.random.RandomState, n: int, shuffles: int, last: bool = False) -> None:
        expected = n * shuffles
        count = int(1.75 * expected + 30.0 * math.sqrt(expected)) + 100
        self.rng, self.before, self.used = rng, None if last else rng.get_state(legacy=False), 0
        self.words = np.frombuffer(bytearray(rng.bytes(4 * count)), np.uint32)

    def __enter__(self) -> RandomWords:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: TracebackType | None) -> None:
        if self.before is None:
            return
        self.rng.set_state(self.before)
        if self.used:
            self.rng.bytes(4 * self.used)
