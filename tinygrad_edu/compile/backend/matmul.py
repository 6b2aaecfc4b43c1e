"""The product of two matrices in machine code: BLAS, or something faster if the sizes are small.

Up to 64 multiplications: three loops, which need not wait for a lock of BLAS as two threads do (4·4·2: 56, 47 ns).
For most shapes: tiles.py, up to 8 million multiplications, for which BLAS on two threads gains little or nothing; it
takes 1.1 to 3 times as long on one.
For a·bᵀ with a short inner axis where there are no tiles, as in a layer with few inputs: panels. BLAS takes 1.1 to 6
times as long up to k = 16.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend import team
from tinygrad_edu.compile.backend.aliases import Builder, IRValue
from tinygrad_edu.compile.backend.in_parts import share_product
from tinygrad_edu.compile.backend.llvm_values import alignment as alignment_of
from tinygrad_edu.compile.backend.llvm_values import cast, everywhere, lanes, register_bytes
from tinygrad_edu.compile.backend.tiles import SIDE, TILE_ROWS, VECTORS, along, tiles, transposed

CHARACTER, SIZE = ir.IntType(8), ir.IntType(64)
POINTER = CHARACTER.as_pointer()
SMALL = 64  # multiplications; up to here three plain loops are used
SHORT = 16  # longest inner axis of a product by panels
# Limits for a·bᵀ by tiles: (longest inner axis, fewest rows, fewest columns of the result). Transposing a panel pays
# off only if many rows use it, and half a vector of columns costs as much as a whole one.
TURNED = ((24, TILE_ROWS, 4), (128, 128, 8), (2**62, 32, 32))
ROWS = 8  # rows of a panel: as many independent sums as the processor has additions in flight
ALONE = 2**23  # multiplications; above, BLAS on two threads is faster than this code on one
TOGETHER = 2**20  # multiplications; from here on a team of threads shares a product
DEEP = 1024  # longest inner axis of a product by tiles
LONG = 128  # shortest inner axis of a product along it
ROW_BYTES, BYTES = 2**12, 2**19  # size of the longest row, and of the whole left matrix


def product(builder: Builder, a: Matrix, b: Matrix, out: Matrix) -> None:
    """out = a b in LLVM; the method is chosen when it runs."""
    (n, k), m = a.shape, out.shape[1]
    work = builder.mul(builder.mul(n, m), k)
    with builder.if_else(builder.icmp_signed("<=", work, SIZE(SMALL))) as (small, large):
        with small:
            call_function(builder, loops, [a, b, out], (n, k, m))
        with large:
            in_turn(builder, list(ways(builder, a, b, work)), a, b, out)


def ways(builder: Builder, a: Matrix, b: Matrix, work: IRValue) -> Iterator[tuple[Any, Any]]:
    """(the function that writes a product, when it is quicker than BLAS). Tiles need 32 registers."""
    short = all_of(builder, at_most(builder, a.shape[1], SHORT), at_least(builder, a.shape[0], ROWS))
    if register_bytes() >= 64:
        if b.in_rows:
            yield tiles, fits_tiles(builder, a, work)
        else:
            yield transposed, is_turned(builder, a, b, work)
            yield panels, short
        if a.in_rows and not b.in_rows:
            yield along, is_along(builder, a, b, work)
    elif not b.in_rows:
        yield panels, short


def in_turn(builder: Builder, choices: Sequence[tuple[Any, Any]], a: Matrix, b: Matrix, out: Matrix) -> None:
    """The first way whose condition holds, or BLAS."""
    if not choices:
        by_blas(builder, a, b, out)
        return
    (write, condition), *others = choices
    with builder.if_else(condition) as (yes, no):
        with yes:
            call = call_shared if write in (tiles, transposed) and team.POSSIBLE else call_function
            call(builder, write, [a, b, out], (*a.shape, out.shape[1]))
        with no:
            in_turn(builder, others, a, b, out)


def fits_tiles(builder: Builder, a: Matrix, work: IRValue) -> Any:
    """Whole tiles but for a quarter, and no more than these threads do best."""
    whole = whole_tiles(builder, a.shape[0])
    return all_of(builder, whole, at_most(builder, a.shape[1], DEEP), has_threads(builder, work))


def has_threads(builder: Builder, work: IRValue) -> Any:
    """A condition: are there threads for the product without BLAS?"""
    alone = at_most(builder, work, ALONE)
    return builder.or_(alone, team.are_helpers_there(builder)) if team.POSSIBLE else alone


def whole_tiles(builder: Builder, rows: IRValue) -> Any:
    even = builder.icmp_signed("==", builder.srem(rows, SIZE(TILE_ROWS)), SIZE(0))
    return all_of(
        builder, at_least(builder, rows, TILE_ROWS), builder.or_(even, at_least(builder, rows, 3 * TILE_ROWS))
    )


def is_turned(builder: Builder, a: Matrix, b: Matrix, work: IRValue) -> Any:
    """One of the three shapes for which turning b around is worth it."""
    (n, k), m = a.shape, b.shape[1]
    shapes = [
        all_of(builder, at_most(builder, k, depth), at_least(builder, n, rows), at_least(builder, m, columns))
        for depth, rows, columns in TURNED
    ]
    worth = functools.reduce(builder.or_, shapes)
    return all_of(builder, whole_tiles(builder, n), worth, has_threads(builder, work))


def is_along(builder: Builder, a: Matrix, b: Matrix, work: IRValue) -> Any:
    """An inner axis worth the sums of vectors at its end; a few rows fit the first cache, all of a the second."""
    (n, k), m, size = a.shape, b.shape[1], alignment(a.number)
    long = all_of(builder, at_least(builder, k, LONG), at_most(builder, k, ROW_BYTES // size))
    few = all_of(builder, at_most(builder, builder.mul(n, k), BYTES // size), at_most(builder, work, ALONE))
    return all_of(builder, long, few, at_least(builder, n, SIDE), at_least(builder, m, SIDE))


def at_least(builder: Builder, x: IRValue, limit: int) -> Any:
    return builder.icmp_signed(">=", x, SIZE(limit))


def at_most(builder: Builder, x: IRValue, limit: int) -> Any:
    return builder.icmp_signed("<=", x, SIZE(limit))


def all_of(builder: Builder, *conditions: IRValue) -> Any:
    return functools.reduce(builder.and_, conditions)


def by_blas(builder: Builder, a: Matrix, b: Matrix, out: Matrix) -> None:
    builder.call(product_function(builder), blas_arguments(builder, a, b, out))


class Matrix:
    """A matrix in machine code: address, shape, and the strides of its rows and columns in items."""

    def __init__(self, data: IRValue, shape: Sequence[Any], in_rows: bool) -> None:
        self.data, self.number, self.shape, self.in_rows = data, data.type.pointee, shape, in_rows
        long, one = self.shape[1 if self.in_rows else 0], self.shape[0].type(1)
        self.steps = (long, one) if self.in_rows else (one, long)
        self.long = long


def call_function(builder: Builder, write: Callable[..., None], operands: list[Matrix], sizes: Sequence[Any]) -> None:
    """Call a function of three matrices; `write` makes its body, once for each module and kinds of numbers."""
    function = function_of(builder.module, write, [x.number for x in operands])
    builder.call(function, [*(part for x in operands for part in (x.data, *x.steps)), *sizes])


def function_of(module: Any, write: Callable[..., None], numbers: Sequence[Any]) -> Any:
    name = f"{write.__name__}_{'_'.join(map(str, numbers))}"
    if name not in module.globals:
        # for each matrix: its address and the strides of its rows and columns
        given = [kind for number in numbers for kind in (number.as_pointer(), SIZE, SIZE)]
        function = ir.Function(module, ir.FunctionType(ir.VoidType(), given + [SIZE] * 3), name)
        function.linkage = "internal"
        if write is not loops:  # vectors and registers are chosen by hand: to inline and unroll them gains nothing, and
            function.attributes.add("noinline")  # compiling a network of three layers takes 0.12 s longer
            function.attributes.add("optsize")
        for pointer in function.args[0:9:3]:
            pointer.add_attribute("noalias")
        inside = ir.IRBuilder(function.append_basic_block())
        write(inside, numbers[-1], *function.args)
        inside.ret_void()
    return module.globals[name]


def call_shared(builder: Builder, write: Callable[..., None], operands: list[Matrix], sizes: Sequence[Any]) -> None:
    """Call the product through a function that shares it with the team, if it is large enough."""
    call_function(builder, together_or_alone(write), operands, sizes)


@functools.cache
def together_or_alone(write: Callable[..., None]) -> Callable[..., None]:
    """What writes a product by the team, or by one thread where it is small or nobody is there."""
    rows = TILE_ROWS if write is tiles else 0  # each block of rows would transpose the same panels again

    def shared(builder: Builder, number: IRValue, *given: IRValue) -> None:
        kernel, (n, k, m) = function_of(builder.module, write, [number] * 3), given[9:]
        large = at_least(builder, builder.mul(builder.mul(n, m), k), TOGETHER)
        with builder.if_else(builder.and_(large, team.are_helpers_there(builder))) as (several, one):
            with several:
                share_product(builder, kernel, given[:9], (n, k, m), (rows, VECTORS * lanes(number)))
            with one:
                builder.call(kernel, given)

    shared.__name__ = f"shared_{write.__name__}"
    return shared


def in_parts_here() -> bool:
    """Can this processor's products be shared?"""
    return team.POSSIBLE and register_bytes() >= 64


