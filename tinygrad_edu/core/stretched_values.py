"""Targets (n,) beside outputs (n, 1), as `stretched_targets.py` has them, in a graph of Values, which has no shapes.

A line `a * x + b` of Values a, b and an array x is an array of Values, and NumPy stretches it as any other. So n nodes
must be compared with the same n numbers each, and between these differences and the loss there must be functions of one
of them, and sums.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.user_line import warn_user

FEWEST, MOST = 3, 100_000  # outputs; nodes of a graph that are looked at
LEFT = [50]  # passes that are still looked at; an optimizer that is made adds some
SCALED = frozenset({"mul", "div", "neg", "pos"})
OUTPUT, PAIR, SUM = range(3)  # a node before the differences, one of them or a function of one, a sum of them


class StretchedTargetWarning(UserWarning):
    """A loss compares each output of a model with the targets of all samples.

    >>> import warnings, numpy as np, tinygrad_edu as tg
    >>> model, X, t = tg.nn.Linear(2, 1), np.ones((3, 2)), np.array([1.0, 2.0, 3.0])
    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     ((model(X) - t) ** 2).mean().backward()
    >>> print(caught[0].message)
    outputs of shape (3, 1) minus targets of shape (3,) have the shape (3, 3): each output is compared with ...
    """


def is_fixed(x: Node) -> bool:
    return x.__class__ is float or bool(getattr(x, "is_constant", False))


def warn_stretched_values(order: Sequence[Node], fixed: Callable[[Node], bool] = is_fixed) -> None:
    """Warn if each of n outputs is compared with all of n targets.

    order: the inner nodes, each after its parents.
    fixed: is an operand a number of the program?
    """
    LEFT[0] -= 1
    if not 2 * FEWEST**2 <= len(order) <= MOST:
        return
    pairs, n = pairs_compared(order, fixed)
    if n and are_only_summed(order, pairs, fixed):
        warn_user(
            f"{n} outputs minus {n} targets are {n * n} differences: each output is compared with the target of every "
            "sample, which draws all outputs to the same number. Arrays of shapes (n, 1) and (n,) give that: give both "
            "the same shape, as with targets[:, None]. If all pairs are meant, parameters that are Tensors and "
            "targets[None, :] says so",
            StretchedTargetWarning,
        )


def pairs_compared(order: Sequence[Node], fixed: Callable[[Node], bool]) -> tuple[set[int], int]:
    """(the ids of the differences, n), if n nodes are compared with the same n numbers each; (nothing, 0) else."""
    numbers, nodes = defaultdict[int, list[float]](list), defaultdict[int, list[int]](list)
    for x in order:
        if x.op.name == "sub":
            first, second = operands(x)
            node, number = (second, first) if fixed(first) else (first, second)
            if fixed(number) and not fixed(node) and node.left is not None:
                numbers[id(node)].append(float(getattr(number, "data", number)))
                nodes[id(node)].append(id(x))
    n = len(numbers)
    each = {tuple(sorted(found)) for found in numbers.values()}
    square = n >= FEWEST and len(each) == 1 and len(set(*each)) > 1 and len(next(iter(each))) == n
    return ({i for found in nodes.values() for i in found}, n) if square else (set(), 0)


def operands(x: Node) -> tuple[Any, ...]:
    """What a node was computed from, numbers as they are."""
    return x.left if x.left.__class__ is tuple else tuple(p for p in (x.left, x.right) if p is not None)


def are_only_summed(order: Sequence[Node], pairs: set[int], fixed: Callable[[Node], bool]) -> bool:
    """Are there only functions of one difference, and sums, between the differences and the loss?"""
    kinds: dict[int, int] = {}
    for x in order:
        parents = [p for p in operands(x) if not fixed(p)]
        found = {kinds.get(id(p), OUTPUT) for p in parents}
        if id(x) in pairs:
            kinds[id(x)] = PAIR
        elif x.op.name == "sub" and len({id(p) for p in parents}) == 2 and found == {OUTPUT}:
            return False  # outputs are compared with each other too, as in distances of two sets
        elif found == {PAIR} and len({id(p) for p in parents}) == 1:
            kinds[id(x)] = PAIR
        elif (x.op.name == "add" and found & {PAIR, SUM}) or (
            found == {SUM} and (x is order[-1] or (x.op.name in SCALED and len(parents) == 1))
        ):
            kinds[id(x)] = SUM
        elif found - {OUTPUT}:
            return False
    return kinds.get(id(order[-1])) == SUM
