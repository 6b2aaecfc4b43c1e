"""A program in another language: each function once for each combination of types, and what they need."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tinygrad_edu.compile.languages import values
from tinygrad_edu.compile.languages.functions import FunctionWriter
from tinygrad_edu.compile.languages.language import Language
from tinygrad_edu.compile.languages.program_text import take_apart
from tinygrad_edu.compile.languages.values import LETTERS, Array, Number


@dataclass(frozen=True)
class WrittenFunction:
    """A function that has been written: its name, its parameters that are used, the kind of its result."""

    name: str
    used: tuple[str, ...]
    result: str


class Writer:
    """The text of a generated program's functions in a language, each after all that it calls.

    `known`: sizes that are fixed numbers, by name. `prefix` comes before the names of functions.
    Errors: TraceError for what the language cannot express.
    """

    def __init__(self, text: str, language: Language, known: Mapping[str, int] | None = None) -> None:
        self.program, self.language, self.known = take_apart(text), language, dict(known or {})
        self.made: dict[Any, WrittenFunction] = {}
        self.pieces: dict[str, str] = {}
        self.written: dict[str, str] = {}  # functions of earlier programs -> kind of their result

    @property
    def text(self) -> str:
        """All that has been written so far."""
        return "\n".join(self.pieces.values())

    def read(self, text: str) -> None:
        """Go on with another generated program, which must have the same operations but may have other loops."""
        self.program = take_apart(text)
        self.made = {key: made for key, made in self.made.items() if all(isinstance(kind, str) for kind in key[1])}

    def need(self, name: str, text: str) -> None:
        """A piece of text that is written once."""
        self.pieces.setdefault(name, text)

    def entry(self, name: str, given: Sequence[Any], called: str) -> None:
        """An entry point of the program, with all of its parameters."""
        writer = FunctionWriter(self, self.program.functions[name], given, entry=True)
        lines = writer.body()
        self.need(called, self.language.function(called, writer.all_parameters(), writer.result, lines, entry=True))
        self.written[called] = writer.result

    def call(self, name: str, given: Sequence[Any]) -> Number:
        """A call of one of the program's functions."""
        key = (name, tuple(version_of(x) for x in given))
        if key not in self.made:
            self.made[key] = self.function(name, given)
        made = self.made[key]
        parameters = self.program.functions[name].args.args
        texts = [text for p, x in zip(parameters, given, strict=True) for text in self.arguments(p.arg, x, made)]
        return Number(f"{made.name}({', '.join(texts)})", made.result)

    def function(self, name: str, given: Sequence[Any]) -> WrittenFunction:
        """Write a function for arguments of these kinds."""
        kinds = "".join(LETTERS[x.kind] if isinstance(x, Number) else "-" for x in given)
        own = self.language.replacement(self, name, kinds)
        if own:
            return WrittenFunction(own, (), given[0].kind)
        writer = FunctionWriter(self, self.program.functions[name], given)
        lines = writer.body()
        words = set(re.findall(r"\w+", "\n".join(lines)))
        parameters = [(p, kind) for p, kind in writer.all_parameters() if p in words or "__" not in p]
        called = name if "-" in kinds else f"{name}_{kinds}"
        called = next(n for n in (called, *(f"{called}_{i}" for i in range(2, 1000))) if n not in self.pieces)
        self.need(called, self.language.function(called, parameters, writer.result, lines))
        return WrittenFunction(called, tuple(p for p, _ in parameters), writer.result)

    def arguments(self, parameter: str, x: Any, made: WrittenFunction) -> list[str]:
        """The arguments passed for one parameter."""
        if isinstance(x, Number):
            return [x.text]
        name = self.language.variable(parameter)
        sizes = [n.text for k, n in enumerate(x.shape) if f"{name}__{k}" in made.used]
        return [*self.language.address(x), *sizes]


def version_of(x: Any) -> Any:
    """What distinguishes versions of a function: the kind of a number; for an array also which axes have length 1."""
    if isinstance(x, Number):
        return x.kind
    assert isinstance(x, Array)
    return x.kind, tuple(n.text if n.text == "1" else "" for n in x.shape), x.in_rows


def array(name: str, kind: str, axes: int) -> Array:
    """An argument of an entry: its sizes are arguments too."""
    shape = tuple(Number(f"{name}__{k}", "int") for k in range(axes))
    return Array(name, kind, shape, values.whole(0))
