"""x[index] = value for a Tensor in a graph: from then on x is the result of an operation, as in PyTorch.

The name that the program has must mean the new numbers, and what was computed from the old ones must keep them. So the
old node goes on living under another identity, `before`, with a copy of the old numbers, and x itself becomes
index_put(before, value). What leads to `value` read x before the write, and is told of `before`; anything else that did
is found in backward, by the ticks.

The numbers are written into the array that x has: views of x and whoever holds x.data see them, as in NumPy. A write
into a view y of x is recorded for both: y becomes index_put(y before, value), and x becomes what gives y back to it,
y.reshape(shape of x), y transposed, or index_put(x before, y). A view of a view, and one of a leaf, refuse it.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Axis, Node
from tinygrad_edu.core.conversions.plain_numbers import WRITE_AT_ONCE
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.operation import ARRAY_TABLE, array_op
from tinygrad_edu.core.shapes import as_tuple, getitem, inverse, is_basic
from tinygrad_edu.core.writes.ancestors import WALKED
from tinygrad_edu.core.writes.write_guard import CLOCK, WriteGuard, guard_of
from tinygrad_edu.errors import GraphError, TraceError


@array_op(
    vjp=(
        lambda g, _y, _x, _value, index: ARRAY_TABLE["index_put"](g, np.zeros((), g.dtype), index),
        lambda g, _y, _x, value, index: gradient_of_value(g, value, index),
    ),
    numpy="-",
    linear=True,
    instead="choose by a condition, np.where(mask, value, x), or call the function without jit",
)
def index_put(x: ArrayLike, value: ArrayLike, /, index: Axis) -> Any:
    """x with `value` at `index`, where x[index] = value would put it.  x̄ = ȳ, and 0 there; value's is ȳ[index]."""
    y = x.copy()
    y[index] = value
    return y


def gradient_of_value(g: ArrayLike, value: ArrayLike, index: Axis) -> Any:
    """ȳ at the index, summed where the value was broadcast; where an entry is written twice, the last value counts."""
    share = getitem(g, index)
    if not is_basic(index):
        share = share * last_writers(index, g.shape)
    extra = np.ndim(share) - np.ndim(value)
    axes = [i for i in range(np.ndim(share)) if i < extra or np.shape(value)[i - extra] < np.shape(share)[i]]
    share = share.sum(axis=tuple(axes), keepdims=True) if axes else share
    return share.reshape(np.shape(value)).astype(value.dtype)


def last_writers(index: Axis, shape: tuple[int, ...]) -> Any:
    """For each number that is written: is it the last one at its place? As floats."""
    index = tuple(np.asarray(i) if isinstance(i, (list, range)) else i for i in as_tuple(index))
    writer = np.zeros(shape, dtype=int)
    order = np.arange(writer[index].size).reshape(writer[index].shape)
    writer[index] = order
    return (writer[index] == order) * 1.0


def overwrite(x: Node, index: Axis, value: ArrayLike) -> None:
    """x[index] = value, recorded. `x` is a Tensor in a graph, or a constant that is given a value of a graph."""
    base = base_of(x)
    if base is None:
        refuse_view(x)
        write_into(x, index, value)
    else:
        write_through(x, base, index, value)
    if MODES.written:
        MODES.memory.note_own_write(x)


def base_of(view: Node) -> Node:
    """The Tensor that a view looks at; None if a write to the view cannot be recorded for it: a view of a leaf."""
    if getattr(view.op, "name", "") not in GIVE_BACK or not is_basic(view.options.get("index", ())):
        return None
    base = view.parents[0]
    shares = base.__class__ is view.__class__ and np.may_share_memory(view.array, base.array)
    return base if shares and base.parents and not looks_at_another(base) else None


def write_through(view: Node, base: Node, index: Axis, value: ArrayLike) -> None:
    """view[index] = value, recorded for the view and for what it is a view of."""
    give_back, look = GIVE_BACK[view.op.name]
    WALKED.forget(next(CLOCK))  # a view turns into another node below
    options, before = dict(view.options), put_aside(base)
    value, _ = of_old_numbers(value, base, before)
    view._parents = (before,)
    write_into(view, index, value)
    y = give_back(before, view, options)
    if not base.array.flags.writeable:
        base.array = before.array.copy()
    base.array[...] = y.array
    view.array = look(base.array, options)  # in one memory once more, so that each sees what is written to the other
    become(base, y)


