"""Words that generated programs need and Numba has not: views of flat memory, copies, a bare BLAS product; njit.

Each of the first becomes a few machine instructions where it is used: `np.dot` takes 0.5 s to compile for each pair of
layouts, and so do a slice with `reshape` and an array assignment (measured). Their meaning in NumPy stands in
templates.py, for programs run without Numba. The cache's key covers this file.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numba
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.extending import intrinsic
from numba.np import arrayobj

CHARACTER = ir.IntType(8)
POINTER = CHARACTER.as_pointer()
SMALL = (
    64  # multiplications: up to here loops, which need not wait for a lock of BLAS as two threads do (4·4·2: 56, 47 ns)
)

# Numba's passes for what no generated text has (closures, array expressions, literal loops, with, raise).
UNUSED = (
    "WithLifting", "InlineClosureLikes", "RewriteSemanticConstants", "RewriteDynamicRaises", "InlineInlinables",
    "MakeFunctionToJitFunction", "FindLiterallyCalls", "LiteralUnroll", "LiteralPropagationSubPipelinePass",
    "InlineOverloads", "NopythonRewrites", "DumpParforDiagnostics",
)  # fmt: skip


class Passes(CompilerBase):
    """Numba's own passes without the unused ones."""

    def define_pipelines(self) -> list[Any]:
        passes = DefaultPassBuilder.define_nopython_pipeline(self.state)
        passes.passes = [entry for entry in passes.passes if entry[0].__name__ not in UNUSED]
        passes._finalized = False
        passes.finalize()
        return [passes]


def njit(*signature: str, **options: Any) -> Any:
    """numba.njit with the passes that generated programs need; parallel ones need all."""
    compiler: Any = numba.njit
    return compiler(*signature, **({} if options.get("parallel") else {"pipeline_class": Passes}), **options)


