"""What a few operations amount to: a sigmoid, a softmax, a layer norm, a loss, however they were written.

A part of the graph is run on numbers of our own, and compared with the functions that have a name. So every spelling
is found, 1/(1 + e^-x) and e^x/(1 + e^x), and nothing that merely looks alike.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from tinygrad_edu.core import ops as ops  # fills the table
from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.draw.graph import Graph
from tinygrad_edu.draw.recompute import recompute
from tinygrad_edu.draw.text import size

POINTS = (-2.3, -1.1, -0.4, 0.3, 0.9, 1.7, 2.6, 7.5, -5.0)  # inputs on which functions of one number are compared
CLOSE = 1e-9
ABOUT = 2e-3  # relative; for norms, whose small number under the root is the author's choice
MOST_TRIED = 5_000  # entries used of these; of larger arrays the first rows
LARGEST = 200_000  # entries of an array; larger parts are not tried
DULL = {"identity", "pos", "neg", "positive", "negative", "copysign", "square", "reciprocal"}  # too trivial to be named


@functools.cache
def functions_by_name() -> dict[str, tuple[Operation, tuple[float, ...]]]:
    """The rows of the table that a layer could have at its end, and what they give at the points.

    Of a function with two names the first one; none that is undefined at a point.
    """
    found: dict[tuple[float, ...], tuple[str, Operation]] = {}
    for name, row in TABLE.items():
        one_argument = row.partials and len(row.parameters) - len(row.defaults) == 1
        if row.activation and one_argument and name not in DULL:
            values = tuple(row.on_floats(*row.complete((x,))) for x in POINTS)
            if all(map(math.isfinite, values)) and values != POINTS:
                found.setdefault(values, (name, row))
    return {name: (row, values) for values, (name, row) in found.items()}


def name_of_part(graph: Graph, entry: int, operations: Sequence[int]) -> str:
    """The function of one node that these operations are, or ""."""
    data, result = graph.data(entry), graph.data(operations[-1])
    if size(data) > LARGEST:
        return ""
    if isinstance(data, float):
        return name_on_floats(graph, entry, operations)
    if not hasattr(data, "shape"):
        return ""
    return name_on_arrays(graph, entry, operations, data, result)


def name_on_floats(graph: Graph, entry: int, operations: Sequence[int]) -> str:
    """The name of the function that a part of a graph of Values computes; "" if unknown."""
    found = []
    for place, x in enumerate(POINTS):
        y = recompute(graph, operations, {entry: x})
        if not isinstance(y, (float, int)):
            return ""
        found.append(y)
        if place in (1, len(POINTS) - 1):
            names = [name for name, (_, values) in functions_by_name().items() if all(map(near, found, values))]
            if not names:
                return ""
    return names[0]


def near(a: float, b: float) -> bool:
    return math.isclose(a, b, rel_tol=CLOSE, abs_tol=CLOSE)


def name_on_arrays(graph: Graph, entry: int, operations: Sequence[int], data: ArrayLike, result: Any) -> str:
    """The name of the function that a part of a graph of Tensors computes; "" if unknown."""
    import numpy as np

    given, wanted = rows_tried(data, result)
    random, draws = np.random.default_rng(0), 2 + 24 // data.size
    with np.errstate(all="ignore"):
        tried = []
        for _ in range(draws):
            x = random.normal(size=given) * 2.5
            y = recompute(graph, operations, {entry: x})
            if y is None or np.shape(y) != wanted or not np.all(np.isfinite(y)):
                return ""
            tried.append((x, y))
        for name, function, tolerance in functions_of_an_array(tried[0][0], wanted):
            if all(are_close(function(x), y, tolerance) for x, y in tried):
                return name
    return ""


def rows_tried(data: Any, result: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """(shape to try, shape of its result): of many samples the first ones, which are as good for a name."""
    rows = max(2, MOST_TRIED * len(data) // data.size) if data.ndim > 1 else len(data) if data.ndim else 0
    if data.size <= MOST_TRIED or rows >= len(data) or not result.ndim or len(result) != len(data):
        return data.shape, result.shape
    return (rows, *data.shape[1:]), (rows, *result.shape[1:])


def are_close(a: Any, b: Any, tolerance: float) -> bool:
    import numpy as np

    return np.shape(a) == np.shape(b) and bool(np.allclose(a, b, rtol=tolerance, atol=tolerance))


def functions_of_an_array(x: ArrayLike, shape: tuple[int, ...]) -> Iterator[tuple[str, Callable[[Any], Any], float]]:
    """(name, function, tolerance) of what can make an array of that shape of x."""
    from tinygrad_edu import ops as named

    axes = range(x.ndim)
    if shape != x.shape:
        for name in ("mean", "var", "std", "logsumexp"):
            for axis in (None, *axes, tuple(axes[1:]), tuple(axes[:-1])):
                for keepdims in (False, True):
                    yield name, functools.partial(getattr(named, name), axis=axis, keepdims=keepdims), CLOSE
        return
    for axis in [axis for axis in axes if x.shape[axis] > 1]:
        yield "softmax", functools.partial(named.softmax, axis=axis), CLOSE
        yield "log_softmax", functools.partial(named.log_softmax, axis=axis), CLOSE
    for name, (row, _) in functions_by_name().items():
        yield name, lambda x, row=row: row.on_arrays(*row.complete((x,))), CLOSE  # type: ignore[misc]
    yield from norms(x)


def norms(x: ArrayLike) -> Iterator[tuple[str, Callable[[Any], Any], float]]:
    """The layers that set mean and variance, over the axes that each of them takes."""
    axes = tuple(range(x.ndim))
    for first in [first for first in range(min(1, x.ndim - 1), x.ndim) if math.prod(x.shape[first:]) > 2]:
        yield "layer norm", functools.partial(standardized, axis=axes[first:]), ABOUT
        yield "RMS norm", functools.partial(scaled, axis=axes[first:]), ABOUT
    for axis in ((0,), (0, *axes[2:]), axes[:-1]):
        if len(axes) > 1 and math.prod(x.shape[i] for i in axis) > 2:
            yield "batch norm", functools.partial(standardized, axis=axis), ABOUT


def standardized(x: ArrayLike, axis: Any) -> Any:
    return (x - x.mean(axis=axis, keepdims=True)) / (x.std(axis=axis, keepdims=True) + 1e-12)


def scaled(x: ArrayLike, axis: Any) -> Any:
    return x / ((x * x).mean(axis=axis, keepdims=True) ** 0.5 + 1e-12)
