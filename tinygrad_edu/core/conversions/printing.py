"""Nodes as text: f"{loss:.4f}", "%.4f" % loss and round(loss, 4) read a number without losing its gradient."""

from __future__ import annotations

import dis
import sys

from tinygrad_edu.core.aliases import ArrayLike

# The bytecode of "a % b" and "a %= b", as (instruction, argument).
MODULO = {
    (step.opcode, step.arg)
    for text in ("a % b", "a %= b")
    for step in dis.get_instructions(compile(text, "", "exec"))
    if step.opname == "BINARY_OP"
}


def in_percent_format() -> bool:
    """Is the caller's caller formatting a text with %, which calls a node's `__float__`?

    `"%.4f" % x` and `math.tanh(x)` both call it. The first only prints, the second would silently lose the gradient:
    only the current instruction of that frame tells them apart.
    """
    frame = sys._getframe(2)
    code, at = frame.f_code.co_code, frame.f_lasti
    return (code[at], code[at + 1]) in MODULO


def is_compiled(x: ArrayLike) -> bool:
    """Is this node the result of a compiled call? It may also be read as plain numbers: float(x), np.asarray(x)."""
    return getattr(x.op, "compiled", False)


def preview(data: ArrayLike) -> str:
    """Something a user gave, in at most 60 characters."""
    try:
        data = data.to_numpy() if hasattr(data, "to_numpy") else data  # a Series prints its index between its numbers
        text = " ".join(repr(data).split())
    except RecursionError:
        text = f"a {type(data).__name__} in many others"
    return text if len(text) <= 60 else text[:57] + "..."
