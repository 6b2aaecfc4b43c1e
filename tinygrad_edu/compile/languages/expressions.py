"""What each kind of expression of a generated program becomes in another language, and of which type it is.

The rules of types are those of backend/llvm_expressions.py.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any, Protocol

from tinygrad_edu.compile.languages import values
from tinygrad_edu.compile.languages.language import Language, Pieces
from tinygrad_edu.compile.languages.program_text import ProgramText
from tinygrad_edu.compile.languages.values import NAMED, REAL, Array, Number, common
from tinygrad_edu.errors import TraceError

SIGNS: dict[type, tuple[str, int]] = {
    ast.Add: ("+", values.PLUS), ast.Sub: ("-", values.PLUS), ast.Mult: ("*", values.TIMES),
    ast.Div: ("/", values.TIMES),
}  # fmt: skip
BITS: dict[type, str] = {ast.BitAnd: "&", ast.BitOr: "|", ast.LShift: "<<", ast.RShift: ">>"}
COMPARISONS: dict[type, str] = {
    ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">=", ast.Eq: "==", ast.NotEq: "!=",
}  # fmt: skip
CONSTANTS = {"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e}


class Host(Pieces, Protocol):
    """The program that is being written, and its language."""

    program: ProgramText
    language: Language
    known: dict[str, int]  # sizes fixed to a number
    written: dict[str, str]  # functions of earlier programs -> kind of their result

    def call(self, name: str, given: Sequence[Any]) -> Number:
        """A call of one of the program's functions."""


