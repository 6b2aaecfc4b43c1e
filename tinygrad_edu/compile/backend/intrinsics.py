"""Functions that generated programs need and Numba lacks: views of flat memory, copies, random numbers, products; njit.

Each of the first becomes a few machine instructions where it is used: `np.dot` takes 0.5 s to compile for each pair of
layouts, and so do a slice with `reshape` and an array assignment (measured). templates.py defines them in NumPy, for
programs run without Numba. The cache's key covers this file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numba
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.compiler import CompilerBase, DefaultPassBuilder
from numba.extending import intrinsic, overload
from numba.np import arrayobj

from tinygrad_edu.compile.backend import compiler
from tinygrad_edu.compile.backend.aliases import Builder, Context, IRValue, Signature
from tinygrad_edu.compile.backend.matmul import Matrix, product

if compiler.missing():  # templates.py replaces the intrinsics by NumPy if this import fails
    raise ImportError("Numba is switched off: NUMBA_DISABLE_JIT is set")

# Numba's passes for features that no generated text uses (closures, array expressions, literal loops, with, raise).
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


@overload(math.fmod)
def fmod(a: IRValue, b: IRValue) -> Callable[..., Any]:
    """Python's math.fmod, which Numba lacks."""

    def of_numpy(a: IRValue, b: IRValue) -> Any:
        return np.fmod(a, b)

    return of_numpy


@overload(math.cbrt)
def cbrt(x: IRValue) -> Callable[..., Any]:
    """Python's math.cbrt, which Numba lacks."""

    def of_numpy(x: IRValue) -> Any:
        return np.cbrt(x)

    return of_numpy


@intrinsic
def view(context: Context, memory: IRValue, at: IRValue, shape: IRValue) -> Any:
    """memory[at:] as an array of that shape in C order. The memory must outlive it: no reference is counted."""
    kind = types.Array(memory.dtype, len(shape), "C")

    def build(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> Any:
        source, (start, *sizes) = arguments[0], machine_integers(target, builder, signature, arguments)
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


room: Any = view  # the same as `view`; llvm_statements.py may assume more about it (alias_scopes.py)


def machine_integers(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> list[Any]:
    """`at` and the sizes as machine integers."""
    given = [
        (arguments[1], signature.args[1]),
        *zip(cgutils.unpack_tuple(builder, arguments[2]), signature.args[2], strict=True),
    ]
    return [target.cast(builder, x, kind, types.intp) for x, kind in given]


@intrinsic
def copy(context: Context, source: IRValue, out: IRValue) -> Any:
    """out = source, flat memory of one size."""

    def build(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> Any:
        x, y = (target.make_array(t)(target, builder, a) for t, a in zip(signature.args, arguments, strict=True))
        cgutils.raw_memcpy(builder, y.data, x.data, y.nitems, y.itemsize)
        return target.get_dummy_value()

    return types.void(source, out), build


@intrinsic
def gather(context: Context, source: IRValue, order: IRValue, place: IRValue, out: IRValue) -> Any:
    """out[i] = source[order[place + i]], rows of two matrices in C order; `order` is read as flat memory."""

    def build(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> Any:
        x, rows, out_ = (target.make_array(signature.args[i])(target, builder, arguments[i]) for i in (0, 1, 3))
        start = target.cast(builder, arguments[2], signature.args[2], types.intp)
        shape = cgutils.unpack_tuple(builder, out_.shape)
        gather_rows(builder, x.data, rows.data, start, out_.data, shape, x.itemsize)
        return target.get_dummy_value()

    return types.void(source, order, place, out), build


def gather_rows(
    builder: Builder, source: IRValue, rows: IRValue, start: IRValue, out: IRValue, shape: Sequence[Any], itemsize: Any
) -> None:
    """`gather` in LLVM's terms, by addresses; `shape` is that of `out`."""
    with cgutils.for_range(builder, shape[0]) as loop:
        row = builder.load(builder.gep(rows, [builder.add(start, loop.index)]))
        to = builder.gep(out, [builder.mul(loop.index, shape[1])])
        cgutils.raw_memcpy(builder, to, builder.gep(source, [builder.mul(row, shape[1])]), shape[1], itemsize)


@intrinsic
def uniform(context: Context, source: IRValue) -> Any:
    """rng.random() of NumPy's Generator; source: the addresses of its bit generator's next_double and of its state."""

    def build(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> Any:
        return next_double(builder, target.make_array(signature.args[0])(target, builder, arguments[0]).data)

    return types.float64(source), build


def next_double(builder: Builder, source: IRValue) -> Any:
    """`uniform` in LLVM's terms; `source` is the address of the two addresses."""
    function, state = (builder.load(builder.gep(source, [ir.Constant(ir.IntType(64), i)])) for i in (0, 1))
    byte = ir.IntType(8).as_pointer()
    kind = ir.FunctionType(ir.DoubleType(), [byte]).as_pointer()
    return builder.call(builder.inttoptr(function, kind), [builder.inttoptr(state, byte)])


@intrinsic
def dot(context: Context, a: IRValue, b: IRValue, out: IRValue) -> Any:
    """out = a b for matrices in C order, or transposes of such (matmul.py)."""

    def build(target: IRValue, builder: Builder, signature: Signature, arguments: IRValue) -> Any:
        made = [target.make_array(kind)(target, builder, x) for kind, x in zip(signature.args, arguments, strict=True)]
        shapes = [cgutils.unpack_tuple(builder, x.shape) for x in made]
        in_rows = [kind.layout == "C" for kind in signature.args]
        product(builder, *(Matrix(x.data, *rest) for x, *rest in zip(made, shapes, in_rows, strict=True)))
        return target.get_dummy_value()

    return types.void(a, b, out), build
