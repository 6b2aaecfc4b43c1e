"""Which code is the user's own, and which that of a library: by the module that it belongs to."""

from __future__ import annotations

import builtins
import functools
import sys
from collections.abc import Mapping
from dis import HAVE_ARGUMENT, Instruction, get_instructions, opmap, stack_effect
from types import FrameType
from typing import Any

import numpy as np

LIBRARIES = {
    "IPython", "_pytest", "dask", "distributed", "jax", "joblib", "llvmlite", "matplotlib", "numba", "numpy", "pandas",
    "pytest", "scipy", "sklearn", "tinygrad_edu", "torch", "tqdm",
}  # fmt: skip
# Code that asks what an object is for the code that has called it: isinstance of a class of `abc`, singledispatch.
FOR_OTHERS = {"_collections_abc", "abc", "functools", "numbers", "typing"}
ISSCALAR, SCALAR_MODULE = np.isscalar.__code__, np.isscalar.__globals__["__name__"]


@functools.lru_cache(4096)
def is_foreign(name: str | None) -> bool:
    """Is a module of this name the user's own, so that its code may keep state?

    Code run by `exec` without a module has no name, or `builtins`, which no class or function written in Python has.
    """
    root = (name or "builtins").partition(".")[0]
    return root == "builtins" or not (root in LIBRARIES or root in sys.stdlib_module_names)


INSIDE: set[str | None] = set()  # names of modules of libraries, as far as they have asked: a look takes 30 ns


def asked_by_user(frame: FrameType | None) -> FrameType | None:
    """The frame of the user's own code that asks here, or for which this frame asks; None if there is none."""
    while frame is not None:
        name = frame.f_globals.get("__name__")
        if is_foreign(name):
            return frame
        if name not in FOR_OTHERS and frame.f_code is not ISSCALAR:
            INSIDE.update({name} - {SCALAR_MODULE})
            return None
        frame = frame.f_back
    return None


def class_asked(frame: FrameType) -> Any:
    """The class in the call of isinstance that this frame is making; None where it is computed, or asks otherwise."""
    stack = operands_of_call(frame)
    return stack[1] if len(stack) == 3 and stack[0] is isinstance else None


def is_printing(frame: FrameType) -> bool:
    """Is this frame calling print(...), whose text no result is made of?"""
    called = operands_of_call(frame)
    return (bool(called) and called[0] is print) or (frame.f_back is not None and is_debugger(frame.f_back))


def is_debugger(frame: FrameType) -> bool:
    return frame.f_globals.get("__name__") in ("bdb", "pdb")


def operands_of_call(frame: FrameType) -> list[Any]:
    """The function that a frame is calling and what it is given, as far as they are known; [] where it calls none."""
    space = {**vars(builtins), **frame.f_globals, **frame.f_locals}
    stack: list[Any] = []
    for each in get_instructions(frame.f_code):
        if each.offset == frame.f_lasti:
            return stack[-(each.arg or 0) - 1 :] if each.opname in ("PRECALL", "CALL") else []
        if each.opname not in ("PRECALL", "CACHE"):
            follow(each, stack, space)
    return []


def follow(step: Instruction, stack: list[Any], space: Mapping[str, Any]) -> None:
    """Do to a stack what an instruction of Python does; None stands for what is not known."""
    effect = stack_effect(step.opcode, step.arg if step.opcode >= HAVE_ARGUMENT else None, jump=False)
    if step.opname in ("LOAD_GLOBAL", "LOAD_NAME", "LOAD_FAST", "LOAD_DEREF"):
        stack += [*[None] * (effect - 1), space.get(step.argval)]
    elif step.opname == "LOAD_ATTR" and stack:
        stack[-1] = getattr(stack[-1], step.argval, None)
    elif step.opname == "BUILD_TUPLE" and step.arg and None not in stack[-step.arg :]:
        stack[-step.arg :] = [tuple(stack[-step.arg :])]
    else:
        effect -= step.arg or 0 if step.opname == "CALL" and "PRECALL" in opmap else 0  # in 3.11 PRECALL takes them
        kept = len(stack) + effect
        stack[max(kept - 1, 0) :] = [None] * min(kept, max(effect, 1))


def is_storing(frame: FrameType | None) -> bool:
    """Is the user's code about to write to an entry, as in `out[i] = x`?"""
    while frame is not None and str(frame.f_globals.get("__name__")).startswith("tinygrad_edu."):
        frame = frame.f_back
    return frame is not None and frame.f_code.co_code[frame.f_lasti] == opmap["STORE_SUBSCR"]
