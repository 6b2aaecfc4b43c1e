"""Which code and which objects are the user's own, so that they may keep state, and what they contain."""

from __future__ import annotations

import functools
import re
import sys
import weakref
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dis import HAVE_ARGUMENT, Instruction, get_instructions, opmap, stack_effect
from itertools import pairwise
from types import CellType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike
from tinygrad_edu.core.tracing.askers import PROBES as PROBES
from tinygrad_edu.core.tracing.whose_code import is_foreign as is_foreign

ABSENT = object()  # stands where there is nothing yet; equal to nothing else

ATOMS = (bool, int, float, complex, str, bytes, type(None), type(Ellipsis), np.generic, np.dtype, range, slice)
ENVIRONMENT = {"environ", "getenv"}  # names by which code reads environment variables
COMPUTED = {
    "__dict__",
    "__match_args__",
    "astuple",
    "fields",
    "__getattribute__",
    "attrgetter",
    "eval",
    "exec",
    "globals",
    "locals",
    "vars",
}
METHOD = {"LOAD_METHOD", "LOAD_ATTR"}  # the first in Python 3.11
CALLS = "PRECALL" if "PRECALL" in opmap else "CALL"  # in Python 3.11, and in later versions
HEAP = 1 << 9  # CPython's Py_TPFLAGS_HEAPTYPE: set for classes made by a class statement
HOLDERS = {"argparse", "collections", "queue", "types", "_thread"}  # their objects hold what the user puts in
OPEN = {"numpy", "scipy", "sklearn"}  # and all their submodules