def loops(
    builder: Builder, number: IRValue, a: IRValue, a_row: IRValue, a_column: IRValue, b: IRValue, b_row: IRValue,
    b_column: IRValue, out: IRValue, out_row: IRValue, out_column: IRValue, n: IRValue, k: IRValue, m: IRValue,
) -> None:  # fmt: skip
    """out[i, j] = Σ a[i, l] b[l, j]."""
    total = builder.alloca(number)

    def item(x: IRValue, i: Any, row: Any, j: Any, column: Any) -> Any:
        return builder.gep(x, [builder.add(builder.mul(i, row), builder.mul(j, column))])

    def load(place: IRValue) -> Any:
        """Where runs go side by side (lanes.py), a matrix may be the same for all of them."""
        return cast(builder, builder.load(place, align=alignment_of(place.type.pointee)), number)

    with cgutils.for_range(builder, n) as i, cgutils.for_range(builder, m) as j:
        builder.store(number(0.0), total)
        with cgutils.for_range(builder, k) as inner:
            left = load(item(a, i.index, a_row, inner.index, a_column))
            right = load(item(b, inner.index, b_row, j.index, b_column))
            term = builder.fmul(left, right, flags=["contract"])
            builder.store(builder.fadd(builder.load(total), term, flags=["contract"]), total)
        result, place = builder.load(total), item(out, i.index, out_row, j.index, out_column)
        builder.store(result, place, align=alignment_of(number))


