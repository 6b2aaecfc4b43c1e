"""The text of a program: the loops of a schedule as Python that a student could have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.compile.codegen.formulas import (
    NOTHING,
    Symbol,
    definitions,
    in_float32,
    in_float64,
    inline,
    literal,
    text_of,
)
from tinygrad_edu.compile.codegen.index_maps import bare, landing, through
from tinygrad_edu.compile.codegen.math_approximations import kernels
from tinygrad_edu.compile.codegen.names import free_name
from tinygrad_edu.compile.codegen.outline import SHARED, outline
from tinygrad_edu.compile.codegen.reductions import Reductions, in_blocks, innermost
from tinygrad_edu.compile.codegen.rounds import RoundWriter, stack_lines
from tinygrad_edu.compile.codegen.templates import CONTRACT, ENTRY, FAST, PLUS
from tinygrad_edu.compile.ir.constants import is_positions, value_of
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.truth import is_comparison
from tinygrad_edu.compile.passes.fuse import (
    Loop,
    LoopSchedule,
    Product,
    SizeNames,
    Stack,
    Step,
    TimeLoop,
    base,
    is_reduction,
    is_view,
)
from tinygrad_edu.core.operation import Operation

SIGNS = {
    "add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__", "neg": "__neg__",
    "greater": "__gt__", "greater_equal": "__ge__", "less": "__lt__", "less_equal": "__le__", "equal": "__eq__",
    "not_equal": "__ne__",
}  # fmt: skip

INDENT = "    "


@dataclass
class Writer(Reductions):
    """Writes the body of one program; knows what every node is called."""

    plan: LoopSchedule
    names: SizeNames
    outputs: dict[Traced, str]  # results that are written into arrays of the caller
    dtype: str = "float64"
    accurate: bool = False  # use the C library's functions, and add sums strictly from first to last
    lines: list[str] = field(default_factory=list)
    called: dict[str, Operation] = field(default_factory=dict)
    doubles: dict[str, str] = field(default_factory=dict)  # operations of single numbers in float64, by name
    text: dict[Traced, Symbol] = field(default_factory=dict)  # expressions of nodes at the current point of a loop
    arrays: dict[Traced, str] = field(default_factory=dict)
    buffers: dict[str, tuple[str, ...]] = field(default_factory=dict)  # arrays of the workspace -> their sizes
    partial: list[str] = field(default_factory=list)  # sums of which each thread adds up a part
    writes: list[str] = field(default_factory=list)  # statements at the end of the current loop's body
    taken: set[str] = field(default_factory=set)  # names in use
    parallel: bool = False  # whether threads share the outermost loops
    wide: bool = False  # single numbers are float64 until they meet an array, like Python's floats in an eager update
    letter: str = "t"  # start of the names of results without a label: t1, t2, ...
    prefix: str = ""  # prefix for names in a shared step
    counter: int = 0
    sums: bool = False
    # (sum of a block, total) of the sums in the current loop
    blocks: list[tuple[str, str]] = field(default_factory=list)
    entries: bool = False
    checks: dict[tuple[str, ...], None] = field(default_factory=dict)
    shared_steps: str = ""  # definitions of steps that occur more than once

    def fresh(self, x: Traced) -> str:
        """A name for a result: its label where it has one."""
        self.counter += 1
        name = free_name(x.label, self.taken) if x.label else f"{self.letter}{self.counter}"
        self.taken.add(name)
        return name

    def body(self) -> list[str]:
        """Write every step of the schedule."""
        self.allocate()
        steps = []
        for step in self.plan.steps:
            self.write_step(step)
            steps.append(self.lines)
            self.lines = []
        if self.parallel:
            self.lines = [line for step in steps for line in step]
        else:
            self.lines, shared = outline(steps, set(self.outputs.values()), self.prefix)
            self.shared_steps += shared
        self.lines[:0] = [line for check in self.checks for line in check]
        return self.lines

    def write_step(self, step: Step) -> None:
        if isinstance(step, Product):
            self.write_product(step.node)
        elif isinstance(step, TimeLoop):
            self.lines += RoundWriter(self, step).text()
        elif isinstance(step, Stack):
            self.lines += stack_lines(self, step)
        else:
            self.write_loop(step)

    def allocate(self) -> None:
        """Give every stored result an array: the caller's, or one of the workspace."""
        for x in self.plan.stored:
            if x in self.outputs:
                self.arrays[x] = self.outputs[x]
            else:
                self.arrays[x] = self.fresh(x)
                self.buffers[self.arrays[x]] = self.names.shape(x)

    def write_product(self, node: Traced) -> None:
        points, indent = [], ""
        for i, size in enumerate(self.names.shape(node)[:-2]):  # the leading axes of a stack of matrices
            points.append("0" if size == "1" else f"i{i}")
            if size != "1":
                self.lines.append(f"{indent}for i{i} in range({bare(size)}):")
                indent += "    "
        a, b, out = (self.matrix(x, points) for x in (*node.parents, node))
        self.lines.append(f"{indent}dot({a}, {b}, {out})  # ({', '.join(self.names.shape(node))})")

    def matrix(self, x: Traced, points: Sequence[str]) -> str:
        """A matrix of a product: an array (perhaps reshaped), one matrix of a stack, or the transpose of either."""
        if op_name(x) == "transpose":
            return f"{self.matrix(x.parents[0], points)}.T"
        source = base(x)
        name, lead = source.name if source.op is None else self.arrays[source], self.names.shape(x)[:-2]
        if self.names.shape(x) != self.names.shape(source):
            name = f"view({name}, 0, ({', '.join(map(bare, self.names.shape(x)))}))"
        at = ["0" if n == "1" else i for n, i in zip(lead, points[len(points) - len(lead) :], strict=True)]
        return f"{name}[{', '.join(at)}]" if at else name

    def write_loop(self, loop: Loop) -> None:
        """The loop nest: what comes before, inside and after each level."""
        rank = len(loop.sizes)
        points = [f"i{axis}" if size != "1" else "0" for axis, size in enumerate(loop.sizes)]
        before: list[list[str]] = [[] for _ in range(rank + 1)]
        after: list[list[str]] = [[] for _ in range(rank + 1)]
        inside: list[str] = []
        shared = self.may_share(loop)
        for node in loop.nodes:
            if is_reduction(node):
                self.write_reduction(node, points, before, inside, after, shared)
            elif op_name(node) == "cumsum":
                self.write_running_sum(node, points, before[rank - 1], inside)
            else:
                self.write_elementwise(node, loop, points, inside)
        nest = self.nest(loop, points, before, inside + self.writes, after)
        self.lines += before[0] + (self.in_parts(nest, loop) if shared and nest else nest) + after[0]
        self.writes, self.partial, self.blocks = [], [], []
        self.forget(loop)

    def nest(
        self, loop: Loop, points: list[str], before: list[list[str]], inside: list[str], after: list[list[str]]
    ) -> list[str]:
        """The loops themselves; none if everything is computed where it is read."""
        lines, indents = [], [""]
        last = innermost(points)
        for depth, (size, point) in enumerate(zip(loop.sizes, points, strict=True), start=1):
            if point != "0" and inside:
                blocks = self.blocks if depth == last else []
                lines += in_blocks(indents[-1], point, bare(size), blocks) if blocks else []
                indents[-1] += INDENT * bool(blocks)
                lines += [] if blocks else [f"{indents[-1]}for {point} in range({bare(size)}):"]
            indents.append(indents[-1] + INDENT * (point != "0"))
            lines += [indents[-1] + line for line in before[depth]]
        lines += [indents[-1] + line for line in inside]
        for depth in reversed(range(1, len(points) + 1)):
            lines += [indents[depth] + line for line in after[depth]]
            if depth == last and self.blocks:
                lines += [f"{indents[depth - 1]}{total} += {block}" for block, total in self.blocks]
                indents[depth - 1] = indents[depth - 1].removesuffix(INDENT)
        return lines

    def forget(self, loop: Loop) -> None:
        """Forget the numbers at the points of a loop, which mean nothing after it."""
        for node in loop.nodes if loop.sizes else ():
            if not is_reduction(node):
                self.text.pop(node, None)

    def write_elementwise(self, node: Traced, loop: Loop, points: list[str], inside: list[str]) -> None:
        symbol = self.formula(node, points)
        uses = sum(p is node for other in loop.nodes for p in other.parents)
        if node in self.arrays:
            name = f"{self.arrays[node]}[{', '.join(points)}]"
            if uses or node in self.outputs:  # write the caller's array last, because it may be an input too
                local = self.fresh(node)
                inside.append(f"{local} = {symbol.text}")
                self.text[node], symbol = Symbol(local), Symbol(local)
            self.writes.append(f"{name} = {symbol.text}")
        elif uses > 1 or not loop.sizes or (uses and len(symbol.text) > 80):
            name = self.fresh(node)
            inside.append(f"{name} = {symbol.text}")
            self.text[node] = Symbol(name)
        else:
            self.text[node] = symbol
        if not loop.sizes and node in self.outputs:
            inside.append(f"{self.outputs[node]} = {self.text[node].text}")

    def write_running_sum(self, node: Traced, points: list[str], before: list[str], inside: list[str]) -> None:
        """Write a running sum along the innermost loop: the sum so far is the number at the point."""
        name = self.fresh(node)
        before.append(f"{name} = {self.constant('0.0')}")
        inside.append(f"{name} += {self.item(node.parents[0], points)}")
        self.text[node] = Symbol(name)
        if node in self.arrays:
            self.writes.append(f"{self.arrays[node]}[{', '.join(points)}] = {name}")

    def formula(self, node: Traced, points: Sequence[str]) -> Symbol:
        """The text of an elementwise operation at a point of the loop."""
        if op_name(node) == "class_of":
            return self.floating(self.class_number(node.parents[0], points, node.options["classes"]))
        wide = self.wide and not node.sizes
        parts: list[Any] = [self.double(p) if wide else self.at(p, points) for p in node.parents]
        assert isinstance(node.op, Operation)
        if node.op.name == "pos":
            return parts[0]  # type: ignore[no-any-return]
        if node.op.name in SIGNS:
            parts = [self.numeric(x, part) for x, part in zip(node.parents, parts, strict=True)]
            return getattr(parts[0], SIGNS[node.op.name])(*parts[1:])  # type: ignore[no-any-return]
        name = self.name_in_float64(node.op) if wide else node.op.name
        if name == node.op.name:
            self.called[name] = node.op
        return Symbol(f"{name}({', '.join(map(text_of, parts))})")

    def name_in_float64(self, operation: Operation) -> str:
        """What an operation of single numbers is called; its text is kept if it is not the one for arrays."""
        name, text = in_float64(operation, frozenset(NOTHING if self.accurate else kernels(self.dtype)))
        if text:
            self.doubles[name] = text
        return name

    def at(self, x: Traced, points: Sequence[str]) -> Symbol:
        """The number of x at a point of the loop, through views and broadcasting."""
        points = list(points)[len(points) - x.ndim :]
        if is_view(x):
            return self.view(x, points)
        if x in self.text:
            return self.floating(self.text[x].text) if self.wide and not x.sizes else self.text[x]
        if not x.sizes:
            return self.number(x)
        if x.op is not None and x not in self.arrays:
            return self.formula(x, points)  # cheaper to recompute than to store
        if is_positions(x):
            return self.floating(points[0])
        indices = ["0" if self.names.of(n) == "1" else i for n, i in zip(x.sizes, points, strict=True)]
        text = f"{x.name if x.op is None else self.arrays[x]}[{', '.join(indices)}]"
        return self.floating(text) if x.integer else Symbol(text)

    def numeric(self, x: Traced, part: Symbol) -> Symbol:
        """A condition as 1 or 0: times a truth value, a float64 loop would not be vectorised (3x)."""
        if not is_comparison(x) or x in self.arrays:
            return part
        return Symbol(f"({self.constant('1.0')} if {part.text} else {self.constant('0.0')})")

    def item(self, x: Traced, points: Sequence[str]) -> str:
        """The number to add up at a point; for a condition 1 or 0: a sum of truth values would not stay float32."""
        return self.numeric(x, self.at(x, points)).text

    def view(self, x: Traced, points: list[str]) -> Symbol:
        """The number that a view shows at a point."""
        source: Traced = x.parents[0]
        conditions: list[str] = []
        if op_name(x) == "gather":
            points = self.look_up(x, points, source.sizes)
        elif op_name(x) == "place":
            conditions, points = landing(x, points, self.names)
        else:
            points = through(x, points, self.names)
        found = self.numeric(source, self.at(source, points))
        if not conditions:
            return found
        return Symbol(f"({found.text} if {' and '.join(conditions)} else {self.constant(literal(x.options['fill']))})")

    def floating(self, text: str) -> Symbol:
        """A whole number as a float, for arithmetic."""
        return Symbol(f"np.float32({text})" if self.dtype == "float32" else f"float({text})")

    def constant(self, text: str) -> str:
        return f"np.float32({text})" if self.dtype == "float32" else text

    def double(self, x: Traced) -> Symbol:
        """A single number as float64, where it is not one of the entries of an array."""
        while op_name(x) == "reshape" and not x.parents[0].sizes:
            x = x.parents[0]
        if x in self.text:
            return self.text[x]
        return self.number(x, wide=True) if x.op is None and not x.sizes else self.at(x, [])

    def number(self, x: Traced, wide: bool = False) -> Symbol:
        """A constant, a size or a number that was passed in; `wide`: as float64."""
        if value_of(x) is None:
            product = " * ".join(self.names.find(part) for part in x.name.split(" * "))
            # an int64 would make the result float64
            if self.dtype == "float32" and (self.wide or not x.label) and not (wide and x.label):
                return Symbol(f"float({product})" if wide else f"np.float32({product})")
            return Symbol(product if product.isidentifier() else f"({product})")
        text = f"np.float32({x.name})" if self.dtype == "float32" and not wide else x.name
        return Symbol(text, 4 if x.name.startswith("-") else 6)

    def functions(self) -> str:
        """The definitions of all operations that the body calls."""
        found = definitions(self.called.values(), NOTHING if self.accurate else kernels(self.dtype)).values()
        texts = map(in_float32, found) if self.dtype == "float32" else found
        more = "".join(text for text, used in ((PLUS, self.sums), (ENTRY, self.entries)) if used)
        text = inline([*texts, *self.doubles.values()], "" if self.accurate else CONTRACT) + more
        return text + (SHARED.format("" if self.accurate else FAST) + self.shared_steps) * bool(self.shared_steps)
