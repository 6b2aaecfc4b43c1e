"""The loops that go through the rows of a tape, generated from the table once for every graph.

They are compiled once for a machine, and kept on disk; a new graph needs no compiler.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from tinygrad_edu.compile.backend import cache
from tinygrad_edu.compile.codegen import module_writer
from tinygrad_edu.compile.codegen.formulas import definitions, inline, partial_texts
from tinygrad_edu.compile.codegen.templates import PLUS
from tinygrad_edu.compile.program import indent
from tinygrad_edu.compile.scalar.wide_runs import NARROW, SHARED, UNUSED
from tinygrad_edu.core.operation import TABLE, Operation

LEAF = 2**15 - 1  # marks a leaf in place of an operation's number
FREQUENT = ("add", "mul")  # the loop tests these first
BLOCK = 128  # rows of a run processed at a time: five such arrays take 5 kB of the first-level cache
CALLS = re.compile(r"math\.(?!fabs|sqrt|inf|nan)")  # functions of the C library, called once per number

FORWARD = """\
{memory}
    for r in range(runs.shape[0]):
        first, stop = runs[r, 0], runs[r, 1]
        if {is_narrow}:
            for i in range(first, stop):
                k = code[i]
                a, b, c = data[inputs[i, 0]], data[inputs[i, 1]], data[inputs[i, 2]]
{narrow}
{wide}"""
FORWARD_WIDE = """\
        else:
            k = code[first]
            for at in range(first, stop, {block}):
                n = min({block}, stop - at)
{load}
{branches}"""
BACKWARD = """\
{memory}
    for r in range(runs.shape[0] - 1, -1, -1):
        first, stop = runs[r, 0], runs[r, 1]
        if {is_narrow}:
            for i in range(stop - 1, first - 1, -1):
                k, g = code[i], grad[i]
                if (k != {leaf}) & (g != 0.0):
                    ia, ib, ic = inputs[i, 0], inputs[i, 1], inputs[i, 2]
                    a, b, c, y = data[ia], data[ib], data[ic], data[i]
{narrow}
{wide}"""
BACKWARD_WIDE = """\
        else:
            k = code[first]
            for at in range(first, stop, {block}):
                n = min({block}, stop - at)
{load}
{branches}
{give}"""
# Copies the operands of a block into rows, so that the inner loop need not check whether one is shared.
LOAD = """\
i{x} = inputs[at, {place}]
if runs[r, {column}] != {unused}:
    if runs[r, {column}] == {shared}:
        one = data[i{x}]
        for j in range(n):
            many_{x}[j] = one
    else:
        for j in range(n):
            many_{x}[j] = data[i{x} + j]"""
GIVE = """\
if runs[r, {column}] == {shared}:
    total = 0.0
    for j in range(n):
        total = plus(total, to_{x}[j])
    grad[i{x}] += total
