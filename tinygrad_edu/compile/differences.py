"""Where two results differ that ought to be the same: nesting, classes, dtypes, shapes, numbers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.pytree import leaf_names, outline, tree_leaves
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value


@dataclass(frozen=True)
class Difference:
    """What is there, and what should be, in words; `in_numbers`: by more than rounding may explain?"""

    seen: str
    expected: str
    in_numbers: bool = False


def first_difference(found: Any, expected: Any, name: str, tolerance: float) -> Difference | None:
    """The first difference between two trees; numbers may differ by `tolerance` times the largest of their array."""
    if containers(found) != containers(expected):
        return Difference(f"{name} is {outline(found)}", outline(expected))
    trees = list(zip(leaf_names(found, name), tree_leaves(found), tree_leaves(expected), strict=True))
    kinds = [Difference(f"{n} is {kind(a)}", kind(b)) for n, a, b in trees if kind(a) != kind(b)]
    if kinds:
        return kinds[0]
    return next((far for n, a, b in trees if (far := far_numbers(n, a, b, tolerance)) is not None), None)


def containers(tree: Any) -> Any:
    """The classes of all containers, and the keys of dicts."""
    if isinstance(tree, dict):
        return type(tree), tuple(tree), [containers(x) for x in tree.values()]
    if isinstance(tree, (list, tuple)):
        return type(tree), [containers(x) for x in tree]
    return None


def kind(x: ArrayLike) -> str:
    """What a leaf is, in words: of what a function and its program must agree about."""
    array = leaf_numbers(x)
    if array is None:
        return f"{x!r:.80}"
    if array.ndim:
        return f"an array of {array.dtype.name} with shape {array.shape}"
    return {"b": "a truth value", "f": "a float"}.get(array.dtype.kind, "a whole number")


def leaf_numbers(x: ArrayLike) -> Any:
    """The numbers of a leaf as an array; None for anything else."""
    if isinstance(x, Value):
        x = x.data
    array = np.asarray(x.array if isinstance(x, Tensor) else x)
    return array if array.dtype.kind in "biufc" else None


def far_numbers(name: str, x: ArrayLike, y: ArrayLike, tolerance: float) -> Difference | None:
    """The entry that differs most, by more than the tolerance; two NaNs are equal, and so are two infinities."""
    found, expected = leaf_numbers(x), leaf_numbers(y)
    if found is None or not found.size:
        return None
    distance = distances(found, expected)
    limit = tolerance * largest(expected) if found.dtype.kind == "f" else 0.0
    place = np.unravel_index(int(distance.argmax()), distance.shape)
    if distance[place] <= limit:
        return None
    index = f"[{', '.join(map(str, place))}]" if place else ""
    return Difference(f"{name}{index} is {found[place]!s}", str(expected[place]), in_numbers=True)


def distances(a: Any, b: Any) -> Any:
    """|a - b| for each entry: 0 for equal ones, NaN included, inf where only one is finite or a number.

    Whole numbers above 2⁵³ that float64 cannot tell apart are 1 apart.
    """
    equal = a == b
    with np.errstate(all="ignore"):
        a, b = np.asarray(a, np.float64), np.asarray(b, np.float64)
        apart = np.abs(a - b)
    same = equal | (np.isnan(a) & np.isnan(b))
    apart = np.where((a == b) & ~same, 1.0, apart)
    return np.where(same, 0.0, np.where(np.isnan(apart), np.inf, apart))


def largest(x: Any) -> float:
    """The largest size of a finite entry."""
    return 0.0 if x is None else float(np.abs(x[np.isfinite(x)]).max(initial=0.0))


def changes(tree: Any, other: Any) -> list[float]:
    """For each leaf: how far the two are apart at most; inf where they cannot be compared."""
    if containers(tree) != containers(other):
        return [math.inf for _ in tree_leaves(other)]
    return [leaf_change(a, b) for a, b in zip(tree_leaves(tree), tree_leaves(other), strict=True)]


def leaf_change(x: ArrayLike, y: ArrayLike) -> float:
    a, b = leaf_numbers(x), leaf_numbers(y)
    if a is None or b is None:
        return 0.0
    return float(distances(a, b).max(initial=0.0)) if a.shape == b.shape else math.inf
