"""The text of a program: the loops of a schedule as Python that a student could have written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from tinygrad_edu.compile.fuse import Loop, Names, Product, Schedule, is_reduction, is_view
from tinygrad_edu.compile.kernels import kernels
from tinygrad_edu.compile.naming import free_name
from tinygrad_edu.compile.shapes import order_of_axes
from tinygrad_edu.compile.symbols import NOTHING, Symbol, definitions, in_float32, text_of
from tinygrad_edu.compile.trace import Traced, op_name, value_of
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.operation import Operation

HEADER = """\
import math

import numpy as np

try:
    from numba import njit
except ImportError:  # the same numbers without it, slowly
    from types import SimpleNamespace

    # NumPy's functions give inf and nan where Python's own raise.
    math = SimpleNamespace(**vars(math) | {name: f for name, f in vars(np).items() if name in vars(math)})

    def njit(**options):
        return lambda function: function

"""
MATMUL = """\
@njit(error_model="numpy")
def matmul(a, b, out):
    if a.shape[0] * a.shape[1] * b.shape[1] > 512:
        np.dot(a, b, out)
        return
    if a.shape[1] == 0:
        out[...] = 0.0
        return
    for i in range(a.shape[0]):
        for j in range(b.shape[1]):
            total = a[i, 0] * b[0, j]
            for k in range(1, a.shape[1]):
                total += a[i, k] * b[k, j]
            out[i, j] = total

"""
# No entry points of their own for the pieces of a program: a third of their compile time (5 of them: 0.55 → 0.4 s).
# "contract": a product and a sum may become one instruction, rounded once (float64 exp 1.4 ns instead of 2.3).
INLINED = """\
# The pieces of the program, put where they are used; they cannot be called from Python.
inlined = njit(error_model="numpy", forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True{})

"""
CONTRACT = ', fastmath={"contract"}'
# A loop with a sum is vectorised only where the items may be added in another order. This holds for the one addition.
PLUS = """\
@njit(fastmath={"reassoc"}, forceinline=True, no_cpython_wrapper=True, no_cfunc_wrapper=True)
def plus(total, item):  # in several partial sums
    return total + item