def become(x: Node, y: Node) -> None:
    """Turn x into the result of the operation that made y; the numbers have just been written into its array."""
    x.gradient, x.requires_grad, x._spent = None, y.requires_grad, False
    x._op, x._parents, x._options, x._made = y.op, y.parents, y.options, y._made
    guard_of(x).note_own_write(x.array, y._made)


# name of a view: (what gives the view's numbers back to the node that it looks at, how it looks at an array)
GIVE_BACK: dict[str, tuple[Callable[..., Any], Callable[..., Any]]] = {
    "reshape": (
        lambda before, view, options: ARRAY_TABLE["reshape"](view, before.array.shape),
        lambda array, options: array.reshape(options["shape"]),
    ),
    "transpose": (
        lambda before, view, options: ARRAY_TABLE["transpose"](view, inverse(options["axes"])),
        lambda array, options: array.transpose(options["axes"]),
    ),
    "getitem": (
        lambda before, view, options: index_put(before, view, options["index"]),
        lambda array, options: array[options["index"]],
    ),
}


def write_into(x: Node, index: Axis, value: ArrayLike) -> None:
    """x[index] = value for a Tensor that is a view of none."""
    before = put_aside(x)
    value, used = of_old_numbers(value, x, before)
    y = index_put(before, value, index)
    if not x.array.flags.writeable:  # a read-only view of an array that only its operation has seen
        x.array = before.array.copy()
    x.array[...] = y.array
    become(x, y)
    # its numbers are not needed, so filling an array in a loop keeps one copy, not one per step
    if not used and before.op in (None, index_put):
        before.array = np.broadcast_to(np.zeros((), before.array.dtype), before.array.shape)


def put_aside(x: Node) -> Any:
    """Another node with the history of x and a copy of its numbers."""
    guard_of(x).look(x.array)  # notes writes that were made past the Tensor, directly to the array
    before: Any = object.__new__(x.__class__)
    for slot in x.__slots__:  # the user's own attributes stay with x
        if slot != "__dict__" and hasattr(x, slot):
            setattr(before, slot, getattr(x, slot))
    before.array, before._guard = x.array.copy(), WriteGuard()
    before._guard.written = x._guard.written
    return before


def looks_at_another(x: Node) -> bool:
    """Is it a view of another Tensor, or of an array that somebody else has?"""
    of_parent = any(np.may_share_memory(x.array, p.array) for p in x.parents if isinstance(p, x.__class__))
    fixed = not x.parents and not x.array.flags.writeable  # a detached view, for example
    return of_parent or fixed or (x._guard is not None and x._guard.views_another())


def refuse_plain_write(x: Node, value: ArrayLike) -> None:
    """Errors: TraceError where a value that is being traced is written into a Tensor; GraphError for a view."""
    if MODES.tensor_trace is None:
        refuse_view(x)
    elif hasattr(type(x), "eager_classes") or (
        getattr(value, "requires_grad", False) and not hasattr(value, "of_samples")  # vmap goes on by samples
    ):
        raise TraceError(WRITE_AT_ONCE)


def refuse_view(x: Node) -> None:
    """Errors: GraphError where x looks at the memory of another Tensor, which a write to x alone would not reach."""
    if looks_at_another(x):
        raise GraphError(
            f"{x!r} is a view of another Tensor, which would not get what is written to the view: write to that "
            "Tensor, y[i, j] = value in place of y[i][j] = value, or to a copy, z = +x"
        )


def of_old_numbers(value: ArrayLike, x: Node, before: Node) -> tuple[Any, bool]:
    """The value, computed from `before` in place of x. A view of x in it is put aside too: x will change it.

    Returns also whether anything is computed from `before`.
    """
    other, used = {id(x): before}, value is x
    if not used and hasattr(value, "_made") and not WALKED.may_use(value, x):
        return value, False
    for node in sorted(nodes_since(value, x._made), key=lambda node: node._made):
        parents = tuple([other.get(id(parent), parent) for parent in node.parents])
        if all(map(operator.is_, parents, node.parents)):
            continue
        used = True
        if np.may_share_memory(node.array, x.array):
            other[id(node)] = put_aside(node)
        other.get(id(node), node)._parents = parents
    return other.get(id(value), value), used


def nodes_since(value: Node, made: int) -> list[Any]:
    """The nodes that lead to a value and were made after that tick; older ones cannot have used what was made then."""
    found, stack = dict[Any, None](), [value]
    while stack:
        node = stack.pop()
        if getattr(node, "_made", 0) > made and node not in found:
            found[node] = None
            stack += [parent for parent in node.parents if hasattr(parent, "parents")]
    return list(found)
