"""Programs with many arrays, which receive their addresses in one array.

Each argument that is an array costs Numba 0.02 s of compiling (8 transformer layers have 128) and each call 0.1 µs.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.codegen.index_maps import bare
from tinygrad_edu.compile.program import Array, Program
from tinygrad_edu.compile.trace import Trace

MANY = 24  # arrays; from this many on they are passed by address


class PackedProgram(Program):
    """A program that finds its arrays by address; its results lie one after the other in one array."""

    by_address = True

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        inputs = self.trace.inputs
        self.arrays = [name for name, x in inputs.items() if x.sizes]
        self.places = [i for i, x in enumerate(inputs.values()) if x.sizes]
        self.others = [i for i, x in enumerate(inputs.values()) if not x.sizes]
        numbers = [name for name, x in inputs.items() if not x.sizes]
        self.parameters = ["addresses", "lengths", *numbers, "work", "out", "results"]
        self.size_names = list(self.own_sizes())
        # (arrays of the last call, their addresses)
        self.known: tuple[list[Array], Array] = ([], np.empty(0, np.int64))

    def prologue(self) -> Iterable[str]:
        """The sizes, the arrays at their addresses, and the parts of `out`."""
        for i, size in enumerate(self.size_names):
            yield f"{size} = lengths[{i}]"
        for i, name in enumerate(self.arrays):
            x = self.trace.inputs[name]
            kind = "int64" if x.integer else self.dtype
            yield f"{name} = {kind}_at(addresses, {i}, {shape_text(self.names.shape(x))})"
        if self.shapes:
            yield "at = 0"
        for name, sizes in self.shapes.items():
            yield f"{name} = room(out, at, {shape_text(sizes)})"
            yield f"at += {' * '.join(f'({bare(n)})' for n in sizes)}"

    def arguments(
        self, inputs: Sequence[Any], shapes: Sequence[tuple[int, ...]], sizes: Mapping[str, int]
    ) -> tuple[list[Any], list[Array]]:
        """(what the machine code takes, before its single results; the arrays of the results)."""
        out = np.empty(sum(map(math.prod, shapes)), self.dtype)
        lengths = np.array([sizes[name] for name in self.size_names], np.int64)
        given = [self.addresses([inputs[i] for i in self.places]), lengths, *[inputs[i] for i in self.others]]
        return [*given, *self.workspace(sizes), out], parts_of(out, shapes)

    def addresses(self, arrays: list[Array]) -> Array:
        """Where the arrays lie; looked up again for those that were not the same at the last call."""
        before, found = self.known
        if len(before) == len(arrays):
            changed = [i for i, x in enumerate(arrays) if x is not before[i]]
        else:
            changed, found = list(range(len(arrays))), np.empty(len(arrays), np.int64)
        if changed:
            found = found.copy()  # another thread may be reading the old one
            for i in changed:
                found[i] = arrays[i].__array_interface__["data"][0]
            self.known = arrays, found
        return found


def shape_text(sizes: Sequence[str]) -> str:
    return f"({', '.join(map(bare, sizes))}{',' * (len(sizes) == 1)})"


def parts_of(flat: Array, shapes: Sequence[tuple[int, ...]]) -> list[Array]:
    """Arrays of these shapes, one after the other in a flat one."""
    found, at = [], 0
    for shape in shapes:
        end = at + math.prod(shape)
        found.append(flat[at:end].reshape(shape))
        at = end
    return found


def program_of(trace: Trace, results: Mapping[str, Any], dtype: str, accurate: bool, parallel: bool) -> Program:
    """The program of a trace, with its arrays as arguments, or with their addresses if there are many."""
    count = sum(bool(x.sizes) for x in [*trace.inputs.values(), *results.values()])
    if count < MANY or parallel:
        return Program(trace, results, dtype, accurate, parallel)
    packed = PackedProgram(trace, results, dtype, accurate)
    return packed if "@direct" in packed.text else Program(trace, results, dtype, accurate)
