"""The table run on text: how an operation or a derivative is written in a generated program.

>>> from tinygrad_edu.core import ops
>>> ops.tanh.partials(Symbol("y"), Symbol("x"))[0]
Symbol('1.0 - y * y')
"""

from __future__ import annotations

import ast
import dis
import functools
import inspect
import math
import re
import textwrap
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from tinygrad_edu.compile.backend.parse import parse
from tinygrad_edu.compile.codegen.templates import INLINED
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.errors import TraceError

NOTHING: Mapping[str, Any] = MappingProxyType({})
# Precedence of the outermost operator of a text, as in Python; a part with a lower one needs parentheses.
ATOM, SIGN, PRODUCT, SUM, COMPARISON, NOT = 6, 4, 3, 2, 1, 0.5
BINARY = {
    "add": ("+", SUM),
    "sub": ("-", SUM),
    "mul": ("*", PRODUCT),
    "truediv": ("/", PRODUCT),
    "gt": (">", COMPARISON),
    "ge": (">=", COMPARISON),
    "lt": ("<", COMPARISON),
    "le": ("<=", COMPARISON),
    "eq": ("==", COMPARISON),
    "ne": ("!=", COMPARISON),
    "and": ("and", 0),
    "or": ("or", -1),
}


class Symbol:
    """A piece of program text that takes part in arithmetic."""

    def __init__(self, text: str, precedence: float = ATOM) -> None:
        self.text, self.precedence = text, precedence

    def __repr__(self) -> str:
        return f"Symbol({self.text!r})"

    __hash__ = object.__hash__

    def __neg__(self) -> Symbol:
        return Symbol(f"-{bracket(self, SIGN)}", SIGN)

    def __pos__(self) -> Symbol:
        return self

    def __abs__(self) -> Symbol:
        return Symbol(f"abs({self.text})")

    def __pow__(self, other: Any) -> Symbol:
        return Symbol(f"pow({self.text}, {text_of(other)})")

    def __rpow__(self, other: Any) -> Symbol:
        return Symbol(f"pow({text_of(other)}, {self.text})")

    def __invert__(self) -> Symbol:
        return Symbol(f"not {bracket(self, COMPARISON)}", NOT)

    def __bool__(self) -> bool:
        raise TraceError(f"a derivative decides by `if {self.text}`: write ops.where(condition, a, b) instead")

    @staticmethod
    def __apply__(operation: Operation, arguments: Sequence[Any]) -> Symbol:
        return Symbol(f"{operation.name}({', '.join(map(text_of, arguments))})")


def text_of(x: Any) -> str:
    """A Symbol's text, or a number that reads back as the same float."""
    return x.text if isinstance(x, Symbol) else literal(float(x))


def literal(x: float) -> str:
    return repr(x) if math.isfinite(x) else f"{'-' * (x < 0.0)}math.{abs(x)!s}"


def bracket(x: Any, precedence: float) -> str:
    """The text as part of a formula that binds with `precedence`."""
    text = text_of(x)
    weak = x.precedence < precedence if isinstance(x, Symbol) else text.startswith("-")
    return f"({text})" if weak else text


def operator(sign: str, precedence: int) -> tuple[Callable[..., Symbol], Callable[..., Symbol]]:
    """The operator and its reflected form; the right side needs brackets at equal precedence: a - (b - c)."""

    def forward(a: Any, b: Any) -> Symbol:
        left = precedence + (precedence == COMPARISON)  # a < b < c does not mean (a < b) < c
        return Symbol(f"{bracket(a, left)} {sign} {bracket(b, precedence + 1)}", precedence)

    return forward, lambda a, b: forward(b, a)


for name, (sign, precedence) in BINARY.items():
    forward, reflected = operator(sign, precedence)
    setattr(Symbol, f"__{name}__", forward)
    setattr(Symbol, f"__r{name}__", reflected)


