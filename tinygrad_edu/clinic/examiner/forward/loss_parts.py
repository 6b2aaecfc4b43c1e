"""A loss taken apart into what is added to make it: the losses of single samples.

A loop over samples adds scalars; a batch adds the rows of an array. Either way the loss is a sum of parts, and the loss
of some of them alone is a node that can stand in its place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.clinic.examiner.forward.network import PENALTY
from tinygrad_edu.core.broadcasting import sum as total_of
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value

REDUCTIONS = ("sum", "mean")
DEEP = 2  # levels of operations, counted from the top, by which terms are compared
LARGE = 500  # nodes; a larger term is not a penalty


@dataclass(frozen=True)
class Part:
    """`factor` times a node; of an array, the sum of row `row` along `axis`."""

    node: Any
    factor: float = 1.0
    axis: int = -1
    row: int = -1

    @property
    def loss(self) -> Any:
        if self.axis < 0:
            return self.node * self.factor
        index = tuple([slice(None)] * self.axis + [self.row])
        return total_of(self.node[index]) * self.factor


def operation_name(node: Any) -> str:
    return node.op.name if node.op else ""


def number_of(node: Any) -> Any:
    return node.array if isinstance(node, Tensor) else node.data


def as_number(x: Any) -> float | None:
    """A plain number, or one that depends on nothing."""
    if isinstance(x, Value):
        return None if x.parents or x.label else float(x.data)
    return None if isinstance(x, Tensor) or np.size(x) != 1 else float(np.reshape(x, ()))


def summands_of(loss: Any, axis: int = 0) -> list[Part]:
    """The summands of a loss; `axis`: the axis of the batch's samples."""
    terms: list[tuple[Any, float]] = []
    waiting: list[tuple[Any, float]] = [(loss, 1.0)]
    while waiting:
        node, c = waiting.pop()
        further = open_sum(node, c)
        if further is None:
            terms.append((node, c))
        else:
            waiting += reversed(further)
    if len(terms) == 1:  # one reduction over the batch; otherwise each term belongs to a sample
        return sums_of_rows(*terms[0], axis)
    return [Part(node, c) for node, c in terms]


def open_sum(node: Any, c: float) -> list[tuple[Any, float]] | None:
    """The parents of a sum, a difference, a scalar multiple, with their factors; None for what is none of these."""
    if as_number(node) is not None:
        return []
    operation, parents = operation_name(node), node.parents
    if np.size(number_of(node)) > 1:
        return None
    if operation in ("add", "sub"):
        return [(parents[0], c), (parents[1], -c if operation == "sub" else c)]
    if operation == "neg":
        return [(parents[0], -c)]
    if operation in ("reshape", "pos", "getitem") and np.size(number_of(parents[0])) == 1:
        return [(parents[0], c)]
    if operation in ("mul", "div"):
        numbers = [as_number(p) for p in parents]
        if numbers[1] is not None:
            return [(parents[0], c * numbers[1] if operation == "mul" else c / numbers[1])]
        if numbers[0] is not None and operation == "mul":
            return [(parents[1], c * numbers[0])]
    return None


def sums_of_rows(node: Any, c: float, axis: int) -> list[Part]:
    """A sum over an array as the sums of its rows, through sums over the other axes."""
    if not isinstance(node, Tensor) or operation_name(node) not in REDUCTIONS:
        return [Part(node, c)]
    inner = node.parents[0]
    c = c / inner.array.size if operation_name(node) == "mean" else c
    while isinstance(inner, Tensor) and operation_name(inner) == "neg":
        inner, c = inner.parents[0], -c
    if inner.array.ndim <= axis or inner.array.shape[axis] < 2:
        axis = int(np.argmax(inner.array.shape)) if inner.array.ndim else 0
    if inner.array.size < 2:
        return [Part(node.parents[0], c)]
    return [Part(inner, c, axis, k) for k in range(inner.array.shape[axis])]


def parts_by_sample(loss: Any, axis: int = 0) -> tuple[list[list[Part]], list[Part]]:
    """(the parts of each sample, the parts that belong to none: penalties).

    A loop may add an error and a penalty for every sample; then the same terms come again and again. Or a penalty
    stands once beside the sum or mean over the samples.
    """
    terms = summands_of(loss, axis)
    if any(part.axis >= 0 for part in terms):
        return [[part] for part in terms], []
    size = period_of([operations_at_top(part.node) for part in terms])
    if size < len(terms):
        return [terms[k : k + size] for k in range(0, len(terms), size)], []
    rest = [part for part in terms if is_penalty(part.node)]
    data = [part for part in terms if not any(part is x for x in rest)]
    if not rest or not data:
        return [[part] for part in terms], []
    rows = sums_of_rows(data[0].node, data[0].factor, axis) if len(data) == 1 else data
    size = period_of([operations_at_top(part.node) for part in rows]) if len(data) > 1 else 1
    size = size if size < len(rows) else 1
    return [rows[k : k + size] for k in range(0, len(rows), size)], rest


def period_of(items: Sequence[Any]) -> int:
    """After how many the same come again, to the end.

    >>> period_of("abcabc"), period_of("aaa"), period_of("aab")
    (3, 1, 3)
    """
    n = len(items)
    sizes = (size for size in range(1, n) if n % size == 0)
    return next((size for size in sizes if all(a == b for a, b in zip(items, items[size:], strict=False))), n)


def operations_at_top(node: Any) -> tuple[Any, ...]:
    """The operations at the top of a term, by which the terms of a loop are seen to be alike."""
    found: list[Any] = []
    waiting = [(node, 0)]
    while waiting:
        x, depth = waiting.pop()
        is_node = isinstance(x, (Tensor, Value))
        found.append((operation_name(x), np.shape(number_of(x))) if is_node else "number")
        waiting += [(p, depth + 1) for p in x.parents] if is_node and depth < DEEP else []
    return tuple(found)


def is_penalty(node: Any) -> bool:
    """Does a term depend on parameters alone?"""
    waiting, seen = [node], set[int]()
    while waiting:
        x = waiting.pop()
        if isinstance(x, (Tensor, Value)) and id(x) not in seen:
            seen.add(id(x))
            if (x.parents and operation_name(x) not in PENALTY) or len(seen) > LARGE:
                return False
            waiting += x.parents
        elif not isinstance(x, (Tensor, Value)) and np.size(x) > 1:
            return False
    return True


def some_parts(chosen: Sequence[int], axis: int = 0) -> Any:
    """A function of the loss: what these of its samples give to it, with their share of the penalties."""

    def pick(loss: Any) -> Any:
        samples, rest = parts_by_sample(loss, axis)
        share = len(chosen) / len(samples)
        terms = [part.loss for k in chosen for part in samples[k]] + [part.loss * share for part in rest]
        made = terms[0]
        for other in terms[1:]:
            made = made + other
        return made

    return pick
