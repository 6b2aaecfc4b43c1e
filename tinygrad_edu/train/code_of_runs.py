"""Which code of the user's own a run consists of, and what it reads: a file says so, and a resumed run what is another.

A digest is of bytecode, constants and names. Line numbers, file names, docstrings and the names of local
variables are not part of them: a function may be moved. Another version of Python has other bytecode, which is told.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache, partial
from types import CodeType, FunctionType, MethodType, ModuleType
from typing import Any

from tinygrad_edu.compile.user_code import (
    attribute_space,
    globals_in,
    holds_attributes,
    is_foreign,
    is_own_class,
    names_in,
)
from tinygrad_edu.nn.kept import PLAIN
from tinygrad_edu.nn.module import Module

HAS_DOCSTRING = 0x4000000  # a flag of code objects since Python 3.13
MOST, LONGEST = 2000, 100  # things that are looked at, and entries of a list of them: more are samples
NUMBERS = (bool, int, float, type(None))
METHODS = (staticmethod, classmethod)
Known = Iterator[tuple[str, Any]]


def known_to(things: Mapping[str, Any]) -> Known:
    """(name, thing) of all that functions and objects of the user's own can read: each thing once."""
    places = [*things.items()][::-1]
    seen: dict[int, object] = {}
    while places and len(seen) < MOST:
        name, x = places.pop()
        if type(x) in PLAIN:
            yield name, x
        elif id(x) not in seen:
            seen[id(x)] = x  # kept, because the number of an object that is gone may be that of the next one
            yield name, x
            places.extend(reversed([*led_to_by(name, x)]))


def led_to_by(name: str, x: object) -> Known:
    """What one thing leads to."""
    if isinstance(x, (list, tuple, dict)):
        pairs = x.items() if isinstance(x, dict) else enumerate(x)
        yield from ((f"{name}[{key!r:.20}]", each) for key, each in pairs if len(x) <= LONGEST)
    elif isinstance(x, partial):
        yield from [(name, x.func), (name, x.args), (name, x.keywords)]
    elif isinstance(x, MethodType):
        yield from [(name, x.__func__), (name, x.__self__)]
    elif isinstance(x, FunctionType) and is_foreign(x.__module__):
        yield from read_by(x)
    elif isinstance(x, type):
        yield from methods_of(x)
    elif is_own_class(type(x)):
        yield name, type(x)
        attributes = attribute_space(x) if holds_attributes(x) and not isinstance(x, Module) else {}
        yield from ((f"{name}.{key}", each) for key, each in attributes.items())


def read_by(function: FunctionType) -> Known:
    """The globals, variables of a closure and defaults of a function."""
    space, names = function.__globals__, names_in(function.__code__)
    for key in sorted(globals_in(function.__code__) & space.keys()):
        x = space[key]
        own = isinstance(x, ModuleType) and is_foreign(x.__name__)
        yield from ((f"{key}.{each}", vars(x)[each]) for each in sorted(names & vars(x).keys())) if own else [(key, x)]
    for key, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield key, cell.cell_contents
        except ValueError:  # it has no value yet
            continue
    yield from ((f"{function.__name__}()", x) for x in function.__defaults__ or ())
    yield from (function.__kwdefaults__ or {}).items()


def methods_of(kind: type) -> Known:
    """The functions and plain values of a class of the user's own, and of its bases."""
    for each in kind.__mro__ if is_own_class(kind) else ():
        for key, x in vars(each).items() if is_own_class(each) else ():
            found = x.__func__ if isinstance(x, METHODS) else x.fget if isinstance(x, property) else x
            if isinstance(found, FunctionType) or (type(x) in PLAIN and not key.startswith("__")):
                yield f"{each.__name__}.{key}", found


def digests(things: Mapping[str, Any]) -> dict[str, str]:
    """By the name of each function of the user's own among them, and of those that they call: a digest of its code."""
    found: dict[str, list[str]] = {}
    for _, x in known_to(things):
        if isinstance(x, FunctionType) and is_foreign(x.__module__):
            found.setdefault(x.__qualname__.rpartition("<locals>.")[2], []).append(digest(x.__code__))
    return {name: " ".join(sorted(each)) for name, each in found.items()}


@lru_cache(4096)
def digest(code: CodeType) -> str:
    """A digest of what a function does.

    >>> digest((lambda x: 2 * x).__code__) == digest((lambda y: 2 * y).__code__)
    True
    """
    constants = [constant_words(x) for x in code.co_consts[has_docstring(code) :]]
    numbers = code.co_argcount, code.co_kwonlyargcount, code.co_posonlyargcount, code.co_flags
    table = getattr(code, "co_exceptiontable", b"")
    parts = [code.co_code, table, code.co_names, code.co_freevars, code.co_cellvars, numbers, constants]
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


def has_docstring(code: CodeType) -> bool:
    """Is its first constant its docstring, or the None that stands for one?"""
    if code.co_name == "<lambda>" or not code.co_consts:
        return False
    first = code.co_consts[0]
    told = bool(code.co_flags & HAS_DOCSTRING) or sys.version_info < (3, 13)
    return told and (first is None or isinstance(first, str))


def constant_words(x: object) -> str:
    """A constant, in the same words in each process: the order of a set is another one."""
    if isinstance(x, CodeType):
        return digest(x)
    if isinstance(x, frozenset):
        return f"{{{', '.join(sorted(map(constant_words, x)))}}}"
    return f"({', '.join(map(constant_words, x))})" if isinstance(x, tuple) else repr(x)


def numbers_read(callbacks: Sequence[object]) -> dict[str, str]:
    """The numbers that the callbacks read: globals, closures, defaults, attributes of objects and of their classes."""
    return {name: repr(x)[:60] for name, x in known_to({"": list(callbacks)}) if type(x) in NUMBERS}
