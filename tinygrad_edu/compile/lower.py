"""Array operations in terms of the few that loops are written for: elementwise, sum, max, matmul, changes of view."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tinygrad_edu.compile.sizes import text_of
from tinygrad_edu.compile.trace import Traced, op_name, order_of_axes
from tinygrad_edu.core import broadcasting, ops, reductions
from tinygrad_edu.core.graph import topological

VIEWS = ("reshape", "transpose", "broadcast_to")  # no new numbers: another way to find them


def logsumexp(x: Any, axis: Any, keepdims: bool) -> Any:
    largest = reductions.max(x, axis=axis, keepdims=True)
    shift = ops.where(largest - largest == 0.0, largest, 0.0)
    total = ops.log(broadcasting.sum(ops.exp(x - shift), axis=axis, keepdims=True)) + shift
    return total if keepdims else total.reshape(tuple(n for i, n in enumerate(x.shape) if i not in axes(x, axis)))


def min(x: Any, axis: Any, keepdims: bool) -> Any:
    return -reductions.max(-x, axis=axis, keepdims=keepdims)


def axes(x: Any, axis: Any) -> tuple[int, ...]:
    return broadcasting.axes_of(x, axis)


def mse(p: Any, t: Any) -> Any:
    error = p - t
    return broadcasting.sum(error * error) / p.size


def bce_with_logits(z: Any, t: Any) -> Any:
    each = ops.maximum(z, 0.0) - z * t + ops.log1p(ops.exp(-ops.abs(z)))
    return broadcasting.sum(each) / z.size


def cross_entropy(z: Any, t: Any) -> Any:
    rows = 1
    for n in z.shape[:-1]:
        rows = rows * n
    return -broadcasting.sum(t * log_softmax(z, -1)) / rows


def softmax(x: Any, axis: Any) -> Any:
    return ops.exp(log_softmax(x, axis))


def log_softmax(x: Any, axis: Any) -> Any:
    return x - logsumexp(x, axis, True)


LOWERED: dict[str, Callable[..., Any]] = {
    f.__name__: f for f in (min, logsumexp, softmax, log_softmax, mse, bce_with_logits, cross_entropy)
}


def lowered(roots: list[Traced]) -> list[Traced]:
    """The same results from primitive nodes alone, each distinct computation once."""
    done: dict[Traced, Traced] = {}
    unique: dict[Any, Traced] = {}
    for root in roots:
        for node in topological(root, lambda x: x.parents):
            if node not in done:
                done[node] = rewritten(node, [done[p] for p in node.parents], unique)
    return [done[root] for root in roots]


def rewritten(node: Traced, parents: list[Traced], unique: dict[Any, Traced]) -> Traced:
    """One node over rewritten parents: lowered where it has to be, shared where the same stands already."""
    if node.op is None:
        return unique.setdefault(node.name, node)
    if node.op.name in LOWERED:
        return lowered_again(LOWERED[node.op.name](*parents, **node.options), unique)
    options = node.options
    if node.op.name == "transpose":
        order = order_of_axes(node, options["axes"])
        if order == sorted(order):
            return parents[0]
        options = {"axes": None} if order == sorted(order)[::-1] else {"axes": tuple(order)}
        product = transposed_product(parents[0], options["axes"])
        if product is not None:
            return lowered_again(product, unique)
    if node.op.name == "matmul":
        parents = [p if is_matrix(p) else rewritten(copied(p), [p], unique) for p in parents]
    key = (node.op.name, tuple(map(id, parents)), texts(sorted(options.items())), texts(node.sizes))
    return unique.setdefault(key, Traced(node.sizes, node.op, tuple(parents), options, node.name, node.label))


def transposed_product(inner: Traced, axes: Any) -> Any:
    """What need not be transposed: (xᵀ)ᵀ = x, and (ab)ᵀ = bᵀaᵀ, where the transposes are views."""
    if axes is not None:
        return None
    if op_name(inner) == "transpose" and inner.options["axes"] is None:
        return inner.parents[0]
    if op_name(inner) == "matmul":
        a, b = inner.parents
        return b.T @ a.T
    return None


def texts(x: Any) -> Any:
    """Options with sizes by their names: two sizes that have the same length today are not the same."""
    return tuple(map(texts, x)) if isinstance(x, (tuple, list)) else text_of(x)


def lowered_again(root: Traced, unique: dict[Any, Traced]) -> Traced:
    done: dict[Traced, Traced] = {}
    known = set(unique.values())
    for node in topological(root, lambda x: () if x in known else x.parents):
        done[node] = node if node in known else rewritten(node, [done[p] for p in node.parents], unique)
    return done[root]


def is_matrix(x: Traced) -> bool:
    """Can a product read it where it lies: an array in memory, or the transpose of one?"""
    return op_name(x.parents[0] if op_name(x) == "transpose" else x) not in VIEWS


def copied(x: Traced) -> Traced:
    return Traced(x.sizes, ops.pos, (x,))