def panels(
    builder: Builder, number: IRValue, a: IRValue, a_row: IRValue, a_column: IRValue, b: IRValue, b_row: IRValue,
    b_column: IRValue, out: IRValue, out_row: IRValue, _: Any, n: IRValue, k: IRValue, m: IRValue,
) -> None:  # fmt: skip
    """out = a b: of at least ROWS rows, k up to SHORT, out in C order.

    As many columns of b as fit a vector register form a panel; then ROWS rows of a at a time are multiplied by it, with
    each sum in a register. The last rows may be computed twice; the last columns are masked.
    """
    width = lanes(number)
    room = builder.bitcast(builder.alloca(ir.ArrayType(number, SHORT * width)), number.as_pointer())
    sums = [builder.alloca(ir.VectorType(number, width)) for _ in range(ROWS)]
    with cgutils.for_range_slice(builder, SIZE(0), m, SIZE(width)) as (j, _):
        columns = least(builder, builder.sub(m, j), SIZE(width))
        given = builder.gep(b, [builder.mul(j, b_column)])
        gather_columns(builder, given, (b_row, b_column), room, (k, columns), width)
        with cgutils.for_range_slice(builder, SIZE(0), n, SIZE(ROWS)) as (first, _):
            row = least(builder, first, builder.sub(n, SIZE(ROWS)))
            rows = builder.gep(a, [builder.mul(row, a_row)])
            panel(builder, rows, (a_row, a_column), room, sums, k)
            store(builder, sums, builder.gep(out, [builder.add(builder.mul(row, out_row), j)]), out_row, columns)


