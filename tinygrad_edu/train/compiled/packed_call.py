"""Training programs that receive the addresses of their arrays in one array.

Each argument that is an array costs Numba 0.02 s of compiling, as much machine code as a small network, and time to
read it from the disk: of 1.05 s for the first fit of a new structure, 0.25.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

from tinygrad_edu.errors import CompileError

Array = np.ndarray[Any, Any]
Kind = tuple[str, int]  # (dtype, number of axes)
TAKEN = "addresses, lengths, numbers"
NUMBER = {"int64": "int", "float64": "float", "float32": "np.float32"}
# Arguments of every training program, apart from samples, constants and random generators.
COMMON: Mapping[str, Kind] = {
    "orders": ("int64", 2), "batch": ("int64", 0), "state": ("real", 2), "saved": ("real", 2), "gradient": ("real", 1),
    "work": ("real", 1), "whole": ("int64", 1), "sizes": ("int64", 1), "rates": ("float64", 1),
    "settings": ("float64", 1), "t": ("float64", 0), "stopping": ("float64", 1), "losses": ("float64", 1),
    "norms": ("float64", 1), "changes": ("float64", 1), "control": ("int64", 1),
}  # fmt: skip


def unpack(kinds: Mapping[str, Kind]) -> Iterable[str]:
    """The lines that find the arguments: arrays at their addresses, with their lengths; numbers among `numbers`."""
    at, k = 0, 0
    for i, (name, (dtype, axes)) in enumerate(kinds.items()):
        if axes:
            shape = "".join(f"lengths[{at + axis}], " for axis in range(axes)).rstrip()
            yield f"{name} = {dtype}_at(addresses, {i}, ({shape.rstrip(',') if axes > 1 else shape}))"
            at += axes
        else:
            yield f"{name} = {NUMBER[dtype]}(numbers[{k}])"
            k += 1


class PackedCode:
    """The compiled `epochs`, called with the same arguments as one that takes each of them."""

    def __init__(self, function: Any, kinds: Mapping[str, Kind]) -> None:
        self.function, self.kinds = function, [(name, np.dtype(dtype), n) for name, (dtype, n) in kinds.items()]

    @property
    def overloads(self) -> Any:
        """The compiled versions."""
        return getattr(self.function, "overloads", True)

    def __call__(self, *arguments: Any) -> None:
        addresses, lengths, numbers = [], [], []
        for (name, dtype, axes), x in zip(self.kinds, arguments, strict=True):
            if not axes:
                addresses.append(0)
                numbers.append(float(x))
                continue
            if x.dtype != dtype or x.ndim != axes or not x.flags.c_contiguous:
                raise CompileError(f"{name} has {x.dtype} in {x.shape}, but the program takes {axes} axes of {dtype}")
            addresses.append(x.__array_interface__["data"][0])
            lengths += x.shape
        whole = np.array(addresses, dtype=np.int64), np.array(lengths, dtype=np.int64)
        self.function(*whole, np.array(numbers, dtype=float))
