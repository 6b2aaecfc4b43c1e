"""Products, and loops over all weights, whose parts threads share (team.py)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend import team
from tinygrad_edu.compile.backend.aliases import Builder, IRValue

SIZE = ir.IntType(64)
PARTS = 8  # parts of a task: more than threads, so that no thread waits long for the last one
ROW_PARTS = 4  # parts of a product that is cut by rows: longer parts read each panel less often
LINE = 64  # numbers; parts of a loop begin at a cache line, and consist of whole vectors
LOOP = 2**15  # rounds of the shortest loop that is shared: 10 µs of Adam


def share_call(builder: Builder, function: Any, given: Sequence[Any], parts: IRValue) -> None:
    """Call `function(part, *given)` for each part."""
    kind = ir.LiteralStructType([x.type for x in given])
    operands = cgutils.alloca_once(builder, kind)
    for i, x in enumerate(given):
        builder.store(x, cgutils.gep_inbounds(builder, operands, 0, i))
    team.share(builder, by_operands(function, kind), builder.bitcast(operands, team.POINTER), parts)


def by_operands(function: Any, kind: Any) -> Any:
    """A function that reads its arguments from memory, as the team calls it, and calls the given one."""
    module, name = function.module, f"{function.name}.part"
    if name not in module.globals:
        made = ir.Function(module, team.PART, name)
        made.linkage = "internal"
        builder = ir.IRBuilder(made.append_basic_block())
        operands = builder.bitcast(made.args[0], kind.as_pointer())
        places = [cgutils.gep_inbounds(builder, operands, 0, i) for i in range(len(kind.elements))]
        builder.call(function, [made.args[1], *map(builder.load, places)])
        builder.ret_void()
    return module.globals[name]


def steps(builder: Builder, extent: IRValue, unit: int, parts: int = PARTS) -> Any:
    """The length of each part: a multiple of `unit`, for `parts` parts or fewer."""
    whole = builder.sdiv(builder.add(extent, SIZE(parts * unit - 1)), SIZE(parts * unit))
    return builder.mul(whole, SIZE(unit))


def extent_of(builder: Builder, part: IRValue, step: IRValue, parts: IRValue, extent: IRValue) -> tuple[Any, Any]:
    """Where a part begins and how long it is: the last takes what is left."""
    first = builder.mul(part, step)
    last = builder.icmp_signed("==", builder.add(part, SIZE(1)), parts)
    return first, builder.select(last, builder.sub(extent, first), step)


def at_least_one(builder: Builder, x: IRValue) -> Any:
    return builder.select(builder.icmp_signed(">", x, SIZE(1)), x, SIZE(1))


def share_product(
    builder: Builder, kernel: Any, operands: Sequence[Any], sizes: Sequence[Any], units: tuple[int, int]
) -> None:
    """A product by a kernel of tiles.py, in blocks of rows, or of columns where there are more of them.

    operands: data, row step and column step of a, b and out; units: rows (0: not by rows) and columns of a tile.
    """
    n, _, m = sizes
    by_rows = is_cut_by_rows(builder, operands[1], n, m) if units[0] else ir.IntType(1)(0)
    extent = builder.select(by_rows, n, m)
    row_step, column_step = steps(builder, extent, units[0] or 1, ROW_PARTS), steps(builder, extent, units[1])
    step = builder.select(by_rows, row_step, column_step)
    parts = at_least_one(builder, builder.sdiv(extent, step))
    function = block_function(builder.module, kernel)
    share_call(builder, function, [step, parts, by_rows, *operands, *sizes], parts)


def is_cut_by_rows(builder: Builder, a_row: IRValue, n: IRValue, m: IRValue) -> Any:
    """The longer side is cut, but the rows of aᵀ·b: it is a gradient, and each thread then updates the weights of its
    own rows. Numbers that another core has just written are slow to read where the two have no cache in common."""
    return builder.or_(builder.icmp_signed(">=", n, m), builder.icmp_signed("==", a_row, SIZE(1)))


def block_function(module: Any, kernel: Any) -> Any:
    """(part, step, parts, by rows?, ...) → that block of the product."""
    name = f"{kernel.name}.block"
    if name not in module.globals:
        kinds = [SIZE, SIZE, SIZE, ir.IntType(1), *kernel.function_type.args]
        made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        made.linkage = "internal"
        builder = ir.IRBuilder(made.append_basic_block())
        part, step, parts, by_rows, *given = made.args
        write_block(builder, kernel, (part, step, parts), by_rows, given)
        builder.ret_void()
    return module.globals[name]


def write_block(builder: Builder, kernel: Any, place: Sequence[Any], by_rows: IRValue, given: Sequence[Any]) -> None:
    a, a_row, a_column, b, b_row, b_column, out, out_row, out_column, n, k, m = given
    extent = builder.select(by_rows, n, m)
    part, step, parts = place
    first, length = extent_of(builder, part, step, parts, extent)
    rows, columns = builder.select(by_rows, length, n), builder.select(by_rows, m, length)
    row, column = builder.select(by_rows, first, SIZE(0)), builder.select(by_rows, SIZE(0), first)
    a = builder.gep(a, [builder.mul(row, a_row)])
    b = builder.gep(b, [builder.mul(column, b_column)])
    out = builder.gep(out, [builder.add(builder.mul(row, out_row), column)])
    builder.call(kernel, [a, a_row, a_column, b, b_row, b_column, out, out_row, out_column, rows, k, columns])


def share_loop(builder: Builder, function: Any, start: IRValue, stop: IRValue, given: Sequence[Any]) -> None:
    """Call `function(start, stop, *given)` in parts of that range; a short one as a whole."""
    length = builder.sub(stop, start)
    short = builder.icmp_signed("<", length, SIZE(LOOP))
    step = builder.select(short, at_least_one(builder, length), steps(builder, length, LINE, 2 * PARTS))
    parts = at_least_one(builder, builder.sdiv(length, step))
    share_call(builder, range_function(builder.module, function), [start, stop, step, parts, *given], parts)


def range_function(module: Any, function: Any) -> Any:
    """(part, start, stop, step, parts, ...) → that part of the range."""
    name = f"{function.name}.range"
    if name not in module.globals:
        kinds = [SIZE] * 5 + list(function.function_type.args[2:])
        made = ir.Function(module, ir.FunctionType(ir.VoidType(), kinds), name)
        made.linkage = "internal"
        builder = ir.IRBuilder(made.append_basic_block())
        part, start, stop, step, parts, *given = made.args
        first, length = extent_of(builder, part, step, parts, builder.sub(stop, start))
        begin = builder.add(start, first)
        builder.call(function, [begin, builder.add(begin, length), *given])
        builder.ret_void()
    return module.globals[name]
