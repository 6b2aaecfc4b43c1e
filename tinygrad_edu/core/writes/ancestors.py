"""What leads to the values that are written into Tensors one after the other: walked once, not for each of them.

A loop that writes h into 2,000 Tensors, and computes the next h, would walk the whole history of h each time. Nodes are
known by their ticks, which no two of a history share, so no graph is kept alive. What is noted may be more than what is
still there, never less: a Tensor that is not among it has not been used.
"""

from __future__ import annotations

import threading

from tinygrad_edu.core.aliases import Node

MOST = 100_000  # ticks that are kept


class Walked(threading.local):
    """The nodes that this thread has walked: their ticks, and those of what they were computed from."""

    def __init__(self) -> None:
        self.forget(0)

    def forget(self, since: int) -> None:
        """Begin anew, with the nodes that were made after this tick."""
        self.seen, self.used, self.since = set[int](), set[int](), since

    def may_use(self, value: Node, x: Node) -> bool:
        """May a node that leads to the value have been computed from x?"""
        if x._made <= self.since or len(self.seen) > MOST:
            self.forget(
                max(0, 2 * x._made - value._made)
            )  # twice as far back, so that earlier ones come to a few walks
        stack = [value]
        while stack:
            node = stack.pop()
            if node._made > self.since and node._made not in self.seen:
                self.seen.add(node._made)
                parents = [p for p in node.parents if hasattr(p, "_made")]
                self.used.update([p._made for p in parents])
                stack += parents
        return x._made in self.used


WALKED = Walked()