def gather_columns(
    builder: Builder, given: IRValue, steps: Sequence[Any], room: IRValue, shape: Sequence[Any], width: int
) -> None:
    """The columns of a panel, and 0 beyond the last one, because leftover numbers could be slow (denormal)."""
    (k, columns), size = shape, SIZE(alignment(room.type.pointee))
    with builder.if_then(builder.icmp_signed("<", columns, SIZE(width))):
        cgutils.memset(builder, room, builder.mul(builder.mul(k, SIZE(width)), size), 0)
    with cgutils.for_range(builder, columns) as c, cgutils.for_range(builder, k) as inner:
        at = builder.add(builder.mul(inner.index, steps[0]), builder.mul(c.index, steps[1]))
        to = builder.add(builder.mul(inner.index, SIZE(width)), c.index)
        builder.store(builder.load(builder.gep(given, [at])), builder.gep(room, [to]))


def panel(
    builder: Builder, rows: IRValue, steps: Sequence[Any], room: IRValue, sums: Sequence[Any], k: IRValue
) -> None:
    """sums[r] = Σ rows[r, l] room[l]; LLVM keeps the sums in registers."""
    vector, width = sums[0].type.pointee, sums[0].type.pointee.count
    for total in sums:
        builder.store(ir.Constant(vector, None), total)
    with cgutils.for_range(builder, k) as inner:
        right = load(builder, builder.gep(room, [builder.mul(inner.index, SIZE(width))]), vector)
        for r, total in enumerate(sums):
            at = builder.add(builder.mul(SIZE(r), steps[0]), builder.mul(inner.index, steps[1]))
            left = builder.load(builder.gep(rows, [at]))
            term = builder.fmul(everywhere(builder, left, width), right, flags=["contract"])
            builder.store(builder.fadd(builder.load(total), term, flags=["contract"]), total)


def store(builder: Builder, sums: Sequence[Any], at: IRValue, step: IRValue, columns: IRValue) -> None:
    """Store the first columns of each sum into rows with that stride."""
    vector = sums[0].type.pointee
    counted = ir.Constant(ir.VectorType(SIZE, vector.count), list(range(vector.count)))
    mask = builder.icmp_signed("<", counted, everywhere(builder, columns, vector.count))
    kind = ir.FunctionType(ir.VoidType(), [vector, vector.as_pointer(), ir.IntType(32), mask.type])
    bits = 8 * alignment(vector.element)
    masked = cgutils.get_or_insert_function(builder.module, kind, f"llvm.masked.store.v{vector.count}f{bits}.p0")
    for r, total in enumerate(sums):
        place = builder.bitcast(builder.gep(at, [builder.mul(SIZE(r), step)]), vector.as_pointer())
        builder.call(masked, [builder.load(total), place, ir.IntType(32)(alignment(vector.element)), mask])


def load(builder: Builder, at: IRValue, vector: Any) -> Any:
    return builder.load(builder.bitcast(at, vector.as_pointer()), align=alignment(vector.element))


def least(builder: Builder, a: IRValue, b: IRValue) -> Any:
    return builder.select(builder.icmp_signed("<", a, b), a, b)


def alignment(number: IRValue) -> int:
    """Bytes."""
    return 8 if isinstance(number, ir.DoubleType) else 4


def blas_arguments(builder: Builder, a: Matrix, b: Matrix, out: Matrix) -> list[Any]:
    """BLAS expects column-major order, so it sees the transposes and computes outᵀ = bᵀ aᵀ."""
    (n, k), m = a.shape, out.shape[1]
    kind = CHARACTER(ord("d" if isinstance(out.number, ir.DoubleType) else "s"))
    raw = [builder.bitcast(x.data, POINTER) for x in (b, a, out)]
    one, zero = (address(builder, out.number(x)) for x in (1.0, 0.0))
    return [kind, transpose(b), transpose(a), m, n, k, one, raw[0], b.long, raw[1], a.long, zero, raw[2], m]


def transpose(x: Matrix) -> Any:
    return CHARACTER(ord("n" if x.in_rows else "t"))


def address(builder: Builder, x: IRValue) -> Any:
    """The address of a number, which is stored on the stack."""
    return builder.bitcast(cgutils.alloca_once_value(builder, x), POINTER)


def product_function(builder: Builder) -> Any:
    """int numba_xxgemm(kind, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc), which np.dot calls too."""
    arguments = [CHARACTER] * 3 + [SIZE] * 3 + [POINTER, POINTER, SIZE, POINTER, SIZE, POINTER, POINTER, SIZE]
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), arguments), "numba_xxgemm")