def partial_texts(operation: Operation, y: str, inputs: Sequence[str]) -> list[str]:
    """∂y/∂x for each input, as text in those names.

    >>> from tinygrad_edu.core import ops
    >>> partial_texts(ops.div, "y", ["a", "b"])
    ['1.0 / b', '-y / b']
    """
    assert operation.partials is not None
    return [text_of(d) for d in operation.partials(Symbol(y), *map(Symbol, inputs))]


def inline(texts: Iterable[str], options: str = "") -> str:
    """Definitions and constants as a program contains them, each function to be inlined where it is called."""
    pieces = [f"@inlined\n{text}\n\n" if text.startswith("def ") else f"{text}\n" for text in texts]
    return "".join([INLINED.format(options), *pieces]) if pieces else ""


def definitions(operations: Iterable[Operation], replaced: Mapping[str, Any] = NOTHING) -> dict[str, str]:
    """The Python text of each operation's own function, by name, after the text of everything that it calls.

    The text comes from the table's source: it is the same formula that floats and arrays are computed with.
    Functions and constants in `replaced` are used instead of those of the same names.
    """
    found: dict[str, str] = {}
    for operation in operations:
        define(operation.name, operation.function, found, replaced)
    return found


def define(name: str, thing: Any, found: dict[str, str], replaced: Mapping[str, Any]) -> None:
    """Add a function's or constant's text to `found`, after the texts of all that it names."""
    if name in found:
        return
    thing = replaced.get(name, thing)
    if isinstance(thing, (int, float)):
        found[name] = f"{name} = {literal(thing) if isinstance(thing, float) else thing}"
        return
    function = thing.function if isinstance(thing, Operation) else thing
    for needed in sorted({step.argval for step in dis.get_instructions(function) if step.opname == "LOAD_GLOBAL"}):
        if needed in function.__globals__ and not inspect.ismodule(function.__globals__[needed]):
            define(needed, function.__globals__[needed], found, replaced)
    found[name] = function_text(name, function)


@functools.cache
def function_text(name: str, function: Callable[..., Any]) -> str:
    """A function without its decorator, annotations, defaults and docstring."""
    tree = parse(textwrap.dedent(inspect.getsource(function))).body[0]
    assert isinstance(tree, ast.FunctionDef)
    parameters = ", ".join(argument.arg for argument in tree.args.args)
    body = tree.body[ast.get_docstring(tree) is not None :]
    lines = [f"def {name}({parameters}):", *(textwrap.indent(ast.unparse(line), "    ") for line in body)]
    return "\n".join(lines)


@functools.cache
def in_float64(operation: Operation, replaced: frozenset[str]) -> tuple[str, str]:
    """(name, text) of an operation of single numbers in a program of float32; no text where its own text serves too.

    `replaced`: the functions that the program has in float32 alone.
    """
    found = definitions([operation])
    if not any(name in replaced or in_float32(text) != text for name, text in found.items()):
        return operation.name, ""
    names = re.compile(rf"(?<![.\w])({'|'.join(map(re.escape, found))})\b")
    return f"{operation.name}_64", "\n".join(names.sub(r"\1_64", text) for text in found.values())


@functools.cache
def in_float32(text: str) -> str:
    """The same text with float32 constants: with float64 ones a compiler would compute in float64."""
    return ast.unparse(Narrowing().visit(parse(text)))


class Narrowing(ast.NodeTransformer):
    """1.5 → np.float32(1.5), math.inf → np.float32(math.inf), float(x) → np.float32(x)."""

    def visit_Constant(self, node: ast.Constant) -> ast.expr:
        return float32_of(node) if isinstance(node.value, float) else node

    def visit_Attribute(self, node: ast.Attribute) -> ast.expr:
        return float32_of(node) if ast.unparse(node) in ("math.inf", "math.nan") else node

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return float32_of(node.args[0]) if ast.unparse(node.func) == "float" else node


def float32_of(node: ast.expr) -> ast.expr:
    return ast.Call(parse("np.float32", mode="eval").body, [node], [])
