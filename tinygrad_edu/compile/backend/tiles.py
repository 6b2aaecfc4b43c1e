"""Products of matrices that fit the second cache, with their sums in registers; little or nothing is copied before.

BLAS copies both matrices into blocks first, which for the batches of a small network takes half as long as the product
itself. For a·bᵀ a panel of b that fits the first cache is turned around. GFLOP/s on one thread of an AMD Zen 5,
OpenBLAS and this, float32; float64:
    aᵀ·b of 64 x 32 x 900 (a weight's gradient, batch 32)   165, 264; 89, 132
    a·b of 128 x 512 x 512 (what a layer hands back)        215, 262; 98, 114
    a·bᵀ of 128 x 900 x 64 (a first layer, batch 128)       187, 245; 80, 120
    a·bᵀ of 32 x 900 x 64 (batch 32)                        126, 210; 70, 106
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend.aliases import Builder, IRValue
from tinygrad_edu.compile.backend.llvm_values import SIZES, everywhere, lanes

SIZE = ir.IntType(64)
TILE_ROWS, VECTORS = 8, 2  # tile of `tiles`, in rows and vectors: 16 sums, 10 loads for 16 additions
PANEL = 256  # rows of a panel in `transposed`: 32 kB
SIDE = 4  # tile of `along`, in rows and columns: 16 sums, 8 loads for 16 additions


def tiles(
    builder: Builder, number: IRValue, a: IRValue, a_row: IRValue, a_column: IRValue, b: IRValue, b_row: IRValue,
    b_column: IRValue, out: IRValue, out_row: IRValue, _: Any, n: IRValue, k: IRValue, m: IRValue,
) -> None:  # fmt: skip
    """out = a b for b and out in C order and at least TILE_ROWS rows, of which the last may be computed twice."""
    width = lanes(number)
    sums = [[builder.alloca(ir.VectorType(number, width)) for _ in range(VECTORS)] for _ in range(TILE_ROWS)]
    with cgutils.for_range_slice(builder, SIZE(0), m, SIZE(VECTORS * width)) as (j, _):
        columns = builder.sub(m, j)
        for vectors in one_or_two(builder, columns, width):
            mask = first_lanes(builder, builder.sub(columns, SIZE((vectors - 1) * width)), width)
            own = [totals[:vectors] for totals in sums]
            for row, _ in rows_of_tiles(builder, n):
                start = [builder.gep(a, [builder.mul(row, a_row)]), builder.gep(b, [j])]
                add_up(builder, own, start, (a_row, a_column, b_row), k, mask)
                place = builder.gep(out, [builder.add(builder.mul(row, out_row), j)])
                for r in range(TILE_ROWS):
                    put_row(builder, own[r], builder.gep(place, [builder.mul(SIZE(r), out_row)]), mask)


def transposed(
    builder: Builder, number: IRValue, a: IRValue, a_row: IRValue, a_column: IRValue, b: IRValue, _: Any,
    b_column: IRValue, out: IRValue, out_row: IRValue, __: Any, n: IRValue, k: IRValue, m: IRValue,
) -> None:  # fmt: skip
    """out = a b for bᵀ and out in C order and at least TILE_ROWS rows: `tiles`, with a panel of b turned around first.

    A panel is as deep as fits the first cache; what the panels before it have added up is in out.
    """
    width = lanes(number)
    vector = ir.VectorType(number, width)
    panel = builder.bitcast(builder.alloca(ir.ArrayType(number, PANEL * VECTORS * width)), number.as_pointer())
    sums = [[builder.alloca(vector) for _ in range(VECTORS)] for _ in range(TILE_ROWS)]
    step = SIZE(VECTORS * width)
    with cgutils.for_range_slice(builder, SIZE(0), m, step) as (j, _):
        columns = builder.sub(m, j)
        with cgutils.for_range_slice(builder, SIZE(0), k, SIZE(PANEL)) as (first, _):
            depth = least(builder, builder.sub(k, first), SIZE(PANEL))
            given = builder.gep(b, [builder.add(builder.mul(j, b_column), first)])
            turn(builder, given, b_column, panel, vector, columns, depth)
            for vectors in one_or_two(builder, columns, width):
                mask = first_lanes(builder, builder.sub(columns, SIZE((vectors - 1) * width)), width)
                own = [totals[:vectors] for totals in sums]
                for row, own_rows in rows_of_tiles(builder, n):
                    left = builder.gep(a, [builder.add(builder.mul(row, a_row), builder.mul(first, a_column))])
                    add_up(builder, own, [left, panel], (a_row, a_column, step), depth, None)
                    place = builder.gep(out, [builder.add(builder.mul(row, out_row), j)])
                    for r in range(TILE_ROWS):  # skip rows that the previous tile has added to already
                        with builder.if_then(builder.icmp_signed(">=", builder.add(row, SIZE(r)), own_rows)):
                            line = builder.gep(place, [builder.mul(SIZE(r), out_row)])
                            with builder.if_then(builder.icmp_signed(">", first, SIZE(0))):
                                add_row(builder, own[r], line, mask)
                            put_row(builder, own[r], line, mask)


def one_or_two(builder: Builder, columns: IRValue, width: int) -> Iterator[int]:
    """How many vectors hold the columns of a panel: the code that follows, for each answer."""
    with builder.if_else(builder.icmp_signed(">", columns, SIZE(width))) as (two, one):
        with two:
            yield VECTORS
        with one:
            yield 1


def rows_of_tiles(builder: Builder, n: IRValue) -> Iterator[tuple[Any, Any]]:
    """The first row of each tile, the last one moved up to end with the last row; where the tile before ended."""
    with cgutils.for_range_slice(builder, SIZE(0), n, SIZE(TILE_ROWS)) as (first, _):
        yield least(builder, first, builder.sub(n, SIZE(TILE_ROWS))), first


def put_row(builder: Builder, sums: Sequence[Any], line: IRValue, mask: Any) -> None:
    """The vectors of a row into memory; of the last one, the lanes inside the mask."""
    for v, total in enumerate(sums):
        at = builder.gep(line, [SIZE(v * total.type.pointee.count)])
        store(builder, builder.load(total), at, mask if total is sums[-1] else None)


def add_row(builder: Builder, sums: Sequence[Any], line: IRValue, mask: Any) -> None:
    """Add the row in memory to a row of sums."""
    for v, total in enumerate(sums):
        at = builder.gep(line, [SIZE(v * total.type.pointee.count)])
        old = load(builder, at, total.type.pointee, mask if total is sums[-1] else None)
        builder.store(builder.fadd(old, builder.load(total)), total)


def turn(
    builder: Builder, given: IRValue, step: IRValue, panel: IRValue, vector: Any, columns: IRValue, depth: IRValue
) -> None:
    """panel[l, c] = given[c, l], a square of registers at a time; beyond the last column or depth anything finite."""
    width = vector.count
    with cgutils.for_range(builder, SIZE(VECTORS)) as half:
        column = builder.mul(half.index, SIZE(width))
        left = builder.sub(builder.sub(columns, column), SIZE(1))
        with builder.if_then(builder.icmp_signed(">=", left, SIZE(0))):
            rows = builder.gep(given, [builder.mul(column, step)])
            lines = [builder.gep(rows, [builder.mul(least(builder, SIZE(c), left), step)]) for c in range(width)]
            with cgutils.for_range_slice(builder, SIZE(0), depth, SIZE(width)) as (at, _):
                mask = first_lanes(builder, builder.sub(depth, at), width)
                square = transpose([load(builder, builder.gep(x, [at]), vector, mask) for x in lines], builder)
                to = builder.gep(panel, [builder.add(builder.mul(at, SIZE(VECTORS * width)), column)])
                for c, x in enumerate(square):
                    store(builder, x, builder.gep(to, [SIZE(c * VECTORS * width)]), None)


def transpose(rows: list[Any], builder: Builder) -> list[Any]:
    """A square of vectors, turned around: squares of 2, 4, 8, ... exchange their corners."""
    n, step = len(rows), 1
    while step < n:
        kept = [lane if lane & step == 0 else n + lane - step for lane in range(n)]
        moved = [lane + step if lane & step == 0 else n + lane for lane in range(n)]
        for i in range(n):
            if i & step == 0:
                pair = rows[i], rows[i + step]
                rows[i], rows[i + step] = (chosen(builder, *pair, some) for some in (kept, moved))
        step *= 2
    return rows


def chosen(builder: Builder, x: IRValue, y: IRValue, places: Sequence[int]) -> Any:
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(ir.IntType(32), len(places)), list(places)))


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
