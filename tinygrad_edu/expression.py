"""Arithmetic written as text, such as "tanh(a*b + c)", turned into a graph of Values.

The text is parsed and walked; only numbers, the given names, + - * / ** and operations of the table have a
meaning. Nothing of it is ever executed as Python.
"""

from __future__ import annotations

import ast
import math
import re
import unicodedata
from collections.abc import Collection, Mapping

from tinygrad_edu.core import ops
from tinygrad_edu.core.conversions.printing import preview
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import ExpressionError, unknown_name

LONGEST = 1000  # characters
DEEPEST = 200  # levels: Python's parser allows this many brackets, and its recursion limit a few times as many calls
CONSTANTS = {"pi": math.pi, "e": math.e}  # what names mean that may be left without a value
SYMBOLS: dict[type[ast.AST], Operation] = {
    ast.Add: ops.add,
    ast.Sub: ops.sub,
    ast.Mult: ops.mul,
    ast.Div: ops.div,
    ast.Pow: ops.pow,
    ast.USub: ops.neg,
    ast.UAdd: ops.pos,
}
FUNCTIONS = {name: operation for name, operation in TABLE.items() if operation.partials is not None}


def evaluate(text: str, variables: Mapping[str, float]) -> tuple[Value, dict[str, Value]]:
    """The graph of an expression, and the leaf of each variable that it names.

    Errors: ExpressionError for anything that is not arithmetic and for variables that do not fit, OperandError for
    a wrong number of arguments.

    >>> y, leaves = evaluate("a * b + 1", {"a": 2.0, "b": -3.0})
    >>> y.backward(); y.data, leaves["a"].grad
    (-5.0, -3.0)
    """
    text = text.strip()
    tree = parse(text)
    # Python normalizes identifiers with NFKC
    given = {unicodedata.normalize("NFKC", name): x for name, x in variables.items()}
    leaves = {name: Value(given.get(name, math.nan), label=name) for name in names_in(tree)}
    root = walk(tree, text, leaves)
    refuse_mismatch(leaves, given)
    return root, leaves


def parse(text: str) -> ast.expr:
    """The text as a tree that is shallow enough to walk."""
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text):,} characters; {LONGEST:,} are allowed")
    try:
        tree = ast.parse(text, mode="eval").body
    except SyntaxError as error:
        raise ExpressionError(not_an_expression(text, error)) from None
    except (ValueError, MemoryError, RecursionError) as error:  # a lone surrogate, or nesting beyond Python's own limit
        raise ExpressionError(f"{preview(text)} cannot be read: {str(error) or 'it is nested too deeply'}") from None
    if (levels := depth(tree)) > DEEPEST:
        raise ExpressionError(f"{preview(text)} is nested {levels} levels deep; {DEEPEST} are allowed")
    return tree


def not_an_expression(text: str, error: SyntaxError) -> str:
    """Where it ends to be one, and what is probably meant."""
    if not text:
        return 'an expression is needed, such as "tanh(a*b + c)"'
    where = f"{preview(text)} is not an expression: {error.msg} at character {error.offset or 1}"
    product = re.sub(r"(?<![\w.])(\d+(?:\.\d*)?)(?=[^\W\d_eEjJ])", r"\1*", text)  # 2a -> 2*a
    return f"{where}. Did you mean {preview(product)}?" if product != text else where


def depth(tree: ast.AST) -> int:
    """The number of levels, counted by a loop."""
    levels, level = 0, [tree]
    while level:
        levels, level = levels + 1, [part for node in level for part in ast.iter_child_nodes(node)]
    return levels


def names_in(tree: ast.AST) -> list[str]:
    """The variables in order of their first use."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [(n.lineno, n.col_offset, n.id) for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]
    return list(dict.fromkeys(name for _, _, name in sorted(found)))


def refuse_mismatch(names: Collection[str], given: Collection[str]) -> None:
    """Every variable needs a value, and every value a place."""
    missing = [name for name in names if name not in given]
    if missing:
        values = " ".join(f"{name}={CONSTANTS.get(name, 1.0)}" for name in missing)
        raise ExpressionError(f"no value for {', '.join(missing)}: add {values}")
    unused = [name for name in given if name not in names]
    if unused:
        verb, known = "is" if len(unused) == 1 else "are", ", ".join(names) or "no names"
        raise ExpressionError(f"{', '.join(unused)} {verb} not in the expression, which has {known}")


def walk(tree: ast.AST, text: str, leaves: Mapping[str, Value]) -> Value:
    """One part of the expression as a Value."""
    match tree:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return constant(number)
        case ast.Name(id=name):
            return leaves[name]
        case ast.UnaryOp(op=symbol, operand=operand) if type(symbol) in SYMBOLS:
            return call_function(SYMBOLS[type(symbol)], walk(operand, text, leaves))
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in SYMBOLS:
            return call_function(SYMBOLS[type(symbol)], walk(left, text, leaves), walk(right, text, leaves))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            return call_function(function(name), *[walk(x, text, leaves) for x in arguments])
    part = ast.get_source_segment(text, tree) or text
    power = f" Did you mean {preview(text.replace('^', '**'))}?" if "^" in part else ""
    raise ExpressionError(
        f"{preview(part)} has no meaning here.{power} An expression holds numbers, names, "
        "+ - * / ** and operations such as tanh(x)"
    )


def constant(number: float) -> Value:
    try:
        return Value(float(number))
    except OverflowError:
        raise ExpressionError(f"a whole number of {len(str(number))} digits is too large; write it as 1e300") from None


def function(name: str) -> Operation:
    """The operation of that name; one with a derivative."""
    if name not in FUNCTIONS:
        raise ExpressionError(str(unknown_name("operation", name, FUNCTIONS)))
    return FUNCTIONS[name]


def call_function(operation: Operation, *arguments: Value) -> Value:
    result = operation(*arguments)
    assert isinstance(result, Value)
    return result
