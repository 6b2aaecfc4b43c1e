"""What a language must provide, and what all of them write in the same way."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from tinygrad_edu.compile.languages import values
from tinygrad_edu.compile.languages.values import Array, Number

# Functions that exist in C's math.h and in JavaScript's Math, by their Python names.
MATH = frozenset([
    "tan", "asin", "acos", "atan", "sinh", "cosh", "tanh", "asinh", "acosh", "atanh", "expm1", "log1p", "cbrt", "atan2",
    "hypot", "sqrt", "log", "log2", "log10", "exp", "sin", "cos", "floor", "pow",
])  # fmt: skip


class Pieces(Protocol):
    """The pieces of text that a program is written in."""

    def need(self, name: str, text: str) -> None:
        """Write a piece of text, unless it has been written already."""


OWN = re.compile(r".*(_[bhisdr]+|_v|_at|__\d+)")  # names that the writers make up


class Language(ABC):
    """One language: how numbers, arrays, functions and the few words of generated programs are written in it."""

    name: str
    reserved: frozenset[str]  # keywords that cannot be names of variables
    equality: Mapping[str, str] = {}

    def variable(self, name: str) -> str:
        """The name of a variable of the generated program: its own, unless that is taken.

        A name gets the ending _v only if the language or a writer already uses it.
        """
        return f"{name}_v" if name in self.reserved or OWN.fullmatch(name) else name

    def part(self, array: Array, at: Number) -> Array:
        """The numbers from a place on."""
        return Array(array.data, array.kind, array.shape, values.plus(array.at, at), array.in_rows)

    @abstractmethod
    def real(self, x: float, kind: str) -> Number:
        """A number that is written out."""

    @abstractmethod
    def round_to(self, text: str, kind: str, precedence: int) -> Number:
        """The result of an operation on real numbers."""

    @abstractmethod
    def cast(self, x: Number, kind: str) -> Number:
        """A whole or real number as another kind of whole or real number."""

    @abstractmethod
    def floor_divide(self, writer: Pieces, a: Number, b: Number) -> Number:
        """a // b of whole numbers, rounded down as in Python."""

    @abstractmethod
    def modulo(self, writer: Pieces, a: Number, b: Number) -> Number:
        """a % b of whole numbers, as in Python."""

    @abstractmethod
    def bitwise(self, sign: str, a: Number, b: Number) -> Number:
        """&, |, << or >> of whole numbers."""

    @abstractmethod
    def wrap(self, sign: str, a: Number, b: Number) -> Number:
        """A sum with the bits of a float, which wraps around on overflow."""

    @abstractmethod
    def bits(self, writer: Pieces, x: Number, kind: str) -> Number:
        """The bits of a float as a whole number, or the float that has these bits."""

    @abstractmethod
    def mathematics(self, writer: Pieces, name: str, given: Sequence[Number], kind: str) -> Number | None:
        """math.name(...); None where the language has no such function."""

    @abstractmethod
    def support(self, writer: Pieces, name: str, kind: str) -> str:
        """The name of a function of the language's own, for numbers of a kind; it is written with the program."""

    @abstractmethod
    def uniform(self, writer: Pieces, source: Array) -> Number:
        """The next random number of a generator."""

    @abstractmethod
    def copy(self, writer: Pieces, source: Array, out: Array) -> Number:
        """out = source."""

    @abstractmethod
    def gather(self, writer: Pieces, source: Array, order: Array, place: Number, out: Array) -> Number:
        """out[i] = source[order[place + i]]."""

    @abstractmethod
    def dot(self, writer: Pieces, a: Array, b: Array, out: Array) -> Number:
        """out = a b."""

    @abstractmethod
    def offset(self, ident: str) -> Number:
        """Where the numbers of the array in this variable begin."""

    @abstractmethod
    def address(self, x: Array) -> list[str]:
        """The arguments that pass an array to a function."""

    @abstractmethod
    def declaration(self, kind: str, ident: str) -> str:
        """A variable of a kind."""

    @abstractmethod
    def declare(self, ident: str, value: Any) -> list[str]:
        """Declare a variable that gets its value later."""

    @abstractmethod
    def assign(self, ident: str, value: Any, declare: bool) -> list[str]:
        """A variable that gets a value, declared at once or before."""

    @abstractmethod
    def function(
        self, name: str, parameters: Sequence[tuple[str, str]], result: str, lines: Sequence[str], entry: bool = False
    ) -> str:
        """A whole function."""

    @abstractmethod
    def leave(self, entry: bool) -> str:
        """The end of a function without a result."""

    @abstractmethod
    def fail(self, message: str) -> str:
        """The end of the program with an error."""

    def replacement(self, writer: Pieces, name: str, kinds: str) -> str:
        """The name of the language's own version of a function of the program, which is written; "" for none."""
        return ""

    def call_support(self, writer: Pieces, name: str, given: Sequence[Number], kind: str) -> Number:
        """A call of a function of the language's own."""
        return Number(f"{self.support(writer, name, kind)}({', '.join(x.text for x in given)})", kind)

    def layout(self, matrix: Array) -> tuple[str, str]:
        """The strides of a matrix's rows and columns."""
        n, m = matrix.shape
        return (m.text, "1") if matrix.in_rows else ("1", n.text)
