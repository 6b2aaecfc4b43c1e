"""Symbolic lengths of axes, and sums of them: they let one program serve every batch and width.

If a function compares two sizes, the answer becomes a condition of the trace. It is checked at every call, and if it
has changed, the function is traced again.
"""

from __future__ import annotations

import functools
import math
import operator
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import count
from typing import Any

from tinygrad_edu.core.methods.plain_arrays import Count, count_of_shape
from tinygrad_edu.core.tracing.stands_for import class_told, set_class
from tinygrad_edu.errors import TraceError

MADE = count()  # sizes so far
NAME = re.compile(r"[A-Za-z_]\w*")


@dataclass
class Conditions:
    """What a trace has learned about its sizes."""

    equal: set[tuple[str, str]] = field(default_factory=set)  # pairs of names for the same length
    # (a, b, equal?) of every comparison, with numbers too
    answers: set[tuple[str, str, bool]] = field(default_factory=set)
    signs: set[tuple[str, bool]] = field(default_factory=set)  # (difference of sizes, is it ≥ 0?)

    def note(self, a: str, b: str, equal: bool, named: bool) -> None:
        self.answers.add((a, b, equal))
        if equal and named:
            self.equal.add((a, b))

    def hold(self, lengths: Mapping[str, int]) -> bool:
        """Would the trace get the same answers for these lengths?"""
        return all((evaluate(a, lengths) == evaluate(b, lengths)) == equal for a, b, equal in self.answers) and all(
            (evaluate(text, lengths) >= 0) == reached for text, reached in self.signs
        )


class Active(threading.local):
    """The traces that are running in this thread, the innermost one last; what their successors know from the start."""

    def __init__(self) -> None:
        self.traces: list[Any] = []
        self.known: Conditions | None = None


ACTIVE = Active()


def conditions_at_start() -> Conditions:
    known = ACTIVE.known or Conditions()
    return Conditions(set(known.equal), set(known.answers), set(known.signs))


@contextmanager
def beginning_with(conditions: Conditions | None) -> Iterator[None]:
    """A block whose traces know these conditions of an earlier trace of the same function."""
    before, ACTIVE.known = ACTIVE.known, conditions
    try:
        yield
    finally:
        ACTIVE.known = before


def note_derivative() -> bool:
    """Note that the program differentiates; is it traced with care, so that a gradient of 0 stays 0?"""
    ACTIVE.traces[-1].differentiated = True
    return bool(ACTIVE.traces[-1].careful)


