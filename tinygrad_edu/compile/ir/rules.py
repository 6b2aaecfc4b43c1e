"""Array operations that a trace records as others: each gives its result in terms of what can be compiled."""

from __future__ import annotations

import math
from typing import Any

from tinygrad_edu.compile.ir import casts, convolution, indexing
from tinygrad_edu.compile.ir.dims import lengths
from tinygrad_edu.compile.ir.indexing import Primitive, axis_of, reshape_node
from tinygrad_edu.compile.ir.node import DECOMPOSITIONS, Traced
from tinygrad_edu.compile.ir.shape_rules import names_of, reduction_shape
from tinygrad_edu.core import broadcasting, ops
from tinygrad_edu.core.aliases import ArrayLike, Axis
from tinygrad_edu.core.arrays.positions import offsets
from tinygrad_edu.core.linalg import matmul as product
from tinygrad_edu.core.operation import ARRAY_TABLE
from tinygrad_edu.core.reductions import counted_products, exact_of
from tinygrad_edu.core.shape_errors import explain
from tinygrad_edu.core.shapes import swapaxes
from tinygrad_edu.errors import ShapeError


def cumsum(x: Traced, axis: int | None) -> Traced:
    """Running sums along the last axis, which is the innermost loop."""
    if axis is None or (not x.ndim and axis in (0, -1)):  # NumPy treats a single number as a row of one
        return cumsum(reshape_node(x, (x.size,)), 0)
    last, axis = x.ndim - 1, axis_of(x, axis)
    if axis != last:
        return swapaxes(cumsum(swapaxes(x, axis, last), last), axis, last)  # type: ignore[no-any-return]
    return Traced(x.sizes, ARRAY_TABLE["cumsum"], (x,), {"axis": axis})


def prod(x: Traced, axis: Axis, keepdims: bool) -> Traced:
    return Traced(reduction_shape((x,), axis, keepdims), PROD, (x,), {"axis": axis, "keepdims": keepdims})


def prod_vjp(g: Any, _y: Any, x: ArrayLike, axis: Axis, keepdims: bool) -> tuple[Any]:
    """ȳ times the product of all others."""
    return (broadcasting.spread_gradient(g, x, axis) * counted_products(x, axis),)


def cumprod(x: Traced, axis: int | None) -> Traced:
    """Running products along the last axis."""
    if axis is None or (not x.ndim and axis in (0, -1)):
        return cumprod(reshape_node(x, (x.size,)), 0)
    last, axis = x.ndim - 1, axis_of(x, axis)
    row = swapaxes(x, axis, last)
    return swapaxes(Traced(row.sizes, CUMPROD, (row,)), axis, last)  # type: ignore[no-any-return]


def cumprod_vjp(g: Any, _y: Any, x: Traced) -> tuple[Any]:
    """x̄ᵢ = Σ ȳⱼ · the product of all up to j but xᵢ, over j ≥ i alone: those of j < i may be infinite. n² products."""
    return (sum_of_later(g, counted_products(ahead(x), -1), x.sizes[-1]),)


def cumprod_vjp_again(g: Any, _y: Any, x: Traced) -> tuple[Any]:
    """The same with each product written out (n³ factors)."""
    n = x.sizes[-1]
    i, k, j = (reshape_node(Traced.positions(n), shape) for shape in ((n, 1), (n,), (n, 1, 1)))
    rows = reshape_node(x, (*x.sizes[:-1], 1, 1, n))
    taken = ops.less_equal(k, j) * ops.not_equal(k, i)
    found = ARRAY_TABLE["prod"](ops.where(taken, rows, 1.0), axis=-1)
    found = exact_of(found, counted_products(ahead(x), -1))
    return (sum_of_later(g, found, n),)


def ahead(x: Traced) -> Any:
    """Row j: the numbers up to j, and 1 after it."""
    return ops.where(
        ops.less_equal(offsets(x.sizes[-1], x.sizes[-1]), 0.0), reshape_node(x, (*x.sizes[:-1], 1, x.sizes[-1])), 1.0
    )


