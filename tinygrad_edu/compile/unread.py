"""Which of the things that a function closes over had their numbers read by Python while it was traced?

A program reads Values, Tensors and arrays again at each call. But what Python itself makes of their numbers in a
trace (`if A[0] > 0`, `float(w.data)`, `A * 2` of an array) is a constant of the program. So such a thing has to be
compared before each call. One that nobody has read needs no comparison, which for a large array may take longer than
the program.

Values and Tensors note it themselves: during a trace they belong to a class that does so. An array cannot. So where a
program reads arrays, the function is traced once more with a `StandIn` in each place where it finds one. A stand-in is
no array, so whoever wants its numbers has to ask it, in C too; only a trace takes the array out without asking. If that
trace fails or finds another program, every array counts as read.
"""

from __future__ import annotations

import functools
import operator
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from inspect import getattr_static
from typing import Any

import numpy as np

from tinygrad_edu.core.aliases import ArrayLike, Option
from tinygrad_edu.core.modes import MODES
from tinygrad_edu.core.mutex import Mutex
from tinygrad_edu.core.operators import Operators
from tinygrad_edu.core.pytree import rebuild
from tinygrad_edu.core.tensor import Tensor
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import TraceError

NUMBERS, FORM, GRADIENT = "numbers", "form", "gradient"  # kinds of reading; "form" is shape and dtype
Readings = dict[int, set[str]]
MUTEX = Mutex()  # guards CHANGED
# by id of a thing whose class notes readers: [number of threads watching it, its own class]
CHANGED: dict[int, list[Any]] = {}
STANDING_IN = Mutex()  # one trace at a time: two would restore each other's stand-ins
PATIENCE = 2.0  # seconds to wait; a traced function that waits for another thread would deadlock
SLOTS: dict[type, dict[str, Any]] = {kind: {k: getattr(kind, k) for k in names} for kind, names in (
    (Tensor, ("array", "gradient")), (Value, ("data", "grad")),
)}  # fmt: skip
ARRAY: Any = SLOTS[Tensor]["array"]  # the slot with a Tensor's numbers, whatever its class does with `array`
NUMBER: Any = getattr_static(Value, "data")  # the same of a Value
PARTS = ("T", "real", "mT")  # attributes that share the same memory
FORMS = ("shape", "dtype", "ndim", "size", "itemsize", "nbytes", "strides")


NOT_GENERAL = {"__apply__"}  # all others are replaced, because their fast forms compute at once


class _Here(threading.local):
    found: Readings | None = None  # by the id of each thing


HERE = _Here()


def note(thing: object, what: str) -> None:
    """Note a reading, if a trace is running in this thread."""
    if HERE.found is not None and (MODES.tensor_trace is not None or MODES.value_trace is not None):
        HERE.found.setdefault(id(thing), set()).add(what)


def make_class(kind: type, attributes: dict[str, Any]) -> type:
    """A class of the same name and layout, so that objects may change to it and back."""
    own = {"__slots__": (), "__module__": kind.__module__, "__qualname__": kind.__qualname__, **attributes}
    own["stands_for"] = kind  # marks it, so that a search for subclasses does not take it for the user's
    return type(kind.__name__, (kind,), own)


@functools.lru_cache(maxsize=64)
def noting(kind: type) -> type:
    """A class of Tensors or Values that note when their numbers, form or gradient are asked for."""

    def note_use(slot: Any, what: str) -> property:
        def get(x: Any) -> Any:
            note(x, what)
            return slot.__get__(x)

        return property(get, slot.__set__)

    slots = SLOTS[Tensor if issubclass(kind, Tensor) else Value]
    found = {name: note_use(slot, NUMBERS if name in ("array", "data") else GRADIENT) for name, slot in slots.items()}
    forms = FORMS[:4] if "array" in slots else ()
    general = {name: x for name, x in vars(Operators).items() if callable(x) and name not in NOT_GENERAL}
    return make_class(kind, {**general, **found, **{name: form_of(name) for name in forms}})


def form_of(attribute: str) -> property:
    def get(x: Any) -> Any:
        note(x, FORM)
        return getattr(ARRAY.__get__(x), attribute)

    return property(get)


@contextmanager
def readings(things: Iterable[Any]) -> Iterator[Readings]:
    """Record what this thread reads of these Tensors and Values, and of all stand-ins, until the block ends."""
    before, HERE.found, seen = HERE.found, {}, []
    try:
        for x in things:
            change_class(x)
            seen.append(x)
        yield HERE.found
    finally:
        HERE.found = before
        for x in seen:
            change_back(x)