def ask_once(function: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """A question about a class, answered once for each; a class of a metaclass without a hash is asked each time."""
    kept = functools.lru_cache(512)(function)

    def ask(kind: Any) -> Any:
        try:
            return kept(kind)
        except TypeError:
            return function(kind)

    return ask


def contents(cell: CellType) -> Any:
    """What a variable of an outer function holds; ABSENT where it is not assigned yet."""
    try:
        return cell.cell_contents
    except ValueError:
        return ABSENT


def what_moves(kind: type) -> str:
    """Why the state of a thing of this class, which has `__next__`, cannot be noted."""
    if kind in weakref.ProxyTypes or kind.__module__ == "unittest.mock":
        return f"stands for something else ({kind.__name__}), which may change with each step"
    if not hasattr(kind, "__next__"):
        return f"is a {kind.__name__}, which does not show what it holds"
    return f"is an iterator ({kind.__name__}), which moves on with each step"


@ask_once
def is_atom(kind: type) -> bool:
    return issubclass(kind, ATOMS)


def is_own_class(kind: type) -> bool:
    """Is it a class that the user has written in Python?"""
    name: Any = kind.__module__  # Cython's metaclasses have a descriptor here
    return isinstance(name, str) and is_foreign(name) and bool(kind.__flags__ & HEAP)


def own(kind: type) -> dict[str, Any]:
    """The attributes of a class, without those that every class has."""
    return {k: x for k, x in vars(kind).items() if not (k.startswith("__") and k.endswith("__")) or k == "__call__"}


def select(space: dict[str, Any], names: AbstractSet[str]) -> dict[str, Any]:
    """The globals of these names that are there."""
    return {each: space[each] for each in sorted(names & space.keys())}


def names_in(code: CodeType) -> set[str]:
    """The names that a function's code uses, those of the functions inside it included."""
    inner = [names_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    return set(code.co_names).union(*inner)


@functools.lru_cache(4096)
def words_in(code: CodeType) -> frozenset[str]:
    """The names in a function's code, texts that may be names of attributes, and what it does without a name.

    It is asked for each function of a model at each look at its state, and takes 0.1 ms.
    """
    return frozenset(names_in(code).union(doings_of(code), *map(texts_in, code.co_consts)))


EQUAL = {"__eq__", "__hash__"}
ORDER = {"__lt__", "__gt__", "__le__", "__ge__"}  # Python may call either operand's method
SORTERS = {"max", "min", "sorted", "sort", "bisect", "bisect_left", "bisect_right", "insort", "heappush", "heappop",
           "heapify", "nlargest", "nsmallest"}  # fmt: skip
SEEKERS = {"index", "count", "remove", "set", "frozenset", "dict"}


def doings_of(code: CodeType) -> set[str]:
    """`format` for f-strings and %, `__eq__` for == and `in`, `__lt__` and its like for < and what sorts, `getattr` for
    code that catches errors, as of a missing attribute.
    """
    found = set().union(*(doings_of(each) for each in code.co_consts if isinstance(each, CodeType)))
    for each in get_instructions(code):
        if each.opname.startswith("FORMAT_"):
            found.add("format")
        elif each.opname == "MATCH_CLASS":
            found.add("__match_args__")
        elif each.opname == "POP_EXCEPT":
            found |= PROBES
        elif each.opname == "COMPARE_OP":
            found |= EQUAL if "=" in (sign := str(each.argval)) and not {"<", ">"} & set(sign) else ORDER
        elif each.opname == "CONTAINS_OP":
            found |= EQUAL
        elif each.opname == "BINARY_OP" and each.argrepr in ("%", "%="):
            found.add("format")
    found |= ORDER if not SORTERS.isdisjoint(code.co_names) else set()
    return found | (EQUAL if not SEEKERS.isdisjoint(code.co_names) else set())


@functools.lru_cache(4096)
def globals_in(code: CodeType) -> frozenset[str]:
    """The names that a function's code looks up among the globals, and then among the builtins.

    Asked for each function at each look at a state, as words_in: 0.3 ms, of which a first call of a program has dozens.
    """
    inner = [globals_in(each) for each in code.co_consts if isinstance(each, CodeType)]
    found = {each.argval for each in get_instructions(code) if each.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    return frozenset(found.union(*inner))


def reads_globals(code: CodeType) -> bool:
    """Does it read globals by names that are not in the code?"""
    if not {"globals", "eval", "exec"}.isdisjoint(names_without_modes(code)):
        return True
    return any(reads_globals(each) for each in code.co_consts if isinstance(each, CodeType))


def names_without_modes(code: CodeType) -> set[str]:
    """The names in this code alone, but `eval` where each is a call without arguments: Python's own takes a text, so
    that `model.eval()` is a method. Taken for Python's, it would make everything among the globals part of the state.
    """
    names = set(code.co_names)
    if "eval" not in names:
        return names
    steps = [each for each in get_instructions(code) if each.opname != "PRECALL"]
    uses = [(step, after) for step, after in pairwise(steps) if step.argval == "eval" and step.opname != "LOAD_CONST"]
    modes = all(x.opname in METHOD and after.opname == "CALL" and after.arg == 0 for x, after in uses)
    return names - {"eval"} if modes else names


def texts_in(x: Any) -> set[str]:
    if isinstance(x, CodeType):
        return set().union(*map(texts_in, x.co_consts))
    if isinstance(x, tuple):
        return set().union(*map(texts_in, x))
    if isinstance(x, str) and "{" in x:
        return set(re.findall(r"[^\W\d]\w*", x))  # fields of a format string such as "{0.k}"
    parts = x.split(".") if isinstance(x, str) else [""]  # dotted names, as in sys.modules["a.b"] or attrgetter("a.b")
    return set(parts) if all(map(str.isidentifier, parts)) else set()


def modules_of(words: AbstractSet[str]) -> list[ModuleType]:
    """The user's own modules of these names: `import counts` in a function's body, sys.modules["counts"]."""
    found = [sys.modules.get(each) for each in sorted(words - {"builtins"}) if is_foreign(each)]
    return [each for each in found if isinstance(each, ModuleType)]


@functools.lru_cache(4096)
def computes_names(code: CodeType) -> bool:
    """Does it, or a function inside it, look up attributes by names that are not in the code?"""
    if COMPUTED & names_without_modes(code) or ("getattr" in code.co_names and not gives_names(code)):
        return True
    return any(computes_names(each) for each in code.co_consts if isinstance(each, CodeType))


def gives_names(code: CodeType) -> bool:
    """Is the second argument of each getattr a constant in the code?"""
    steps = list(get_instructions(code))
    starts = [i for i, each in enumerate(steps) if each.argval == "getattr" and each.opname.startswith("LOAD_")]
    return all(is_text(steps[start + 1 :]) for start in starts)


def is_text(steps: Iterable[Instruction]) -> bool:
    """Is the second argument of a call a single string constant? Found by following the depth of the stack."""
    depth, found = 0, None
    for each in steps:
        if each.opname.startswith(CALLS) and each.arg == depth:
            return bool(found)
        depth += stack_effect(each.opcode, each.arg if each.opcode >= HAVE_ARGUMENT else None)
        if depth < 2:
            found = None  # still on the first argument
        elif depth == 2:
            found = found is None and each.opname == "LOAD_CONST" and isinstance(each.argval, str)
    return False


def opens_files(code: CodeType) -> bool:
    """Does it, or a function inside it, call open()?"""
    if "open" in code.co_names and any(
        each.argval == "open" and each.opname in ("LOAD_GLOBAL", "LOAD_NAME") for each in get_instructions(code)
    ):
        return True
    return any(opens_files(each) for each in code.co_consts if isinstance(each, CodeType))


def is_made(x: ArrayLike) -> bool:
    """Is it a function that dataclass or namedtuple has written, which names every field?"""
    code = x.__code__ if isinstance(x, FunctionType) else None
    return code is not None and (code.co_qualname.startswith("__create_fn__") or code.co_filename.startswith("<attrs"))


def attribute_space(x: ArrayLike) -> dict[str, Any]:
    """The dictionary of its attributes, without asking what the user's class says; empty if it has none."""
    asked = isinstance(type(x).__getattribute__, FunctionType)
    try:
        found = object.__getattribute__(x, "__dict__") if asked else x.__dict__
    except (AttributeError, TypeError):
        return {}
    return found if isinstance(found, dict) else {}


def holds_attributes(x: ArrayLike) -> bool:
    """Does it have attributes in which the user's code may keep numbers?"""
    return have_attributes(type(x))  # type: ignore[no-any-return]


@ask_once
def have_attributes(kind: type) -> bool:
    """Do objects of this class?"""
    if issubclass(kind, (type, FunctionType, MethodType, ModuleType)):
        return False
    if kind.__module__ in HOLDERS or kind.__module__.partition(".")[0] in OPEN:
        return True
    return is_own_class(kind) or bool(getattr(kind, "keeps_state", False))


def wrapped_in(x: ArrayLike) -> Any:
    """The function that this one wraps, as functools.wraps and tg.jit record it."""
    return attribute_space(x).get("__wrapped__")


def closed_over(x: FunctionType) -> Iterator[tuple[str, Any]]:
    """The user's things that a library's function may hold, such as the f in tg.grad(f)."""
    for free, cell in zip(x.__code__.co_freevars, x.__closure__ or (), strict=True):
        try:
            yield free, cell.cell_contents
        except ValueError:  # the cell is still empty
            continue


def slots_of(kind: type) -> list[str]:
    slots = vars(kind).get("__slots__", ())
    names = [slots] if isinstance(slots, str) else [each for each in slots if each not in ("__dict__", "__weakref__")]
    return [spell_private(each, kind) for each in names]


def spell_private(name: str, kind: type) -> str:
    """How a class spells a private name of its own: __k of A is _A__k."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{kind.__name__.lstrip('_')}{name}" if private else name


def same(a: ArrayLike, b: ArrayLike) -> bool:
    """Is it the same thing, or the same numbers? The contents of containers are compared separately."""
    if a is b:
        return True
    if type(a) is not type(b):
        return False
    if isinstance(a, np.ndarray):
        if a.shape != b.shape or a.dtype != b.dtype:
            return False
        return same(a.tolist(), b.tolist()) if a.dtype.kind == "O" else a.tobytes() == b.tobytes()
    if isinstance(a, (list, tuple)):
        if set(map(type, a)) == {int} == set(map(type, b)):
            return bool(a == b)  # 20 times faster for the 625 integers of a `random` generator
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(same(x, b[key]) for key, x in a.items())
    if isinstance(a, (set, frozenset, array, bytearray)):
        return bool(a == b)
    return isinstance(a, ATOMS) and same_number(a, b)


def same_number(a: Any, b: Any) -> bool:
    """Are two numbers or texts of one type equal? 0.0 and -0.0 are not, NaN and NaN are."""
    if a == b:
        return not isinstance(a, (float, complex, np.inexact)) or a != 0.0 or repr(a) == repr(b)
    return bool(a != a and b != b)


class Key:
    """An object of the user's own class as a key: another one that is equal by `==` may differ in what that leaves out.

    An example is a field of a dataclass with compare=False.
    """

    def __init__(self, x: Any) -> None:
        self.x = x

    def __hash__(self) -> int:
        return hash(self.x)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Key) or type(self.x) is not type(other.x):
            return False
        return self.x is other.x or (bool(self.x == other.x) and same(attributes_of(self.x), attributes_of(other.x)))


def attributes_of(x: Any) -> dict[str, Any]:
    """What an object holds, in its __dict__ and in slots."""
    slots = [name for kind in type(x).__mro__ for name in slots_of(kind) if hasattr(x, name)]
    return {**attribute_space(x), **{name: getattr(x, name) for name in slots}}


def as_key(x: Any) -> Any:
    """What stands for an argument in a key: 0.0 and -0.0, (1, 2) and (True, 2.0) are equal, but not the same."""
    if isinstance(x, (float, complex, tuple, frozenset)):
        return x, repr(x)
    return Key(x) if is_own_class(type(x)) and holds_attributes(x) else x
