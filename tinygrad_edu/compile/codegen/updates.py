"""Lines of an update: limits of the gradient, and the loop over all weights as a function of its own, whose range
threads may share (backend/in_parts.py)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tinygrad_edu.compile.codegen.outline import piece_of
from tinygrad_edu.compile.codegen.templates import CLIP, CLIP_VALUE, FAST

LOOP = "for i0 in range(weights):"
DECORATOR = """\
# Loops over all weights, whose range threads may share.
parts = njit(error_model="numpy", no_cpython_wrapper=True, no_cfunc_wrapper=True{})

"""
DEFINITION = """\
@parts
def {name}(first, end, {given}):
    for i0 in range(first, end):
{body}

"""


def limits(norm: bool, value: bool, plus: Mapping[str, str]) -> list[str]:
    """What is done to the gradients before the update."""
    return (CLIP_VALUE * value + CLIP.format(**plus) * norm).splitlines()


def in_parts_if(wanted: bool, lines: list[str], accurate: bool) -> tuple[list[str], str]:
    """`in_parts` with a decorator before the definition if that is wanted, else the lines unchanged."""
    if not wanted:
        return lines, ""
    lines, definition = in_parts(lines, "update")
    return lines, decorator(accurate) + definition


def decorator(accurate: bool = False) -> str:
    return DECORATOR.format("" if accurate else FAST)


def in_parts(lines: Sequence[str], name: str) -> tuple[list[str], str]:
    """(the lines with a call in place of the loop, the definition of what is called)."""
    start = lines.index(LOOP)
    stop = next((i for i in range(start + 1, len(lines)) if not lines[i].startswith(" ")), len(lines))
    body = lines[start + 1 : stop]
    given = ", ".join(x for x in piece_of([LOOP, *body]).given if x != "weights")
    text = "\n".join(f"    {line}" for line in body)
    call = f"{name}(0, weights, {given})"
    return [*lines[:start], call, *lines[stop:]], DEFINITION.format(name=name, given=given, body=text)
