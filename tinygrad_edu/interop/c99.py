"""A network as one file of C99: it predicts, and trains, by the loops that the library's compiler makes.

The loops are those of the compiler, written by compile/languages; assets/*.c is what stands around them, with memory
that is set aside when the file is compiled: predict.c, network.c (training), random.c (the orders of `fit`), rows.c and
main.c (a program of its own, that reads CSV). This is prediction; c99_training.py adds training.
"""

from __future__ import annotations

import math
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tinygrad_edu.compile.ir.dims import NAME, evaluate
from tinygrad_edu.compile.languages.c99 import C99, TYPES
from tinygrad_edu.compile.languages.expressions import Expressions
from tinygrad_edu.compile.languages.values import Number
from tinygrad_edu.compile.languages.writer import Writer
from tinygrad_edu.compile.program import shape_of
from tinygrad_edu.compile.trace import Trace
from tinygrad_edu.errors import SettingError
from tinygrad_edu.interop.prediction import PredictionProgram, in_language, named_sizes

HEAD = """\
/* Made by tinygrad_edu from its table of operations: a network that {what}.
   ISO C99; link with -lm, and compile without -ffast-math. */
#include <math.h>
#include <stdint.h>
#include <string.h>
"""
FILTER = "\nint main(void)\n{\n    return predict_rows();\n}\n"
WIDTH = 120
WRONG_ROWS = "the network computes something else for that many rows"
Argument = tuple[str, Sequence[str]]  # (text of an array or a number, texts of its sizes)


