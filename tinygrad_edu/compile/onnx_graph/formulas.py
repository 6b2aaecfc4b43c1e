"""Elementwise operations in ONNX: those that it has by name, all others from the text of their own function."""

from __future__ import annotations

import ast
import math
from collections.abc import Callable, Mapping, Sequence
from functools import reduce

from tinygrad_edu.compile.backend.parse import parse
from tinygrad_edu.compile.codegen.formulas import definitions, function_text
from tinygrad_edu.compile.codegen.math_approximations import erf_polynomial, log_erfc_polynomial
from tinygrad_edu.compile.onnx_graph.nodes import FLOAT, TRUTH, Edge, Nodes
from tinygrad_edu.core.operation import Operation
from tinygrad_edu.errors import TraceError

# Operations of the table and functions of `math` that exist in ONNX under another name.
DIRECT: Mapping[str, str] = {
    "add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "neg": "Neg", "abs": "Abs", "fabs": "Abs", "exp": "Exp",
    "log": "Log", "sqrt": "Sqrt", "tanh": "Tanh", "sigmoid": "Sigmoid", "relu": "Relu", "erf": "Erf", "sin": "Sin",
    "cos": "Cos", "tan": "Tan", "asin": "Asin", "acos": "Acos", "atan": "Atan", "sinh": "Sinh", "cosh": "Cosh",
    "asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh", "floor": "Floor", "sign": "Sign", "reciprocal": "Reciprocal",
    "minimum": "Min", "maximum": "Max", "pow": "Pow", "softplus": "Softplus", "softsign": "Softsign",
}  # fmt: skip
ARITHMETIC: dict[type, str] = {ast.Add: "Add", ast.Sub: "Sub", ast.Mult: "Mul", ast.Div: "Div", ast.Pow: "Pow"}
COMPARISONS: dict[type, tuple[str, bool]] = {  # (operation, whether its answer is negated)
    ast.Lt: ("Less", False), ast.LtE: ("LessOrEqual", False), ast.Gt: ("Greater", False),
    ast.GtE: ("GreaterOrEqual", False), ast.Eq: ("Equal", False), ast.NotEq: ("Equal", True),
}  # fmt: skip
NEAR_ZERO = {"log_ndtr", "ndtri"}  # these need the digits of erfc near 0, which 1 - erf does not have
CONSTANTS = {"math.inf": math.inf, "math.nan": math.nan, "math.pi": math.pi, "math.e": math.e}


