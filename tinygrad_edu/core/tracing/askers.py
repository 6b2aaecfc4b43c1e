"""Questions that no property or method of a node sees, found in the text of the user's functions: `type(x)`, and which
attributes there are.

`type(x)` reads the class from the object itself, and so does isinstance for `Hashable`, `Iterable` and their like. So
where a function names `type` or `isinstance`, its module is lent one of its own while it runs on nodes, which knows
what they stand for. A node has attributes that arrays lack, which this library
uses at each step; to refuse them would double the time of a trace. So it is done only for functions that use hasattr or
getattr, or that catch errors and name one of these attributes.
"""

from __future__ import annotations

import abc
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dis import get_instructions
from functools import partial
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from tinygrad_edu.core.aliases import Node, Option
from tinygrad_edu.core.tracing.identity import Path, compared_objects, may_be_array
from tinygrad_edu.core.tracing.node_class import NodeClass
from tinygrad_edu.core.tracing.whose_code import is_foreign

PROBES = {"getattr", "hasattr"}  # functions that ask for attributes that may be missing; code may also catch the error


@dataclass(frozen=True)
class Asked:
    """What code asks for: the names to lend to it; may it ask which attributes there are? How it notices what NumPy
    warns of; may it catch errors? What it compares objects with by `is`.
    """

    lent: frozenset[str]
    probes: bool
    notices: str
    catches: bool
    objects: frozenset[Path]


RAISING = {"call", "log", "print", "raise"}  # what np.errstate can do beside warning and ignoring
FLOATING = {"FloatingPointError", "RuntimeWarning"}
KNOWN: dict[int, tuple[CodeType, Asked]] = {}  # by id: the hash of a code object takes longer than all the rest
MOST, SEEN = 4096, 256  # code objects that are known; things that are looked through for one function
LACKING: set[str] = set()  # names that nodes have, and arrays or numbers lack
Key = tuple[int, str]
LENT: dict[Key, list[Any]] = {}  # by id of a namespace and name: [how many threads use it, the namespace]


class _Seen(threading.local):
    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.spaces: dict[Key, dict[str, Any]] = {}  # where to lend which name
        self.probes = False
        self.notices, self.catches = "", False
        self.identity = False  # does it ask whether two objects are one?


HERE = _Seen()  # what the functions seen last by this thread ask for


def note_function(x: FunctionType) -> None:
    """Note what a function of the user's asks for."""
    known = KNOWN.get(id(x.__code__))
    if known is None:
        if len(KNOWN) >= MOST:
            KNOWN.clear()
        known = KNOWN[id(x.__code__)] = x.__code__, questions_in(x.__code__)
    asked = known[1]
    for name in asked.lent:
        HERE.spaces[id(x.__globals__), name] = x.__globals__
    HERE.probes |= asked.probes
    HERE.notices = HERE.notices or asked.notices
    HERE.catches |= asked.catches
    HERE.identity |= any(may_be_array(path, x.__globals__) for path in asked.objects)


def functions_seen(f: object) -> Iterator[FunctionType]:
    """The user's own functions among a function and what it names and holds."""
    places, seen = list[Any]([f]), dict[int, Any]()
    while places and len(seen) < SEEN:
        x = places.pop()
        if id(x) in seen or isinstance(x, ModuleType):
            continue
        seen[id(x)] = x
        if isinstance(x, FunctionType):
            if is_foreign(x.__globals__.get("__name__")):
                yield x
                places += [x.__globals__[name] for name in x.__code__.co_names if name in x.__globals__]
            places += [cell.cell_contents for cell in x.__closure__ or () if cell != CellType()]
        elif isinstance(x, (MethodType, partial)):
            places.append(x.__func__ if isinstance(x, MethodType) else x.func)
        elif isinstance(x, (dict, list, tuple)):
            places += x.values() if isinstance(x, dict) else x


@contextmanager
def seen_in(f: object) -> Iterator[None]:
    """A block for which is noted what a function and those of the user's that it names ask for."""
    before = vars(HERE).copy()
    HERE.forget()
    for x in functions_seen(f):
        note_function(x)
    try:
        yield
    finally:
        vars(HERE).update(before)


