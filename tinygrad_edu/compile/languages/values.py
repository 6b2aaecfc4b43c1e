"""Numbers and arrays as text in the target language, with their types."""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

# The higher, the more tightly an operator binds; C and JavaScript agree on these.
ATOM, UNARY, TIMES, PLUS, SHIFT, ORDER, EQUAL, AND_BITS, OR_BITS, AND, OR, CHOICE = range(20, 8, -1)
REAL = ("single", "double")
NAMED = {"float64": "double", "float32": "single", "int64": "int", "int32": "int32"}  # kind for each of NumPy's names
LETTERS = {"bool": "b", "int32": "h", "int": "i", "single": "s", "double": "d", "random": "r"}


@dataclass(frozen=True)
class Number:
    """The text of a number of a kind: bool, int32, int (64 bits), single, double."""

    text: str
    kind: str
    precedence: int = ATOM
    wraps: bool = False  # the bits of a float, whose sum with others may wrap around

    def within(self, precedence: int) -> str:
        """The text as a part of an expression with that precedence, in brackets if needed."""
        return self.text if self.precedence >= precedence else f"({self.text})"


@dataclass(frozen=True)
class Array:
    """Numbers in memory from `data[at]` on, in C order; without `in_rows`, the transpose of such a matrix."""

    data: str
    kind: str
    shape: tuple[Number, ...]
    at: Number
    in_rows: bool = True

    @property
    def size(self) -> Number:
        return product(self.shape)

    @property
    def transpose(self) -> Array:
        return replace(self, shape=self.shape[::-1], in_rows=not self.in_rows)

    def depends_on(self, names: set[str]) -> bool:
        """Is its shape kept in variables of these names?"""
        return any(not names.isdisjoint(words(n.text)) for n in self.shape)


@functools.lru_cache(1024)
def words(text: str) -> frozenset[str]:
    """The names in an expression. Those of a shape are asked for at each assignment: a tenth of the time of a text."""
    return frozenset(re.findall(r"\w+", text))


def whole(n: int) -> Number:
    return Number(str(n), "int", ATOM if n >= 0 else UNARY)


def times(a: Number, b: Number) -> Number:
    """a·b of whole numbers; factors 0 and 1 are not written."""
    if "0" in (a.text, b.text):
        return whole(0)
    if "1" in (a.text, b.text):
        return b if a.text == "1" else a
    return Number(f"{a.within(TIMES)} * {b.within(UNARY)}", "int", TIMES)


def plus(a: Number, b: Number) -> Number:
    """a + b of whole numbers; 0 is not written."""
    if "0" in (a.text, b.text):
        return b if a.text == "0" else a
    return Number(f"{a.within(PLUS)} + {b.within(TIMES)}", "int", PLUS)


def product(numbers: Sequence[Number]) -> Number:
    found = whole(1)
    for n in numbers:
        found = times(found, n)
    return found


def flat_offset(index: Sequence[Number], shape: Sequence[Number]) -> Number:
    """The offset of x[index] in the flat memory of an array of that shape, in units of the remaining axes."""
    found = index[0]
    for i, n in zip(index[1:], shape[1:], strict=False):
        found = plus(times(found, n), i)
    return found


def common(a: str, b: str) -> str:
    """The kind of a + b, as in backend/llvm_values.py: for a whole number and a float32 it is float64."""
    if "bool" in (a, b):
        return b if a == "bool" else a
    if "double" in (a, b) or (a in REAL) != (b in REAL):
        return "double"
    return "single" if a == "single" else "int"