elif runs[r, {column}] != {unused}:
    for j in range(n):
        grad[i{x} + j] += to_{x}[j]"""


def numbering(rows: Sequence[Operation]) -> dict[str, int]:
    """Operation → its number on the tape."""
    return {name: i for i, name in enumerate(sorted((x.name for x in rows), key=lambda name: name not in FREQUENT))}


@functools.cache
def loops(rows: Sequence[Operation], wide: bool) -> tuple[Any, Any]:
    """The compiled loops forward and backward for a table of these rows; `wide`: for tapes that have wide runs."""
    forward, backward = programs(rows, wide)
    return cache.load(forward, "tape").forward, cache.load(backward, "tape").backward


@functools.cache
def programs(rows: Sequence[Operation], wide: bool) -> tuple[str, str]:
    """The texts of the modules with `forward` and `backward` for a table of these rows.

    Where somebody's own operations are such that Numba has to compile the whole, every run is computed row after row.
    """
    with suppress(NotImplementedError):
        return module(rows, "forward", wide), module(rows, "backward", wide)
    return module(rows, "forward", False), module(rows, "backward", False)


def module(rows: Sequence[Operation], name: str, wide: bool) -> str:
    """The text for one direction. Errors: NotImplementedError for wide runs where only Numba understands it."""
    head = inline(definitions(rows).values()) + PLUS * wide
    parameters = "code, inputs, runs, data" + ", grad" * (name == "backward")
    lines = (forward_text if name == "forward" else backward_text)(rows, wide)
    return module_writer.module(head, name, parameters, lines, accurate=True, whole=not wide)


def forward_text(rows: Sequence[Operation], wide: bool) -> str:
    text = FORWARD_WIDE.format(block=BLOCK, load=operands(LOAD), branches=join(4, branches(rows, results)))
    return FORWARD.format(
        memory=memory(["many"]) * wide, is_narrow=narrow_test(wide), wide=text * wide,
        narrow=join(4, branches(rows, result)),
    )  # fmt: skip


def backward_text(rows: Sequence[Operation], wide: bool) -> str:
    text = BACKWARD_WIDE.format(
        block=BLOCK, load=operands(LOAD), branches=join(4, branches(rows, shares)), give=operands(GIVE)
    )
    return BACKWARD.format(
        memory=memory(["many", "to"]) * wide, is_narrow=narrow_test(wide), wide=text * wide, leaf=LEAF,
        narrow=join(5, branches(rows, share)),
    )  # fmt: skip


def narrow_test(wide: bool) -> str:
    return f"runs[r, 2] == {NARROW}" if wide else "first < stop"


def memory(names: Sequence[str]) -> str:
    """Room for the operands of a block, or what they are given."""
    return join(1, [f"{name}_{x} = stack(data, ({BLOCK},))" for name in names for x in "abc"])


def operands(text: str) -> str:
    """The text, filled in for each of the operands a, b and c."""
    each = [text.format(x=x, place=i, column=3 + i, shared=SHARED, unused=UNUSED) for i, x in enumerate("abc")]
    return join(4, "\n".join(each).splitlines())


def result(row: Operation, letters: Sequence[str]) -> list[str]:
    return [f"data[i] = {row.name}({', '.join(letters)})"]


def results(row: Operation, letters: Sequence[str]) -> list[str]:
    """The lines that compute the results of one block of a run."""
    given = ", ".join(f"many_{x}[j]" for x in letters)
    return ["for j in range(n):", f"    data[at + j] = {row.name}({given})"] if in_vectors(row) else []


def share(row: Operation, letters: Sequence[str]) -> list[str]:
    """Lines that add the gradient g of a node to those of its inputs."""
    return [f"grad[i{letter}] += g * ({text})" for letter, text in slopes(row, letters)]


def shares(row: Operation, letters: Sequence[str]) -> list[str]:
    """Such lines for a block of a run. A gradient of 0 contributes 0, even through an infinite derivative."""
    if not in_vectors(row):
        return []
    given = ["y, g = data[at + j], grad[at + j]", *(f"{x} = many_{x}[j]" for x in letters)]
    found = dict(slopes(row, letters))
    lines = [f"to_{x}[j] = " + (f"where(g != 0.0, g * ({found[x]}), 0.0)" if x in found else "0.0") for x in letters]
    return ["for j in range(n):", *indent([*given, *lines])]


def slopes(row: Operation, letters: Sequence[str]) -> list[tuple[str, str]]:
    """The inputs that get a share of the gradient, each with its derivative."""
    if row.partials is None:
        return []
    found = zip(letters, partial_texts(row, "y", letters), strict=True)
    return [(letter, text) for letter, text in found if text != "0.0"]


@functools.cache
def in_vectors(row: Operation) -> bool:
    """Is all that it computes, forward and backward, arithmetic that goes into vectors?"""
    texts, given = list(definitions([row]).values()), slopes(row, "abc"[: len(row.parameters)])
    for _, text in given:
        called = re.findall(r"\b([a-z_0-9]+)\(", text)
        texts += definitions([TABLE[name] for name in called if name in TABLE]).values()
    return bool(given) and not CALLS.search("\n".join(texts))


def branches(rows: Sequence[Operation], body: Callable[[Operation, Sequence[str]], list[str]]) -> list[str]:
    """if k == 0: ... elif k == 1: ... for every operation that does something."""
    lines: list[str] = []
    named = {row.name: row for row in rows}
    for name, number in numbering(rows).items():
        found = body(named[name], "abc"[: len(named[name].parameters)])
        if found:
            lines += [f"{'elif' if lines else 'if'} k == {number}:  # {name}", *indent(found)]
    return lines


def join(depth: int, lines: Sequence[str]) -> str:
    return "\n".join(indent(lines, depth))