"""
SIGNS = {
    "add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__", "neg": "__neg__",
    "greater": "__gt__", "greater_equal": "__ge__", "less": "__lt__", "less_equal": "__le__", "equal": "__eq__",
    "not_equal": "__ne__",
}  # fmt: skip


@dataclass
class Writer:
    """Writes the body of one program; knows what every node is called."""

    plan: Schedule
    names: Names
    outputs: dict[Traced, str]  # results that the caller has arrays for
    dtype: str = "float64"
    accurate: bool = False  # the C library's functions, and sums from the first item to the last
    lines: list[str] = field(default_factory=list)
    called: dict[str, Operation] = field(default_factory=dict)
    text: dict[Traced, Symbol] = field(default_factory=dict)  # of numbers, at the present point of a loop
    arrays: dict[Traced, str] = field(default_factory=dict)
    buffers: dict[str, tuple[str, ...]] = field(default_factory=dict)  # arrays of the workspace and their sizes
    writes: list[str] = field(default_factory=list)  # of the loop at work: what stands at the end of its body
    taken: set[str] = field(default_factory=set)  # names
    counter: int = 0
    products: bool = False
    sums: bool = False

    def fresh(self, x: Traced) -> str:
        """A name for a result: its label where it has one."""
        self.counter += 1
        name = free_name(x.label, self.taken) if x.label else f"t{self.counter}"
        self.taken.add(name)
        return name

    def body(self) -> list[str]:
        """Every step of the plan."""
        self.allocate()
        for step in self.plan.steps:
            if isinstance(step, Product):
                self.write_product(step.node)
            else:
                self.write_loop(step)
        return self.lines

    def allocate(self) -> None:
        """Every stored result gets an array: the caller's, or one of the workspace."""
        for x in self.plan.stored:
            if x in self.outputs:
                self.arrays[x] = self.outputs[x]
            else:
                self.arrays[x] = self.fresh(x)
                self.buffers[self.arrays[x]] = self.names.shape(x)

    def write_product(self, node: Traced) -> None:
        self.products = True
        a, b = (self.matrix(p) for p in node.parents)
        self.lines.append(f"matmul({a}, {b}, {self.arrays[node]})  # ({', '.join(self.names.shape(node))})")

    def matrix(self, x: Traced) -> str:
        """An operand of a product: an array, or the transpose of one."""
        if is_view(x):
            return f"{self.matrix(x.parents[0])}.T"
        return x.name if x.op is None else self.arrays[x]

    def write_loop(self, loop: Loop) -> None:
        """The loop nest: what comes before, inside and after each level."""
        rank = len(loop.sizes)
        points = [f"i{axis}" if size != "1" else "0" for axis, size in enumerate(loop.sizes)]
        before: list[list[str]] = [[] for _ in range(rank + 1)]
        after: list[list[str]] = [[] for _ in range(rank + 1)]
        inside: list[str] = []
        for node in loop.nodes:
            if is_reduction(node):
                self.write_reduction(node, points, before, inside, after)
            else:
                self.write_elementwise(node, loop, points, inside)
        for depth in range(rank + 1):
            self.lines += ["    " * depth + line for line in before[depth]]
            if depth < rank:
                self.lines.append("    " * depth + f"for i{depth} in range({loop.sizes[depth]}):")
        self.lines += ["    " * rank + line for line in inside + self.writes]
        self.writes = []
        for depth in reversed(range(rank + 1)):
            self.lines += ["    " * depth + line for line in after[depth]]
        self.forget(loop)

    def forget(self, loop: Loop) -> None:
        """Numbers of a loop's points mean nothing after it."""
        for node in loop.nodes if loop.sizes else ():
            if not is_reduction(node):
                self.text.pop(node, None)

    def write_elementwise(self, node: Traced, loop: Loop, points: list[str], inside: list[str]) -> None:
        symbol = self.formula(node, points)
        uses = sum(p is node for other in loop.nodes for p in other.parents)
        if node in self.arrays:
            name = f"{self.arrays[node]}[{', '.join(points)}]"
            if uses or node in self.outputs:  # the caller's array may be an input too: it is written last
                local = self.fresh(node)
                inside.append(f"{local} = {symbol.text}")
                self.text[node], symbol = Symbol(local), Symbol(local)
            self.writes.append(f"{name} = {symbol.text}")
        elif uses > 1 or not loop.sizes or len(symbol.text) > 80:
            name = self.fresh(node)
            inside.append(f"{name} = {symbol.text}")
            self.text[node] = Symbol(name)
        else:
            self.text[node] = symbol
        if not loop.sizes and node in self.outputs:
            inside.append(f"{self.outputs[node]} = {self.text[node].text}")

    def formula(self, node: Traced, points: Sequence[str]) -> Symbol:
        """An elementwise operation on its inputs at a point."""
        parts: list[Any] = [self.at(p, points) for p in node.parents]
        assert isinstance(node.op, Operation)
        if node.op.name == "pos":
            return parts[0]  # type: ignore[no-any-return]
        if node.op.name in SIGNS:
            return getattr(parts[0], SIGNS[node.op.name])(*parts[1:])  # type: ignore[no-any-return]
        self.called[node.op.name] = node.op
        return Symbol(f"{node.op.name}({', '.join(map(text_of, parts))})")

    def at(self, x: Traced, points: Sequence[str]) -> Symbol:
        """The number of x at a point of the loop, through views and broadcasting."""
        points = list(points)[len(points) - x.ndim :]
        if is_view(x):
            return self.at(x.parents[0], through(x, points, self.names))
        if x in self.text:
            return self.text[x]
        if not x.sizes:
            return self.number(x)
        if x.op is not None and x not in self.arrays:
            return self.formula(x, points)  # cheaper to compute again than to keep
        indices = ["0" if self.names.of(n) == "1" else i for n, i in zip(x.sizes, points, strict=True)]
        return Symbol(f"{x.name if x.op is None else self.arrays[x]}[{', '.join(indices)}]")

    def number(self, x: Traced) -> Symbol:
        """A constant, a size or a number that was given."""
        if value_of(x) is None:
            product = " * ".join(self.names.find(part) for part in x.name.split(" * "))
            if self.dtype == "float32" and not x.label:  # an integer would make the result float64
                return Symbol(f"np.float32({product})")
            return Symbol(product if product.isidentifier() else f"({product})")
        text = f"np.float32({x.name})" if self.dtype == "float32" else x.name
        return Symbol(text, 4 if x.name.startswith("-") else 6)

    def write_reduction(
        self, node: Traced, points: list[str], before: list[list[str]], inside: list[str], after: list[list[str]]
    ) -> None:
        """A running sum or maximum: in a variable where the inner loops are reduced, else in the array of results."""
        axes = broadcasting.axes_of(node.parents[0], node.options["axis"])
        kept = [axis for axis in range(len(points)) if axis not in axes]
        depth = 1 + max(kept, default=-1)
        keepdims = node.options["keepdims"]
        where = [points[a] if a in kept else "0" for a in range(len(points)) if a in kept or keepdims]
        start = "0.0" if op_name(node) == "sum" else "-math.inf"
        if self.dtype == "float32":
            start = f"np.float32({start})"
        item = self.at(node.parents[0], points).text
        if all(axis >= depth for axis in axes):
            name = self.fresh(node)
            before[depth].append(f"{name} = {start}")
            inside.append(self.accumulate(node, name, item, self.accurate))
            if node in self.arrays:
                after[depth].append(f"{self.arrays[node]}[{', '.join(where)}] = {name}")
            else:
                self.text[node] = Symbol(name)
                if node in self.outputs:
                    after[0].append(f"{self.outputs[node]} = {name}")
        else:
            before[0].append(f"{self.arrays[node]}[...] = {start}")
            inside.append(self.accumulate(node, f"{self.arrays[node]}[{', '.join(where)}]", item, in_order=True))

    def accumulate(self, node: Traced, name: str, item: str, in_order: bool) -> str:
        """One more item into a sum or maximum."""
        if op_name(node) == "max":
            self.called["maximum"] = ops.maximum
            return f"{name} = maximum({name}, {item})"
        if in_order:
            return f"{name} += {item}"
        self.sums = True
        return f"{name} = plus({name}, {item})"

    def functions(self) -> str:
        """The definitions of all operations that the body calls."""
        found = definitions(self.called.values(), NOTHING if self.accurate else kernels(self.dtype)).values()
        texts = map(in_float32, found) if self.dtype == "float32" else found
        pieces = [f"@inlined\n{text}\n\n" if text.startswith("def ") else f"{text}\n" for text in texts]
        head = INLINED.format("" if self.accurate else CONTRACT) if pieces else ""
        return head + "".join(pieces) + (PLUS if self.sums else "") + (MATMUL if self.products else "")


def through(view: Traced, points: Sequence[str], names: Names) -> list[str]:
    """The indices of a view's source for the indices of the view."""
    source = view.parents[0]
    if op_name(view) == "transpose":
        order = order_of_axes(source, view.options["axes"])
        return [points[order.index(axis)] for axis in range(source.ndim)]
    if op_name(view) == "broadcast_to":
        return list(points)[len(points) - source.ndim :]
    long = [(size, i) for size, i in zip(names.shape(view), points, strict=True) if size != "1"]
    wanted = [size for size in names.shape(source) if size != "1"]
    found = iter([i for _, i in long] if [size for size, _ in long] == wanted else unravelled(wanted, long))
    return ["0" if size == "1" else next(found) for size in names.shape(source)]


def unravelled(sizes: Sequence[str], given: Sequence[tuple[str, str]]) -> list[str]:
    """The indices along `sizes` of the number that stands at the (size, index) pairs `given` of another shape."""
    place = ""
    for size, index in given:
        place = f"({place}) * ({size}) + {index}" if place else index
    found: list[str] = []
    for size in reversed(sizes):
        found.append(f"({place}) % ({size})" if len(found) < len(sizes) - 1 else place)
        place = f"({place}) // ({size})"
    return found[::-1]
