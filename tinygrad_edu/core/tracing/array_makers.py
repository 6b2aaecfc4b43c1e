"""np.asarray(x), np.array([a, b]) and their like while a user's function runs on nodes.

NumPy gives code that makes an array no chance to return a node: it asks for `__array__`, whose result has to hold
numbers. But much NumPy code begins with `x = np.asarray(x, dtype=float)`. So meanwhile NumPy's module is lent functions
of these names that give a node for a node, if the user's own code calls them; for anything else they are NumPy's.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Dtype, Node
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.pytree import tree_leaves
from tinygrad_edu.core.tracing.whose_code import asked_by_user

MUTEX = Mutex()  # guards USERS
USERS = [0]  # number of blocks, in all threads
NEEDED: list[bool] = []  # has a function that is differentiated asked for one? Then each finds them: 1 µs
OPTIONS = {"dtype", "copy", "order", "ndmin", "subok"}
COPYING = frozenset({"array"})  # by itself, np.array makes a copy
OWN: dict[str, Callable[..., Any]] = {
    name: getattr(np, name) for name in ("array", "asarray", "asanyarray", "ascontiguousarray", "asfortranarray")
}
NUMBERS = {bool: np.dtype(bool), int: np.dtype(np.int64), float: np.dtype(np.float64)}  # in an array of their own


def lent(name: str) -> Callable[..., Any]:
    """What NumPy's module holds under this name meanwhile."""
    own = OWN[name]

    @functools.wraps(own)
    def make(x: Any, dtype: Any = None, *further: Any, **options: Any) -> Any:
        if holds_no_node(x) or further or options.keys() - OPTIONS or not asked_by_user(sys._getframe(1)):
            return own(x, dtype, *further, **options) if dtype is not None else own(x, *further, **options)
        if dtype is not None and np.dtype(dtype).kind not in "fiub":
            return own(x, dtype, **options)
        found = node_of(x, dtype)
        while found.ndim < options.get("ndmin", 0):
            found = found[None]
        return found.copy() if found is x and options.get("copy", name in COPYING) else found

    return make


def holds_no_node(x: ArrayLike) -> bool:
    """Is there no node in it of which an array with its gradient could be made?"""
    if type(x) in (list, tuple):
        return all(is_value(each) or holds_no_node(each) for each in x)
    kind: Any = type(x)
    if hasattr(kind, "eager_classes"):
        return not (hasattr(kind, "__array_function__") and hasattr(kind, "dtype"))  # NumPy makes an array of Values
    known = MODES.tensor_trace is None and MODES.recording  # elsewhere it is a Tensor that the function closes over
    return not (known and hasattr(kind, "__array_function__") and getattr(x, "requires_grad", False))


def is_value(x: ArrayLike) -> bool:
    """Is it a Value of a traced function? NumPy makes an array of objects of several, as without jit."""
    kind: Any = type(x)
    return hasattr(kind, "eager_classes") and not hasattr(kind, "dtype")


def node_of(x: Node, dtype: Dtype) -> Any:
    """A node for the array that NumPy would make, with the dtype that it would have."""
    if type(x) not in (list, tuple):
        found = x if dtype is None or x.dtype == np.dtype(dtype) else x.astype(np.dtype(dtype))
        return marked(found) if not x.shape else found
    dtype = np.result_type(*map(dtype_of_leaf, tree_leaves(x))) if dtype is None else np.dtype(dtype)
    parts = [OWN["asarray"](part, dtype) if holds_no_node(part) else node_of(part, dtype) for part in x]
    return np.stack(parts)


def marked(x: Node) -> Any:
    """An array without axes in place of a number."""
    if not hasattr(type(x), "stands"):
        return x
    found = TABLE["pos"](x)
    found.stands = np.ndarray
    return found


def dtype_of_leaf(x: ArrayLike) -> Any:
    return NUMBERS.get(type(x)) or OWN["asarray"](x).dtype if holds_no_node(x) else x.dtype


LENT = {name: lent(name) for name in OWN}


@contextmanager
def array_makers() -> Iterator[None]:
    """A block in which they are lent."""
    with MUTEX.freed(), MUTEX.taken:
        USERS[0] += 1
        vars(np).update(LENT)
    try:
        yield
    finally:
        with MUTEX.freed(), MUTEX.taken:
            USERS[0] -= 1
            if not USERS[0]:
                vars(np).update(OWN)
