"""Windows and convolutions in a trace: a view that reads them, a sum that writes them, and matrix products in between.

The columns of a convolution are computed once; its product and the product for the weight's gradient both read them.
The copy, the sum and everything around them are loops like any other.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from tinygrad_edu.compile.ir.dims import Size, at_least, axis_length, lengths, plus
from tinygrad_edu.compile.ir.indexing import Primitive, reshape_node
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.ir.slices import ceil_divide
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.linalg import matmul
from tinygrad_edu.core.shapes import swapaxes
from tinygrad_edu.errors import ShapeError

Whole = Sequence[int]


def slide(x: Traced, size: Whole, stride: Whole, dilation: Whole, counts: Sequence[Any]) -> Traced:
    """Every window as a view: x[..., i·stride + k·dilation] at (..., k, i)."""
    sizes = (*x.sizes[: -len(size)], *size, *counts)
    return Traced(sizes, SLIDE, (x,), {"stride": tuple(stride), "dilation": tuple(dilation)})


def settle(x: Traced, shape: Sequence[Any], stride: Whole, dilation: Whole) -> Traced:
    """The sum of all windows, each where `slide` reads it, in an array whose last axes have `shape`."""
    sizes = (*x.sizes[: -2 * len(stride)], *shape)
    return Traced(sizes, SETTLE, (x,), {"stride": tuple(stride), "dilation": tuple(dilation)})


def slide_vjp(g: Any, _y: Any, x: Any, stride: Whole, dilation: Whole) -> tuple[Any]:
    return (settle(g, x.sizes[-len(stride) :], stride, dilation),)


def settle_vjp(g: Any, _y: Any, x: Any, stride: Whole, dilation: Whole) -> tuple[Any]:
    n = len(stride)
    return (slide(g, x.sizes[-2 * n : -n], stride, dilation, x.sizes[-n:]),)


SLIDE, SETTLE = Primitive("slide", slide_vjp), Primitive("settle", settle_vjp)


def unfold(x: Traced, size: Sequence[Any], stride: Whole, dilation: Whole) -> Traced:
    size = tuple(map(fix_length, size))
    return slide(x, size, stride, dilation, counts(x, size, stride, dilation))


def fold(x: Traced, shape: Sequence[Any] | None, stride: Whole, dilation: Whole) -> Traced:
    return settle(x, shape or span_of(x, len(stride), stride, dilation), stride, dilation)


def conv(x: Traced, w: Traced, stride: Whole, dilation: Whole, groups: int) -> Any:
    """The columns of x, and a product with each sample's."""
    columns = columns_of(x, w.sizes[2:], stride, dilation)
    n = len(stride)
    product = matmul(as_rows(w, groups), as_columns(columns, n, groups))
    return reshape_node(product, (x.sizes[0], w.sizes[0], *columns.sizes[-n:]))


def conv_transpose(
    x: Traced, w: Traced, shape: Sequence[Any] | None, stride: Whole, dilation: Whole, groups: int
) -> Traced:
    size, spatial = tuple(map(fix_length, w.sizes[2:])), x.sizes[2:]
    rows = swapaxes(as_rows(w, groups), -1, -2)
    given = reshape_node(x, (x.sizes[0], *in_groups(x.sizes[1], groups), total(spatial)))
    columns = reshape_node(matmul(rows, given), (x.sizes[0], w.sizes[1] * groups, *size, *spatial))
    return fold(columns, shape, stride, dilation)


def conv_weight(x: Traced, y: Traced, size: Sequence[Any], stride: Whole, dilation: Whole, groups: int) -> Traced:
    columns, n = columns_of(x, size, stride, dilation), len(stride)
    given = reshape_node(y, (y.sizes[0], *in_groups(y.sizes[1], groups), total(y.sizes[2:])))
    product = matmul(given, swapaxes(as_columns(columns, n, groups), -1, -2))
    channels = x.sizes[1] if groups == 1 else fix_length(x.sizes[1]) // groups
    return reshape_node(broadcasting.sum(product, axis=0), (y.sizes[1], channels, *columns.sizes[2:-n]))


def columns_of(x: Traced, size: Sequence[Any], stride: Whole, dilation: Whole) -> Traced:
    """The windows in memory: (batch, channels, *size, *counts); padding is written once, not tested at each read."""
    return in_memory(unfold(in_memory(x) if op_name(x) == "place" else x, size, stride, dilation))


def in_memory(x: Traced) -> Traced:
    """A node of its own, whose numbers are stored in memory."""
    return Traced(x.sizes, ops.pos, (x,))


def as_rows(w: Traced, groups: int) -> Traced:
    """(out, channels·size), or one such matrix for each group."""
    rows = w.sizes[1] * math.prod(map(fix_length, w.sizes[2:]))
    return reshape_node(w, (w.sizes[0], rows) if groups == 1 else (groups, fix_length(w.sizes[0]) // groups, rows))


def as_columns(columns: Traced, n: int, groups: int) -> Traced:
    """(batch, channels·size, windows), or with an axis for the groups."""
    samples, channels, size, windows = columns.sizes[0], columns.sizes[1], columns.sizes[2:-n], columns.sizes[-n:]
    if groups == 1:
        return reshape_node(columns, (samples, channels * math.prod(size), total(windows)))
    return reshape_node(columns, (samples, groups, fix_length(channels) // groups * math.prod(size), total(windows)))


def in_groups(channels: Any, groups: int) -> tuple[Any, ...]:
    return (channels,) if groups == 1 else (groups, fix_length(channels) // groups)


def total(sizes: Sequence[Any]) -> Any:
    """The product of named sizes."""
    found: Any = 1
    for n in sizes:
        found = found * n
    return found


def fix_length(n: Any) -> int:
    """The length of an axis as a fixed number of the program: another length gets a program of its own."""
    return n.fix() if isinstance(n, Size) else int(n)


def counts(x: Traced, size: Whole, stride: Whole, dilation: Whole) -> tuple[Any, ...]:
    """How many windows fit. Errors: ShapeError."""
    found = []
    for n, k, s, d in zip(x.sizes[-len(size) :], size, stride, dilation, strict=True):
        reach = d * (k - 1)
        if not at_least(n, reach + 1):
            raise ShapeError(f"a window of {size}, dilation {dilation}, is larger than {lengths(x)[-len(size) :]}")
        found.append(axis_length(ceil_divide(plus(n, -reach), s)))
    return tuple(found)


def span_of(x: Traced, n: int, stride: Whole, dilation: Whole) -> tuple[Any, ...]:
    """How far the windows reach."""
    each = zip(x.sizes[-2 * n : -n], x.sizes[-n:], stride, dilation, strict=True)
    return tuple(axis_length(plus(m * s, (fix_length(k) - 1) * d + 1 - s)) for k, m, s, d in each)
