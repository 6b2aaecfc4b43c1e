"""tanh of a float32 by a table: the quickest where each step of a program waits for the one before.

A step of a small network, one sample at a time, cannot begin before the weights of the last one are there, so the time
of tanh is that of its longest chain. The formula of codegen/math_approximations.py has a quotient at the end of its
chain and takes 14 ns; here nothing is divided, and a row of the table is looked up while the remainder is computed:
7 ns (a step of 2-3-1 takes 22 ns instead of 29). In loops that become vectors the formula is quicker.

tanh(x) = tanh(m + r) = c0 + (c1 r + r² (c2 + c3 r)) for the nearest multiple m of 1/32; a row holds c0 to c3. Within
1.4 ulp, by comparison of all float32 with the C library; limits are exact, NaN stays NaN, -0 stays -0.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir

from tinygrad_edu.compile.backend.aliases import IRValue
from tinygrad_edu.compile.backend.llvm_values import FLOAT, INT

Array = np.ndarray[Any, Any]
PER_UNIT = 32  # rows for each unit of x; 16 give 3.7 ulp
LAST = 296  # of the last row: tanh(9.25) is 1 in float32
TERMS = 4
SHIFT = np.float32(1.5 * 2.0**23)  # adding it rounds to an integer, which is then in the lowest bits
NAME = "tanh_rows"
HALF = ir.IntType(32)


def tanh_rows() -> Array:
    """The table, (2 · LAST + 1, 4): cubic polynomials through tanh at the Chebyshev nodes of each interval; odd.

    >>> tanh_rows().shape, bool(tanh_rows()[LAST + 32, 0] == np.float32(np.tanh(1.0)))
    ((593, 4), True)
    """
    middles = np.arange(LAST + 1) / PER_UNIT
    nodes = np.cos((np.arange(TERMS) + 0.5) * np.pi / TERMS) * (0.5 / PER_UNIT)
    found = np.linalg.solve(np.vander(nodes, increasing=True), np.tanh(middles[:, None] + nodes).T).T
    at_0 = nodes[:2]  # an odd polynomial: its error is relative to x
    cubic = float(np.mean((np.tanh(at_0) / at_0 - 1.0) / at_0**2))
    found[0] = [-0.0, 1.0, -1e-30, cubic]  # these signs keep that of 0
    found[-1] = [1.0, 0.0, 0.0, 0.0]
    return np.concatenate([found[:0:-1] * [-1.0, 1.0, -1.0, 1.0], found]).astype(np.float32)


def tanh_by_table(at_work: Any, x: IRValue) -> Any:
    """The code for one tanh, where the table is built in. Errors: NotImplementedError for other types than float32."""
    if x.type != FLOAT:
        raise NotImplementedError(f"tanh_by_table takes float32, not {x.type}")
    builder, end = at_work.builder, FLOAT(LAST / PER_UNIT)
    own = clamp(builder, x, end, keep_nan=True)
    shifted = builder.fadd(builder.fmul(clamp(builder, x, end, keep_nan=False), FLOAT(float(PER_UNIT))), shift())
    r = builder.fsub(own, builder.fmul(builder.fsub(shifted, shift()), FLOAT(1.0 / PER_UNIT)))
    row = builder.sub(builder.bitcast(shifted, HALF), HALF(int(SHIFT.view(np.int32)) - LAST))
    c0, c1, c2, c3 = row_of_table(builder, builder.zext(row, INT))
    contract = ["contract"]  # a product and a sum in one instruction, where there is one
    tail = builder.fadd(builder.fmul(c3, r, flags=contract), c2, flags=contract)
    tail = builder.fmul(builder.fmul(r, r), tail, flags=contract)
    return builder.fadd(c0, builder.fadd(tail, builder.fmul(c1, r, flags=contract), flags=contract))


def shift() -> Any:
    return FLOAT(float(SHIFT))


def clamp(builder: Any, x: IRValue, end: Any, keep_nan: bool) -> Any:
    """x between -end and end; NaN is kept, or becomes an end, so that it has a row too."""
    for sign, far in ((">", end), ("<", FLOAT(-end.constant))):
        if keep_nan:
            x = builder.select(builder.fcmp_ordered(sign, x, far), far, x)
        else:
            near = builder.fcmp_ordered("<" if sign == ">" else ">", x, far)
            x = builder.select(near, x, far)
    return x


def row_of_table(builder: Any, row: Any) -> list[Any]:
    """The numbers of a row; the table is made at its first use in a program."""
    module = builder.module
    if NAME not in module.globals:
        numbers = [FLOAT(float(x)) for x in tanh_rows().ravel()]
        table = ir.GlobalVariable(module, ir.ArrayType(FLOAT, len(numbers)), NAME)
        table.linkage, table.global_constant, table.align = "internal", True, 64
        table.initializer = ir.Constant(table.value_type, numbers)
    table, first = module.globals[NAME], builder.mul(row, INT(TERMS))
    places = [builder.add(first, INT(i)) for i in range(TERMS)]
    return [builder.load(builder.gep(table, [INT(0), at], inbounds=True)) for at in places]
