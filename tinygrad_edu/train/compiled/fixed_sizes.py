"""Training programs for one set of sizes: of a small network and a small batch, as numbers in the text.

LLVM then writes every loop out and keeps all weights in registers: an online step of 2-3-1 takes 36 ns in float32 where
the program of any sizes takes 52 (float64: 40 and 61; measured in one process). It costs a compilation for each set of
sizes, so it is for runs of many samples, and a process compiles no more than one for models of a kind: a sweep over
widths goes on with the program of any sizes. Both compute the same up to rounding.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.train.compiled.packed_call import Kind, PackedCode

# Numbers side by side, up to which a table is quicker than a vector of them: a step of 2-8-1 takes 52 ns with the table
# and 59 with the formula, one of 2-16-1 takes 87 and 78.
FEW = 8
TANH = re.compile(r"^(def tanh\(x\):\n)(?:    .*\n)+", re.MULTILINE)
ENTER = """\
given_state, given_gradient = state, gradient
state, saved = stack(state, ({rows}, {weights})), stack(state, ({rows}, {weights}))
gradient, work = stack(state, ({weights},)), stack(state, ({work},))
copy(given_state, state)
copy(given_gradient, gradient)"""
LEAVE = """\
copy(state, given_state)
copy(gradient, given_gradient)"""


class AnySizes:
    """The parts of a program that is given the sizes."""

    @staticmethod
    def lines(names: Sequence[str]) -> Iterable[str]:
        """The sizes."""
        return (f"{name} = sizes[{i}]" for i, name in enumerate(names))

    @staticmethod
    def parts() -> dict[str, str]:
        """In templates.EPOCHS: is it to stop, the samples of a batch, what is done at the end."""
        return {"asked": "control[0] != 0", "size": "min(batch, n - start)", "leave": "", "leave_bad": ""}


@dataclass(frozen=True)
class FixedSizes:
    """All numbers that the text holds: sizes in the program's order, samples of a batch, columns of X and of Y."""

    sizes: tuple[int, ...]
    batch: int
    columns: tuple[int, ...]
    rows: int  # rows of the state: the weights and each of the optimizer's memories
    weights: int
    work: int

    def lines(self, names: Sequence[str]) -> Iterable[str]:
        """The sizes, and the program's own memory, which nothing outside reads before it ends."""
        yield from (f"{name} = {n}" for name, n in zip(names, self.sizes, strict=True))
        yield f"batch = {self.batch}"
        yield from ENTER.format(rows=self.rows, weights=self.weights, work=self.work).splitlines()

    def functions(self, text: str, dtype: str) -> str:
        """The functions that the program calls: tanh of few float32 is looked up in a table (backend/tables.py)."""
        few = self.batch * max(self.sizes, default=1) <= FEW
        return TANH.sub(r"\1    return tanh_by_table(x)\n", text) if few and dtype == "float32" else text

    def parts(self) -> dict[str, str]:
        """In templates.EPOCHS, as of AnySizes."""
        leave, leave_bad = (textwrap.indent(LEAVE, " " * depth) for depth in (4, 12))
        return {"asked": "stopped(control)", "size": "batch", "leave": leave, "leave_bad": leave_bad}


class OfSizes:
    """A program for one set of sizes."""

    def __init__(self, text: str, kinds: Mapping[str, Kind]) -> None:
        """`kinds`: of its arguments, whose addresses it takes."""
        self.text = self.machine_text = text
        self.kinds = kinds

    @cached_property
    def code(self) -> Any:
        """The compiled `epochs`."""
        return PackedCode(cache.load(self.text, "training").epochs, self.kinds)
