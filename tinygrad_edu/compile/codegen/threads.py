"""Loops that threads share: which ones may be shared, and how they are written."""

from __future__ import annotations

from tinygrad_edu.compile.codegen.index_maps import bare
from tinygrad_edu.compile.ir.node import Traced, op_name
from tinygrad_edu.compile.passes.fuse import Loop, is_reduction
from tinygrad_edu.core import broadcasting

INDENT = "    "
PARTS = 64  # number of parts of a loop that threads share


class Threads:
    """The part of a Writer for loops whose outermost level is shared among threads."""

    parallel: bool
    partial: list[str]  # sums of which each thread of the current loop adds up a part

    def in_parts(self, nest: list[str], loop: Loop) -> list[str]:
        """The outermost loop in parts, one for each thread, with sums of its own. (An unsigned index cannot be < 0.)"""
        n = bare(loop.sizes[0])
        nest[0] = f"for i0 in range(np.uint64(part * ({n}) // {PARTS}), np.uint64((part + 1) * ({n}) // {PARTS})):"
        starts = [f"{name}_part = 0.0" for name in self.partial]
        sums = [f"{name} += {name}_part" for name in self.partial]
        return [f"for part in prange({PARTS}):", *(INDENT + line for line in [*starts, *nest, *sums])]

    def may_share(self, loop: Loop) -> bool:
        """May threads share the outermost loop, because no iteration needs a result of another?"""
        return self.parallel and loop.sizes[:1] not in ((), ("1",)) and all(map(self.alone, loop.nodes))

    def alone(self, x: Traced) -> bool:
        if not is_reduction(x):
            return op_name(x) not in ("cumsum", "class_of")
        if op_name(x) in ("scatter", "settle"):
            return False
        axes = broadcasting.axes_of(x.parents[0], x.options["axis"])
        return 0 not in axes or (op_name(x) == "sum" and len(axes) == x.parents[0].ndim)
