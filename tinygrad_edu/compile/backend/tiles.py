"""Products of matrices that fit the second cache, with their sums in registers: nothing is copied before.

BLAS copies both matrices into blocks first, which for the batches of a small network takes half as long as the product
itself. GFLOP/s on one thread of an AMD Zen 5, OpenBLAS and this, float32; float64:
    aᵀ·b of 64 x 32 x 900 (a weight's gradient, batch 32)   165, 264; 89, 132
    a·b of 128 x 512 x 512 (what a layer hands back)        215, 262; 98, 114
    a·bᵀ of 32 x 900 x 64 (a first layer, batch 32)         126, 195; 70, 68
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend.aliases import Builder, IRValue
from tinygrad_edu.compile.backend.llvm_values import SIZES, everywhere, lanes

SIZE = ir.IntType(64)
TILE_ROWS, VECTORS = 8, 2  # of a tile of `tiles`: 16 sums, 10 loads for 16 additions
SIDE = 4  # of a tile of `along`: 16 sums, 8 loads for 16 additions


def tiles(
    builder: Builder, number: IRValue, a: IRValue, a_row: IRValue, a_column: IRValue, b: IRValue, b_row: IRValue,
    b_column: IRValue, out: IRValue, out_row: IRValue, _: Any, n: IRValue, k: IRValue, m: IRValue,
) -> None:  # fmt: skip
    """out = a b for b and out in C order and at least TILE_ROWS rows, of which the last may be computed twice."""
    width = lanes(number)
    sums = [[builder.alloca(ir.VectorType(number, width)) for _ in range(VECTORS)] for _ in range(TILE_ROWS)]

    def all_rows(j: IRValue, vectors: int, columns: IRValue) -> None:
        mask = first_lanes(builder, builder.sub(columns, SIZE((vectors - 1) * width)), width)
        with cgutils.for_range_slice(builder, SIZE(0), n, SIZE(TILE_ROWS)) as (first, _):
            row = least(builder, first, builder.sub(n, SIZE(TILE_ROWS)))
            own = [totals[:vectors] for totals in sums]
            start = [builder.gep(a, [builder.mul(row, a_row)]), builder.gep(b, [j])]
            add_up(builder, own, start, (a_row, a_column, b_row), k, mask)
            place = builder.gep(out, [builder.add(builder.mul(row, out_row), j)])
            for r, totals in enumerate(own):
                line = builder.gep(place, [builder.mul(SIZE(r), out_row)])
                for v, total in enumerate(totals):
                    at = builder.gep(line, [SIZE(v * width)])
                    store(builder, builder.load(total), at, mask if v == vectors - 1 else None)

    with cgutils.for_range_slice(builder, SIZE(0), m, SIZE(VECTORS * width)) as (j, _):
        columns = builder.sub(m, j)
        with builder.if_else(builder.icmp_signed(">", columns, SIZE(width))) as (two, one):
            with two:
                all_rows(j, VECTORS, columns)
            with one:
                all_rows(j, 1, columns)


def add_up(
    builder: Builder, sums: Sequence[Sequence[Any]], start: Sequence[Any], steps: Sequence[Any], k: IRValue, mask: Any
) -> None:
    """sums[r][v] = Σ a[r, l] b[l, v]: one row of b by one column of a after the other."""
    (a, b), (a_row, a_column, b_row) = start, steps
    vector = sums[0][0].type.pointee
    for total in [total for row in sums for total in row]:
        builder.store(ir.Constant(vector, None), total)
    with cgutils.for_range(builder, k) as inner:
        right = builder.gep(b, [builder.mul(inner.index, b_row)])
        last = len(sums[0]) - 1
        given = [
            load(builder, builder.gep(right, [SIZE(v * vector.count)]), vector, mask if v == last else None)
            for v in range(last + 1)
        ]
        left = builder.gep(a, [builder.mul(inner.index, a_column)])
        for r, totals in enumerate(sums):
            factor = everywhere(builder, builder.load(builder.gep(left, [builder.mul(SIZE(r), a_row)])), vector.count)
            for total, x in zip(totals, given, strict=True):
                add_product(builder, total, factor, x)


def along(
    builder: Builder, number: IRValue, a: IRValue, a_row: IRValue, a_column: IRValue, b: IRValue, b_row: IRValue,
    b_column: IRValue, out: IRValue, out_row: IRValue, _: Any, n: IRValue, k: IRValue, m: IRValue,
) -> None:  # fmt: skip
    """out = a bᵀ, where both have their long inner axis in memory one after the other: vectors along that axis."""
    width = lanes(number)
    vector = ir.VectorType(number, width)
    sums = [[builder.alloca(vector) for _ in range(SIDE)] for _ in range(SIDE)]
    with cgutils.for_range_slice(builder, SIZE(0), m, SIZE(SIDE)) as (j, _):
        column = least(builder, j, builder.sub(m, SIZE(SIDE)))
        rights = [builder.gep(b, [builder.mul(builder.add(column, SIZE(c)), b_column)]) for c in range(SIDE)]
        with cgutils.for_range_slice(builder, SIZE(0), n, SIZE(SIDE)) as (i, _):
            row = least(builder, i, builder.sub(n, SIZE(SIDE)))
            lefts = [builder.gep(a, [builder.mul(builder.add(row, SIZE(r)), a_row)]) for r in range(SIDE)]
            for total in [total for totals in sums for total in totals]:
                builder.store(ir.Constant(vector, None), total)
            with cgutils.for_range_slice(builder, SIZE(0), k, SIZE(width)) as (at, _):
                products_at(builder, sums, lefts, rights, at, first_lanes(builder, builder.sub(k, at), width))
            for r, totals in enumerate(sums):
                line = builder.gep(out, [builder.add(builder.mul(builder.add(row, SIZE(r)), out_row), column)])
                for c, total in enumerate(totals):
                    builder.store(sum_of(builder, builder.load(total)), builder.gep(line, [SIZE(c)]))


def products_at(
    builder: Builder, sums: Sequence[Sequence[Any]], lefts: Sequence[Any], rights: Sequence[Any], at: IRValue, mask: Any
) -> None:
    vector = sums[0][0].type.pointee
    left, right = ([load(builder, builder.gep(x, [at]), vector, mask) for x in xs] for xs in (lefts, rights))
    for x, totals in zip(left, sums, strict=True):
        for y, total in zip(right, totals, strict=True):
            add_product(builder, total, x, y)


def add_product(builder: Builder, total: IRValue, x: IRValue, y: IRValue) -> None:
    term = builder.fmul(x, y, flags=["contract"])
    builder.store(builder.fadd(builder.load(total), term, flags=["contract"]), total)


def sum_of(builder: Builder, x: IRValue) -> Any:
    """The sum of a vector's entries."""
    kind = x.type
    name = f"llvm.vector.reduce.fadd.v{kind.count}f{8 * SIZES[kind.element]}"
    function = cgutils.get_or_insert_function(builder.module, ir.FunctionType(kind.element, [kind.element, kind]), name)
    return builder.call(function, [kind.element(-0.0), x], fastmath=["reassoc"])


