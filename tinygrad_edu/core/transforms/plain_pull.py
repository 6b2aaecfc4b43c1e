"""The usual case of a transform: the result is one Value or Tensor, and its derivative is wanted as plain numbers.

The graph is walked once, for the backward passes of all seeds and for what the derivative depends on beside its
arguments. The passes are those of `backward()`, but their gradients stay out of the nodes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Node
from tinygrad_edu.core.backward import has_nan, pull, pull_with_care
from tinygrad_edu.core.fast.pulls import gradient_order, sweep
from tinygrad_edu.core.fast.values_backward import plain_order, plain_sweep
from tinygrad_edu.core.graph import cotangents
from tinygrad_edu.core.lost_gradients import Origins
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import is_object
from tinygrad_edu.core.pytree import tree_map
from tinygrad_edu.core.stretched_targets import SQUARES, warn_stretched
from tinygrad_edu.core.stretched_values import LEFT, warn_stretched_values
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.transforms.derivative_numbers import remember_result
from tinygrad_edu.core.transforms.seeds import zero_like
from tinygrad_edu.core.value import Value
from tinygrad_edu.core.writes.write_guard import was_written
from tinygrad_edu.errors import ShapeError

PLAIN = (float, int, np.float64, np.ndarray)  # seeds that are no nodes


class WalkedGraph(NamedTuple):
    """A result, the inner nodes it was computed from, in their order, and what these were computed from."""

    y: Node
    order: list[Any]
    uses: list[tuple[Any, int]]  # as `gradient_order` gives them
    leaves: list[Any]


def graph_of(y: Node) -> WalkedGraph | None:
    """The graph of a Value, or of a Tensor that depends on something; None for any other result."""
    if type(y) is Value:
        order, leaves = plain_order(y)
        return WalkedGraph(y, order, [], leaves)
    if type(y) is not Tensor or not y.requires_grad:
        return None
    if not y._parents:
        return WalkedGraph(y, [y], [], [y])
    order, uses = gradient_order(y)
    operands = dict.fromkeys(p for x in order for p in x._parents if type(p) is Tensor)
    return WalkedGraph(y, order, uses, [p for p in operands if p.requires_grad and not p._parents])


def plain_pull(graph: WalkedGraph, inputs: Sequence[Any], seed: ArrayLike) -> list[Any]:
    """ȳ·∂y/∂x for each input: arrays of their own, or floats."""
    if type(graph.y) is Value:
        found: dict[Any, Any] = plain_sweep(graph.y, graph.order, float(seed))
        if LEFT[0] > 0:
            warn_stretched_values(graph.order)
        return [found.get(x, 0.0) for x in inputs]
    found = pull_arrays(graph, seed)
    each = [found.get(x) for x in inputs]
    shared = len({id(g) for g in each}) < len(each)
    return [
        zero_like(x) if g is None else g.copy() if shared or g is seed or getattr(g, "base", None) is not None else g
        for x, g in zip(inputs, each, strict=True)
    ]


def pull_arrays(graph: WalkedGraph, seed: ArrayLike) -> dict[Any, Any]:
    """The gradient of each node, as `backward` computes it."""
    y, order, uses, _ = graph
    shape = np.shape(seed)
    if shape not in (y.array.shape, ()):
        raise ShapeError(f"the pull-back needs a seed of the result's shape {y.shape}, not {shape}")
    start = np.empty(y.array.shape, y.array.dtype)
    start[...] = seed
    quick = bool(y._parents) and not MODES.anomaly and not was_written(uses)
    with np.errstate(all="ignore"):
        found = sweep(order, start, pull) if quick else cotangents(order, start, pull_with_care)
        if quick and any(has_nan(g) for x, g in found.items() if not x._parents):
            found = cotangents(order, start, pull_with_care)
    if SQUARES:
        warn_stretched(order)
    return found


def like(x: Node, found: Iterator[Any], again: bool, origins: Origins) -> Any:
    """The next gradient in the type of x: a number, an array or a node."""
    if x is None:
        return None
    return gradient_in_dtype(x, next(found)) if again else remember_result(plain_like(x, next(found)), origins)


def gradient_in_dtype(x: Node, g: Node) -> Any:
    """The gradient by a Tensor in its dtype, as `backward` gives it. Beside float64 that of float32 is float64."""
    return g.astype(x.dtype) if type(x) is type(g) is Tensor and x.dtype != g.dtype and x.dtype.kind == "f" else g


def unwrap(x: Node) -> Any:
    """A node as the number or array that it holds; lists and tuples of nodes too."""
    if isinstance(x, (list, tuple, dict)):
        return tree_map(unwrap, x)
    if isinstance(x, Tensor):
        return x.array if x.ndim else x.array.item()
    if is_object(x):
        return np.reshape([float(unwrap(v)) for v in x.flat], x.shape)
    return x.data if isinstance(x, Value) else x


def plain_like(x: Node, g: Node) -> Any:
    """A gradient in the type of x: a float for a number, an array for an array."""
    array: Any = getattr(g, "array", getattr(g, "data", g)) if isinstance(g, (Value, Tensor)) else g
    return np.asarray(unwrap(array)) if isinstance(x, np.ndarray) else float(array)