def questions_in(code: CodeType) -> Asked:
    """What a function's code, or that of a function inside it, asks for."""
    names = set(code.co_names)
    catches = any(each.opname == "POP_EXCEPT" for each in get_instructions(code))
    inner = [questions_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    probes = (catches and not names.isdisjoint(LACKING)) or not names.isdisjoint(PROBES)
    notices = [*how_it_notices(code, names, catches), *(each.notices for each in inner)]
    return Asked(
        frozenset(LENDING.keys() & names).union(*(each.lent for each in inner)),
        probes or any(each.probes for each in inner),
        next(filter(None, notices), ""),
        catches or any(each.catches for each in inner),
        frozenset(compared_objects(code)).union(*(each.objects for each in inner)),
    )


def how_it_notices(code: CodeType, names: set[str], catches: bool) -> Iterator[str]:
    """How code learns of overflow and invalid numbers, about which nodes are silent: by an error, or kept warnings."""
    words = {x for each in code.co_consts for x in (each if isinstance(each, tuple) else (each,)) if type(x) is str}
    if not names.isdisjoint({"errstate", "seterr"}) and words & RAISING:
        yield f"np.errstate(... {min(words & RAISING)!r})"
    if "seterrcall" in names:
        yield "np.seterrcall"
    if catches and names & FLOATING:
        yield f"except {min(names & FLOATING)}"
    if "catch_warnings" in names and words & {"error", "record"}:
        yield f"warnings.catch_warnings with {min(words & {'error', 'record'})!r}"


class _LentType(type):
    """The class of `LentType`, which behaves like `type` in every other respect."""

    def __call__(cls, *arguments: Node, **options: Option) -> Any:
        if len(arguments) != 1 or options:
            return type(*arguments, **options)
        kind = type(arguments[0])
        if hasattr(kind, "eager_classes"):
            return arguments[0].eager_classes()[0] if one_class(arguments[0]) else kind
        return cls if kind is type else kind

    def __instancecheck__(cls, x: object) -> bool:
        return isinstance(x, type)

    def __subclasscheck__(cls, kind: type) -> bool:
        return issubclass(kind, type)


class LentType(type, metaclass=_LentType):
    """`type`, as a module of the user's finds it while its functions run on nodes."""


def one_class(x: Node) -> bool:
    """Is it known what the node stands for? Errors: where it is not."""
    if len(x.eager_classes()) > 1:
        x.refuse_question("the class")
    return True


def isinstance_told(x: Node, kinds: Any) -> bool:
    """`isinstance`, as a module of the user's finds it meanwhile."""
    if not hasattr(type(x), "eager_classes"):
        return isinstance(x, kinds)
    if type(kinds) is tuple and any(map(looks_at_object, kinds)):
        return any(isinstance_told(x, kind) for kind in kinds)
    if looks_at_object(kinds):
        return isinstance(x, kinds)
    answers = {issubclass(each, kinds) for each in x.eager_classes()}
    if len(answers) > 1:
        x.refuse_question("the class")
    return answers.pop()


def looks_at_object(kind: Any) -> bool:
    """Does a class look at the object itself, not at its class, as a Protocol and classes of the user's may?"""
    known = (type.__instancecheck__, abc.ABCMeta.__instancecheck__)
    return isinstance(kind, type) and not isinstance(kind, NodeClass) and type(kind).__instancecheck__ not in known


LENDING: dict[str, Any] = {"type": LentType, "isinstance": isinstance_told}


def lend() -> list[Key]:
    """Lend these to the modules whose functions name them; their keys, for `take_back`. The caller holds the lock."""
    keys = [key for key, space in HERE.spaces.items() if space.get(key[1], LENDING[key[1]]) is LENDING[key[1]]]
    for key in keys:
        LENT.setdefault(key, [0, HERE.spaces[key]])[0] += 1
        HERE.spaces[key][key[1]] = LENDING[key[1]]
    return keys


def take_back(keys: list[Key]) -> None:
    for key in keys:
        LENT[key][0] -= 1
        if not LENT[key][0]:
            LENT.pop(key)[1].pop(key[1], None)
