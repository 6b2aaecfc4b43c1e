"""Scalar graphs as flat arrays, replayed forward and backward by one compiled loop for every graph.

A node is a row: the number of its operation and the rows of its inputs. The loop is generated from the table once,
compiled once for a machine, and kept on disk; a new graph needs no compiler. Row after row takes 4 ns a node, both
passes; where the same expression occurs for many samples, as in a full batch of 65,616 nodes through a 2-16-16-1
network, it is computed in vectors (wide_runs.py): 1 ns. (AMD Zen 5. The compiler takes 0.6 s, once, and one second
more for the loops in vectors, at the first tape that needs them.)
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.scalar.tape_loops import LEAF, in_vectors, loops, numbering
from tinygrad_edu.compile.scalar.wide_runs import WIDE, lay_out, rows_in
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.core.value import PARENTS, Value


def rows_for(order: Sequence[Value]) -> tuple[Operation, ...]:
    """The table, followed by the user's own operations among the nodes, which make loops of their own."""
    own = {x.op.name: x.op for x in order if x.op is not None and TABLE.get(x.op.name) is not x.op}
    return (*TABLE.values(), *own.values())


class Tape:
    """The graph of one Value as flat arrays: `code`, `inputs`, `data` and `grad`, a row for each node.

    >>> x = Value(3.0)
    >>> tape = Tape([x * x + 1.0])
    >>> tape.data[tape.row(x)] = 4.0
    >>> tape.forward(); tape.backward([1.0])
    >>> float(tape.data[-1]), float(tape.grad[tape.row(x)])
    (17.0, 8.0)
    """

    def __init__(
        self,
        outputs: Sequence[Value],
        inputs: Sequence[Value] = (),
        is_constant: Callable[[Value], bool] = lambda leaf: False,
    ) -> None:
        """`is_constant` says of a leaf that its number never changes; it is not called with the inputs."""
        nodes = joint_order([*inputs, *outputs])
        place, own = {x: i for i, x in enumerate(nodes)}, set(inputs)
        constants = {i for i, x in enumerate(nodes) if x.op is None and x not in own and is_constant(x)}
        rows = rows_for(nodes)
        order, self.inputs, self.runs = lay_out(
            ["" if x.op is None else x.op.name for x in nodes],
            [[place[p] for p in x.parents] for x in nodes],
            constants,
            {row.name for row in rows if in_vectors(row)},
        )
        row_of = np.argsort(order).tolist()
        self.rows: Mapping[Value, int] = dict(zip(nodes, row_of, strict=True))
        numbers, sorted_nodes = numbering(rows), [nodes[i] for i in order]
        self.code = np.array([LEAF if x.op is None else numbers[x.op.name] for x in sorted_nodes], dtype=np.int32)
        self.data = np.array([x.data for x in sorted_nodes], dtype=np.float64)
        self.grad = np.zeros(len(nodes))
        self.outputs = [self.rows[x] for x in outputs]
        self.leaves = [x for x in nodes if x.op is None]
        self.loops = loops(rows, rows_in(self.runs, WIDE) > 0)

    def row(self, x: Value) -> int:
        """The row of a node."""
        return self.rows[x]

    def forward(self) -> None:
        """Compute every node from the leaves' data."""
        cache.call_first(self.loops[0], self.code, self.inputs, self.runs, self.data)

    def backward(self, seeds: Sequence[float]) -> None:
        """Compute every gradient, from one seed for each output."""
        self.grad.fill(0.0)
        for row, seed in zip(self.outputs, seeds, strict=True):
            self.grad[row] += seed
        cache.call_first(self.loops[1], self.code, self.inputs, self.runs, self.data, self.grad)


def joint_order(outputs: Sequence[Value]) -> list[Value]:
    """A topological order of all nodes behind several outputs."""
    order: dict[Value, None] = {}
    for output in outputs:
        order.update(dict.fromkeys(topological(output, PARENTS)))
    return list(order)