@intrinsic
def view(context: Any, memory: Any, at: Any, shape: Any) -> Any:
    """memory[at:] as an array of that shape in C order. The memory has to outlive it: no reference is counted."""
    kind = types.Array(memory.dtype, len(shape), "C")

    def build(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, (start, *sizes) = arguments[0], whole_numbers(target, builder, signature, arguments)
        itemsize = target.get_constant(types.intp, target.get_abi_sizeof(target.get_data_type(memory.dtype)))
        strides = [itemsize]
        for n in reversed(sizes[1:]):
            strides.insert(0, builder.mul(strides[0], n))
        made = target.make_array(kind)(target, builder)
        data = builder.gep(target.make_array(memory)(target, builder, source).data, [start])
        arrayobj.populate_array(
            made, data=data, shape=sizes, strides=strides[: len(sizes)], itemsize=itemsize, meminfo=None
        )
        return made._getvalue()

    return kind(memory, at, shape), build


room: Any = view  # what direct.py is told more of (aliasing.py)


def whole_numbers(target: Any, builder: Any, signature: Any, arguments: Any) -> list[Any]:
    """`at` and the sizes as machine integers."""
    given = [
        (arguments[1], signature.args[1]),
        *zip(cgutils.unpack_tuple(builder, arguments[2]), signature.args[2], strict=True),
    ]
    return [target.cast(builder, x, kind, types.intp) for x, kind in given]


@intrinsic
def copy(context: Any, source: Any, out: Any) -> Any:
    """out = source, flat memory of one size."""

    def build(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y = (target.make_array(t)(target, builder, a) for t, a in zip(signature.args, arguments, strict=True))
        cgutils.raw_memcpy(builder, y.data, x.data, y.nitems, y.itemsize)
        return target.get_dummy_value()

    return types.void(source, out), build


@intrinsic
def gather(context: Any, source: Any, order: Any, place: Any, out: Any) -> Any:
    """out[i] = source[order[place + i]], rows of two matrices in C order; `order` is read as flat memory."""

    def build(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, rows, out_ = (target.make_array(signature.args[i])(target, builder, arguments[i]) for i in (0, 1, 3))
        start = target.cast(builder, arguments[2], signature.args[2], types.intp)
        shape = cgutils.unpack_tuple(builder, out_.shape)
        gather_rows(builder, x.data, rows.data, start, out_.data, shape, x.itemsize)
        return target.get_dummy_value()

    return types.void(source, order, place, out), build


def gather_rows(
    builder: Any, source: Any, rows: Any, start: Any, out: Any, shape: Sequence[Any], itemsize: Any
) -> None:
    """`gather` in LLVM's terms, by addresses; `shape` is that of `out`."""
    with cgutils.for_range(builder, shape[0]) as loop:
        row = builder.load(builder.gep(rows, [builder.add(start, loop.index)]))
        to = builder.gep(out, [builder.mul(loop.index, shape[1])])
        cgutils.raw_memcpy(builder, to, builder.gep(source, [builder.mul(row, shape[1])]), shape[1], itemsize)


@intrinsic
def dot(context: Any, a: Any, b: Any, out: Any) -> Any:
    """out = a b for matrices in C order, or transposes of such: small ones by loops, large ones by BLAS."""

    def build(target: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        made = [target.make_array(kind)(target, builder, x) for kind, x in zip(signature.args, arguments, strict=True)]
        shapes = [cgutils.unpack_tuple(builder, x.shape) for x in made]
        in_rows = [kind.layout == "C" for kind in signature.args]
        product(builder, *(Matrix(x.data, *rest) for x, *rest in zip(made, shapes, in_rows, strict=True)))
        return target.get_dummy_value()

    return types.void(a, b, out), build


def product(builder: Any, a: Matrix, b: Matrix, out: Matrix) -> None:
    """`dot` in LLVM's terms."""
    (n, k), m = a.shape, out.shape[1]
    work = builder.mul(builder.mul(n, m), k)
    with builder.if_else(builder.icmp_signed("<=", work, work.type(SMALL))) as (small, large):
        with small:
            builder.call(loops(builder.module, out.number), [*operands_of([a, b, out]), n, k, m])
        with large:
            builder.call(product_function(builder), blas_arguments(builder, a, b, out))


class Matrix:
    """What machine code knows of a matrix: address, shape, and the distances of its rows and columns in items."""

    def __init__(self, data: Any, shape: Sequence[Any], in_rows: bool) -> None:
        self.data, self.number, self.shape, self.in_rows = data, data.type.pointee, shape, in_rows
        long, one = self.shape[1 if self.in_rows else 0], self.shape[0].type(1)
        self.steps = (long, one) if self.in_rows else (one, long)
        self.long = long


def operands_of(operands: list[Matrix]) -> list[Any]:
    return [part for x in operands for part in (x.data, *x.steps)]


def loops(module: Any, number: Any) -> Any:
    """The function out[i, j] = Σ a[i, k] b[k, j] in LLVM's terms, once in a module."""
    name = f"small_product_{number}"
    if name in module.globals:
        return module.globals[name]
    size, pointer = ir.IntType(64), number.as_pointer()
    function = ir.Function(module, ir.FunctionType(ir.VoidType(), [pointer, size, size] * 3 + [size] * 3), name)
    function.linkage = "internal"
    a, a_row, a_column, b, b_row, b_column, out, out_row, out_column, n, k, m = function.args
    for x in (a, b, out):
        x.add_attribute("noalias")
    builder = ir.IRBuilder(function.append_basic_block())
    total = builder.alloca(number)

    def item(x: Any, i: Any, row: Any, j: Any, column: Any) -> Any:
        return builder.gep(x, [builder.add(builder.mul(i, row), builder.mul(j, column))])

    with cgutils.for_range(builder, n) as i, cgutils.for_range(builder, m) as j:
        builder.store(number(0.0), total)
        with cgutils.for_range(builder, k) as inner:
            left = builder.load(item(a, i.index, a_row, inner.index, a_column))
            right = builder.load(item(b, inner.index, b_row, j.index, b_column))
            term = builder.fmul(left, right, flags=["contract"])
            builder.store(builder.fadd(builder.load(total), term, flags=["contract"]), total)
        builder.store(builder.load(total), item(out, i.index, out_row, j.index, out_column))
    builder.ret_void()
    return function


def blas_arguments(builder: Any, a: Matrix, b: Matrix, out: Matrix) -> list[Any]:
    """BLAS reads columns first, so it sees the transposes, and computes outᵀ = bᵀ aᵀ."""
    (n, k), m = a.shape, out.shape[1]
    kind = CHARACTER(ord("d" if isinstance(out.number, ir.DoubleType) else "s"))
    raw = [builder.bitcast(x.data, POINTER) for x in (b, a, out)]
    one, zero = (address(builder, out.number(x)) for x in (1.0, 0.0))
    return [kind, transposed(b), transposed(a), m, n, k, one, raw[0], b.long, raw[1], a.long, zero, raw[2], m]


def transposed(x: Matrix) -> Any:
    return CHARACTER(ord("n" if x.in_rows else "t"))


def address(builder: Any, x: Any) -> Any:
    """Where a number stands in memory."""
    return builder.bitcast(cgutils.alloca_once_value(builder, x), POINTER)


def product_function(builder: Any) -> Any:
    """int numba_xxgemm(kind, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc), which np.dot calls too."""
    size = ir.IntType(64)
    arguments = [CHARACTER] * 3 + [size] * 3 + [POINTER, POINTER, size, POINTER, size, POINTER, POINTER, size]
    return cgutils.get_or_insert_function(builder.module, ir.FunctionType(ir.IntType(32), arguments), "numba_xxgemm")
