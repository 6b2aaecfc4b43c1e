"""The short path for a repeated call: plain arrays in C order and floats go straight to the machine code.

A call of `jit` looks at its arguments' nesting, options, nodes of a graph, sizes and layout. That takes 8 µs, while
the machine code of a small function takes 0.3 µs. So what it found is kept by the shapes and dtypes of the arguments,
for functions that close over no array; any call that differs takes the long path again.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.packed import parts_of
from tinygrad_edu.compile.passes.exact_range import COUNT
from tinygrad_edu.compile.passes.float_dtypes import SINGLE
from tinygrad_edu.compile.result_types import single_class
from tinygrad_edu.core.backward import has_nan
from tinygrad_edu.core.methods.plain_arrays import PlainArray
from tinygrad_edu.core.pytree import tree_leaves, with_leaves

Signature = tuple[Any, ...]
EMPTY, VDOT = np.empty, np.vdot  # saves an attribute look-up in each call
MOST = 64  # signatures kept; without a limit, sizes that change at every call would fill the memory


def signature(arguments: Iterable[Any], leaves: list[Any]) -> Signature:
    """Nesting, shape and dtype of each array, the class of anything else; the arrays and numbers go to `leaves`.

    >>> leaves = []
    >>> signature([{"W": np.ones((2, 3))}, 1.0], leaves)
    ((('W',), (((2, 3), dtype('float64')),)), <class 'float'>)
    >>> leaves[1]
    1.0
    """
    found: list[Any] = []
    for x in arguments:
        kind = x.__class__
        if kind is np.ndarray:
            found.append((x.shape, x.dtype))
            leaves.append(x)
        elif kind is PlainArray:  # x.data and x.grad
            found.append((x.shape, x.dtype))
            leaves.append(np.asarray(x))
        elif kind is list or kind is tuple:
            found.append((kind, signature(x, leaves)))
        elif kind is dict:
            found.append((tuple(x), signature(x.values(), leaves)))
        else:
            found.append(kind)
            leaves.append(x)
    return tuple(found)


class QuickCall:
    """One program for arguments of one signature. `wanted`: the arguments that it is differentiated with respect to."""

    def __init__(self, call: Any, arguments: Sequence[Any], leaves: Sequence[Any], wanted: Sequence[int]) -> None:
        self.program, self.sizes, self.shapes = call.program, call.sizes, call.shapes
        self.code, self.dtype, self.count = self.program.code, np.dtype(self.program.dtype), len(self.program.scalars)
        self.arrays = [i for i, x in enumerate(leaves) if x.__class__ is np.ndarray]
        names = [*self.program.scalars, *self.program.shapes]  # in the order in which `run` returns them
        self.result = names.index("result" if wanted else "result0")
        inputs, parts = iter(call.program.trace.inputs), []
        for argument in arguments:
            parts.append([f"d_{next(inputs)}" for _ in tree_leaves(argument)])
        self.gradients = [
            (i, isinstance(arguments[i], (list, tuple, dict)), [names.index(name) for name in parts[i]]) for i in wanted
        ]
        self.places = [place for _, _, places in self.gradients for place in places]
        self.one_array_each = not any(nested for _, nested, _ in self.gradients)
        self.careful = call.program.trace.differentiated  # NaN may be 0·∞ here too
        # float32 of a number, an array without axes, or a way to keep Python's number
        self.number = None if wanted else single_class(call, arguments)
        self.numbers_alone = not (self.shapes or self.careful)
        self.key = object()  # key of the workspace, compared by identity: hashing the sizes would take 0.3 µs
        # Threads can share a workspace that is empty.
        self.space = None if self.program.buffers else self.program.workspace(self.sizes, self.key)

    def run(self, leaves: Sequence[Any]) -> list[Any] | None:
        """All results, or None if the long path is needed: for another layout, or for an error, which it explains."""
        for i in self.arrays:
            if not leaves[i].flags.carray:  # C order, aligned and writeable
                return None
        numbers = EMPTY(self.count)
        try:
            if self.numbers_alone:
                self.code(*leaves, *(self.space or self.program.workspace(self.sizes, self.key)), numbers)
                return numbers.tolist() if self.number is None else [self.number(numbers[0])]
            out = self.arrays_of(leaves, numbers)
        except Exception:
            return None
        found: list[Any] = numbers.tolist()
        found += out
        if self.number is not None:
            found[self.result] = self.number(found[self.result])
        return None if self.careful and any(map(has_nan, found)) else found

    def arrays_of(self, leaves: Sequence[Any], numbers: Any) -> list[Any]:
        """The results that are arrays; the single ones go to `numbers`."""
        out = [EMPTY(shape, self.dtype) for shape in self.shapes]
        self.code(*leaves, *(self.space or self.program.workspace(self.sizes, self.key)), *out, numbers)
        return out

    def value_and_gradients(self, leaves: Sequence[Any], arguments: Sequence[Any]) -> tuple[Any, list[Any]] | None:
        """(result, a gradient for each wanted argument, nested like it), or None.

        NaN in a gradient may be 0·∞, which is 0 here; the long path computes it with care.
        """
        found = self.run(leaves)
        if found is None:
            return None
        for place in self.places:
            x = found[place]
            square = VDOT(x, x)  # inlined: calling `has_nan` would take 0.1 µs more
            if square != square:
                return None
        if self.one_array_each:
            return found[self.result], [found[place] for place in self.places]
        return found[self.result], [
            with_leaves(arguments[i], [found[place] for place in places]) if nested else found[places[0]]
            for i, nested, places in self.gradients
        ]


class PackedCall(QuickCall):
    """The same for a program that receives the addresses of its many arrays (packed.py)."""

    def __init__(self, call: Any, arguments: Sequence[Any], leaves: Sequence[Any], wanted: Sequence[int]) -> None:
        super().__init__(call, arguments, leaves, wanted)
        self.numbers_alone = False
        self.lengths = np.array([self.sizes[name] for name in self.program.size_names], np.int64)
        self.total = sum(map(math.prod, self.shapes))

    def arrays_of(self, leaves: Sequence[Any], numbers: Any) -> list[Any]:
        """The results that are arrays, one after the other in one array."""
        program, out = self.program, EMPTY(self.total, self.dtype)
        given = program.addresses([leaves[i] for i in program.places]), self.lengths
        space = self.space or program.workspace(self.sizes, self.key)
        program.code(*given, *[leaves[i] for i in program.others], *space, out, numbers)
        return parts_of(out, self.shapes)


class QuickCalls:
    """The calls of one function that can be repeated quickly, by (what is wanted, signature)."""

    def __init__(self) -> None:
        self.known: dict[Any, QuickCall] = {}

    def keep(self, wanted: tuple[int, ...], call: Any, arguments: Sequence[Any]) -> None:
        """Remember a call that has just been made, if it is one of these."""
        program = call.program
        other = program.result_dtypes and (program.shapes or program.result_dtypes[0] != SINGLE)
        unusual = call.captured or COUNT in program.scalars or other
        if unusual or not isinstance(program.trace.results, Traced):
            return
        if program.trace.asked:  # the classes of arguments matter, and the signature does not tell all of them apart
            return
        dtype, leaves = np.dtype(program.dtype), []  # type: tuple[Any, list[Any]]
        key = signature(arguments, leaves)
        if not all(x.__class__ is float or is_ready(x, dtype) for x in leaves):
            return
        if len(self.known) >= MOST:
            self.known.clear()
        kind = PackedCall if program.by_address else QuickCall
        self.known[wanted, key] = kind(call, arguments, leaves, wanted)


def is_ready(x: Any, dtype: Any) -> bool:
    """Is it an array that the program takes as it is?"""
    return x.__class__ is np.ndarray and x.ndim > 0 and x.dtype is dtype