class CFile:
    """The parts of the file, and the words to fill into the templates."""

    what = "predicts"
    chunk = 64  # rows predicted together if no batch size is given

    def __init__(self, program: PredictionProgram, name: str) -> None:
        if not re.fullmatch(r"[A-Za-z]\w*", name, re.ASCII) or name in C99.reserved or len(name) > 40:
            raise SettingError(f"name={name!r:.60}: a short C identifier is needed, such as net")
        self.program, self.name, self.real = program, name, TYPES[program.real]
        x = np.broadcast_to(0.0, (self.chunk, *program.X.shape[1:]))
        arrays = [getattr(a, "array", a) for a in program.trace.captured.values()]
        self.predict_sizes = sizes_in(program.trace, [x, *arrays])

    def text(self, main: bool = False) -> str:
        """All of it."""
        known = self.known
        writer = self.program.writer(C99(), known)
        self.write_functions(writer)
        words = self.words()
        sizes = [f"enum {{ {C99().variable(name)} = {n} }};" for name, n in known.items()]
        parts = [*sizes, writer.text, *self.arrays(), *(fill_words(asset, words) for asset in self.assets(main))]
        return "\n".join([HEAD.format(what=self.what), *parts]) + self.ending(main)

    def write_functions(self, writer: Writer) -> None:
        self.program.write_prediction(writer, "outputs_of")

    def assets(self, main: bool) -> list[str]:
        return ["predict.c", *["rows.c"] * main]

    def ending(self, main: bool) -> str:
        return FILTER * main

    @property
    def traces(self) -> list[tuple[Trace, dict[str, int], Sequence[str]]]:
        """Each trace with its sizes, and the inputs that have a row for each sample."""
        return [(self.program.trace, self.predict_sizes, ["x"])]

    @property
    def known(self) -> dict[str, int]:
        """Sizes that are the same in every call: all but those of a batch."""
        found: dict[str, int] = {}
        clash: set[str] = set()
        for trace, sizes, samples in self.traces:
            rows = {n for n, array, axis in named_sizes(trace) if axis == 0 and array in samples}
            for name, n in sizes.items():
                clash |= {name} if name in rows or found.setdefault(name, n) != n else set()
        return {name: n for name, n in found.items() if name not in clash}

    def arrays(self) -> Iterator[str]:
        """Arrays that are given to the predicting function alone."""
        for i, x in enumerate(self.program.constants):
            yield self.array(f"constant__{i}", x, "static ")

    def array(self, name: str, x: Mapping[str, Any], kind: str) -> str:
        text = initializer(x["array"].ravel(), "int" if x["whole"] else self.program.real)
        return f"{kind}{self.type_of(x)} {name}[{x['array'].size}] = {text};"

    def type_of(self, x: Mapping[str, Any]) -> str:
        return "int64_t" if x["whole"] else self.real

    def words(self) -> dict[str, str]:
        """The text for each @word@ of the templates."""
        x = self.program.samples[0]
        return {
            "name": self.name,
            "real": self.real,
            "x_type": self.type_of(x),
            "inputs": count(x),
            "outputs": str(self.outputs),
            "chunk": str(self.chunk),
            "room": str(max(self.room, 1)),
            "rows_check": self.check(self.program.trace, self.predict_sizes, ["x"], "size"),
            "line": str(64 * int(count(x)) + 4096),
            "predict_arguments": call_arguments(self.predict_values(), self.program.prediction_arguments),
        }

    @property
    def room(self) -> int:
        """Numbers that the predicting function keeps on its way: each array takes a multiple of 8."""
        shapes = [shape_of(s, self.predict_sizes) for s in self.program.predicting.buffers.values()]
        return sum(-(-math.prod(shape) // 8) * 8 for shape in shapes)

    @property
    def outputs(self) -> int:
        """Numbers that the network gives for one sample."""
        (shape,) = self.program.predicting.shapes.values()
        return math.prod(shape_of(shape, self.predict_sizes)) // self.chunk

    def check(self, trace: Trace, sizes: Mapping[str, int], samples: Sequence[str], rows: str) -> str:
        """The condition on the number of rows, which is in a variable; "" if any number is allowed."""
        counted = {text for text, array, axis in named_sizes(trace) if axis == 0 and array in samples}
        found = Expressions(self.program.writer(C99()))
        found.scope = {name: Number(rows if name in counted else str(n), "int") for name, n in sizes.items()}
        always = {f"({a} == {b})" for a, b, _ in trace.conditions.answers if are_equal(a, b, sizes, counted)}
        always |= {f"({name} != 0)" for name in counted}
        asked = [
            c for c in self.program.conditions(trace, samples) if counted & set(NAME.findall(c)) and c not in always
        ]
        texts = [in_language(found, c) for c in asked]
        return f'if (!({" && ".join(texts)})) {{ return "{WRONG_ROWS}"; }}' if texts else ""

    def predict_values(self) -> dict[str, Argument]:
        """For each argument of the predicting function: its text, and those of its sizes."""
        x = self.program.samples[0]
        ((result, shape),) = self.program.predicting.shapes.items()
        known: dict[str, Argument] = {
            "x": (f"({self.type_of(x)} *)X + first * {count(x)}", ("size", *map(str, x["shape"]))),
            "work": ("room", ("1",)),
            "results": ("results", ("1",)),
            result: (f"out + first * {self.outputs}", ("size", *map(str, shape_of(shape[1:], self.predict_sizes)))),
        }
        for name, kind, i in self.program.predicted_from:
            text, sizes = self.place(kind, i)
            known[name] = (text if sizes else f"*({text})", sizes)
        return known

    def place(self, kind: str, i: int) -> Argument:
        """Where an array of a kind lies, and its sizes."""
        return f"{kind}__{i}", tuple(map(str, self.program.constants[i]["shape"]))


def are_equal(a: str, b: str, sizes: Mapping[str, int], counted: set[str]) -> bool:
    """Are two texts the same size for every number of rows? They are polynomials of it, whose degree is below 5."""
    tried = [{**sizes, **dict.fromkeys(counted, rows)} for rows in (1, 2, 3, 5, 7)]
    return all(evaluate(a, found) == evaluate(b, found) for found in tried)


def call_arguments(values: Mapping[str, Argument], arguments: Mapping[str, tuple[str, int]]) -> str:
    """The arguments of a generated function: each array and its sizes, each number."""
    texts = []
    for name, (_, axes) in arguments.items():
        text, sizes = values[name]
        texts += [text, *sizes] if axes >= 0 else [text]
    return textwrap.fill(", ".join(texts), WIDTH, subsequent_indent=" " * 12).strip()


def fill_words(asset: str, words: Mapping[str, str]) -> str:
    """An asset with the words in their places; lines that were nothing but an empty word are left out."""
    text = (Path(__file__).parent / "assets" / asset).read_text(encoding="utf-8")
    text = re.sub(r"^ *@(\w+)@\n", lambda m: m[0] if words[m[1]] else "", text, flags=re.MULTILINE)
    return re.sub(r"@(\w+)@", lambda m: words[m[1]], text)


def initializer(numbers: Any, kind: str) -> str:
    """An array's numbers in braces, in lines of no more than 120 characters."""
    language = C99()
    texts: Iterable[str] = (str(int(x)) if kind == "int" else language.real(float(x), kind).text for x in numbers)
    return "{\n" + textwrap.fill(", ".join(texts), WIDTH, initial_indent="    ", subsequent_indent="    ") + "\n}"


def count(x: Mapping[str, Any]) -> str:
    return str(math.prod(x["shape"]))


def sizes_in(trace: Trace, arrays: Sequence[Any]) -> dict[str, int]:
    """Every size that has a name, for these inputs."""
    shapes = dict(zip(trace.inputs, map(np.shape, arrays), strict=True))
    return {name: shapes[array][axis] for name, array, axis in named_sizes(trace)}
