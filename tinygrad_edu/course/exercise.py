"""What an exercise is: a text with gaps, random inputs, the right answer, and the mistakes that people make in it."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
FOLDER = Path(__file__).with_name("exercises")
BEGIN, END = "#> begin", "#> end"
GAP = "...  # your code here"


@dataclass(frozen=True)
class Mistake:
    """A classic mistake: the solution with `old` replaced by `new`; `sentence`, what it is and what is right."""

    code: str
    old: str
    new: str
    sentence: str


@dataclass(frozen=True)
class Exercise:
    """One exercise of the course.

    name, number: as in its file.
    minutes: how long it takes.
    inputs: random arguments for all functions, by name.
    functions: each function to fill in, with the names of what it returns.
    formulas: what is right, for the last hint, by the name of what is returned.
    """

    name: str
    number: int
    minutes: int
    inputs: Callable[[np.random.Generator], Mapping[str, Any]]
    functions: Mapping[str, Sequence[str]]
    formulas: Mapping[str, str]

    @property
    def file(self) -> str:
        """The name of its script, without a suffix."""
        return f"{self.number:02}_{self.name}"

    @functools.cached_property
    def text(self) -> str:
        """The text with the solution, between marks."""
        return (FOLDER / f"{self.file}.txt").read_text(encoding="utf-8")

    @functools.cached_property
    def mistakes(self) -> list[Mistake]:
        """The classic mistakes of its file NAME.mistakes.txt."""
        path = FOLDER / f"{self.file}.mistakes.txt"
        return read_mistakes(path.read_text(encoding="utf-8")) if path.exists() else []

    @property
    def title(self) -> str:
        """The first line of its text."""
        return self.text.splitlines()[0].strip('"')

    @functools.cached_property
    def solution(self) -> str:
        """The whole program, for teachers."""
        return "\n".join(line for line in self.text.splitlines() if line.strip() not in (BEGIN, END)) + "\n"

    @property
    def starter(self) -> str:
        """The program with gaps, for learners."""
        lines: list[str] = []
        inside = False
        for line in self.text.splitlines():
            if line.strip() == BEGIN:
                inside = True
                lines.append(line.replace(BEGIN, GAP))
            if not inside:
                lines.append(line)
            inside = inside and line.strip() != END
        return "\n".join(lines) + "\n"

    def arguments(self, function: str, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """The inputs that a function takes."""
        return {name: inputs[name] for name in self.parameters[function] if name in inputs}

    @functools.cached_property
    def parameters(self) -> dict[str, list[str]]:
        """The names of the arguments of each function of the text."""
        found = re.findall(r"^def (\w+)\((.*)\):", self.text, re.MULTILINE)
        return {
            name: [part.split("=")[0].strip() for part in given.split(",") if part.strip()] for name, given in found
        }

    def right(self, function: str, inputs: Mapping[str, Any], mistake: Mistake | None = None) -> dict[str, Any]:
        """The results of the solution, or of the solution with a mistake; {} if the mistake makes it fail."""
        try:
            with np.errstate(all="ignore"):
                found = world_of(self, mistake)[function](**self.arguments(function, inputs))
        except (ArithmeticError, ValueError, TypeError, IndexError):
            return {}
        results = found if isinstance(found, tuple) else (found,)
        return dict(zip(self.functions[function], results, strict=True))


def read_mistakes(text: str) -> list[Mistake]:
    """Blocks of `== code`, a sentence, `-- right`, a part of the solution, and `-- wrong`, what stands in its place.

    A mistake that people write in several ways has several parts `-- wrong`.

    >>> read_mistakes("== sign\\nUphill.\\n-- right\\nw - v\\n-- wrong\\nw + v\\n")
    [Mistake(code='sign', old='w - v', new='w + v', sentence='Uphill.')]
    """
    found = []
    for block in re.split(r"^== ", text, flags=re.MULTILINE)[1:]:
        head, old, *wrong = re.split(r"\n-- (?:right|wrong)\n", block.removesuffix("\n") + "\n")
        code, sentence = head.split("\n", 1)
        wrong = [*wrong[:-1], wrong[-1].removesuffix("\n").removesuffix("\n")]
        found += [Mistake(code, old, new, sentence) for new in wrong]
    return found


@functools.lru_cache(maxsize=256)
def compile_text(text: str) -> Any:
    return compile(text, "solution", "exec")


def world_of(exercise: Exercise, mistake: Mistake | None) -> dict[str, Any]:
    """The functions of the solution, run: our own text, never a learner's."""
    text = exercise.solution
    if mistake is not None:
        assert mistake.old in text, (exercise.name, mistake.code)
        text = text.replace(mistake.old, mistake.new)
    world: dict[str, Any] = {"__name__": "solution"}
    exec(compile_text(text), world)
    return world
