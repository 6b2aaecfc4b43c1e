"""Numbers of nodes in texts: f"{loss:.4f}", "%.4f" % loss and round(loss, 4), which leave the graph only to be read."""

from __future__ import annotations

import dis
import sys

# What "a % b" and "a %= b" are compiled to, as (instruction, argument).
MODULO = {
    (step.opcode, step.arg)
    for text in ("a % b", "a %= b")
    for step in dis.get_instructions(compile(text, "", "exec"))
    if step.opname == "BINARY_OP"
}


def in_percent_format() -> bool:
    """Does the caller's caller format a text with %, for which it asks a node for `__float__`?

    `"%.4f" % x` and `math.tanh(x)` both ask. The first prints, the second would lose the gradient without a word: only
    the instruction at which that frame stands tells one from the other.
    """
    frame = sys._getframe(2)
    code, at = frame.f_code.co_code, frame.f_lasti
    return (code[at], code[at + 1]) in MODULO
