"""The shapes of the primitive array operations; the others have theirs in their rows, see core.operation."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from tinygrad_edu.compile.ir.dims import axis_length, length, lengths, rest
from tinygrad_edu.core import broadcasting, reductions
from tinygrad_edu.core.shape_errors import explain
from tinygrad_edu.core.shapes import list_axes, one_axis
from tinygrad_edu.errors import ShapeError

Sizes = tuple[Any, ...]


def names_of(parents: Sequence[Any]) -> list[str]:
    return [x.label or x.name or f"argument {i}" for i, x in enumerate(parents)]


def elementwise_shape(name: str, parents: Sequence[Any]) -> Sizes:
    """The shape of an elementwise result."""
    width = max((x.ndim for x in parents), default=0)
    aligned = [(1,) * (width - x.ndim) + x.sizes for x in parents]
    result = []
    for each in zip(*aligned, strict=True):
        long = [n for n in each if n != 1]
        if any(n != long[0] for n in long[1:]):
            raise ShapeError(explain(name, names_of(parents), [lengths(x) for x in parents]))
        result.append(long[0] if long else 1)
    return tuple(result)


def reduction_shape(parents: Sequence[Any], axis: Any, keepdims: bool) -> Sizes:
    axes = broadcasting.axes_of(parents[0], axis)
    sizes = parents[0].sizes
    if keepdims:
        return tuple(1 if i in axes else n for i, n in enumerate(sizes))
    return tuple(n for i, n in enumerate(sizes) if i not in axes)


def extreme_shape(parents: Sequence[Any], axis: Any, keepdims: bool) -> Sizes:
    """The maximum of an empty axis does not exist. Errors: ShapeError."""
    return reductions.shape_of_extreme(parents[0], axis, keepdims)


def reshape_shape(parents: Sequence[Any], shape: Any) -> Sizes:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    total = parents[0].size
    unknown = [i for i, n in enumerate(sizes) if n == -1]
    if len(unknown) == 1:
        at = unknown[0]
        sizes = (*sizes[:at], axis_length(rest(total, sizes[:at] + sizes[at + 1 :])), *sizes[at + 1 :])
    if len(unknown) > 1 or total != math.prod(sizes):
        raise ShapeError(f"an array of shape {lengths(parents[0])} cannot take the shape {tuple(map(length, sizes))}")
    return sizes


def stretch_shape(parents: Sequence[Any], shape: Any) -> Sizes:
    sizes = tuple(shape) if isinstance(shape, (tuple, list)) else (shape,)
    own = parents[0].sizes
    tail = sizes[len(sizes) - len(own) :]
    if len(own) > len(sizes) or any(n not in (1, m) for n, m in zip(own, tail, strict=True)):
        raise ShapeError(f"an array of shape {lengths(parents[0])} cannot be repeated to {tuple(map(length, sizes))}")
    return sizes


def order_of_axes(x: Any, axes: Sequence[int] | None) -> list[int]:
    """The axes counted from the front. Errors: ValueError, as NumPy's, where they are not all the axes of x."""
    listed = list_axes(axes)
    order = list(range(x.ndim))[::-1] if listed is None else [one_axis(x, i) for i in listed]
    if sorted(order) != list(range(x.ndim)):
        raise ValueError("axes don't match array" if len(order) != x.ndim else "repeated axis in transpose")
    return order


SHAPES: dict[str, Callable[..., Sizes]] = {
    "sum": reduction_shape,
    "max": extreme_shape,
    "reshape": reshape_shape,
    "transpose": lambda parents, axes: tuple(parents[0].sizes[i] for i in order_of_axes(parents[0], axes)),
    "broadcast_to": stretch_shape,
}
