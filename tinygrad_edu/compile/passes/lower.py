"""Array operations in terms of the few that loops are written for: elementwise, sum, max, matmul, changes of view."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tinygrad_edu.compile.ir.constants import is_positions
from tinygrad_edu.compile.ir.dims import text_of
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.shape_rules import order_of_axes
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.graph import topological

# These compute nothing: they only read the same numbers in another arrangement.
VIEWS = ("reshape", "transpose", "broadcast_to", "window", "place", "gather", "slide")


def axes(x: ArrayLike, axis: Axis) -> tuple[int, ...]:
    return broadcasting.axes_of(x, axis)


def lower(roots: list[Traced]) -> list[Traced]:
    """Rewrite results as primitive nodes alone, with each distinct computation done once."""
    done: dict[Traced, Traced] = {}
    unique: dict[Any, Traced] = {}
    for root in roots:
        for node in topological(root, lambda x: x.parents):
            if node not in done:
                done[node] = rewritten(node, [done[p] for p in node.parents], unique)
    return [done[root] for root in roots]


def rewritten(node: Traced, parents: list[Traced], unique: dict[Any, Traced]) -> Traced:
    """One node over rewritten parents: lowered if it has to be, shared if the same node exists already."""
    if node.op is None:
        return unique.setdefault(node.name, node)
    if node.op.name == "scan":
        return lower_loop(node, parents, unique)
    if node.op.name == "stacked":
        parents = [p if is_in_memory(p, True, False) else rewritten(copy_node(p), [p], unique) for p in parents]
    other = in_other_words(node, parents) if node.op.name != "stacked" else None
    if other is not None:
        return lower_again(other, unique)
    options = node.options
    if node.op.name == "transpose":
        order = order_of_axes(node, options["axes"])
        if order == sorted(order):
            return parents[0]
        options = {"axes": None if order == sorted(order)[::-1] else tuple(order)}
    if node.op.name == "matmul":
        parents = [p if is_matrix(p) else rewritten(copy_node(p), [p], unique) for p in parents]
    key = (node.op.name, tuple(map(id, parents)), texts(sorted(options.items())), texts(node.sizes))
    return unique.setdefault(key, Traced(node.sizes, node.op, tuple(parents), options, node.name, node.label))


def lower_loop(node: Traced, parents: list[Traced], unique: dict[Any, Traced]) -> Traced:
    """A loop whose round is lowered on its own, and whose inputs are in memory."""
    rounds = node.options["rounds"]
    key = ("scan", id(rounds), tuple(map(id, parents)))
    if key not in unique:
        roots, k = lower(rounds.roots), len(rounds.after)
        # (may it have any shape in memory, may it be whole numbers): first states are copied byte by byte into floats
        ways = [(False, False)] * len(rounds.states) + [(True, x.integer) for x in rounds.slices]
        ways += [(False, True)] * (len(parents) - len(ways))
        found = [
            p if is_in_memory(p, *way) else rewritten(copy_node(p), [p], unique)
            for p, way in zip(parents, ways, strict=True)
        ]
        options = {"rounds": replace(rounds, after=roots[:k], outputs=roots[k:])}
        unique[key] = Traced((), node.op, tuple(found), options)
    return unique[key]


def is_in_memory(x: Traced, in_any_shape: bool, whole: bool) -> bool:
    """Is it a number, or an array in memory, in this shape or (if only its place counts) in any?

    whole: may it be an array of whole numbers, which has other bytes than floats?
    """
    while in_any_shape and op_name(x) == "reshape":
        x = x.parents[0]
    return not x.sizes or (op_name(x) not in VIEWS and not is_positions(x) and (whole or not x.integer))


def in_other_words(node: Traced, parents: list[Traced]) -> Any:
    """Rewrite a node as operations that are faster, or for which loops exist; None to leave it as it is."""
    name, options, x = op_name(node), node.options, parents[0]
    body = getattr(node.op, "made_of", None)
    if body:
        return body(*parents, **options)
    if name == "transpose" and order_of_axes(node, options["axes"]) == [*range(node.ndim)][::-1] and node.ndim > 1:
        return transpose_product(x)
    if name in ("sum", "max", "prod") and all(x.sizes[i] == 1 for i in axes(node.parents[0], options["axis"])):
        return (x + 0.0 if name == "sum" else x).reshape(node.sizes)  # + 0.0, because a sum starts at 0: 0 + (-0) is 0
    if name == "matmul" and node.ndim == 2 and 1 in (*node.sizes, x.sizes[1]):
        return thin_product(*parents)
    return None


def thin_product(a: Traced, b: Traced) -> Any:
    """A product with a row or column, as loops that can be fused with the operations around it.

    The innermost loop runs along the rows of the matrix, in the order of memory.
    """
    (n, k), m = a.sizes, b.sizes[1]
    if k == 1:
        return a * b
    if n == 1 and op_name(b) == "transpose":
        return broadcasting.sum(a * b.T, axis=1).reshape((n, m))
    if m == 1 and op_name(a) != "transpose":
        return broadcasting.sum(a * b.T, axis=1, keepdims=True)
    return broadcasting.sum(a.T * b, axis=0).reshape((n, m))


def transpose_product(inner: Traced) -> Any:
    """Transposes that can be avoided: (xᵀ)ᵀ = x, and (ab)ᵀ = bᵀaᵀ, where the transposes are views."""
    if op_name(inner) == "transpose" and inner.options["axes"] is None:
        return inner.parents[0]
    if op_name(inner) == "matmul" and inner.ndim == 2:  # 2-d only: the transpose of a stack reverses all axes
        a, b = inner.parents
        return b.T @ a.T
    if op_name(inner) == "mul" and inner.parents[0].sizes[1:] == (1,) and inner.parents[1].sizes[:1] == (1,):
        return inner.parents[1].T * inner.parents[0].T  # column times row
    return None


def texts(x: ArrayLike) -> Any:
    """Options with sizes by their names: two sizes that are equal in this call may differ in another."""
    return tuple(map(texts, x)) if isinstance(x, (tuple, list)) else text_of(x)


def lower_again(root: Traced, unique: dict[Any, Traced]) -> Traced:
    done: dict[Traced, Traced] = {}
    known = set(unique.values())
    for node in topological(root, lambda x: () if x in known else x.parents):
        done[node] = node if node in known else rewritten(node, [done[p] for p in node.parents], unique)
    return done[root]


def is_matrix(x: Traced) -> bool:
    """Can a product read it in place: floats in memory, or the transpose of them?"""
    source = x.parents[0] if swaps_last_two(x) else x
    while op_name(source) == "reshape":  # a reshape of an array in memory is the same memory
        source = source.parents[0]
    return op_name(source) not in VIEWS and not source.integer and bool(source.sizes)


def swaps_last_two(x: Traced) -> bool:
    """Is it the transpose of a matrix, or of each matrix of a stack?"""
    order = order_of_axes(x, x.options["axes"]) if op_name(x) == "transpose" else []
    return len(order) > 1 and order == [*range(x.ndim - 2), x.ndim - 1, x.ndim - 2]


def copy_node(x: Traced) -> Traced:
    return Traced(x.sizes, ops.pos, (x,))
