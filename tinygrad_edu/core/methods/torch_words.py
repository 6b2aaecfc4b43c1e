"""Does code of the user's own ask for the class of an array, or use PyTorch's names on it? Seen in its text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dis import get_instructions
from functools import cache
from types import CodeType

import numpy as np

from tinygrad_edu.core.methods.plain_arrays import OF_NODES, TORCHS, UPDATES, PlainArray

# `is` may ask for identity: np.asarray(x) is x
QUESTIONS = {"type", "__class__", "hasattr", "getattr", "base", "owndata", "asarray"}
VARIABLE = {"LOAD_FAST", "LOAD_DEREF", "BINARY_SUBSCR", "COMPARE_OP"}  # x.size(0), x[0].size(0), (x > 0).float()
OF_BOTH = {"size", "type", "view", "nonzero", "dtype"}  # x.size is NumPy's, x.size(0) PyTorch's


def class_for_code(functions: Iterable[CodeType]) -> type:
    """The class of the arrays to call them with: np.ndarray where they ask for it and use none of PyTorch's names."""
    codes = [each for code in functions for each in codes_in(code)]
    asks = any(not QUESTIONS.isdisjoint(code.co_names) for code in codes)
    return np.ndarray if asks and not any(map(speaks_torch, codes)) else PlainArray


def codes_in(code: CodeType) -> Iterator[CodeType]:
    """The code of a function and of the functions inside it."""
    yield code
    for each in code.co_consts:
        if isinstance(each, CodeType):
            yield from codes_in(each)


@cache
def torchs_names() -> frozenset[str]:
    """Those that arrays of NumPy lack."""
    found = {name for name in dir(PlainArray.tensor) if not (name.startswith("_") or hasattr(np.ndarray, name))}
    return frozenset((found | set(UPDATES)) - OF_NODES)


def speaks_torch(code: CodeType) -> bool:
    """Does code use one of PyTorch's names on a variable, or one of its keywords?"""
    before = ""
    for step in get_instructions(code):
        method = step.opname == "LOAD_METHOD" or (step.opname == "LOAD_ATTR" and "NULL" in step.argrepr)
        known = step.argval in torchs_names() if step.opname in ("LOAD_METHOD", "LOAD_ATTR") else False
        if before in VARIABLE and (known or (method and step.argval in OF_BOTH)):
            return True
        before = step.opname if step.opname != "CACHE" else before
    keywords = [x for x in code.co_consts if isinstance(x, tuple)]
    return any(not TORCHS.isdisjoint(x for x in each if isinstance(x, str)) for each in keywords)
