"""Nodes of a trace in ONNX: inputs, constants, changes of view, reductions, products, convolutions, loops.

The number of rows of the input is not fixed in the graph; every other size is that of the trace.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.constants import value_of
from tinygrad_edu.compile.ir.dims import NAME, Size, evaluate, length
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.shape_rules import order_of_axes
from tinygrad_edu.compile.onnx_graph.formulas import Formulas
from tinygrad_edu.compile.onnx_graph.nodes import FLOAT, WHOLE, Edge, Nodes
from tinygrad_edu.compile.passes.fuse import SizeNames
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core import broadcasting
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.errors import TraceError

Memo = dict[Traced, Any]
REDUCTIONS = {"sum": "ReduceSum", "max": "ReduceMax", "prod": "ReduceProd"}
WITH_AXIS = {"softmax": "Softmax", "log_softmax": "LogSoftmax"}
KEPT = frozenset(["conv"])  # operations that a trace keeps whole, because ONNX has them


class Arrays:
    """Writes the nodes of a trace into a graph; `rows`: the input whose first axis has any length."""

    def __init__(self, trace: Trace, nodes: Nodes, rows: str, known: Mapping[str, Edge]) -> None:
        self.trace, self.nodes, self.known = trace, nodes, known
        self.formulas, self.names = Formulas(nodes), SizeNames(trace.conditions.equal)
        sizes = [n for x in trace.inputs.values() for n in x.sizes if isinstance(n, Size)]
        self.lengths = {n.text: n.length for n in sizes}
        self.x, self.rows = known[rows], self.names.of(trace.inputs[rows].sizes[0])

    def refuse_rows(self) -> None:
        """Errors: TraceError if another number of rows would need another trace."""
        for rows in (3, 1009):
            lengths = {name: rows if self.names.find(name) == self.rows else n for name, n in self.lengths.items()}
            if not self.trace.conditions.hold(lengths):
                raise TraceError("the model's computation depends on the number of rows, which is not known in ONNX")

    def write(self, root: Traced, memo: Memo) -> Edge:
        """The value of a node, after those of all that it needs."""
        for x in topological(root, lambda x: x.parents if x not in memo else ()):
            if x not in memo:
                memo[x] = self.leaf(x) if x.op is None else self.apply(x, [memo[p] for p in x.parents])
        found: Edge = memo[root]
        return found

    def apply(self, x: Traced, given: list[Any]) -> Any:
        name = op_name(x)
        if isinstance(x.op, Operation):
            return self.formulas.apply(x.op, given)
        writer: Callable[..., Any] | None = getattr(self, f"write_{name}", None)
        if writer is not None:
            return writer(x, *given)
        body = getattr(x.op, "made_of", None)
        if body is None:
            raise TraceError(f"{name} has no counterpart in ONNX: it cannot be exported")
        return self.write(
            self.trace.run(lambda: body(*x.parents, **x.options)), dict(zip(x.parents, given, strict=True))
        )

    # Leaves and sizes

    def leaf(self, x: Traced) -> Edge:
        """An input, a constant, a size as a number, or the positions along an axis."""
        if x.name in self.known:
            return self.known[x.name]
        if x.name.startswith("range("):
            return self.places(x.sizes[0])
        value = value_of(x)
        if value is not None:
            return self.nodes.constant(value)
        return self.nodes.cast(self.size(x.name), FLOAT)

    def places(self, n: ArrayLike) -> Edge:
        if self.fixed(n):
            return self.nodes.constant(np.arange(length(n)))
        zero, one = (self.nodes.constant(i, WHOLE) for i in (0, 1))
        return self.nodes.cast(self.nodes.add("Range", [zero, self.size(n.text), one], WHOLE), FLOAT)

    def fixed(self, n: ArrayLike) -> bool:
        """Is it the same for every number of rows?"""
        return not isinstance(n, Size) or self.rows not in map(self.names.find, NAME.findall(n.text))

    def size(self, text: str) -> Edge:
        """A product of sizes as a whole number."""
        parts = [self.names.find(part) for part in text.split(" * ")]
        rest = math.prod(self.length_of(part) for part in parts if part != self.rows)
        found = self.nodes.constant(rest, WHOLE)
        for _ in range(parts.count(self.rows)):
            shape = self.nodes.add("Shape", [self.x], WHOLE)
            n = self.nodes.add("Gather", [shape, self.nodes.constant(0, WHOLE)], WHOLE, axis=0)
            found = n if rest == 1 else self.nodes.add("Mul", [n, found], WHOLE)
        return found

    def length_of(self, part: str) -> int:
        """A size that is not that of the rows."""
        if self.rows in map(self.names.find, NAME.findall(part)):
            raise TraceError(f"the size {part} depends on the number of rows, which is not known in ONNX")
        return evaluate(part, self.lengths)

    def shape(self, sizes: Sequence[Any]) -> Edge:
        """Sizes as one array of whole numbers."""
        if all(map(self.fixed, sizes)):
            return self.nodes.constant([length(n) for n in sizes], WHOLE)
        one = self.nodes.constant([1], WHOLE)
        parts = [
            self.nodes.constant([length(n)], WHOLE)
            if self.fixed(n)
            else self.nodes.add("Reshape", [self.size(n.text), one], WHOLE)
            for n in sizes
        ]
        return self.nodes.add("Concat", parts, WHOLE, axis=0)

    # Views

    def write_reshape(self, x: Traced, source: Edge) -> Edge:
        free = [i for i, n in enumerate(x.sizes) if not self.fixed(n)]
        if len(free) == 1:  # ONNX infers one free size from the rest (-1)
            sizes = self.nodes.constant([-1 if i in free else length(n) for i, n in enumerate(x.sizes)], WHOLE)
        else:
            sizes = self.shape(x.sizes)
        return self.nodes.add("Reshape", [source, sizes], source.kind)

    def write_transpose(self, x: Traced, source: Edge) -> Edge:
        order = order_of_axes(x, x.options["axes"])
        return self.nodes.add("Transpose", [source], source.kind, perm=list(order))

    def write_broadcast_to(self, x: Traced, source: Edge) -> Edge:
        return self.nodes.add("Expand", [source, self.shape(x.sizes)], source.kind)

    def write_window(self, x: Traced, source: Edge) -> Edge:
        """start + step·i along each axis."""
        found = source
        parts = zip(x.options["starts"], x.options["steps"], x.sizes, x.parents[0].sizes, strict=True)
        for axis, (start, step, n, total) in enumerate(parts):
            if (start, step) == (0, 1) and self.names.of(n) == self.names.of(total):
                continue
            if not (self.fixed(n) and self.fixed(start)):
                raise TraceError("the model takes a part of the rows, whose number is not known in ONNX")
            first = length(start)
            last = first + step * (length(n) - 1) + (1 if step > 0 else -1)
            numbers = [[first], [last if last >= 0 else -(2**31)], [axis], [step]]
            found = self.nodes.add("Slice", [found, *(self.nodes.constant(i, WHOLE) for i in numbers)], source.kind)
        return found

    def write_place(self, x: Traced, source: Edge) -> Edge:
        """Where a window would read it, in an array that is `fill` everywhere else."""
        found, before, after = source, [0] * x.ndim, [0] * x.ndim
        parts = zip(x.options["starts"], x.options["steps"], x.parents[0].sizes, x.sizes, strict=True)
        for axis, (start, step, n, total) in enumerate(parts):
            if (start, step) == (0, 1) and self.names.of(n) == self.names.of(total):
                continue
            found = self.spread(found, x, axis, step)
            span = 1 + (length(n) - 1) * abs(step)
            first = length(start) if step > 0 else length(start) - span + 1
            before[axis], after[axis] = first, length(total) - first - span
        pads, fill = self.nodes.constant([*before, *after], WHOLE), self.nodes.constant(x.options["fill"])
        return self.nodes.add("Pad", [found, pads, fill]) if any([*before, *after]) else found

    def spread(self, source: Edge, x: Traced, axis: int, step: int) -> Edge:
        """`step` apart along an axis, with `fill` in between; reversed if it is negative."""
        nodes, n, gap = self.nodes, length(x.parents[0].sizes[axis]), abs(step)
        if step < 0:
            order = nodes.constant(np.arange(n)[::-1], WHOLE)
            source = nodes.add("Gather", [source, order], axis=axis)
        if gap == 1:
            return source
        apart = nodes.add("Unsqueeze", [source, nodes.constant([axis + 1], WHOLE)])
        pads = np.zeros(2 * (x.ndim + 1), int)
        pads[x.ndim + 1 + axis + 1] = gap - 1
        apart = nodes.add("Pad", [apart, nodes.constant(pads, WHOLE), nodes.constant(x.options["fill"])])
        sizes = [0 if i < axis else -1 if i == axis else length(m) for i, m in enumerate(x.parents[0].sizes)]
        joined = nodes.add("Reshape", [apart, nodes.constant(sizes, WHOLE)])
        ends = [[0], [1 + (n - 1) * gap], [axis], [1]]
        return nodes.add("Slice", [joined, *(nodes.constant(i, WHOLE) for i in ends)])

    def write_slide(self, x: Traced, source: Edge) -> Edge:
        """x[..., i·stride + k·dilation] at (..., k, i): along one axis after the other."""
        n, found = len(x.options["stride"]), source
        lead = x.ndim - 2 * n
        for axis in range(n):
            k, i = (np.arange(length(x.sizes[lead + axis + shift * n])) for shift in (0, 1))
            index = k[:, None] * x.options["dilation"][axis] + i[None] * x.options["stride"][axis]
            found = self.nodes.add("Gather", [found, self.nodes.constant(index, WHOLE)], axis=lead + 2 * axis)
        order = [*range(lead), *range(lead, x.ndim, 2), *range(lead + 1, x.ndim, 2)]
        return self.nodes.add("Transpose", [found], perm=order) if n > 1 else found

    def write_settle(self, x: Traced, source: Edge) -> Edge:
        """The sum of all windows where `slide` reads them: a product with a matrix of 0 and 1."""
        n, inner = len(x.options["stride"]), x.parents[0]
        ends, windows = [length(m) for m in x.sizes[-n:]], [length(m) for m in inner.sizes[-2 * n :]]
        places = np.zeros(windows, int)
        for axis in range(n):
            k, i = np.ogrid[: windows[axis], : windows[n + axis]]
            at = k * x.options["dilation"][axis] + i * x.options["stride"][axis]
            shape = [windows[j] if j in (axis, n + axis) else 1 for j in range(2 * n)]
            places = places * ends[axis] + at.reshape(shape)
        matrix = np.zeros((math.prod(windows), math.prod(ends)))
        matrix[np.arange(matrix.shape[0]), places.ravel()] = 1.0
        lead = [0] * (inner.ndim - 2 * n)
        flat = self.nodes.add("Reshape", [source, self.nodes.constant([*lead, math.prod(windows)], WHOLE)])
        summed = self.nodes.add("MatMul", [flat, self.nodes.constant(matrix)])
        return self.nodes.add("Reshape", [summed, self.nodes.constant([*lead, *ends], WHOLE)])

    def write_gather(self, x: Traced, source: Edge, index: Edge, *others: Edge) -> Edge:
        if others:
            raise TraceError("entries that several arrays of indices choose, such as z[range(n), y]")
        if index.kind != WHOLE:
            raise TraceError("rows are looked up by numbers that are not whole")
        return self.nodes.add("Gather", [source, index], source.kind, axis=x.options["axis"])

    # Sums and products

    def reduce(self, x: Traced, source: Edge) -> Edge:
        axes = list(broadcasting.axes_of(x.parents[0], x.options["axis"]))
        if not axes:
            return source
        given = [self.formulas.number(source), self.nodes.constant(axes, WHOLE)]
        return self.nodes.add(REDUCTIONS[op_name(x)], given, keepdims=int(x.options["keepdims"]))

    write_sum = write_max = write_prod = reduce

    def write_matmul(self, _: Traced, a: Edge, b: Edge) -> Edge:
        return self.nodes.add("MatMul", [self.formulas.number(a), self.formulas.number(b)])

    def along_axis(self, x: Traced, source: Edge) -> Edge:
        return self.nodes.add(WITH_AXIS[op_name(x)], [self.formulas.number(source)], axis=int(x.options["axis"]))

    write_softmax = write_log_softmax = along_axis

    def write_conv(self, x: Traced, source: Edge, weight: Edge) -> Edge:
        sizes = [length(n) for n in x.parents[1].sizes[2:]]
        settings: dict[str, Any] = {"strides": list(x.options["stride"]), "dilations": list(x.options["dilation"])}
        return self.nodes.add("Conv", [source, weight], kernel_shape=sizes, group=int(x.options["groups"]), **settings)

    # Loops

    def write_scan(self, x: Traced, *given: Edge) -> dict[Any, Edge]:
        """A loop over stacks as ONNX's Scan; one that only counts, its rounds one after another."""
        rounds = x.options["rounds"]
        k, m = len(rounds.states), len(rounds.slices)
        states, stacks, rest = given[:k], given[k : k + m], given[k + m :]
        if not m:
            return self.unroll(rounds, list(states), rest)
        body, kinds = self.body_of(rounds, [*states, *stacks], rest)
        turned, n = int(rounds.backwards), len(rounds.outputs)
        names = [self.nodes.fresh("Scan") for _ in range(k + n)]
        self.nodes.nodes.append(
            self.nodes.onnx.helper.make_node(
                "Scan", [edge.name for edge in (*states, *stacks)], names, name=names[0], body=body, num_scan_inputs=m,
                scan_input_directions=[turned] * m, scan_output_directions=[turned] * n,
            )
        )  # fmt: skip
        found = [Edge(name, kind) for name, kind in zip(names, kinds, strict=True)]
        return {("state", i): found[i] for i in range(k)} | {("ys", i): found[k + i] for i in range(n)}

    def body_of(self, rounds: Any, given: Sequence[Edge], rest: Sequence[Edge]) -> tuple[Any, list[str]]:
        """One round as a graph, which refers to outer values by name; and the kinds of its results."""
        helper, nodes = self.nodes.onnx.helper, self.nodes
        inputs = [Edge(nodes.fresh("round"), edge.kind) for edge in given]
        before, nodes.nodes = nodes.nodes, []
        try:
            memo: Memo = dict(zip(rounds.leaves, [*inputs, *rest], strict=True))
            found = [self.write(root, memo) for root in rounds.roots]
            found = [
                nodes.cast(edge, given[i].kind) if i < len(rounds.states) else edge for i, edge in enumerate(found)
            ]
            # ONNX allows no result that is an input, or occurs twice
            results = [nodes.add("Identity", [edge], edge.kind) for edge in found]
            infos = [
                [helper.make_tensor_value_info(edge.name, nodes.onnx_type(edge.kind), None) for edge in edges]
                for edges in (inputs, results)
            ]
            return helper.make_graph(nodes.nodes, "round", *infos), [edge.kind for edge in results]
        finally:
            nodes.nodes = before

    def unroll(self, rounds: Any, states: list[Edge], rest: Sequence[Edge]) -> dict[Any, Edge]:
        """All rounds one after another; what the loop gives, by part."""
        if not self.fixed(rounds.count):
            raise TraceError("a loop over the rows is not exported: their number is not known in ONNX")
        outputs: list[list[Edge]] = [[] for _ in rounds.outputs]
        for _ in range(length(rounds.count)):
            memo: Memo = dict(zip(rounds.leaves, [*states, *rest], strict=True))
            states = [self.write(after, memo) for after in rounds.after]
            for stack, output in zip(outputs, rounds.outputs, strict=True):
                stack.append(self.write(output, memo))
        found = {("state", i): state for i, state in enumerate(states)}
        ordered = [stack[::-1] if rounds.backwards else stack for stack in outputs]
        return found | {("ys", i): self.stack(stack) for i, stack in enumerate(ordered)}

    def stack(self, entries: Sequence[Edge]) -> Edge:
        zero = self.nodes.constant([0], WHOLE)
        return self.nodes.add("Concat", [self.nodes.add("Unsqueeze", [x, zero], x.kind) for x in entries], axis=0)

    def write_pick(self, x: Traced, parts: Mapping[Any, Edge]) -> Edge:
        kind, i = x.options["part"]
        return parts[kind, i]
