"""Sums, products and maxima over axes: in a variable, in an array of results, and long sums of float32 in blocks."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from tinygrad_edu.compile.codegen.formulas import Symbol
from tinygrad_edu.compile.codegen.index_maps import bare, slide
from tinygrad_edu.compile.codegen.lookups import Lookups
from tinygrad_edu.compile.codegen.names import free_name
from tinygrad_edu.compile.codegen.threads import Threads
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.operation import Operation

INDENT = "    "
BLOCK = 1024  # items of a float32 sum added before the block goes to the total
STARTS = {"sum": "0.0", "prod": "1.0", "max": "-math.inf"}  # value of a reduction before its first item


class Reductions(Lookups, Threads):
    """The part of a Writer that writes reductions."""

    outputs: dict[Traced, str]
    dtype: str
    accurate: bool
    called: dict[str, Operation]
    text: dict[Traced, Symbol]
    arrays: dict[Traced, str]
    taken: set[str]
    sums: bool  # whether the text calls `plus`
    blocks: list[tuple[str, str]]  # (sum of a block, total) of the sums in the current loop

    def fresh(self, x: Traced) -> str:
        raise NotImplementedError

    def constant(self, text: str) -> str:
        raise NotImplementedError

    def item(self, x: Traced, points: Sequence[str]) -> str:
        raise NotImplementedError

    def write_reduction(
        self,
        node: Traced,
        points: list[str],
        before: list[list[str]],
        inside: list[str],
        after: list[list[str]],
        shared: bool,
    ) -> None:
        """A running sum or maximum: in a variable where the inner loops are reduced, else in the array of results."""
        if op_name(node) in ("scatter", "settle"):
            self.write_scatter(node, points, before[0], inside)
            return
        axes = broadcasting.axes_of(node.parents[0], node.options["axis"])
        kept = [axis for axis in range(len(points)) if axis not in axes]
        depth = 1 + max(kept, default=-1)
        keepdims = node.options["keepdims"]
        where = [points[a] if a in kept else "0" for a in range(len(points)) if a in kept or keepdims]
        start = self.constant(STARTS[op_name(node)])
        item = self.item(node.parents[0], points)
        blocked = not shared and self.adds_in_blocks(node, points, axes)
        if all(axis >= depth for axis in axes):
            name = self.fresh(node)
            if blocked:
                inside.append(self.sum_in_blocks(name, item, before[depth], after[depth]))
            elif not kept and shared:
                inside.append(self.sum_in_parts(node, name, item, before[depth], after[depth]))
            else:
                before[depth].append(f"{name} = {start}")
                inside.append(self.accumulate(node, name, item, self.accurate))
            if node in self.arrays:
                after[depth].append(f"{self.arrays[node]}[{', '.join(where)}] = {name}")
            else:
                self.text[node] = Symbol(name)
                after[0] += [f"{self.outputs[node]} = {name}"] if node in self.outputs else []
        elif blocked:  # inner sums first, as in NumPy
            name, inner = self.fresh(node), innermost(points) - 1
            before[0] += self.fill(node, start)
            inside.append(self.sum_in_blocks(name, item, before[inner], after[inner]))
            after[inner].append(f"{self.arrays[node]}[{', '.join(where)}] += {name}")
        else:
            before[0] += self.fill(node, start)
            inside.append(self.accumulate(node, f"{self.arrays[node]}[{', '.join(where)}]", item, in_order=True))

    def write_scatter(self, node: Traced, points: list[str], before: list[str], inside: list[str]) -> None:
        """Items added to the entries that an index, or the windows of a convolution, choose."""
        before += self.fill(node, self.constant("0.0"))
        look = self.look_up(node, points, node.sizes) if op_name(node) == "scatter" else None
        where = look or slide(node, points)
        inside.append(f"{self.arrays[node]}[{', '.join(where)}] += {self.item(node.parents[0], points)}")

    def adds_in_blocks(self, node: Traced, points: Sequence[str], axes: Collection[int]) -> bool:
        """Is it a sum of float32 that goes on in the innermost loop, and not one of rows?

        Rows of 4 would take 2 ns more each. Where all digits are asked for, rows are added in float64 too.
        """
        loops = [axis for axis, point in enumerate(points) if point != "0"]
        whole = bool(loops) and loops[-1] in axes and (loops[0] in axes or self.accurate)
        return whole and op_name(node) == "sum" and self.dtype == "float32"

    def sum_in_blocks(self, name: str, item: str, before: list[str], after: list[str]) -> str:
        """A long sum of float32: in float64, block by block, because each addition to a large sum loses digits.

        A million times 0.1: 100000.01 as NumPy's pairwise sum, in one float32 100022.35.
        """
        total, block = (free_name(f"{name}_{what}", self.taken) for what in ("sum", "block"))
        self.taken.update((total, block))
        before.append(f"{total} = 0.0")
        after.append(f"{name} = np.float32({total})")
        if self.accurate:
            return f"{total} += {item}"
        self.blocks.append((block, total))
        self.sums = True
        return f"{block} = plus({block}, {item})"

    def sum_in_parts(self, node: Traced, name: str, item: str, before: list[str], after: list[str]) -> str:
        """A sum of which each thread adds up its own part, in float64."""
        total = free_name(f"{name}_sum", self.taken)
        self.taken.add(total)
        self.partial.append(total)
        before.append(f"{total} = 0.0")
        after.append(f"{name} = np.float32({total})" if self.dtype == "float32" else f"{name} = {total}")
        return self.accumulate(node, f"{total}_part", item, self.accurate)

    def fill(self, x: Traced, start: str) -> list[str]:
        """A loop: Numba takes 0.5 s to compile x[...] = start."""
        lines: list[str] = []
        points: list[str] = []
        for axis, size in enumerate(self.names.shape(x)):
            points.append("0" if size == "1" else f"i{axis}")
            if size != "1":
                lines.append("    " * len(lines) + f"for i{axis} in range({bare(size)}):")
        return [*lines, "    " * len(lines) + f"{self.arrays[x]}[{', '.join(points)}] = {start}"]

    def accumulate(self, node: Traced, name: str, item: str, in_order: bool) -> str:
        """One more item into a sum, a product or a maximum."""
        if op_name(node) == "max":
            self.called["maximum"] = ops.maximum
            return f"{name} = maximum({name}, {item})"
        if op_name(node) == "prod":
            return f"{name} *= {item}"
        if in_order:
            return f"{name} += {item}"
        self.sums = True
        return f"{name} = plus({name}, {item})"


def innermost(points: Sequence[str]) -> int:
    """The depth of the innermost loop; 0 for none."""
    return max((depth for depth, point in enumerate(points, start=1) if point != "0"), default=0)


def in_blocks(indent: str, point: str, size: str, blocks: Sequence[tuple[str, str]]) -> list[str]:
    """The innermost loop in blocks, each with sums of its own."""
    start = f"{point}_from"
    return [
        f"{indent}for {start} in range(0, {size}, {BLOCK}):",
        *(f"{indent}{INDENT}{block} = np.float32(0.0)" for block, _ in blocks),
        f"{indent}{INDENT}for {point} in range({start}, min({start} + {BLOCK}, {size})):",
    ]
