"""The same call again: plain arrays in C order and floats, whose program is known, straight to the machine code.

A call of `jit` asks its arguments for nesting, options, nodes of a graph, sizes and layout. That takes 8 µs, where the
machine code of a small function takes 0.3 µs. What it found out is kept by the shapes and dtypes of the arguments, for
functions that close over no array; whatever is not as it was then goes the long way again.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.core.backward import has_nan

Signature = tuple[Any, ...]
MOST = 64  # signatures that are kept; sizes that change all the time are not


def signature(arguments: Sequence[Any]) -> Signature:
    """Shape and dtype of each array, the class of anything else.

    >>> signature([np.ones((2, 3)), 1.0])
    (((2, 3), dtype('float64')), <class 'float'>)
    """
    return tuple([(x.shape, x.dtype) if x.__class__ is np.ndarray else x.__class__ for x in arguments])


class QuickCall:
    """One program for arguments of one signature; `gradient`: the name of the gradient that is wanted, or ""."""

    def __init__(self, call: Any, arguments: Sequence[Any], gradient: str) -> None:
        self.program, self.sizes, self.shapes = call.program, call.sizes, call.shapes
        self.code, self.dtype, self.count = self.program.code, np.dtype(self.program.dtype), len(self.program.scalars)
        self.arrays = [i for i, x in enumerate(arguments) if x.__class__ is np.ndarray]
        names = [*self.program.scalars, *self.program.shapes]  # in the order in which `run` gives them
        self.result, self.gradient = names.index("result" if gradient else "result0"), names.index(gradient or names[0])
        self.key = object()  # of the workspace; by identity, since the sizes themselves take 0.3 µs to hash

    def run(self, arguments: Sequence[Any]) -> list[Any] | None:
        """All results, or None where the long way has to be gone: another layout, or an error, which it explains."""
        for i in self.arrays:
            if not arguments[i].flags.carray:  # in C order, aligned, and may be written to
                return None
        numbers, out = np.empty(self.count), [np.empty(shape, self.dtype) for shape in self.shapes]
        try:
            self.code(*arguments, *self.program.workspace(self.sizes, self.key), *out, numbers)
        except Exception:
            return None
        return numbers.tolist() + out

    def value_and_gradient(self, arguments: Sequence[Any]) -> tuple[Any, Any] | None:
        """Both, or None; NaN in a gradient may be 0·∞, which is 0 here and is computed with care on the long way."""
        found = self.run(arguments)
        if found is None or has_nan(found[self.gradient]):
            return None
        return found[self.result], found[self.gradient]


class QuickCalls:
    """The calls of one function that can be repeated quickly, by (what is wanted, signature)."""

    def __init__(self) -> None:
        self.known: dict[Any, QuickCall] = {}

    def keep(self, wanted: int | None, call: Any, arguments: Sequence[Any]) -> None:
        """Remember a call that has just been made, if it is one of these; `wanted`: the gradient by which argument."""
        dtype = np.dtype(call.program.dtype)
        if call.captured or not isinstance(call.program.trace.results, Traced):
            return
        if not all((x.__class__ is float and dtype.char == "d") or is_ready(x, dtype) for x in arguments):
            return
        if len(self.known) >= MOST:
            self.known.clear()
        gradient = "" if wanted is None else f"d_{list(call.program.trace.inputs)[wanted]}"
        if not gradient or gradient in (*call.program.scalars, *call.program.shapes):
            self.known[wanted, signature(arguments)] = QuickCall(call, arguments, gradient)


def is_ready(x: Any, dtype: Any) -> bool:
    """Is it an array that the program takes as it is?"""
    return x.__class__ is np.ndarray and x.ndim > 0 and x.dtype is dtype