class Formulas:
    """Applies rows of the table to edges of a graph."""

    def __init__(self, nodes: Nodes) -> None:
        self.nodes, self.found = nodes, Definitions()

    def apply(self, operation: Operation, given: Sequence[Edge]) -> Edge:
        """One operation. Errors: TraceError if it calls something that ONNX does not have."""
        name = operation.name
        if name in NEAR_ZERO:
            raise refuse_syntax(ast.Name(name))
        if name == "pos":
            return given[0]
        if name == "where":
            return self.choose(self.truth(given[0]), *given[1:])
        if name in DIRECT:
            return self.direct(name, [self.number(x) for x in given])
        return self.call(self.found.tree(operation), given)

    def direct(self, name: str, given: list[Edge]) -> Edge:
        """Apply an operation that ONNX has; its formula where onnxruntime has no float64 kernel."""
        if not self.nodes.wide or name not in NOT_WIDE:
            return self.nodes.add(DIRECT[name], given)
        words = NOT_WIDE[name]
        if not words:
            raise TraceError(f"{name} is not computed in float64 by onnxruntime: export with dtype='float32'")
        return self.in_words(words, given)

    def in_words(self, words: str, given: list[Edge]) -> Edge:
        """A formula of a and b."""
        return self.visit(parse(words, mode="eval").body, dict(zip("ab", given, strict=False)))

    def call(self, function: ast.FunctionDef, given: Sequence[Edge]) -> Edge:
        """A function of the table's text, statement by statement: assignments, then a result."""
        scope = dict(zip([argument.arg for argument in function.args.args], given, strict=True))
        for statement in function.body:
            if isinstance(statement, ast.Assign) and isinstance(statement.targets[0], ast.Name):
                scope[statement.targets[0].id] = self.visit(statement.value, scope)
            elif isinstance(statement, ast.Return) and statement.value is not None:
                return self.visit(statement.value, scope)
            else:
                raise refuse_syntax(statement)
        raise refuse_syntax(function)

    def visit(self, node: ast.AST, scope: Mapping[str, Edge]) -> Edge:
        method: Callable[..., Edge] | None = getattr(self, f"on_{type(node).__name__}", None)
        if method is None:
            raise refuse_syntax(node)
        return method(node, scope)

    def on_Constant(self, node: ast.Constant, _: Mapping[str, Edge]) -> Edge:  # noqa: N802  (named after ast's nodes)
        return self.nodes.constant(float(node.value))  # type: ignore[arg-type]

    def on_Name(self, node: ast.Name, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        if node.id in scope:
            return scope[node.id]
        return self.visit(self.found.constants[node.id], scope)

    def on_Attribute(self, node: ast.Attribute, _: Mapping[str, Edge]) -> Edge:  # noqa: N802
        return self.nodes.constant(CONSTANTS[ast.unparse(node)])

    def on_BinOp(self, node: ast.BinOp, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        sides = [self.number(self.visit(x, scope)) for x in (node.left, node.right)]
        if type(node.op) not in ARITHMETIC:
            raise refuse_syntax(node)
        return self.nodes.add(ARITHMETIC[type(node.op)], sides)

    def on_UnaryOp(self, node: ast.UnaryOp, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        x = self.visit(node.operand, scope)
        if isinstance(node.op, ast.Not):
            return self.nodes.add("Not", [self.truth(x)], TRUTH)
        return self.nodes.add("Neg", [self.number(x)])

    def on_Compare(self, node: ast.Compare, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        sides = [self.number(self.visit(x, scope)) for x in (node.left, *node.comparators)]
        pairs = zip(node.ops, sides, sides[1:], strict=False)
        return self.all_of([self.compare(type(op), a, b) for op, a, b in pairs])

    def compare(self, op: type, a: Edge, b: Edge) -> Edge:
        kind, turned = COMPARISONS[op]
        found = self.nodes.add(kind, [a, b], TRUTH)
        return self.nodes.add("Not", [found], TRUTH) if turned else found

    def on_BoolOp(self, node: ast.BoolOp, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        sides = [self.truth(self.visit(x, scope)) for x in node.values]
        kind = "And" if isinstance(node.op, ast.And) else "Or"
        return reduce(lambda a, b: self.nodes.add(kind, [a, b], TRUTH), sides)

    def all_of(self, conditions: Sequence[Edge]) -> Edge:
        return reduce(lambda a, b: self.nodes.add("And", [a, b], TRUTH), conditions)

    def on_IfExp(self, node: ast.IfExp, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        return self.choose(*(self.visit(x, scope) for x in (node.test, node.body, node.orelse)))

    def choose(self, test: Edge, a: Edge, b: Edge) -> Edge:
        return self.nodes.add("Where", [self.truth(test), self.number(a), self.number(b)])

    def on_Call(self, node: ast.Call, scope: Mapping[str, Edge]) -> Edge:  # noqa: N802
        given = [self.visit(x, scope) for x in node.args]
        name = ast.unparse(node.func)
        if name == "float":
            return self.number(given[0])
        if name.startswith("math."):
            return self.mathematics(node, name.removeprefix("math."), [self.number(x) for x in given])
        return self.call(self.found.functions[name], given)

    def mathematics(self, node: ast.AST, name: str, given: list[Edge]) -> Edge:
        if name in DIRECT:
            return self.direct(name, given)
        if name not in IN_WORDS:
            raise refuse_syntax(node)
        return self.in_words(IN_WORDS[name], given)

    def number(self, x: Edge) -> Edge:
        return self.nodes.cast(x, FLOAT)

    def truth(self, x: Edge) -> Edge:
        """True or false; for a number, whether it is not 0."""
        return x if x.kind == TRUTH else self.compare(ast.NotEq, self.number(x), self.nodes.constant(0.0))


# Functions that ONNX lacks, in terms of others. Near 0 the rounding errors of eᵃ and 1 + a cancel by a division:
# Higham, Accuracy and Stability of Numerical Algorithms, 1.14.1 (Kahan's form).
IN_WORDS: Mapping[str, str] = {
    "expm1": (
        "math.exp(a) - 1.0 if not math.fabs(a) < 1.0 else"
        " a if math.exp(a) == 1.0 else (math.exp(a) - 1.0) * (a / math.log(math.exp(a)))"
    ),
    "log1p": (
        "math.log(1.0 + a) if not math.fabs(a) < 1.0 else"
        " a if 1.0 + a == 1.0 else math.log(1.0 + a) * (a / ((1.0 + a) - 1.0))"
    ),
    "copysign": "math.fabs(a) if b >= 0.0 else -math.fabs(a)",
    "erfc": "1.0 - math.erf(a)",
    "log2": "math.log(a) * 1.4426950408889634",
    "log10": "math.log(a) * 0.4342944819032518",
    "cbrt": "math.sign(a) * math.pow(math.fabs(a), 0.3333333333333333)",
    "hypot": "math.sqrt(a * a + b * b)",
    "fmod": "a - b * math.sign(a / b) * math.floor(math.fabs(a / b))",
}


# Replacements for operators without a float64 kernel in onnxruntime; "" if no short formula exists.
NOT_WIDE: Mapping[str, str] = {
    "tan": "math.sin(a) / math.cos(a)",
    "sinh": (
        "0.5 * (math.exp(a) - math.exp(-a)) if not math.fabs(a) < 1.0 else"
        " 0.5 * (math.expm1(a) + math.expm1(a) / (math.expm1(a) + 1.0))"
    ),
    "cosh": "0.5 * (math.exp(a) + math.exp(-a))",
    "asinh": (
        "math.copysign(math.log(math.fabs(a) + math.sqrt(a * a + 1.0)) if not math.fabs(a) < 1.0 else"
        " math.log1p(math.fabs(a) + a * a / (1.0 + math.sqrt(a * a + 1.0))), a)"
    ),
    "acosh": "math.log1p((a - 1.0) + math.sqrt((a - 1.0) * (a + 1.0)))",
    "atanh": "math.copysign(0.5 * math.log1p(2.0 * math.fabs(a) / (1.0 - math.fabs(a))), a)",
    "erf": (
        "math.copysign(math.fabs(a) * erf_polynomial(a * a) if math.fabs(a) < 1.0 else"
        " 1.0 - math.exp(log_erfc_polynomial(math.minimum(math.fabs(a), 6.0))), a)"
    ),
    "asin": "", "acos": "", "atan": "",
}  # fmt: skip
POLYNOMIALS = (erf_polynomial, log_erfc_polynomial)


class Definitions:
    """The functions and constants that operations are made of, as trees."""

    def __init__(self) -> None:
        self.functions: dict[str, ast.FunctionDef] = {}
        for function in POLYNOMIALS:
            tree = parse(function_text(function.__name__, function)).body[0]
            assert isinstance(tree, ast.FunctionDef)
            self.functions[tree.name] = tree
        self.constants: dict[str, ast.expr] = {}

    def tree(self, operation: Operation) -> ast.FunctionDef:
        """The function of an operation; all that it names is then known too."""
        if operation.name not in self.functions:
            for statement in parse("\n".join(definitions([operation]).values())).body:
                if isinstance(statement, ast.FunctionDef):
                    self.functions[statement.name] = statement
                else:
                    self.constants[statement.targets[0].id] = statement.value
        return self.functions[operation.name]


def refuse_syntax(node: ast.AST) -> TraceError:
    return TraceError(f"`{ast.unparse(node):.80}` has no counterpart in ONNX: it cannot be exported")
