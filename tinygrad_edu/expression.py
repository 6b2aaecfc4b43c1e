"""Arithmetic written as text, such as "tanh(a*b + c)", turned into a graph of Values.

The text is parsed and walked; only numbers, the given names, + - * / ** and operations of the table have a
meaning. Nothing of it is ever executed as Python.
"""

from __future__ import annotations

import ast
from collections.abc import Mapping

from tinygrad_edu.core import ops
from tinygrad_edu.core.operation import TABLE, Operation
from tinygrad_edu.core.value import Value
from tinygrad_edu.errors import ExpressionError, unknown_name

LONGEST = 1000  # characters: deeper nesting than this allows would exhaust Python's own parser
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

    Errors: ExpressionError for anything that is not arithmetic, NameNotFoundError for an unknown operation.

    >>> y, leaves = evaluate("a * b + 1", {"a": 2.0, "b": -3.0})
    >>> y.backward(); y.data, leaves["a"].grad
    (-5.0, -3.0)
    """
    if len(text) > LONGEST:
        raise ExpressionError(f"the expression has {len(text)} characters; {LONGEST} are allowed")
    try:
        tree = ast.parse(text.strip(), mode="eval")
        leaves = {name: Value(variables[name], label=name) for name in names_in(tree, variables)}
        return walk(tree.body, leaves), leaves
    except SyntaxError as error:
        raise ExpressionError(f"{text!r} is not an expression: {error.msg} at character {error.offset}") from None
    except (RecursionError, MemoryError, ValueError) as error:
        if isinstance(error, ExpressionError) or (hasattr(error, "add_note") and type(error).__module__ != "builtins"):
            raise
        raise ExpressionError(f"the expression cannot be read: {error}") from None


def names_in(tree: ast.AST, variables: Mapping[str, float]) -> list[str]:
    """The variables in the order in which they stand; every one needs a value, and every value a place."""
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    found = [(n.lineno, n.col_offset, n.id) for n in ast.walk(tree) if isinstance(n, ast.Name) and id(n) not in called]
    names = list(dict.fromkeys(name for _, _, name in sorted(found)))
    missing = [name for name in names if name not in variables]
    if missing:
        raise ExpressionError(f"no value for {', '.join(missing)}: add {' '.join(f'{name}=1.0' for name in missing)}")
    unused = [name for name in variables if name not in names]
    if unused:
        raise ExpressionError(f"{', '.join(unused)} does not stand in the expression, which names {', '.join(names)}")
    return names


def walk(tree: ast.AST, leaves: Mapping[str, Value]) -> Value:
    """One part of the expression as a Value."""
    match tree:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return Value(number)
        case ast.Name(id=name):
            return leaves[name]
        case ast.UnaryOp(op=symbol, operand=operand) if type(symbol) in SYMBOLS:
            return called(SYMBOLS[type(symbol)], walk(operand, leaves))
        case ast.BinOp(left=left, op=symbol, right=right) if type(symbol) in SYMBOLS:
            return called(SYMBOLS[type(symbol)], walk(left, leaves), walk(right, leaves))
        case ast.Call(func=ast.Name(id=name), args=arguments, keywords=[]):
            if name not in FUNCTIONS:
                raise unknown_name("operation", name, FUNCTIONS)
            return called(FUNCTIONS[name], *[walk(x, leaves) for x in arguments])
    raise ExpressionError(
        f"{ast.unparse(tree)!r} has no meaning here: an expression holds numbers, names, + - * / ** and "
        f"operations such as tanh(x)"
    )


def called(operation: Operation, *arguments: Value) -> Value:
    result = operation(*arguments)
    assert isinstance(result, Value)
    return result