class Size:
    """The length of an axis and its name in the program; products of sizes are sizes too, and sums in brackets.

    It is not an int: whatever turns it into a plain number (range, `//`, `**`, math.sqrt, np.zeros) fixes the length of
    this trace, as a condition. `linear` of a sum: the coefficient of each size, by name, and the constant term.
    """

    __slots__ = ("length", "linear", "made", "text")

    def __init__(self, length: int, text: str, linear: tuple[Mapping[str, int], int] | None = None) -> None:
        self.length, self.text, self.linear, self.made = length, text, linear or ({text: 1}, 0), next(MADE)

    def __repr__(self) -> str:
        return repr(self.fix())  # the text may decide, as the key of a dict

    __class__ = property(class_told, set_class)  # an int, where the user's code asks

    def eager_classes(self) -> tuple[type, ...]:
        """What it is without a trace."""
        return (int,)

    def refuse_question(self, what: str) -> None:
        """Errors: TraceError."""
        raise TraceError(f"a compiled function asks for {what} of x.size, which is int of an array, not of a Tensor")

    def __eq__(self, other: object) -> bool:
        named = isinstance(other, Size)
        equal = bool(self.length == (other.length if isinstance(other, Size) else other))
        text = text_of(other)
        # No size is -1, and an axis of length 1 is a different structure already: neither needs a condition.
        own = text_of(self)
        if ACTIVE.traces and text != own and text.isascii() and text not in ("-1", "1") and not own.isdigit():
            ACTIVE.traces[-1].conditions.note(own, text, equal, named)
        return equal

    def __hash__(self) -> int:
        """The hash of the number, so that a size finds its entry in a dictionary: another length is traced again."""
        return hash(self.fix())

    def fix(self) -> int:
        """The length as a plain number, which fixes it for this trace: another length gets a trace of its own."""
        if ACTIVE.traces and not ACTIVE.traces[-1].counted:
            ACTIVE.traces[-1].conditions.note(text_of(self), str(self.length), True, True)
        return self.length

    __index__ = __int__ = __trunc__ = fix

    def __float__(self) -> float:
        return float(self.fix())

    def __str__(self) -> str:
        return str(self.fix())

    def __divmod__(self, other: Any) -> Any:
        return divmod(self.fix(), other)

    def __round__(self, digits: int | None = None) -> int:
        return self.fix()

    def __format__(self, how: str) -> str:
        return format(self.fix(), how)

    def __bool__(self) -> bool:
        return self != 0

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        import numpy

        return numpy.array(self.fix(), dtype=dtype)

    def __add__(self, other: Any) -> Any:
        return whole(plus(self, other)) if isinstance(other, (int, Size)) else self.fix() + other

    __radd__ = __add__

    def __sub__(self, other: Any) -> Any:
        return whole(plus(self, other, -1)) if isinstance(other, (int, Size)) else self.fix() - other

    def __rsub__(self, other: Any) -> Any:
        return whole(plus(other, self, -1)) if isinstance(other, (int, Size)) else other - self.fix()

    def __mul__(self, other: Any) -> Any:
        if isinstance(other, Size):
            return Size(self.length * other.length, f"{text_of(self)} * {text_of(other)}")
        if isinstance(other, int):
            return self if other == 1 else Size(self.length * other, f"{text_of(self)} * {other}")
        if isinstance(other, (list, tuple, str, bytes)):
            return other * self.fix()
        return as_node(other) * as_node(self)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> Any:
        if other == 1 and isinstance(other, int):
            return self
        return as_node(self) / other

    def __rtruediv__(self, other: Any) -> Any:
        return as_node(other) / as_node(self)


class SizeOfAll(Size):
    """How many numbers an array has; called as PyTorch does it, its shape: x.size() and x.size(0)."""

    __slots__ = ("shape",)

    def __init__(self, product: Size, shape: tuple[Any, ...]) -> None:
        super().__init__(product.length, product.text, product.linear)
        self.shape = shape

    def eager_classes(self) -> tuple[type, ...]:
        """Of an array int, of a Tensor a class of its own."""
        return (int, Count)

    def __call__(self, dim: int | None = None) -> Any:
        """The shape, or the length of one axis."""
        return self.shape if dim is None else self.shape[dim]


def count_numbers(sizes: tuple[Any, ...]) -> Any:
    """How many numbers: the product of the sizes, some of them with a name."""
    product = functools.reduce(operator.mul, sizes, 1)
    return SizeOfAll(product, sizes) if isinstance(product, Size) else count_of_shape(sizes)


def on_plain_numbers(name: str) -> Callable[..., Any]:
    """An operator of whole numbers, which fixes the length for this trace."""

    def operate(self: Size, *others: Any) -> Any:
        plain = [x.fix() if isinstance(x, Size) else x for x in others]
        return getattr(operator, name)(self.fix(), *plain)

    return operate


def reflect(name: str) -> Callable[..., Any]:
    return lambda self, other: getattr(operator, name)(other, self.fix())


for name in ("floordiv", "mod", "pow", "lt", "le", "gt", "ge", "neg", "pos", "abs"):
    setattr(Size, f"__{name}__", on_plain_numbers(name))
for name in ("floordiv", "mod", "pow"):
    setattr(Size, f"__r{name}__", reflect(name))


def as_node(x: Any) -> Any:
    """A size or number as a node of the current trace."""
    return ACTIVE.traces[-1].node(x)


def text_of(n: Any) -> str:
    """A size as the program writes it: its name, or a number."""
    return str(n) if not isinstance(n, Size) else str(n.length) if is_stale(n) else n.text


def is_stale(n: Size) -> bool:
    """Was it made by an earlier trace, and kept in Python? To this one it is a plain number."""
    return bool(ACTIVE.traces) and n.made < ACTIVE.traces[0].sizes_from


