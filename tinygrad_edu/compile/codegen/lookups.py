"""Whole numbers of an input as an index: how a program writes them, and the check that they are in range."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinygrad_edu.compile.codegen.index_maps import bare, bracket, through
from tinygrad_edu.compile.ir.constants import is_positions
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.passes.fuse import SizeNames, is_view

INDENT = "    "


class Lookups:
    """What a Writer needs for gather, scatter and class numbers.

    Every index is checked before anything is read. Inside the loops it would be checked again for each operand, and
    not at all for operands that are broadcast along the axis, whose one entry is read whatever the index is.
    """

    names: SizeNames
    entries: bool  # whether the text calls `entry`
    checks: dict[tuple[str, ...], None]  # lines of each check; they come before all other code

    def look_up(self, x: Traced, points: Sequence[str], sizes: Sequence[Any]) -> list[str]:
        """The points of a gather or scatter with the arrays' whole numbers in place of their own indices."""
        axis, at = x.options["axis"], x.parents[1:]
        end = axis + at[0].ndim
        found = [
            self.place(index, points[axis:end], self.names.of(n), x.options.get("by", ""))
            for index, n in zip(at, sizes[axis : axis + len(at)], strict=True)
        ]
        return [*points[:axis], *found, *points[end:]]

    def place(self, index: Traced, points: Sequence[str], n: str, by: str) -> str:
        """The place along an axis of length n that an index chooses; a negative one counts from the end."""
        self.require_index(index, n, by)
        number = self.whole_number(index, points)
        if is_positions(source_of(index)):
            return number
        self.entries = True
        return f"entry({number}, {n})"

    def class_number(self, labels: Traced, points: Sequence[str], classes: Any) -> str:
        """A class label at a point, which has to be below the number of classes."""
        self.require_class(labels, classes)
        return self.whole_number(labels, points)

    def whole_number(self, index: Traced, points: Sequence[str]) -> str:
        """The whole number of an input at a point."""
        points = list(points)
        while is_view(index):
            points, index = through(index, points, self.names), index.parents[0]
        if is_positions(index):
            return points[0]
        at = ["0" if self.names.of(m) == "1" else i for m, i in zip(index.sizes, points, strict=True)]
        return f"{index.name}[{', '.join(at)}]" if at else index.name

    def require_range(self, x: Traced) -> None:
        """The check of a gather, scatter or class number that nothing reads."""
        if op_name(x) == "class_of":
            self.require_class(x.parents[0], x.options["classes"])
        elif op_name(x) in ("gather", "scatter"):
            source, *at = x.parents
            sizes = source.sizes if op_name(x) == "gather" else x.sizes
            axis = x.options["axis"]
            for index, n in zip(at, sizes[axis : axis + len(at)], strict=True):
                self.require_index(index, self.names.of(n), x.options.get("by", ""))

    def require_index(self, index: Traced, n: str, by: str) -> None:
        """`by`: the layer that refuses negative ones, if one does."""
        if is_positions(source_of(index)):
            return  # the axis's own
        if by:
            self.require(index, "0", n, f"{by}: an index is below 0, or has no row in the table")
        else:
            self.require(index, f"-{bracket(n)}", n, "an index is out of range for its axis")

    def require_class(self, labels: Traced, classes: Any) -> None:
        self.require(labels, "0", self.names.of(classes), "a class has no column in the logits")

    def require(self, index: Traced, low: str, high: str, error: str) -> None:
        """Every whole number of the index lies in low ≤ i < high, or the program ends before it reads anything."""
        shape = self.names.shape(index)
        lines = [f"for i{axis} in range({bare(n)}):" for axis, n in enumerate(shape) if n != "1"]
        i = self.whole_number(index, ["0" if n == "1" else f"i{axis}" for axis, n in enumerate(shape)])
        lines += [f"if {i} < {low} or {i} >= {bracket(high)}:", f'raise IndexError("{error}")']
        self.checks[tuple(INDENT * depth + line for depth, line in enumerate(lines))] = None


def source_of(index: Traced) -> Traced:
    """The input or the positions that an index shows in some shape."""
    while is_view(index):
        index = index.parents[0]
    return index