def sum_of_later(g: Any, others: Any, n: Any) -> Any:
    """Σ ȳⱼ · the product in row j and column i, over j ≥ i."""
    terms = ops.where(ops.less_equal(offsets(n, n), 0.0), reshape_node(g, (*g.sizes, 1)) * others, 0.0)
    return broadcasting.sum(terms, axis=-2)


def prod_vjp_again(g: Any, _y: Any, x: Traced, axis: Axis, keepdims: bool) -> tuple[Any]:
    """ȳ times the product of all others, written out (n² factors): what `prod_vjp` gives beside zeros is constant."""
    inner = broadcasting.axes_of(x, axis)
    order = [i for i in range(x.ndim) if i not in inner] + list(inner)
    back = [order.index(i) for i in range(x.ndim)]
    rows = ARRAY_TABLE["transpose"](x, order)
    n = math.prod(x.sizes[i] for i in inner)
    rows = reshape_node(rows, (*rows.sizes[: x.ndim - len(inner)], 1, n))
    own = ops.equal(Traced.positions(n), reshape_node(Traced.positions(n), (n, 1)))
    others = ARRAY_TABLE["prod"](ops.where(own, 1.0, rows), axis=-1)
    found = ARRAY_TABLE["transpose"](reshape_node(others, tuple(x.sizes[i] for i in order)), back)
    found = exact_of(found, counted_products(x, axis))
    return (broadcasting.spread_gradient(g, x, axis) * found,)


PROD = Primitive("prod", prod_vjp, prod_vjp_again)
CUMPROD = Primitive("cumprod", cumprod_vjp, cumprod_vjp_again, lambda x: ARRAY_TABLE["prod"](ahead(x), axis=-1))


def matmul(a: Traced, b: Traced) -> Traced:
    """A product with a vector is a sum of products; stacks of matrices are multiplied one by one."""
    if not a.ndim or not b.ndim:
        raise ShapeError(explain("matmul", names_of((a, b)), [lengths(a), lengths(b)]))
    if a.ndim > 2 and b.ndim == 2:  # all rows of the stack in one product
        sizes = stack_shape(a, b)
        rows = reshape_node(a, (math.prod(a.sizes[:-1]), a.sizes[-1]))
        return reshape_node(matmul(rows, b), sizes)
    if a.ndim > 1 and b.ndim > 1:
        return Traced(stack_shape(a, b), product, (a, b))
    inner = b.sizes[-2] if b.ndim > 1 else b.sizes[0]
    if a.sizes[-1] != inner:
        raise ShapeError(explain("matmul", names_of((a, b)), [lengths(a), lengths(b)]))
    if b.ndim == 1:
        return broadcasting.sum(a * b, axis=-1)  # type: ignore[no-any-return]
    return broadcasting.sum(reshape_node(a, (*a.sizes, 1)) * b, axis=-2)  # type: ignore[no-any-return]


def stack_shape(a: Traced, b: Traced) -> tuple[Any, ...]:
    """The shape of a product of matrices, or of stacks of them, which are repeated where one is missing."""
    width = max(a.ndim, b.ndim) - 2
    pairs = zip((1,) * (width + 2 - a.ndim) + a.sizes[:-2], (1,) * (width + 2 - b.ndim) + b.sizes[:-2], strict=True)
    lead = [n if m == 1 else m if n == 1 or m == n else None for m, n in pairs]
    if a.sizes[-1] != b.sizes[-2] or any(n is None for n in lead):
        raise ShapeError(explain("matmul", names_of((a, b)), [lengths(a), lengths(b)]))
    return (*lead, a.sizes[-2], b.sizes[-1])


DECOMPOSITIONS |= {
    "astype": casts.cast,
    "getitem": indexing.getitem,
    "put": indexing.put,
    "entries_along": indexing.entries_along,
    "concatenate": indexing.concatenate,
    "pad": indexing.pad,
    "cumprod": cumprod,
    "cumsum": cumsum,
    "prod": prod,
    "matmul": matmul,
    "rows_of_classes": indexing.rows_of_classes,
    **{f.__name__: f for f in (convolution.unfold, convolution.fold, convolution.conv, convolution.conv_transpose)},
    "conv_weight": convolution.conv_weight,
}
