"""What a wrong result has to do with the right one: another shape, a factor, another result, one wrong row."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
SAME = 1e-8  # relative difference of numbers that count as equal
SINGLE = 1e-5  # relative rounding error of float32
NEAR = 1e-4  # a factor this close to 1 comes from finite differences
KINDS: Mapping[str, str] = {
    "another_order": "The results are returned in another order.",
    "another_shape": "The numbers are right, and the shape is not.",
    "not_summed": "A sum is missing.",
    "summed_too_far": "Summed over one axis too many.",
    "sign": "A sign is the wrong way round.",
    "constant_factor": "A constant factor is wrong.",
    "size_factor": "Multiplied or divided by the size of an array.",
    "input_added": "An input is added to the gradient.",
    "zeros": "A result is 0 everywhere.",
    "single_precision": "Computed in float32.",
    "one_part": "All entries are right but those of one place.",
}


DIVIDED = " Is a division by it missing? A mean over all entries divides by their number."


@dataclass(frozen=True)
class Case:
    """One result in one case: the learner's numbers, the right ones, all right results, and the inputs."""

    name: str
    got: Array
    right: Array
    results: Mapping[str, Array]
    inputs: Mapping[str, Any]


def are_the_same(a: Any, b: Any, within: float = SAME) -> bool:
    """Do two arrays hold the same numbers, NaN and infinity in the same places?"""
    a, b = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if a.shape != b.shape:
        return False
    finite = np.isfinite(a)
    if not finite.all():
        if not np.array_equal(a[~finite], b[~finite], equal_nan=True):
            return False
        a, b = a[finite], b[finite]
    return bool(np.linalg.norm(a - b) <= within * (float(np.linalg.norm(b)) or 1.0))


def relation(cases: Sequence[Case]) -> tuple[str, str] | None:
    """(code, sentence) of what holds in every case; None where nothing does."""
    with np.errstate(all="ignore"):
        for rule in RULES:
            first, *rest = (set(rule(case)) for case in cases)
            common = sorted(first.intersection(*rest))
            if common:
                return common[0]
    return None


Found = Iterator[tuple[str, str]]


def order(c: Case) -> Found:
    for other, numbers in c.results.items():
        if other != c.name and are_the_same(c.got, numbers) and not are_the_same(numbers, c.right):
            wanted = ", ".join(c.results)
            yield "another_order", f"{other} is in its place: return the results in the order {wanted}."


def shape(c: Case) -> Found:
    """Transposed, or with axes of length 1 more or less."""
    if c.got.ndim == 2 and are_the_same(c.got.T, c.right) and not are_the_same(c.got, c.right):
        yield "another_shape", "Transposed: exchange the two factors of the product, or use .T."
    elif (
        c.got.shape != c.right.shape
        and c.got.size == c.right.size
        and are_the_same(c.got.reshape(c.right.shape), c.right)
    ):
        yield (
            "another_shape",
            f"Its numbers are right, but its shape is not: {c.got.ndim} axes instead of {c.right.ndim} (keepdims?).",
        )


def sums(c: Case) -> Found:
    if c.got.ndim > c.right.ndim:
        for axes in axes_of(c.got.ndim):
            if are_the_same(c.got.sum(axis=axes), c.right):
                yield "not_summed", f"Still to be summed over axis {axes[0] if len(axes) == 1 else axes}."
    if c.got.shape == c.right.shape[1:] and are_the_same(c.got, c.right.sum(axis=0)) and c.right.ndim > 1:
        yield "summed_too_far", "Summed over its first axis, which it should keep."


def axes_of(ndim: int) -> list[tuple[int, ...]]:
    return [*((i,) for i in range(ndim)), *((i, j) for i in range(ndim) for j in range(i + 1, ndim))]


def factor(c: Case) -> Found:
    """A number times the right one: the same number in every case, or one that the size of an input gives."""
    square = float(np.sum(c.right * c.right)) if c.got.shape == c.right.shape else 0.0
    if square == 0.0:
        return
    ratio = float(np.sum(c.got * c.right)) / square
    if abs(ratio) < NEAR or abs(ratio - 1.0) < NEAR or not are_the_same(c.got, ratio * c.right):
        return
    if abs(ratio + 1.0) < SAME:
        yield "sign", "The sign is wrong."
        return
    yield "constant_factor", f"{ratio:.4g} times the right one, on every input."
    for what, size in sizes(c.inputs):
        for words, number in (
            ("multiplied by", size), ("divided by", 1.0 / size), ("multiplied by the root of", size**0.5),
            ("divided by the root of", size**-0.5),
        ):  # fmt: skip
            for sign, own in (("", number), (" and with the wrong sign", -number)):
                if abs(ratio / own - 1.0) < SAME:
                    yield "size_factor", f"The right one, {words} {what}{sign}.{DIVIDED * (words == 'multiplied by')}"


def sizes(inputs: Mapping[str, Any]) -> Iterator[tuple[str, float]]:
    """Lengths of the inputs that are above 1, by the words for them; those of the first come first."""
    for name, x in inputs.items():
        if isinstance(x, np.ndarray):
            yield f"len({name})", float(x.shape[0])
            yield from ((f"{name}.shape[{i}]", float(n)) for i, n in enumerate(x.shape) if i)
            if x.ndim > 1:
                yield f"{name}.size", float(x.size)


def input_term(c: Case) -> Found:
    """An input that has been added: a gradient that began from it in place of 0."""
    for name, x in c.inputs.items():
        if np.shape(x) == c.right.shape == c.got.shape and np.size(x):
            for sign, words in ((1.0, "added to"), (-1.0, "taken away from")):
                if are_the_same(c.got, c.right + sign * np.asarray(x)):
                    yield "input_added", f"{name} itself is {words} it: begin from zeros."


def nothing(c: Case) -> Found:
    if c.got.size and not c.got.any():
        yield "zeros", "0 everywhere: is it filled?"


def rounding(c: Case) -> Found:
    if are_the_same(c.got, c.right, SINGLE) and np.array_equal(c.got, c.got.astype(np.float32)):
        yield "single_precision", "Right to 7 digits, as in float32: compute in float64, as the inputs are."


def one_part(c: Case) -> Found:
    """Right but for one row, column or step: a loop that ends too early, or begins too late."""
    if c.got.shape != c.right.shape or not c.right.ndim:
        return
    wrong = np.abs(c.got - c.right) > SAME * (float(np.abs(c.right).max()) or 1.0)
    for axis in range(wrong.ndim):
        n = wrong.shape[axis]
        lines = np.flatnonzero(wrong.any(axis=tuple(i for i in range(wrong.ndim) if i != axis)))
        if n > 1 and len(lines) == 1 and lines[0] in (0, n - 1):
            end = "first" if lines[0] == 0 else "last"
            yield "one_part", f"Only the {end} entry along axis {axis} is wrong: does a loop leave it out?"


RULES: tuple[Callable[[Case], Found], ...] = (order, shape, sums, nothing, factor, input_term, rounding, one_part)
