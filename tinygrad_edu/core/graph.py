"""Walks over a graph of nodes: loops, never recursion, so that a chain of a million nodes works."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.core.user_line import leaf_in_words, warn_user
from tinygrad_edu.errors import ForgottenZeroGradWarning

Node = Any

# Held while a backward pass adds to gradients: two threads doing "read, add, write" on one leaf could lose an update.
ACCUMULATING = Mutex()
PASSES = [0]  # how often backward() was called on a Tensor


def wait_to_fork() -> None:
    """Fork between two backward passes of other threads, so that no gradient in the child is half added."""
    ACCUMULATING.taken.acquire()


def go_on() -> None:
    """The end of the wait, which Ctrl-C may have ended before."""
    if ACCUMULATING.is_mine():
        ACCUMULATING.taken.release()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=wait_to_fork, after_in_parent=go_on, after_in_child=go_on)


def parent_nodes(node: Node) -> Iterable[Node]:
    """The parents that are nodes themselves; plain numbers and arrays are constants."""
    return [parent for parent in node.parents if hasattr(parent, "parents")]


def topological(root: Node, parents: Callable[[Node], Iterable[Node]] = parent_nodes) -> list[Node]:
    """All nodes that `root` depends on, every node after its parents; each once, in a stable order.

    Depth first with a stack of its own. A node is pushed twice: first to open it (its parents go on top),
    then, under a None, to list it.

    >>> from tinygrad_edu import Value
    >>> a = Value(2.0, label="a"); b = (a * a); b.label = "b"
    >>> [node.label for node in topological(b)]
    ['a', 'b']
    """
    order: list[Node] = []
    seen: set[Node] = set()
    stack: list[Node] = [root]
    while stack:
        node = stack.pop()
        if node is None:
            order.append(stack.pop())
        elif node not in seen:
            seen.add(node)
            stack += (node, None)
            for parent in parents(node):
                if parent not in seen:
                    stack.append(parent)
    return order


def cotangents(
    order: Sequence[Node], seed: Node, pull: Callable[[Node, Any], Iterable[tuple[Node, Any]]]
) -> dict[Node, Any]:
    """Reverse mode: d root / d node for every node of a topological order, by the chain rule from the root down.

    `pull(node, g)` yields (parent, g · ∂node/∂parent); a parent that is used twice gets the sum.
    """
    found: dict[Node, Any] = {order[-1]: seed}
    for node in reversed(order):
        gradient = found.get(node)
        if gradient is None or not node.parents:
            continue
        for parent, contribution in pull(node, gradient):
            earlier = found.get(parent)
            found[parent] = contribution if earlier is None else earlier + contribution
    return found


def warn_forgotten(leaves: Sequence[object]) -> None:
    """Warn that a gradient which an optimizer has used is being added to."""
    others = f" (and {len(leaves) - 1} more)" if len(leaves) > 1 else ""
    warn_user(
        f"{leaf_in_words(leaves[0])}{others}: an optimizer has used this gradient already, and a second one is now "
        "being added to it. Call zero_grad() before the next backward()",
        ForgottenZeroGradWarning,
    )
