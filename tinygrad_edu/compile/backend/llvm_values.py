"""Numbers and arrays in LLVM, with which llvm_statements.py computes expressions."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from llvmlite import binding, ir
from numba.core import cgutils

from tinygrad_edu.compile.backend.aliases import Builder, IRValue

DOUBLE, FLOAT, INT, BOOL = ir.DoubleType(), ir.FloatType(), ir.IntType(64), ir.IntType(1)
NAMED = {"float64": DOUBLE, "float32": FLOAT, "int64": INT, "int32": ir.IntType(32)}
SIZES = {DOUBLE: 8, FLOAT: 4, INT: 8}
REAL = (ir.DoubleType, ir.FloatType)
Vector = ir.VectorType  # one number for each of several runs side by side (lanes.py)


@dataclass(frozen=True)
class Array:
    """Memory with a shape: in C order, or, without `in_rows`, the transpose of such a matrix."""

    data: Any
    shape: tuple[Any, ...]
    in_rows: bool = True

    @property
    def size(self) -> int:
        kind = self.data.type.pointee
        return SIZES[element(kind)] * (kind.count if isinstance(kind, Vector) else 1)


def element(kind: IRValue) -> Any:
    """The type of each number, where there are several side by side."""
    return kind.element if isinstance(kind, Vector) else kind


def is_real(kind: IRValue) -> bool:
    return isinstance(element(kind), REAL)


def alignment(kind: IRValue) -> int | None:
    """For a vector: the alignment of one number, all that NumPy's memory guarantees; None for other types."""
    return SIZES.get(kind.element, 4) if isinstance(kind, Vector) else None


def array_of(target: IRValue, builder: Builder, kind: IRValue, value: IRValue) -> Array:
    """An array that comes from Numba."""
    made = target.make_array(kind)(target, builder, value)
    return Array(made.data, tuple(cgutils.unpack_tuple(builder, made.shape)))


def type_of(value: IRValue) -> Any:
    """The type of a number, an array or a tuple of such, which one variable can hold."""
    if isinstance(value, tuple):
        return tuple(map(type_of, value))
    return (Array, len(value.shape), value.in_rows, str(value.data.type)) if isinstance(value, Array) else value.type


def parts(value: IRValue) -> list[Any]:
    """All machine words of a value."""
    if isinstance(value, tuple):
        return [x for item in value for x in parts(item)]
    return [value.data, *value.shape] if isinstance(value, Array) else [value]


def rebuilt(kind: IRValue, words: Iterator[Any]) -> Any:
    """The value of that kind with these words."""
    if not isinstance(kind, tuple):
        return next(words)
    if kind[0] is not Array:
        return tuple(rebuilt(each, words) for each in kind)
    return Array(next(words), tuple(next(words) for _ in range(kind[1])), kind[2])


def common(a: IRValue, b: IRValue) -> Any:
    """The type of a + b, as in Numba: for a whole number and a float32 it is float64; a truth value does not count."""
    if isinstance(a, Vector) or isinstance(b, Vector):
        return Vector(common(element(a), element(b)), (a if isinstance(a, Vector) else b).count)
    if BOOL in (a, b):
        return b if a == BOOL else a
    if DOUBLE in (a, b) or isinstance(a, REAL) != isinstance(b, REAL):
        return DOUBLE
    return FLOAT if a == FLOAT else INT


def cast(builder: Builder, x: IRValue, kind: IRValue) -> Any:
    """A number as one of another type."""
    if isinstance(x.type, Vector) and not isinstance(kind, Vector):
        kind = Vector(kind, x.type.count)
    if x.type == kind:
        return x
    if isinstance(kind, Vector) and not isinstance(x.type, Vector):
        return everywhere(builder, cast(builder, x, kind.element), kind.count)
    own, wanted = element(x.type), element(kind)
    real, to_real = isinstance(own, REAL), isinstance(wanted, REAL)
    if real and to_real:
        return builder.fpext(x, kind) if wanted == DOUBLE else builder.fptrunc(x, kind)
    if to_real:
        return builder.uitofp(x, kind) if own == BOOL else builder.sitofp(x, kind)
    if real:
        return builder.fptosi(x, kind)
    wider = wanted.width > own.width
    return (builder.zext if own == BOOL else builder.sext)(x, kind) if wider else builder.trunc(x, kind)


def everywhere(builder: Builder, x: IRValue, width: int) -> Any:
    """A vector that holds this number in every place."""
    if isinstance(x, ir.Constant):
        return Vector(x.type, width)(x)
    empty = ir.Constant(Vector(x.type, width), ir.Undefined)
    one = builder.insert_element(empty, x, ir.IntType(32)(0))
    return builder.shuffle_vector(one, empty, ir.Constant(Vector(ir.IntType(32), width), [0] * width))


def lanes(number: IRValue) -> int:
    """How many such numbers a vector register holds."""
    return register_bytes() // SIZES[number]


@functools.cache
def register_bytes() -> int:
    features = binding.get_host_cpu_features()
    return 64 if features.get("avx512f") else 32 if features.get("avx") else 16
