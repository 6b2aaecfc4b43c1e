"""Runs side by side: a number of the program becomes a vector in machine code, with an entry for each run.

`@direct(lanes=8, each=("state", ...), one=("t", ...))`: the arrays `each` have one more axis at the end, one entry for
each run, and every variable of real numbers but those named in `one` holds a number for each run. A run's arithmetic is
the same as alone; a loop too short for SIMD by itself (4 samples, 4 units) then fills whole registers.
"""

from __future__ import annotations

import ast
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend.aliases import Builder, IRValue
from tinygrad_edu.compile.backend.llvm_values import FLOAT, REAL, Array, Vector, alignment, cast, everywhere
from tinygrad_edu.compile.backend.matmul import Matrix, call_function, loops

BY_LLVM = ("sqrt", "log", "log2", "log10", "exp", "fabs", "sin", "cos", "floor", "copysign", "pow")


def settings_of(function: ast.FunctionDef) -> tuple[int, frozenset[str], frozenset[str]]:
    """(runs side by side or 0, the arrays that each run has for itself, the variables that all runs share)."""
    given = {
        k.arg: ast.literal_eval(k.value)
        for decorator in function.decorator_list
        if isinstance(decorator, ast.Call)
        for k in decorator.keywords
    }
    return given.get("lanes", 0), frozenset(given.get("each", ())), frozenset(given.get("one", ()))


def side_by_side(builder: Builder, text: Any, name: str, known: list[Any]) -> list[Any]:
    """The arguments of the function of that name, with each run's own arrays as arrays of vectors."""
    names = [argument.arg for argument in text.functions[name].args.args]
    return [vectors(builder, x, text.lanes) if n in text.each else x for n, x in zip(names, known, strict=True)]


def vectors(builder: Builder, x: Array, lanes: int) -> Array:
    """An array whose last axis is the runs, as an array of vectors."""
    kind = Vector(x.data.type.pointee, lanes)
    return Array(builder.bitcast(x.data, kind.as_pointer()), x.shape[:-1])


def of_each_run(builder: Builder, value: Any, lanes: int) -> Any:
    """A real number repeated for each run: a variable that holds one may hold a vector in the next round."""
    real = isinstance(value, ir.Value) and isinstance(value.type, REAL)
    return everywhere(builder, value, lanes) if real else value


def some(at_work: Any, x: IRValue) -> Any:
    """A condition that holds if x holds in at least one of the runs."""
    if not isinstance(x.type, Vector):
        return x
    bits = at_work.builder.bitcast(x, ir.IntType(x.type.count))
    return at_work.builder.icmp_unsigned("!=", bits, bits.type(0))


def mathematics(at_work: Any, name: str, given: list[Any], kind: IRValue) -> Any:
    """A function of `math`: LLVM's own for vectors, or the C library's, run after run."""
    builder, count = at_work.builder, next(x.type.count for x in given if isinstance(x.type, Vector))
    numbers = [cast(builder, x, Vector(kind, count)) for x in given]
    if name in BY_LLVM:
        signature = ir.FunctionType(numbers[0].type, [numbers[0].type] * len(numbers))
        full = f"llvm.{name}.v{count}f{32 if kind == FLOAT else 64}"
        function = builder.module.globals.get(full) or ir.Function(builder.module, signature, full)
        return builder.call(function, numbers, fastmath=at_work.flags)
    made = ir.Constant(Vector(kind, count), ir.Undefined)
    for i in map(ir.IntType(32), range(count)):
        one = at_work.mathematics(name, [builder.extract_element(x, i) for x in numbers])
        made = builder.insert_element(made, one, i)
    return made


def gather_rows(builder: Builder, source: Array, order: Array, place: IRValue, out: Array) -> None:
    """out[i] = source[order[place + i]], with a separate order for each run."""
    kind = out.data.type.pointee
    with cgutils.for_range(builder, out.shape[0]) as loop:
        rows = builder.load(builder.gep(order.data, [builder.add(place, loop.index)]), align=8)
        first = builder.mul(rows, everywhere(builder, out.shape[1], kind.count))
        with cgutils.for_range(builder, out.shape[1]) as column:
            made = ir.Constant(kind, ir.Undefined)
            for i in map(ir.IntType(32), range(kind.count)):
                at = builder.add(builder.extract_element(first, i), column.index)
                made = builder.insert_element(made, builder.load(builder.gep(source.data, [at])), i)
            to = builder.add(builder.mul(loop.index, out.shape[1]), column.index)
            builder.store(made, builder.gep(out.data, [to]), align=alignment(kind))


def product(builder: Builder, a: Matrix, b: Matrix, out: Matrix) -> None:
    """out = a b by three loops; a or b may be shared by all runs."""
    call_function(builder, loops, [a, b, out], (*a.shape, out.shape[1]))
