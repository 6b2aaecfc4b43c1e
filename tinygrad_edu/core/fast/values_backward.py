"""The backward pass over Values, written for speed: skip this file, read `topological` and `cotangents` in `graph.py`.

It finds the same order and adds up the same gradients in a third of the time, without a set of the nodes it has seen
and without tuples of parents. The transforms (`grad` and others) must leave every `.grad` as it is: `plain_order` and
`plain_sweep` keep their gradients in a dict, and make no nodes of the plain numbers in an expression either.
"""

from __future__ import annotations

from typing import Any

from tinygrad_edu.core.aliases import Node


def inner_nodes(root: Node) -> tuple[list[Any], list[Any]]:
    """(the inner nodes that a Value depends on, each after its parents, with gradient 0;
    the leaves whose gradient an optimizer has used, some more than once).

    Which nodes have been seen is told by the identity of the object in their `.grad`, instead of by a set (which is
    slower and, for a million nodes, larger than the processor's cache): `opened` while a node waits for its parents,
    `listed` once it is in the order.
    """
    opened, listed = float("0.0"), float("0.0")  # two objects; Python's constants 0.0 would be one
    order, spent, stack, x = list[Any](), list[Any](), list[Any](), root
    while True:
        mark = x.grad
        if mark is not listed:
            ahead = None  # a parent that must be listed before x
            if mark is not opened:
                x.grad = opened
                left, right = x.left, x.right
                if left.__class__ is tuple:  # three or more parents: one after the other
                    stack += (x, *inner_of(left, spent))
                    x = stack.pop()
                    continue
                if left.__class__ is not float:
                    if left.left is None:
                        if left._spent:
                            spent.append(left)
                    elif left.grad is not listed:
                        ahead = left
                if right is not None and right.__class__ is not float:
                    if right.left is None:
                        if right._spent:
                            spent.append(right)
                    elif right.grad is not listed:
                        stack += (x,) if ahead is None else (x, ahead)
                        x = right
                        continue
                if ahead is not None:
                    stack.append(x)
                    x = ahead
                    continue
            x.grad = listed
            order.append(x)
        if not stack:
            return order, spent
        x = stack.pop()


def inner_of(parents: tuple[Any, ...], spent: list[Any]) -> list[Any]:
    """The parents that are not leaves; leaves whose gradient was already used are added to `spent`."""
    spent += [p for p in parents if p.left is None and p._spent]
    return [p for p in parents if p.left is not None]


def accumulate(order: list[Any]) -> None:
    """The chain rule from the root down: parent.grad += node.grad · ∂node/∂parent, for nodes of `inner_nodes`."""
    for x in reversed(order):
        g = x.grad
        if g:  # a path with gradient 0 contributes nothing, even through an infinite derivative
            left, right = x.left, x.right
            if left.__class__ is tuple:
                for parent, partial in zip(left, x.d_left, strict=True):
                    parent.grad += g * partial
                continue
            if left.__class__ is not float:
                left.grad += g * x.d_left
            if right is not None and right.__class__ is not float:
                right.grad += g * x.d_right


def plain_order(root: Node) -> tuple[list[Any], list[Any]]:
    """(the inner nodes in the order of `topological`, the leaves that were not written as numbers)."""
    order, leaves, seen = list[Any](), list[Any](), set[Any]()
    stack, kind = [root], root.__class__
    while stack:
        x = stack.pop()
        if x is None:
            order.append(stack.pop())
        elif x not in seen:
            seen.add(x)
            left = x.left
            if left is None:
                if not x.is_constant:
                    leaves.append(x)
                continue
            stack += (x, None)
            if left.__class__ is tuple:
                stack += left
                continue
            if left.__class__ is kind:
                stack.append(left)
            if x.right.__class__ is kind:
                stack.append(x.right)
    return order, leaves


def plain_sweep(root: Node, order: list[Any], seed: float) -> dict[Node, float]:
    """d root / d node times the seed for the nodes of `plain_order`, from the partials that the nodes kept."""
    found = {root: seed}
    for x in reversed(order):
        g = found.get(x)
        if g is None:
            continue
        left, right = x.left, x.right
        if left.__class__ is tuple:
            for parent, partial in zip(left, x.d_left, strict=True):
                found[parent] = found.get(parent, 0.0) + (g * partial if g else 0.0)
            continue
        if left.__class__ is not float:
            share = g * x.d_left if g else 0.0
            found[left] = found[left] + share if left in found else share
        if right is not None and right.__class__ is not float:
            partial = x.d_right
            share = g * (x.partials[1] if partial is None else partial) if g else 0.0
            found[right] = found[right] + share if right in found else share
    return found
