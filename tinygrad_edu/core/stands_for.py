"""What a node of a trace says when the user's own code asks what it is: the array or number that it stands for.

`jit`, `fit` and `vmap` run the user's function on nodes in place of arrays. This library tells nodes from arrays by
their class, and so must its own questions be answered; those of the user's code must be answered as for the arrays,
or the function would go another way than without a trace. So the answer depends on who asks: each question goes to a
property or method, which looks at the frame that asks.

A class of nodes has `eager_classes()`, what a node may stand for, mostly one class, and `refuse_question()`.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Node
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.whose_code import INSIDE, asked_by_user, class_asked

MUTEX = threading.Lock()  # guards OPEN
OPEN: list[None] = []  # an entry for each thread in which the user's function runs on nodes
WATCHED: list[Any] = []  # classes of nodes whose hash is watched only while there is such a thread


class NodeClass(type):
    """The class of Tensor and Value; while the user's function runs on nodes, it answers `isinstance(x, Tensor)`."""


def is_instance_told(kind: type, x: Node) -> bool:
    """`isinstance(x, kind)`, also where type(x) is a class of nodes, which are Tensors or Values to this library."""
    if not issubclass(type(x), kind):
        return False
    frame = sys._getframe(1)
    if frame.f_globals.get("__name__") in INSIDE or not hasattr(type(x), "eager_classes") or not asked_by_user(frame):
        return True
    answers = {issubclass(each, kind) for each in x.eager_classes()}
    if len(answers) > 1:
        x.refuse_question("the class")
    return answers.pop()


def class_told(x: Node) -> Any:
    """`x.__class__`, which isinstance asks for after type(x), and so do `match` and singledispatch."""
    frame = sys._getframe(1)
    if not OPEN or frame.f_globals.get("__name__") in INSIDE:
        return type(x)
    user = asked_by_user(frame)
    return type(x) if user is None else class_for(x, user)


set_class = vars(object)["__class__"].__set__  # as x.__class__ = kind without a property


def class_for(x: Node, user: FrameType) -> Any:
    """The class that x stands for. Errors: where it may be one of several, and the answer depends on which."""
    kinds = x.eager_classes()
    if len(kinds) > 1:
        asked = class_asked(user)
        if asked is None or len({issubclass(each, asked) for each in kinds}) > 1:
            x.refuse_question("the class")
    return kinds[0]


def names_told(x: Node) -> Iterable[str]:
    """`dir(x)`."""
    told = OPEN and asked_by_user(sys._getframe(1))
    return dir(x.eager_classes()[0]) if told else object.__dir__(x)


def hash_told(x: Node) -> int:
    """`hash(x)`, also as the key of a dict or the member of a set: none of an array, and none of an unknown number.

    Errors: TypeError as of an array; what `x.refuse_question()` raises for a number.
    """
    frame = sys._getframe(1)
    if OPEN and frame.f_globals.get("__name__") not in INSIDE and asked_by_user(frame):
        kinds = x.eager_classes()
        if all(kind.__hash__ is None for kind in kinds):
            raise TypeError(f"unhashable type: {kinds[0].__module__ + '.' + kinds[0].__name__!r}")
        if not all(hasattr(kind, "parents") for kind in kinds):  # a Tensor may be a key, as in state[p]
            x.refuse_question("the hash, as the key of a dict or the member of a set,")
    return object.__hash__(x)


def plain_beside(x: Node, y: Node, number: bool = False) -> Node:
    """y, which says from now on that it is plain where x is: the result of a transform, or the gradient by x.

    number: is a result without axes a Python number whatever x is?
    """
    if not hasattr(type(y), "stands"):
        return y
    if hasattr(y, "stands"):  # it may be a node that the function itself has used
        y = TABLE["pos"](y)

    def kinds() -> tuple[Any, ...]:
        found = x.eager_classes() if hasattr(x, "eager_classes") else (type(x),)
        array = issubclass(found[0], np.ndarray) and not (number and not y.shape)
        return found if hasattr(found[0], "parents") else (np.ndarray if array else float,)

    y.stands = kinds
    return y


def plain_results(primals: tuple[Any, ...], y: Node, pull: Callable[..., Any]) -> tuple[Any, Callable[..., Any]]:
    """y and the pull-back of a transform in a trace, whose results say that they are plain where its arguments are."""
    leaves = list(tree_leaves(primals))

    def plain_pull(seed: Node) -> Any:
        return tree_map(lambda x, g: g if g is None else plain_beside(x, g), primals, pull(seed))

    return tree_map(lambda leaf: plain_beside(leaves[0], leaf, True), y) if leaves else y, plain_pull


def said(x: Node) -> Any:
    """The classes that a node says it may stand for, if it does."""
    found = getattr(x, "stands", None)
    return (found,) if isinstance(found, type) else found() if callable(found) else found


@contextmanager
def users_function() -> Iterator[None]:
    """A block in which the user's function runs on nodes."""
    with MUTEX:
        OPEN.append(None)
        if len(OPEN) == 1:
            watch()
    try:
        yield
    finally:
        with MUTEX:
            OPEN.pop()
            if not OPEN:
                end_watch()


def watch() -> None:
    """A method in Python for each hash would take 6 % of a trace, most of which is the library's own work."""
    NodeClass.__instancecheck__ = is_instance_told  # type: ignore[method-assign]
    for kind in WATCHED:
        kind.__hash__ = hash_told


def end_watch() -> None:
    del NodeClass.__instancecheck__
    for kind in WATCHED:
        kind.__hash__ = object.__hash__
