"""Code that asks whether two objects are one: `x is y`, `id(x)`. Nodes answer as arrays do only if one node stands for
an array that is given twice; so where the user's functions ask, that is how a trace and a transform call them.
"""

from __future__ import annotations

import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dis import Instruction, get_instructions
from enum import Enum
from types import CodeType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike

ASKING = {"is_", "is_not", "shares_memory", "may_share_memory"}  # of the modules operator and numpy
BETWEEN = {"CACHE", "PRECALL", "EXTENDED_ARG", "PUSH_NULL"}
Path = tuple[str, ...]  # ("np", "ndarray"): the global name and attributes that an object is compared with; () unknown


def compared_objects(code: CodeType) -> Iterator[Path]:
    """What the code compares objects with by `is`, constants left out; () for `id`, too."""
    steps = [each for each in get_instructions(code) if each.opname not in BETWEEN]
    for i, each in enumerate(steps):
        if each.opname == "IS_OP" and not steps[i - 1].opname.endswith("LOAD_CONST"):
            yield path_before(steps[:i])
        elif each.opname in ("LOAD_GLOBAL", "LOAD_NAME") and each.argval == "id":
            yield ()
    if not ASKING.isdisjoint(code.co_names):
        yield ()


def path_before(steps: Sequence[Instruction]) -> Path:
    """The global name and attributes that these instructions end with; () where they end with something else."""
    names: list[str] = []
    for each in reversed(steps):
        if each.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            return (each.argval, *reversed(names))
        if each.opname != "LOAD_ATTR":
            break
        names.append(each.argval)
    return ()


def may_be_array(path: Path, space: Mapping[str, Any]) -> bool:
    """May what is found there be an array? `type(x) is np.ndarray` and `mode is Mode.FAST` ask about no array."""
    if not path:
        return True
    found = space.get(path[0], getattr(builtins, path[0], None))
    for name in path[1:]:
        found = getattr(found, name, None) if isinstance(found, (ModuleType, type)) else found
    return not isinstance(found, (type, Enum, bool)) and found is not None and found is not np._NoValue


def first_places(leaves: Iterable[Any]) -> list[int]:
    """For each leaf the place of the first that is the same array or Tensor; numbers are never the same.

    >>> x = np.ones(2)
    >>> first_places([x, np.ones(2), x, 1.0, 1.0])
    [0, 1, 0, 3, 4]
    """
    first: dict[int, int] = {}
    return [first.setdefault(id(x), i) if is_shared(x) else i for i, x in enumerate(leaves)]


def is_shared(x: ArrayLike) -> bool:
    return isinstance(x, np.ndarray) or hasattr(x, "parents")
