"""The numbers of arrays when a trace met them: a program reads them at its calls, so f may not write to them meanwhile.

An array that the function has made itself (`e = np.zeros(3)`, filled anew in each round) belongs to the program, which
keeps what was in it each time. One that was there before is refused if the function writes to it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from tinygrad_edu.compile.unread import number_unnoted, read_of
from tinygrad_edu.core.aliases import Thing
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.checksum import checksum
from tinygrad_edu.errors import TraceError

MOST = 100_000  # numbers of which a copy is kept


class MetArrays:
    """By name in the program: the checksum of each array, and a copy of a small one that is no Tensor's."""

    def __init__(self) -> None:
        self.known: dict[str, int] = {}
        self.copies: dict[str, Any] = {}

    def note(self, name: str, x: Thing) -> None:
        array = numbers_in(x)
        if array is not None:
            self.known[name] = checksum(array)
            if array.size <= MOST and not isinstance(x, (Tensor, Value)):
                self.copies[name] = array.copy()

    def is_same(self, name: str, x: Thing) -> bool:
        """Does it hold the numbers with which it was met?"""
        array = numbers_in(x)
        return array is None or self.known.get(name) in (None, checksum(array))

    def keep(self, captured: dict[str, Any], outside: Any) -> None:
        """Put copies in place of arrays of the function's own that it has written to since.

        `outside`: the state before the trace. Errors: TraceError for an array that was there before.
        """
        for name in self.overwrites(captured):
            known = outside.name_of(captured[name])
            if known or name not in self.copies:
                raise TraceError(
                    f"the function writes to {known or name}, shape {np.shape(captured[name])}, after it has computed "
                    "with it. A compiled function reads an array that it closes over as it is when it is called: "
                    "compute a new array, or write to a copy"
                )
            captured[name] = self.copies[name]

    def overwrites(self, captured: Mapping[str, Any]) -> list[str]:
        return [name for name, x in captured.items() if not self.is_same(name, x)]


def numbers_in(x: Thing) -> Any:
    """The numbers of an array or Tensor; None of anything else."""
    array = np.asarray(number_unnoted(x)) if isinstance(x, Value) else read_of(x)
    return array if isinstance(array, np.ndarray) and array.dtype.kind in "fiub" else None
