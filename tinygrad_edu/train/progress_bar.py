"""Progress bars: tqdm's, or none where it is not installed."""

from __future__ import annotations

import sys
import warnings
from typing import Any, Protocol, Self

from tinygrad_edu import packages


def bar(total: int, unit: str, shown: bool, initial: int = 0, title: str = "", asked: bool = True) -> Any:
    """A bar over `total` units, cleared at the end: a context manager with `update(n)`.

    asked: did the user ask for it? Then its absence is worth a sentence.
    """
    if not shown:
        return NoBar()
    if not packages.available("tqdm"):
        if asked:
            warnings.warn("no progress bar without tqdm: `pip install tqdm` brings it", stacklevel=4)
        return NoBar()
    from tqdm import tqdm

    return tqdm(total=total, initial=initial, unit=unit, desc=title or None, mininterval=0.1, leave=False)


def say(line: str) -> None:
    """A line above the bar, if there is one."""
    if "tqdm" in sys.modules:
        sys.modules["tqdm"].tqdm.write(line)
    else:
        print(line)


class Bar(Protocol):
    """What a run needs of a bar: tqdm's, or NoBar."""

    n: Any

    def update(self, n: int = 1) -> Any:
        """So many units more are done."""


class NoBar:
    """A bar that nobody sees."""

    n = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        pass

    def update(self, n: int = 1) -> None:
        """So many units more are done."""
        self.n += n

    def close(self) -> None:
        """Nothing is left to clear."""