class Expressions:
    """The expressions of one function: a Number, an Array, or a tuple of such for each."""

    scope: dict[str, Any]

    def __init__(self, writer: Host) -> None:
        self.writer, self.language = writer, writer.language

    def visit(self, node: ast.AST) -> Any:
        method = getattr(self, f"on_{type(node).__name__}", None)
        if method is None:
            raise self.refused(node, "is not in the language of generated programs")
        return method(node)

    def refused(self, node: ast.AST, why: str) -> TraceError:
        return TraceError(f"`{ast.unparse(node):.80}` {why}: it cannot be written in {self.language.name}")

    # Numbers

    def on_Constant(self, node: ast.Constant) -> Number:  # noqa: N802  (named after the nodes of ast)
        if isinstance(node.value, bool):
            return Number(str(int(node.value)), "bool")
        if isinstance(node.value, float):
            return self.language.real(node.value, "double")
        if not isinstance(node.value, int):
            raise self.refused(node, "is not a number")
        return values.whole(node.value)

    def on_Name(self, node: ast.Name) -> Any:  # noqa: N802
        if node.id in self.scope:
            return self.scope[node.id]
        if node.id not in self.writer.program.constants:
            raise self.refused(node, "has no value here, or not on each way to this place")
        return self.visit(self.writer.program.constants[node.id])

    def on_Tuple(self, node: ast.Tuple) -> tuple[Any, ...]:  # noqa: N802
        return tuple(map(self.visit, node.elts))

    def on_BinOp(self, node: ast.BinOp) -> Number:  # noqa: N802
        return self.binary(node, self.visit(node.left), self.visit(node.right))

    def binary(self, node: ast.BinOp | ast.AugAssign, a: Number, b: Number) -> Number:
        op, kind = node.op, common(a.kind, b.kind)
        if isinstance(op, ast.Pow):
            return self.mathematics(node, "pow", [a, b])
        if kind not in REAL:
            return self.of_whole_numbers(node, a, b)
        if type(op) not in SIGNS:
            raise self.refused(node, "is not arithmetic of real numbers")
        a, b = self.cast(a, kind), self.cast(b, kind)
        sign, precedence = SIGNS[type(op)]
        return self.language.round_to(f"{a.within(precedence)} {sign} {b.within(precedence + 1)}", kind, precedence)

    def of_whole_numbers(self, node: ast.BinOp | ast.AugAssign, a: Number, b: Number) -> Number:
        op, language = node.op, self.language
        if isinstance(op, (ast.BitAnd, ast.BitOr)) and a.kind == b.kind == "bool":
            return self.join("&&" if isinstance(op, ast.BitAnd) else "||", a, b)
        a, b = self.cast(a, "int"), self.cast(b, "int")
        if isinstance(op, ast.Div):
            return self.binary(node, self.cast(a, "double"), self.cast(b, "double"))
        if isinstance(op, ast.FloorDiv):
            return language.floor_divide(self.writer, a, b)
        if isinstance(op, ast.Mod):
            return language.modulo(self.writer, a, b)
        if type(op) in BITS:
            return language.bitwise(BITS[type(op)], a, b)
        if a.wraps or b.wraps:
            return language.wrap(SIGNS[type(op)][0], a, b)
        if isinstance(op, ast.Mult):
            return values.times(a, b)
        if isinstance(op, ast.Add):
            return values.plus(a, b)
        return a if b.text == "0" else Number(f"{a.within(values.PLUS)} - {b.within(values.TIMES)}", "int", values.PLUS)

    def cast(self, x: Number, kind: str) -> Number:
        """A number as one of another kind."""
        if x.kind == kind:
            return x
        if x.kind == "bool":
            yes, no = (self.language.real(n, kind) if kind in REAL else values.whole(int(n)) for n in (1.0, 0.0))
            return self.choice(x, yes, no)
        if kind == "bool":
            return self.compare("!=", x, values.whole(0))
        if kind == "double" and x.kind in ("int", "int32") and x.text.lstrip("-").isdigit():
            return self.language.real(float(x.text), kind)
        return self.language.cast(x, kind)

    def on_UnaryOp(self, node: ast.UnaryOp) -> Number:  # noqa: N802
        x = self.visit(node.operand)
        if isinstance(node.op, ast.Not):
            return Number(f"!{self.condition(node.operand).within(values.ATOM)}", "bool", values.UNARY)
        if not isinstance(node.op, ast.USub):
            raise self.refused(node, "is not in the language of generated programs")
        text = x.within(values.UNARY)
        return Number(f"-({text})" if text.startswith("-") else f"-{text}", x.kind, values.UNARY)

    def on_Compare(self, node: ast.Compare) -> Number:  # noqa: N802
        sides = [self.visit(x) for x in (node.left, *node.comparators)]
        signs = [COMPARISONS.get(type(op)) for op in node.ops]
        if None in signs:
            raise self.refused(node, "is not a comparison of numbers")
        pairs = zip(signs, sides, sides[1:], strict=False)
        return reduce(lambda a, b: self.join("&&", a, b), [self.compare(str(s), a, b) for s, a, b in pairs])

    def compare(self, sign: str, a: Number, b: Number) -> Number:
        """A comparison; with NaN it is false, except !=."""
        kind = "int" if a.kind == b.kind == "bool" else common(a.kind, b.kind)
        a, b = self.cast(a, kind), self.cast(b, kind)
        # a NaN test on an integer: C compilers warn about n != n
        if kind == "int" and a.text == b.text and sign in ("==", "!="):
            return Number(str(int(sign == "==")), "bool")
        sign = self.language.equality.get(sign, sign)
        return Number(f"{a.within(values.SHIFT)} {sign} {b.within(values.SHIFT)}", "bool", values.ORDER)

    def on_BoolOp(self, node: ast.BoolOp) -> Number:  # noqa: N802
        sign = "&&" if isinstance(node.op, ast.And) else "||"
        return reduce(lambda a, b: self.join(sign, a, b), map(self.condition, node.values))

    def join(self, sign: str, a: Number, b: Number) -> Number:
        precedence = values.AND if sign == "&&" else values.OR
        left, right = (x.text if x.precedence == precedence else x.within(values.ORDER) for x in (a, b))
        return Number(f"{left} {sign} {right}", "bool", precedence)

    def condition(self, node: ast.AST) -> Number:
        """True or false; of a number, whether it is not 0, as NaN is not."""
        return self.cast(self.visit(node), "bool")

    def on_IfExp(self, node: ast.IfExp) -> Number:  # noqa: N802
        a, b = self.visit(node.body), self.visit(node.orelse)
        kind = common(a.kind, b.kind)
        return self.choice(self.condition(node.test), self.cast(a, kind), self.cast(b, kind))

    def choice(self, test: Number, a: Number, b: Number) -> Number:
        text = f"{test.within(values.CHOICE + 1)} ? {a.within(values.CHOICE + 1)} : {b.within(values.CHOICE + 1)}"
        return Number(text, a.kind, values.CHOICE)

    # Arrays

    def on_Attribute(self, node: ast.Attribute) -> Any:  # noqa: N802
        if ast.unparse(node) in CONSTANTS:
            return self.language.real(CONSTANTS[ast.unparse(node)], "double")
        x = self.visit(node.value)
        if node.attr == "T":
            return x.transpose
        if node.attr not in ("shape", "size"):
            raise self.refused(node, "is not in the language of generated programs")
        return x.shape if node.attr == "shape" else x.size

    def on_Subscript(self, node: ast.Subscript) -> Any:  # noqa: N802
        if isinstance(node.value, ast.Attribute):
            return self.visit(node.value)[ast.literal_eval(node.slice)]  # x.shape[1]
        x, index = self.visit(node.value), self.visit(node.slice)
        index = index if isinstance(index, tuple) else (index,)
        if not x.in_rows:
            raise self.refused(node, "is an entry of a transposed matrix")
        at = values.flat_offset(index, x.shape)
        if len(index) == len(x.shape):
            return Number(f"{x.data}[{values.plus(x.at, at).text}]", x.kind)
        rest = x.shape[len(index) :]
        return self.language.part(Array(x.data, x.kind, rest, x.at), values.times(at, values.product(rest)))

    # Calls

    def on_Call(self, node: ast.Call) -> Any:  # noqa: N802
        if isinstance(node.func, ast.Attribute):
            return self.method(node.func, node)
        assert isinstance(node.func, ast.Name)
        name, given = node.func.id, [self.visit(x) for x in node.args]
        if name in self.writer.program.functions:
            return self.writer.call(name, given)
        if name in self.writer.written:
            return Number(f"{name}({', '.join(x.text for x in given)})", self.writer.written[name])
        constant = self.writer.program.constants.get(name)
        if isinstance(constant, ast.Attribute):  # `real = np.float32` makes `real(x)` a cast
            return self.cast(given[0], NAMED[constant.attr])
        if name not in WORDS:
            raise self.refused(node, "calls what is not in the language of generated programs")
        return WORDS[name](self, *given)

    def method(self, function: ast.Attribute, node: ast.Call) -> Number:
        owner, given = ast.unparse(function.value), node.args
        if owner == "np" and function.attr in NAMED:
            if isinstance(given[0], ast.Constant) and isinstance(given[0].value, float):
                return self.language.real(given[0].value, NAMED[function.attr])
            return self.cast(self.visit(given[0]), NAMED[function.attr])
        if owner == "math":
            return self.mathematics(node, function.attr, [self.visit(x) for x in given])
        if function.attr == "view" and isinstance(given[0], ast.Attribute):
            return self.language.bits(self.writer, self.visit(function.value), NAMED[given[0].attr])
        raise self.refused(node, "calls what is not in the language of generated programs")

    def mathematics(self, node: ast.AST, name: str, given: list[Number]) -> Number:
        kind = "single" if all(x.kind == "single" for x in given) else "double"
        found = self.language.mathematics(self.writer, name, [self.cast(x, kind) for x in given], kind)
        if found is None:
            raise self.refused(node, f"calls {name}")
        return found


