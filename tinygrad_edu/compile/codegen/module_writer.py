"""Wrap generated lines in a function: compiled by Numba alone, or a thin Numba function around our own LLVM code.

backend/llvm_statements.py takes a half to a third of Numba's time (2-16-16-1: 1.5 s instead of 2.6, the next one 0.5 s
instead of 1.8, CPU time). It does not know all of Python, nor parallel loops: such programs go to Numba as a whole.
"""

from __future__ import annotations

import re
import textwrap

from tinygrad_edu.compile.codegen.templates import FAST, HEADER, PRANGE

WIDTH = 120
WHOLE = """
@njit(error_model="numpy", nogil=True, cache=True, no_cfunc_wrapper=True{options})
def {name}(
{parameters}
):
{lines}
"""
SHELL = """
@direct({options})
def loops(
{parameters}
):
{lines}


@njit(error_model="numpy", nogil=True, cache=True, no_cfunc_wrapper=True)
def {name}(
{parameters}
):
    loops((
{inner}
    ))
"""


def module(
    functions: str, name: str, parameters: str, lines: str, *, accurate: bool, parallel: bool = False, lanes: str = "",
    whole: bool = True,
) -> str:  # fmt: skip
    """The module's text: the functions, and one of that name that has these lines as its body and calls them.

    lanes: further arguments of `direct` for runs that are trained side by side (backend/lanes.py).
    whole: may Numba compile all of it? Not such runs, nor what uses words that it lacks.
    Errors: NotImplementedError if only Numba understands a program that it may not compile.
    """
    texts = {"name": name, "lines": lines, "parameters": list_names(parameters, 4), "inner": list_names(parameters, 8)}
    head = HEADER + PRANGE * parallel + functions
    options = ", ".join(filter(None, ["" if accurate else FAST.removeprefix(", "), lanes]))
    text = head + SHELL.format(options=options, **texts)
    if parallel or not is_understood(text):
        if lanes or not whole:
            raise NotImplementedError("Numba would have to compile this program whole")
        text = head + WHOLE.format(options=("" if accurate else FAST) + ", parallel=True" * parallel, **texts)
    return text


def is_understood(text: str) -> bool:
    """Can llvm_statements.py translate it? Without Numba, it does not matter."""
    try:
        from tinygrad_edu.compile.backend.llvm_statements import understands
    except ImportError:
        return True
    return understands(text.removeprefix(HEADER).rpartition("@njit")[0])


def without_decorators(functions: str) -> str:
    """The definitions of operations as plain Python, without the decorators for Numba."""
    kept = [
        line
        for line in functions.splitlines()
        if not line.startswith(("@", "inlined = ", "# The pieces of the program"))
    ]
    return re.sub("\n{3,}", "\n\n", "\n".join(kept)).strip() + "\n" if "".join(kept).strip() else ""


def list_names(names: str, by: int) -> str:
    """Names in lines of no more than 120 characters."""
    return textwrap.fill(names, WIDTH, initial_indent=" " * by, subsequent_indent=" " * by)