def length(n: Any) -> int:
    """The length of an axis in this trace."""
    return n.length if isinstance(n, Size) else int(n)


def lengths(x: Any) -> tuple[int, ...]:
    """The shape of a node in this trace, as plain numbers."""
    return tuple(map(length, x.sizes))


def evaluate(text: str, found: Mapping[str, int]) -> int:
    """A size's text as a number: "2 * n" → 10 and "(n - 1)" → 4 where n is 5."""
    return math.prod(found[part] if part in found else compute(part, found) for part in text.split(" * "))


def compute(part: str, found: Mapping[str, int]) -> int:
    """A number, or a sum in brackets."""
    if not part.startswith("("):
        return int(part)
    function, names = formula(part)
    return function(*[found[name] for name in names])


@functools.lru_cache(maxsize=4096)
def formula(text: str) -> tuple[Callable[..., int], list[str]]:
    """A sum's text, which we wrote ourselves, as a function of the names in it."""
    names = sorted(set(NAME.findall(text)))
    return eval(f"lambda {', '.join(names)}: {text}"), names


def plus(a: Any, b: Any, sign: int = 1) -> Any:
    """a + b of sizes and numbers; a - b for the sign -1."""
    (mine, own), (others, other) = linear(a), linear(b)
    names = [*mine, *(name for name in others if name not in mine)]
    terms = {name: k for name in names if (k := mine.get(name, 0) + sign * others.get(name, 0))}
    return add_terms(terms, own + sign * other, length(a) + sign * length(b))


def whole(n: Any) -> Any:
    """A sum that a function has computed; a negative one is not a length but a plain number."""
    if not isinstance(n, Size):
        return n
    return axis_length(n) if at_least(n, 0) else n.fix()


def minus(a: Any, b: Any) -> Any:
    return plus(a, b, -1)


def linear(n: Any) -> tuple[Mapping[str, int], int]:
    return n.linear if isinstance(n, Size) and not is_stale(n) else ({}, length(n))


def add_terms(terms: Mapping[str, int], number: int, total: int) -> Any:
    """The sum as a number, a size, a product, or a text in brackets."""
    if not terms:
        return number
    ((name, k), *more) = terms.items()
    if not more and not number and k > 0:
        return Size(total, name if k == 1 else f"{name} * {k}")
    items = [(k, f"{abs(k)}*" * (abs(k) != 1) + name.replace(" * ", "*")) for name, k in terms.items()]
    items += [(number, str(abs(number)))] if number else []
    signed = [f"{'-' if k < 0 else '+'} {item}" for k, item in sorted(items, key=lambda item: item[0] < 0)]
    return Size(total, f"({' '.join(signed).removeprefix('+ ')})", (terms, number))


def rest(total: Any, known: Sequence[Any]) -> Any:
    """The size that -1 means in a reshape: the total divided by the known sizes."""
    parts, others, divisor = text_of(total).split(" * "), [], 1
    for n in known:
        divisor *= length(n)
        for part in text_of(n).split(" * "):
            if part in parts:
                parts.remove(part)
            elif part != "1":
                others.append(part)
    left = length(total) // max(divisor, 1)
    if others:
        return Size(left, f"({'*'.join(parts) or '1'} // ({'*'.join(others)}))")
    return Size(left, " * ".join(parts)) if parts else 1


def at_least(a: Any, b: Any) -> bool:
    """Is a ≥ b? Unless the answer is always the same, it becomes a condition of the trace."""
    difference = minus(a, b)
    terms, number = linear(difference)
    if number >= 0 and all(k > 0 for k in terms.values()):
        return True
    if number < 0 and all(k < 0 for k in terms.values()):
        return False
    reached = length(difference) >= 0
    if ACTIVE.traces:
        ACTIVE.traces[-1].conditions.signs.add((text_of(difference), reached))
    return reached


def axis_length(n: Any) -> Any:
    """A sum as the length of an axis; whether it is 1 is part of the program's structure."""
    if isinstance(n, Size) and n.text.startswith("("):
        one = n.length == 1
        if ACTIVE.traces:
            ACTIVE.traces[-1].conditions.note(n.text, "1", one, False)
        return 1 if one else n
    return n
