"""Memory of one call of a program, and what another thread may write meanwhile."""

from __future__ import annotations

import math
from typing import Any

from llvmlite import ir
from numba.core import cgutils

from tinygrad_edu.compile.backend.aliases import IRValue
from tinygrad_edu.compile.backend.llvm_values import Array


def stack(at_work: Any, like: Array, shape: tuple[IRValue, ...]) -> Array:
    """Memory for numbers of the same kind that nothing outside can see, with a shape that is written in the text.

    Where all its indices are known, LLVM keeps it in registers.
    """
    kind = like.data.type.pointee
    builder, count = at_work.builder, math.prod(n.constant for n in shape)
    memory: Any = cgutils.alloca_once(builder, ir.ArrayType(kind, count))  # type: ignore[no-untyped-call]
    return Array(builder.bitcast(memory, kind.as_pointer()), shape)


def read_flag(at_work: Any, control: Array) -> Any:
    """Is its first entry other than 0 by now? Atomic, or LLVM would read it once, before a loop in which nothing is
    written to memory."""
    now = at_work.builder.load_atomic(control.data, "monotonic", 8)
    return at_work.builder.icmp_signed("!=", now, now.type(0))