def first_lanes(builder: Builder, count: IRValue, width: int) -> Any:
    counted = ir.Constant(ir.VectorType(SIZE, width), list(range(width)))
    return builder.icmp_signed("<", counted, everywhere(builder, count, width))


def load(builder: Builder, at: IRValue, vector: Any, mask: Any) -> Any:
    """A vector, of which the lanes outside the mask are 0; all of it without one."""
    place, size = builder.bitcast(at, vector.as_pointer()), SIZES[vector.element]
    if mask is None:
        return builder.load(place, align=size)
    kind = ir.FunctionType(vector, [vector.as_pointer(), ir.IntType(32), mask.type, vector])
    name = f"llvm.masked.load.v{vector.count}f{8 * size}.p0"
    masked = cgutils.get_or_insert_function(builder.module, kind, name)
    return builder.call(masked, [place, ir.IntType(32)(size), mask, ir.Constant(vector, None)])


def store(builder: Builder, x: IRValue, at: IRValue, mask: Any) -> None:
    """Store the lanes inside the mask, or all."""
    vector, size = x.type, SIZES[x.type.element]
    place = builder.bitcast(at, vector.as_pointer())
    if mask is None:
        builder.store(x, place, align=size)
        return
    kind = ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), ir.IntType(32), mask.type])
    name = f"llvm.masked.store.v{vector.count}f{8 * size}.p0"
    masked = cgutils.get_or_insert_function(builder.module, kind, name)
    builder.call(masked, [x, place, ir.IntType(32)(size), mask])


def least(builder: Builder, a: IRValue, b: IRValue) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)
