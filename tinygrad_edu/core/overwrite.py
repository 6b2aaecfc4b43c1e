"""x[index] = value for a Tensor in a graph: from then on x is the result of an operation, as in PyTorch.

The name that the program has must mean the new numbers, and what was computed from the old ones must keep them. So the
old node goes on living under another identity, `before`, and x itself becomes index_put(before, value). What leads to
`value` read x before the write, and is told of `before`; anything else that did is found in backward, by the ticks.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node
from tinygrad_edu.core.operation import ARRAY_TABLE, array_op
from tinygrad_edu.core.shapes import as_tuple, getitem, is_basic
from tinygrad_edu.core.write_guard import WriteGuard


@array_op(
    vjp=(
        lambda g, _y, _x, _value, index: ARRAY_TABLE["index_put"](g, np.zeros((), g.dtype), index),
        lambda g, _y, _x, value, index: share_of(g, value, index),
    ),
    numpy="-",
    linear=True,
    instead="choose by a condition, np.where(mask, value, x), or call the function without jit",
)
def index_put(x: ArrayLike, value: ArrayLike, /, index: Axis) -> Any:
    """x with `value` at `index`, where x[index] = value would put it.  x̄ = ȳ, and 0 there; value's is ȳ[index]."""
    y = x.astype(np.result_type(x, value) if x.dtype.kind != "O" else object)
    y[index] = value
    return y


def share_of(g: ArrayLike, value: ArrayLike, index: Axis) -> Any:
    """ȳ at the index, summed where the value was broadcast; where an entry is written twice, the last value counts."""
    share = getitem(g, index)
    if not is_basic(index):
        share = share * last_writers(index, g.shape)
    extra = np.ndim(share) - np.ndim(value)
    axes = [i for i in range(np.ndim(share)) if i < extra or np.shape(value)[i - extra] < np.shape(share)[i]]
    return share.sum(axis=tuple(axes), keepdims=True).reshape(np.shape(value)) if axes else share.reshape(value.shape)


def last_writers(index: Axis, shape: tuple[int, ...]) -> Any:
    """For each number that is written: is it the last one at its place? As floats."""
    index = tuple(np.asarray(i) if isinstance(i, (list, range)) else i for i in as_tuple(index))
    writer = np.zeros(shape, dtype=int)
    order = np.arange(writer[index].size).reshape(writer[index].shape)
    writer[index] = order
    return (writer[index] == order) * 1.0


def overwrite(x: Node, index: Axis, value: ArrayLike) -> None:
    """x[index] = value, recorded. `x` is a Tensor in a graph, or a constant that is given a value of a graph."""
    before: Any = object.__new__(x.__class__)
    for slot in x.__slots__:
        if hasattr(x, slot):
            setattr(before, slot, getattr(x, slot))
    if x is value:
        value = before
    for node in nodes_since(value, x.made):
        if any(parent is x for parent in node.parents):
            node.parents = tuple([before if parent is x else parent for parent in node.parents])
    y = index_put(before, value, index)
    x.array, x.gradient, x.requires_grad, x.spent = y.array, None, y.requires_grad, False
    x.op, x.parents, x.options, x.made = y.op, y.parents, y.options, y.made
    x.guard = WriteGuard()
    x.guard.written = y.made


def nodes_since(value: Node, made: int) -> list[Any]:
    """The nodes that lead to a value and were made after that tick; older ones cannot have used what was made then."""
    found, stack = dict[Any, None](), [value]
    while stack:
        node = stack.pop()
        if getattr(node, "made", 0) > made and node not in found:
            found[node] = None
            stack += [parent for parent in node.parents if hasattr(parent, "parents")]
    return list(found)