def change_class(x: Any) -> None:
    """Give an object a class that notes who reads it."""
    with MUTEX.freed(), MUTEX.taken:
        known = CHANGED.setdefault(id(x), [0, type(x)])
        known[0] += 1
        if known[0] == 1:
            x.__class__ = noting(known[1])


def change_back(x: Any) -> None:
    """End the noting for one thread; the last thread gives the object its own class back."""
    with MUTEX.freed(), MUTEX.taken:
        known = CHANGED[id(x)]
        known[0] -= 1
        if not known[0]:
            del CHANGED[id(x)]
            if type(x) is noting(known[1]):  # in the meantime a lazy parameter may have become a Tensor
                x.__class__ = known[1]


def array_unnoted(x: Tensor) -> Any:
    """Its array, without a note: what the compiler looks up after a trace, the function has not read."""
    return ARRAY.__get__(x) if hasattr(type(x), "stands_for") else x.array


# Arrays


def original(x: Any) -> Any:
    """The array behind a stand-in; anything else unchanged."""
    return x.held if type(x) is StandIn else x


def originals(tree: Any) -> Any:
    """`original` for everything in lists, tuples and dicts."""
    if isinstance(tree, dict):
        return {key: originals(x) for key, x in tree.items()}  # options of a function of NumPy's
    return rebuild(tree, map(originals, tree)) if isinstance(tree, (list, tuple)) else original(tree)


def joins(x: Any) -> bool:
    """Is it part of a trace, which unwraps stand-ins itself?"""
    return isinstance(x, Tensor) or (isinstance(x, (list, tuple)) and any(map(joins, x)))


class StandIn:
    """What stands for an array while a function is traced, and notes who asks for its numbers.

    `held`, the array, perhaps a view of another one; `root`, the one that the function closes over.
    """

    __slots__ = ("held", "root")
    __hash__ = None  # type: ignore[assignment]  # unhashable, like an array
    __class__ = property(lambda self: np.ndarray)  # for isinstance

    def __init__(self, held: Any, root: Any) -> None:
        self.held, self.root = held, root

    def ask(self) -> Any:
        """The array, for one who reads it."""
        note(self.root, NUMBERS)
        return self.held

    def part(self, found: Any) -> Any:
        """A part of the array; a view gets a stand-in too."""
        if type(found) is np.ndarray and np.may_share_memory(found, self.held):
            return StandIn(found, self.root)
        self.ask()
        return found

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.held, name)
        if name in PARTS:
            return self.part(found)
        if name in VIEWS:
            return lambda *arguments, **named: self.part(found(*arguments, **named))
        if name != "__array_finalize__":  # every array's class has it
            note(self.root, FORM if name in FORMS else NUMBERS)
        return found

    def __getitem__(self, index: Any) -> Any:
        if joins(index):
            return self.held[index]
        return self.part(self.held[originals(index)])

    def __setitem__(self, index: Any, value: Any) -> None:
        self.ask()[originals(index)] = original(value)

    def __len__(self) -> int:
        note(self.root, FORM)
        return len(self.held)

    def __iter__(self) -> Iterator[Any]:
        return (self[i] for i in range(len(self)))

    def __array__(self, dtype: Option = None, copy: bool | None = None) -> Any:
        held = np.asarray(self.ask(), dtype=dtype)  # np.asarray returns the array itself if the dtype fits
        return held.copy() if copy and held is self.held else held

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, **options: Any) -> Any:
        if any(map(joins, inputs)):
            return NotImplemented  # the traced operand's method records the operation
        for x in (*inputs, *options.get("out", ())):
            ask(x)
        return getattr(ufunc, method)(*originals(inputs), **originals(options))

    def __array_function__(self, function: Any, types: Any, arguments: Any, options: Any) -> Any:
        if any(issubclass(kind, Tensor) for kind in types):
            return NotImplemented
        if function in OF_FORM:
            note(self.root, FORM)
        elif function in OF_VIEWS:
            return self.part(function(*originals(arguments), **originals(options)))
        else:
            for x in (self, *arguments, *options.values()):
                ask(x)
        return function(*originals(arguments), **originals(options))

    @property
    def to_check(self) -> Any:
        """The array for a check that may refuse numbers, but decides nothing else."""
        return self.held

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.ask().__reduce_ex__(protocol)

    def __format__(self, spec: str) -> str:
        return format(self.ask(), spec)


