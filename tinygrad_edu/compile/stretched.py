"""Targets that a compiled loss stretches: looked for once for each program, operation by operation."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.node import Traced
from tinygrad_edu.compile.program import Program
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.graph import topological
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.stretched_targets import WORDS
from tinygrad_edu.core.transforms import derivatives
from tinygrad_edu.core.transforms.plain_pull import graph_of, pull_arrays

ROWS = 2000  # of more, the numbers of all pairs take too much memory: a program needs none for them


def with_warning(f: Callable[..., Any], program: Program, arguments: Sequence[Any], by: str) -> Program:
    """The program of a function, which warns as eager code does if a loss compares each output with all targets.

    by: what it differentiates by, as of ArrayFunction.prepare.
    """
    trace = program.trace
    if (by or trace.differentiated) and may_be_stretched(trace) and most_rows(trace, arguments) <= ROWS:
        with contextlib.suppress(Exception), np.errstate(all="ignore"):  # the program's own error says it better
            differentiate_eagerly(f, tree_map(copy_of, tuple(arguments)), by)
    return program


def may_be_stretched(trace: Trace) -> bool:
    """Is there a difference, or a product, of a column and a row?"""
    results = [y for y in tree_leaves(trace.results) if isinstance(y, Traced)]
    nodes = {id(x): x for y in results for x in topological(y, traced_parents)}.values()
    return any(x.op in WORDS and {shape_kind(p) for p in x.parents} == {"row", "column"} for x in nodes)


def traced_parents(x: Node) -> list[Any]:
    return [p for p in x.parents if isinstance(p, Traced)]


def shape_kind(x: Node) -> str:
    """A row (n,), a column (n, 1), or another shape."""
    sizes: tuple[Any, ...] = getattr(x, "sizes", ())
    column = len(sizes) == 2 and isinstance(sizes[1], int) and sizes[1] == 1
    return "column" if column else "row" if len(sizes) == 1 else ""


def most_rows(trace: Trace, arguments: Sequence[Any]) -> int:
    """The size of the largest first axis."""
    arrays = [*tree_leaves(tuple(arguments)), *trace.captured.values()]
    return max([np.shape(getattr(x, "array", x))[0] for x in arrays if np.ndim(getattr(x, "array", x))], default=0)


def copy_of(x: Node) -> Any:
    return x.copy() if isinstance(x, np.ndarray) else x


def differentiate_eagerly(f: Callable[..., Any], arguments: Sequence[Any], by: str) -> None:
    """The same derivative without a program, which warns."""
    if by.startswith("arguments"):
        kinds = [np.asarray(getattr(x, "array", x)).dtype.kind for x in arguments]
        derivatives.value_and_grad(f, tuple(i for i, kind in enumerate(kinds) if kind == "f"))(*arguments)
        return
    y = f(*arguments)
    graph = graph_of(y) if by else None
    if graph is not None:
        pull_arrays(graph, 1.0)