# builtins of the language


def view(at_work: Expressions, memory: Array, at: Number, shape: tuple[Number, ...]) -> Array:
    return at_work.language.part(Array(memory.data, memory.kind, shape, memory.at), at)


def larger(at_work: Expressions, a: Number, b: Number) -> Number:
    return choose(at_work, "larger", a, b)


def smaller(at_work: Expressions, a: Number, b: Number) -> Number:
    return choose(at_work, "smaller", a, b)


def choose(at_work: Expressions, name: str, a: Number, b: Number) -> Number:
    kind = common(a.kind, b.kind)
    return at_work.language.call_support(at_work.writer, name, [at_work.cast(a, kind), at_work.cast(b, kind)], kind)


def absolute(at_work: Expressions, x: Number) -> Number:
    if x.kind in REAL:
        return at_work.mathematics(ast.Name("abs"), "fabs", [x])
    return at_work.language.call_support(at_work.writer, "absolute", [at_work.cast(x, "int")], "int")


WORDS: dict[str, Callable[..., Any]] = {
    "view": view, "room": view, "max": larger, "min": smaller, "abs": absolute,
    "float": lambda at_work, x: at_work.cast(x, "double"),
    "int": lambda at_work, x: at_work.cast(x, "int"),
    "bool": lambda at_work, x: at_work.cast(x, "bool"),
    "uniform": lambda at_work, source: at_work.language.uniform(at_work.writer, source),
    "copy": lambda at_work, source, out: at_work.language.copy(at_work.writer, source, out),
    "gather": lambda at_work, *given: at_work.language.gather(at_work.writer, *given),
    "dot": lambda at_work, a, b, out: at_work.language.dot(at_work.writer, a, b, out),
}  # fmt: skip
