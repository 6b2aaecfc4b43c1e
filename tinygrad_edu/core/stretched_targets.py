"""Outputs (n, 1) beside targets (n,): NumPy stretches both to (n, n), and each output is compared with every target.

`ops.mse` and the other losses see both shapes and make them fit, and `fit` gives targets the form of the outputs. In a
loss of one's own the shapes are right for NumPy, so a backward pass looks for it. Kernels, distances, thresholds and
outer products have such shapes too, and are meant. So three things must come together: the targets are plain numbers,
(n,) or (n, 1); the outputs were computed from n rows of data and from weights; and from the (n, n) numbers to the loss
there are only functions of single numbers and sums. A product with a matrix, a softmax, the smallest of each row, a
mean of each row with more behind it than a sum, or targets (n, n) say that all pairs are wanted; so does a second axis
that is written out, as in targets[None, :].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tinygrad_edu.core import ops
from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.core.stretched_values import StretchedTargetWarning
from tinygrad_edu.core.user_line import warn_user

SQUARES: list[None] = []  # an entry where a gradient of shape (n, n) was summed to one of n numbers
CLASSES = (-1.0, 0.0, 1.0)  # products with other numbers may be meant
WORDS = {ops.sub: "minus", ops.mul: "times"}
SUMS = ("sum", "mean")
LINEAR = ("neg", "pos", "add", "sub", "mul", "div")  # of sums over one axis, with constants
SHAPES_ONLY = ("reshape", "transpose")
MOST = 60  # operations behind the outputs that are looked at


def warn_stretched(order: Sequence[Node]) -> None:
    """Warn of the first such operation of a backward pass, if there is one."""
    SQUARES.clear()
    if order[-1].array.size != 1:
        return
    found = [
        (x, one, numbers_inside(two))
        for x in order
        for one, two in ((x.parents, x.parents[::-1]) if x.op in WORDS else ())
        if is_target(two) and is_stretched(x, numbers_inside(one), numbers_inside(two)) and is_output(one)
    ]
    if found and are_only_summed([x for x, _, _ in found], order) and not has_pairs_of_outputs(order, found[0][0]):
        tell_stretched(*found[0])


def is_target(x: Node) -> bool:
    """Is it an array, or a Tensor that nothing is differentiated by?"""
    return isinstance(x, np.ndarray) or (hasattr(x, "array") and not x.requires_grad)


def is_trained(x: Node) -> bool:
    return bool(getattr(x, "requires_grad", False))


def numbers_inside(x: Node) -> Any:
    return x.array if hasattr(x, "array") else x


def is_stretched(x: Node, output: Node, target: Node) -> bool:
    """Did a column and a row of n numbers become (n, n)?"""
    n = getattr(target, "size", 0)
    if n < 2 or x.array.shape != (n, n) or {np.shape(output), target.shape} != {(n,), (n, 1)}:
        return False
    return x.op is ops.sub or (target.ndim == 1 and bool(np.isin(target, CLASSES).all()))


def is_output(x: Node) -> bool:
    """Was it computed from n rows of data and from weights: by a product with a matrix, or as in a·x + b?"""
    n = numbers_inside(x).size
    return any(joins_data_and_weights(y, n) for y in computed_from(x))


def computed_from(x: Node) -> Iterator[Any]:
    """The nodes that a node was computed from, itself first, as far as they are trained."""
    waiting, seen = [x], {id(x)}
    while waiting and len(seen) < MOST:
        y = waiting.pop(0)
        if y.parents:
            yield y
        new = [p for p in y.parents if is_trained(p) and id(p) not in seen]
        seen.update(map(id, new))
        waiting += new


def joins_data_and_weights(y: Node, n: int) -> bool:
    """Has one operand n rows, which are no weights, while the other one has not one number for each of them?"""
    if y.op is matmul:
        rows = numbers_inside(y.parents[0]).shape
        return len(rows) == 2 and rows[0] == n
    if not isinstance(y.op, Operation) or numbers_inside(y).shape[:1] != (n,):
        return False
    data = [p for p in y.parents if not is_trained(p) and np.shape(numbers_inside(p))[:1] == (n,)]
    return bool(data) and any(is_trained(p) and p.array.shape[:1] != (n,) for p in y.parents)


def are_only_summed(found: Sequence[Node], order: Sequence[Node]) -> bool:
    """Are there only functions of single numbers and sums between the (n, n) numbers and the loss?"""
    pairs, sums = set(map(id, found)), set[int]()
    for y in order:
        known = [p for p in y.parents if id(p) in pairs or id(p) in sums]
        if not known:
            continue
        if y.array.size == 1 and (y.op.name in SUMS or all(p.array.size == 1 for p in known) or is_of_all(y, known)):
            sums.add(id(y))
        elif all(id(p) in pairs for p in known):
            if not goes_on(y, pairs, sums):
                return False
        elif is_linear(y, known):
            sums.add(id(y))
        else:
            return False
    return True


def goes_on(y: Node, pairs: set[int], sums: set[int]) -> bool:
    """Note what an operation makes of numbers for each pair; False where it says that all pairs are wanted."""
    square = np.prod([p.array.size for p in y.parents if id(p) in pairs][:1])
    # not the condition of np.where(|d| < 1, d², |d|), which is made of the pairs; a mask beside 0 is meant
    operands = y.parents[1:] if y.op is ops.where and all(id(p) in pairs for p in y.parents[1:]) else y.parents
    others = [np.size(numbers_inside(p)) for p in operands if id(p) not in pairs]
    if y.op.name in SUMS:
        sums.add(id(y))
        return True
    if y.array.size == square and (isinstance(y.op, Operation) or y.op.name in SHAPES_ONLY):
        pairs.add(id(y))
        return all(size < square for size in others)
    return False


def is_of_all(y: Node, known: Sequence[Node]) -> bool:
    """Is it one number of all pairs, such as the largest? Not with another operand, as in a product."""
    return len(y.parents) == 1 and known[0].array.size > 1 and not isinstance(y.op, Operation)


def is_linear(y: Node, known: Sequence[Node]) -> bool:
    """Is it a sum of sums, or one of them times a constant?"""
    if y.op.name in SUMS:
        return True
    return y.op.name in LINEAR and (
        y.op.name not in ("mul", "div") or len([p for p in y.parents if is_trained(p)]) == 1
    )


def has_pairs_of_outputs(order: Sequence[Node], like: Node) -> bool:
    """Does the graph compare outputs with each other too, as distances of two sets do?"""
    pairs = [x for x in order if x.op is ops.sub and x.array.shape == like.array.shape]
    return any(all(is_trained(p) and p.array.size < x.array.size for p in x.parents) for x in pairs)


def tell_stretched(x: Node, output: Node, target: Node) -> None:
    """Warn, with the fix."""
    fix, meant = ("targets[:, None]", "targets[None, :]") if target.ndim == 1 else ("targets[:, 0]", "outputs[None, :]")
    warn_user(
        f"outputs of shape {output.shape} {WORDS[x.op]} targets of shape {target.shape} have the shape "
        f"{x.shape}: each output is compared with the target of every sample, which draws all outputs to the same "
        f"number. Give both the same shape, as with {fix}. If all pairs are meant, {meant} says so",
        StretchedTargetWarning,
    )
