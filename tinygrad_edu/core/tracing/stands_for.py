"""What a node of a trace says when the user's own code asks what it is: the array or number that it stands for.

`jit`, `fit` and `vmap` run the user's function on nodes in place of arrays. This library tells nodes from arrays by
their class, and so must its own questions be answered; those of the user's code must be answered as for the arrays,
or the function would go another way than without a trace. So the answer depends on who asks: each question goes to a
property or method, which looks at the frame that asks.

A class of nodes has `eager_classes()`, what a node may stand for, mostly one class, and `refuse_question()`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import Node, Option
from tinygrad_edu.core.methods.plain_arrays import OF_NODES
from tinygrad_edu.core.methods.spellings import Missing
from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.core.operation import TABLE
from tinygrad_edu.core.pytree import tree_leaves, tree_map
from tinygrad_edu.core.tracing.array_makers import array_makers
from tinygrad_edu.core.tracing.askers import HERE, LACKING, lend, take_back
from tinygrad_edu.core.tracing.node_class import NodeClass
from tinygrad_edu.core.tracing.whose_code import INSIDE, asked_by_user, class_asked, is_printing
from tinygrad_edu.errors import TraceError

MUTEX = Mutex()  # guards OPEN
OPEN: list[bool] = []  # for each thread in which the user's function runs on nodes: may it ask for attributes?
WATCHED: list[Any] = []  # classes of nodes whose hash is watched only while there is such a thread
TELLING: list[Any] = []  # all classes of nodes that stand for something


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
    return class_for(x, sys._getframe(1))


set_class = vars(object)["__class__"].__set__  # as x.__class__ = kind without a property


def class_for(x: Node, frame: FrameType) -> Any:
    """The class that x stands for. Errors: where it may be one of several, and the answer depends on which."""
    if not OPEN or frame.f_globals.get("__name__") in INSIDE or (user := asked_by_user(frame)) is None:
        return type(x)
    kinds = x.eager_classes()
    if len(kinds) > 1:
        asked = class_asked(user)
        if asked is None or len({issubclass(each, asked) for each in kinds}) > 1:
            x.refuse_question("the class")
    return kinds[0]


def attribute_told(x: Node, name: str) -> Any:
    """An attribute of x, if what x stands for has it. Errors: AttributeError."""
    if name in LACKING:
        frame = sys._getframe(1)
        if OPEN and frame.f_globals.get("__name__") not in INSIDE and asked_by_user(frame):
            refuse_lacking(x, name)
    elif name == "__class__":
        return class_for(x, sys._getframe(1))
    return object.__getattribute__(x, name)


def refuse_lacking(x: Node, name: str) -> None:
    """Errors: AttributeError for a name that none of the classes has, and that the user has not set."""
    kinds = x.eager_classes()
    answers = {has_attribute(kind, name) for kind in kinds}
    if len(answers) > 1:
        x.refuse_question(f"the attribute {name!r}")
    if not answers.pop() and name not in vars(x):
        kind = kinds[0]
        raise AttributeError(f"{kind.__module__ + '.' + kind.__name__!r} object has no attribute {name!r}")


def has_attribute(kind: type, name: str) -> bool:
    """Have objects of this class such an attribute? A `PlainArray` looks up PyTorch's names when it is asked."""
    of_tensor = getattr(getattr(kind, "tensor", None), name, None)
    return is_attribute(kind, name) or (callable(of_tensor) and name not in OF_NODES and not name.startswith("__"))


def is_attribute(kind: type, name: str) -> bool:
    """Does a class have it, other than as the advice what to write instead?"""
    found = next((vars(each)[name] for each in kind.__mro__ if name in vars(each)), None)
    return found is not None and not isinstance(found, Missing)


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
        HERE.identity = True
    return object.__hash__(x)


def telling(own: Callable[..., str]) -> Callable[..., str]:
    """`repr(x)`, `str(x)` or `f"{x}"`: the text of numbers that are not known. `print(x)` shows the node."""

    @functools.wraps(own)
    def text_told(x: Node, *spec: str) -> str:
        user = asked_by_user(sys._getframe(1)) if OPEN else None
        if user is not None and not is_printing(user):
            x.refuse_question("the text")
        return own(x, *spec)

    return text_told


def refuse_number(x: Node, what: str) -> None:
    """Errors: TraceError, of a plain number in a trace."""
    raise TraceError(f"a compiled function asks for {what} of a number")


class Description:
    """`x.__doc__`: that of what x stands for; of a class of nodes its own."""

    def __init__(self, own: str | None) -> None:
        self.own = own

    def __get__(self, x: Node | None, kind: type) -> Any:
        if x is None or not OPEN or asked_by_user(sys._getframe(1)) is None:
            return self.own
        found = {vars(each).get("__doc__") for each in x.eager_classes()}  # with the signature, unlike each.__doc__
        if len(found) > 1:
            x.refuse_question("the description")
        return found.pop()


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
    probes = HERE.probes
    with MUTEX.freed(), MUTEX.taken:
        OPEN.append(probes)
        watch()
        keys = lend()
    try:
        with array_makers():
            yield
    finally:
        with MUTEX.freed(), MUTEX.taken:
            take_back(keys)
            OPEN.remove(probes)
            watch()


def watch() -> None:
    """Install what is needed now. Each of these methods in Python would slow all traces: hashes alone by 6%."""
    for owner, name, method, needed in (
        (NodeClass, "__instancecheck__", is_instance_told, bool(OPEN)),
        *((kind, "__hash__", hash_told, bool(OPEN)) for kind in WATCHED),
        *((kind, "__getattribute__", attribute_told, any(OPEN)) for kind in TELLING),
    ):
        if needed is not (vars(owner).get(name) is method):
            if needed:
                setattr(owner, name, method)
            else:
                restore(owner, name)


def restore(owner: Option, name: str) -> None:
    if name == "__hash__":
        owner.__hash__ = object.__hash__
    else:
        delattr(owner, name)


def let_answer(kind: Option, watched: bool = True) -> None:
    """Let a class of nodes say what they stand for. watched: is its hash watched only while that may be asked?"""
    TELLING.append(kind)
    WATCHED.extend([kind] if watched else [])
    kind.__dir__ = names_told
    kind.__doc__ = Description(kind.__doc__)
    for name in ("__repr__", "__str__", "__format__"):
        setattr(kind, name, telling(getattr(kind, name)))
    LACKING.update(x for x in dir(kind) if not (is_attribute(np.ndarray, x) and is_attribute(np.float64, x)))
    LACKING.difference_update(x for x in list(LACKING) if x.startswith("__array_"))
