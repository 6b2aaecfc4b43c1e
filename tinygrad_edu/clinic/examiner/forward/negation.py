"""`1 / (1 + np.exp(-x @ W))`, where the minus binds to x: written over as σ(x @ W), which is meant.

>>> x, W = np.array([[1.0, 2.0]]), Tensor([[0.5], [0.25]], requires_grad=True)
>>> undo_negation(1.0 / (1.0 + np.exp(-x @ W))).parents[1].parents[1].parents[0].op.name
'neg'
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.program import MOVES
from tinygrad_edu.core.graph import parent_nodes, topological
from tinygrad_edu.core.tensor import Tensor

PRODUCTS = ("matmul", "mul")


def undo_negation(loss: Tensor) -> Tensor:
    """The loss with exp(-(x W + b)) instead of exp((-x) W - b); other forms stay as they are."""
    nodes = topological(loss, parent_nodes)
    children: dict[int, list[Tensor]] = {}
    for node in nodes:
        for parent in node.parents:
            children.setdefault(id(parent), []).append(node)
    turned = {
        id(node): z
        for node in nodes
        if in_a_sigmoid(node, children)
        for z in [opposite(node.parents[0])]
        if z is not None
    }
    return rebuild_last(nodes, turned) if turned else loss


def in_a_sigmoid(node: Tensor, children: Mapping[int, Sequence[Tensor]]) -> bool:
    """Is it the exp in 1/(1 + exp(...)), of something without a minus in front?"""
    if name(node) != "exp" or name(node.parents[0]) not in (*PRODUCTS, "add", "sub"):
        return False
    (plus, *more) = children.get(id(node), [None])
    (over, *others) = children.get(id(plus), [None])
    if more or others or name(plus) != "add" or over is None or name(over) != "div":
        return False
    return over.parents[1] is plus and not isinstance(over.parents[0], Tensor)  # c/(...), but not exp(z)/(1 + exp(z))


def name(node: Any) -> str:
    return node.op.name if isinstance(node, Tensor) and node.op else ""


def opposite(u: Any) -> Any:
    """-u, by removing the minus in front of each input or bias; None if one has no minus."""
    operation = name(u)
    if operation == "neg":
        return u.parents[0]
    if operation in PRODUCTS:
        slot = next((k for k in range(2) if is_weight(u.parents[1 - k]) and may_be_minus(u.parents[k])), None)
        return None if slot is None else with_opposite(u, slot)
    if operation in ("add", "sub"):
        first, second = opposite(u.parents[0]), u.parents[1]
        second = opposite(second) if operation == "add" else second
        return None if first is None or second is None else first + second
    return None


def is_weight(x: Any) -> bool:
    while name(x) in MOVES and len(x.parents) == 1:
        x = x.parents[0]
    return isinstance(x, Tensor) and not x.parents


def may_be_minus(x: Any) -> bool:
    """A minus before data has been carried out when the function ran: constants can always be meant so."""
    return name(x) == "neg" or not isinstance(x, Tensor)


def with_opposite(product: Tensor, slot: int) -> Any:
    parts = list(product.parents)
    x = parts[slot]
    parts[slot] = x.parents[0] if isinstance(x, Tensor) else -np.asarray(x)
    return product.op(*parts, **product.options)


def rebuild_last(nodes: Sequence[Tensor], turned: Mapping[int, Tensor]) -> Tensor:
    """The last of the nodes, with exp(-z) in place of each exp in `turned`."""
    new: dict[int, Tensor] = {}
    for node in nodes:
        if id(node) in turned:
            z = turned[id(node)]
            for below in topological(z, parent_nodes):
                again(below, new)
            new[id(node)] = node.op(-new.get(id(z), z))
        else:
            again(node, new)
    return new[id(nodes[-1])]


def again(node: Tensor, new: dict[int, Tensor]) -> None:
    """The node on what has been rebuilt above it, if anything has."""
    parts = [new.get(id(p), p) for p in node.parents]
    if id(node) not in new and any(a is not b for a, b in zip(parts, node.parents, strict=True)):
        arguments = [parts] if getattr(node.op, "variadic", False) else parts
        new[id(node)] = node.op(*arguments, **node.options)