def ask(x: Any) -> None:
    """Note that x is read if it is a stand-in, and the same for the items of a list or tuple."""
    if type(x) is StandIn:
        x.ask()
    for each in x if isinstance(x, (list, tuple)) else ():
        ask(each)


OF_FORM = {np.shape, np.ndim, np.size}
OF_VIEWS = {
    np.reshape, np.transpose, np.squeeze, np.expand_dims, np.swapaxes, np.moveaxis, np.ravel, np.broadcast_to, np.flip,
    np.atleast_2d,
}  # fmt: skip
VIEWS = ("reshape", "transpose", "swapaxes", "squeeze", "view", "ravel", "diagonal")
UNARY = ["neg", "pos", "abs", "invert"]
BINARY = ["add", "sub", "mul", "truediv", "floordiv", "mod", "pow", "matmul", "and", "or", "xor", "lshift", "rshift"]
COMPARISONS = ["lt", "le", "eq", "ne", "gt", "ge"]
WHOLE: dict[str, Callable[[Any], Any]] = {
    "bool": bool, "float": float, "int": int, "complex": complex, "index": operator.index, "repr": repr, "str": str,
    "copy": lambda x: x.copy(),
}  # fmt: skip


def of_one(function: Callable[[Any], Any]) -> Callable[..., Any]:
    return lambda self, *_: function(self.ask())


def of_two(function: Callable[[Any, Any], Any], reflected: bool = False) -> Callable[..., Any]:
    def apply(self: Any, other: Any) -> Any:
        if joins(other):
            return NotImplemented  # the traced operand's method records the operation
        ask(other)
        pair = (self.ask(), original(other))
        return function(*(reversed(pair) if reflected else pair))

    return apply


def of_name(name: str) -> Callable[..., Any]:
    found: Callable[..., Any] = getattr(operator, f"__{name}__")
    return found


for name in UNARY:
    setattr(StandIn, f"__{name}__", of_one(of_name(name)))
for name, function in WHOLE.items():
    setattr(StandIn, f"__{name}__", of_one(function))
for name in (*BINARY, *COMPARISONS):
    setattr(StandIn, f"__{name}__", of_two(of_name(name)))
for name in BINARY:
    setattr(StandIn, f"__r{name}__", of_two(of_name(name), reflected=True))
    setattr(StandIn, f"__i{name}__", of_two(of_name(f"i{name}")))  # writes into the array and returns it


# where a function finds its arrays

Put = Callable[[Any, Any], None]  # stores a thing: (key, thing)


@contextmanager
def stand_ins(places: Sequence[tuple[Put, Any, Any]], hidden: set[int]) -> Iterator[None]:
    """A stand-in for every array at these places, (put, key, what is there), until the block ends.

    `hidden`: the ids of arrays that are found elsewhere too: they stay as they are. Errors: TraceError where another
    thread has its own in place for long.
    """
    with STANDING_IN.freed(), ExitStack() as back:
        if STANDING_IN.is_mine() or not STANDING_IN.taken.acquire(timeout=PATIENCE):
            raise TraceError("another trace is running")
        made: dict[int, StandIn] = {}
        for put, key, found in places:
            other = with_stand_ins(found, made, hidden)
            if other is not found:
                back.callback(put, key, found)
                put(key, other)
        yield


def with_stand_ins(x: Any, made: dict[int, StandIn], hidden: set[int]) -> Any:
    """The thing with its stand-in for an array, also in a tuple."""
    if type(x) is np.ndarray and x.dtype.kind != "O" and id(x) not in hidden:
        return made.setdefault(id(x), StandIn(x, x))
    if isinstance(x, tuple):
        parts = [with_stand_ins(each, made, hidden) for each in x]
        return x if all(map(operator.is_, parts, x)) else rebuild(x, parts)
    return x


def arrays_in(x: Any) -> Iterator[Any]:
    """The arrays that a thing is, or that a tuple holds."""
    if isinstance(x, np.ndarray):
        yield x
    elif isinstance(x, tuple):
        for each in x:
            yield from arrays_in(each)


def number_unnoted(x: Value) -> Any:
    """The number of a Value, without asking it."""
    return NUMBER.__get__(x)


def read_of(x: ArrayLike) -> Any:
    """The array of a Tensor, without asking it."""
    return ARRAY.__get__(x) if isinstance(x, Tensor) else original(x)
