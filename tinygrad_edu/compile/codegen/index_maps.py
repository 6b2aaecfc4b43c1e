"""Index expressions: which element of its source a view reads at the loop indices i0, i1, ..."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_edu.compile.ir.dims import minus, plus
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.shape_rules import order_of_axes
from tinygrad_edu.compile.passes.fuse import SizeNames


def through(view: Traced, points: Sequence[str], names: SizeNames) -> list[str]:
    """The indices of a view's source for the indices of the view."""
    source = view.parents[0]
    if op_name(view) == "transpose":
        order = order_of_axes(source, view.options["axes"])
        return [points[order.index(axis)] for axis in range(source.ndim)]
    if op_name(view) == "broadcast_to":
        return list(points)[len(points) - source.ndim :]
    if op_name(view) == "window":
        return window(view, points, names)
    if op_name(view) == "slide":
        return slide(view, points)
    long = [(size, i) for size, i in zip(names.shape(view), points, strict=True) if size != "1"]
    wanted = [size for size in names.shape(source) if size != "1"]
    found = iter([i for sizes, given in groups(wanted, long) for i in unravel(sizes, given)])
    return ["0" if size == "1" else next(found) for size in names.shape(source)]


def groups(
    wanted: Sequence[str], given: Sequence[tuple[str, str]]
) -> list[tuple[Sequence[str], Sequence[tuple[str, str]]]]:
    """The axes that a reshape joins or splits, group by group; the others keep their index and need no division.

    >>> groups(["n", "c * h", "w"], [("n", "i0"), ("c", "i1"), ("h", "i2"), ("w", "i3")])
    [(['n'], [('n', 'i0')]), (['c * h'], [('c', 'i1'), ('h', 'i2')]), (['w'], [('w', 'i3')])]
    """
    found, start, first = [], 0, 0
    for end in range(1, len(wanted)):
        whole = factors(wanted[start:end])
        for last in range(first + 1, len(given)):
            if factors([size for size, _ in given[first:last]]) == whole:
                found.append((list(wanted[start:end]), list(given[first:last])))
                start, first = end, last
                break
    return [*found, (list(wanted[start:]), list(given[first:]))] if wanted else []


def factors(sizes: Sequence[str]) -> tuple[int, list[str]]:
    """A product of sizes: its number and its names."""
    parts = " * ".join(sizes).split(" * ")
    return math.prod(int(x) for x in parts if x.isdigit()), sorted(x for x in parts if not x.isdigit())


def slide(node: Traced, points: Sequence[str]) -> list[str]:
    """i·stride + k·dilation along each of the last axes, for reading windows or writing them."""
    stride, dilation = node.options["stride"], node.options["dilation"]
    n = len(stride)
    moved = []
    for k, i, s, d in zip(points[-2 * n : -n], points[-n:], stride, dilation, strict=True):
        parts = [bracket(x) if m == 1 else f"{bracket(x)} * {m}" for x, m in ((i, s), (k, d)) if x != "0"]
        moved.append(" + ".join(parts) or "0")
    return [*points[: -2 * n], *moved]


def unravel(sizes: Sequence[str], given: Sequence[tuple[str, str]]) -> list[str]:
    """The indices along `sizes` of the number at the (size, index) pairs `given` of another shape."""
    if [size for size, _ in given] == list(sizes):
        return [i for _, i in given]
    place = ""
    for size, index in given:
        place = f"({place}) * ({size}) + {index}" if place else index
    found: list[str] = []
    for size in reversed(sizes):
        found.append(f"({place}) % ({size})" if len(found) < len(sizes) - 1 else place)
        place = f"({place}) // ({size})"
    return found[::-1]


def window(view: Traced, points: Sequence[str], names: SizeNames) -> list[str]:
    """start + step·i along every axis."""
    moved = []
    options = zip(view.options["starts"], view.options["steps"], strict=True)
    for (start, step), size, i in zip(options, names.shape(view), points, strict=True):
        first, k = names.of(start), "" if abs(step) == 1 else f"{abs(step)} * "
        further = f"{k}{bracket(i)}"
        if size == "1":
            moved.append(first)
        else:
            moved.append(further if step > 0 and first == "0" else f"{first} {'+' if step > 0 else '-'} {further}")
    return moved


def landing(view: Traced, points: Sequence[str], names: SizeNames) -> tuple[list[str], list[str]]:
    """(conditions under which something was placed at the point, its index in the source)."""
    source, conditions, found = view.parents[0], [], []
    options = zip(view.options["starts"], view.options["steps"], strict=True)
    for (start, step), n, total, i in zip(options, source.sizes, view.sizes, points, strict=True):
        size, first = names.of(n), names.of(start)
        if size == "1":
            conditions += [] if names.of(total) == "1" else [f"{i} == {first}"]
            found.append("0")
            continue
        offset = i if first == "0" else f"{bracket(i)} - {first}"
        offset = offset if step > 0 else f"{first} - {bracket(i)}"
        if abs(step) == 1:
            conditions += inside(start, step, n, total, i, offset, names)
            found.append(offset)
        else:
            k = abs(step)
            conditions += [f"0 <= {offset} < {k} * {size}", f"({offset}) % {k} == 0"]
            found.append(f"({offset}) // {k}")
    return conditions, found


def inside(start: Any, step: int, n: Any, total: Any, i: str, offset: str, names: SizeNames) -> list[str]:
    """The ends of a part that was placed without gaps, unless they are those of the whole axis."""
    last = plus(start, n) if step > 0 else minus(start, n)  # one past the end
    low, high = (start, last) if step > 0 else (plus(last, 1), plus(start, 1))
    found = [] if names.of(low) == "0" else [f"{i} >= {names.of(low)}"]
    return found if names.of(high) == names.of(total) else [*found, f"{i} < {names.of(high)}"]


def bracket(index: str) -> str:
    """An index as part of a product or a difference."""
    return index if index.isidentifier() or index.isdigit() else f"({index})"


def bare(size: str) -> str:
    """A size that is used alone: (n - 1) without its brackets. A product of sums keeps them."""
    return size[1:-1] if size.startswith("(") and size.endswith(")") and " * " not in size else size
